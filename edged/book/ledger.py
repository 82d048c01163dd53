"""The ledger of the station: append entries, decide heads, prove.

Guarantees (INV-4): an entry, its tree hashes and its projection commit in one transaction; sequence numbers and
`prev` have no gap; a head is durable before anybody can sign it, heads only grow, and the root decided for a
size is the root of exactly the entries below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from sqlite3 import Connection

from edged.book.database import Database, Row, sql
from edged.book.projections import project
from edged.clock import Clock
from edged.errors import LedgerError, UnreadableError
from edged.evidence import merkle, tiles
from edged.evidence.bodies import Body, Close, Segment
from edged.evidence.entry import ZERO_REF, Entry, encode, reference
from edged.evidence.ids import EntryRef, EpochId, StationId


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """The open epoch of the ledger."""

    number: int
    id: EpochId
    origin: str


@dataclass(frozen=True, kw_only=True)
class Written:
    """Where an entry came to lie."""

    seq: int
    ref: EntryRef
    entry: Entry


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An entry as it lies in the book; reference and type are what it is found by, and follow from its bytes."""

    seq: int
    ref: EntryRef
    type: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Head:
    """A tree head that the station decided to sign."""

    size: int
    root: bytes
    note: bytes | None
    """The signed checkpoint, once it is signed."""
    published: bool


class Ledger:
    """The append-only log of one station."""

    def __init__(self, database: Database, *, station: StationId, clock: Clock) -> None:
        self._database = database
        self._station = station
        self._clock = clock

    @property
    def station(self) -> StationId:
        """The station whose ledger this is."""
        return self._station

    def open_epoch(self, *, id: EpochId, origin: str, genesis: Body) -> Written:  # noqa: A002 - the field's word
        """Open an epoch with its `genesis` entry, in one transaction; refuses while another is open."""
        with self._database.write() as connection:
            if self._epoch_or_none() is not None:
                raise LedgerError("An epoch is open already; it is closed before the next begins.")
            connection.execute(sql("add_epoch"), {"id": id, "origin": origin})
            return self.append(genesis)[0]

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
                    after=None,
                    body=self._chained(connection, body),
                )
                prev = self._insert(connection, epoch, entry)
                written.append(Written(seq=seq, ref=prev, entry=entry))
                seq += 1
            self._database.bring_news()
        return written

    def size(self) -> int:
        """Give the number of entries of the open epoch."""
        last = self._database.row("last_entry", epoch=self.epoch.number)
        return last["seq"] + 1 if last else 0

    def entry_bytes(self, seq: int) -> bytes:
        """Give the exact bytes of an entry of the open epoch; raises UnreadableError if there is none."""
        row = self._database.row("entry_at", epoch=self.epoch.number, seq=seq)
        if row is None:
            raise UnreadableError(f"The ledger has no entry {seq}.")
        return bytes(row["bytes"])

    def bytes_at(self, position: int) -> bytes:
        """Give the exact bytes of the entry at a position of the book, of any epoch."""
        row = self._database.row("entry_at_position", position=position)
        if row is None:
            raise UnreadableError(f"The book has no entry at position {position}.")
        return bytes(row["bytes"])

    def seq_of(self, ref: str) -> int | None:
        """Give the index of the entry a reference names, or None if the open epoch does not hold it."""
        row = self._database.row("seq_of", epoch=self.epoch.number, ref=ref)
        return None if row is None else int(row["seq"])

    def naming(self, kind: str, id: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the indices of the entries that name a segment, docking, case or recorder, ascending."""
        found = self._database.rows("naming", epoch=self.epoch.number, kind=kind, id=id)
        return [int(row["seq"]) for row in found]

    def of_type(self, type: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the indices of the entries of one type, ascending."""
        return [int(row["seq"]) for row in self._database.rows("of_type", epoch=self.epoch.number, type=type)]

    def inclusion_proof(self, seq: int, size: int) -> list[bytes]:
        """Prove entry `seq` in the tree of the first `size` entries (RFC 6962, section 2.1.1)."""
        return merkle.inclusion_proof(seq, size, self._read_node(self.epoch.number))

    def root(self, size: int) -> bytes:
        """Give the root hash over the first `size` entries of the open epoch."""
        return merkle.root(size, self._read_node(self.epoch.number))

    def tree_hash(self, level: int, index: int) -> bytes:
        """Give the stored hash of a complete subtree of the open epoch; raises LedgerError if it is not there."""
        return self._read_node(self.epoch.number)(level, index)

    def tile_bytes(self, tile: tiles.Tile) -> bytes:
        """Give the bytes of a tile of the open epoch."""
        return tiles.tile_bytes(tile, self._read_node(self.epoch.number))

    def entries_between(self, first: int, end: int) -> list[bytes]:
        """Give the bytes of the entries from `first` to before `end` of the open epoch."""
        return [each.data for each in self.stored_between(first, end)]

    def stored_between(self, first: int, end: int) -> list[Stored]:
        """Give the entries from `first` to before `end` of the open epoch with what they are found by."""
        found = self._database.rows("entries_between", epoch=self.epoch.number, first=first, end=end)
        return [Stored(seq=row["seq"], ref=row["ref"], type=row["type"], data=bytes(row["bytes"])) for row in found]

    def heads(self) -> list[Head]:
        """Give every head of the open epoch, smallest first."""
        return [_head(row) for row in self._database.rows("heads", epoch=self.epoch.number)]

    def newest_head(self) -> Head | None:
        """Give the largest head of the open epoch, signed or not."""
        row = self._database.row("newest_head", epoch=self.epoch.number)
        return None if row is None else _head(row)

    def decide_head(self) -> Head:
        """Decide to sign the tree as it is now, durably; the decided head if nothing came since."""
        with self._database.write() as connection:
            newest, size = self.newest_head(), self.size()
            if newest is not None and newest.size == size:
                return newest
            head = Head(size=size, root=self.root(size), note=None, published=False)
            connection.execute(sql("add_head"), {"epoch": self.epoch.number, "size": head.size, "root": head.root})
            return head

    def keep_note(self, head: Head, note: bytes) -> Head:
        """Keep the signed checkpoint of a decided head; a second note for it is not taken."""
        with self._database.write():
            self._database.run("sign_head", epoch=self.epoch.number, size=head.size, note=note)
            self._database.bring_news()
        return replace(head, note=note)

    def mark_published(self, size: int) -> None:
        """Note that central storage holds the checkpoint of this size."""
        with self._database.write():
            self._database.run("publish_head", epoch=self.epoch.number, size=size)
            self._database.bring_news()

    def published_size(self) -> int:
        """Give the largest size whose checkpoint central storage holds, or 0."""
        row = self._database.row("published_size", epoch=self.epoch.number)
        return int(row["size"]) if row else 0

    def published_sizes(self) -> dict[EpochId, int]:
        """Give the largest published size of each epoch that published anything."""
        return {EpochId(row["id"]): int(row["size"]) for row in self._database.rows("published_sizes")}

    def checkpoint_covering(self, seq: int) -> tuple[int, bytes] | None:
        """Give size and bytes of the smallest signed checkpoint that covers entry `seq`."""
        row = self._database.row("head_covering", epoch=self.epoch.number, seq=seq)
        return None if row is None else (int(row["size"]), bytes(row["note"]))

    def _epoch_or_none(self) -> Epoch | None:
        row = self._database.row("open_epoch")
        return None if row is None else Epoch(number=row["number"], id=EpochId(row["id"]), origin=row["origin"])

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
        data = encode(entry)
        ref = reference(data)
        row = {"epoch": epoch.number, "seq": entry.seq, "ref": ref, "type": entry.type, "bytes": data}
        position = connection.execute(sql("add_entry"), row).lastrowid
        read = self._read_node(epoch.number)
        for level, index, digest in merkle.appended_nodes(entry.seq, merkle.leaf_hash(data), read):
            node = {"epoch": epoch.number, "level": level, "idx": index, "hash": digest}
            connection.execute(sql("add_node"), node)
        if position is None:
            raise LedgerError("The book gave no position to an entry.")
        project(connection, position, entry, ref)
        if isinstance(entry.body, Close):
            connection.execute(sql("close_epoch"), {"epoch": epoch.number})
        return ref

    def _read_node(self, epoch: int) -> merkle.HashReader:
        def read(level: int, index: int) -> bytes:
            row = self._database.row("node", epoch=epoch, level=level, idx=index)
            if row is None:
                raise LedgerError(f"The ledger lacks the tree hash {index} of level {level}.")
            return bytes(row["hash"])

        return read


def _head(row: Row) -> Head:
    return Head(
        size=row["size"],
        root=bytes(row["root"]),
        note=None if row["note"] is None else bytes(row["note"]),
        published=bool(row["published"]),
    )
