"""From a target to a verdict.

Order: what is shown of each log is read, and its anchors judged; each log is read once for its tree, which says which
checkpoints are those of its entries; then every entry is read again and judged, station by station, epoch by epoch,
while the originals that they name are digested; at last comes what lies there besides. No step trusts an earlier one
that failed, and none stops the others.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from edged.audit import epochs
from edged.audit.beside import check_lying
from edged.audit.entries import Due, Entries, Known
from edged.audit.findings import findings, not_shown
from edged.audit.judging import Claim, Judge, Shown, read_claim, show
from edged.audit.originals import Digesting
from edged.audit.port import AbsentError, Copy, LogSource, Progress, Target
from edged.audit.report import LogReport, Segments, TargetReport
from edged.audit.scan import Scan, Statement, bundle_digest, bundles, scan
from edged.audit.tally import Tally
from edged.errors import MalformedError
from edged.evidence import bodies, merkle
from edged.evidence.entry import Entry, parse
from edged.evidence.text import to_base64
from edged.evidence.verification import SegmentReport, Trust
from edged.evidence.verification.report import Check, failed, verified

OnSegment = Callable[[SegmentReport], None]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A target with its logs judged."""

    report: TargetReport
    sources: Mapping[str, LogSource]
    judges: Mapping[str, Judge]


def check_target(  # noqa: PLR0913 - what there is to hand in
    target: Target,
    trust: Trust,
    *,
    progress: Progress,
    on_segment: OnSegment = lambda _: None,
    given: Sequence[Claim] = (),
    stop: threading.Event | None = None,
) -> Checked:
    """Check a target under what the verifier trusts; without originals, its logs alone and all the more of them.

    `on_segment` is told each segment's report as it comes; `given` are checkpoints that the verifier brought along.
    Raises UnreadableError or UnavailableError where the target cannot be read at all.
    """
    return _Run(target, trust, progress, given).run(on_segment, stop or threading.Event())


class _Run:
    def __init__(self, target: Target, trust: Trust, progress: Progress, given: Sequence[Claim]) -> None:
        self._target = target
        self._trust = trust
        self._progress = progress
        self._given = given
        self._sources: dict[str, LogSource] = {each.origin: each for each in target.logs()}
        self._shown: Shown = show(list(self._sources.values()), trust)
        self._firsts: dict[str, Entry | None] = {
            origin: epochs.beginning(each) for origin, each in self._sources.items()
        }
        self._before = {origin: epochs.previous(each, self._firsts[origin]) for origin, each in self._sources.items()}
        self._consistency, self._custody, self._chain, self._anchoring = Tally(), Tally(), Tally(), Tally()
        self._derivatives = Tally()
        self._segments = Segments()
        self._known = Known(folders=set(), versions=set(), derivatives=set())

    def run(self, on_segment: OnSegment, stop: threading.Event) -> Checked:
        """Do all of it."""
        judges = self._judge()
        if self._target.originals is not None:
            self._target.originals.settle({name for each in judges.values() for name in each.scan.stores})
        entries = list(self._read(judges, on_segment, stop))
        strays = []
        if self._target.originals is not None:
            strays = check_lying(self._target.originals, self._known, self._derivatives)
        for each in entries:
            for tally, other in ((self._consistency, each.consistency), (self._custody, each.custody)):
                tally.take(other)
            self._chain.take(each.chain)
            self._anchoring.take(each.times)
            self._consistency.add_all(epochs.of_closes(each.closes, self._before, judges))
        roots = sorted({root for each in judges.values() for root in each.roots}, key=lambda root: root.sha256)
        report = TargetReport(
            target=self._target.name,
            checks=self._checks(entries, judges),
            logs=[_log_report(each) for each in judges.values()],
            segments=self._segments,
            roots=roots,
            findings=findings(entries, judges, self._shown, self._trust, strays),
            not_proven=not_shown(self._trust, roots, has_originals=self._target.originals is not None),
            needs_segments=self._target.originals is not None,
        )
        return Checked(report=report, sources=self._sources, judges=judges)

    # -- the first reading

    def _judge(self) -> dict[str, Judge]:
        claims = {origin: self._claims(each) for origin, each in self._sources.items()}
        wanted: dict[str, set[int]] = {origin: set() for origin in self._sources}
        ends = [said for said in self._before.values() if said is not None]
        for claim in [*self._given, *(claim for each in claims.values() for claim in each)]:
            wanted.setdefault(claim.checkpoint.origin, set()).add(claim.checkpoint.size)
        for said in ends:
            wanted.setdefault(said.origin, set()).add(said.size)
        for (station, epoch), log in self._shown.logs.items():
            for origin, source in self._sources.items():
                if (source.station, source.epoch) == (station, epoch):
                    wanted[origin] |= log.heads.keys()
        scans = {origin: self._scan(each, wanted[origin], claims[origin]) for origin, each in self._sources.items()}
        statements = [*ends, *(said for each in scans.values() for said in each.statements)]
        self._complete(scans, statements)
        judges = {
            origin: Judge(each, scans[origin], self._shown, claims[origin], self._trust)
            for origin, each in self._sources.items()
        }
        for origin, judge in judges.items():
            source = self._sources[origin]
            self._consistency.add_all(judge.objections(self._shown.logs[source.station, source.epoch].objections))
            self._anchoring.add_all(judge.anchoring())
        self._consistency.add_all(epochs.against(statements, judges))
        return judges

    def _claims(self, source: LogSource) -> list[Claim]:
        """Read the checkpoints that a log shows; where only logs are looked at, all that are held of it."""
        shown = [] if source.newest is None else [("checkpoint", source.newest)]
        if self._target.originals is None:
            shown += [(f"an older checkpoint ({number})", data) for number, data in enumerate(source.older())]
        claims = []
        for label, data in shown:
            try:
                claims.append(read_claim(label, data))
            except MalformedError as error:
                name = f"{source.origin}, {label}"
                self._consistency.add(failed(f"{name} is malformed: {error}.", f"{name} 格式有误：{error}。"))
        return claims

    def _scan(self, source: LogSource, wanted: set[int], claims: Sequence[Claim]) -> Scan:
        thorough = self._target.originals is None
        self._progress.begin(f"reading {source.origin}", source.size)
        found = scan(source, source.size, wanted, self._progress, hashes=thorough)
        holds = all(found.matches(each.checkpoint.size, each.checkpoint.root) for each in claims)
        if thorough or (holds and not found.absent):
            return found
        # Something is wrong: the log's own hashes may tell what.
        self._progress.begin(f"reading {source.origin} with its hashes", source.size)
        return scan(source, source.size, wanted, self._progress, hashes=True)

    def _complete(self, scans: Mapping[str, Scan], statements: Sequence[Statement]) -> None:
        """Compute the roots at sizes of which only entries further up speak, and no checkpoint is here."""
        for origin, found in scans.items():
            lacking = {said.size for said in statements if said.origin == origin} - found.roots.keys()
            lacking = {size for size in lacking if size <= found.size}
            if lacking:
                source = self._sources[origin]
                self._progress.begin(f"reading {origin} again", source.size)
                more = scan(source, source.size, lacking, self._progress, hashes=bool(found.altered))
                found.roots |= more.roots
                found.by_hashes |= more.by_hashes

    # -- the second reading

    def _read(self, judges: Mapping[str, Judge], on_segment: OnSegment, stop: threading.Event) -> Iterator[Entries]:
        originals = self._target.originals
        digesting = (
            nullcontext()
            if originals is None
            else Digesting(originals=originals, cores=os.cpu_count() or 1, progress=self._progress, stop=stop)
        )
        with digesting as workers:
            for station in sorted({each.station for each in self._sources.values()}):
                entries = Entries(self._trust, originals, self._known)
                own = [origin for origin, each in self._sources.items() if each.station == station]
                ordered = epochs.in_order({each: self._firsts[each] for each in own}, self._before)
                for due in self._walk([judges[origin] for origin in ordered], entries):
                    if workers is not None:
                        self._report(workers.take(due), on_segment)
                if workers is not None:
                    self._report(workers.rest(), on_segment)
                yield entries

    def _report(self, reports: Iterator[SegmentReport], on_segment: OnSegment) -> None:
        for each in reports:
            self._segments.add(each)
            on_segment(each)

    def _walk(self, judges: Sequence[Judge], entries: Entries) -> Iterator[Due]:
        for judge in judges:
            entries.begin(judge)
            self._progress.begin(f"checking {judge.origin}", judge.scan.size)
            for seq, data in self._each(judge, entries):
                yield from entries.take(judge, seq, data)
        if not entries.again:
            return
        for judge in judges:
            for seq, data in self._each(judge, None):
                yield from _again(entries, judge, seq, data)

    def _each(self, judge: Judge, entries: Entries | None) -> Iterator[tuple[int, bytes]]:
        """Give the entries of a log; says so where they are not the ones of the first reading."""
        source = self._sources[judge.origin]
        for n, width in bundles(judge.scan.size):
            try:
                found = source.entries(n, width)
            except (AbsentError, MalformedError):
                found = []
            if bundle_digest([merkle.leaf_hash(data) for data in found]) != judge.scan.digests[n]:
                self._consistency.add(
                    failed(
                        f"{judge.origin}: the entries from {n * 256} on were other ones when they were read again.",
                        f"{judge.origin}：自第 {n * 256} 号起的条目两次读取结果不同。",
                    )
                )
                found = []
            if not found and entries is not None:
                entries.skip()
            yield from ((n * 256 + at, data) for at, data in enumerate(found))
            if entries is not None:
                self._progress.advance(width)

    # -- the end

    def _checks(self, entries: Sequence[Entries], judges: Mapping[str, Judge]) -> dict[str, Check]:
        count = self._custody.counts.total() // 4
        names = ", ".join(sorted(judges))
        consistency = self._consistency.check(
            verified(
                f"All checkpoints of {len(judges)} log(s) are those of the entries, and the logs join: {names}.",
                f"{len(judges)} 个日志的全部检查点均与条目一致，且日志前后衔接：{names}。",
            )
        )
        chain = self._chain.check(
            verified(
                f"{sum(each.segments for each in entries)} segment entries follow each other without a break.",
                f"{sum(each.segments for each in entries)} 个片段条目首尾相接，无中断。",
            )
        )
        all_valid = self._custody.check(
            verified(
                f"All {count} entries are valid, in the log, signed, and by whom they say.",
                f"全部 {count} 个条目均有效、在日志内、已签名且签名者属实。",
            )
        )
        if self._target.originals is None:
            anchored = verified(
                "Every anchor that was given a root or key for holds.", "所给机构与见证方的时间锚均有效。"
            )
            return {
                "entries": all_valid,
                "consistency": consistency,
                "chain": chain,
                "anchors": self._anchoring.check(anchored),
            }
        derivatives = verified(
            f"Each of {self._derivatives.counts['verified']} derivatives is the one its entry describes.",
            f"{self._derivatives.counts['verified']} 个衍生件均与其条目相符。",
        )
        completeness = Tally()
        completeness.add_all(each.completeness for each in entries)
        return {
            "consistency": consistency,
            "custody": all_valid,
            "derivatives": self._derivatives.check(derivatives),
            "chain": chain,
            "completeness": completeness.check(entries[0].completeness),
        }


def _again(entries: Entries, judge: Judge, seq: int, data: bytes) -> Iterator[Due]:
    """Give the further copies of a segment."""
    if b'"type":"segment"' not in data:
        return
    try:
        entry = parse(data)
    except MalformedError:
        return
    if not isinstance(entry.body, bodies.Segment) or entry.body.segment not in entries.again:
        return
    sealing = entries.sealing(judge, seq, entry, entry.body)
    for key, version in entries.again[sealing.segment.segment]:
        yield Due(sealing=sealing, copy=Copy(segment=sealing.segment, key=key, version=version))


def _log_report(judge: Judge) -> LogReport:
    size = min(judge.joined, judge.signed) if judge.key else judge.joined
    root = judge.scan.by_hashes.get(size) or judge.scan.roots.get(size)
    return LogReport(
        origin=judge.origin,
        entries=size,
        root="" if root is None or not size else to_base64(root),
        checkpoints=len(judge.claims),
    )
