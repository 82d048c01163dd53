"""The feed folder: files at rest are taken once, put away, and nothing that stops it in between loses a case."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from edged.cases.disk import DiskFeed
from edged.cases.feed import MAX_FEED_BYTES, FeedFile
from edged.cases.folder import RETRY_SECONDS, SETTLE_SECONDS, FeedFolder, FeedPort, Found, Tray
from edged.errors import StorageError, UnavailableError

ZONE = ZoneInfo("Asia/Shanghai")
HEAD = "case,matter,stage,officer,from,until"
ROW = "c-1,seizure,start,100123,2026-11-21 09:00,2026-11-21 10:00"
GOOD = f"{HEAD}\n{ROW}\n"
REST = SETTLE_SECONDS


class Sink(list[FeedFile]):
    """Remembers what it was given, as the book does: by content."""

    def __call__(self, file: FeedFile) -> None:
        self.append(file)

    @property
    def cases(self) -> list[str]:
        return [case.case for file in self for case in file.cases]


def rested(folder: FeedFolder, sink: Sink, begin: float = 0.0) -> int:
    """Look once, and again when everything has come to rest."""
    return folder.take(begin, sink) + folder.take(begin + REST, sink)


def feed(path: Path) -> FeedFolder:
    return FeedFolder(DiskFeed(path), ZONE)


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir()) if folder.exists() else []


def test_a_file_is_taken_and_put_away(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(GOOD, "utf-8")
    sink = Sink()
    assert rested(feed(tmp_path), sink) == 1
    assert sink.cases == ["c-1"]
    assert names(tmp_path) == ["done"]
    assert names(tmp_path / "done") == ["cases.csv"]
    assert (tmp_path / "done" / "cases.csv").read_text("utf-8") == GOOD


def test_a_file_that_still_grows_is_left_alone(tmp_path: Path) -> None:
    path, folder, sink = tmp_path / "cases.csv", feed(tmp_path), Sink()
    path.write_text(HEAD, "utf-8")
    assert folder.take(0.0, sink) == 0
    path.write_text(GOOD, "utf-8")
    assert folder.take(REST, sink) == 0
    assert folder.take(2 * REST - 0.1, sink) == 0
    assert folder.take(2 * REST, sink) == 1
    assert sink.cases == ["c-1"]


def test_a_file_rewritten_at_the_same_size_is_noticed(tmp_path: Path) -> None:
    path, folder, sink = tmp_path / "cases.csv", feed(tmp_path), Sink()
    path.write_text(GOOD, "utf-8")
    folder.take(0.0, sink)
    path.write_text(GOOD.replace("c-1", "c-2"), "utf-8")
    os.utime(path, ns=(1, 1))
    assert folder.take(REST, sink) == 0
    assert folder.take(2 * REST, sink) == 1
    assert sink.cases == ["c-2"]


def test_some_bad_rows_are_noted_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(f"{GOOD},,,,,\nc-2,,,,,\n", "utf-8")
    sink = Sink()
    rested(feed(tmp_path), sink)
    assert sink.cases == ["c-1"]
    assert names(tmp_path / "done") == ["cases.csv", "cases.csv.txt"]
    assert (tmp_path / "done" / "cases.csv.txt").read_text("utf-8") == (
        "cases.csv, row 4, column matter: it is empty; this column is needed in every row.\n"
        "1 cases of this file were taken in.\n"
    )


def test_a_misspelt_heading_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{HEAD},recoder\n{ROW},x\n", "utf-8")
    rested(feed(tmp_path), Sink())
    note = (tmp_path / "done" / "a.csv.txt").read_text("utf-8")
    assert "a.csv: headings that are not known and were not read: 'recoder'." in note


def test_a_file_without_a_usable_row_is_rejected_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{", "utf-8")
    sink = Sink()
    rested(feed(tmp_path), sink)
    assert len(sink) == 1, "the station is told too"
    assert names(tmp_path / "rejected") == ["bad.json", "bad.json.txt"]
    assert "bad.json: it is not JSON" in (tmp_path / "rejected" / "bad.json.txt").read_text("utf-8")


def test_a_workbook_is_rejected_with_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "cases.xlsx").write_bytes(b"PK\x03\x04")
    sink = Sink()
    assert rested(feed(tmp_path), sink) == 1
    assert sink == []
    assert names(tmp_path / "rejected") == ["cases.xlsx", "cases.xlsx.txt"]
    assert "save a workbook as CSV" in (tmp_path / "rejected" / "cases.xlsx.txt").read_text("utf-8")


@pytest.mark.parametrize(
    "name", [".cases.csv", "~$cases.xlsx", "cases.csv.part", "cases.csv.TMP", "cases.csv~", ".cases.csv.swp"]
)
def test_hidden_and_temporary_names_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GOOD, "utf-8")
    assert rested(feed(tmp_path), Sink()) == 0
    assert names(tmp_path) == [name]


def test_links_pipes_and_folders_are_never_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(GOOD, "utf-8")
    folder = tmp_path / "feed"
    folder.mkdir()
    (folder / "link.csv").symlink_to(secret)
    (folder / "folder.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    sink = Sink()
    assert rested(feed(folder), sink) == 0
    assert sink == []
    assert secret.read_text("utf-8") == GOOD


def test_a_file_swapped_for_a_link_after_it_was_seen_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(GOOD, "utf-8")
    folder = tmp_path / "feed"
    folder.mkdir()
    (folder / "a.csv").write_text(GOOD, "utf-8")
    port = DiskFeed(folder)
    (found,) = port.files()
    (folder / "a.csv").unlink()
    (folder / "a.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(UnavailableError, match=r"'a\.csv' cannot be read"):
        port.read(found, 1000)


def test_a_file_changed_after_it_was_seen_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEAD, "utf-8")
    port = DiskFeed(tmp_path)
    (found,) = port.files()
    (tmp_path / "a.csv").write_text(GOOD, "utf-8")
    assert port.read(found, 1000) is None
    (again,) = port.files()
    assert port.read(again, 1000) == GOOD.encode()
    (tmp_path / "a.csv").unlink()
    assert port.read(again, 1000) is None


def test_a_file_swapped_for_a_pipe_after_it_was_seen_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD, "utf-8")
    port = DiskFeed(tmp_path)
    (found,) = port.files()
    (tmp_path / "a.csv").unlink()
    os.mkfifo(tmp_path / "a.csv")
    assert port.read(found, 1000) is None


def test_a_tray_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "feed"
    outside.mkdir()
    folder.mkdir()
    (folder / "done").symlink_to(outside)
    (folder / "a.csv").write_text(GOOD, "utf-8")
    with pytest.raises(UnavailableError):
        rested(feed(folder), Sink())
    assert names(outside) == []
    assert (folder / "a.csv").exists()


@pytest.mark.parametrize("name", [b"\xff\xfe.csv", b"a\nb.csv", b"x" * 251 + b".csv", "案" * 80 + ".csv", b"-rf.csv"])
def test_hostile_names_are_taken_like_any_other(tmp_path: Path, name: bytes | str) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_text(GOOD + "bad,,,,,\n", "utf-8")
    sink = Sink()
    assert rested(feed(tmp_path), sink) == 1
    assert sink.cases == ["c-1"]
    assert names(tmp_path) == ["done"]
    assert len(names(tmp_path / "done")) == 2


def test_another_file_of_the_same_name_replaces_nothing(tmp_path: Path) -> None:
    folder, sink = feed(tmp_path), Sink()
    for number in (1, 2, 3):
        (tmp_path / "cases.csv").write_text(GOOD.replace("c-1", f"c-{number}"), "utf-8")
        rested(folder, sink, number * 100.0)
    assert sink.cases == ["c-1", "c-2", "c-3"]
    kept = [(tmp_path / "done" / name).read_text("utf-8") for name in names(tmp_path / "done")]
    assert sorted(kept) == [GOOD.replace("c-1", f"c-{number}") for number in (1, 2, 3)]


def test_a_file_over_the_bound_is_rejected_and_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "big.csv").open("wb") as file:
        file.truncate(MAX_FEED_BYTES + 1)
    rested(feed(tmp_path), Sink())
    assert f"more than {MAX_FEED_BYTES} bytes" in (tmp_path / "rejected" / "big.csv.txt").read_text("utf-8")


class Faulty:
    """A port whose named operation fails once the disk behind it was asked, or before."""

    def __init__(self, port: FeedPort, fails: str, name: str) -> None:
        self._port = port
        self.fails = fails
        self._name = name

    def _fault(self, operation: str, name: str) -> None:
        if operation == self.fails and name == self._name:
            raise UnavailableError(f"{operation} of {name} fails.")

    def files(self) -> list[Found]:
        return self._port.files()

    def read(self, found: Found, at_most: int) -> bytes | None:
        self._fault("read", found.name)
        return self._port.read(found, at_most)

    def put_note(self, tray: Tray, name: str, text: str) -> None:
        self._fault("put_note", name.removesuffix(".txt"))
        self._port.put_note(tray, name, text)

    def move(self, found: Found, tray: Tray, name: str) -> None:
        self._fault("move", found.name)
        self._port.move(found, tray, name)

    def holds(self, tray: Tray, name: str) -> bool:
        self._fault("holds", name)
        return self._port.holds(tray, name)


@pytest.mark.parametrize("operation", ["read", "put_note", "move", "holds"])
def test_one_file_that_fails_neither_blocks_others_nor_is_lost(tmp_path: Path, operation: str) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text(GOOD.replace("c-1", f"c-{name}") + "bad,,,,,\n", "utf-8")
    port = Faulty(DiskFeed(tmp_path), operation, "b.csv")
    folder, sink = FeedFolder(port, ZONE), Sink()
    with pytest.raises(UnavailableError, match=f"{operation} of b.csv fails"):
        rested(folder, sink)
    assert names(tmp_path) == ["b.csv", "done"]
    assert folder.take(REST + 1, sink) == 0, "it is not tried every second"
    port.fails = ""
    assert folder.take(REST + RETRY_SECONDS, sink) == 1
    assert names(tmp_path) == ["done"]
    assert {"c-a", "c-b", "c-c"} == set(sink.cases)
    again = [file for file in sink if file.name == "b.csv"]
    assert len({file.sha256 for file in again}) == 1, "what was told twice is known by its digest"


def test_what_the_book_refuses_stays_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD, "utf-8")
    folder, sink = feed(tmp_path), Sink()

    def refuse(_: FeedFile) -> None:
        raise StorageError("The disk is full.")

    folder.take(0.0, refuse)
    with pytest.raises(StorageError):
        folder.take(REST, refuse)
    assert names(tmp_path) == ["a.csv"]
    assert folder.take(REST + 1, sink) == 1
    assert sink.cases == ["c-1"]


def test_after_a_restart_a_file_is_taken_again_if_it_was_not_put_away(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD + "bad,,,,,\n", "utf-8")
    sink = Sink()
    with pytest.raises(UnavailableError):
        rested(FeedFolder(Faulty(DiskFeed(tmp_path), "move", "a.csv"), ZONE), sink)
    assert names(tmp_path / "done") == ["a.csv.txt"]
    assert rested(feed(tmp_path), sink) == 1
    assert names(tmp_path / "done") == ["a.csv", "a.csv.txt"]
    assert sink[0] == sink[1]


def test_a_folder_that_is_away_is_said_and_comes_back(tmp_path: Path) -> None:
    folder, sink = feed(tmp_path / "share"), Sink()
    with pytest.raises(UnavailableError, match=r"The case feed folder .* cannot be read: No such file or directory"):
        folder.take(0.0, sink)
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "a.csv").write_text(GOOD, "utf-8")
    assert rested(folder, sink, 1.0) == 1


def test_a_file_that_disappears_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD, "utf-8")
    folder, sink = feed(tmp_path), Sink()
    folder.take(0.0, sink)
    (tmp_path / "a.csv").unlink()
    assert folder.take(REST, sink) == 0
    assert sink == []
