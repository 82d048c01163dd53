"""The checks `custody` and `derivatives`: what was done with the evidence, and what was made of it."""

from collections.abc import Mapping, Sequence

from edged.evidence import bodies
from edged.evidence.digests import Digests
from edged.evidence.verification.layout import Layout
from edged.evidence.verification.report import Check, failed, not_established, together, verified
from edged.evidence.verification.sealed import Sealed
from edged.evidence.verification.words import Words


def check_custody(custody: Sequence[Sealed]) -> Check:
    """Ask of every custody entry what is asked of a segment's."""
    problems = [
        Check(check.verdict, Words(f"{each.place}:", f"{each.place}：") + check.detail)
        for each in custody
        for check in each.checks.values()
        if check.verdict != "verified"
    ]
    return together(
        problems,
        verified(
            f"All {len(custody)} custody entries are valid, in the log, signed, and by whom they say.",
            f"全部 {len(custody)} 条经手条目均有效、在日志内、已签名且签名者属实。",
        ),
    )


def check_derivatives(
    layout: Layout, digests: Mapping[str, Digests], segments: Sequence[Sealed], custody: Sequence[Sealed]
) -> Check:
    """Compare each derivative with the entry that was made of it, and that entry with its parent."""
    parents = {each.segment.segment: each.segment.sha256 for each in [*custody, *segments] if each.segment}
    made: dict[tuple[str, str, str, int], set[str]] = {}
    for each in custody:
        body = each.entry.body if each.entry else None
        if isinstance(body, bodies.Derivative):
            product = body.segment, body.kind, body.sha256, body.bytes
            made.setdefault(product, set()).add(body.parent_sha256)
    problems = []
    for segment, kind, path in layout.derivatives:
        found = digests[path]
        from_parents = made.get((segment, kind, found.sha256, found.size_bytes))
        if from_parents is None:
            problems.append(failed(f"{path} is in no derivative entry here.", f"{path} 与此处任何衍生件条目都不相符。"))
        elif segment not in parents:
            problems.append(not_established(f"What {path} was made from is not here.", f"{path} 的原件不在此处。"))
        elif parents[segment] not in from_parents:
            problems.append(
                failed(f"{path} was made from another file than its segment.", f"{path} 并非由该片段制成。")
            )
    return together(
        problems,
        verified(
            f"Each of {len(layout.derivatives)} derivatives is the one its entry describes.",
            f"{len(layout.derivatives)} 个衍生件均与其条目相符。",
        ),
    )
