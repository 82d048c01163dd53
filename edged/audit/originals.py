"""Originals are digested on all cores while their entries stream by, and compared with their seals.

Some copies are under way at once and no more, so that memory stays the same whatever is verified. An answer comes when
its copy was read whole; `stop` ends the reading at the next block.
"""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from edged.audit.entries import Due, Sealing
from edged.audit.port import AbsentError, Copy, Originals, Progress
from edged.errors import StoppedError, StorageError, StoreError, UnavailableError, UnreadableError
from edged.evidence.digests import Digester
from edged.evidence.verification.originals import MAX_CHUNK_LIST_BYTES, Original, check_bytes
from edged.evidence.verification.report import Check, Damage, SegmentReport, not_established

_AHEAD: Final = 4
"""Copies a core that are waiting or under way."""

_Answer = tuple[Check, tuple[Damage, ...]]
_NO_COPY: Final = not_established("Where the file should lie is not known.", "文件应在何处不得而知。")


@dataclass(kw_only=True)
class Digesting:
    """Workers that read copies; a context manager that leaves none of them behind."""

    originals: Originals
    cores: int
    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)
    _pool: ThreadPoolExecutor = field(init=False)
    _under_way: deque[tuple[Due, Future[_Answer]]] = field(default_factory=deque)

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(self.cores, thread_name_prefix="digest")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def take(self, due: Due) -> Iterator[SegmentReport]:
        """Have a copy read; gives the reports that are ready, waiting where too many are under way."""
        if due.copy is None:
            yield _report(due.sealing, None, (_NO_COPY, ()))
            return
        self._under_way.append((due, self._pool.submit(self._check, due.copy)))
        while len(self._under_way) > _AHEAD * self.cores or (self._under_way and self._under_way[0][1].done()):
            yield self._next()

    def rest(self) -> Iterator[SegmentReport]:
        """Wait for what is under way."""
        while self._under_way:
            yield self._next()

    def _next(self) -> SegmentReport:
        due, answer = self._under_way.popleft()
        return _report(due.sealing, due.copy, answer.result())

    def _check(self, copy: Copy) -> _Answer:
        digester = Digester()
        try:
            for block in self.originals.read(copy):
                if self.stop.is_set():
                    raise StoppedError("The verification was stopped.")
                digester.update(block)
                self.progress.read(len(block))
            chunk_list = self.originals.chunk_list(copy)
        except UnavailableError:
            raise
        except AbsentError as error:
            return not_established(f"The file is not here: {error.message}", f"文件不在此处：{error.message}"), ()
        except (UnreadableError, StorageError, StoreError) as error:
            # One file that its disk does not give says nothing about the others.
            return not_established(f"It cannot be read: {error.message}", f"无法读取：{error.message}"), ()
        if chunk_list is not None and len(chunk_list) > MAX_CHUNK_LIST_BYTES:
            chunk_list = b"overlong"
        name = copy.key.rpartition("/")[2]
        return check_bytes(Original(name=name, digests=digester.finish(), chunk_list=chunk_list), copy.segment)


def _report(sealing: Sealing, copy: Copy | None, answer: _Answer) -> SegmentReport:
    found, damage = answer
    return SegmentReport(
        segment=sealing.segment.segment,
        name=None if copy is None else copy.key.rpartition("/")[2],
        checks={"bytes": found, **sealing.checks},
        root=sealing.root,
        not_before=sealing.not_before,
        not_after=sealing.not_after,
        damage=damage,
    )
