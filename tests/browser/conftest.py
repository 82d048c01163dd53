"""A browser for these tests; where they borrow the attacks of the unit tests, the page judges each of them as well."""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import pytest

from edged.bundles import pages
from edged.bundles.load import open_target, verify_target
from edged.errors import UnreadableError
from edged.evidence.verification import BundleFiles, Report, Trust
from tests.browser.chromium import Chromium
from tests.browser.page import Page, without_details, write_zip
from tests.unit import test_bundles_load
from tests.unit.bundle_station import START, Forgery

PAGE = pages.page_path()


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def page(browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Page:
    assert PAGE.is_file(), f"{PAGE} is not built: run `make page`"
    return Page(browser, PAGE, tmp_path_factory.mktemp("trust"))


@pytest.fixture
def both_judge(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the page judge every bundle that the command line's verifier judges, and compare all but the reasons."""
    original = Forgery.verify

    def verify(forgery: Forgery, trust: Trust) -> Report:
        report = original(forgery, trust)
        # The page always knows what day it is; that matters for tokens alone.
        expected = original(forgery, replace(trust, now=START)) if trust.authorities and not trust.now else report
        bundle = write_zip(forgery, tmp_path / "judged.zip")
        found = page.judge(bundle, trust)
        if "unreadable" in found:
            with pytest.raises(UnreadableError):
                verify_target(bundle, trust)
        else:
            assert without_details(found) == without_details(expected.plain())
        bundle.unlink()
        return report

    monkeypatch.setattr(Forgery, "verify", verify)


@pytest.fixture
def both_open(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the page judge every zip that the command line opens: both refuse it, or both say the same of it."""

    def verify(path: Path, trust: Trust, pool: Executor | None = None) -> Report:
        found = page.judge(path, trust) if path.is_file() else None
        try:
            report = verify_target(path, trust, pool)
        except UnreadableError:
            assert found is None or "unreadable" in found
            raise
        assert found is None or without_details(found) == without_details(report.plain())
        return report

    def open_(path: Path) -> BundleFiles:
        found = page.judge(path, Trust()) if path.is_file() else {}
        try:
            files = open_target(path)
        except UnreadableError:
            assert not path.is_file() or "unreadable" in found
            raise
        assert "unreadable" not in found
        return files

    monkeypatch.setattr(test_bundles_load, "verify_target", verify)
    monkeypatch.setattr(test_bundles_load, "open_target", open_)
