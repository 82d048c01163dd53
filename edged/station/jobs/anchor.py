"""Has the ledger bounded in time from outside (EVIDENCE.md, section 5), at docking ends and at least hourly.

A *round* is a signed checkpoint that everybody is asked to anchor; `RoundsJob` begins and ends rounds. Each authority
and each witness is a worker of its own, so that one that is slow, gone or hostile holds up no other: it does what it
owes, oldest round first, whenever it can be reached again. Order: what arrives was verified by the client; then it is
made durable, in one transaction with its `anchor` entry; only then is the next one asked for.
"""

import threading
from datetime import timedelta
from typing import Final, Literal

from edged.anchors.port import AnchorError, Authority, Conflict, Cosigned, ForkError, Stamp, UnknownLogError, Witness
from edged.book.anchors import AnchorNotes, AnchorRow, News, Round
from edged.clock import from_rfc3339, rfc3339
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.note import parse_checkpoint, parse_note
from edged.evidence.text import to_base64
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS

_REST_SECONDS: Final = 5.0
"""Recorders that leave together make one round."""
_ASKS: Final = 4
"""How often a witness may name another size before it is left alone for a while."""
_CLOCKS_AGREE: Final = timedelta(minutes=5)
_WORTH: Final = timedelta(days=1)
"""A renewal that lasts no longer than this beyond the token is none."""


class RoundsJob:
    """Chooses the checkpoints that are to be anchored."""

    name = "anchor"
    idle_seconds = IDLE_SECONDS
    put_off = 0

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        part = parts.config.anchors
        self._names = [each.id for each in part.authority] + [each.name for each in part.witness]
        self._patience = timedelta(minutes=part.every_minutes)
        self._seen: dict[tuple[int, int], float] = {}
        """Since when (monotonic) an entry of an epoch is known to wait."""
        self._begun: float | None = None

    def step(self, stop: threading.Event) -> bool:
        """End the rounds that nobody owes anything of, and begin one that is due."""
        anchors = self._parts.book.anchors
        for each in anchors.rounds():
            if all(anchors.largest_by(name, each.origin) >= each.size for name in self._names):
                anchors.end_round(each)
        due = [news for news in anchors.news() if self._is_due(news)]
        if not due:
            return False
        now = self._parts.clock.monotonic()
        if self._begun is not None and stop.wait(max(0.0, self._begun + _REST_SECONDS - now)):
            return False
        # Entries come in bursts; while it was waited, a larger checkpoint may have been signed.
        for news in anchors.news():
            if news.epoch in {each.epoch for each in due}:
                anchors.begin_round(news.epoch, news.size)
        self._begun = self._parts.clock.monotonic()
        self._seen.clear()
        self._parts.anchor_wanted.clear()
        return True

    def _is_due(self, news: News) -> bool:
        if news.urgent or self._parts.anchor_wanted.is_set():
            return True
        clock = self._parts.clock
        now = clock.monotonic()
        since = self._seen.setdefault((news.epoch, news.first), now)
        if now - since >= self._patience.total_seconds():
            return True
        written = self._parts.book.anchors.time_of(news.epoch, news.first)
        # A clock that stepped back makes entries of the future: these have waited long enough.
        return written is not None and not timedelta(0) <= clock.now() - written < self._patience


class _Party:
    """What asking an authority and asking a witness have in common."""

    idle_seconds = IDLE_SECONDS
    put_off = 0

    def __init__(self, parts: Parts, party: str) -> None:
        self._parts = parts
        self._party = party
        self.name = f"anchor {party}"

    def _keep(self, chosen: Round | AnchorRow, root: str, anchor: Stamp | Cosigned, *, renewal: int = 0) -> None:
        """Make an anchor durable with its entry."""
        kind: Literal["rfc3161", "cosignature"]
        if isinstance(anchor, Stamp):
            kind, data, expires = "rfc3161", anchor.data, rfc3339(anchor.expires)
        else:
            kind, data, expires = "cosignature", anchor.line, None
        notes = AnchorNotes(
            name=chosen.name if isinstance(chosen, AnchorRow) else self._party,
            moment=rfc3339(anchor.moment),
            expires=expires,
            renewal=renewal,
        )
        body = bodies.Anchor(
            kind=kind,
            origin=chosen.origin,
            size=chosen.size,
            root=root,
            sha256=sha256_hex(data),
            by=anchor.by,
            **notes.plain(),
        )
        self._parts.book.ledger.append(body, documents=[data])
        self._compare_clocks(anchor)

    def _compare_clocks(self, anchor: Stamp | Cosigned) -> None:
        """Say that a clock is wrong: the station's, or the other one. Neither is corrected by the other."""
        apart = self._parts.clock.now() - anchor.moment
        source = f"clock {self._party}"
        if abs(apart) <= _CLOCKS_AGREE:
            self._parts.live.calm(source)
            return
        way = "ahead of" if apart > timedelta(0) else "behind"
        text = f"The station's clock is {abs(apart) // timedelta(seconds=1)} s {way} that of {anchor.by}."
        self._parts.live.alarm(source, text, "Set the clock that is wrong. What is signed says which was synchronised.")


class AuthorityJob(_Party):
    """Has one authority stamp what it owes, and renew its tokens before it expires."""

    def __init__(self, parts: Parts, authority: Authority, *, is_first: bool) -> None:
        """Tokens of authorities that are not configured any more are renewed by the first."""
        super().__init__(parts, authority.name)
        self._authority = authority
        self._configured = {each.id for each in parts.config.anchors.authority}
        self._is_first = is_first
        self._renew = timedelta(days=parts.config.anchors.renew_days)
        self._rests_until = 0.0

    def step(self, stop: threading.Event) -> bool:
        """Have one checkpoint stamped, or one token renewed; raises AnchorError or UnavailableError."""
        del stop
        owed = self._parts.book.anchors.owed_by(self._party)
        if owed is not None:
            self._keep(owed, _root(owed), self._authority.stamp(owed.note))
            return True
        return self._renewed()

    def _renewed(self) -> bool:
        """Renew one token, if one is to be renewed and the authority has a certificate that lasts longer."""
        clock, anchors = self._parts.clock, self._parts.book.anchors
        if clock.monotonic() < self._rests_until:
            return False
        others = self._configured if self._is_first else None
        soon = anchors.expiring(rfc3339(clock.now() + self._renew), name=self._party, and_all_but=others)
        if soon is None or soon.expires is None:
            return False
        stamp = self._authority.stamp(soon.data)
        if stamp.expires - from_rfc3339(soon.expires) <= _WORTH:
            self._rests_until = clock.monotonic() + _WORTH.total_seconds()
            return False
        over = anchors.signed(soon.origin, soon.size)
        if over is not None:
            self._keep(soon, _root(over), stamp, renewal=soon.renewal + 1)
        return True


class WitnessJob(_Party):
    """Has one witness cosign what it owes."""

    def __init__(self, parts: Parts, witness: Witness) -> None:
        super().__init__(parts, witness.name)
        self._witness = witness

    def step(self, stop: threading.Event) -> bool:
        """Have one checkpoint cosigned; raises AnchorError or UnavailableError."""
        del stop
        owed = self._parts.book.anchors.owed_by(self._party)
        if owed is None:
            return False
        try:
            target, cosigned = self._cosigned(owed)
        except UnknownLogError as error:
            key = self._parts.book.anchors.log_key(owed.epoch)
            raise UnknownLogError(error.message, hint=f'Its witness.toml needs:  [[log]]  vkey = "{key}"') from error
        self._keep(target, _root(target), cosigned)
        return True

    def _cosigned(self, owed: Round) -> tuple[Round, Cosigned]:
        """Ask from the size that the witness knows; it may know more than is held, if an answer was lost."""
        book = self._parts.book
        held = old = book.anchors.largest_by(self._party, owed.origin)
        target = owed
        for _ in range(_ASKS):
            proof = book.ledger.consistency_proof(target.epoch, old, target.size)
            answer = self._witness.add_checkpoint(old, proof, target.note)
            if not isinstance(answer, Conflict):
                return target, answer
            old = answer.size
            if old < held:
                self._forgot(old, held)
            if old > target.size:
                target = self._known(owed, old)
        raise AnchorError(
            f"The witness {self._party} names other sizes each time it is asked.", hint="It is tried again."
        )

    def _known(self, owed: Round, size: int) -> Round:
        """Give the checkpoint that a witness names: it has cosigned it, so it must be one of ours."""
        known = self._parts.book.anchors.signed(owed.origin, size)
        if known is None:
            raise ForkError(
                f"The witness {self._party} cosigned {size} entries of this ledger, which this book never signed.",
                hint="Was this station restored from a backup, or its disk copied? Or the witness is at fault.",
            )
        return known

    def _forgot(self, size: int, held: int) -> None:
        """Say that a witness went back: what it cosigns from then on is worth less."""
        self._parts.live.alarm(
            "witness",
            f"The witness {self._party} cosigned {held} entries, and says now that it knows {size}: it forgot.",
            "Whoever runs it must find out why: a restored backup, or another machine under the same key.",
        )


def _root(chosen: Round) -> str:
    """Give the root that a checkpoint states."""
    return to_base64(parse_checkpoint(parse_note(chosen.note).text).root)
