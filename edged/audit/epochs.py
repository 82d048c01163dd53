"""How the logs of a station join: each epoch begins where the one before it ended, and says so."""

from collections.abc import Iterator, Mapping, Sequence

from edged.audit.judging import Judge
from edged.audit.port import ENTRIES, AbsentError, LogSource
from edged.audit.scan import Statement
from edged.clock import rfc3339
from edged.errors import MalformedError
from edged.evidence import bodies
from edged.evidence.entry import Entry, parse
from edged.evidence.text import parse_base64
from edged.evidence.verification.report import Check, failed, not_established


def beginning(source: LogSource) -> Entry | None:
    """Read the first entry of a log, None where it is not here or is none."""
    try:
        return parse(source.entries(0, min(ENTRIES, source.size))[0]) if source.size else None
    except (AbsentError, MalformedError):
        return None


def previous(source: LogSource, first: Entry | None) -> Statement | None:
    """Give what a log says of the one before it."""
    body = None if first is None else first.body
    said = body.previous if isinstance(body, bodies.Genesis) else None
    if said is None:
        return None
    place = f"{source.origin} entry 0"
    return Statement(place=place, origin=said.origin, size=said.size, root=said.root, ends=True)


def in_order(firsts: Mapping[str, Entry | None], before: Mapping[str, Statement | None]) -> list[str]:
    """Give the origins of a station's logs, each behind the one that it continues, else by their beginnings."""

    def begun(origin: str) -> tuple[bool, str, str]:
        first = firsts[origin]
        return first is None, "" if first is None else rfc3339(first.time), origin

    waiting = sorted(firsts, key=begun)
    placed: list[str] = []
    while waiting:
        free = [each for each in waiting if (said := before[each]) is None or said.origin not in waiting]
        placed.append((free or waiting)[0])
        waiting.remove(placed[-1])
    return placed


def against(statements: Sequence[Statement], judges: Mapping[str, Judge]) -> Iterator[Check]:
    """Give what stands against what entries say of logs at a size."""
    for said in statements:
        judge = judges.get(said.origin)
        if judge is None:
            if said.ends:
                yield not_established(
                    f"{said.place} continues {said.origin}, which is not here.",
                    f"{said.place} 接续 {said.origin}，后者不在此处。",
                )
        elif said.size > judge.scan.size:
            yield not_established(
                f"{said.place} speaks of {said.size} entries of {said.origin}; {judge.scan.size} are here.",
                f"{said.place} 提到 {said.origin} 的 {said.size} 个条目，此处有 {judge.scan.size} 个。",
            )
        elif not judge.scan.matches(said.size, parse_base64(said.root, "a root", length=32)):
            yield failed(
                f"{said.place} speaks of another history of {said.origin} than the one here.",
                f"{said.place} 所述 {said.origin} 的历史与此处不同。",
            )
        elif said.ends and judge.claimed > said.size:
            yield failed(
                f"{said.place} says that {said.origin} ended at {said.size}; its checkpoint is over {judge.claimed}.",
                f"{said.place} 称 {said.origin} 止于 {said.size}，其检查点却覆盖 {judge.claimed} 个条目。",
            )


def of_closes(
    closes: Mapping[str, tuple[int, str | None]], before: Mapping[str, Statement | None], judges: Mapping[str, Judge]
) -> Iterator[Check]:
    """Give what stands against the ends of logs."""
    for origin, (seq, successor) in closes.items():
        if judges[origin].claimed > seq + 1:
            yield failed(
                f"{origin} was closed by entry {seq}, yet goes on.", f"{origin} 已由第 {seq} 号条目关闭，却仍有后续。"
            )
        if successor is None:
            continue
        if successor not in before:
            yield not_established(
                f"{origin} goes on in {successor}, which is not here.", f"{origin} 由 {successor} 接续，后者不在此处。"
            )
        elif (said := before[successor]) is None or said.origin != origin:
            yield failed(
                f"{origin} was closed in favour of {successor}, which does not cite it.",
                f"{origin} 关闭时指明由 {successor} 接续，后者却未引用它。",
            )
