"""When originals were recorded, as far as the entries in a bundle tell: beside each claim, the interval it stands for.

The claim of a recorder stays as it is. What its clock was off by is read from the `docking` entries that are here: that
of the docking in which the file was read, and those of the same recorder and station before it.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from edged.bundles.pages.account import Account
from edged.clock import from_rfc3339, rfc3339
from edged.evidence import bodies
from edged.evidence.entry import Entry
from edged.evidence.ids import SegmentId
from edged.evidence.verification.words import Words
from edged.rules.clocks import Corrected, Interval, Reading, corrected, reading_of

_EARLIER: Final = 30
"""So many dockings back; a clock that was measured more often than that is known well enough."""

_ABSENT: Final = Corrected(
    start=None,
    end=None,
    basis=Words(
        "The entry of its docking is not here, so nothing is known of the recorder's clock.",
        "其接入条目不在此处，因此对记录仪时钟一无所知。",
    ),
)


class Recorded:
    """Corrects the claims of the originals in a bundle."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._histories = _histories(account)

    def of(self, segment: SegmentId) -> Corrected | None:
        """Give when an original was recorded by the station's clock; None where no readable entry of it is here."""
        entry = self._account.sealed.get(segment)
        if entry is None or not isinstance(entry.body, bodies.Segment):
            return None
        body = entry.body
        known = self._histories.get((entry.station, body.recorder, body.docking))
        if known is None:
            return _ABSENT
        docking, history = known
        start, end = (None if each is None else from_rfc3339(each) for each in (body.recorded.start, body.recorded.end))
        return corrected(
            start,
            end,
            uncertainty_ms=body.recorded.uncertainty_ms,
            history=history,
            synchronised=docking.clock == "synchronised",
        )

    def plain(self) -> dict[str, object]:
        """Give all of it as JSON values, by segment."""
        found: dict[str, object] = {}
        for segment, entry in self._account.sealed.items():
            times = self.of(segment)
            if times is None or not isinstance(entry.body, bodies.Segment):
                continue
            claimed = entry.body.recorded
            found[segment] = {
                "claimed": {"start": claimed.start, "end": claimed.end, "uncertainty_ms": claimed.uncertainty_ms},
                "start": _plain(times.start),
                "end": _plain(times.end),
                "basis": {"en": times.basis.en, "zh": times.basis.zh},
            }
        return found


def _plain(interval: Interval | None) -> object:
    if interval is None:
        return None
    return {"earliest": rfc3339(interval.earliest), "latest": rfc3339(interval.latest)}


def _histories(account: Account) -> Mapping[tuple[str, str, str], tuple[Entry, tuple[Reading, ...]]]:
    """Give, for each docking of a recorder at a station, its entry and what is known of the clock up to then."""
    known: dict[tuple[str, str], list[Reading]] = defaultdict(list)
    found: dict[tuple[str, str, str], tuple[Entry, tuple[Reading, ...]]] = {}
    for entry in account.custody:
        if isinstance(entry.body, bodies.Docking):
            recorder = entry.body.recorder.id
            history = known[entry.station, recorder]
            history.append(reading_of(entry.time, entry.body))
            found[entry.station, recorder, entry.body.docking] = entry, tuple(history[-_EARLIER:])
    return found
