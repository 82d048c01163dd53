"""Makes posters and proxies of sealed segments, each with its `derivative` entry. Never in the way of anything else."""

import threading
from functools import partial
from pathlib import Path
from typing import Final

from edged.book.facts import SegmentRow
from edged.errors import ToolError
from edged.evidence.bodies import Derivative
from edged.evidence.digests import Digester
from edged.media.facts import Unreadable, Why
from edged.media.media import Derivative as Made
from edged.media.plan import Kind, NoDerivative
from edged.station.due import Due
from edged.station.files import derivatives_folder, digested, making_folder, read_blocks
from edged.station.later import Later
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS
from edged.vault.durable import keep

_POSTER_BYTES: Final = 4 << 20


class DeriveJob:
    """Makes one kind of derivative."""

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self._parts = parts
        self._kind = kind
        self.name: str = kind
        self._later = Later(parts.clock)
        self._due = Due(parts.book, f"derive {kind}", partial(parts.book.facts.without_derivative, kind))

    @property
    def idle_seconds(self) -> float:
        """How long nothing that failed is to be tried again."""
        return self._later.pause_seconds(IDLE_SECONDS)

    @property
    def put_off(self) -> int:
        """How many segments failed and wait."""
        return self._later.put_off

    def step(self, stop: threading.Event) -> bool:
        """Make the derivative of one segment; raises ToolError without ffmpeg or a sandbox, FullError without room."""
        due = self._later.ready(self._due.rows(1 + self._later.put_off))[:1]
        if due:
            # Not for each segment anew: they are not at fault.
            self._parts.room.insist_on_spare(0)
        self._later.each(due, lambda segment: self._derive(segment, stop))
        return bool(due)

    def _derive(self, segment: SegmentRow, stop: threading.Event) -> None:
        parts = self._parts
        original = parts.vault.original(parts.place_of(segment))
        facts = parts.media.probe(original, stop)
        if isinstance(facts, Unreadable):
            if facts.reason is Why.TOO_LONG:
                raise ToolError(f"{segment.segment} could not be probed in time", hint="It is tried again later.")
            self._settle(segment, facts.reason)
            return
        # While it is made it lies there twice.
        parts.room.insist_on_spare(2 * (segment.bytes if self._kind == "proxy" else _POSTER_BYTES))
        made = parts.media.derive(self._kind, original, self._scratch(), facts, stop)
        if isinstance(made, NoDerivative):
            self._settle(segment, made.reason)
            return
        self._keep(segment, made)

    def _keep(self, segment: SegmentRow, made: Made) -> None:
        parts = self._parts
        digester = Digester()
        target = derivatives_folder(parts.config.paths.state, segment.segment) / f"{self._kind}{made.file.suffix}"
        try:
            blocks = digested(read_blocks(made.file), digester)
            keep(parts.disk, target, blocks, temporary=made.file.with_suffix(".part"))
        finally:
            made.file.unlink(missing_ok=True)
        digests = digester.finish()
        parts.book.ledger.append(
            Derivative(
                segment=segment.segment,
                parent_sha256=segment.sha256,
                kind=self._kind,
                sha256=digests.sha256,
                bytes=digests.size_bytes,
                tool=made.tool,
                arguments=list(made.arguments),
            )
        )

    def _scratch(self) -> Path:
        folder = making_folder(self._parts.config.paths.state)
        self._parts.disk.make_folders(folder)
        return folder

    def _settle(self, segment: SegmentRow, reason: str) -> None:
        self._parts.book.work.settle(segment.segment, f"derive {self._kind}", reason)
