"""Puts anchors beside the published ledger, under the names that bundles use.

    ledger/ORIGIN/anchors/SIZE/checkpoint            as signed by the log: the bytes that anchors are over
    ledger/ORIGIN/anchors/SIZE/checkpoint.cosigned   those bytes and the witness lines held so far
    ledger/ORIGIN/anchors/SIZE/NAME.tsr              tokens, and NAME.1.tsr … their renewals

Whoever has only central storage can verify the ledger with them. `checkpoint.cosigned` gains lines; nothing else there
is ever replaced.
"""

import threading
from typing import Final

from edged.book.anchors import AnchorRow
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS
from edged.stores.port import Store

_BATCH: Final = 64


class AnchorCopiesJob:
    """Keeps the store up with the anchors in the book."""

    name = "anchor copies"
    idle_seconds = IDLE_SECONDS
    put_off = 0

    def __init__(self, parts: Parts, store: Store) -> None:
        self._parts = parts
        self._store = store

    def step(self, stop: threading.Event) -> bool:
        """Put what came since; raises StoreError or UnavailableError."""
        anchors = self._parts.book.anchors
        found = anchors.after(anchors.published(self._store.id), _BATCH)
        for each in found:
            if stop.is_set():
                break
            self._put(each)
            anchors.are_published(self._store.id, each.position)
        return bool(found)

    def _put(self, anchor: AnchorRow) -> None:
        anchors = self._parts.book.anchors
        over = anchors.signed(anchor.origin, anchor.size)
        if over is None:
            return
        folder = f"ledger/{anchor.origin}/anchors/{anchor.size}"
        so_far = anchors.at(anchor.origin, anchor.size, before=anchor.position + 1)
        if len(so_far) == 1:
            self._store.put(f"{folder}/checkpoint", over.note)
        if anchor.kind == "rfc3161":
            self._store.put(f"{folder}/{anchor.file_name}", anchor.data)
        else:
            lines = [each.data for each in so_far if each.kind == "cosignature"]
            self._store.put(f"{folder}/checkpoint.cosigned", over.note + b"".join(lines))
