"""Signs the ledger's head and publishes it with its tiles to central storage.

Order (EVIDENCE.md, sections 3 and 4): ask the store which size it knows, once after each start, and sign nothing
before; decide the head durably; sign it; put the tiles; put the checkpoint; only then call it published. A station
that finds a larger or another ledger published under its own name (a restored backup, a cloned disk) never signs
again: a log does not fork.
"""

import threading

from edged.book.ledger import Head
from edged.errors import LedgerError, MalformedError
from edged.evidence import tiles
from edged.evidence.note import Checkpoint, parse_checkpoint, parse_note, parse_vkey, verify
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS
from edged.stores.port import Store


class PublishJob:
    """Keeps the published ledger up with the book."""

    name = "publish"
    idle_seconds = IDLE_SECONDS
    put_off = 0

    def __init__(self, parts: Parts, store: Store) -> None:
        self._parts = parts
        self._store = store

    def step(self, stop: threading.Event) -> bool:
        """Sign and publish what came since; raises LedgerError when what is published contradicts the book."""
        ledger = self._parts.book.ledger
        if not self._parts.confirmed.is_set():
            self._confirm()
        newest = ledger.newest_head()
        if newest is not None and newest.published and newest.size == ledger.size():
            return False
        if newest is None or newest.published:
            # Entries come in bursts: one checkpoint over many of them.
            stop.wait(self._parts.config.ledger.publish_seconds)
            newest = ledger.decide_head()
        self._publish(self._signed(newest))
        return True

    def _prefix(self) -> str:
        return f"ledger/{self._parts.book.ledger.epoch.origin}"

    def _confirm(self) -> None:
        """Compare the newest published checkpoint with the book: the guard against forks."""
        self._store.check()
        ledger = self._parts.book.ledger
        data = self._store.newest(f"{self._prefix()}/checkpoint")
        if data is None:
            if ledger.published_size() > 0:
                raise LedgerError(
                    f"Store {self._store.id} has lost the ledger that was published there; nothing is signed.",
                    hint="Find out what happened to the bucket before anything else. Intake goes on.",
                )
        else:
            published = self._read(data)
            if published.size > ledger.size() or ledger.root(published.size) != published.root:
                raise LedgerError(
                    f"Store {self._store.id} holds a ledger of this station with {published.size} entries that this "
                    f"book, with {ledger.size()}, does not contain; nothing is signed, so that the ledger never forks.",
                    hint="Is this a restored backup or a copy of another station's disk? Intake goes on, and no "
                    "recorder is erased.",
                )
        self._parts.confirmed.set()
        self._parts.pulse.beat()

    def _read(self, data: bytes) -> Checkpoint:
        origin = self._parts.book.ledger.epoch.origin
        try:
            note = parse_note(data)
            checkpoint = parse_checkpoint(note.text)
        except MalformedError as error:
            raise LedgerError(
                f"The published checkpoint cannot be read: {error.message}; nothing is signed."
            ) from error
        if checkpoint.origin != origin or not verify(note, parse_vkey(self._parts.key.vkey(origin))):
            raise LedgerError("The published checkpoint was not signed by this station's key; nothing is signed.")
        return checkpoint

    def _signed(self, head: Head) -> Head:
        if head.note is not None:
            return head
        ledger = self._parts.book.ledger
        origin = ledger.epoch.origin
        text = Checkpoint(origin=origin, size=head.size, root=head.root).text()
        return ledger.keep_note(head, self._parts.key.sign(text, origin))

    def _publish(self, head: Head) -> None:
        ledger, work = self._parts.book.ledger, self._parts.book.work
        epoch = ledger.epoch.number
        for tile in tiles.tiles_for(work.tiles_published(epoch), head.size):
            self._store.put(f"{self._prefix()}/{tiles.tile_path(*tile)}", ledger.tile_bytes(tile))
            if tile.level == 0:
                first = tile.n * tiles.FULL
                entries = tiles.bundle_entries(ledger.entries_between(first, first + tile.width))
                self._store.put(f"{self._prefix()}/{tiles.entries_path(tile.n, tile.width)}", entries)
        if head.note is not None:
            self._store.put(f"{self._prefix()}/checkpoint", head.note)
        work.tiles_are_published(epoch, head.size)
        ledger.mark_published(head.size)
