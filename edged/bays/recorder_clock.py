"""What a recorder's clock showed when it was connected, against the station's: an offset, and how sure it is.

A recorder that shows up as storage cannot be asked. But some kinds write something by their own clock when they are
connected; the profile says what (`clock_reading`). The station knows between which two moments the card came, so the
offset lies between two bounds. Guarantees: the uncertainty covers all of it, the station's looking, the recorder's
delay and the steps in which its time counts; what cannot be bounded is no reading; nothing that a card holds makes
this fail. What was there unchanged at the last docking was not written at this one, and is not used.

File-name times against container times are two claims of one clock, so they tell nothing about its offset; that they
contradict each other is told by `rules.clocks.contradiction`.
"""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from pydantic import JsonValue

from edged.bays.inventory import Item
from edged.bays.profiles import ClockWay, Profile, WayOfReading, zone_of
from edged.bays.safe_files import RecorderGoneError, read_end, read_start
from edged.bays.source import Docked
from edged.clock import Clock, from_ms, rfc3339
from edged.errors import EdgedError, MalformedError

_STATUS_BYTES: Final = 65_536
_LOG_BYTES: Final = 4_096
_LINE: Final = 500
"""Longer lines are no status: a pattern is not let loose on what a stranger made long."""
_UNIX_DIGITS: Final = 11
_WIDEST_MS: Final = 300_000
"""A reading that is less sure than five minutes tells nothing."""

_Ms = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True)
class ClockReading:
    """How far a recorder's clock was off when it was connected."""

    offset_ms: int
    """Recorder minus station."""
    uncertainty_ms: int
    """The true offset is at most so much larger or smaller."""
    way: WayOfReading
    path: str
    """Of the file on the card."""
    claimed: datetime
    """The recorder's time, as it stands there."""
    earliest: datetime
    latest: datetime
    """By the station's clock, between which it was written."""

    @property
    def basis(self) -> dict[str, JsonValue]:
        """Give all that the offset follows from, as it stands in the `docking` entry (`clock_basis`)."""
        return {
            "way": self.way,
            "path": self.path,
            "claimed": self.claimed.isoformat(timespec="milliseconds"),
            "not_before": rfc3339(self.earliest),
            "not_after": rfc3339(self.latest),
        }


def read_clock(  # noqa: PLR0913 - the card, what is known of it, and the clock
    docked: Docked,
    profile: Profile,
    items: Sequence[Item],
    zone: str,
    clock: Clock,
    *,
    unchanged: Container[str] = frozenset(),
) -> ClockReading | None:
    """Compare a docked recorder's clock with the station's; None where its kind offers no way, or none gave a time.

    `zone` is that of local times on the card, `unchanged` the paths of files that were the same at the last docking.
    Raises RecorderGoneError, and nothing else for what a card holds.
    """
    if docked.plugged is None:
        return None
    # A busy machine may pause between two looks at its clocks: each bound takes the one that makes it wider.
    before, now, after = clock.monotonic(), clock.now(), clock.monotonic()
    latest = now - timedelta(seconds=max(0.0, before - docked.plugged.latest))
    came = now - timedelta(seconds=max(0.0, after - docked.plugged.earliest))
    files = [item for item in items if item.kind == "file"]
    for way in profile.clock_reading:
        try:
            found = _claimed(docked, profile, way, files, zone_of(zone), unchanged)
        except RecorderGoneError:
            raise
        except EdgedError:
            # A file that cannot be read, a zone that is none: the next way may still give a time.
            continue
        if found is None:
            continue
        path, claimed = found
        earliest = came - timedelta(seconds=way.within_seconds)
        # Whether a recorder cuts or rounds its time is not known: it is right to a step either way.
        step = timedelta(milliseconds=way.step_ms)
        least, most = claimed - latest - step, claimed - earliest + step
        offset_ms = ((least + most) // 2) // _Ms
        # Rounding and the cut to milliseconds of the station's own clock are in the last two.
        uncertainty_ms = ((most - least) // 2) // _Ms + 2
        if uncertainty_ms <= _WIDEST_MS:
            return ClockReading(
                offset_ms=offset_ms,
                uncertainty_ms=uncertainty_ms,
                way=way.way,
                path=path,
                claimed=claimed,
                earliest=earliest,
                latest=latest,
            )
    return None


def _claimed(  # noqa: PLR0913, PLR0917 - see `read_clock`
    docked: Docked, profile: Profile, way: ClockWay, files: Sequence[Item], zone: tzinfo, unchanged: Container[str]
) -> tuple[str, datetime] | None:
    """Give the path of the file that a way means, and the recorder's time in it."""
    item = _meant(profile, way, files)
    if item is None or item.path in unchanged:
        return None
    if way.time is None:
        moment = _changed(item, zone if way.local else None)
        return None if moment is None else (item.path, moment)
    if way.way == "log":
        # Only the very last line: one further up was written at another time, however right it looks.
        lines = [line for line in _lines(read_end(docked.root, item.path, _LOG_BYTES)) if line.strip()][-1:]
    else:
        lines = _lines(read_start(docked.root, item.path, _STATUS_BYTES))
    matches = (way.time.search(line) for line in lines if len(line) <= _LINE)
    match = next((each for each in matches if each), None)
    moment = None if match is None else _moment(match, zone)
    return None if moment is None else (item.path, moment)


def _meant(profile: Profile, way: ClockWay, files: Sequence[Item]) -> Item | None:
    """Find the file that a way of reading means."""
    if way.path is not None:
        return next((item for item in files if item.path == way.path), None)
    if way.way == "log":
        logs = []
        for item in files:
            match = profile.match(item.path)
            if match is not None and match[0].name == way.rule:
                dated = tuple(match[1].get(part, "") for part in ("year", "month", "day", "hour", "minute", "second"))
                logs.append((dated, match[1].get("sequence", ""), item.path, item))
        return max(logs, key=lambda log: log[:3])[3] if logs else None
    changed = [item for item in files if item.modified_ns is not None]
    return max(changed, key=lambda item: (item.modified_ns or 0, item.path)) if changed else None


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8-sig", "replace").splitlines()


def _moment(match: re.Match[str], zone: tzinfo) -> datetime | None:
    """Read the time that a pattern found, in UTC or with its offset; None for what is none, or stands twice."""
    groups = match.groupdict()
    unix = groups.get("unix")
    try:
        if unix is not None:
            return from_ms(int(unix) * 1000) if unix.isdecimal() and len(unix) <= _UNIX_DIGITS else None
        parts = [groups[part] or "" for part in ("year", "month", "day", "hour", "minute", "second")]
        if not all(part.isdecimal() and len(part) <= 4 for part in parts):  # noqa: PLR2004 - the digits of a year
            return None
        year, month, day, hour, minute, second = map(int, parts)
        offset = groups.get("offset")
        here = zone if offset is None else zone_of(offset)
        return _aware(datetime(year, month, day, hour, minute, second, tzinfo=here))
    except (ValueError, OverflowError, OSError, MalformedError):
        return None


def _changed(item: Item, local: tzinfo | None) -> datetime | None:
    try:
        moment = from_ms((item.modified_ns or 0) // 1_000_000)
        return moment if local is None else _aware(moment.replace(tzinfo=local))
    except (ValueError, OverflowError, OSError):
        return None


def _aware(moment: datetime) -> datetime | None:
    """Give a local time with its offset; None for one that the clocks of the zone leave out or show twice."""
    offset = moment.utcoffset()
    if offset is None or offset != moment.replace(fold=1).utcoffset() or offset % timedelta(minutes=1):
        return None
    moment.astimezone(UTC)
    return moment
