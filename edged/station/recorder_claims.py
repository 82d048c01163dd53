"""Which recorder is taken in by which bay, or handed in by a person: two of them never write one recorder's chain."""

import threading
from dataclasses import dataclass
from math import inf
from typing import Final

from edged.errors import StoppedError
from edged.evidence.ids import BayId, RecorderId, is_handed_in

_LOOK_SECONDS: Final = 1.0
"""How often somebody who waits for a claim looks whether the other recorder, or its own, left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Claim:
    """That a recorder is taken in by a bay."""

    bay: BayId
    gone: threading.Event
    """Set when the recorder left the bay, which may still have to end what it began."""

    @property
    def lets_go(self) -> bool:
        """Whether it ends by itself: its recorder left, or a person handed something in."""
        return self.gone.is_set() or is_handed_in(self.bay)


class Claims:
    """Which recorder is taken in by which bay: two bays never write one recorder's chain."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._claims: dict[RecorderId, Claim] = {}
        self.ending = threading.Lock()
        """Held by whoever ends a docking whose recorder is not there, as another bay may want to as well."""

    def take(self, recorder: RecorderId, bay: BayId, gone: threading.Event) -> Claim | None:
        """Claim a recorder for a bay; gives the claim of another bay if that keeps it."""
        with self._changed:
            kept = self._claims.setdefault(recorder, Claim(bay=bay, gone=gone))
            return None if kept.bay == bay else kept

    def wait(self, recorder: RecorderId, other: Claim, gone: threading.Event, seconds: float = inf) -> bool:
        """Wait until the claim of another bay was given back, or begins to end by itself; False if it does not in time.

        Raises StoppedError when `gone` is set meanwhile.
        """
        ends_anyhow = other.lets_go

        def is_over() -> bool:
            return gone.is_set() or self._claims.get(recorder) is not other or other.lets_go != ends_anyhow

        with self._changed:
            while not self._changed.wait_for(is_over, _LOOK_SECONDS):
                seconds -= _LOOK_SECONDS
                if seconds <= 0:
                    return False
        if gone.is_set():
            raise StoppedError("The recorder left, or the station stops.")
        return True

    def bay_of(self, recorder: RecorderId) -> BayId | None:
        """Give the bay that keeps a recorder; None if none does."""
        with self._changed:
            claim = self._claims.get(recorder)
            return None if claim is None else claim.bay

    def holds(self, bay: str) -> bool:
        """Say whether something is being taken in at a bay, or was handed in under its name."""
        with self._changed:
            return any(claim.bay == bay for claim in self._claims.values())

    def wait_for_handed_in(self, seconds: float) -> None:
        """Wait until nothing that was handed in is under way."""
        with self._changed:
            self._changed.wait_for(lambda: not any(is_handed_in(claim.bay) for claim in self._claims.values()), seconds)

    def give_back(self, bay: BayId) -> None:
        """Give up whatever a bay has claimed."""
        with self._changed:
            self._claims = {recorder: claim for recorder, claim in self._claims.items() if claim.bay != bay}
            self._changed.notify_all()
