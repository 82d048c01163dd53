"""What the names of files claim: device, officer, start, sequence, importance, and what a side file belongs to.

Claims stand as the recorder made them and are never corrected here (EVIDENCE.md, section 2, `recorded`). A file that
fits no layout rule, or whose name holds an impossible date, claims what its time of last change says: an end, since
a recorder touches a file last when it stops writing it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal

from edged.bays.inventory import Item
from edged.bays.profiles import ContainerTime, LayoutRule, Profile, zone_of
from edged.clock import from_ms
from edged.evidence.ids import OfficerId, to_id

_NAME_UNCERTAINTY_MS: Final = 1_000
"""Names count whole seconds."""

_MTIME_UNCERTAINTY_MS: Final = 2_000
"""FAT counts in steps of two seconds."""

_SEQUENCE_DIGITS: Final = 15
"""More digits than this could pass 2^53, which no signed document states."""


@dataclass(frozen=True, kw_only=True)
class FileClaims:
    """What one file claims about itself."""

    device: str | None
    officer: OfficerId | None
    """Mapped to an id; the name itself stays in the path."""
    started: datetime | None
    """Aware, with the offset that `zone` had then."""
    ended: datetime | None
    """Aware; only from the time of last change."""
    zone: str
    """As claimed: IANA name or offset."""
    source: Literal["filename", "mtime"]
    uncertainty_ms: int
    """Of the time as written, not of the recorder's clock; an hour that occurs twice, or never, adds itself."""
    sequence: int | None
    important: bool
    side_of: str | None
    """Path of the file that this one stands beside, if exactly one on the card is that."""
    is_media: bool
    """Whether the profile expects footage, a photograph or sound under this extension."""
    container_time: ContainerTime | None = None
    stays: bool = False
    """Whether it is the recorder's own, which writes it anew as it likes."""
    """What this kind of recorder means by the time within a file, if that is to be compared with its name."""


def describe(items: Iterable[Item], profile: Profile, zone: str) -> dict[str, FileClaims]:
    """Give the claims of every file of a card by path.

    `zone` is the zone of the local times in names: what the recorder or its profile says, else the station's.
    Raises MalformedError if it is no zone.
    """
    files = [item for item in items if item.kind == "file"]
    matches = {item.path: match for item in files if (match := profile.match(item.path))}
    beside = _Beside(profile, matches)
    local = zone_of(zone)
    claims = {}
    for item in files:
        rule, groups = matches.get(item.path, (None, {}))
        started, uncertainty_ms = _started(groups, local)
        claims[item.path] = FileClaims(
            device=groups.get("device"),
            officer=OfficerId(to_id(groups["officer"])) if groups.get("officer") else None,
            started=started,
            ended=None if started else _ended(item, local),
            zone=zone,
            source="filename" if started else "mtime",
            uncertainty_ms=uncertainty_ms if started else _MTIME_UNCERTAINTY_MS,
            sequence=_number(groups.get("sequence")),
            important=bool(groups.get("important")),
            side_of=beside.main_of(rule, groups),
            is_media=profile.is_media(item.path),
            container_time=profile.container_time,
            stays=profile.keeps(item.path),
        )
    return claims


class _Beside:
    """Finds the file that a side file stands beside, by the values of the groups that both rules share."""

    def __init__(self, profile: Profile, matches: Mapping[str, tuple[LayoutRule, dict[str, str]]]) -> None:
        self._profile = profile
        self._mains: dict[tuple[str, ...], list[str]] = defaultdict(list)
        sides = [rule for rule in profile.layout if rule.side_of]
        for path, (rule, groups) in matches.items():
            for side in sides:
                if side.side_of == rule.name:
                    self._mains[self._key(side, groups)].append(path)

    def main_of(self, rule: LayoutRule | None, groups: Mapping[str, str]) -> str | None:
        if rule is None or rule.side_of is None:
            return None
        mains = self._mains.get(self._key(rule, groups), [])
        return mains[0] if len(mains) == 1 else None

    def _key(self, side: LayoutRule, groups: Mapping[str, str]) -> tuple[str, ...]:
        return (side.name, *(groups.get(group, "") for group in self._profile.shared_groups(side)))


def _started(groups: Mapping[str, str], zone: tzinfo) -> tuple[datetime | None, int]:
    parts = [groups.get(part) for part in ("year", "month", "day", "hour", "minute", "second")]
    try:
        # A date without a time of day says nothing about a start.
        year, month, day, hour, minute, second = (int(part) for part in parts if part)
        first = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        offset, other = first.utcoffset(), first.replace(fold=1).utcoffset()
        first.astimezone(UTC)
    except (ValueError, OverflowError):
        return None, 0
    if offset is None or other is None or offset % timedelta(minutes=1):
        # RFC 3339 has no offsets with seconds; zones had them in the years before any recorder.
        return None, 0
    return first, _NAME_UNCERTAINTY_MS + abs(offset - other) // timedelta(milliseconds=1)


def _ended(item: Item, zone: tzinfo) -> datetime | None:
    if item.modified_ns is None:
        return None
    try:
        moment = from_ms(item.modified_ns // 1_000_000).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return None
    offset = moment.utcoffset()
    return None if offset is None or offset % timedelta(minutes=1) else moment


def _number(digits: str | None) -> int | None:
    return int(digits) if digits and digits.isdecimal() and len(digits) <= _SEQUENCE_DIGITS else None
