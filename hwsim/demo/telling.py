"""What the broker was told: compared with the ledger, and told again as a story, from what mosquitto_sub printed.

Nothing of the station's code is used. Each check raises ExpectationError with the first thing that is not as it
should be.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

from hwsim.demo.proofs import expect
from hwsim.observer import Message

Plain: TypeAlias = Mapping[str, Any]
"""A payload, as JSON has it."""

_FIRST: Final = "0" * 64
"""What the first event names as the one before it."""

_OF_BAYS: Final = ("phase", "removable", "files_done", "files", "bytes_per_second", "seconds_left", "wiped")
_OF_EVENTS: Final = {
    "docking": ("recorder", "files", "bytes"),
    "segment": ("path", "bytes", "sha256"),
    "sighting": ("path",),
    "replica": ("store", "verified"),
    "clearance": ("docking", "items"),
    "wipe": ("path", "outcome"),
    "undocking": ("outcome", "remaining"),
}
"""What is shown of bays, and of events by their type; other events are left out of the story."""

_LONGEST: Final = 32
"""Of a text in the story."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a listener heard of the ledger."""

    events: int
    """Different ones."""
    repeated: int
    """Heard once more, which QoS 1 allows: the same bytes, right behind where they stood."""


def events(heard: Sequence[Message]) -> list[bytes]:
    """Give the events that were heard, in order."""
    return [each.payload for each in heard if each.payload is not None and each.topic.endswith("/events")]


def check_told(heard: Sequence[Message], ledger: Sequence[bytes]) -> Told:
    """Expect every entry of the ledger as an event, byte for byte: none missing, none out of order.

    First by the events alone, as anybody can: each names the digest of the one before it.
    """
    told = events(heard)
    once = list(dict.fromkeys(told))
    expect(once, "no event was heard")
    expect(json.loads(once[0])["prev"] == _FIRST, f"the first event heard is not the first: {once[0][:200]!r}")
    for before, after in pairwise(once):
        follows = json.loads(after)["prev"] == hashlib.sha256(before).hexdigest()
        expect(follows, f"an event is missing or out of order between {_where(before)} and {_where(after)}")
    places = {event: place for place, event in enumerate(once)}
    for place, next_place in pairwise(places[event] for event in told):
        expect(next_place <= place + 1, f"an event is out of order behind {_where(once[place])}")
    missing = [entry for entry in ledger if entry not in places]
    expect(not missing, f"{len(missing)} entries were not told, such as {_where(min(missing, default=b'{}'))}")
    expect(once == list(ledger), "what was told is not the ledger")
    return Told(events=len(once), repeated=len(told) - len(once))


def is_over(heard: Sequence[Message]) -> bool:
    """Say whether the last that was heard of the station as a whole is that it was stopped."""
    said = [json.loads(each.payload) for each in heard if each.payload is not None and each.topic.endswith("/state")]
    return bool(said) and (said[-1]["state"], said[-1]["reason"]) == ("offline", "stopped")


def removable(heard: Sequence[Message]) -> set[str]:
    """Give the bays whose recorder can be taken out, by the last that was heard of them."""
    bays = {each.topic: each.payload for each in heard if "/bays/" in each.topic}
    return {topic.rpartition("/")[2] for topic, said in bays.items() if said and json.loads(said)["removable"]}


def check_nothing_left(heard: Sequence[Message]) -> None:
    """Expect that in the end nothing is retained about a bay, all of them being free."""
    for topic, payload in {each.topic: each.payload for each in heard if "/bays/" in each.topic}.items():
        expect(payload is None, f"{topic} was left as {payload!r}")


def story(heard: Sequence[Message], recorder: str) -> list[str]:
    """Give what was heard of a recorder's last docking, shortened: of several events of one kind, the first."""
    lines: list[tuple[str, str]] = []
    kinds: Counter[str] = Counter()
    shown: object = ""
    for topic, said in _visit(heard, recorder):
        if topic.endswith("/events"):
            kind = f"{said['type']} {said['body'].get('store', '')}"
            kinds[kind] += 1
            if kinds[kind] == 1:
                lines.append((kind, f"{topic} {_event(said)}"))
        elif (look := (said.get("phase"), said.get("seconds_left") is None)) != shown:
            shown = look
            lines.append(("", f"{topic} {_shortened(said, _OF_BAYS) if said else '(null)'}"))
    return [line + (f"  and {kinds[kind] - 1} more" if kinds[kind] > 1 else "") for kind, line in lines]


def _visit(heard: Sequence[Message], recorder: str) -> list[tuple[str, Plain]]:
    """Give topic and payload of what is about a recorder's last docking, from a free bay to a free bay."""
    plain = [(each.topic, json.loads(each.payload or b"{}")) for each in _without_repetitions(heard)]
    begins = [number for number, (_, said) in enumerate(plain) if _is_docking(said, recorder)]
    expect(begins, f"nothing was heard of a docking of {recorder}")
    begin, (topic, said) = begins[-1], plain[begins[-1]]
    docking, bay = said["body"]["docking"], topic.removesuffix("/events") + f"/bays/{said['body']['bay']}"
    free = [number for number, each in enumerate(plain) if each == (bay, {})]
    first = max((number + 1 for number in free if number < begin), default=0)
    last = min((number for number in free if number > begin), default=len(plain) - 1)
    segments = {
        said["body"]["segment"]
        for _, said in plain
        if said.get("type") in {"segment", "sighting"} and said["body"]["docking"] == docking
    }

    def belongs(number: int) -> bool:
        topic, said = plain[number]
        if topic == bay:
            # Where the broker was away when the recorder was pulled out, nobody heard that the bay was free.
            return not said or said["docking"] in {None, docking}
        if number < begin or said.get("type") not in _OF_EVENTS:
            return False
        return bool(said["body"].get("docking") == docking or said["body"].get("segment") in segments)

    return [plain[number] for number in range(first, last + 1) if belongs(number)]


def _without_repetitions(heard: Sequence[Message]) -> Iterator[Message]:
    """Give what was heard, each event once; bays may be in one state again and again."""
    met: set[Message] = set()
    for each in heard:
        if each not in met:
            yield each
        if each.topic.endswith("/events"):
            met.add(each)


def _is_docking(said: Plain, recorder: str) -> bool:
    return said.get("type") == "docking" and said["body"]["recorder"]["id"] == recorder


def _event(said: Plain) -> str:
    body = _shortened(said["body"], _OF_EVENTS[said["type"]])
    return f'{{"seq":{said["seq"]},"type":"{said["type"]}","body":{body},…}}'


def _shortened(plain: Plain, keys: Sequence[str]) -> str:
    shown = ",".join(f'"{key}":{_short(plain[key])}' for key in keys if key in plain)
    return f"{{{shown},…}}"


def _short(value: object) -> str:
    if isinstance(value, str) and len(value) > _LONGEST:
        value = value[: _LONGEST // 2] + "…"
    if isinstance(value, list):
        return "[…]"
    if isinstance(value, dict) and "id" in value:
        return f'{{"id":{_short(value["id"])},…}}'
    return json.dumps(value, ensure_ascii=False)


def _where(event: bytes) -> str:
    plain = json.loads(event)
    return f"{plain.get('epoch')}/{plain.get('seq')}"
