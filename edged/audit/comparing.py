"""Where two copies of one log disagree, and whether a checkpoint that somebody kept is of the log that is shown.

Two copies that differ at one number, each under a checkpoint that the log's key signed, show that the key signed two
histories: a fork, or a past that was rewritten. A copy that only ends earlier is behind, and disagrees with nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from edged.audit.judging import Claim, Judge
from edged.audit.port import ENTRIES, AbsentError, LogSource, Progress
from edged.clock import rfc3339
from edged.errors import MalformedError
from edged.evidence import cosignatures
from edged.evidence.entry import reference
from edged.evidence.policy import Policy
from edged.evidence.verification.report import Check, failed, not_established, verified


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two entries that should be one."""

    target: str
    entry: bytes | None
    """None where it is not here."""
    only_here: int
    """Entries from that number on that the other copy has not, or has otherwise."""

    def plain(self) -> dict[str, object]:
        """Give the JSON object."""
        data = self.entry
        return {
            "target": self.target,
            "reference": None if data is None else reference(data),
            "entry": None if data is None else data.decode("utf-8", "backslashreplace"),
            "only_here": self.only_here,
        }


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where two copies of a log part."""

    origin: str
    seq: int
    """Number of the first entry that is not the same."""
    sides: tuple[Side, Side]
    is_fork: bool
    """Whether both hold another entry there; else one of them ends."""

    def plain(self) -> dict[str, object]:
        """Give the JSON object."""
        return {
            "origin": self.origin,
            "seq": self.seq,
            "contradicts": self.is_fork,
            "sides": [side.plain() for side in self.sides],
        }


@dataclass(frozen=True, kw_only=True)
class Copied:
    """One of several copies."""

    target: str
    sources: Mapping[str, LogSource]
    judges: Mapping[str, Judge]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A checkpoint that the verifier brought along, against one target."""

    claim: Claim
    target: str
    check: Check
    witnessed: datetime | None
    """When a quorum of the given policy cosigned it."""

    def plain(self) -> dict[str, object]:
        """Give the JSON object."""
        return {
            "checkpoint": self.claim.label,
            "target": self.target,
            "origin": self.claim.checkpoint.origin,
            "size": self.claim.checkpoint.size,
            "witnessed": None if self.witnessed is None else rfc3339(self.witnessed),
            **self.check.plain(),
        }


def differences(copies: Sequence[Copied], progress: Progress) -> Iterator[Difference]:
    """Compare every copy with the first that holds the same log."""
    for number, other in enumerate(copies):
        for origin, there in other.sources.items():
            first = next((each for each in copies[:number] if origin in each.sources), None)
            if first is not None:
                yield from _compare(first, other, origin, there, progress)


def _compare(first: Copied, other: Copied, origin: str, there: LogSource, progress: Progress) -> Iterator[Difference]:
    here = first.sources[origin]
    sizes = first.judges[origin].scan.size, other.judges[origin].scan.size
    progress.begin(f"comparing {origin}", max(sizes))
    part: tuple[int, bytes | None, bytes | None] | None = None
    only = [0, 0]
    for n in range(-(-max(sizes) // ENTRIES)):
        both = [_entries(log, n, size) for log, size in zip((here, there), sizes, strict=True)]
        longest = max(len(each) for each in both)
        if both[0] != both[1]:
            for at in range(longest):
                one, two = (each[at] if at < len(each) else None for each in both)
                if one != two:
                    part = part or (n * ENTRIES + at, one, two)
                    only[0] += one is not None
                    only[1] += two is not None
        progress.advance(longest)
    if part is not None:
        seq, one, two = part
        sides = (
            Side(target=first.target, entry=one, only_here=only[0]),
            Side(target=other.target, entry=two, only_here=only[1]),
        )
        yield Difference(origin=origin, seq=seq, sides=sides, is_fork=one is not None and two is not None)


def _entries(log: LogSource, n: int, size: int) -> list[bytes]:
    width = min(ENTRIES, size - n * ENTRIES)
    try:
        return log.entries(n, width) if width > 0 else []
    except (AbsentError, MalformedError):
        return []


def compare_kept(
    claims: Sequence[Claim], copies: Sequence[Copied], policy: Policy | None, lines: Mapping[str, Sequence[bytes]]
) -> Iterator[Kept]:
    """Compare checkpoints that the verifier brought along with every copy of their logs.

    `lines` are the signature lines of each, by its label. One counts if the log's own key signed it, or a quorum of
    the policy cosigned it: anybody could have written another.
    """
    for claim in claims:
        witnessed, objection = _witnessed(claim, policy, lines.get(claim.label, ()))
        found = False
        for copy in copies:
            judge = copy.judges.get(claim.checkpoint.origin)
            if judge is not None:
                found = True
                check = objection or _check(claim, judge, witnessed)
                yield Kept(claim=claim, target=copy.target, check=check, witnessed=witnessed)
        if not found:
            check = not_established("No target holds this log.", "所给目标均无此日志。")
            yield Kept(claim=claim, target="", check=check, witnessed=witnessed)


def _witnessed(claim: Claim, policy: Policy | None, lines: Sequence[bytes]) -> tuple[datetime | None, Check | None]:
    if policy is None:
        return None, None
    try:
        return policy.moment(policy.times(claim.note.text, lines)), None
    except MalformedError as error:
        return None, failed(f"A cosignature is invalid: {error}.", f"联署无效：{error}。")


def _check(claim: Claim, judge: Judge, witnessed: datetime | None) -> Check:
    checkpoint, scan = claim.checkpoint, judge.scan
    if not judge.is_signed(claim) and witnessed is None:
        return not_established(
            "It is not signed by the key of this log, nor cosigned by a quorum of a given policy: it shows nothing.",
            "既非由该日志密钥签名，也无所给策略法定数的联署：不能证明什么。",
        )
    when = "" if witnessed is None else f" (witnessed on {rfc3339(witnessed)})"
    when_zh = "" if witnessed is None else f"（{rfc3339(witnessed)} 已见证）"
    if checkpoint.size > scan.size:
        return not_established(
            f"It is over {checkpoint.size} entries{when}; this copy has {scan.size}, and is behind or was cut.",
            f"其覆盖 {checkpoint.size} 个条目{when_zh}；此副本只有 {scan.size} 个，落后或被截断。",
        )
    if not scan.matches(checkpoint.size, checkpoint.root):
        return failed(
            f"Its first {checkpoint.size} entries were others{when}: the past was rewritten, or the log forked.",
            f"其前 {checkpoint.size} 个条目当时并非如此{when_zh}：历史被改写，或日志分叉。",
        )
    return verified(
        f"This copy begins with the very {checkpoint.size} entries that it is over{when}.",
        f"此副本正是以其所覆盖的 {checkpoint.size} 个条目开头{when_zh}。",
    )


def signature_lines(data: bytes) -> tuple[bytes, ...]:
    """Give the signature lines of a checkpoint; raises MalformedError."""
    return tuple(cosignatures.lines(data))
