"""The matter catalogue: the shipped files fit together, and what does not fit is refused in words."""

from pathlib import Path

import pytest

from edged.config import parse_toml, read_toml
from edged.evidence.ids import to_id
from edged.rules.matters import Catalogue, Matters, catalogue
from edged.rules.retention import Retention

CONFIG = Path(__file__).parents[2] / "config"

RETENTION = """
important = "for-ever"
[[rule]]
id = "for-ever"
name = { en = "For ever", zh = "永久" }
term = "permanent"
clause = "第十三条第二款"
[[rule]]
id = "half-a-year"
name = { en = "Half a year", zh = "半年" }
term = "P6M"
clause = "第十三条第一款"
"""

MATTERS = """
[[matter]]
id = "seizure"
name = { en = "Seizure", zh = "查封、扣押" }
kind = "coercion"
[[matter.stage]]
id = "start"
name = { en = "Start", zh = "启动" }
recording = "as-needed"
retention = "half-a-year"
secrecy = "none"
publicity = "public"
[[matter.stage]]
id = "enforcement"
name = { en = "Enforcement", zh = "执行" }
recording = "full"
retention = "for-ever"
secrecy = "privacy"
publicity = "on-request"
[[matter]]
id = "inspection"
name = { en = "Inspection", zh = "检查" }
kind = "inspection"
[[matter.stage]]
id = "investigation"
name = { en = "Investigation", zh = "调查取证" }
recording = "none"
retention = "half-a-year"
secrecy = "state-secret"
publicity = "closed"
"""


def join(matters: str, retention: str = RETENTION) -> Catalogue:
    return catalogue(parse_toml(matters, Matters), parse_toml(retention, Retention))


def test_the_shipped_catalogue_is_whole() -> None:
    shipped = catalogue(read_toml(CONFIG / "matters.toml", Matters), read_toml(CONFIG / "retention.toml", Retention))
    assert shipped.important.term == "permanent"
    demolition = shipped.matter("违法建设强制拆除")
    assert demolition is not None
    enforcement = demolition.stage("执行")
    assert enforcement is not None
    assert enforcement.recording == "full"
    used = {stage.retention for matter in shipped.matters for stage in matter.stages} | {shipped.important.id}
    assert used == set(shipped.rules), "every shipped rule is used, so that none is explained in vain"


@pytest.mark.parametrize("named", ["seizure", "Seizure", "查封、扣押", to_id("查封、扣押")])
def test_a_matter_is_found_by_id_and_by_both_names(named: str) -> None:
    found = join(MATTERS).matter(named)
    assert found is not None
    assert found.id == "seizure"
    assert found.stage("启动") is found.stage("start") is found.stages[0]
    assert found.stage("decision") is None


def test_an_unknown_matter_is_not_guessed() -> None:
    assert join(MATTERS).matter("seizur") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'recording = "full"\nretention = "for-ever"',
            'recording = "full"\nretention = "forever"',
            "matter 'seizure', stage 'enforcement': retention is 'forever'; allowed: for-ever, half-a-year",
        ),
        ('id = "inspection"', 'id = "seizure"', "matter id or name 'seizure' stands for two matters"),
        ('zh = "检查"', 'zh = "查封、扣押"', "matter id or name '查封、扣押' stands for two matters"),
        ('en = "Inspection"', 'en = "seizure"', "matter id or name 'seizure' stands for two matters"),
        (
            'id = "enforcement"',
            'id = "start"',
            "matter 'seizure': stage id or name 'start' stands for two stages",
        ),
        (
            'publicity = "closed"',
            'publicity = "on-request"',
            "publicity is 'on-request'; allowed with secrecy 'state-secret': closed",
        ),
        (
            'publicity = "on-request"',
            'publicity = "public"',
            "publicity is 'public'; allowed with secrecy 'privacy': closed, on-request",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(old: str, new: str, said: str) -> None:
    assert old in MATTERS
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is compared below
        join(MATTERS.replace(old, new, 1))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('important = "for-ever"', 'important = "x"', "retention important is 'x'; allowed: for-ever, half-a-year"),
        ('id = "half-a-year"', 'id = "for-ever"', "retention rule.id 'for-ever' stands there twice"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(old: str, new: str, said: str) -> None:
    assert old in RETENTION
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is compared below
        join(MATTERS, RETENTION.replace(old, new, 1))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "coercion"', 'kind = "coersion"', "matter.0.kind is 'coersion'; allowed: "),
        ('recording = "full"', 'recording = "all"', "matter.0.stage.1.recording is 'all'; allowed: "),
        ('recording = "full"', "recording = true", "matter.0.stage.1.recording is True; allowed: "),
        ('secrecy = "none"\n', "", "matter.0.stage.0.secrecy is missing"),
        ('recording = "full"', 'recording = "full"\nretain = "P1M"', "matter.0.stage.1.retain is not a key"),
        ('id = "inspection"', 'id = "检查"', "matter.1.id is '检查'; allowed: "),
        ('recording = "full"', 'recording = "full"\nform = []', "matter.0.stage.1.form: allowed"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(old: str, new: str, said: str) -> None:
    assert old in MATTERS
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is compared below
        join(MATTERS.replace(old, new, 1))
    assert said in str(refused.value)


def test_a_catalogue_without_matters_is_refused() -> None:
    with pytest.raises(ValueError, match="matter is missing"):
        parse_toml("", Matters)


def test_a_catalogue_cannot_be_changed_after_it_was_checked() -> None:
    joined = join(MATTERS)
    with pytest.raises(TypeError):
        joined.rules["x"] = joined.important  # type: ignore[index]
    with pytest.raises(ValueError, match="frozen"):
        joined.matters[0].stages[0].retention = "half-a-year"  # type: ignore[misc]
