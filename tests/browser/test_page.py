"""The page itself: what a person, a screen reader and a forger meet, and what it never does."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from edged.bundles import pages
from edged.evidence.verification import Trust
from tests.browser.chromium import Chromium
from tests.browser.nodejs import NODE
from tests.browser.page import Page, without_details, write_zip
from tests.unit.bundle_station import CHUNK, Case, Forgery, ordinary_case

SOURCES = Path(pages.__file__).parents[1] / "page"


@dataclass(frozen=True)
class Made:
    """An honest bundle as a folder."""

    case: Case
    folder: Path

    @property
    def trust(self) -> Trust:
        return self.case.station.trust


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    case = ordinary_case(tmp_path_factory.mktemp("station"))
    folder = tmp_path_factory.mktemp("out") / "bundle"
    case.station.bundle(case.export_seq, folder, kinds=["poster"])
    return Made(case, folder)


@pytest.fixture
def altered(made: Made, tmp_path: Path) -> Path:
    """Give the bundle with one byte of its second chunk altered."""
    folder = tmp_path / "altered"
    shutil.copytree(made.folder, folder)
    original = folder / f"data/segments/{made.case.video}/A.MP4"
    data = bytearray(original.read_bytes())
    data[CHUNK + 5] ^= 1
    original.write_bytes(data)
    return folder


# -- what it shows


def test_a_chosen_folder_is_judged_like_the_command_line_does(page: Page, made: Made) -> None:
    found = page.judge(made.folder, made.trust)
    expected = Forgery.of(made.folder).verify(made.trust).plain()
    assert without_details(found) == without_details(expected)
    assert found["checks"] == expected["checks"]
    shown = page.browser.evaluate("document.querySelector('main').innerText")
    assert "Whether a file in the folder is a link" in shown


def test_a_dropped_zip_is_judged(page: Page, made: Made, tmp_path: Path) -> None:
    write_zip(Forgery.of(made.folder), tmp_path / "dropped.zip")
    page.open(made.trust)
    page.drop(tmp_path / "dropped.zip", "h1")
    found = page.browser.evaluate("window.edgedReport")
    assert found == page.judge(tmp_path / "dropped.zip", made.trust)


def test_a_dropped_folder_is_judged_or_where_chromium_withholds_it_asked_for_otherwise(page: Page, made: Made) -> None:
    page.open(made.trust)
    page.drop(made.folder, "#bundle")
    found = page.browser.evaluate("window.edgedReport")
    if "unreadable" in found:
        # Some versions give a page that was opened as a file no folders.
        assert "did not give" in found["unreadable"]
        assert "Use “Choose folder…”" in page.browser.evaluate("document.querySelector('.problem').innerText")
    else:
        assert found == page.judge(made.folder, made.trust)
    page.open(Trust())


def test_a_dropped_root_is_trusted_where_it_was_dropped(page: Page, made: Made) -> None:
    page.open(Trust())
    page.drop(made.folder / "data/trust/root.pem", "[data-kind=roots]")
    found = page.judge(made.folder, Trust())
    assert found["segments"][0]["checks"]["identity"]["verdict"] == "verified"
    page.open(Trust())


def test_altered_stretches_are_drawn_and_named(page: Page, altered: Path, made: Made) -> None:
    assert page.judge(altered, made.trust)["verdict"] == "failed"
    strip = "document.querySelector('.strip.failed')"
    assert page.browser.evaluate(f"{strip}.querySelectorAll('.damage').length") == 1
    label = page.browser.evaluate(f"{strip}.querySelector('svg').getAttribute('aria-label')")
    assert "1 of 3 stretches" in label
    said = page.browser.evaluate(f"{strip}.innerText")
    assert "07:00:25.499" in said
    assert f"{CHUNK} – {2 * CHUNK - 1}" in said


def test_the_custody_history_holds_the_words_of_the_reasons(page: Page, made: Made) -> None:
    page.judge(made.folder, made.trust)
    shown = page.browser.evaluate("document.querySelector('main').textContent")
    for words in ("Recorder docked", "Erased from the recorder", "request: Investigation <opened>.", "novelty"):
        assert words in shown


def test_a_root_that_comes_later_changes_the_verdict_without_another_reading(page: Page, made: Made) -> None:
    page.open(Trust())
    assert page.judge(made.folder, Trust())["segments"][0]["checks"]["identity"]["verdict"] == "not-established"
    page.browser.evaluate("window.seenReport = window.edgedReport, null")
    root = made.folder / "data/trust/root.pem"
    page.browser.choose("#trust-roots", [root])
    report = page.browser.evaluate(
        "new Promise((done) => { const look = () => window.edgedReport === window.seenReport"
        " ? setTimeout(look, 2) : done(window.edgedReport); look(); })"
    )
    assert report["segments"][0]["checks"]["identity"]["verdict"] == "verified"
    page.open(Trust())


def test_what_is_no_certificate_is_said_and_not_trusted(page: Page, made: Made, tmp_path: Path) -> None:
    page.open(Trust())
    (tmp_path / "root.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    page.browser.choose("#trust-roots", [tmp_path / "root.pem"])
    found = page.judge(made.folder, Trust())
    assert found["segments"][0]["checks"]["identity"]["verdict"] == "not-established"
    assert "is not that" in page.browser.evaluate("document.querySelector('.refused').innerText")
    page.open(Trust())


def test_it_speaks_chinese_and_english(page: Page, made: Made) -> None:
    page.judge(made.folder, made.trust)
    page.browser.evaluate("document.querySelector('[data-language=zh]').click()")
    assert page.browser.evaluate("document.documentElement.lang") == "zh-CN"
    chinese = page.browser.evaluate("document.body.innerText")
    assert "未能证实，仅因时间一项" in chinese
    for left_over in ("Choose", "Verified", "Custody", "not established"):
        assert left_over not in chinese
    page.browser.evaluate("document.querySelector('[data-language=en]').click()")
    assert "Not established, because of the time alone" in page.browser.evaluate("document.body.innerText")


def test_it_begins_in_the_language_of_the_browser(page: Page) -> None:
    page.browser.open(pages.page_path(), before="Object.defineProperty(navigator, 'language', {get: () => 'zh-CN'});")
    assert page.browser.evaluate("document.querySelector('h1').textContent") == "核验证据包"
    page.open(Trust())


def test_footage_is_played_from_the_file(page: Page, made: Made, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=2"]
    subprocess.run(["ffmpeg", "-loglevel", "error", *source, "-pix_fmt", "yuv420p", film], check=True)
    folder = tmp_path / "playing"
    shutil.copytree(made.folder, folder)
    shutil.copy(film, folder / f"data/segments/{made.case.video}/A.MP4")
    page.judge(folder, made.trust)
    segment = f"document.querySelector('[data-segment={made.case.video}]')"
    page.browser.evaluate(f"{segment}.querySelector('.screen button').click()")
    loaded = f"new Promise((done) => {{ const film = {segment}.querySelector('video');"
    loaded += " film.onloadedmetadata = () => done([film.videoWidth, film.duration]); film.load(); })"
    assert page.browser.evaluate(loaded) == [64, 2]


# -- what it never does


def test_nothing_leaves_the_browser(browser: Chromium, page: Page, made: Made) -> None:
    page.open(made.trust)
    page.judge(made.folder, made.trust)
    requests = [each["params"] for each in browser.events if each.get("method") == "Network.requestWillBeSent"]
    asked = [each["request"]["url"] for each in requests]
    assert asked
    assert all(url.startswith(("file:///", "blob:")) for url in asked)
    assert [url for url in asked if url.startswith("file:")] == [pages.page_path().as_uri()]
    refused = "fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.name)"
    assert browser.evaluate(refused) == "TypeError"
    blocked = "new Promise((done) => { new Image().src = 'http://127.0.0.1:9/';"
    blocked += " document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective)); })"
    assert browser.evaluate(blocked) == "img-src"


def test_no_exception_and_no_violation_of_its_own_policy(
    browser: Chromium, page: Page, altered: Path, made: Made
) -> None:
    page.open(made.trust)
    page.judge(altered, made.trust)
    page.browser.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    amiss = [each for each in browser.events if each.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}]
    assert not amiss


def test_markup_in_evidence_is_text(page: Page, made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "marked"
    shutil.copytree(made.folder, folder)
    attack = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    custody = folder / "data/custody/st-07/2026-11-ab12"
    entry = next(path for path in custody.glob("*.json") if b'"novelty"' in path.read_bytes())
    entry.write_bytes(entry.read_bytes().replace(b"a type of a later version", json.dumps(attack)[1:-1].encode()))
    (folder / "data" / "a<b>&amp;.txt").write_text("x")
    count = page.browser.evaluate("document.scripts.length")
    page.judge(folder, made.trust)
    page.browser.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert attack in page.browser.evaluate("document.body.textContent")
    assert "a<b>&amp;.txt" in page.browser.evaluate("document.body.textContent")
    assert page.browser.evaluate("document.scripts.length") == count
    assert page.browser.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    assert page.browser.evaluate("document.title") == "Check an evidence bundle"


def test_the_source_has_no_way_to_make_markup_or_code_of_text() -> None:
    scripts = [path.read_text(encoding="utf-8") for path in (SOURCES / "src").rglob("*.js")]
    assert len(scripts) > 30
    pattern = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|setTimeout\(['\"]"
    )
    assert not [script[:80] for script in scripts if re.search(pattern, script)]


def test_the_policy_of_the_page_allows_its_own_script_alone() -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', pages.verify_page().decode())
    assert policy is not None
    parts = dict(part.split(" ", 1) for part in policy[1].split("; "))
    assert parts["default-src"] == parts["connect-src"] == parts["form-action"] == parts["base-uri"] == "'none'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", parts["script-src"])
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", parts["style-src"])
    assert not {"http:", "https:", "*", "'unsafe-inline'", "'unsafe-eval'"} & set(policy[1].split())


# -- who cannot see it, or has no mouse


def test_every_control_has_a_name_and_every_region_too(page: Page, made: Made) -> None:
    page.judge(made.folder, made.trust)
    tree = page.browser.command("Accessibility.getFullAXTree")["nodes"]
    nodes = [(each["role"]["value"], each.get("name", {}).get("value", "")) for each in tree if not each["ignored"]]
    roles = {role for role, _ in nodes}
    assert {"banner", "main", "contentinfo", "region", "heading", "table", "button"} <= roles
    assert not [role for role, name in nodes if role in {"button", "region", "link", "image", "img"} and not name]


def test_it_is_worked_by_keyboard_and_leads_to_the_result(page: Page, made: Made) -> None:
    page.open(made.trust)
    stops = []
    for _ in range(12):
        for kind in ("rawKeyDown", "keyUp"):
            page.browser.command("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        stops.append(page.browser.evaluate("document.activeElement.id || document.activeElement.innerText"))
    assert stops[:3] == ["To the result", "English", "中文"]
    assert stops.index("choose-folder") < stops.index("choose-zip") < stops.index("Add…")
    page.judge(made.folder, made.trust)
    assert page.browser.evaluate("document.activeElement.id") == "result"
    assert page.browser.evaluate("document.querySelector('#progress-text').getAttribute('aria-live')") == "polite"


# -- that it is this page


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    for number in (1, 2):
        subprocess.run([NODE, SOURCES / "build.mjs", tmp_path / f"{number}.html"], check=True, cwd=tmp_path)
    digests = {hashlib.sha256((tmp_path / f"{number}.html").read_bytes()).hexdigest() for number in (1, 2)}
    assert digests == {hashlib.sha256(pages.verify_page()).hexdigest()}, "the page is not up to date: run `make page`"


def test_a_bundle_carries_the_page_of_this_release(made: Made) -> None:
    assert (made.folder / "verify.html").read_bytes() == pages.verify_page()


def test_the_lock_file_names_no_registry() -> None:
    assert "://" not in re.sub(
        r'"(?:funding|url)": .*', "", (SOURCES / "package-lock.json").read_text(encoding="utf-8")
    )


def test_the_licences_of_its_libraries_are_in_the_page() -> None:
    page = pages.verify_page().decode()
    locked = json.loads((SOURCES / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name, about in locked.items():
        if name and not about.get("dev"):
            assert f"{name.removeprefix('node_modules/')} {about['version']}\n" in page


def test_the_release_notes_name_the_digest_of_the_page() -> None:
    notes = Path(__file__).parents[2].joinpath("CHANGELOG.md").read_text("utf-8")
    assert hashlib.sha256(pages.page_path().read_bytes()).hexdigest() in notes
