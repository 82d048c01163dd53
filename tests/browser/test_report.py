"""The report that comes with a bundle, in a browser: no word of an entry ever runs."""

from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.unit.test_bundles_report import HOSTILE, hostile


@pytest.mark.parametrize("words", HOSTILE)
def test_no_hostile_word_runs(browser: Chromium, tmp_path: Path, words: str) -> None:
    hostile(tmp_path, words)
    page = tmp_path / "bundle/data/report.html"
    browser.open(page)
    assert browser.evaluate("document.title") == "ex-1 edged"
    assert browser.evaluate("document.scripts.length") == 0
    # The page's own policy forbids what would be put into it as well.
    injected = "document.body.insertAdjacentHTML('beforeend', '<img src=x: onerror=\"document.title=1\">')"
    assert (
        browser.evaluate(f"{injected}, new Promise((go) => setTimeout(() => go(document.title), 50))") == "ex-1 edged"
    )


def test_a_reader_chooses_the_language_without_a_script(browser: Chromium, tmp_path: Path) -> None:
    hostile(tmp_path, "words")
    browser.open(tmp_path / "bundle/data/report.html")
    shown = "[...document.querySelectorAll('h1 > span')].map((each) => getComputedStyle(each).display != 'none')"
    assert browser.evaluate(shown) == [True, False]
    for choice, seen in (("in-zh", [False, True]), ("in-both", [True, True]), ("in-en", [True, False])):
        browser.evaluate(f"document.querySelector('label[for={choice}]').click(), null")
        assert browser.evaluate(shown) == seen
