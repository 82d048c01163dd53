"""The matter catalogue (MISSION.md, R1): what is recorded at which stage, how long it is kept, who may see it.

`catalogue` joins `matters.toml` and `retention.toml` and refuses them together when they contradict each other:
a classification can only cite what stands in both.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import Field

from edged.evidence.ids import to_id
from edged.rules.retention import Retention, RetentionRule
from edged.rules.table import Id, Name, Table, Text

Kind: TypeAlias = Literal["licence", "penalty", "coercion", "levy", "inspection", "police", "other"]
"""What sort of act a matter is: 行政许可, 行政处罚, 行政强制, 行政征收征用, 行政检查, 警务, 其他."""

Recording: TypeAlias = Literal["full", "as-needed", "none"]
"""How much of a stage must be on film: 全程, 按需, 文字记录即可 (MISSION.md, R2)."""

Form: TypeAlias = Literal["video", "audio", "photo"]

Secrecy: TypeAlias = Literal["none", "privacy", "trade-secret", "work-secret", "state-secret"]
"""The classes of MISSION.md, R5, from the least to the most protected: 无, 个人隐私, 商业秘密, 工作秘密, 国家秘密."""

Publicity: TypeAlias = Literal["public", "on-request", "closed"]
"""Who may be given it: 主动公开, 依申请公开, 不予公开."""

_PUBLICITY: Mapping[Secrecy, tuple[Publicity, ...]] = {
    "none": ("public", "on-request", "closed"),
    "privacy": ("on-request", "closed"),
    "trade-secret": ("on-request", "closed"),
    "work-secret": ("closed",),
    "state-secret": ("closed",),
}
"""What may be disclosed at all, by secrecy: privacy and trade secrets only after treatment or consent (R8)."""


class Stage(Table):
    """One stage of a matter: a row of the list of what is recorded (音像记录事项清单)."""

    id: Id
    name: Name
    recording: Recording
    retention: Id
    """The rule of `retention.toml` that keeps footage of this stage."""
    secrecy: Secrecy
    publicity: Publicity
    form: Annotated[tuple[Form, ...], Field(min_length=1)] = ("video",)
    who: Name | None = None
    """Who records."""
    begins: Name | None = None
    """When recording has to begin."""
    ends: Name | None = None
    """When it may end."""
    elements: tuple[Name, ...] = ()
    """What has to be seen or heard."""
    supervision: Name | None = None
    """Who checks that it was recorded, and how."""


class Matter(Table):
    """One matter of enforcement (执法事项)."""

    id: Id
    name: Name
    kind: Kind
    basis: Text | None = None
    """The law it is enforced under."""
    stages: Annotated[tuple[Stage, ...], Field(alias="stage", min_length=1)]

    def stage(self, named: str) -> Stage | None:
        """Find a stage by its id or a name, as it is written or as `to_id` maps it."""
        return _named(self.stages).get(to_id(named))


_Thing = TypeVar("_Thing", Matter, Stage)


class Matters(Table):
    """`matters.toml` as a whole."""

    matters: Annotated[tuple[Matter, ...], Field(alias="matter", min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Matters and retention rules that fit together. Made by `catalogue`."""

    matters: tuple[Matter, ...]
    rules: Mapping[str, RetentionRule]
    """Every rule by its id."""
    important: RetentionRule
    """What footage marked as important is kept by at least."""
    by_name: Mapping[str, Matter]
    """Every matter by its id and by what `to_id` makes of its names."""

    def matter(self, named: str) -> Matter | None:
        """Find a matter by its id or a name, as it is written or as `to_id` maps it: case feeds write either."""
        return self.by_name.get(to_id(named))


def catalogue(matters: Matters, retention: Retention) -> Catalogue:
    """Join the two files; raises ValueError with a sentence for each contradiction between or inside them."""
    wrong = [*_wrong_rules(retention), *_wrong_matters(matters, {rule.id for rule in retention.rules})]
    if wrong:
        raise ValueError("; ".join(wrong) + ".")
    rules = {rule.id: rule for rule in retention.rules}
    return Catalogue(
        matters=matters.matters,
        rules=MappingProxyType(rules),
        important=rules[retention.important],
        by_name=MappingProxyType(_named(matters.matters)),
    )


def _wrong_rules(retention: Retention) -> Iterator[str]:
    ids = [rule.id for rule in retention.rules]
    for twice in _repeated(ids):
        yield f"retention rule.id {twice!r} stands there twice; allowed: each id once"
    if retention.important not in ids:
        yield f"retention important is {retention.important!r}; allowed: {_one_of(ids)}"


def _wrong_matters(matters: Matters, rules: set[str]) -> Iterator[str]:
    for twice in _repeated(_names(matters.matters)):
        yield f"matter id or name {twice!r} stands for two matters; allowed: each id and name once"
    for matter in matters.matters:
        for twice in _repeated(_names(matter.stages)):
            yield (
                f"matter {matter.id!r}: stage id or name {twice!r} stands for two stages; "
                "allowed: each id and name once"
            )
        for stage in matter.stages:
            where = f"matter {matter.id!r}, stage {stage.id!r}"
            if stage.retention not in rules:
                yield f"{where}: retention is {stage.retention!r}; allowed: {_one_of(rules)}"
            if stage.publicity not in _PUBLICITY[stage.secrecy]:
                yield (
                    f"{where}: publicity is {stage.publicity!r}; "
                    f"allowed with secrecy {stage.secrecy!r}: {_one_of(_PUBLICITY[stage.secrecy])}"
                )


def _names(things: Iterable[Matter] | Iterable[Stage]) -> list[str]:
    """Give all that each thing is called, each spelling once a thing."""
    return [name for thing in things for name in dict.fromkeys((thing.id, thing.name.en, thing.name.zh))]


def _named(things: Iterable[_Thing]) -> dict[str, _Thing]:
    names: dict[str, _Thing] = {}
    for thing in things:
        for name in (thing.name.zh, thing.name.en, thing.id):
            names[to_id(name)] = thing
    return names


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _one_of(allowed: Iterable[str]) -> str:
    return ", ".join(sorted(allowed))
