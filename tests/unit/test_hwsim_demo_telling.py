"""The demo's check of what the broker was told finds whatever is missing, out of order or left behind."""

import hashlib
import json
from typing import Any

import pytest

from hwsim.demo import telling
from hwsim.demo.proofs import ExpectationError
from hwsim.observer import Message

TOPIC = "edged/st-07"
BAY = f"{TOPIC}/bays/1"


def chain(*bodies: tuple[str, dict[str, Any]]) -> list[bytes]:
    """Give a ledger with these entries."""
    made: list[bytes] = []
    for seq, (kind, body) in enumerate(bodies):
        prev = hashlib.sha256(made[-1]).hexdigest() if made else "0" * 64
        plain = {"epoch": "2026-11-ab12", "seq": seq, "type": kind, "prev": prev, "body": body}
        made.append(json.dumps(plain, separators=(",", ":")).encode())
    return made


def docking(name: str, recorder: str) -> tuple[str, dict[str, Any]]:
    return "docking", {"docking": name, "bay": "1", "recorder": {"id": recorder}, "files": 2}


LEDGER = chain(
    ("genesis", {}),
    docking("d1", "A"),
    ("segment", {"docking": "d1", "segment": "s1", "path": "1.MP4", "sha256": "ab" * 32}),
    ("undocking", {"docking": "d1", "outcome": "interrupted"}),
    docking("d2", "A"),
    ("sighting", {"docking": "d2", "segment": "s1", "path": "1.MP4"}),
    ("segment", {"docking": "d2", "segment": "s2", "path": "2.MP4", "sha256": "cd" * 32}),
    ("segment", {"docking": "d3", "segment": "s9", "path": "9.MP4"}),
    ("replica", {"segment": "s2", "store": "vault", "verified": "read-back"}),
    ("replica", {"segment": "s1", "store": "central", "verified": "server-checksum"}),
    ("replica", {"segment": "s2", "store": "central", "verified": "server-checksum"}),
    ("undocking", {"docking": "d2", "outcome": "cleared", "remaining": 0}),
)


def events(*order: int) -> list[Message]:
    return [Message(topic=f"{TOPIC}/events", payload=LEDGER[seq]) for seq in order]


def bay(**said: Any) -> Message:
    return Message(
        topic=BAY, payload=json.dumps({"removable": False, "docking": None, "seconds_left": None} | said).encode()
    )


FREE = Message(topic=BAY, payload=None)
WHOLE = range(len(LEDGER))


@pytest.mark.parametrize(
    ("order", "repeated"),
    [([*WHOLE], 0), ([0, 0, 1, 1, *WHOLE[2:]], 2), ([*WHOLE[:6], *WHOLE[4:]], 2), ([*WHOLE, WHOLE[-1]], 1)],
)
def test_all_in_order_passes_also_with_some_told_twice(order: list[int], repeated: int) -> None:
    told = telling.check_told(events(*order), LEDGER)
    assert (told.events, told.repeated) == (len(LEDGER), repeated)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ([], "no event was heard"),
        ([*WHOLE[1:]], "is not the first"),
        ([*WHOLE[:5], *WHOLE[6:]], "between 2026-11-ab12/4 and 2026-11-ab12/6"),
        ([0, 2, 1, *WHOLE[3:]], "missing or out of order between 2026-11-ab12/0 and 2026-11-ab12/2"),
        ([*WHOLE[:5], 2, *WHOLE[5:]], "out of order behind 2026-11-ab12/2"),
        ([*WHOLE[:-1]], "1 entries were not told, such as 2026-11-ab12/11"),
    ],
)
def test_what_is_missing_or_out_of_order_is_noticed(order: list[int], sentence: str) -> None:
    with pytest.raises(ExpectationError, match=sentence):
        telling.check_told(events(*order), LEDGER)


def test_an_event_that_is_no_entry_is_noticed() -> None:
    with pytest.raises(ExpectationError, match="what was told is not the ledger"):
        telling.check_told(events(*WHOLE), LEDGER[:-1])


def test_what_is_left_of_a_bay_is_noticed() -> None:
    telling.check_nothing_left([bay(phase="done"), FREE])
    with pytest.raises(ExpectationError, match="bays/1 was left as"):
        telling.check_nothing_left([FREE, bay(phase="done")])


def test_it_is_over_when_the_station_was_stopped_and_not_when_it_was_lost() -> None:
    def state(**said: Any) -> Message:
        return Message(topic=f"{TOPIC}/state", payload=json.dumps(said).encode())

    online, lost = state(state="online", reason=None), state(state="offline", reason="lost")
    assert not telling.is_over([])
    assert not telling.is_over([online, lost])
    assert telling.is_over([lost, online, state(state="offline", reason="stopped"), bay(phase="done")])


def test_who_can_be_taken_out_is_what_was_heard_last() -> None:
    other = Message(topic=f"{TOPIC}/bays/2", payload=b'{"removable":true}')
    assert telling.removable([bay(removable=True), other, bay()]) == {"2"}
    assert telling.removable([other, bay(removable=True), Message(topic=other.topic, payload=None)]) == {"1"}


def test_the_story_of_a_docking_is_that_of_the_last_one_alone() -> None:
    heard = [
        *events(0),
        bay(phase="listing"),
        *events(1, 2),
        bay(phase="copying", docking="d1"),
        FREE,
        *events(3),
        bay(phase="listing"),
        *events(4, 5, 6, 7, 8),
        bay(phase="copying", docking="d2", files_done=1),
        bay(phase="copying", docking="d2", files_done=1, seconds_left=3),
        bay(phase="copying", docking="d2", files_done=2, seconds_left=1),
        *events(8, 9, 10, 11),
        bay(phase="done", docking="d2", removable=True),
        FREE,
        bay(phase="listing"),
    ]
    assert telling.story(heard, "A") == [
        f'{BAY} {{"phase":"listing","removable":false,"seconds_left":null,…}}',
        f'{TOPIC}/events {{"seq":4,"type":"docking","body":{{"recorder":{{"id":"A",…}},"files":2,…}},…}}',
        f'{TOPIC}/events {{"seq":5,"type":"sighting","body":{{"path":"1.MP4",…}},…}}',
        f'{TOPIC}/events {{"seq":6,"type":"segment","body":{{"path":"2.MP4","sha256":"cdcdcdcdcdcdcdcd…",…}},…}}',
        f'{TOPIC}/events {{"seq":8,"type":"replica","body":{{"store":"vault","verified":"read-back",…}},…}}',
        f'{BAY} {{"phase":"copying","removable":false,"files_done":1,"seconds_left":null,…}}',
        f'{BAY} {{"phase":"copying","removable":false,"files_done":1,"seconds_left":3,…}}',
        (
            f'{TOPIC}/events {{"seq":9,"type":"replica","body":{{"store":"central","verified":"server-checksum",…}},…}}'
            "  and 1 more"
        ),
        f'{TOPIC}/events {{"seq":11,"type":"undocking","body":{{"outcome":"cleared","remaining":0,…}},…}}',
        f'{BAY} {{"phase":"done","removable":true,"seconds_left":null,…}}',
        f"{BAY} (null)",
    ]


def test_the_story_leaves_out_an_earlier_docking_whose_end_nobody_heard() -> None:
    heard = [*events(*range(4)), bay(phase="copying", docking="d1"), *events(*range(4, 12)), FREE]
    lines = telling.story(heard, "A")
    assert lines[0].startswith(f'{TOPIC}/events {{"seq":4,')
    assert lines[-1] == f"{BAY} (null)"
    assert not any("copying" in line or '"seq":2,' in line for line in lines)


def test_a_recorder_that_nobody_docked_has_no_story() -> None:
    with pytest.raises(ExpectationError, match="nothing was heard of a docking of B"):
        telling.story(events(*WHOLE), "B")
