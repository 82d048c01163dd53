"""The second reading: every entry of a station's logs, in order, asked what section 7 of EVIDENCE.md asks of it.

Kept is only what later entries refer back to: the newest segment of each recorder, dockings that have not ended,
segments whose copy is not named yet. A copy is given out as soon as the ledger names it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from edged.audit.dockings import Dockings
from edged.audit.judging import Judge
from edged.audit.port import AbsentError, Copy, Originals
from edged.audit.tally import Tally
from edged.errors import MalformedError
from edged.evidence import bodies
from edged.evidence.certificates import fingerprint
from edged.evidence.entry import ZERO_REF, Entry, parse, reference
from edged.evidence.ids import EntryRef, SegmentId, is_epoch, segment_id, split_origin
from edged.evidence.note import vkey
from edged.evidence.verification import Trust
from edged.evidence.verification.anchors import Anchor, Found
from edged.evidence.verification.moments import check_time, not_before
from edged.evidence.verification.report import Check, RootName, failed, not_established, verified
from edged.evidence.verification.words import Words

_GOOD: Final = verified("The entry is canonical and says what its place says.", "条目为规范形式，内容与其位置一致。")


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """A segment as its entry seals it, judged but for its bytes."""

    segment: bodies.Segment
    checks: dict[str, Check]
    """`entry`, `inclusion`, `signature`, `identity` and `time`."""
    root: RootName | None
    not_before: datetime | None
    not_after: datetime | None


@dataclass(frozen=True, kw_only=True)
class Due:
    """A copy whose bytes are to be compared with its seal; None where the ledger's own place for it is not known."""

    sealing: Sealing
    copy: Copy | None


@dataclass(kw_only=True)
class Known:
    """What the ledger knows to lie somewhere, each as eight bytes of a digest: a million of them are no burden."""

    folders: set[int]
    versions: set[int]
    derivatives: set[int]

    def add(self, key: str, version: str | None) -> None:
        """Remember a copy."""
        self.folders.add(mark(key.rpartition("/")[0]))
        self.versions.add(mark(key, version or ""))


def mark(*parts: str) -> int:
    """Give eight bytes of a digest that stand for a name."""
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).digest()[:8], "big")


@dataclass(kw_only=True)
class _Waiting:
    judge: Judge
    seq: int
    data: bytes


class Entries:
    """Takes in the entries of one station, epoch after epoch."""

    def __init__(self, trust: Trust, originals: Originals | None, known: Known) -> None:
        self.consistency, self.custody, self.chain = Tally(), Tally(), Tally()
        self.times = Tally()
        """Bounds in time that contradict each other, of segments that nobody asks the bytes of."""
        self.closes: dict[str, tuple[int, str | None]] = {}
        """Of each closed log, number of its last entry and the log that it names as the next."""
        self.anomalies: Counter[str] = Counter()
        self.quarantined = self.unsynchronised = self.segments = self.removed = 0
        self.again: dict[SegmentId, list[tuple[str, str | None]]] = {}
        """Keys and versions that were named later than another copy of the segment."""
        self._trust = trust
        self._originals = originals
        self._known = known
        self._dockings = Dockings(originals) if originals is not None and originals.has_documents else None
        self._newest: dict[str, tuple[int, EntryRef]] = {}
        """Of each recorder, number and reference of its newest segment."""
        self._waiting: dict[SegmentId, _Waiting] = {}
        self._parents: set[int] = set()
        self._gone: set[tuple[str, str]] = set()
        self._prev: EntryRef | None = ZERO_REF
        self._closed: int | None = None

    @property
    def waiting(self) -> list[SegmentId]:
        """Segments of which the ledger names no copy."""
        return list(self._waiting)

    @property
    def completeness(self) -> Check:
        """Say whether every file of the cards is accounted for."""
        if self._dockings is None:
            return not_established("The inventories are not kept here.", "清单不在此处。")
        return self._dockings.check()

    @property
    def amiss(self) -> Sequence[Words]:
        """What does not add up in dockings."""
        return () if self._dockings is None else self._dockings.amiss

    def begin(self, judge: Judge) -> None:
        """Begin an epoch."""
        self._gone |= judge.scan.gone
        self._prev, self._closed = ZERO_REF, None

    def skip(self) -> None:
        """Pass over entries that are not here."""
        self._prev = None

    def take(self, judge: Judge, seq: int, data: bytes) -> Iterator[Due]:
        """Take in one entry; gives the copies that are to be read now."""
        place = f"{judge.origin} entry {seq}"
        prev, self._prev = self._prev, reference(data)
        try:
            entry = parse(data)
        except MalformedError as error:
            self.custody.add(failed(f"It is not valid: {error}.", f"条目无效：{error}。"), place)
            self.custody.add(judge.inclusion(seq), place)
            return
        if prev is not None and entry.prev != prev:
            self.consistency.add(failed("It does not follow the entry before it.", "并非接在前一条目之后。"), place)
        if self._dockings is not None:
            self._dockings.take(entry, reference(data))
        for objection in self._of_epoch(judge, seq, entry):
            self.consistency.add(objection, place)
        if isinstance(entry.body, bodies.Segment):
            yield from self._take_segment(judge, seq, data, entry, entry.body)
            return
        for each in self._checks(judge, seq, entry, judge.covering(seq).earliest).values():
            self.custody.add(each, place)
        match entry.body:
            case bodies.Replica():
                yield from self._take_replica(entry.body)
            case bodies.Derivative():
                self._take_derivative(entry.body)
            case bodies.Anomaly():
                self.anomalies[entry.body.kind] += 1
            case _:
                pass

    def sealing(self, judge: Judge, seq: int, entry: Entry, segment: bodies.Segment) -> Sealing:
        """Judge the entry of a segment."""
        covering = judge.covering(seq)
        after = self._after(judge, entry)
        checks = self._checks(judge, seq, entry, covering.earliest)
        lower = not_before(after)
        return Sealing(
            segment=segment,
            checks=checks | {"time": check_time(covering, after, entry, self._trust)},
            root=judge.identity(entry, covering.earliest)[1],
            not_before=None if lower is None else lower.moment,
            not_after=None if covering.earliest is None else covering.earliest.moment,
        )

    # -- segments and copies

    def _take_segment(
        self, judge: Judge, seq: int, data: bytes, entry: Entry, segment: bodies.Segment
    ) -> Iterator[Due]:
        self.segments += 1
        self.quarantined += segment.quarantine is not None
        self.unsynchronised += entry.clock == "unsynchronised"
        self._link(segment, reference(data))
        self._parents.add(mark(segment.segment, segment.sha256))
        if self._originals is None:
            for name, check in self.sealing(judge, seq, entry, segment).checks.items():
                if name != "time":
                    self.custody.add(check, f"{judge.origin} entry {seq}")
                elif check.verdict == "failed":
                    self.times.add(check, f"{judge.origin} entry {seq}")
        elif self._originals.store is None:
            sealing = self.sealing(judge, seq, entry, segment)
            copy: Copy | None = None
            try:
                copy = self._originals.place(segment)
                self._known.add(copy.key, copy.version)
            except AbsentError:
                pass
            if not self._is_gone(segment.segment, "vault"):
                yield Due(sealing=sealing, copy=copy)
        else:
            self._waiting[segment.segment] = _Waiting(judge=judge, seq=seq, data=data)

    def _take_replica(self, body: bodies.Replica) -> Iterator[Due]:
        if self._originals is None or body.store != self._originals.store:
            return
        waiting = self._waiting.pop(body.segment, None)
        entry = None if waiting is None else parse(waiting.data)
        if waiting is not None and entry is not None and isinstance(entry.body, bodies.Segment):
            sealing = self.sealing(waiting.judge, waiting.seq, entry, entry.body)
            copy = Copy(segment=sealing.segment, key=body.key, version=body.version)
            self._known.add(copy.key, copy.version)
            if not self._is_gone(body.segment, body.store):
                yield Due(sealing=sealing, copy=copy)
        elif mark(body.key, body.version or "") not in self._known.versions:
            self._known.add(body.key, body.version)
            self.again.setdefault(body.segment, []).append((body.key, body.version))

    def _is_gone(self, segment: SegmentId, store: str) -> bool:
        is_gone = (segment, store) in self._gone
        self.removed += is_gone
        return is_gone

    def _take_derivative(self, body: bodies.Derivative) -> None:
        if mark(body.segment, body.parent_sha256) in self._parents:
            self._known.derivatives.add(mark(body.segment, body.kind, body.sha256, str(body.bytes)))

    def _link(self, segment: bodies.Segment, ref: EntryRef) -> None:
        """Follow a recorder's own numbering."""
        number, before = segment.recorder_seq, segment.recorder_prev
        newest = self._newest.get(segment.recorder)
        whose, whose_zh = f"Segment {number} of {segment.recorder}", f"{segment.recorder} 的第 {number} 个片段"
        if (number == 1) != (before is None) or (newest is not None and (number - 1, before) != newest):
            self.chain.add(
                failed(f"{whose} does not follow number {number - 1}.", f"{whose_zh}并非接在第 {number - 1} 个之后。")
            )
        elif newest is None and number > 1:
            self.chain.add(
                not_established(f"What came before is not here: {whose}.", f"之前的片段不在此处：{whose_zh}。")
            )
        self._newest[segment.recorder] = (number, ref)

    # -- what is asked of each entry

    def _checks(self, judge: Judge, seq: int, entry: Entry, anchor: Anchor | None) -> dict[str, Check]:
        return {
            "entry": _check_place(judge.origin, seq, entry),
            "inclusion": judge.inclusion(seq),
            "signature": judge.signature(seq),
            "identity": judge.identity(entry, anchor)[0],
        }

    def _after(self, judge: Judge, entry: Entry) -> Found:
        return Found() if entry.after is None else judge.anchors.cited(entry.after)

    def _of_epoch(self, judge: Judge, seq: int, entry: Entry) -> Iterator[Check]:
        """Check where an epoch begins and ends, and that it is the one of its key."""
        body = entry.body
        if self._closed is not None:
            yield failed(f"The log was closed by entry {self._closed}.", f"日志已由第 {self._closed} 号条目关闭。")
        if isinstance(body, bodies.Close):
            self._closed = seq
            self.closes[judge.origin] = seq, body.next
        if isinstance(body, bodies.Genesis) != (seq == 0):
            yield failed("A log has one beginning, its first entry.", "日志只有一个开头，即首个条目。")
        elif isinstance(body, bodies.Genesis) and judge.key is not None:
            agrees = (
                body.origin == judge.origin
                and body.public_key == vkey(judge.origin, judge.key.public)
                and body.certificate_sha256 == fingerprint(judge.key.certificates[0])
            )
            if not agrees:
                yield failed(
                    "It names another origin, key or certificate than are here.", "所载来源名、密钥或证书与此处不符。"
                )


def _check_place(origin: str, seq: int, entry: Entry) -> Check:
    """Compare an entry with the log and number it lies at, and a segment's id with its content."""
    _, station, epoch = split_origin(origin)
    if (entry.station, entry.epoch, entry.seq) != (station, epoch, seq):
        return failed(
            f"It says of itself to be {entry.station}/{entry.epoch} {entry.seq}.",
            f"条目自称 {entry.station}/{entry.epoch} {entry.seq}。",
        )
    body = entry.body
    if not is_epoch(entry.epoch):
        return failed("The entry's epoch is not written YYYY-MM-xxxx.", "条目的纪元不是 YYYY-MM-xxxx 形式。")
    if isinstance(body, bodies.Segment) and body.segment != segment_id(body.recorder, body.sha256):
        return failed("The segment's id is not the one of its recorder and content.", "片段编号与其记录仪和内容不符。")
    return _GOOD
