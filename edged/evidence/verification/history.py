"""The check `consistency`: everything here that speaks of a log speaks of one and the same history of it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from edged.errors import MalformedError
from edged.evidence import bodies
from edged.evidence.certificates import fingerprint
from edged.evidence.entry import ZERO_REF, Entry
from edged.evidence.ids import split_origin
from edged.evidence.note import verify, vkey
from edged.evidence.text import to_base64
from edged.evidence.verification.layout import LogId
from edged.evidence.verification.logs import Head, Log
from edged.evidence.verification.report import Check, failed, not_established, together, verified
from edged.evidence.verification.sealed import Sealed


def check_consistency(logs: Mapping[LogId, Log], sealed: Sequence[Sealed]) -> Check:
    """Compare checkpoints, proofs and what entries say of their log with each other."""
    objections: list[Check] = []
    by_log: dict[LogId, list[Sealed]] = {}
    for each in sealed:
        if each.entry is not None:
            by_log.setdefault((each.entry.station, each.entry.epoch), []).append(each)
    for log, here in logs.items():
        objections += _of_chain(here, by_log.get(log, []))
        entries = [each.entry for each in by_log.get(log, []) if each.entry is not None]
        objections += here.objections
        for size, head in here.heads.items():
            objections += _of_head(log, size, head, here)
        objections += _of_joints(here)
        objections += _of_genesis(here, entries)
        objections += _of_close(here, entries)
    objections += _of_proofs(logs, sealed)
    objections += _of_statements(logs, sealed)
    objections += _of_epochs(sealed)
    return together(
        objections,
        verified(
            f"The checkpoints of {len(logs)} log(s) agree with each other and with the entries.",
            f"{len(logs)} 个日志的检查点彼此一致，且与条目一致。",
        ),
    )


def _of_head(log: LogId, size: int, head: Head, here: Log) -> Iterator[Check]:
    """Check a checkpoint against its place, its key and its cosigned form."""
    checkpoint, where = head.checkpoint, f"logs/{here.name}/{size}/checkpoint"
    try:
        agrees = split_origin(checkpoint.origin)[1:] == log and checkpoint.size == size
        signed = here.key is None or verify(head.note, here.key.named(checkpoint.origin))
    except MalformedError:
        agrees = signed = False
    if not agrees:
        yield failed(f"{where} is of another log or size than its place says.", f"{where} 的日志或大小与其位置不符。")
    if not signed or len(head.note.signatures) != 1:
        yield failed(
            f"{where} does not carry exactly the signature of the log's key.", f"{where} 未恰好带有该日志密钥的签名。"
        )
    if head.cosignatures is None:
        yield failed(
            f"{where}.cosigned is not that checkpoint and witness lines.", f"{where}.cosigned 不是该检查点加见证签名。"
        )


def _of_joints(here: Log) -> Iterator[Check]:
    """Check that each checkpoint extends the next smaller one."""
    for smaller, larger in pairwise(here.heads):
        joint = here.joints.get(larger)
        # A joint from a size whose checkpoint is not here says nothing of the one below.
        if joint is None or joint.old != smaller:
            yield not_established(
                f"Nothing joins the checkpoints of {here.name} at sizes {smaller} and {larger}.",
                f"{here.name} 在大小 {smaller} 与 {larger} 处的检查点之间没有衔接证明。",
            )
        elif not here.extends(smaller, larger):
            yield failed(
                f"The checkpoints of {here.name} at sizes {smaller} and {larger} are not proven to be of one history.",
                f"{here.name} 在大小 {smaller} 与 {larger} 处的检查点未能证明属于同一历史。",
            )
    if len({head.checkpoint.origin for head in here.heads.values()}) > 1:
        yield failed(f"Checkpoints of {here.name} name several origins.", f"{here.name} 的检查点载有多个来源名。")


def _of_chain(here: Log, sealed: Sequence[Sealed]) -> Iterator[Check]:
    """Check that each entry cites the one before it, where both are here and in the log.

    An entry that somebody altered is not in the log; it says nothing of how the station wrote its neighbour.
    """
    proven = {
        each.entry.seq: (each.ref, each.entry)
        for each in sealed
        if each.entry is not None and each.checks["inclusion"].verdict == "verified"
    }
    for _, entry in proven.values():
        before, _ = proven.get(entry.seq - 1, (entry.prev if entry.seq else ZERO_REF, entry))
        if entry.prev != before:
            yield failed(
                f"Entry {entry.seq} of {here.name} does not follow the entry before it.",
                f"{here.name} 的第 {entry.seq} 号条目并非接在前一条目之后。",
            )


def _of_genesis(here: Log, entries: Sequence[Entry]) -> Iterator[Check]:
    """Check that the log's first entry names its key and certificate."""
    found = [(entry, entry.body) for entry in entries if isinstance(entry.body, bodies.Genesis)]
    if not found:
        yield not_established(f"The first entry of {here.name} is not here.", f"缺少 {here.name} 的首个条目。")
    for entry, genesis in found:
        if entry.seq:
            yield failed(
                f"{here.name} begins anew at entry {entry.seq}.", f"{here.name} 在第 {entry.seq} 号条目处重新开始。"
            )
        if here.key is None:
            continue
        agrees = (
            here.origin() in (None, genesis.origin)
            and genesis.public_key == vkey(genesis.origin, here.key.public)
            and genesis.certificate_sha256 == fingerprint(here.key.certificates[0])
        )
        if not agrees:
            yield failed(
                f"The first entry of {here.name} names another origin, key or certificate than are here.",
                f"{here.name} 的首个条目所载来源名、密钥或证书与此处不符。",
            )


def _of_close(here: Log, entries: Sequence[Entry]) -> Iterator[Check]:
    """Check that nothing follows the entry that closed the log."""
    closed = min((entry.seq for entry in entries if isinstance(entry.body, bodies.Close)), default=None)
    if closed is None:
        return
    if any(entry.seq > closed for entry in entries) or any(size > closed + 1 for size in here.heads):
        yield failed(
            f"{here.name} was closed by entry {closed}, yet goes on.",
            f"{here.name} 已由第 {closed} 号条目关闭，却仍有后续。",
        )


def _of_proofs(logs: Mapping[LogId, Log], sealed: Sequence[Sealed]) -> Iterator[Check]:
    """Check that the checkpoint in each proof is, byte for byte, the one under `logs/`."""
    for each in sealed:
        if each.entry is None or each.ending is None:
            continue
        log = logs.get((each.entry.station, each.entry.epoch))
        size = each.ending.checkpoint.size
        head = None if log is None else log.heads.get(size)
        if head is None:
            yield not_established(
                f"The checkpoint that the proof of {each.place} ends in is not under logs/.",
                f"{each.place} 的证明所达检查点不在 logs/ 下。",
            )
        elif each.ending.data not in head.forms:
            yield failed(
                f"The proof of {each.place} ends in another checkpoint than the one under logs/ at size {size}.",
                f"{each.place} 的证明所达检查点与 logs/ 下大小 {size} 处的不同。",
            )


def _of_epochs(sealed: Sequence[Sealed]) -> Iterator[Check]:
    """Check that epochs join: what begins cites the very end of what was closed, and what was closed goes on there."""
    bodies_of = [(each.entry, each.entry.body) for each in sealed if each.entry is not None]
    ends = {
        (entry.station, entry.epoch): (entry.seq + 1, body.next)
        for entry, body in bodies_of
        if isinstance(body, bodies.Close)
    }
    begun_by: dict[str, list[LogId]] = {}
    for closed, (_, successor) in ends.items():
        if successor is not None:
            begun_by.setdefault(successor, []).append(closed)
    last: dict[LogId, int] = {}
    for entry, _ in bodies_of:
        last[entry.station, entry.epoch] = max(entry.seq, last.get((entry.station, entry.epoch), -1))
    for entry, body in bodies_of:
        if not isinstance(body, bodies.Genesis):
            continue
        before = None if body.previous is None else split_origin(body.previous.origin)[1:]
        here = f"{entry.station}/{entry.epoch}"
        if body.previous is not None and before is not None:
            size, successor = ends.get(before, (body.previous.size, body.origin))
            grown = last.get(before, -1) >= body.previous.size
            if grown or size != body.previous.size or successor not in {None, body.origin}:
                yield failed(
                    f"{here} does not continue {'/'.join(before)} where that ended.",
                    f"{here} 并非接在 {'/'.join(before)} 结束之处。",
                )
        for closed in begun_by.get(body.origin, ()):
            if closed != before:
                yield failed(
                    f"{'/'.join(closed)} was closed in favour of {here}, which does not cite it.",
                    f"{'/'.join(closed)} 关闭时指明由 {here} 接续，后者却未引用它。",
                )


def _of_statements(logs: Mapping[LogId, Log], sealed: Sequence[Sealed]) -> Iterator[Check]:
    """Check what entries say of sizes and roots against the checkpoints here."""
    heads = {
        (head.checkpoint.origin, size): head.checkpoint for log in logs.values() for size, head in log.heads.items()
    }
    largest: dict[str, int] = {}
    for origin, size in heads:
        largest[origin] = max(size, largest.get(origin, 0))
    for each in sealed:
        body = None if each.entry is None else each.entry.body
        said = body.previous if isinstance(body, bodies.Genesis) else body
        if not isinstance(said, bodies.Anchor | bodies.Previous):
            continue
        head = heads.get((said.origin, said.size))
        contradicted = head is not None and to_base64(head.root) != said.root
        # The checkpoint that a new epoch cites was the last one of the epoch before.
        outgrown = isinstance(said, bodies.Previous) and largest.get(said.origin, 0) > said.size
        if contradicted or outgrown:
            yield failed(
                f"{each.place} says of {said.origin} what its checkpoints here contradict.",
                f"{each.place} 关于 {said.origin} 的记载与此处检查点矛盾。",
            )
