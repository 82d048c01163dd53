"""Signs the ledger's head and publishes it with its tiles to central storage.

Order (EVIDENCE.md, sections 3 and 4): ask the store which size it knows, after each start and again before each
signature, and sign nothing that contradicts it; decide the head durably; sign it; put the tiles; put the checkpoint;
only then call it published. One epoch after the other: nothing of an epoch is signed before the one before it is
published to its end and its key destroyed. A station that finds a larger or another ledger published under its own
name (a restored backup, a cloned disk) never goes on in that epoch: a log does not fork.
"""

import threading

from edged.book.ledger import Epoch, Head
from edged.evidence import tiles
from edged.evidence.note import Checkpoint
from edged.station.epochs import confirm
from edged.station.parts import Parts
from edged.station.published import prefix
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
        if not self._parts.confirmed.is_set():
            self._store.check()
            with self._parts.key.turn:
                self._confirm()
        ledger = self._parts.book.ledger
        epoch = ledger.signing_epoch()
        newest = ledger.log(epoch).newest_head()
        if newest is not None and newest.published and newest.size == ledger.log(epoch).size():
            return False
        if newest is None or newest.published:
            # Entries come in bursts: one checkpoint over many of them.
            stop.wait(self._parts.config.ledger.publish_seconds)
        with self._parts.key.turn:
            if self._confirm():
                epoch = ledger.signing_epoch()
                self._publish(epoch, self._signed(epoch))
        return True

    def _confirm(self) -> bool:
        """Ask the store whether the book may be signed as it is; if not, a new epoch was begun."""
        if not confirm(self._parts, self._store):
            return False
        if not self._parts.confirmed.is_set():
            self._parts.confirmed.set()
            self._parts.pulse.beat()
        return True

    def _signed(self, epoch: Epoch) -> Head:
        """Give the head to publish, signed: the one that was decided before a crash, else a new one."""
        log = self._parts.book.ledger.log(epoch)
        key = self._parts.key.turn_to(epoch.origin)
        newest = log.newest_head()
        head = log.decide_head() if newest is None or newest.published else newest
        if head.note is not None:
            return head
        text = Checkpoint(origin=epoch.origin, size=head.size, root=head.root).text()
        return log.keep_note(head, key.sign(text, epoch.origin))

    def _publish(self, epoch: Epoch, head: Head) -> None:
        log, work, folder = self._parts.book.ledger.log(epoch), self._parts.book.work, prefix(epoch.origin)
        certificates = self._parts.key.certificates_of(epoch.origin)
        if log.published_size() == 0 and certificates is not None:
            self._store.put(f"{folder}/station.pem", certificates)
        for tile in tiles.tiles_for(work.tiles_published(epoch.number), head.size):
            self._store.put(f"{folder}/{tiles.tile_path(*tile)}", log.tile_bytes(tile))
            if tile.level == 0:
                first = tile.n * tiles.FULL
                entries = tiles.bundle_entries(log.entries_between(first, first + tile.width))
                self._store.put(f"{folder}/{tiles.entries_path(tile.n, tile.width)}", entries)
        if head.note is not None:
            self._store.put(f"{folder}/checkpoint", head.note)
        work.tiles_are_published(epoch.number, head.size)
        log.mark_published(head.size)
