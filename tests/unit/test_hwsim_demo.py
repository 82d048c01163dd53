"""The demo's plot is what was asked for, and its stage and screen do no harm."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from edged.bays.profiles import load_profiles
from edged.bays.register import load_register
from edged.cases.feed import parse
from edged.clock import SystemClock
from edged.errors import MalformedError, UsageError
from hwsim.cards import Filmed
from hwsim.demo import scene
from hwsim.demo.hardware import KernelSlots
from hwsim.demo.screen import Screen, status_of
from hwsim.demo.settings import with_values
from hwsim.demo.stage import prepare
from hwsim.kernel.images import can_hold
from hwsim.script import Feature, plan

LEDGER = {"size": 7, "published": 5}
CONFIG = Path(__file__).parents[2] / "config"
NOW = datetime(2026, 11, 21, 8, 0, 12, tzinfo=UTC)


def test_the_plot_is_what_was_asked_for() -> None:
    recorders = scene.recorders(NOW)
    orders = [recorder.order for recorder in recorders]
    assert {order.layout for order in orders} == {"gat947", "dcim", "sidecar"}
    features = frozenset[Feature]().union(*(order.features for order in orders))
    asked = {Feature.TRUNCATED, Feature.EMPTY, Feature.NO_MEDIA, Feature.IMPORTANT, Feature.LARGE}
    assert asked <= features
    assert sum(order.segments for order in orders) >= 12
    assert sum(order.segments * order.seconds for order in orders) >= 180
    for recorder in recorders:
        films = [file for file in plan(recorder.order).files if isinstance(file.content, Filmed)]
        assert all(file.modified < NOW for file in films)


def test_the_register_of_the_demo_is_a_stations(tmp_path: Path) -> None:
    (tmp_path / "register.toml").write_text(scene.register(scene.recorders(NOW)))
    profiles = load_profiles(CONFIG / "recorders")
    register = load_register(tmp_path / "register.toml", profiles)
    assert {(recorder.profile, recorder.id) for recorder in register.recorders} == {
        ("gat947", "EG01234"),
        ("dcim", "CAM-07"),
        ("sidecar", "SC20451"),
    }


def test_the_case_feed_of_the_demo_is_understood() -> None:
    text = scene.case_feed(scene.recorders(NOW), NOW)
    feed = parse("cases.csv", text.encode(), ZoneInfo(scene.ZONE))
    assert feed.problems == ()
    assert feed.ignored == ()
    assert [(case.case, case.officer) for case in feed.cases] == [(scene.CASE, "138001"), (scene.CASE, "138003")]
    matters = tomllib.loads((CONFIG / "matters.toml").read_text())["matter"]
    stages = {(matter["id"], stage["id"]) for matter in matters for stage in matter["stage"]}
    assert (scene.MATTER, scene.STAGE) in stages


def test_settings_change_their_keys_and_nothing_else() -> None:
    before = (CONFIG / "station.toml").read_text()
    text = with_values(before, {"bays.folder": '/a "b"\\c\n', "bays.at_once": 3, "store.kind": "s3", "store.id": "x"})
    values = tomllib.loads(text)
    assert values["bays"]["folder"] == '/a "b"\\c\n'
    assert values["bays"]["at_once"] == 3
    assert values["store"] == {"kind": "s3", "id": "x"}
    gone = set(before.splitlines()) - set(text.splitlines())
    assert gone == {'folder = "$bays"', "at_once = 8"}


def test_a_setting_that_is_there_as_a_comment_is_set_in_its_place() -> None:
    before = (CONFIG / "station.toml").read_text()
    values = tomllib.loads(with_values(before, {"anchors.policy": "/a"}))
    assert values["anchors"] == tomllib.loads(before)["anchors"] | {"policy": "/a"}


def test_a_setting_that_is_not_there_is_refused() -> None:
    with pytest.raises(MalformedError, match="no foldr in"):
        with_values((CONFIG / "station.toml").read_text(), {"bays.foldr": "/a"})


def test_only_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    stage = prepare(tmp_path / "demo")
    (stage.recorders / "A").mkdir()
    stage.summary.touch()
    assert prepare(tmp_path / "demo") == stage
    assert not stage.summary.exists()
    assert list(stage.recorders.iterdir()) == []
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").touch()
    with pytest.raises(UsageError, match="something else than an earlier demo"):
        prepare(precious)
    with pytest.raises(UsageError, match="is no folder"):
        prepare(precious / "thesis.txt")
    assert (precious / "thesis.txt").exists()


def test_without_a_terminal_a_bay_gets_a_line_a_phase(capsys: pytest.CaptureFixture[str]) -> None:
    bay = {"bay": "A", "phase": "copying", "text": "Wait.", "files": 2, "files_done": 1, "bytes": 10, "bytes_done": 5}
    bay |= {"bytes_per_second": 3, "replicated": 0, "wiped": 0, "removable": False}
    with Screen(Console(force_terminal=False, width=200), SystemClock()) as screen:
        for phase in ("copying", "copying", "done"):
            screen.show(status_of({"bays": [bay | {"phase": phase}], "ledger": LEDGER}))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["A:", "copying,"], ["A:", "done,"]]
    assert "1/2 files, 0 uploaded, 0 wiped" in lines[0]


def test_on_a_terminal_the_bays_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    bay = {"bay": "A", "phase": "copying", "text": "", "files": 2, "files_done": 1, "bytes": 9, "bytes_done": 5_500_000}
    bay |= {"bytes_per_second": 12_300_000, "replicated": 0, "wiped": 0, "removable": False}
    with Screen(Console(force_terminal=True, width=200), SystemClock()) as screen:
        screen.show(status_of({"bays": [bay], "ledger": LEDGER}))
    shown = capsys.readouterr().out
    for word in ("copying", "5.5", "12.3", "1/2", "7 entries, 5 of them published"):
        assert word in shown


def test_a_status_of_another_shape_is_refused() -> None:
    with pytest.raises(MalformedError, match="status"):
        status_of({"bays": [{"bay": "A"}], "ledger": LEDGER})


def test_the_case_reaches_further_than_a_clock_is_wrong() -> None:
    assert timedelta(minutes=10) < scene._MARGIN


def test_kernel_mode_without_root_or_where_the_daemon_cannot_look_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = prepare(tmp_path / "demo")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="needs root"):
        KernelSlots(stage, ["A"])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    tmp_path.chmod(0o700)
    with pytest.raises(UsageError, match=r"runs as the user \w+, who cannot get to"):
        KernelSlots(stage, ["A"])


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        (b"1.MP4", True),
        ("现场.MP4".encode(), True),
        (b"a:b", False),
        (b"a\nb", False),
        (b"a.", False),
        (b"\xff", False),
    ],
)
def test_names_that_exfat_cannot_hold_stay_off_its_cards(name: bytes, *, allowed: bool) -> None:
    assert can_hold(name) is allowed
