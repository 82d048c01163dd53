"""A ring of buffers between one reader and several who take every buffer in, in order, each on a thread of its own.

Guarantees: each taker is given every buffer exactly once and in order; a buffer is filled anew only when all are
through with it, so what one digests is what another writes; the first failure, of whichever side, ends all of it and
is raised when no thread runs any more. The memory is that of the ring, however long the file is.
"""

import mmap
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self, TypeAlias

BUFFER_BYTES: Final = 1 << 20
"""Small enough to stay in the processor's cache for those who take it in at the same time."""
_BUFFERS: Final = 6

Fill: TypeAlias = Callable[[memoryview, int], int]
"""Given a buffer and its offset in the file, fills it from the start and gives the length; short only at the end."""
Take: TypeAlias = Callable[[memoryview, int], None]
"""Given the bytes at an offset of the file; a buffer is the caller's again when it returns."""

_Full: TypeAlias = tuple[int, memoryview, int] | None


class Ring:
    """Page-aligned buffers, as O_DIRECT asks; for one file after the other."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BUFFERS * BUFFER_BYTES)
        view = memoryview(self._memory)
        self._buffers = [view[at : at + BUFFER_BYTES] for at in range(0, len(view), BUFFER_BYTES)]
        view.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for buffer in self._buffers:
            buffer.release()
        # What a traceback still holds of it goes with that.
        with suppress(BufferError):
            self._memory.close()

    def pump(self, fill: Fill, takers: Sequence[Take]) -> int:
        """Read to the end and hand everything to all takers; gives the length. Raises what any of them raised."""
        first = self._buffers[0]
        length = fill(first, 0)
        if length < BUFFER_BYTES:
            with first[:length] as whole:
                for take in takers if length else ():
                    take(whole, 0)
            return length
        run = _Run(self._buffers, takers)
        with run:
            run.hand_on(run.free.get(), length, 0)
            while not run.failures and (length := fill(self._buffers[(at := run.free.get())], run.offset)):
                run.hand_on(at, length, run.offset)
                if length < BUFFER_BYTES:
                    break
        return run.offset


class _Run:
    """The takers' threads over one file."""

    def __init__(self, buffers: Sequence[memoryview], takers: Sequence[Take]) -> None:
        self.free: SimpleQueue[int] = SimpleQueue()
        for at in range(len(buffers)):
            self.free.put(at)
        self.failures: list[BaseException] = []
        self.offset = 0
        self._buffers = buffers
        self._lock = threading.Lock()
        self._left = [0] * len(buffers)
        self._queues: list[SimpleQueue[_Full]] = [SimpleQueue() for _ in takers]
        self._threads = [
            threading.Thread(target=self._take, args=each, name="copy", daemon=True)
            for each in zip(takers, self._queues, strict=True)
        ]

    def __enter__(self) -> Self:
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:
            # Nobody calls `__exit__` then, and those that run would wait, and hold their buffers, for ever.
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until every taker is through; what the reader raised comes before what takers did."""
        if error is not None:
            self.failures.append(error)
        self._end()
        if error is None and self.failures:
            raise self.failures[0]

    def _end(self) -> None:
        """Have every taker that was started come to its end."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def hand_on(self, at: int, length: int, offset: int) -> None:
        """Give all takers the buffer that was just filled."""
        self._left[at] = len(self._queues)
        for queue in self._queues:
            queue.put((at, self._buffers[at][:length], offset))
        self.offset = offset + length

    def _take(self, take: Take, queue: SimpleQueue[_Full]) -> None:
        while (full := queue.get()) is not None:
            at, view, offset = full
            try:
                # After a failure buffers only go round, so that nobody waits for one for ever.
                if not self.failures:
                    take(view, offset)
            except BaseException as error:  # noqa: BLE001 - raised by `__exit__`, on the thread that asked for it
                self.failures.append(error)
            finally:
                view.release()
            with self._lock:
                self._left[at] -= 1
                if not self._left[at]:
                    self.free.put(at)
