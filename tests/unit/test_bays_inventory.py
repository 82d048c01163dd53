"""The inventory is whole, ordered and truthful, whatever the card holds."""

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edged.bays.inventory import MAX_DEPTH, Filesystem, Inventory, Item, Trouble, take_inventory
from edged.bays.safe_files import RecorderGoneError, Root
from edged.errors import RecorderError, RefusedRecorderError, StoppedError
from edged.evidence.canonical import decode, is_canonical
from edged.evidence.ids import DockingId, unescape_path

NOBODY = 65_534
FILESYSTEM = Filesystem(type="directory", label=None, serial=None)


class Meddler(threading.Event):
    """A stop event that is never set, but lets a stranger act each time it is asked, once an entry."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act

    def is_set(self) -> bool:
        self._act()
        return False


def inventory_of(card: Path) -> Inventory:
    return take_inventory(Root.at(card), threading.Event())


@contextmanager
def as_nobody() -> Iterator[None]:
    """Act without the privileges to which no folder is unreadable."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_card() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="edged-card-"))
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def test_every_entry_is_listed_in_order_of_its_path(tmp_path: Path) -> None:
    for path in ("B/2", "B/1", "A", "B-A", "a"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    (tmp_path / "empty").mkdir()
    inventory = inventory_of(tmp_path)
    assert [(item.path, item.kind, item.size_bytes) for item in inventory.items] == [
        ("A", "file", 1),
        ("B", "folder", None),
        ("B-A", "file", 3),
        ("B/1", "file", 3),
        ("B/2", "file", 3),
        ("a", "file", 1),
        ("empty", "folder", None),
    ]
    assert inventory.troubles == ()
    assert inventory.total_bytes == 11
    assert len(inventory.files) == 5


def test_links_pipes_and_sockets_are_other_and_not_followed(tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.mkdir()
    (card / "passwd").symlink_to("/etc/passwd")
    (card / "etc").symlink_to("/etc")
    (card / "loop").symlink_to(".")
    os.mkfifo(card / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(card / "socket"))
        items = inventory_of(card).items
    assert [(item.path, item.kind) for item in items] == [
        (path, "other") for path in ("etc", "loop", "passwd", "pipe", "socket")
    ]
    assert all(item.size_bytes is None for item in items)


def test_two_names_of_one_file_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(b"x")
    (tmp_path / "2").hardlink_to(tmp_path / "1")
    assert [item.path for item in inventory_of(tmp_path).files] == ["1", "2"]


def test_hostile_names_are_escaped_and_come_back(tmp_path: Path) -> None:
    names = [b"line\nfeed", b"x" * 255, b"\xff\xfe\x80", b"%41", b"-rf", b"...", "视频".encode(), b"\xc3"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    inventory = inventory_of(tmp_path)
    assert {unescape_path(item.path) for item in inventory.files} == set(names)
    assert "line%0Afeed" in {item.path for item in inventory.files}
    assert "%2541" in {item.path for item in inventory.files}
    assert is_canonical(inventory.document(DockingId("d-1"), FILESYSTEM))


def test_document_is_the_one_of_the_evidence_format(tmp_path: Path) -> None:
    (tmp_path / "V").mkdir()
    (tmp_path / "V" / "a.mp4").write_bytes(b"1234")
    os.utime(tmp_path / "V" / "a.mp4", ns=(0, 1_795_248_000_123_456_789))
    os.utime(tmp_path / "V", ns=(0, 0))
    data = inventory_of(tmp_path).document(DockingId("d-1"), Filesystem(type="exfat", label="CAM", serial="1A2B"))
    assert is_canonical(data)
    assert decode(data) == {
        "v": 1,
        "docking": "d-1",
        "filesystem": {"type": "exfat", "label": "CAM", "serial": "1A2B"},
        "items": [
            {
                "path": "V",
                "kind": "folder",
                "bytes": None,
                "modified": "1970-01-01T00:00:00.000000000Z",
                "created": None,
            },
            {
                "path": "V/a.mp4",
                "kind": "file",
                "bytes": 4,
                "modified": "2026-11-21T08:00:00.123456789Z",
                "created": None,
            },
        ],
    }


@pytest.mark.parametrize(
    ("modified_ns", "text"),
    [
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (253_402_300_800 * 10**9, "@253402300800.000000000"),
        (-(2**62), "1823-11-12T00:06:21.572612096Z"),
        (None, None),
    ],
)
def test_times_that_no_clock_should_show_are_written_all_the_same(modified_ns: int | None, text: str | None) -> None:
    item = Item(path="a", kind="file", size_bytes=0, modified_ns=modified_ns)
    assert item.modified == text


def test_two_thousand_files_are_listed_the_same_each_time(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"{number:04d}.mp4").touch()
    inventory = inventory_of(tmp_path)
    assert [item.path for item in inventory.files] == [f"{number:04d}.mp4" for number in range(2000)]
    assert inventory_of(tmp_path) == inventory


def test_more_entries_than_a_recorder_writes_are_refused(tmp_path: Path) -> None:
    for number in range(11):
        (tmp_path / str(number)).touch()
    root, stop = Root.at(tmp_path), threading.Event()
    with pytest.raises(RefusedRecorderError, match="more than 10 files and folders"):
        take_inventory(root, stop, max_entries=10)
    assert len(take_inventory(root, stop, max_entries=11).items) == 11


def test_folders_deeper_than_a_recorder_writes_are_refused(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*["d"] * MAX_DEPTH)
    deepest.mkdir(parents=True)
    (deepest / "file").touch()
    assert len(inventory_of(tmp_path).items) == MAX_DEPTH + 1
    (deepest / "d").mkdir()
    with pytest.raises(RefusedRecorderError, match="deep"):
        inventory_of(tmp_path)


def test_unreadable_folder_is_listed_and_named_as_a_trouble(public_card: Path) -> None:
    (public_card / "locked").mkdir()
    (public_card / "locked" / "hidden.mp4").touch()
    (public_card / "open.mp4").touch()
    (public_card / "locked").chmod(0)
    with as_nobody():
        inventory = inventory_of(public_card)
    assert [(item.path, item.kind) for item in inventory.items] == [("locked", "folder"), ("open.mp4", "file")]
    assert inventory.troubles == (Trouble(path="locked", what="unreadable"),)


def test_entries_that_may_be_named_but_not_looked_at_are_listed(public_card: Path) -> None:
    (public_card / "half").mkdir()
    (public_card / "half" / "a.mp4").touch()
    (public_card / "half").chmod(0o444)
    with as_nobody():
        inventory = inventory_of(public_card)
    assert [(item.path, item.kind, item.size_bytes) for item in inventory.items] == [
        ("half", "folder", None),
        ("half/a.mp4", "other", None),
    ]
    assert inventory.troubles == (Trouble(path="half/a.mp4", what="unreadable"),)


def test_unreadable_card_is_an_error_and_no_empty_inventory(public_card: Path) -> None:
    root = Root.at(public_card)
    public_card.chmod(0)
    with as_nobody(), pytest.raises(RecorderError, match="cannot be opened"):
        take_inventory(root, threading.Event())
    public_card.chmod(0o755)


def test_file_that_vanishes_while_listed_is_a_trouble(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    inventory = take_inventory(Root.at(tmp_path), Meddler(lambda: (tmp_path / "a").unlink(missing_ok=True)))
    assert inventory.items == ()
    assert inventory.troubles == (Trouble(path="a", what="vanished"),)


def test_folder_replaced_by_a_link_while_listed_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    seen = 0

    def replace() -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            (tmp_path / "d").rmdir()
            (tmp_path / "d").symlink_to("/etc")

    (tmp_path / "e").touch()
    inventory = take_inventory(Root.at(tmp_path), Meddler(replace))
    assert all("passwd" not in item.path for item in inventory.items)
    # Depending on which of the two the file system lists first, the link is seen in time or too late.
    assert {item.path: item.kind for item in inventory.items}["d"] == "other" or inventory.troubles


@pytest.mark.parametrize("paths", [["a"], ["DCIM/a"]], ids=["while its last folder is listed", "before that"])
def test_card_taken_out_while_listed_gives_no_inventory(tmp_path: Path, paths: list[str]) -> None:
    card = tmp_path / "card"
    card.mkdir()
    for path in paths:
        (card / path).parent.mkdir(exist_ok=True)
        (card / path).touch()
    root = Root.at(card)

    def take_out() -> None:
        if card.exists():
            card.rename(tmp_path / "taken-out")

    with pytest.raises(RecorderGoneError):
        take_inventory(root, Meddler(take_out))


def test_other_file_systems_below_the_root_are_not_entered() -> None:
    dev = Path("/dev")
    own = dev.lstat().st_dev
    foreign = {entry.name for entry in os.scandir(dev) if entry.stat(follow_symlinks=False).st_dev != own}
    assert foreign, "this test needs a machine on which something is mounted below /dev"
    inventory = inventory_of(dev)
    assert foreign == {trouble.path for trouble in inventory.troubles if trouble.what == "foreign"}
    assert all(item.path.split("/")[0] not in foreign or "/" not in item.path for item in inventory.items)
    assert {item.path: item.kind for item in inventory.items}["null"] == "other"


def test_shutdown_interrupts_the_listing(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        take_inventory(Root.at(tmp_path), stop)
