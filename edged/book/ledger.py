"""The ledger of the station: its epochs, one log each, and the entries that are appended to the open one.

Guarantees (INV-4): an entry, its tree hashes and its projection commit in one transaction; sequence numbers and
`prev` have no gap within an epoch; one epoch ends and the next begins in one transaction, so that there is always
one to append to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final, Literal

from edged.book.database import Database, Row, sql
from edged.book.log import Head, Log, Stored
from edged.book.projections import project
from edged.clock import Clock, rfc3339
from edged.errors import LedgerError, UnreadableError
from edged.evidence import merkle
from edged.evidence.bodies import Body, Close, Previous, Segment
from edged.evidence.entry import ZERO_REF, Entry, encode, parse, reference
from edged.evidence.ids import EntryRef, EpochId, Sha256, StationId
from edged.evidence.text import to_base64

__all__ = ["Epoch", "Head", "Ledger", "Place", "Stored", "Written"]

EpochState = Literal["open", "closed", "left"]
_STATES: Final[tuple[EpochState, ...]] = ("open", "closed", "left")
_LEFT: Final = _STATES.index("left")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One signing key's span of the ledger."""

    number: int
    id: EpochId
    origin: str
    state: EpochState = "open"
    """`left`: it went on elsewhere, and this station signs nothing more of it."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an entry lies."""

    epoch: EpochId
    seq: int


@dataclass(frozen=True, kw_only=True)
class Written:
    """Where an entry came to lie."""

    seq: int
    ref: EntryRef
    entry: Entry


class Ledger(Log):
    """All that one station ever wrote down; what `Log` has is asked here about the open epoch."""

    def __init__(self, database: Database, *, station: StationId, clock: Clock) -> None:
        super().__init__(database, 0)
        self._station = station
        self._clock = clock

    @property
    def station(self) -> StationId:
        """The station whose ledger this is."""
        return self._station

    @property
    def number(self) -> int:
        """The number of the open epoch."""
        return self.epoch.number

    def epochs(self) -> list[Epoch]:
        """Give all epochs in the order they were opened."""
        return [_epoch(row) for row in self._database.rows("epochs")]

    def log(self, epoch: Epoch) -> Log:
        """Give the log of one epoch."""
        return Log(self._database, epoch.number)

    def log_of(self, id: EpochId) -> Log:  # noqa: A002 - the field's word
        """Give the log of the epoch with this id; raises UnreadableError if there is none."""
        found = [epoch for epoch in self.epochs() if epoch.id == id]
        if not found:
            raise UnreadableError(f"The ledger has no epoch {id}.")
        return self.log(found[0])

    def signing_epoch(self) -> Epoch:
        """Give the oldest epoch whose log is not published to its end: the one that is signed now."""
        row = self._database.row("signing_epoch")
        return self.epoch if row is None else _epoch(row)

    def open_epoch(
        self,
        *,
        id: EpochId,  # noqa: A002 - the field's word
        origin: str,
        genesis: Body,
        actor: str = "edged",
    ) -> Written:
        """Open an epoch with its `genesis` entry, in one transaction; refuses while another is open."""
        with self._database.write():
            self.add_epoch(id=id, origin=origin)
            return self.append(genesis, actor=actor)[0]

    def add_epoch(self, *, id: EpochId, origin: str) -> Epoch:  # noqa: A002 - the field's word
        """Open an epoch that has no entry yet; the caller brings its first one in the same transaction."""
        with self._database.write():
            if self._epoch_or_none() is not None:
                raise LedgerError("An epoch is open already; it is closed before the next begins.")
            self._database.run("add_epoch", id=id, origin=origin)
            return self.epoch

    def close_epoch(self, close: Close, *, actor: str = "edged") -> Previous:
        """End the open epoch by its last entry; gives what the next one cites of it.

        The caller opens the next in the same transaction.
        """
        with self._database.write():
            log = self.log(ended := self.epoch)
            self.append(close, actor=actor)
            size = log.size()
            return Previous(origin=ended.origin, size=size, root=to_base64(log.root(size)))

    def leave_epoch(self) -> None:
        """End the open epoch without an entry, if there is one: its log went on elsewhere."""
        with self._database.write():
            if (left := self._epoch_or_none()) is not None:
                self._database.run("close_epoch", epoch=left.number, how=_LEFT)

    @property
    def epoch(self) -> Epoch:
        """The open epoch; raises LedgerError where there is none."""
        epoch = self._epoch_or_none()
        if epoch is None:
            raise LedgerError("The ledger has no open epoch.", hint="Was this station made with `edged init`?")
        return epoch

    def append(self, *bodies: Body, actor: str = "edged", documents: Sequence[bytes] = ()) -> list[Written]:
        """Append one entry a body, all in one transaction, durable when this returns.

        `documents` are the longer things that the bodies cite; they are stored in the same transaction. Of a
        `segment`, the recorder's chain (`recorder_seq`, `recorder_prev`) is filled in here, where it is known.
        """
        written: list[Written] = []
        with self._database.write() as connection:
            for document in documents:
                connection.execute(sql("add_document"), {"sha256": reference(document), "bytes": document})
            epoch = self.epoch
            last = connection.execute(sql("last_entry"), {"epoch": epoch.number}).fetchone()
            seq, prev = (last["seq"] + 1, EntryRef(last["ref"])) if last else (0, ZERO_REF)
            after = self._newest_anchor(connection)
            for body in bodies:
                entry = Entry(
                    type=body.TYPE,
                    station=self._station,
                    epoch=epoch.id,
                    seq=seq,
                    prev=prev,
                    time=self._clock.now(),
                    clock=self._clock.state(),
                    actor=actor,
                    after=after,
                    body=self._chained(connection, body),
                )
                prev = self._insert(connection, epoch, entry)
                written.append(Written(seq=seq, ref=prev, entry=entry))
                seq += 1
            self._database.bring_news()
        return written

    def bytes_at(self, position: int) -> bytes:
        """Give the exact bytes of the entry at a position of the book, of any epoch."""
        row = self._database.row("entry_at_position", position=position)
        if row is None:
            raise UnreadableError(f"The book has no entry at position {position}.")
        return bytes(row["bytes"])

    def place(self, position: int) -> Place:
        """Give where the entry at a position of the book lies; raises UnreadableError if there is none."""
        row = self._database.row("place_of_entry", position=position)
        if row is None:
            raise UnreadableError(f"The book has no entry at position {position}.")
        return Place(epoch=EpochId(row["epoch"]), seq=row["seq"])

    def last_position(self) -> int:
        """Give the position of the newest entry, 0 where there is none."""
        row = self._database.row("last_position")
        return 0 if row is None else int(row["position"])

    def position_of(self, ref: str) -> int | None:
        """Give the position of the entry a reference names, in whatever epoch, or None."""
        row = self._database.row("position_of", ref=ref)
        return None if row is None else int(row["position"])

    def positions_naming(self, kind: str, id: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the positions of all entries that name a segment, docking, case or recorder, ascending."""
        return [int(row["position"]) for row in self._database.rows("positions_naming", kind=kind, id=id)]

    def positions_of_type(self, type: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the positions of all entries of one type, ascending."""
        return [int(row["position"]) for row in self._database.rows("positions_of_type", type=type)]

    def take_in(self, epoch: EpochId, entries: Sequence[bytes]) -> None:
        """Append entries that were published of the open epoch, word for word.

        Raises LedgerError for one that does not continue this log.
        """
        with self._database.write() as connection:
            here = self.epoch
            last = connection.execute(sql("last_entry"), {"epoch": here.number}).fetchone()
            seq, prev = (last["seq"] + 1, EntryRef(last["ref"])) if last else (0, ZERO_REF)
            for data in entries:
                entry = parse(data)
                if (entry.station, entry.epoch, entry.seq, entry.prev) != (self._station, epoch, seq, prev):
                    raise LedgerError(f"Entry {seq} that was published of {epoch} does not continue it.")
                prev, seq = self._insert_bytes(connection, here, entry, data), seq + 1
            self._database.bring_news()

    def consistency_proof(self, epoch: int, old: int, new: int) -> list[bytes]:
        """Prove that the log of an epoch, by its number, only grew from one size to another (RFC 6962, 2.1.2)."""
        return merkle.consistency_proof(old, new, self._reader(epoch))

    def published_sizes(self) -> dict[EpochId, int]:
        """Give the largest published size of each epoch that published anything."""
        return {EpochId(row["id"]): int(row["size"]) for row in self._database.rows("published_sizes")}

    def _epoch_or_none(self) -> Epoch | None:
        row = self._database.row("open_epoch")
        return None if row is None else _epoch(row)

    def _newest_anchor(self, connection: Connection) -> Sha256 | None:
        """Give the digest of the newest anchor held: what is written now is later than it."""
        row = connection.execute(sql("newest_anchor"), {"now": rfc3339(self._clock.now())}).fetchone()
        return None if row is None else Sha256(row["sha256"])

    def _chained(self, connection: Connection, body: Body) -> Body:
        if not isinstance(body, Segment):
            return body
        last = connection.execute(sql("last_of_recorder"), {"recorder": body.recorder}).fetchone()
        chain = {
            "recorder_seq": last["recorder_seq"] + 1 if last else 1,
            "recorder_prev": last["ref"] if last else None,
        }
        return body.model_copy(update=chain)

    def _insert(self, connection: Connection, epoch: Epoch, entry: Entry) -> EntryRef:
        return self._insert_bytes(connection, epoch, entry, encode(entry))

    def _insert_bytes(self, connection: Connection, epoch: Epoch, entry: Entry, data: bytes) -> EntryRef:
        ref = reference(data)
        row = {"epoch": epoch.number, "seq": entry.seq, "ref": ref, "type": entry.type, "bytes": data}
        position = connection.execute(sql("add_entry"), row).lastrowid
        read = self._reader(epoch.number)
        for level, index, digest in merkle.appended_nodes(entry.seq, merkle.leaf_hash(data), read):
            node = {"epoch": epoch.number, "level": level, "idx": index, "hash": digest}
            connection.execute(sql("add_node"), node)
        if position is None:
            raise LedgerError("The book gave no position to an entry.")
        project(connection, position, entry, ref)
        if isinstance(entry.body, Close):
            connection.execute(sql("close_epoch"), {"epoch": epoch.number, "how": 1})
        return ref


def _epoch(row: Row) -> Epoch:
    return Epoch(number=row["number"], id=EpochId(row["id"]), origin=row["origin"], state=_STATES[row["closed"]])
