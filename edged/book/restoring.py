"""A book that is behind what was published under its name is brought up to it, in one transaction of the caller's.

What no signature covers is *set aside*: it leaves the log and is kept word for word. What was published and is not
here is taken in, word for word. What was set aside is then said again in the epoch that is open by then, as new
entries: with references to what was set aside put right, and with the key `first_written`, which says where and when
it stood before. A segment that turns out to have been sealed meanwhile is a sighting; copies are shown anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edged.book.database import Database, sql
from edged.book.ledger import Epoch, Ledger
from edged.book.projections import PROJECTIONS, project
from edged.clock import rfc3339
from edged.errors import LedgerError
from edged.evidence import bodies
from edged.evidence.entry import Entry, parse
from edged.evidence.ids import EntryRef

FIRST_WRITTEN = "first_written"
"""Key of an entry's body: epoch, seq, time, clock and reference of the unsigned entry that said the same before."""

_NOT_AGAIN = (bodies.Genesis, bodies.Close, bodies.Replica)
"""Beginnings and ends belong to their epochs; copies are looked at again, for the store keeps the entry beside them."""


@dataclass(frozen=True, kw_only=True)
class Aside:
    """An entry that was set aside."""

    position: int
    ref: EntryRef
    entry: Entry


class Restoration:
    """The steps, each within the caller's transaction, in the order they stand here."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def set_aside(self, epoch: Epoch, first: int) -> list[Aside]:
        """Set aside the entries of an epoch from index `first` on, and all epochs after it, which nobody signed.

        The epoch is the open one afterwards.
        """
        with self._database.write() as connection:
            found = connection.execute(sql("unsigned"), {"epoch": epoch.number, "first": first}).fetchall()
            asides = [Aside(position=row["position"], ref=row["ref"], entry=parse(row["bytes"])) for row in found]
            if asides:
                for table in PROJECTIONS:
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - of a closed list
                for step in ("set_aside", "drop_unsigned_heads", "drop_unsigned", "drop_nodes"):
                    connection.execute(sql(step), {"epoch": epoch.number, "first": first})
                for row in connection.execute(sql("all_entries")).fetchall():
                    project(connection, row["position"], parse(row["bytes"]), EntryRef(row["ref"]))
            for step in ("drop_tiles", "drop_epochs"):
                connection.execute(sql(step), {"epoch": epoch.number})
            if epoch.state != "open":
                connection.execute(sql("close_epoch"), {"epoch": epoch.number, "how": 0})
        return asides

    def take_in(self, epoch: Epoch, entries: Sequence[bytes], *, note: bytes, size: int, root: bytes) -> None:
        """Take in what was published of the open epoch beyond what is here, and its newest checkpoint.

        Raises LedgerError if the entries do not lead to that root.
        """
        with self._database.write() as connection:
            before = self._ledger.last_position()
            self._ledger.take_in(epoch.id, entries)
            log = self._ledger.log(epoch)
            if log.size() != size or log.root(size) != root:
                raise LedgerError("What was published does not lead to the root of its own checkpoint.")
            head = {"epoch": epoch.number, "size": size, "root": root, "note": note}
            newest = log.newest_head()
            if newest is None or newest.size < size:
                connection.execute(sql("add_head"), head)
            connection.execute(sql("sign_head"), head)
            connection.execute(sql("publish_head"), head)
            connection.execute(sql("tiles_are_published"), head)
            if entries:
                recovered = {"first": before + 1, "last": self._ledger.last_position()}
                connection.execute(sql("add_recovered"), recovered)

    def say_again(self, asides: Sequence[Aside]) -> None:
        """Write anew into the open epoch what was set aside."""
        now: dict[str, str] = {}
        for aside in asides:
            if self._ledger.position_of(aside.ref) is not None:
                continue
            if not isinstance(aside.entry.body, bodies.Body) or isinstance(aside.entry.body, _NOT_AGAIN):
                continue
            written = self._ledger.append(self._again(aside, aside.entry.body, now), actor=aside.entry.actor)[0]
            now[aside.ref] = written.ref
            self._database.run("said_again", position=aside.position, again=written.ref)

    def is_recovered(self, position: int) -> bool:
        """Say whether an entry was lost here, and taken in again from what was published."""
        return self._database.row("is_recovered", position=position) is not None

    def _again(self, aside: Aside, body: bodies.Body, now: dict[str, str]) -> bodies.Body:
        entry = aside.entry
        if isinstance(body, bodies.Segment) and self._database.row("segment", segment=body.segment):
            marked = {"important": True} if body.important else {}
            body = bodies.Sighting.model_validate(
                {"segment": body.segment, "docking": body.docking, "path": body.path} | marked
            )
        before = {
            "epoch": entry.epoch,
            "seq": entry.seq,
            "time": rfc3339(entry.time),
            "clock": entry.clock,
            "sha256": aside.ref,
        }
        plain = {key: _put_right(value, now) for key, value in body.plain().items()}
        # What is set aside a second time keeps where it stood first.
        return type(body).model_validate({FIRST_WRITTEN: before} | plain)


def _put_right(value: object, now: dict[str, str]) -> object:
    """Replace references to what was set aside by those to what says the same now."""
    if isinstance(value, str):
        return now.get(value, value)
    if isinstance(value, dict):
        return {key: _put_right(part, now) for key, part in value.items()}
    if isinstance(value, list):
        return [_put_right(part, now) for part in value]
    return value
