"""Erasing takes away exactly what was cleared, and says truly what became of it."""

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edged.bays.profiles import Profile, load_profiles
from edged.bays.safe_files import NotAFileError, RecorderGoneError, Root
from edged.bays.wipe import DifferentError, NotErasedError, erase, look_up, tidy, wipe_order
from edged.errors import MalformedError, StoppedError
from edged.evidence.ids import Sha256, escape_path

CONTENT = b"footage" * 400_000
SHA256 = Sha256(hashlib.sha256(CONTENT).hexdigest())
PROFILES = {profile.id: profile for profile in load_profiles(Path(__file__).parents[2] / "config" / "recorders")}


class Meddler(threading.Event):
    """A stop event that is never set, but lets a stranger act while a file is compared."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act

    def is_set(self) -> bool:
        self._act()
        return False


@pytest.fixture
def card(tmp_path: Path) -> Path:
    card = tmp_path / "card"
    (card / "20261121").mkdir(parents=True)
    (card / "20261121" / "a.mp4").write_bytes(CONTENT)
    return card


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def test_cleared_file_is_gone_and_its_neighbours_stay(card: Path, stop: threading.Event) -> None:
    (card / "20261121" / "b.mp4").write_bytes(CONTENT)
    assert erase(Root.at(card), "20261121/a.mp4", SHA256, stop) == "gone"
    assert [path.name for path in (card / "20261121").iterdir()] == ["b.mp4"]


def test_erasing_twice_says_gone_twice(card: Path, stop: threading.Event) -> None:
    root = Root.at(card)
    assert [erase(root, "20261121/a.mp4", SHA256, stop) for _ in range(2)] == ["gone", "gone"]


def test_empty_file_is_erased(card: Path, stop: threading.Event) -> None:
    (card / "empty").touch()
    nothing = Sha256(hashlib.sha256(b"").hexdigest())
    assert erase(Root.at(card), "empty", nothing, stop) == "gone"


@pytest.mark.parametrize("name", [b"-rf", b"\xff\n.mp4", b"%41", b"x" * 255], ids=lambda name: repr(name[:12]))
def test_hostile_name_is_erased_and_only_it(card: Path, name: bytes, stop: threading.Event) -> None:
    (card / os.fsdecode(name)).write_bytes(CONTENT)
    (card / "A").write_bytes(CONTENT)
    assert erase(Root.at(card), escape_path(name), SHA256, stop) == "gone"
    assert {path.name for path in card.iterdir()} == {"A", "20261121"}


@pytest.mark.parametrize(("code", "read_only"), [(errno.EROFS, [True]), (errno.EIO, [False]), (errno.EPERM, [False])])
def test_file_that_the_card_does_not_remove_is_not_called_erased(
    card: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch, code: int, read_only: list[bool]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(NotErasedError, match=os.strerror(code)) as raised:
        erase(Root.at(card), "20261121/a.mp4", SHA256, stop)
    assert [raised.value.read_only] == read_only
    assert look_up(Root.at(card), "20261121/a.mp4") == "present"


def test_file_that_left_just_before_it_was_to_be_removed_is_gone(
    card: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def late(name: bytes, *, dir_fd: int) -> None:
        unlink(name, dir_fd=dir_fd)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", late)
    assert erase(Root.at(card), "20261121/a.mp4", SHA256, stop) == "gone"


@pytest.mark.parametrize("change", [b"", CONTENT[:-1], CONTENT + b"x", b"X" + CONTENT[1:]], ids=len)
def test_file_with_other_content_than_was_cleared_stays(card: Path, change: bytes, stop: threading.Event) -> None:
    (card / "20261121" / "a.mp4").write_bytes(change)
    with pytest.raises(DifferentError):
        erase(Root.at(card), "20261121/a.mp4", SHA256, stop)
    assert (card / "20261121" / "a.mp4").read_bytes() == change


def test_file_that_grows_while_compared_stays(card: Path) -> None:
    file = card / "20261121" / "a.mp4"

    def grow() -> None:
        with file.open("ab") as end:
            end.write(b"more")

    with pytest.raises(DifferentError):
        erase(Root.at(card), "20261121/a.mp4", SHA256, Meddler(grow))
    assert file.stat().st_size > len(CONTENT)


@pytest.mark.parametrize("notes_renames", [True, False])
def test_file_exchanged_while_compared_stays(
    card: Path, monkeypatch: pytest.MonkeyPatch, *, notes_renames: bool
) -> None:
    file = card / "20261121" / "a.mp4"
    (card / "other").write_bytes(b"never cleared")

    def exchange() -> None:
        if (card / "other").exists():
            (card / "other").rename(file)

    if not notes_renames:
        # FAT keeps no time of change for the file that a rename takes a name from.
        kept = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
        monkeypatch.setattr("edged.bays.wipe._identity", lambda status: tuple(getattr(status, name) for name in kept))
    with pytest.raises(DifferentError):
        erase(Root.at(card), "20261121/a.mp4", SHA256, Meddler(exchange))
    assert file.read_bytes() == b"never cleared"


def test_link_in_place_of_the_file_is_not_followed(card: Path, stop: threading.Event) -> None:
    outside = card.parent / "outside.mp4"
    outside.write_bytes(CONTENT)
    (card / "20261121" / "a.mp4").unlink()
    (card / "20261121" / "a.mp4").symlink_to(outside)
    with pytest.raises(NotAFileError):
        erase(Root.at(card), "20261121/a.mp4", SHA256, stop)
    assert outside.read_bytes() == CONTENT


def test_linked_folder_leads_no_erasing_outside(card: Path, stop: threading.Event) -> None:
    outside = card.parent / "outside"
    (card / "20261121").rename(outside)
    (card / "20261121").symlink_to(outside)
    with pytest.raises(NotAFileError):
        erase(Root.at(card), "20261121/a.mp4", SHA256, stop)
    assert (outside / "a.mp4").exists()
    assert look_up(Root.at(card), "20261121/a.mp4") == "unknown"


def test_path_out_of_the_card_erases_nothing(card: Path, stop: threading.Event) -> None:
    (card.parent / "a.mp4").write_bytes(CONTENT)
    with pytest.raises(MalformedError):
        erase(Root.at(card), "../a.mp4", SHA256, stop)
    assert (card.parent / "a.mp4").exists()


def test_same_footage_on_another_card_in_the_bay_is_not_erased(card: Path, stop: threading.Event) -> None:
    root = Root.at(card)
    shutil.copytree(card, card.parent / "other")
    card.rename(card.parent / "taken-out")
    (card.parent / "other").rename(card)
    with pytest.raises(RecorderGoneError):
        erase(root, "20261121/a.mp4", SHA256, stop)
    assert (card / "20261121" / "a.mp4").exists()
    assert look_up(root, "20261121/a.mp4") == "unknown"


def test_other_name_of_the_same_file_stays(card: Path, stop: threading.Event) -> None:
    (card / "b.mp4").hardlink_to(card / "20261121" / "a.mp4")
    assert erase(Root.at(card), "20261121/a.mp4", SHA256, stop) == "gone"
    assert (card / "b.mp4").read_bytes() == CONTENT


def test_shutdown_while_comparing_erases_nothing(card: Path, stop: threading.Event) -> None:
    stop.set()
    with pytest.raises(StoppedError):
        erase(Root.at(card), "20261121/a.mp4", SHA256, stop)
    assert (card / "20261121" / "a.mp4").exists()


def test_removal_that_the_card_does_not_confirm_is_unknown(
    card: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    assert erase(Root.at(card), "20261121/a.mp4", SHA256, stop) == "unknown"


def test_outcome_is_looked_up_after_a_crash(card: Path) -> None:
    root = Root.at(card)
    assert look_up(root, "20261121/a.mp4") == "present"
    assert look_up(root, "20261121/b.mp4") == "gone"
    assert look_up(root, "20261122/a.mp4") == "gone"
    card.rename(card.parent / "taken-out")
    assert look_up(root, "20261121/a.mp4") == "unknown"


def test_empty_folders_go_if_the_profile_says_so(card: Path, stop: threading.Event) -> None:
    (card / "A" / "B" / "C").mkdir(parents=True)
    (card / "A" / "link").symlink_to("/etc")
    (card / "E" / "F").mkdir(parents=True)
    root = Root.at(card)
    assert tidy(root, PROFILES["dcim"], stop) == ()
    assert tidy(root, PROFILES["gat947"], stop) == ("E/F", "E", "A/B/C", "A/B")
    assert {path.name for path in card.iterdir()} == {"A", "20261121"}


def test_root_of_an_empty_card_stays(tmp_path: Path, stop: threading.Event) -> None:
    assert tidy(Root.at(tmp_path), PROFILES["gat947"], stop) == ()
    assert tmp_path.is_dir()


def test_what_the_recorder_is_known_by_is_erased_last() -> None:
    profile: Profile = PROFILES["sidecar"]
    paths = ["DEVICE.INI", "GPS/20261121/080000_00001.NMEA", "NOTES.TXT", "VIDEO/20261121/080000_00001.MP4"]
    assert wipe_order(paths, profile) == [paths[2], paths[1], paths[3], paths[0]]
