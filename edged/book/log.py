"""The log of one epoch: read it, prove in it, and decide which of its sizes are signed.

Guarantees (INV-4): a head is durable before anybody can sign it, heads only grow, and the root decided for a size is
the root of exactly the entries below it.
"""

from dataclasses import dataclass, replace

from edged.book.database import Database, Row, sql
from edged.errors import LedgerError, UnreadableError
from edged.evidence import merkle, tiles
from edged.evidence.ids import EntryRef


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


class Log:
    """One epoch's log."""

    def __init__(self, database: Database, number: int) -> None:
        """Open the log of the epoch with this number in the book."""
        self._database = database
        self._number = number

    @property
    def number(self) -> int:
        """The epoch's number in the book."""
        return self._number

    def size(self) -> int:
        """Give the number of entries."""
        last = self._database.row("last_entry", epoch=self.number)
        return last["seq"] + 1 if last else 0

    def entry_bytes(self, seq: int) -> bytes:
        """Give the exact bytes of an entry; raises UnreadableError if there is none."""
        row = self._database.row("entry_at", epoch=self.number, seq=seq)
        if row is None:
            raise UnreadableError(f"The ledger has no entry {seq}.")
        return bytes(row["bytes"])

    def seq_of(self, ref: str) -> int | None:
        """Give the index of the entry a reference names, or None if this log does not hold it."""
        row = self._database.row("seq_of", epoch=self.number, ref=ref)
        return None if row is None else int(row["seq"])

    def naming(self, kind: str, id: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the indices of the entries that name a segment, docking, case or recorder, ascending."""
        found = self._database.rows("naming", epoch=self.number, kind=kind, id=id)
        return [int(row["seq"]) for row in found]

    def of_type(self, type: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the indices of the entries of one type, ascending."""
        return [int(row["seq"]) for row in self._database.rows("of_type", epoch=self.number, type=type)]

    def last_of_type(self, type: str) -> bytes | None:  # noqa: A002 - the field's word
        """Give the exact bytes of the newest entry of one type, None where there is none."""
        row = self._database.row("last_of_type", epoch=self.number, type=type)
        return None if row is None else bytes(row["bytes"])

    def inclusion_proof(self, seq: int, size: int) -> list[bytes]:
        """Prove entry `seq` in the tree of the first `size` entries (RFC 6962, section 2.1.1)."""
        return merkle.inclusion_proof(seq, size, self._reader(self.number))

    def root(self, size: int) -> bytes:
        """Give the root hash over the first `size` entries."""
        return merkle.root(size, self._reader(self.number))

    def tree_hash(self, level: int, index: int) -> bytes:
        """Give the stored hash of a complete subtree; raises LedgerError if it is not there."""
        return self._reader(self.number)(level, index)

    def tile_bytes(self, tile: tiles.Tile) -> bytes:
        """Give the bytes of a tile."""
        return tiles.tile_bytes(tile, self._reader(self.number))

    def entries_between(self, first: int, end: int) -> list[bytes]:
        """Give the bytes of the entries from `first` to before `end`."""
        return [each.data for each in self.stored_between(first, end)]

    def stored_between(self, first: int, end: int) -> list[Stored]:
        """Give the entries from `first` to before `end` with what they are found by."""
        found = self._database.rows("entries_between", epoch=self.number, first=first, end=end)
        return [Stored(seq=row["seq"], ref=row["ref"], type=row["type"], data=bytes(row["bytes"])) for row in found]

    def heads(self) -> list[Head]:
        """Give every head, smallest first."""
        return [_head(row) for row in self._database.rows("heads", epoch=self.number)]

    def newest_head(self) -> Head | None:
        """Give the largest head, signed or not."""
        row = self._database.row("newest_head", epoch=self.number)
        return None if row is None else _head(row)

    def decide_head(self) -> Head:
        """Decide to sign the tree as it is now, durably; the decided head if nothing came since."""
        with self._database.write() as connection:
            newest, size = self.newest_head(), self.size()
            if newest is not None and newest.size == size:
                return newest
            head = Head(size=size, root=self.root(size), note=None, published=False)
            connection.execute(sql("add_head"), {"epoch": self.number, "size": head.size, "root": head.root})
            return head

    def keep_note(self, head: Head, note: bytes) -> Head:
        """Keep the signed checkpoint of a decided head; a second note for it is not taken."""
        with self._database.write():
            self._database.run("sign_head", epoch=self.number, size=head.size, note=note)
            self._database.bring_news()
        return replace(head, note=note)

    def mark_published(self, size: int) -> None:
        """Note that central storage holds the checkpoint of this size."""
        with self._database.write():
            self._database.run("publish_head", epoch=self.number, size=size)
            self._database.bring_news()

    def published_size(self) -> int:
        """Give the largest size whose checkpoint central storage holds, or 0."""
        row = self._database.row("published_size", epoch=self.number)
        return int(row["size"]) if row else 0

    def signed_size(self) -> int:
        """Give the largest size that was signed, or 0."""
        row = self._database.row("signed_size", epoch=self.number)
        return int(row["size"]) if row else 0

    def checkpoint_covering(self, seq: int) -> tuple[int, bytes] | None:
        """Give size and bytes of the smallest signed checkpoint that covers entry `seq`."""
        row = self._database.row("head_covering", epoch=self.number, seq=seq)
        return None if row is None else (int(row["size"]), bytes(row["note"]))

    def _reader(self, epoch: int) -> merkle.HashReader:
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
