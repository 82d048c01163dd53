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


TOTALS = (
    *("segments", "dockings", "bytes", "quarantined", "reread", "replicated", "retired", "wiped", "anomalies"),
    "undetermined",
)


def told(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    """Give what `edged status` says of an answer, when it is piped."""
    answer: dict[str, Any] = defaultdict(list)
    answer |= {
        "station": "st-07",
        "version": "0",
        "running_since": "",
        "totals": dict.fromkeys(TOTALS, 0),
        "ledger": {"origin": "o", "size": 1, "published": 1},
        "accepting": True,
    }
    _show(answer | changes)
    return capsys.readouterr().out


def test_status_of_a_station_with_one_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, totals=dict.fromkeys(TOTALS, 1))
    assert "1 segment (1 B) from 1 docking" in said
    assert "1 entry, all of them" in said
    assert not re.search(r"\b1 (segments|dockings|entries)\b", said)


def test_status_says_what_is_in_quarantine_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, totals=dict.fromkeys(TOTALS, 0) | {"quarantined": 2})
    assert "  2 segments in quarantine: kept, but not trusted\n" in said
    assert "`edged ledger show --type anomaly` says which" in said
    assert "quarantine" not in told(capsys)


def test_status_names_what_waits_for_its_recorder(capsys: pytest.CaptureFixture[str]) -> None:
    parked = [
        {"recorder": "rec-0001", "path": f"20261121/{n}.mp4", "bytes": 8 << 20, "of_bytes": 20 << 20} for n in range(6)
    ]
    unsealed = [{"recorder": "rec-0002", "path": "20261121/whole.mp4", "file": "/srv/vault/x"}]
    said = told(capsys, parked=parked, unsealed=unsealed)
    assert "    rec-0001  20261121/4.mp4  8.4 MB of 21.0 MB\n    … (--json lists more)\n" in said
    assert "20261121/5.mp4" not in said
    assert "  1 copy without an entry" in said
    assert "    rec-0002  20261121/whole.mp4\n" in said


def test_bays_are_never_cut_however_long_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    bay = {"phase": "copying", "files_done": 10, "files": 400, "bytes_done": 10**11, "bytes": 2 * 10**11, "text": ""}
    far = {"bytes_per_second": 123_456_789, "seconds_left": 7_500, "removable": False, "lamp": "busy"}
    kept = {"lamp": "attention", "removable": True, "text": "Look at it."}
    bays = [
        bay | far | {"bay": "bay-on-the-left-32", "recorder": "R" * 64},
        bay | far | kept | {"bay": "bay-1", "recorder": None},
    ]
    lines = told(capsys, bays=bays).splitlines()
    (head, first, second) = lines[lines.index("") + 1 :][:3]
    assert head.split() == ["Bay", "Recorder", "State", "Files", "Read", "Rate", "Left", "Out?"]
    assert first.split("  ") == [
        *(
            "bay-on-the-left-32",
            "R" * 64,
            "copying",
            "10/400",
            "100.0 GB of 200.0 GB",
            "123.5 MB/s",
            "2 h 05 min",
            "no",
        ),
    ]
    assert second.endswith("  yes !")
    assert head.index("Rate") == first.index("123.5") == second.index("123.5")
    assert "! bay-1: Look at it." in lines
    assert "…" not in "".join(lines)


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
