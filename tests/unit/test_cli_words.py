"""What commands say: one thing or many, types that are none, patterns in words, files that are missing."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.cli.output import count
from edged.cli.status import _show
from edged.config import Id, Part, parse_toml
from edged.evidence.bodies import BODIES
from edged.patterns import FORMS
from tests.unit.calling import Caller
from tests.unit.made_station import Made, make_used

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made = make_used(tmp_path_factory.mktemp("words"))
    yield made
    made.close()


@pytest.fixture
def edged(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


def test_one_thing_is_one() -> None:
    assert count(1, "entry", "entries") == "1 entry"
    assert count(0, "entry", "entries") == "0 entries"
    assert [count(number, "docking") for number in (1, 2)] == ["1 docking", "2 dockings"]


def test_status_of_a_station_with_one_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    keys = ("segments", "dockings", "bytes", "reread", "replicated", "retired", "wiped", "undetermined")
    answer: dict[str, Any] = defaultdict(list)
    answer |= {
        "station": "st-07",
        "version": "0",
        "running_since": "",
        "totals": dict.fromkeys(keys, 1),
        "ledger": {"origin": "o", "size": 1, "published": 1},
        "accepting": True,
    }
    _show(answer)
    said = capsys.readouterr().out
    assert "1 segment (1 B) from 1 docking" in said
    assert "1 entry, all of them" in said
    assert not re.search(r"\b1 (segments|dockings|entries)\b", said)


def test_type_that_nobody_knows_is_told(edged: Caller, used: Made) -> None:
    said = edged("ledger", "show", "--type", "anomalies", config=used.config_folder)
    assert (said.code, said.out) == (64, "")
    assert "No type of entry called 'anomalies' is known." in said.err
    assert all(kind in said.err for kind in BODIES)


def test_known_type_without_entries_is_no_error(edged: Caller, used: Made) -> None:
    assert edged("ledger", "show", "--type", "disposal", config=used.config_folder).code == 0


def test_file_that_is_missing_is_66(edged: Caller, used: Made, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    for words in (
        ("ledger", "audit", used.config_folder, "--checkpoint", nothing),
        ("ledger", "audit", used.config_folder, "--trust", nothing),
        ("verify", used.config_folder, "--crl", nothing),
        (
            "intake",
            nothing,
            "--recorder",
            "rec-0001",
            "--officer",
            "110203",
            "--reason",
            "why",
            "--config",
            used.config_folder,
        ),
    ):
        said = edged(*words)
        assert (said.code, "nothing" in said.err) == (66, True), words


class Named(Part):
    """A table with an id."""

    id: Id


def test_wrong_id_is_explained_in_words() -> None:
    with pytest.raises(ValueError, match="id is 'a b'; allowed: 1 to 64 letters and digits of ASCII, dots"):
        parse_toml('id = "a b"', Named)


def test_every_pattern_of_the_configuration_has_its_words() -> None:
    text = "".join((ROOT / name).read_text("utf-8") for name in ("edged/config.py", "edged/bays/profiles.py"))
    written = set(re.findall(r'pattern=r"([^"]+)"', text))
    assert written - FORMS.keys() == set()
