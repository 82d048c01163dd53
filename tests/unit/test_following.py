"""Following the bays: told of every change soon, of nothing twice, and in the way of nobody else."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edged.cli import following as command
from edged.cli.following import duration, follow
from edged.control.protocol import RemoteError
from edged.control.server import Call, ControlServer
from edged.errors import UnavailableError, UsageError
from edged.station.following import Following
from edged.station.live import Live
from tests.unit.book_station import Ticking


class Bays:
    """A control server with nothing behind it but bays."""

    def __init__(self, socket: Path) -> None:
        self.live = Live(Ticking())
        self.stop = threading.Event()
        config = SimpleNamespace(bays=SimpleNamespace(ports={"pci-1": "bay-1", "pci-2": "bay-2"}))
        self.following = Following(cast("Any", SimpleNamespace(live=self.live, stop=self.stop, config=config)))
        self.socket = socket
        calls = {"watch": Call(role="reader", run=lambda arguments, _: self.following.answer(arguments))}
        self.server = ControlServer(socket, calls, Ticking())


@pytest.fixture
def bays(tmp_path: Path) -> Iterator[Bays]:
    made = Bays(tmp_path / "control.sock")
    made.server.start()
    yield made
    made.server.stop()


def lamps(answer: dict[str, Any]) -> dict[str, str]:
    return {bay["bay"]: bay["lamp"] for bay in answer["bays"]}


def test_first_answer_comes_at_once_and_names_empty_bays(bays: Bays) -> None:
    bays.live.set_bay("bay-2", "copying")
    assert lamps(cast("Any", bays.following.answer({}))) == {"bay-1": "empty", "bay-2": "busy"}


def test_answer_comes_with_the_change(bays: Bays) -> None:
    seen = bays.following.answer({})["seen"]
    answers: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: answers.append(bays.following.answer({"seen": seen, "wait": 10})))
    waiting.start()
    bays.live.set_bay("bay-1", "done")
    waiting.join(10)
    assert [lamps(answer)["bay-1"] for answer in answers] == ["free"]
    assert answers[0]["seen"] != seen


def test_a_station_that_stops_lets_nobody_wait(bays: Bays) -> None:
    bays.stop.set()
    seen = bays.following.answer({})["seen"]
    assert bays.following.answer({"seen": seen, "wait": 10})["seen"] == seen


@pytest.mark.parametrize("wrong", [{"seen": "1"}, {"wait": 11}, {"wait": -1}, {"wait": True}, {"wait": 0.5}])
def test_question_that_is_none_is_refused(bays: Bays, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        bays.following.answer(wrong)


def test_crowd_of_followers_is_bounded(bays: Bays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bays.following, "_free", threading.Semaphore(0))
    with pytest.raises(UnavailableError, match="follow the bays already"):
        bays.following.answer({})


def followed(bays: Bays, act: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, *, as_json: bool) -> list[str]:
    """Give the lines that following prints; `act` is told after how many of them it is called, and ends it."""
    lines: list[str] = []

    def put(text: str) -> None:
        lines.append(text)
        act(len(lines))

    monkeypatch.setattr(command, "put_now", put)
    with pytest.raises((UnavailableError, RemoteError)):
        follow(bays.socket, as_json=as_json)
    return lines


def test_lines_tell_bay_and_lamp_first(bays: Bays, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(lines: int) -> None:
        match lines:
            case 2:
                bays.live.set_bay("bay-1", "copying", recorder="rec-1", files=3, bytes=2_000_000)
            case 3:
                bays.live.set_bay("bay-1", "refused")
            case 4:
                bays.live.clear_bay("bay-1")
            case 5:
                bays.server.stop()
            case _:
                pass

    assert followed(bays, act, monkeypatch, as_json=False) == [
        "bay-1 empty",
        "bay-2 empty",
        "bay-1 busy copying rec-1, 0/3 files, 0 B of 2.0 MB",
        "bay-1 attention refused rec-1, 0/3 files, 0 B of 2.0 MB",
        "bay-1 empty",
    ]


def test_lines_for_programs_are_whole_states(bays: Bays, monkeypatch: pytest.MonkeyPatch) -> None:
    bays.live.set_bay("bay-1", "done", officer="110203")
    lines = followed(bays, lambda lines: bays.server.stop() if lines == 2 else None, monkeypatch, as_json=True)
    told = [json.loads(line) for line in lines]
    assert (told[0]["officer"], told[0]["removable"], told[0]["lamp"]) == ("110203", True, "free")
    assert told[1] == {"bay": "bay-2", "lamp": "empty"}


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (99, "99 s"), (100, "2 min"), (3540, "59 min"), (3541, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations_are_told_as_people_read_them(seconds: int, told: str) -> None:
    assert duration(seconds) == told
