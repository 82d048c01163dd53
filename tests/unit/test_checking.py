"""`edged check` finds whatever was altered, lost or added behind the station's back, and nothing where all is well."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from edged import keys
from edged.book import BOOK_FILE, Book
from edged.book.facts import SegmentRow
from edged.errors import StorageError
from edged.evidence.entry import reference
from edged.evidence.ids import DockingId, EntryRef, SegmentId
from edged.station.checking import Checker
from edged.station.files import KEYS
from edged.vault.incoming import Source
from edged.vault.place import CHUNKS_FILE, Place
from tests.unit.book_station import (
    DOCKING,
    STATION,
    VAULT,
    Ticking,
    classified,
    cleared,
    copied,
    docked,
    odd,
    sealed,
    sg,
    sighted,
    stamped,
    undocked,
    wiped,
)
from tests.unit.made_station import AGAIN, FILES, Made, make_used, reopened, writable

A, B, C = FILES
Findings = dict[str, list[str]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    make_used(folder / "station").close()
    return folder / "station"


@pytest.fixture
def made(template: Path, tmp_path: Path) -> Iterator[Made]:
    """A copy of one and the same station, opened for writing."""
    folder = tmp_path / "station"
    shutil.copytree(template, folder)
    text = (folder / "etc" / "station.toml").read_text("utf-8")
    (folder / "etc" / "station.toml").write_text(text.replace(str(template), str(folder)), "utf-8")
    made = reopened(folder)
    yield made
    made.close()


def check(made: Made, *, deep: bool = False) -> Findings:
    """Give what is found, by check, as a reader in its own right finds it."""
    book = Book(made.config.paths.state, station=STATION, clock=Ticking(), read_only=True)
    try:
        results = list(Checker(book, made.config, deep=deep).run())
    finally:
        book.close()
    assert [name for name, _ in results] == [
        "book",
        "ledger",
        "keys",
        "projections",
        "vault",
        "wipes",
        "accounting",
        "terms",
    ]
    assert all(finding.check == name for name, findings in results for finding in findings)
    return {name: [finding.text for finding in findings] for name, findings in results if findings}


def tamper(made: Made, *statements: str) -> None:
    """Change the book with a shell, as somebody would who knows how to get rid of triggers."""
    with sqlite3.connect(made.config.paths.state / BOOK_FILE) as other:
        for (trigger,) in other.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            assert other.execute(statement).rowcount > 0, statement
    other.close()


def segment(made: Made, path: str) -> SegmentRow:
    row = made.book.facts.segment(sg(FILES[path]))
    assert row is not None
    return row


def only(findings: Findings, check: str) -> str:
    """Give the one finding, of the one check."""
    assert list(findings) == [check]
    assert len(findings[check]) == 1, findings[check]
    return findings[check][0]


def test_nothing_is_found_where_all_is_well(made: Made) -> None:
    assert check(made) == {}
    assert check(made, deep=True) == {}


def test_nothing_is_found_beside_a_running_daemon(made: Made) -> None:
    stop = threading.Event()

    def run() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            made.seal(f"more/{number}.mp4", f"more {number}".encode())
            made.publish()

    daemon = threading.Thread(target=run)
    daemon.start()
    try:
        found = [check(made) for _ in range(5)]
    finally:
        stop.set()
        daemon.join()
    assert found == [{}] * 5


def test_checking_changes_nothing(made: Made) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.config.paths.vault.rglob("*")}
    size = made.book.ledger.size()
    check(made, deep=True)
    assert {path: path.stat().st_mtime_ns for path in made.config.paths.vault.rglob("*")} == before
    assert made.book.ledger.size() == size


# ------------------------------------------------------------------------------------------------------ ledger


def test_altered_entry_is_found_where_it_breaks_chain_tree_and_checkpoint(made: Made) -> None:
    # Still an entry like any other: another officer, in canonical form.
    tamper(
        made,
        """UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), '"officer":null', '"officer":"110203"') AS BLOB)
        WHERE seq = 2""",
    )
    found = check(made)
    assert set(found) == {"ledger", "projections"}
    assert "Entry 2 does not lie under its own reference." in found["ledger"]
    assert any(text.startswith("Entry 3 does not continue the chain") for text in found["ledger"])
    assert "The stored tree hash 2 of level 0 is not that of the entries." in found["ledger"]
    assert len([text for text in found["ledger"] if text.startswith("The root decided for size")]) == 2


def test_entry_forged_with_its_reference_still_breaks_the_chain(made: Made) -> None:
    last = made.book.ledger.size() - 1
    data = made.book.ledger.entry_bytes(last).replace(b'"remaining":0', b'"remaining":1')

    tamper(made, f"UPDATE entry SET bytes = x'{data.hex()}', ref = '{reference(data)}' WHERE seq = {last}")  # noqa: S608
    found = check(made)
    assert any("tree hash" in text for text in found["ledger"])
    assert any("root decided" in text for text in found["ledger"])


def test_entry_that_cannot_be_read_stops_no_other_check(made: Made) -> None:
    for number, (seq,) in enumerate(_seqs(made)):
        if number % 3 == 0:
            tamper(made, f"UPDATE entry SET bytes = x'7b22' WHERE seq = {seq}")  # noqa: S608
    found = check(made, deep=True)
    assert {"ledger", "projections"} <= set(found)
    assert not [text for texts in found.values() for text in texts if "could not be checked" in text]


def _seqs(made: Made) -> list[tuple[int]]:
    with made.book.database.reading() as connection:
        return [tuple(row) for row in connection.execute("SELECT seq FROM entry ORDER BY seq")]


@pytest.mark.parametrize("seq", [0, 2, 9])
def test_missing_entry_is_found(made: Made, seq: int) -> None:
    tamper(made, f"DELETE FROM entry WHERE seq = {seq}")  # noqa: S608
    found = check(made)
    assert any("does not continue the chain" in text for text in found["ledger"])
    assert any(text.startswith("The ledger has ") for text in found["ledger"])


def test_ledger_that_was_cut_off_is_found_by_its_head(made: Made) -> None:
    size = made.book.ledger.size()
    tamper(made, f"DELETE FROM entry WHERE seq = {size - 1}")  # noqa: S608
    assert f"A head of size {size} was decided, beyond the {size - 1} entries that are here." in check(made)["ledger"]


def test_entry_under_a_wrong_type_is_found(made: Made) -> None:
    tamper(made, "UPDATE entry SET type = 'anomaly' WHERE type = 'wipe'")
    assert any("lies there as anomaly, and is wipe" in text for text in check(made)["ledger"])


@pytest.mark.parametrize(
    ("level", "change"),
    [(0, "UPDATE node SET hash = zeroblob(32) WHERE level = {} AND idx = 1"), (2, "DELETE FROM node WHERE level = {}")],
)
def test_altered_or_missing_tree_hash_is_found(made: Made, level: int, change: str) -> None:
    tamper(made, change.format(level))
    found = check(made)
    assert set(found) == {"ledger"}
    assert all(f"of level {level} is not that of the entries" in text for text in found["ledger"])


def test_head_of_a_wrong_root_is_found(made: Made) -> None:
    size = made.book.ledger.size()
    made.book.ledger.append(odd("more"))
    tamper(made, f"INSERT INTO head (epoch, size, root) VALUES (1, {size + 1}, zeroblob(32))")  # noqa: S608
    text = only(check(made), "ledger")
    assert text == f"The root decided for size {size + 1} is not that of the entries."


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE head SET note = x'00' WHERE size = (SELECT max(size) FROM head)",
        "UPDATE head SET note = (SELECT note FROM head WHERE size < 20) WHERE size = (SELECT max(size) FROM head)",
        "UPDATE head SET note = substr(note, 1, length(note) - 1) WHERE size = (SELECT max(size) FROM head)",
    ],
)
def test_checkpoint_that_says_something_else_is_found(made: Made, change: str) -> None:
    tamper(made, change)
    assert "is not what was decided, or not signed by this station" in only(check(made), "ledger")


def test_checkpoint_signed_by_another_key_is_found(made: Made, tmp_path: Path) -> None:

    other = keys.make(
        tmp_path / "other",
        station=STATION,
        origin=made.book.ledger.epoch.origin,
        clock=Ticking(),
        root_key=tmp_path / "other.key",
    )
    assert other
    shutil.copy(tmp_path / "other" / keys.STATION_PEM, made.config.paths.state / KEYS / keys.STATION_PEM)
    found = check(made)
    assert len(found["ledger"]) == 2
    assert found["keys"] == [
        f"The certificate of {made.book.ledger.epoch.origin} is not the one that its first entry names."
    ]


def test_private_key_that_others_can_read_is_found(made: Made) -> None:
    key = made.config.paths.state / KEYS / keys.EPOCH_KEY
    key.chmod(0o640)
    assert check(made) == {"keys": [f"The station's key {key} can be read by others."]}


def test_private_key_that_is_gone_is_found(made: Made) -> None:
    (made.config.paths.state / KEYS / keys.EPOCH_KEY).unlink()
    assert "is not here" in only(check(made), "keys")


def test_certificate_that_is_gone_or_broken_is_found_and_the_rest_is_checked(made: Made) -> None:
    pem = made.config.paths.state / KEYS / "station.pem"
    writable(made.original(A))
    said = (
        "This could not be checked to the end: ",
        f"The certificate of {made.book.ledger.epoch.origin} is not here.",
    )
    for change, text in zip((lambda: pem.write_bytes(b"nothing"), pem.unlink), said, strict=True):
        change()
        found = check(made)
        assert set(found) == {"ledger", "keys", "vault"}
        assert found["ledger"][0].startswith(text)


def test_altered_projection_is_found(made: Made) -> None:
    tamper(made, "UPDATE segment SET officer = '110203' WHERE recorder_seq = 1")
    assert "Table segment differs" in only(check(made), "projections")


def test_damaged_file_of_the_book_is_found(made: Made) -> None:
    made.close()
    path = made.config.paths.state / BOOK_FILE
    data = bytearray(path.read_bytes())
    for at in range(3 * 4096, len(data) - 4096, 4096):
        data[at : at + 200] = bytes(200)
    path.write_bytes(data)
    try:
        found = check(made)
    except StorageError as error:
        assert "cannot be used" in error.message  # noqa: PT017 - one of the two
    else:
        assert found["book"]


# ------------------------------------------------------------------------------------------------------- vault


def test_missing_original_is_found(made: Made) -> None:
    made.original(A).unlink()
    text = only(check(made), "vault")
    assert text.endswith(f"{made.vault.root}/segments/rec-0001/2026/11/21/{sg(FILES[A])}/a.mp4 cannot be read: "
                         "No such file or directory.")  # fmt: skip


def test_original_of_another_length_is_found(made: Made) -> None:
    path = writable(made.original(A))
    path.write_bytes(FILES[A] + b"x")
    path.chmod(0o440)
    assert "has 14 bytes where 13 were sealed" in only(check(made), "vault")


def test_altered_original_of_the_same_length_is_found_by_reading_it(made: Made) -> None:
    path = writable(made.original(B))
    data = bytearray(FILES[B])
    data[-1] ^= 1
    path.write_bytes(data)
    path.chmod(0o440)
    assert check(made) == {}
    assert only(check(made, deep=True), "vault").endswith("b.mp4 is not what was sealed.")


@pytest.mark.parametrize("mode", [0o640, 0o460, 0o442])
def test_original_that_can_be_written_is_found(made: Made, mode: int) -> None:
    made.original(A).chmod(mode)
    assert only(check(made), "vault").endswith("a.mp4 is not read-only.")


def test_link_in_the_place_of_an_original_is_found(made: Made, tmp_path: Path) -> None:
    path = made.original(A)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert "bytes where 13 were sealed" in only(check(made), "vault")


def test_altered_or_missing_chunk_list_is_found(made: Made) -> None:
    path = writable(made.original(A).with_name(CHUNKS_FILE))
    path.write_bytes(b"0" * 64 + b"\n")
    assert "its chunk list is not the sealed one" in only(check(made), "vault")
    path.unlink()
    assert f"{CHUNKS_FILE} cannot be read" in only(check(made), "vault")


@pytest.mark.parametrize(
    "place",
    [
        "rec-0001/2026/11/21/{segment}/evil.mp4",
        "rec-0001/2026/11/22/{segment}/a.mp4",
        "rec-0001/2026/11/21/sg-00000000000000000000000000000000/a.mp4",
        "rec-0001/2026/11/21/sg-00000000000000000000000000000000/chunks.sha256",
        "rec-0001/notes.txt",
        "notes.txt",
        "a/b/c/d/e/f/g/h.mp4",
    ],
)
def test_stray_file_is_found_wherever_it_lies(made: Made, place: str) -> None:
    path = made.vault.root / "segments" / place.format(segment=sg(FILES[A]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"stray")
    assert only(check(made), "vault") == f"{path} belongs to no sealed segment."


def test_stray_link_to_a_folder_is_found_and_not_followed(made: Made, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    path = made.vault.root / "segments" / "rec-9999"
    path.symlink_to(tmp_path / "outside")
    assert only(check(made), "vault") == f"{path} belongs to no sealed segment."


def test_file_that_is_marked_to_get_its_entry_is_no_stray(made: Made) -> None:
    body = sealed("late.mp4", b"late")
    first = made.original(A)
    year, month, day = first.parts[-5:-2]
    where = Place(
        recorder=body.recorder,
        day=date(int(year), int(month), int(day)),
        segment=body.segment,
        name="late.mp4",
    )
    of = Source(recorder=body.recorder, path="late.mp4", size_bytes=4, modified_ns=0)
    mark = made.vault.unsealed.make(of, where)
    path = made.vault.original(where)
    assert path.parent.parent == first.parent.parent
    path.parent.mkdir()
    path.with_name(CHUNKS_FILE).write_bytes(b"")
    assert check(made) == {}
    path.write_bytes(b"late")
    assert check(made) == {}
    mark.mark.unlink()
    assert {finding.partition(" belongs")[0] for finding in check(made)["vault"]} == {
        str(path),
        str(path.with_name(CHUNKS_FILE)),
    }


# ------------------------------------------------------------------------------------------ wipes and accounting


def test_wipe_without_clearance_is_found(made: Made) -> None:
    data = b"third footage"
    made.seal("20261121/d.mp4", data)
    seq = made.book.ledger.append(wiped("20261121/d.mp4", data, made.book.ledger.append(odd("odd"))[0].ref))[0].seq
    assert only(check(made), "wipes") == f"Entry {seq} is a wipe without a clearance before it."


def test_wipe_that_its_clearance_does_not_name_is_found(made: Made) -> None:
    clearance = _clearance(made)
    made.book.ledger.append(wiped("20261121/other.mp4", FILES[A], clearance))
    assert "is a wipe of a file that its clearance does not name" in only(check(made), "wipes")


def _clearance(made: Made) -> EntryRef:
    return reference(made.book.ledger.entry_bytes(made.book.ledger.of_type("clearance")[0]))


def test_clearance_without_proof_of_both_copies_is_found(made: Made) -> None:
    data = b"third footage"
    body = made.seal("20261121/d.mp4", data)
    proof = made.book.ledger.append(copied(body.segment, VAULT))[0].ref
    made.publish()
    made.erase({"20261121/d.mp4": data}, [proof])
    assert "without proof of its copies in vault and store" in only(check(made), "wipes")


def test_clearance_with_proofs_of_another_segment_is_found(made: Made) -> None:
    data = b"third footage"
    made.seal("20261121/d.mp4", data)
    proofs = made.copy(sg(FILES[A]))
    made.publish()
    made.erase({"20261121/d.mp4": data}, proofs)
    assert f"clears {sg(data)} without proof" in only(check(made), "wipes")


def test_clearance_with_a_proof_that_comes_later_is_found(made: Made) -> None:
    data = b"third footage"
    body = made.seal("20261121/d.mp4", data)
    made.publish()
    made.erase({"20261121/d.mp4": data}, [EntryRef("0" * 64)])
    made.copy(body.segment)
    texts = check(made)["wipes"]
    assert any("cites a proof that does not lie before it" in text for text in texts)


def test_clearance_before_its_proofs_were_published_is_found(made: Made) -> None:
    data = b"third footage"
    body = made.seal("20261121/d.mp4", data)
    made.erase({"20261121/d.mp4": data}, made.copy(body.segment))
    made.publish()
    texts = check(made)["wipes"]
    assert len(texts) == 2
    assert all("which was under no published checkpoint then" in text for text in texts)


def test_file_of_an_inventory_that_nobody_took_is_found(made: Made) -> None:
    tamper(made, f"DELETE FROM entry WHERE seq = {_seq_of_sighting(made)}", f"DELETE FROM found WHERE path = '{AGAIN}'")  # noqa: S608
    assert f"{DOCKING}: {AGAIN} was on the card, and no entry says what became of it." in check(made)["accounting"]


def _seq_of_sighting(made: Made) -> int:
    return made.book.ledger.of_type("sighting")[0]


def test_file_that_an_anomaly_names_is_accounted_for(made: Made) -> None:
    # A second docking with three files: one is sighted, one named by an anomaly, and one forgotten.
    later = DockingId("dk-later")
    body, document = docked({"a.mp4": FILES[A], "gone.mp4": b"1", "forgotten.mp4": b"2"}, later)
    made.book.ledger.append(body, documents=[document])
    made.book.ledger.append(sighted("a.mp4", sg(FILES[A]), later), odd("unreadable", docking=later, path="gone.mp4"))
    assert check(made) == {}
    made.book.ledger.append(undocked(later, "kept", 3))
    assert only(check(made), "accounting").startswith(f"{later}: forgotten.mp4 was on the card")


def test_docking_that_was_interrupted_need_not_be_complete(made: Made) -> None:
    later = DockingId("dk-later")
    body, document = docked({"a.mp4": FILES[A]}, later)
    made.book.ledger.append(body, documents=[document])
    made.book.ledger.append(undocked(later, "interrupted", 1))
    assert check(made) == {}


def test_anchor_whose_token_is_lost_or_altered_is_told(made: Made) -> None:
    made.book.ledger.append(stamped(), documents=[b"token"])
    assert check(made) == {}
    made.book.ledger.append(stamped(b"another"))
    assert "cites is not here" in " ".join(check(made)["accounting"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "UPDATE document SET bytes = CAST(replace(CAST(bytes AS TEXT), 'a.mp4', 'x.mp4') AS BLOB)",
            "that entry 1 cites was altered",
        ),
        ("UPDATE document SET bytes = x'7b7d'", "that entry 1 cites was altered"),
        ("DELETE FROM document", "that entry 1 cites is not here"),
    ],
)
def test_altered_or_missing_inventory_is_found(made: Made, change: str, told: str) -> None:
    tamper(made, change)
    assert any(told in text for text in check(made)["accounting"])


def test_term_that_was_shortened_is_found(made: Made) -> None:
    segment_ = SegmentId(segment(made, A).segment)
    made.book.ledger.append(classified(segment_, until="permanent"))
    assert check(made) == {}
    seq = made.book.ledger.append(classified(segment_, until="2027-01-01"))[0].seq
    assert only(check(made), "terms").startswith(f"Entry {seq} shortens the term of {segment_} from permanent")


def test_term_that_a_person_shortened_stands(made: Made) -> None:
    segment_ = SegmentId(segment(made, A).segment)
    made.book.ledger.append(classified(segment_, until="permanent"))
    made.book.ledger.append(classified(segment_, until="2027-01-01", basis="person"))
    assert check(made) == {}


def test_clearance_of_a_docking_covers_no_other(made: Made) -> None:
    clearance = made.book.ledger.append(cleared([(sg(FILES[A]), A)], []))[0].ref
    made.book.ledger.append(wiped(A, FILES[A], clearance, docking=DockingId("dk-other")))
    assert any("does not name" in text for text in check(made)["wipes"])
