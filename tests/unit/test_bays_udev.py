"""The source `udev` with uevents and a mounter played by the test: order, flapping, slow cards, refusals, restarts."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edged.bays import udev
from edged.bays.safe_files import RecorderGoneError
from edged.bays.source import Docked
from edged.bays.udev import Mount, Told, UdevSource
from edged.bays.uevents import Uevent
from edged.bays.volumes import Known, Refusal
from edged.clock import SystemClock
from edged.errors import EdgedError, RecorderError, RefusedRecorderError, UnavailableError
from edged.evidence.ids import BayId

_T = TypeVar("_T")

PORTS = {f"pci-0000:00:14.0-usb-0:{number}": BayId(f"bay-{number}") for number in range(1, 5)}
KNOWN = Known(ports=PORTS, usb=frozenset({"04c5:2028"}), locked=frozenset({"04c5:10cc"}))


def card(bay: int, *, medium: int = 1, usb: str = "04c5:2028", minor: int | None = None, **more: str) -> dict[str, str]:
    """Give the properties of a recorder's card in a bay."""
    vendor, product = usb.split(":")
    minor = 16 * bay if minor is None else minor
    return {
        "DEVPATH": f"/devices/usb1/1-{bay}/block/sd{minor}",
        "DEVNAME": f"/dev/sd{minor}",
        "DEVTYPE": "disk",
        "MAJOR": "8",
        "MINOR": str(minor),
        "ID_BUS": "usb",
        "ID_VENDOR_ID": vendor,
        "ID_MODEL_ID": product,
        "ID_SERIAL_SHORT": "SC20451",
        "ID_PATH": f"pci-0000:00:14.0-usb-0:{bay}:1.0-scsi-0:0:0:0",
        "ID_FS_TYPE": "exfat",
        "ID_FS_USAGE": "filesystem",
        "ID_FS_LABEL_ENC": "CAM",
        "ID_FS_UUID": "1234-ABCD",
        "EDGED_BAY": str(medium),
    } | more


class Feed:
    """Uevents as the test tells them."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, str]] = {}
        self._told: queue.SimpleQueue[Uevent | str] = queue.SimpleQueue()
        self.closed = False

    def present(self) -> list[Uevent]:
        return [Uevent(action="add", properties=each, sectors=1000) for each in list(self.there.values())]

    def wait(self, seconds: float) -> list[Uevent] | None:
        try:
            told = self._told.get(timeout=max(0.0, min(seconds, 60.0)))
        except queue.Empty:
            return []
        if told == "lost":
            return None
        return [told] if isinstance(told, Uevent) else []

    def wake(self) -> None:
        assert not self.closed
        self._told.put("wake")

    def close(self) -> None:
        self.closed = True

    def tell(self, action: str, properties: dict[str, str], sectors: int = 1000) -> None:
        if action == "remove":
            self.there.pop(properties["DEVPATH"], None)
        else:
            self.there[properties["DEVPATH"]] = properties
        self._told.put(Uevent(action=action, properties=properties, sectors=sectors))

    def lose(self) -> None:
        self._told.put("lost")


@dataclass
class FolderMount:
    """A folder in place of a mounted card."""

    folder: Path
    is_lost: bool = False
    released: threading.Event = field(default_factory=threading.Event)
    refuses: EdgedError | None = None
    changes: list[str] = field(default_factory=list)

    def writable(self) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.changes.append("writable")

    def read_only(self) -> None:
        self.changes.append("read_only")

    def forget(self) -> None:
        self.changes.append("forget")

    def lost(self) -> bool:
        return self.is_lost

    def release(self) -> None:
        self.released.set()


class FolderMounter:
    """A mounter that mounts folders, as slowly and as badly as a test wants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.faults: dict[str, list[EdgedError]] = {}
        self.held: dict[str, threading.Event] = {}
        self.mounts: list[FolderMount] = []
        self.asked: list[tuple[str, int]] = []

    def mount(self, device: str, medium: int) -> Mount:
        self.asked.append((device, medium))
        if device in self.held:
            assert self.held[device].wait(20)
        if self.faults.get(device):
            raise self.faults[device].pop(0)
        folder = self._folder / f"{device}.{medium}.{len(self.mounts)}"
        folder.mkdir()
        made = FolderMount(folder)
        self.mounts.append(made)
        return made


@dataclass
class Bench:
    feed: Feed
    mounter: FolderMounter
    source: UdevSource
    told: list[tuple[str, Any]]

    def of(self, kind: str) -> list[Any]:
        return [what for known, what in list(self.told) if known == kind]

    def wait(self, kind: str, nth: int = 1) -> Any:
        return until(lambda: self.of(kind)[nth - 1 : nth], f"{kind} {nth}; told: {self.told}")[0]

    def kinds(self) -> list[tuple[str, str | None]]:
        return [(kind, what.bay) for kind, what in self.told]


def until(condition: Callable[[], _T], what: str) -> _T:
    clock, pause = SystemClock(), threading.Event()
    end = clock.monotonic() + 20
    while not (found := condition()):
        assert clock.monotonic() < end, what
        pause.wait(0.002)
    return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    told: list[tuple[str, Docked | Refusal]] = []

    def note(kind: str) -> Callable[[Docked | Refusal], None]:
        return lambda what: told.append((kind, what))

    feed, mounter = Feed(), FolderMounter(tmp_path)
    source = UdevSource(
        KNOWN,
        Told(
            arrival=note("arrival"),
            departure=note("departure"),
            refusal=note("refusal"),
            withdrawal=note("withdrawal"),
            locked=note("locked"),
            unlocked=note("unlocked"),
        ),
        mounter=mounter,
        events=feed,
        clock=SystemClock(),
    )
    yield Bench(feed=feed, mounter=mounter, source=source, told=told)
    source.stop()
    source.close()


def test_what_is_there_at_the_start_and_what_comes_later_is_told_with_its_names(bench: Bench) -> None:
    bench.feed.there["a"] = card(1)
    bench.source.start()
    docked = bench.wait("arrival")
    assert (docked.bay, docked.hint) == ("bay-1", "SC20451")
    assert (docked.filesystem.type, docked.filesystem.label, docked.filesystem.serial) == ("exfat", "CAM", "1234-ABCD")
    bench.feed.tell("add", card(2, medium=2))
    bench.wait("arrival", 2)
    assert bench.mounter.asked == [("8:16", 1), ("8:32", 2)]


def test_it_is_known_between_which_moments_a_recorder_came(bench: Bench) -> None:
    begin = SystemClock().monotonic()
    bench.feed.there["a"] = card(1)
    bench.feed.there["b"] = card(2, USEC_INITIALIZED="1500000")
    bench.source.start()
    arrived = {docked.bay: docked.plugged for docked in (bench.wait("arrival"), bench.wait("arrival", 2))}
    # Of the one nobody knows since when it is there; of the other udev does.
    assert arrived[BayId("bay-1")] is None
    assert arrived[BayId("bay-2")].earliest == 1.5
    before = SystemClock().monotonic()
    bench.feed.tell("add", card(3))
    late = bench.wait("arrival", 3).plugged
    assert begin <= late.earliest <= before <= late.latest <= SystemClock().monotonic()
    # What udev says is believed only as far as the device was not looked for in vain after that.
    bench.feed.tell("add", card(4, USEC_INITIALIZED="1500000"))
    assert bench.wait("arrival", 4).plugged.earliest >= begin


def test_a_card_that_is_let_go_of_and_mounted_again_was_there_all_the_while(bench: Bench) -> None:
    bench.source.start()
    bench.feed.tell("add", card(2))
    bench.wait("arrival")
    bench.feed.tell("add", card(1))
    first = bench.wait("arrival", 2).plugged
    pause = threading.Event()
    pause.wait(0.05)
    bench.mounter.mounts[1].is_lost = True
    bench.feed.lose()
    again = bench.wait("arrival", 3)
    assert (again.bay, again.plugged.earliest) == ("bay-1", first.earliest)
    bench.feed.tell("remove", card(1))
    bench.wait("departure", 2)
    bench.feed.tell("add", card(1))
    assert bench.wait("arrival", 4).plugged.earliest > first.earliest


@pytest.mark.parametrize("met", ["", "-5", "1.5", "9" * 40, "١٢٣"])
def test_a_time_that_udev_cannot_have_said_is_none(bench: Bench, met: str) -> None:
    bench.feed.there["a"] = card(1, USEC_INITIALIZED=met)
    bench.source.start()
    plugged = bench.wait("arrival").plugged
    assert plugged is None or met == "١٢٣"


def test_change_that_changes_nothing_is_not_told(bench: Bench) -> None:
    bench.source.start()
    for action in ("add", "change", "change", "bind"):
        bench.feed.tell(action, card(1))
    bench.wait("arrival")
    bench.feed.tell("change", card(1))
    bench.feed.tell("add", card(2))
    bench.wait("arrival", 2)
    assert bench.kinds() == [("arrival", "bay-1"), ("arrival", "bay-2")]


def test_card_that_is_changed_in_its_slot_is_a_departure_and_an_arrival(bench: Bench) -> None:
    bench.source.start()
    bench.feed.tell("add", card(1, medium=1))
    bench.wait("arrival")
    bench.feed.tell("change", card(1, medium=2))
    bench.wait("arrival", 2)
    assert bench.kinds() == [("arrival", "bay-1"), ("departure", "bay-1"), ("arrival", "bay-1")]
    assert bench.mounter.mounts[0].released.is_set()
    empty = {key: value for key, value in card(1).items() if not key.startswith("ID_FS")}
    bench.feed.tell("change", empty, sectors=0)
    bench.wait("departure", 2)
    assert bench.of("refusal") == []


def test_recorder_that_leaves_while_it_is_being_mounted_is_never_told_and_let_go_of(bench: Bench) -> None:
    bench.mounter.held["8:16"] = threading.Event()
    bench.source.start()
    bench.feed.tell("add", card(1))
    until(lambda: bench.mounter.asked, "it is asked for")
    bench.feed.tell("remove", card(1))
    bench.feed.tell("add", card(2))
    bench.wait("arrival")
    bench.mounter.held["8:16"].set()
    until(lambda: len(bench.mounter.mounts) == 2 and bench.mounter.mounts[1].released.is_set(), "it is let go of")
    assert bench.kinds() == [("arrival", "bay-2")]


def test_card_that_does_not_answer_keeps_no_other_bay_waiting(bench: Bench) -> None:
    bench.mounter.held["8:16"] = threading.Event()
    bench.source.start()
    for bay in (1, 2, 3, 4):
        bench.feed.tell("add", card(bay))
    bench.wait("arrival", 3)
    assert {bay for _, bay in bench.kinds()} == {"bay-2", "bay-3", "bay-4"}
    bench.mounter.held["8:16"].set()
    assert bench.wait("arrival", 4).bay == "bay-1"


def test_flapping_ends_with_one_recorder_docked(bench: Bench) -> None:
    bench.source.start()
    for medium in range(1, 30):
        bench.feed.tell("add", card(1, medium=medium))
        bench.feed.tell("remove", card(1, medium=medium))
    bench.feed.tell("add", card(1, medium=99))
    until(lambda: bench.kinds() and (8, 99) and bench.mounter.asked[-1] == ("8:16", 99), "the last is asked for")
    until(lambda: len(bench.of("arrival")) == len(bench.of("departure")) + 1, "it is docked")
    kinds = [kind for kind, _ in bench.told]
    assert kinds == ["arrival", "departure"] * (len(kinds) // 2) + ["arrival"]
    until(lambda: sum(not each.released.is_set() for each in bench.mounter.mounts) == 1, "the others are let go of")


def test_second_device_at_a_port_waits_until_the_first_has_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udev, "_FIRST_PAUSE_SECONDS", 0.02)
    bench.source.start()
    bench.feed.tell("add", card(1, minor=16))
    bench.wait("arrival")
    bench.feed.tell("add", card(1, minor=48))
    bench.feed.tell("add", card(2))
    bench.wait("arrival", 2)
    assert [bay for _, bay in bench.kinds()] == ["bay-1", "bay-2"]
    bench.feed.tell("remove", card(1, minor=16))
    bench.wait("arrival", 3)
    assert bench.kinds()[2:] == [("departure", "bay-1"), ("arrival", "bay-1")]


def test_unknown_device_is_told_once_for_all_its_partitions_and_all_its_wiggling(bench: Bench) -> None:
    bench.source.start()
    parts = [card(1, usb="0781:5567", minor=16 + part, DEVTYPE="partition", PARTN=str(part)) for part in (1, 2, 3)]
    for _ in range(3):
        for part in parts:
            bench.feed.tell("add", part)
        for part in parts:
            bench.feed.tell("remove", part)
    bench.wait("withdrawal", 3)
    assert [kind for kind, _ in bench.told] == ["refusal", "withdrawal"] * 3
    assert [refusal.again for refusal in bench.of("refusal")] == [False, True, True]
    assert bench.mounter.asked == []


def test_mounters_refusal_is_told_with_its_reason_and_not_asked_again(bench: Bench) -> None:
    bench.mounter.faults["8:16"] = [RefusedRecorderError("The card's file system is damaged.", hint="Look at it.")]
    bench.source.start()
    bench.feed.tell("add", card(1))
    refusal = bench.wait("refusal")
    assert (refusal.why, refusal.hint, refusal.passing) == ("The card's file system is damaged.", "Look at it.", False)
    bench.feed.tell("change", card(1))
    bench.feed.tell("add", card(2))
    bench.wait("arrival")
    assert bench.mounter.asked == [("8:16", 1), ("8:32", 1)]


def test_mounter_that_is_away_is_asked_again_and_the_refusal_withdrawn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udev, "_FIRST_PAUSE_SECONDS", 0.02)
    bench.mounter.faults["8:16"] = [
        UnavailableError("no mounter"),
        RecorderError("busy"),
        UnavailableError("no mounter"),
    ]
    bench.source.start()
    bench.feed.tell("add", card(1))
    bench.wait("arrival")
    assert [kind for kind, _ in bench.told] == ["refusal", "withdrawal", "arrival"]
    assert bench.of("refusal")[0].passing


def test_card_that_the_mounter_let_go_of_is_told_to_have_left_and_mounted_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udev, "_LOOK_SECONDS", 0.05)
    bench.source.start()
    bench.feed.tell("add", card(1))
    bench.wait("arrival")
    bench.mounter.mounts[0].is_lost = True
    bench.wait("arrival", 2)
    assert bench.kinds() == [("arrival", "bay-1"), ("departure", "bay-1"), ("arrival", "bay-1")]


def test_lost_events_are_made_up_for(bench: Bench) -> None:
    bench.source.start()
    bench.feed.tell("add", card(1))
    bench.wait("arrival")
    bench.feed.there = {"b": card(2)}
    bench.feed.lose()
    bench.wait("arrival", 2)
    assert sorted(bench.kinds()) == [("arrival", "bay-1"), ("arrival", "bay-2"), ("departure", "bay-1")]


def test_disk_that_holds_no_file_system_yet_is_given_a_moment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udev, "_DOUBT_SECONDS", 0.2)
    blank = {key: value for key, value in card(1).items() if not key.startswith("ID_FS")}
    bench.source.start()
    bench.feed.tell("add", blank)
    bench.feed.tell("change", card(1))
    bench.wait("arrival")
    assert bench.of("refusal") == []
    bench.feed.tell("change", blank)
    assert "holds no file system" in bench.wait("refusal").why


def test_stopping_tells_no_departure_and_lets_go_only_when_it_is_closed(bench: Bench) -> None:
    bench.mounter.held["8:32"] = threading.Event()
    bench.source.start()
    bench.feed.tell("add", card(1))
    bench.wait("arrival")
    bench.feed.tell("add", card(2))
    until(lambda: len(bench.mounter.asked) == 2, "the second is asked for")
    bench.source.stop()
    assert not bench.mounter.mounts[0].released.is_set()
    bench.mounter.held["8:32"].set()
    until(lambda: len(bench.mounter.mounts) == 2 and bench.mounter.mounts[1].released.is_set(), "it came too late")
    bench.source.close()
    assert bench.mounter.mounts[0].released.is_set()
    assert bench.kinds() == [("arrival", "bay-1")]
    bench.source.stop()


def test_wipe_holds_the_card_writable_and_gives_it_back_whatever_happens(bench: Bench) -> None:
    bench.source.start()
    bench.feed.tell("add", card(1))
    docked, mount = bench.wait("arrival"), bench.mounter.mounts[0]
    with bench.source.writable(docked) as root:
        assert root == docked.root
        assert mount.changes == ["writable"]
    with pytest.raises(KeyError), bench.source.writable(docked):
        raise KeyError
    assert mount.changes == ["writable", "read_only"] * 2
    mount.refuses = RefusedRecorderError("It was not closed in order.")
    with pytest.raises(RefusedRecorderError), bench.source.writable(docked):
        pytest.fail("it is not writable")
    bench.feed.tell("remove", card(1))
    bench.wait("departure")
    with pytest.raises(RecorderGoneError), bench.source.writable(docked):
        pytest.fail("it has left")


def test_wipe_does_not_reach_the_next_recorder_in_the_same_bay(bench: Bench) -> None:
    bench.source.start()
    bench.feed.tell("add", card(1, medium=1))
    first = bench.wait("arrival")
    bench.feed.tell("change", card(1, medium=2))
    bench.wait("arrival", 2)
    with pytest.raises(RecorderGoneError), bench.source.writable(first):
        pytest.fail("another recorder would have been erased")


LOCKED = {
    "DEVPATH": "/devices/usb1/1-1",
    "DEVNAME": "/dev/bus/usb/001/007",
    "DEVTYPE": "usb_device",
    "ID_BUS": "usb",
    "ID_VENDOR_ID": "04c5",
    "ID_MODEL_ID": "10cc",
    "ID_SERIAL_SHORT": "SC20451",
    "ID_PATH": "pci-0000:00:14.0-usb-0:1",
}


def test_recorder_to_be_unlocked_is_told_once_and_comes_back_as_storage(bench: Bench) -> None:
    bench.source.start()
    for action in ("add", "bind", "change"):
        bench.feed.tell(action, LOCKED)
    # A reader without a medium, which it shows as well, is neither mounted nor refused.
    bench.feed.tell("add", card(1, usb="04c5:10cc"))
    locked = bench.wait("locked")
    assert (locked.bay, locked.usb, locked.serial) == ("bay-1", "04c5:10cc", "SC20451")
    assert (locked.port, locked.node) == ("pci-0000:00:14.0-usb-0:1", "/dev/bus/usb/001/007")
    bench.feed.tell("remove", LOCKED)
    bench.feed.tell("remove", card(1, usb="04c5:10cc"))
    bench.feed.tell("add", card(1))
    bench.wait("arrival")
    assert bench.kinds() == [("locked", "bay-1"), ("unlocked", "bay-1"), ("arrival", "bay-1")]
    bench.feed.tell("add", LOCKED)
    bench.wait("locked", 2)


def test_recorder_to_be_unlocked_at_a_port_that_is_no_bay_is_left_alone(bench: Bench) -> None:
    bench.source.start()
    bench.feed.tell("add", LOCKED | {"ID_PATH": "pci-0000:00:14.0-usb-0:9"})
    bench.feed.tell("add", card(2))
    bench.wait("arrival")
    assert bench.of("locked") == []
