"""From the files of a bundle to a verdict (EVIDENCE.md, section 7).

Order: place every file by its name; read logs; judge anchors; examine every entry with its proof; digest the large
files in one pass each, by what their entries name; then ask the questions that span several entries. No step trusts an
earlier one that failed, and none stops the others: the report always has every check.
"""

from collections.abc import Mapping
from concurrent.futures import Executor

from edged.errors import MalformedError
from edged.evidence.digests import Digests
from edged.evidence.ids import bundle_name
from edged.evidence.verification.anchors import read_anchors
from edged.evidence.verification.bag import check_bag
from edged.evidence.verification.chain import check_chain
from edged.evidence.verification.completeness import check_completeness
from edged.evidence.verification.custody import check_custody, check_derivatives
from edged.evidence.verification.findings import findings, not_proven, of_anchors, shortened
from edged.evidence.verification.history import check_consistency
from edged.evidence.verification.layout import SegmentFiles, arrange
from edged.evidence.verification.logs import read_logs
from edged.evidence.verification.originals import MAX_CHUNK_LIST_BYTES, Original, check_bytes
from edged.evidence.verification.port import BundleFiles, Trust
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.report import Report, SegmentReport
from edged.evidence.verification.sealed import Examiner, Sealed
from edged.evidence.verification.selection import check_selection


def verify(files: BundleFiles, trust: Trust, pool: Executor | None = None) -> Report:
    """Verify a bundle under what the verifier trusts; `pool` lets several cores digest its originals.

    Whatever a forger put there ends in the report. Raises UnreadableError where the medium does not give the
    bytes, or the bundle is larger than can be held in view.
    """
    layout = arrange(files.listing())
    contents = Contents(files, layout.files)
    logs = read_logs(layout.logs, contents)
    anchors = read_anchors(layout, contents, logs, trust)
    examiner = Examiner(contents, logs, trust, anchors)
    segments = [
        examiner.segment(each.segment, f"data/segments/{each.segment}", each.entry, each.proof)
        for each in layout.segments.values()
    ]
    custody = [
        examiner.custody(each.log, each.seq, each.place, each.entry, each.proof) for each in layout.custody.values()
    ]
    originals = {path: each.segment for each in layout.segments.values() for path in each.originals}
    sm3 = {each.segment.segment for each in segments if each.segment is not None and each.segment.sm3 is not None}
    digests = contents.stream(
        [*originals, *(path for _, _, path in layout.derivatives)],
        pool,
        sm3={path for path, segment in originals.items() if segment in sm3},
    )
    completeness, amiss = check_completeness(layout, contents, segments, custody)
    reports = tuple(
        _report(each, sealed, contents, digests)
        for each, sealed in zip(layout.segments.values(), segments, strict=True)
    )
    found = [*amiss, *findings(layout, contents, logs, segments, custody), *of_anchors(anchors, trust)]
    return Report(
        checks={
            "bag": check_bag(layout, contents),
            "selection": check_selection(layout, contents, segments, custody),
            "consistency": check_consistency(logs, [*segments, *custody]),
            "custody": check_custody(custody),
            "derivatives": check_derivatives(layout, digests, segments, custody),
            "chain": check_chain([*segments, *custody]),
            "completeness": completeness,
        },
        segments=reports,
        findings=shortened(found),
        not_proven=tuple(not_proven(trust, reports)),
    )


def _report(files: SegmentFiles, sealed: Sealed, contents: Contents, digests: Mapping[str, Digests]) -> SegmentReport:
    """Judge one segment by its six checks."""
    original = _original(files, sealed, contents, digests)
    found, damage = check_bytes(original, sealed.segment)
    return SegmentReport(
        segment=files.segment,
        name=None if original is None else original.name,
        checks={"bytes": found, **sealed.checks, "time": sealed.time},
        root=sealed.root,
        not_before=None if sealed.not_before is None else sealed.not_before.moment,
        not_after=None if sealed.not_after is None else sealed.not_after.moment,
        damage=damage,
    )


def _original(
    files: SegmentFiles, sealed: Sealed, contents: Contents, digests: Mapping[str, Digests]
) -> Original | None:
    """Gather what lies in a segment's folder; of several originals the one with the right name."""
    named = {path.rpartition("/")[2]: path for path in files.originals}
    if not named:
        return None
    expected = "" if sealed.segment is None else bundle_name(sealed.segment.path)
    name = expected if expected in named else min(named)
    chunk_list = None
    if files.chunk_list is not None:
        try:
            chunk_list = contents.small(files.chunk_list, MAX_CHUNK_LIST_BYTES)
        except MalformedError:
            chunk_list = b"overlong"  # no chunk list, so `check_bytes` says that it is not the sealed one
    return Original(name=name, digests=digests[named[name]], chunk_list=chunk_list)
