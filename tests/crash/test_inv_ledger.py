"""INV-4, INV-5 and INV-9 of DESIGN.md, section 4: the ledger, the terms, and who may do what."""

import csv
import io
import json
import multiprocessing
import os
import socket
import stat
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.crash.mortal import Life, Moment, check
from tests.crash.published import the_ledger_is_one
from tests.crash.station import Station, clip_path, sg, until

RECORDER = "BC00001"
NOBODY = 65534
FILES = {clip_path(n): f"recording {n} ".encode() * 100 for n in range(1, 4)}

# ------------------------------------------------------------------------------------------------------- INV-4


def test_inv_4_killed_around_every_signature_the_ledger_never_forks(station: Station) -> None:
    bay = station.dock(station.card(RECORDER, FILES))
    moments = [Moment(of="publish: commit", nth=nth) for nth in (1, 2, 3, 4, 6, 7)]
    moments += [
        Moment(of="put ledger/"),
        Moment(of="/checkpoint"),
        Moment(of="/checkpoint", nth=2),
        Moment(of="/checkpoint", nth=2, then="commit"),
    ]
    for moment in moments:
        survived = Life(config=station.config, trace=station.folder / "trace", dies=moment).live()
        # The vault may hold a file whose entry the kill prevented; the recorder holds it too.
        assert check(station.config, only=frozenset({"book", "ledger", "projections"})) == [], moment
        if not station.bodies("undocking"):
            assert not survived, moment
    assert Life(config=station.config, trace=station.folder / "trace").live()
    assert not list(bay.iterdir())
    # Left in its bay it would be docked once more by now, or a moment later.
    station.pull(bay)
    with station.running():
        size = station.size()
        until(lambda: station.status()["ledger"]["published"] == size, "all is published")
    assert the_ledger_is_one(station) == size
    assert check(station.config) == []
    # An empty recorder that is found in its bay at a start is docked once more.
    assert set(station.result().ended) == {("cleared", 0)}
    assert len([body for body in station.bodies("docking") if body["files"]]) == 1


# ------------------------------------------------------------------------------------------------------- INV-5


def tell(station: Station, name: str, *, case: str, recorder: str, stage: str, until_hour: str = "09") -> None:
    """Drop a case file as the feed asks for, and wait until it is taken in."""
    row = {
        "case": case,
        "matter": "police-response",
        "stage": stage,
        "recorder": recorder,
        "from": "2026-01-05T07:00:00+08:00",
        "until": f"2026-01-05T{until_hour}:00:00+08:00",
    }
    text = io.StringIO()
    out = csv.DictWriter(text, row)
    out.writeheader()
    out.writerow(row)
    folder = station.folder / "cases"
    (folder / f".{name}").write_text(text.getvalue(), "utf-8")
    (folder / f".{name}").rename(folder / f"{name}.csv")
    until(lambda: list((folder / "done").glob(f"*{name}*")), "the case file is taken in")


def in_force(station: Station) -> dict[str, tuple[str | None, str]]:
    """Give case and term of each segment."""
    said = station.bodies("classification")
    return {body["segment"]: (body["case"], body["retain_until"]) for body in said}


def test_inv_5_what_is_unknown_or_contradictory_is_undetermined_and_no_change_shortens_a_term(
    station: Station,
) -> None:
    other = {clip_path(1, "BC00002"): b"somebody else's"}
    with station.running():
        station.until_phase(station.dock(station.card(RECORDER, FILES | {b"odd/without-a-time.bin": b"?"})), "done")
        station.until_phase(station.dock(station.card("BC00002", other)), "done")
        until(lambda: len(in_force(station)) == 5, "all is classified")
        assert set(in_force(station).values()) == {(None, "undetermined")}
        assert station.status()["totals"]["undetermined"] == len(station.status()["undetermined"]) == 5

        tell(station, "first", case="C-1", recorder=RECORDER, stage="start")
        until(lambda: sum(case == "C-1" for case, _ in in_force(station).values()) == 3, "the case is known")
        tell(station, "no-such-stage", case="C-2", recorder="BC00002", stage="dancing")
        until(lambda: ("C-2", "undetermined") in in_force(station).values(), "a case without a term")
        # Another case that fits as well is a contradiction for a person to look at, and changes nothing.
        tell(station, "contradiction", case="C-3", recorder="BC00002", stage="start")
        until(lambda: station.anomalies("classification-contradicted"), "the contradiction is reported")
        before = in_force(station)
        assert sorted(case or "" for case, _ in before.values()) == ["", "C-1", "C-1", "C-1", "C-2"]
        assert {term for case, term in before.values() if case != "C-1"} == {"undetermined"}

    # One wrong setting: six months become one, and the old footage is told of again.
    retention = station.config / "retention.toml"
    text = retention.read_text("utf-8")
    assert 'term = "P6M"' in text
    retention.write_text(text.replace('term = "P6M"', 'term = "P1M"'), "utf-8")
    with station.running():
        tell(station, "again", case="C-1", recorder=RECORDER, stage="start", until_hour="10")
        station.pull(station.bays / RECORDER).rename(station.shelf / "empty")
        late = {clip_path(7): b"taken in afterwards"}
        station.until_phase(station.dock(station.card("late", late)), "done")
        until(lambda: sum(case == "C-1" for case, _ in in_force(station).values()) == 4, "the newer is classified")
    after = in_force(station)
    assert {segment: after[segment] for segment in before} == before
    assert after[sg(RECORDER, late[clip_path(7)])][1] < min(term for case, term in before.values() if case == "C-1")
    station.is_whole()


def test_inv_5_a_mark_that_a_recorder_puts_into_the_name_later_does_not_lapse(station: Station) -> None:
    segment = sg(RECORDER, FILES[clip_path(1)])
    station.configure(bays={"wipe": "never"})
    with station.running():
        bay = station.dock(station.card(RECORDER, FILES))
        station.until_phase(bay, "done", "kept")
        tell(station, "case", case="C-1", recorder=RECORDER, stage="start")
        until(lambda: in_force(station).get(segment, ("", ""))[0] == "C-1", "the case is known")
        assert in_force(station)[segment][1].startswith("20")
        card = station.pull(bay)
        (card / os.fsdecode(clip_path(1))).rename(card / os.fsdecode(clip_path(1, important=True)))
        until(lambda: station.result().ended, "the docking has ended")
        station.until_phase(station.dock(card, RECORDER), "done", "kept")
        until(lambda: in_force(station)[segment] == ("C-1", "permanent"), "the mark counts")
    assert [body["important"] for body in station.bodies("segment")] == [False] * 3
    assert sum("important" in body for body in station.bodies("sighting")) == 1
    station.is_whole()


# ------------------------------------------------------------------------------------------------------- INV-9


def ask(path: Path, line: bytes) -> dict[str, Any]:
    """Send one line to the control socket and give what it answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        connection.sendall(line)
        with connection.makefile("rb") as answers:
            answer: dict[str, Any] = json.loads(answers.readline())
    return answer


def _ask_as_nobody(path: Path, line: bytes, answers: Connection) -> None:
    # From within the folder: the folders above it, which the tests' own permissions close, play no part.
    os.chdir(path.parent)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    try:
        answers.send(ask(Path(path.name), line))
    except OSError as error:
        answers.send({"failed": type(error).__name__})


def ask_as_nobody(path: Path, line: bytes) -> dict[str, Any]:
    """Ask as a user that has nothing to do with the station."""
    context = multiprocessing.get_context("forkserver")
    mine, theirs = context.Pipe()
    process = context.Process(target=_ask_as_nobody, args=(path, line, theirs))
    process.start()
    answer: dict[str, Any] = mine.recv()
    process.join()
    process.close()
    return answer


def test_inv_9_the_control_socket_does_what_it_knows_and_nothing_else(station: Station) -> None:
    path = station.state / "control.sock"
    with station.running():
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
        before = station.size()
        for line, code in (
            (b'{"do": "wipe", "bay": "bay-1"}\n', 64),
            (b'{"do": "__class__"}\n', 64),
            (b'{"do": "export"}\n', 64),
            (b'{"do": "export", "case": "../../etc", "purpose": "x"}\n', 64),
            (b'{"do": "export", "segments": ["sg-00000000000000000000000000000000"], "purpose": "x"}\n', 64),
            (b'{"do": ["status"]}\n', 65),
            (b"[]\n", 65),
            (b"status\n", 65),
            (b'{"do": "status"\xff}\n', 65),
            (b"[" * 60_000 + b"\n", 65),
            (b'{"do": "' + b"x" * 70_000 + b'"}\n', 65),
        ):
            answer = ask(path, line)
            assert answer["error"]["exit_code"] == code, (line[:50], answer)
            assert answer["error"]["message"]
        assert ask(path, b'{"do": "status"}\n')["ok"]["station"] == "st-01"
        assert station.size() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_inv_9_other_users_do_not_reach_the_socket_and_may_only_look_where_they_do(station: Station) -> None:
    bay = station.dock(station.card(RECORDER, FILES))
    with station.running():
        station.until_phase(bay, "done")
        path = station.state / "control.sock"
        assert ask_as_nobody(path, b'{"do": "status"}\n') == {"failed": "PermissionError"}
        # Even where somebody opened all doors, the kernel says who asks.
        path.parent.chmod(0o777)
        path.chmod(0o777)
        assert ask_as_nobody(path, b'{"do": "status"}\n')["ok"]["station"] == "st-01"
        before = station.size()
        segment = station.bodies("segment")[0]["segment"]
        call = json.dumps({"do": "export", "segments": [segment], "purpose": "curious"}).encode() + b"\n"
        refused = ask_as_nobody(path, call)["error"]
        assert refused["exit_code"] == 77
        assert "investigator" in refused["message"]
        assert station.size() == before
        allowed = ask(path, call)["ok"]
        (entry,) = station.entries("export")
        assert entry["actor"] == "user:root"
        assert entry["body"]["export"] == allowed["export"]
        assert "curious" not in json.dumps(entry)


def test_inv_9_an_act_of_a_person_is_an_entry_with_actor_and_reason(station: Station) -> None:
    bay = station.dock(station.card(RECORDER, FILES))
    with station.running():
        station.until_phase(bay, "done")
        segment = station.bodies("segment")[0]["segment"]
        out = station.folder / "bundle"
        done = station.run("bundle", "--segment", segment, "--purpose", "案卷评查", str(out))
        assert done.returncode == 0, done.stderr
    (entry,) = station.entries("export")
    assert entry["actor"].startswith("user:")
    assert {other["actor"] for other in station.entries() if other["type"] != "export"} == {"edged"}
    purpose = entry["body"]["purpose"]
    assert purpose["code"] == "export"
    assert len(purpose["text"]) == 64
    assert "案卷评查" not in json.dumps(entry, ensure_ascii=False)
