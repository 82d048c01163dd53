"""Anchors in time as the book holds them, and which checkpoints are still to be anchored.

An anchor is an `anchor` entry and a document: the exact bytes of the token or signature line, committed together, so
neither is ever without the other. Its row is a projection of that entry. *Rounds* are the checkpoints chosen for every
authority and witness to anchor; a round ends when each of them has, and one that nobody anchored gives way to the
next. They are work: losing them costs anchors of those who could not be reached, never one that is held.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from edged.book.database import Database, Row
from edged.evidence import bodies
from edged.evidence.entry import parse
from edged.evidence.ids import Sha256

MOST_ROUNDS = 1_000
"""As many are kept open for those who cannot be reached: six weeks of hours."""


@dataclass(frozen=True, kw_only=True)
class AnchorNotes:
    """The further keys of an `anchor` entry's body, by which the anchor is found again."""

    name: str
    """Of the authority or witness in the configuration; empty if the entry does not say."""
    moment: str | None
    """The time that the anchor states (RFC 3339, UTC)."""
    expires: str | None = None
    """Until when a token's authority is valid; None for a cosignature."""
    renewal: int = 0
    """0, or the how-many-th renewal of a token this is."""

    @classmethod
    def of(cls, body: bodies.Anchor) -> Self:
        """Read them from an entry."""
        more = body.model_extra or {}
        texts = {key: value for key in ("name", "moment", "expires") if isinstance(value := more.get(key), str)}
        renewal = more.get("renewal", 0)
        return cls(
            name=texts.get("name", ""),
            moment=texts.get("moment"),
            expires=texts.get("expires"),
            renewal=renewal if isinstance(renewal, int) and renewal >= 0 else 0,
        )

    def plain(self) -> dict[str, str | int]:
        """Give the keys to sign: those that say something."""
        keys = {"name": self.name, "moment": self.moment, "expires": self.expires, "renewal": self.renewal}
        return {key: value for key, value in keys.items() if value}

    @property
    def file_name(self) -> str:
        """What a token is called in bundles and in the store: NAME.tsr, and NAME.1.tsr … for its renewals."""
        return f"{self.name}.{self.renewal}.tsr" if self.renewal else f"{self.name}.tsr"

    def row(self) -> dict[str, Any]:
        """Give them as columns."""
        return {"name": self.name, "moment": self.moment, "expires": self.expires, "renewal": self.renewal}


@dataclass(frozen=True, kw_only=True)
class AnchorRow:
    """An anchor that is held."""

    position: int
    """Of its entry."""
    sha256: Sha256
    kind: Literal["rfc3161", "cosignature"]
    name: str
    origin: str
    size: int
    moment: str | None
    expires: str | None
    renewal: int
    data: bytes
    """The token, or the signature line from the dash through LF."""

    @property
    def file_name(self) -> str:
        """What a token is called in bundles and in the store."""
        return AnchorNotes(name=self.name, moment=self.moment, renewal=self.renewal).file_name


@dataclass(frozen=True, kw_only=True)
class Round:
    """A signed checkpoint that is to be anchored."""

    epoch: int
    origin: str
    size: int
    note: bytes
    """The checkpoint as signed by the log alone."""


@dataclass(frozen=True, kw_only=True)
class News:
    """What a signed checkpoint covers that no round does yet."""

    epoch: int
    size: int
    """Of the newest signed checkpoint."""
    first: int
    """Index of the oldest entry that makes an anchor due."""
    urgent: bool
    """Whether a docking or the epoch ended."""


class Anchors:
    """Anchors and rounds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- rounds

    def news(self) -> list[News]:
        """Give each epoch whose signed checkpoint covers entries that make an anchor due (EVIDENCE.md, section 5)."""
        found = []
        for row in self._database.rows("signed_heads"):
            epoch, size = int(row["epoch"]), int(row["size"])
            values = {"epoch": epoch, "from": self.last_round(epoch), "end": size}
            new = self._database.row("anchor_news", **values)
            if new is not None and new["first"] is not None:
                found.append(News(epoch=epoch, size=size, first=int(new["first"]), urgent=bool(new["urgent"])))
        return found

    def last_round(self, epoch: int) -> int:
        """Give the largest size of an epoch that was chosen for anchoring, 0 if none was."""
        row = self._database.row("last_round", epoch=epoch)
        return 0 if row is None else int(row["size"])

    def begin_round(self, epoch: int, size: int) -> None:
        """Choose a signed checkpoint; those before it that nobody anchored are given up, and those beyond bounds."""
        with self._database.write():
            self._database.run("give_rounds_up", epoch=epoch)
            self._database.run("begin_round", epoch=epoch, size=size)
            self._database.run("forget_rounds", most=MOST_ROUNDS)
            self._database.bring_news()

    def rounds(self) -> list[Round]:
        """Give the open rounds, oldest first."""
        return [_round(row) for row in self._database.rows("rounds")]

    def owed_by(self, name: str) -> Round | None:
        """Give the oldest open round that is beyond what an authority or a witness has anchored."""
        row = self._database.row("owed_round", name=name)
        return None if row is None else _round(row)

    def end_round(self, chosen: Round) -> None:
        """Note that nobody owes anything of a round any more."""
        self._database.run("end_round", epoch=chosen.epoch, size=chosen.size)

    def signed(self, origin: str, size: int) -> Round | None:
        """Give the signed checkpoint of exactly this size, whether or not it is a round; None if there is none."""
        row = self._database.row("signed_head", origin=origin, size=size)
        return None if row is None else _round(row)

    def log_key(self, epoch: int) -> str:
        """Give the verifier key of an epoch's log, as its `genesis` has it; empty if that says none."""
        row = self._database.row("entry_at", epoch=epoch, seq=0)
        body = None if row is None else parse(bytes(row["bytes"])).body
        return body.public_key if isinstance(body, bodies.Genesis) else ""

    def time_of(self, epoch: int, seq: int) -> datetime | None:
        """Give the time that an entry states, None if there is no such entry."""
        row = self._database.row("entry_at", epoch=epoch, seq=seq)
        return None if row is None else parse(bytes(row["bytes"])).time

    # -- anchors

    def by_digest(self, sha256: str) -> AnchorRow | None:
        """Give the anchor that an entry cites."""
        return self._one("anchor_by_digest", sha256=sha256)

    def at(self, origin: str, size: int, *, before: int) -> list[AnchorRow]:
        """Give the anchors over a checkpoint whose entries lie below a position, in the order they were written."""
        return self._all("anchors_at", origin=origin, size=size, before=before)

    def after(self, position: int, most: int) -> list[AnchorRow]:
        """Give at most so many anchors whose entries lie behind a position."""
        return self._all("anchors_after", position=position, most=most)

    def largest_by(self, name: str, origin: str) -> int:
        """Give the largest size of a log that somebody anchored, 0 if none."""
        row = self._database.row("largest_by", name=name, origin=origin)
        return int(row["size"]) if row is not None and row["size"] is not None else 0

    def anchored_sizes(self, origin: str, *, covering: int, before: int) -> list[int]:
        """Give the sizes above index `covering` that anchors are over whose entries lie below a position, ascending."""
        found = self._database.rows("anchored_sizes", origin=origin, covering=covering, before=before)
        return [int(row["size"]) for row in found]

    def expiring(self, moment: str, *, name: str, and_all_but: Collection[str] | None = None) -> AnchorRow | None:
        """Give the token whose authority's term ends soonest, before a moment, and that no renewal stamped.

        It is one by `name`, or by nobody among `and_all_but`.
        """
        values = {"moment": moment, "name": name, "but": None if and_all_but is None else json.dumps([*and_all_but])}
        return self._one("expiring_anchor", **values)

    # -- publishing

    def published(self, store: str) -> int:
        """Give the position of the last entry whose anchor a store holds, 0 for none."""
        row = self._database.row("anchors_published", store=store)
        return 0 if row is None else int(row["position"])

    def are_published(self, store: str, position: int) -> None:
        """Note that a store holds the anchors up to a position."""
        self._database.run("anchors_are_published", store=store, position=position)

    def _one(self, query: str, **values: Any) -> AnchorRow | None:  # noqa: ANN401 - what SQLite takes
        row = self._database.row(query, **values)
        return None if row is None else _anchor(row)

    def _all(self, query: str, **values: Any) -> list[AnchorRow]:  # noqa: ANN401 - what SQLite takes
        return [_anchor(row) for row in self._database.rows(query, **values)]


def _anchor(row: Row) -> AnchorRow:
    return AnchorRow(
        position=row["position"],
        sha256=row["sha256"],
        kind=row["kind"],
        name=row["name"],
        origin=row["origin"],
        size=row["size"],
        moment=row["moment"],
        expires=row["expires"],
        renewal=row["renewal"],
        data=bytes(row["bytes"]),
    )


def _round(row: Row) -> Round:
    return Round(epoch=row["epoch"], origin=row["origin"], size=row["size"], note=bytes(row["note"]))
