"""The one pass over a file on a recorder: copy it, compute its digests, make it durable.

Order: read a buffer, then write it and digest it while the next is being read; at the end compare the lengths,
fsync. What is durable at the end is what was digested: both come from the same buffer, and the vault's copy is
read again from the disk before anything relies on it (`reread`).
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from edged.errors import RecorderError, StoppedError
from edged.evidence.digests import Digester, Digests
from edged.vault.durable import Draft

_BUFFER_BYTES = 1 << 20
"""What is read, written and digested at a time: it stays in the processor's cache for all four passes over it."""
_BUFFERS = 2
"""One is read into while the other is still being written."""


def copy(source: int, draft: Draft, *, on_bytes: Callable[[int], None], stop: Event, sm3: bool = False) -> Digests:
    """Copy an open file of a recorder into a draft and settle it there; `sm3` asks for that digest as well.

    `on_bytes` is told the size of every buffer read. Raises RecorderError when the recorder stops giving bytes,
    StorageError or FullError when the vault stops taking them, StoppedError on shutdown; the draft is then to
    be discarded, and the file is still on the recorder.
    """
    buffers = [bytearray(_BUFFER_BYTES) for _ in range(_BUFFERS)]
    pending: Future[None] | None = None
    with ThreadPoolExecutor(max_workers=3 if sm3 else 2, thread_name_prefix="copy") as writer:
        digester = Digester(helper=writer, sm3=sm3)
        try:
            for turn in range(1 << 62):
                if stop.is_set():
                    raise StoppedError("The copying of a file was stopped.")
                view = _fill(source, memoryview(buffers[turn % _BUFFERS]))
                if pending is not None:
                    pending.result()
                if not view:
                    break
                pending = writer.submit(draft.write, view)
                digester.update(view)
                on_bytes(view.nbytes)
        finally:
            if pending is not None and not pending.done():
                pending.exception()
        digests = digester.finish()
    draft.settle(digests.size_bytes)
    return digests


def digest(source: int, *, on_bytes: Callable[[int], None], stop: Event) -> Digests:
    """Digest an open file of a recorder without keeping it: what a sighting rests on."""
    digester = Digester()
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    while view := _fill(source, buffer):
        if stop.is_set():
            raise StoppedError("The reading of a file was stopped.")
        digester.update(view)
        on_bytes(view.nbytes)
    return digester.finish()


def _fill(source: int, buffer: memoryview) -> memoryview:
    """Read until the buffer is full or the file ends, and give the part that was filled."""
    filled = 0
    try:
        while filled < len(buffer):
            got = os.readv(source, [buffer[filled:]])
            if got == 0:
                break
            filled += got
    except OSError as error:
        raise RecorderError(f"The recorder stopped giving bytes: {error.strerror}.") from error
    return buffer[:filled]
