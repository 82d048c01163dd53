"""Attacks on opening: whatever a card holds or turns into, nothing outside it and nothing but a file is opened."""

import os
import shutil
import socket
import threading
from pathlib import Path

import pytest

from edged.bays.safe_files import (
    FileGoneError,
    NotAFileError,
    RecorderGoneError,
    Root,
    components,
    open_file,
    open_in,
    opened_folder,
    read_start,
)
from edged.errors import MalformedError
from edged.evidence.ids import escape_path

HOSTILE_NAMES = [
    b"line\nfeed.mp4",
    b"x" * 255,
    b"\xff\xfe\x80.mp4",
    b"%41",
    b"-rf",
    b"...",
    b" ",
    b"entry.json",
    b"a\\b",
    "视频.mp4".encode(),
    b"\x01\x7f",
]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    card = tmp_path / "card"
    (card / "DCIM" / "100MEDIA").mkdir(parents=True)
    (card / "DCIM" / "100MEDIA" / "video.mp4").write_bytes(b"footage")
    return card


def content(root: Root, path: str) -> bytes:
    with os.fdopen(open_file(root, path), "rb") as file:
        return file.read()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_regular_file_is_opened(card: Path) -> None:
    assert content(Root.at(card), "DCIM/100MEDIA/video.mp4") == b"footage"


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: repr(name[:12]))
def test_hostile_name_opens_the_file_that_has_it(card: Path, name: bytes) -> None:
    (card / os.fsdecode(name)).write_bytes(name)
    assert content(Root.at(card), escape_path(name)) == name


@pytest.mark.parametrize(
    "path",
    ["", "/", "..", "../secret", "DCIM/../../secret", "/etc/passwd", "DCIM//video.mp4", "./DCIM", "DCIM/"],
)
def test_path_that_leaves_the_card_is_refused(card: Path, path: str) -> None:
    (card.parent / "secret").write_bytes(b"secret")
    with pytest.raises(MalformedError):
        open_file(Root.at(card), path)


@pytest.mark.parametrize("path", ["%2E%2E/secret", "..%2Fsecret", "a%00b", "%4", "%zz"])
def test_path_that_hides_its_meaning_in_escapes_is_refused(path: str) -> None:
    with pytest.raises(MalformedError):
        components(path)


def test_symbolic_link_to_passwd_is_not_followed(card: Path) -> None:
    (card / "link.mp4").symlink_to("/etc/passwd")
    with pytest.raises(NotAFileError):
        open_file(Root.at(card), "link.mp4")


def test_symbolic_link_within_the_card_is_not_followed(card: Path) -> None:
    (card / "link.mp4").symlink_to("DCIM/100MEDIA/video.mp4")
    with pytest.raises(NotAFileError):
        open_file(Root.at(card), "link.mp4")


def test_linked_folder_is_not_entered(card: Path) -> None:
    (card / "ETC").symlink_to("/etc")
    with pytest.raises(NotAFileError):
        open_file(Root.at(card), "ETC/passwd")


def test_named_pipe_does_not_block(card: Path) -> None:
    os.mkfifo(card / "pipe.mp4")
    with pytest.raises(NotAFileError):
        open_file(Root.at(card), "pipe.mp4")


def test_socket_folder_and_file_as_folder_are_no_files(card: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(card / "s"))
        for path in ("s", "DCIM", "DCIM/100MEDIA/video.mp4/more"):
            with pytest.raises(NotAFileError):
                open_file(Root.at(card), path)


def test_file_of_another_file_system_mounted_below_is_refused() -> None:
    root = Root.at(Path("/"))
    with pytest.raises(NotAFileError):
        open_file(root, "proc/version")
    with pytest.raises(NotAFileError), opened_folder(root, [b"proc"]):
        pass
    parent = os.open("/proc", os.O_RDONLY)
    try:
        with pytest.raises(NotAFileError):
            open_in(root, parent, b"version")
    finally:
        os.close(parent)


def test_file_replaced_by_a_link_after_the_inventory_is_refused(card: Path) -> None:
    root = Root.at(card)
    (card / "DCIM/100MEDIA/video.mp4").unlink()
    (card / "DCIM/100MEDIA/video.mp4").symlink_to("/etc/passwd")
    with pytest.raises(NotAFileError):
        open_file(root, "DCIM/100MEDIA/video.mp4")


def test_folder_replaced_by_a_link_after_the_inventory_is_refused(card: Path) -> None:
    root = Root.at(card)
    shutil.move(card / "DCIM", card.parent / "elsewhere")
    (card / "DCIM").symlink_to(card.parent / "elsewhere")
    with pytest.raises(NotAFileError):
        open_file(root, "DCIM/100MEDIA/video.mp4")


def test_other_card_under_the_same_path_is_not_read_as_the_first(card: Path) -> None:
    root = Root.at(card)
    other = card.parent / "other"
    shutil.copytree(card, other)
    card.rename(card.parent / "taken-out")
    other.rename(card)
    with pytest.raises(RecorderGoneError):
        open_file(root, "DCIM/100MEDIA/video.mp4")


def test_root_swapped_for_a_link_is_gone(card: Path) -> None:
    root = Root.at(card)
    card.rename(card.parent / "taken-out")
    card.symlink_to(card.parent / "taken-out")
    with pytest.raises(RecorderGoneError):
        open_file(root, "DCIM/100MEDIA/video.mp4")


def test_recorder_that_left_is_told_from_a_file_that_left(card: Path) -> None:
    root = Root.at(card)
    with pytest.raises(FileGoneError):
        open_file(root, "DCIM/100MEDIA/other.mp4")
    shutil.rmtree(card)
    with pytest.raises(RecorderGoneError):
        open_file(root, "DCIM/100MEDIA/video.mp4")
    with pytest.raises(RecorderGoneError):
        Root.at(card)


def test_recorder_that_leaves_while_a_file_is_opened_is_told_as_such(card: Path) -> None:
    root = Root.at(card)
    with opened_folder(root, [b"DCIM"]) as parent:
        shutil.rmtree(card)
        with pytest.raises(RecorderGoneError):
            open_in(root, parent, b"video.mp4")


def test_no_descriptor_is_left_open_by_refusals(card: Path) -> None:
    root = Root.at(card)
    os.mkfifo(card / "pipe")
    (card / "link").symlink_to("/etc")
    before = open_descriptors()
    for path in ("pipe", "link", "link/passwd", "none", "DCIM/none", "DCIM/100MEDIA/video.mp4/x"):
        with pytest.raises((NotAFileError, FileGoneError)):
            open_file(root, path)
    assert open_descriptors() == before


def test_swapping_a_folder_and_a_link_for_ever_never_opens_the_outside(card: Path) -> None:
    outside = card.parent / "outside"
    outside.mkdir()
    (outside / "video.mp4").write_bytes(b"secret")
    inside, link, aside = card / "DCIM/100MEDIA", card / "DCIM/link", card / "DCIM/aside"
    link.symlink_to(outside)
    root, done = Root.at(card), threading.Event()

    def swap() -> None:
        while not done.is_set():
            inside.rename(aside)
            link.rename(inside)
            inside.rename(link)
            aside.rename(inside)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(500):
            try:
                assert content(root, "DCIM/100MEDIA/video.mp4") == b"footage"
            except (NotAFileError, FileGoneError):
                continue
    finally:
        done.set()
        swapper.join()


def test_read_start_gives_no_more_than_its_limit(card: Path) -> None:
    (card / "DEVICE.INI").write_bytes(b"x" * 100_000)
    assert len(read_start(Root.at(card), "DEVICE.INI", 65_536)) == 65_536
