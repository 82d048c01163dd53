"""What a segment is: case, matter, stage, secrecy and term, and when a new answer may replace an old one.

Guarantees (DESIGN.md, INV-5): whatever is unknown, unmatched or contradictory is `undetermined`, which is never
disposable and never disclosed. A machine's answer replaces an earlier one only to fill in what was undetermined
or to lengthen a term; whatever else it would change is handed back as a contradiction for a person to look at.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import date
from typing import Literal, TypeAlias, TypeVar

from edged.evidence.bodies import Classification
from edged.evidence.ids import CaseId, EntryRef, MatterId, RuleId, SegmentId, Sha256, StageId
from edged.rules.cases import CaseRecord, Match, SegmentClaims, matches
from edged.rules.matters import Catalogue, Matter, Publicity, Secrecy, Stage
from edged.rules.retention import (
    CaseFileUntil,
    RetentionRule,
    Until,
    longest,
    parse_until,
    retain_until,
    until_text,
)

_Thing = TypeVar("_Thing", Matter, Stage)

Basis: TypeAlias = Literal["rule", "feed", "person"]

_ONE_SIDED = 20
"""What confidence loses where only officer or only recorder ties a segment to its case."""
_REACHES_OUT = 20
"""What it loses where the segment may reach beyond the case's time."""
_NO_STAGE = 30
"""What it loses where the case is known, but not the stage."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the rules say about one segment: the body of a `classification` entry (EVIDENCE.md, section 2)."""

    segment: SegmentId
    case: CaseId | None
    matter: MatterId | None
    stage: StageId | None
    secrecy: Secrecy | None
    """`None` is not known yet: to be treated as the most protected class."""
    publicity: Publicity | None
    """`None` is not known yet: to be treated as `closed`."""
    rule: RuleId | None
    clause: str | None
    policy: Sha256
    """Digest of the configuration that was decided by."""
    retain_until: str
    """A date, `permanent` or `undetermined`."""
    basis: Basis
    confidence: int
    """0 to 100: how surely the segment belongs to its case; 0 without one."""
    why: str
    """One sentence for people; it is shown, and not part of the entry."""

    def body(self, supersedes: EntryRef | None) -> Classification:
        """Give what the entry says; `supersedes` is the classification in force before."""
        said = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "why"}
        return Classification.model_validate(said | {"supersedes": supersedes})


@dataclass(frozen=True, kw_only=True)
class ClassificationFact:
    """The classification of a segment that is in force, as its entry says."""

    reference: EntryRef
    case: str | None
    matter: str | None
    stage: str | None
    secrecy: str | None
    publicity: str | None
    retain_until: str
    basis: Basis


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """A new answer that may not replace the one in force. The one in force stays."""

    segment: SegmentId
    stands: EntryRef
    """The classification in force."""
    keys: tuple[str, ...]
    """What the new answer says otherwise, by the keys of a `classification`."""
    why: str


def classify(claims: SegmentClaims, records: Iterable[CaseRecord], catalogue: Catalogue, policy: Sha256) -> Decision:
    """Say what a segment is, by the case feed, the catalogue and the mark on the recorder."""
    followed = claims.main or claims
    try:
        found = matches(followed, records)
    except ValueError as error:
        return _without_case(claims, catalogue, policy, f"The recorder's claims contradict themselves: {error}.")
    if followed.start is None and followed.end is None:
        return _without_case(claims, catalogue, policy, "Nothing says when it was recorded.")
    if not found:
        return _without_case(claims, catalogue, policy, "No case of the feed is by its recorder or officer then.")
    cases = sorted({match.record.case for match in found})
    if len(cases) > 1:
        why = f"It fits several cases: {', '.join(cases[:5])}{' …' if len(cases) > 5 else ''}."  # noqa: PLR2004
        return _without_case(claims, catalogue, policy, why)
    if all(match.fit == "possible" for match in found):
        off = followed.uncertainty_ms
        why = f"It fits case {cases[0]} only if the recorder's time is off, which may be by {off} ms."
        return _without_case(claims, catalogue, policy, why)
    return _of_case(claims, found, catalogue, policy)


def supersede(old: ClassificationFact | None, new: Decision) -> Decision | Contradiction | None:
    """Say whether a decision is to be recorded over the classification in force.

    Gives the decision if it fills in or lengthens, a contradiction if it says otherwise, `None` if there is
    nothing to do. What a person decided is changed by persons alone, and needs no case in the feed. A term that
    was determined is never made undetermined, which could be shortened later.
    """
    if old is None:
        return new
    if new.case is None and old.basis == "person":
        return None
    before, after = parse_until(old.retain_until), parse_until(new.retain_until)
    pairs = {
        "case": (old.case, new.case),
        "matter": (old.matter, new.matter),
        "stage": (old.stage, new.stage),
        "secrecy": (old.secrecy, new.secrecy),
        "publicity": (old.publicity, new.publicity),
    }
    clash = [key for key, (was, now) in pairs.items() if was is not None and was != now]
    if shortens(before, after):
        clash.append("retain_until")
    gains = before != after or any(was is None and now is not None for was, now in pairs.values())
    if old.basis == "person" and gains and not clash:
        clash = [key for key, (was, now) in pairs.items() if was != now]
        clash += ["retain_until"] if before != after else []
    if clash:
        who = "A person" if old.basis == "person" else "An earlier decision"
        why = f"{who} settled {', '.join(clash)} otherwise than this: {new.why}"
        return Contradiction(segment=new.segment, stands=old.reference, keys=tuple(clash), why=why)
    return new if gains else None


def shortens(before: Until, after: Until) -> bool:
    """Say whether a term would end earlier, or become undetermined, which could be shortened later."""
    if before == "undetermined":
        return False
    return after == "undetermined" or longest((before, after)) != after


def _of_case(claims: SegmentClaims, found: tuple[Match, ...], catalogue: Catalogue, policy: Sha256) -> Decision:
    """Decide for a segment that fits one case: its matter and stage are known if all that fits agrees on them."""
    record = found[0].record
    matter, stage, doubt = _stage(found, catalogue)
    rule = None if stage is None else catalogue.rules[stage.retention]
    kept = _case_file_until(found)
    rule, until = _keep(claims, rule, kept, catalogue)
    sure = [match for match in found if match.fit == "sure"]
    confidence = 100
    confidence -= 0 if any(match.both for match in sure) else _ONE_SIDED
    confidence -= 0 if any(match.inside for match in sure) else _REACHES_OUT
    confidence -= _NO_STAGE if stage is None else 0
    return Decision(
        segment=claims.segment,
        case=record.case,
        matter=None if matter is None else MatterId(matter.id),
        stage=None if stage is None else StageId(stage.id),
        secrecy=None if stage is None else stage.secrecy,
        publicity=None if stage is None else stage.publicity,
        rule=None if rule is None else RuleId(rule.id),
        clause=None if rule is None else rule.clause,
        policy=policy,
        retain_until=until_text(until),
        basis="feed",
        confidence=confidence,
        why=f"The case feed has case {record.case} by its {_tie(sure)} then, {doubt}.",
    )


def _stage(found: tuple[Match, ...], catalogue: Catalogue) -> tuple[Matter | None, Stage | None, str]:
    """Give the matter and the stage that all matches agree on, and in words what became of that."""
    matter, doubt = _agreed("matter", {match.record.matter for match in found}, catalogue.matter)
    if matter is None:
        return None, None, doubt
    stage, doubt = _agreed("stage", {match.record.stage for match in found}, matter.stage)
    if stage is None:
        return matter, None, doubt
    return matter, stage, f"at stage {stage.id} of {matter.id}"


def _agreed(what: str, named: Iterable[str], find: Callable[[str], _Thing | None]) -> tuple[_Thing | None, str]:
    """Give the one thing that all the names mean; where there is none, the reason in words."""
    things = {name: find(name) for name in sorted(named)}
    for name, thing in things.items():
        if thing is None:
            return None, f"but the catalogue has no such {what}: {name}"
    meant = {thing.id: thing for thing in things.values() if thing is not None}
    if len(meant) > 1:
        return None, f"but at more than one {what}: {', '.join(meant)}"
    return next(iter(meant.values())), ""


def _without_case(claims: SegmentClaims, catalogue: Catalogue, policy: Sha256, why: str) -> Decision:
    """Decide for a segment that belongs to no known case: undetermined, or for ever where its mark says so."""
    rule, until = _keep(claims, None, None, catalogue)
    return Decision(
        segment=claims.segment,
        case=None,
        matter=None,
        stage=None,
        secrecy=None,
        publicity=None,
        rule=None if rule is None else RuleId(rule.id),
        clause=None if rule is None else rule.clause,
        policy=policy,
        retain_until=until_text(until),
        basis="rule",
        confidence=0,
        why=why,
    )


def _keep(
    claims: SegmentClaims, rule: RetentionRule | None, kept: CaseFileUntil | None, catalogue: Catalogue
) -> tuple[RetentionRule | None, Until]:
    """Apply the stage's rule and, for marked footage, the rule for important footage: whichever keeps longer.

    Without a stage's rule the term stays undetermined, unless the mark alone asks for ever: a mark must not make
    disposable what nobody has tied to a case.
    """
    until = _by(claims, rule, kept)
    marked = claims.important or (claims.main is not None and claims.main.important)
    if not marked:
        return rule, until
    important = _by(claims, catalogue.important, kept)
    if longest((until, important)) == until:
        return rule, until
    return catalogue.important, important


def _by(claims: SegmentClaims, rule: RetentionRule | None, kept: CaseFileUntil | None) -> Until:
    if rule is None:
        return "undetermined"
    days = [claims.recorded_on(), claims.main.recorded_on() if claims.main else None]
    return retain_until(
        rule,
        recorded_on=max((day for day in days if day is not None), default=None),
        sealed_on=claims.sealed_on,
        case_file_until=kept,
    )


def _case_file_until(found: tuple[Match, ...]) -> CaseFileUntil | None:
    """Give the longest that any row says about the case file; rows without it say nothing."""
    known = [match.record.case_file_until for match in found]
    days = [day for day in known if isinstance(day, date)]
    return "permanent" if "permanent" in known else max(days, default=None)


def _tie(sure: list[Match]) -> str:
    if any(match.both for match in sure):
        return "officer and recorder"
    return "recorder" if any(match.record.recorder is not None for match in sure) else "officer"
