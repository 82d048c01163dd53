"""Receipts: what an officer gets, and a paper that knows when the ledger was rewritten."""

import json
import re
import shutil
import sqlite3
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zxingcpp

from edged.audit.receipts import hold_against
from edged.audit.stations import StationTarget, open_book
from edged.cli import paper
from edged.cli.progress import Silent
from edged.cli.targets import Access, opened
from edged.errors import UnavailableError, UsageError
from edged.evidence import bodies
from edged.evidence.entry import parse, reference
from edged.evidence.ids import StoreId
from edged.evidence.note import vkey
from edged.evidence.receipts import Receipt, format_receipt, parse_receipt
from edged.evidence.verification.report import Check
from edged.station.receipts import asked_receipt
from edged.stores.directory import DirectorySettings
from tests.unit.book_station import docked, odd, sealed, undocked
from tests.unit.calling import Caller
from tests.unit.stored_station import FILES, Stored, make_stored, private_key

LAST = {"last": True}


@pytest.fixture
def edged(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """A station with two dockings, published, and more entries than one tile has."""
    folder = tmp_path_factory.mktemp("receipts")
    (folder / "central").mkdir()
    stored = make_stored(folder, DirectorySettings(id=StoreId("central"), folder=folder / "central"))
    stored.take_in(FILES)
    stored.publish()
    stored.parts.book.ledger.append(*(odd("not-listed") for _ in range(300)))
    stored.take_in({"again.mp4": b"again"})
    stored.publish()
    yield stored
    stored.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Stored]:
    """A station where nothing was docked."""
    (tmp_path / "central").mkdir()
    stored = make_stored(tmp_path, DirectorySettings(id=StoreId("central"), folder=tmp_path / "central"))
    yield stored
    stored.close()


def plain(stored: Stored, **asked: Any) -> dict[str, Any]:
    return dict(asked_receipt(stored.parts.book, asked, stored.parts.config).plain())


def code(stored: Stored, **asked: Any) -> Receipt:
    return parse_receipt(plain(stored, **asked)["code"])


def held(target: Path, found: Receipt) -> Check:
    with opened(str(target), Access(), with_originals=False) as ledger:
        return hold_against(ledger, found, Silent())


# ----------------------------------------------------------------------------------------------- what it says


def test_receipt_says_what_became_of_the_files(made: Stored) -> None:
    said = plain(made, docking="dk-20261121-00000001")
    assert (said["recorder"], said["officer"], said["bay"]) == ("rec-0001", None, "bay-1")
    assert (said["files"], said["sealed"], said["sighted"], said["wiped"], said["left"]) == (3, 3, 0, 0, 3)
    assert (said["findings"], said["outcome"]) == (0, "kept")
    entry = made.parts.book.ledger.entry_bytes(said["entry"]["seq"])
    assert parse(entry).type == "undocking"
    assert said["entry"]["reference"] == reference(entry)


def test_checkpoint_on_the_receipt_is_the_first_that_covers_the_end(made: Stored) -> None:
    said = plain(made, docking="dk-20261121-00000001")
    sizes = [head.size for head in made.parts.book.ledger.heads() if head.size > said["entry"]["seq"]]
    assert said["checkpoint"]["size"] == sizes[0]
    assert said["checkpoint"]["note"].encode() == made.checkpoint(sizes[0])
    assert parse_receipt(said["code"]).note() == made.checkpoint(sizes[0])


def test_last_and_bay_mean_the_newest(made: Stored) -> None:
    assert plain(made, last=True)["docking"] == plain(made, bay="bay-1")["docking"] == "dk-20261121-00000002"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"docking": "dk-none"},
        {"bay": "bay-9"},
        {"bay": "bay-1", "last": True},
        {"last": "yes"},
        {"docking": 7},
        {"docking": ["dk-20261121-00000001"]},
        {"recorder": "rec-0001"},
    ],
)
def test_question_that_names_no_docking_is_refused(made: Stored, asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        asked_receipt(made.parts.book, asked, made.parts.config)


def test_docking_that_goes_on_has_no_receipt(other: Stored) -> None:
    other.parts.book.ledger.append(docked({})[0])
    with pytest.raises(UnavailableError, match="is not over"):
        asked_receipt(other.parts.book, {"docking": "dk-20261121-00000001"}, other.parts.config)
    with pytest.raises(UsageError, match="No docking has ended"):
        asked_receipt(other.parts.book, LAST, other.parts.config)


def test_docking_that_is_not_published_yet_has_no_code(other: Stored, edged: Caller) -> None:
    other.take_in({"a.mp4": b"a"})
    said = edged("receipt", "--last", config=other.config)
    assert said.code == 69
    assert "NOT YET PUBLISHED 尚未发布" in said.out
    assert "█" not in said.out
    other.publish()
    assert edged("receipt", "--last", config=other.config).code == 0


def test_receipt_of_a_station_without_a_store_promises_no_code(other: Stored, tmp_path: Path, edged: Caller) -> None:
    other.take_in({"a.mp4": b"a"})
    file = other.config / "station.toml"
    file.write_text(file.read_text("utf-8").rpartition("[store]")[0], "utf-8")
    said = edged("receipt", "--last", config=other.config)
    assert said.code == 69
    assert "This station has no central storage yet, so nothing is signed." in said.out
    assert "本站尚未配置集中存储，暂不签署。" in said.out
    assert "again later" not in said.out
    page = tmp_path / "receipt.html"
    assert edged("receipt", "--last", "--html", page, config=other.config).code == 69
    assert "no central storage" in page.read_text("utf-8")


def test_receipt_of_an_interrupted_docking_says_so_and_what_was_not_taken_in(other: Stored, edged: Caller) -> None:
    body, document = docked({"a.mp4": b"a", "b.mp4": b"b", "c.mp4": b"c"})
    other.parts.book.ledger.append(body, documents=[document])
    other.parts.book.ledger.append(sealed("a.mp4", b"a"), undocked(outcome="interrupted", remaining=3))
    said = edged("receipt", "--last", config=other.config)
    assert "Outcome 结果: INTERRUPTED" in " ".join(said.out.split())
    assert "not taken in 未取入: 2" in said.out


# ------------------------------------------------------------------------------------------- how it is printed


def test_receipt_is_printed_in_both_languages_with_its_code(made: Stored, edged: Caller) -> None:
    said = edged("receipt", "dk-20261121-00000001", config=made.config)
    assert said.code == 0
    for words in (
        "Recorder 记录仪: rec-0001",
        "Files found 发现文件: 3",
        "Checkpoint 检查点",
        "Findings 异常: 0",
        "Outcome 结果: kept",
    ):
        assert words in said.out
    assert "not taken in" not in said.out
    assert "█" in said.out
    assert max(paper._columns(line) for line in paper.lines(plain(made, **LAST))[:-2]) <= 46


def test_json_is_what_the_socket_answers(made: Stored, edged: Caller) -> None:
    said = edged("receipt", "--bay", "bay-1", "--json", config=made.config)
    assert json.loads(said.out) == plain(made, bay="bay-1")


def test_picture_and_page_hold_the_code_and_need_nothing_else(made: Stored, edged: Caller, tmp_path: Path) -> None:
    picture, page = tmp_path / "receipt.svg", tmp_path / "receipt.html"
    said = edged("receipt", "--last", "--svg", picture, "--html", page, config=made.config)
    assert (said.code, said.out) == (0, "")
    drawn = ET.fromstring(picture.read_text("utf-8"))  # noqa: S314 - our own
    texts = "".join(each.text or "" for each in drawn.iter("{http://www.w3.org/2000/svg}text"))
    assert "记录仪" in texts
    assert drawn.find(".//{http://www.w3.org/2000/svg}path") is not None
    text = page.read_text("utf-8")
    assert plain(made, last=True)["code"] in text
    for outside in re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text):
        pytest.fail(outside)


def scanned(modules: list[list[bool]]) -> str:
    """Read a code as a scanner does, out of a picture of it: eight dots a module, black where one is set."""
    lines = [bytes(0 if dark else 255 for dark in row for _ in range(8)) for row in modules for _ in range(8)]
    picture = memoryview(b"".join(lines)).cast("B", shape=[len(lines), len(lines[0])])
    (found,) = zxingcpp.read_barcodes(picture)
    text: str = found.text
    return text


def test_code_is_what_a_scanner_reads_off_the_screen_and_off_the_paper(made: Stored) -> None:
    told = plain(made, last=True)
    blocks = {" ": (True, True), "▀": (False, True), "▄": (True, False), "█": (False, False)}
    drawn = [line for line in paper.on_terminal(told).splitlines() if line and set(line) <= blocks.keys()]
    halves = [[[blocks[each][half] for each in line] for half in (0, 1)] for line in drawn]
    assert scanned([row for both in halves for row in both]) == told["code"]
    places = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1v1h-1z", paper.as_svg(told))}
    side = 5 + max(map(max, places))
    assert scanned([[(x, y) in places for x in range(side)] for y in range(side)]) == told["code"]


def test_names_in_the_ledger_do_not_become_markup(made: Stored) -> None:
    evil = plain(made, last=True) | {"officer": "<script>&", "recorder": '"><x'}
    for drawn in (paper.as_svg(evil), paper.as_html(evil)):
        assert "<script>" not in drawn
        assert "<x" not in drawn
    ET.fromstring(paper.as_svg(evil))  # noqa: S314 - our own


def test_printer_that_cannot_be_written_is_told(made: Stored, edged: Caller, tmp_path: Path) -> None:
    said = edged("receipt", "--last", "--svg", tmp_path / "nowhere" / "x.svg", config=made.config)
    assert said.code == 74
    assert "cannot be written" in said.err


# ------------------------------------------------------------------------------------- held against the ledger


@pytest.mark.parametrize("which", [{"docking": "dk-20261121-00000001"}, {"last": True}])
def test_unchanged_ledger_is_recognised_at_station_and_store(made: Stored, which: dict[str, Any]) -> None:
    found = code(made, **which)
    for target in (made.config, made.state, made.folder / "central"):
        said = held(target, found)
        assert said.verdict == "verified", said
        assert "This ledger has this root" in said.detail.en


def test_receipt_is_checked_from_a_file_or_from_the_command_line(made: Stored, edged: Caller, tmp_path: Path) -> None:
    text = format_receipt(code(made, **LAST))
    file = tmp_path / "scanned.txt"
    file.write_bytes(text.encode() + b"\r\n")
    for given in (text, file):
        said = edged("receipt", "--check", given, config=made.config)
        assert (said.code, said.err) == (0, "")
        assert "本台账" in said.out
    plain_ = json.loads(edged("receipt", "--check", text, "--json", config=made.config).out)
    assert plain_["verdict"] == "verified"


def test_code_is_found_among_what_surrounds_it(made: Stored, edged: Caller, tmp_path: Path) -> None:
    text = format_receipt(code(made, **LAST))
    other = format_receipt(code(made, docking="dk-20261121-00000001"))
    whole = edged("receipt", "--last", "--json", config=made.config).out
    for content, expected in (
        (f"\ufeffscanned at noon 扫描\r\n  {text}\r\n\r\nend\n{text}\n", 0),
        (whole, 0),
        (json.dumps({"code": None}), 65),
        (json.dumps({"note": text}), 65),
        ('{"code":' * 5000, 65),
        (f"{text}\n{other}\n", 65),
        (" " * 70_000 + "\n" + text, 65),
        (f"the line is {text}", 65),
    ):
        file = tmp_path / "scanned.txt"
        file.write_text(content, "utf-8")
        said = edged("receipt", "--check", file, config=made.config)
        assert said.code == expected, (content[:60], said)
    assert "Read the QR code with a scanner" in said.err


def genesis_key(entry: bytes) -> str:
    body = parse(entry).body
    assert isinstance(body, bodies.Genesis)
    return body.public_key


def rewritten(made: Stored, folder: Path, *statements: str) -> Path:
    """Give the state folder of a copy of the station whose book somebody with a shell changed."""
    state = folder / "state"
    shutil.copytree(made.state, state)
    with closing(sqlite3.connect(state / "book.sqlite", isolation_level=None)) as book:
        for (name,) in book.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            book.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            book.execute(statement)
    return state


def test_rewritten_entry_is_told_though_the_tree_was_left_as_it_was(made: Stored, tmp_path: Path) -> None:
    state = rewritten(
        made,
        tmp_path,
        "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), 'again.mp4', 'other.mp4') AS BLOB) "
        "WHERE type = 'segment' AND CAST(bytes AS TEXT) LIKE '%again.mp4%'",
    )
    said = held(state, code(made, **LAST))
    assert said.verdict == "failed"
    assert said.detail.en.startswith("The ledger and the paper do not agree")
    assert "the ledger was rewritten" in said.detail.en
    # What was printed before the place that was changed still holds.
    assert held(state, code(made, docking="dk-20261121-00000001")).verdict == "verified"


def test_ledger_that_was_cut_is_told(made: Stored, tmp_path: Path) -> None:
    found = code(made, **LAST)
    state = rewritten(made, tmp_path, f"DELETE FROM entry WHERE seq >= {found.seq}")  # noqa: S608
    said = held(state, found)
    assert said.verdict == "failed"
    assert "Entries were removed" in said.detail.en


def test_ledger_with_a_hole_is_told(made: Stored, tmp_path: Path) -> None:
    found = code(made, **LAST)
    state = rewritten(made, tmp_path, "DELETE FROM entry WHERE seq = 5")
    said = held(state, found)
    assert said.verdict == "not-established"
    assert "can be read here" in said.detail.en


def test_ledger_under_another_key_is_not_taken_for_an_answer(made: Stored, tmp_path: Path) -> None:
    key = genesis_key(made.parts.book.ledger.entry_bytes(0))
    other = vkey(made.origin, b"\7" * 32)
    change = f"CAST(replace(CAST(bytes AS TEXT), '{key}', '{other}') AS BLOB)"
    state = rewritten(made, tmp_path, f"UPDATE entry SET bytes = {change} WHERE seq = 0")  # noqa: S608
    said = held(state, code(made, **LAST))
    assert said.verdict == "not-established"
    assert "replaced from its beginning" in said.detail.en


def test_store_whose_entries_were_changed_is_told(made: Stored, tmp_path: Path) -> None:
    share = tmp_path / "central"
    shutil.copytree(made.folder / "central", share)
    bundle = next(path for path in share.glob("ledger/*/*/*/tile/entries/000"))
    data = bundle.read_bytes()
    bundle.chmod(0o600)
    bundle.write_bytes(data.replace(b'"path":"20261121/a.mp4"', b'"path":"20261121/x.mp4"'))
    assert held(share, code(made, **LAST)).verdict == "failed"
    bundle.write_bytes(data[:-1])
    assert held(share, code(made, **LAST)).verdict == "not-established"


def test_forged_paper_fails_no_honest_ledger(made: Stored) -> None:
    found = code(made, **LAST)
    other = replace(found, checkpoint=replace(found.checkpoint, root=b"\0" * 32))
    said = held(made.state, other)
    assert said.verdict == "not-established"
    assert "scan the code again first" in said.detail.en
    # A root that the thief of the key signed is something else: there are two roots for one size.
    key = private_key(made)
    signed = replace(other, signature=other.signature[:4] + key.sign(other.checkpoint.text().encode()))
    assert held(made.state, signed).verdict == "failed"


@pytest.mark.parametrize("seq", [0, 3])
def test_misread_or_altered_paper_accuses_no_ledger(made: Stored, seq: int) -> None:
    found = code(made, **LAST)
    flipped = found.signature[:-1] + bytes([found.signature[-1] ^ 1])
    for other in (
        replace(found, seq=seq),
        replace(found, ref=type(found.ref)("0" * 64)),
        replace(found, signature=flipped),
    ):
        said = held(made.state, other)
        assert said.verdict == "not-established"
        assert "But what was read does not hold together: scan the code again first." in said.detail.en
        assert "the paper was altered" in said.detail.en


def test_receipt_of_another_ledger_decides_nothing(made: Stored, edged: Caller) -> None:
    found = code(made, **LAST)
    origin = found.checkpoint.origin.replace("evidence.example", "other.example")
    other = replace(found, checkpoint=replace(found.checkpoint, origin=origin))
    assert held(made.state, other).verdict == "not-established"
    assert edged("receipt", "--check", format_receipt(other), config=made.config).code == 2


@pytest.mark.parametrize(
    ("given", "code"),
    [("edged-receipt:1 nonsense", 65), ("no such file", 66), ("a\0b", 66), ("/dev/zero", 65), ("x" * 5000, 66)],
)
def test_what_is_no_receipt_is_told_in_a_sentence(made: Stored, edged: Caller, given: str, code: int) -> None:
    said = edged("receipt", "--check", given, config=made.config)
    assert (said.code, said.out) == (code, "")
    assert said.err.count("\n") <= 2


def test_huge_file_is_not_read_for_a_receipt(made: Stored, edged: Caller, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(1 << 40)
    assert edged("receipt", "--check", big, config=made.config).code == 65


def test_check_prints_no_receipt_and_takes_none(made: Stored, edged: Caller) -> None:
    assert edged("receipt", "--last", "--check", "x", config=made.config).code == 64
    assert edged("receipt", config=made.config).code == 64
    assert edged("receipt", "--last", "--bay", "bay-1", config=made.config).code == 64


def test_a_target_is_read_beside_the_running_station(made: Stored) -> None:
    book = open_book(made.state)
    try:
        target = StationTarget(
            book, state=made.state, vault=made.parts.config.paths.vault, name="station", with_originals=False
        )
        assert hold_against(target, code(made, **LAST), Silent()).verdict == "verified"
    finally:
        book.close()
