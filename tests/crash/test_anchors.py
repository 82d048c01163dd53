"""The ledger is bounded in time by others: real daemon, storage, `openssl ts` and `edged witness` processes."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from edged.errors import UnavailableError
from edged.stores.s3 import S3Settings
from edged.stores.s3_client import make_client
from hwsim.authority import Authority, Server
from hwsim.witness import BadWitness, Behaviour, HonestWitness
from tests.crash.conftest import MakeStation
from tests.crash.published import the_ledger_is_one, versions
from tests.crash.station import BIN, Station, clip_path, environment, until

ANCHORING: Final = {"every_minutes": 1440, "renew_days": 30}


@dataclass(kw_only=True)
class Outside:
    """Those who bound the ledger in time: one authority, two honest witnesses, and perhaps others."""

    folder: Path
    authority: Authority
    witnesses: list[HonestWitness]

    @property
    def tsa_pem(self) -> Path:
        return self.folder / "authority" / "root.pem"

    @property
    def policy(self) -> Path:
        return self.folder / "policy.txt"

    def table(self, authority_url: str, *more: dict[str, Any]) -> dict[str, Any]:
        """Give [anchors] of station.toml."""
        own = [
            {"name": f"w{number}", "url": each.url, "vkey": each.vkey} for number, each in enumerate(self.witnesses, 1)
        ]
        lines = [f"witness {each['name']} {each['vkey']}" for each in own]
        self.policy.write_text("\n".join([*lines, "group both 2 w1 w2", "quorum both"]) + "\n")
        return {
            **ANCHORING,
            "policy": str(self.policy),
            "authority": [{"id": "tsa", "url": authority_url, "root": str(self.tsa_pem)}],
            "witness": [*own, *more],
        }


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    folder = tmp_path / "outside"
    witnesses = [HonestWitness(folder / f"witness-{number}", f"example.org/witness-{number}") for number in (1, 2)]
    yield Outside(folder=folder, authority=Authority(folder / "authority").make(), witnesses=witnesses)
    for each in witnesses:
        each.kill()


@pytest.fixture
def anchored(make_station: MakeStation, new_bucket: Callable[[], S3Settings], outside: Outside) -> Station:
    """A station whose witnesses know it and run."""
    station = make_station(store=new_bucket())
    for each in outside.witnesses:
        each.know(key_of(station))
        each.start()
    return station


def key_of(station: Station) -> str:
    key: str = station.bodies("genesis")[0]["public_key"]
    return key


def clip(station: Station, number: int) -> Path:
    """Put a card with one recording into a bay of its own."""
    return station.dock(station.card(f"card-{number}", {clip_path(number): f"film {number}".encode() * 100}))


def end_docking(station: Station, bay: Path) -> None:
    """Wait until a docking has ended, and take the recorder out."""
    station.until_phase(bay, "done")
    station.pull(bay)


def anchors_at(station: Station) -> dict[int, set[str]]:
    """Give who anchored, by size."""
    found: dict[int, set[str]] = {}
    for body in station.bodies("anchor"):
        found.setdefault(body["size"], set()).add(body["name"])
    return found


def until_all_anchored(station: Station, *names: str, beyond: int = 0) -> int:
    """Wait until all of them anchored one checkpoint that covers the newest docking's end; gives its size."""
    ends = [entry["seq"] for entry in station.entries("undocking")]

    def reached() -> int | None:
        sizes = [size for size, by in anchors_at(station).items() if by >= set(names) and size > max([beyond, *ends])]
        return min(sizes, default=None)

    return until(reached, f"{names} anchored", otherwise=lambda: f"{anchors_at(station)} {station.log[-1500:]}")


def is_published(station: Station) -> bool:
    ledger = station.status()["ledger"]
    return bool(ledger["size"] == ledger["published"] == station.size())


def verify(bundle: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [str(BIN / "edged"), "verify", str(bundle), "--json", *options],
        check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(), timeout=60,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout)


def objects(station: Station, prefix: str) -> dict[str, bytes]:
    """Give what lies in the store below a prefix."""
    assert station.store is not None
    client = make_client(station.store)
    try:
        listed = client.list_objects_v2(Bucket=station.store.bucket, Prefix=prefix).get("Contents", [])
        return {each["Key"]: versions(station.store, each["Key"])[0] for each in listed}
    finally:
        client.close()


def test_docking_ends_are_anchored_by_all_and_a_bundle_is_verified(anchored: Station, outside: Outside) -> None:
    station = anchored
    with Server(outside.authority) as server:
        station.configure(anchors=outside.table(server.url))
        with station.running():
            for number in (1, 2):
                end_docking(station, clip(station, number))
                size = until_all_anchored(station, "tsa", "w1", "w2")
            segments = sorted(body["segment"] for body in station.bodies("segment"))
            out = station.folder / "bundle"
            done = station.run(
                "bundle", "--segment", segments[0], "--segment", segments[1], "--purpose", "test", str(out)
            )
            assert done.returncode == 0, done.stdout + done.stderr
            until(lambda: not station.status()["alarms"], "no alarm", otherwise=lambda: str(station.status()["alarms"]))
            origin = station.bodies("genesis")[0]["origin"]
            folder = f"ledger/{origin}/anchors/{size}/"
            names = {"checkpoint", "checkpoint.cosigned", "tsa.tsr"}
            until(lambda: {key.removeprefix(folder) for key in objects(station, folder)} == names, "anchors are stored")
            stored = objects(station, folder)
    trust = ("--trust", str(station.state / "keys" / "root.pem"))
    code, report = verify(out, *trust, "--tsa", str(outside.tsa_pem), "--policy", str(outside.policy))
    assert (code, report["verdict"]) == (0, "verified"), report
    for alone in (("--tsa", str(outside.tsa_pem)), ("--policy", str(outside.policy))):
        code, report = verify(out, *trust, *alone)
        assert (code, report["verdict"]) == (0, "verified"), report
    code, report = verify(out, *trust)
    assert code == 2
    assert [each["checks"]["time"]["verdict"] for each in report["segments"]] == ["not-established"] * 2

    # What lies in the store is what the ledger cites, byte for byte.
    note, cosigned = stored[f"{folder}checkpoint"], stored[f"{folder}checkpoint.cosigned"]
    held = {body["sha256"]: body for body in station.bodies("anchor") if body["size"] == size}
    lines = cosigned.removeprefix(note).splitlines(keepends=True)
    cited = {hashlib.sha256(data).hexdigest() for data in (*lines, stored[f"{folder}tsa.tsr"])}
    assert cited == set(held)
    assert {body["kind"] for body in held.values()} == {"rfc3161", "cosignature"}

    # `after` cites what was held: never anything that came later.
    seen: set[str] = set()
    for entry in station.entries():
        assert entry["after"] in seen if seen else "after" not in entry
        if entry["type"] == "anchor":
            seen.add(entry["body"]["sha256"])
    the_ledger_is_one(station)
    station.is_whole()


def test_anchors_that_arrive_after_an_export_change_no_bundle_of_it(anchored: Station, outside: Outside) -> None:
    station = anchored
    with Server(outside.authority) as server:
        station.configure(anchors=outside.table(server.url))
        with station.running():
            end_docking(station, clip(station, 1))
            until_all_anchored(station, "tsa", "w1", "w2")
            (segment,) = (body["segment"] for body in station.bodies("segment"))
            first, second = station.folder / "first", station.folder / "second"
            done = station.run("bundle", "--segment", segment, "--purpose", "test", "--json", str(first))
            assert done.returncode == 0, done.stdout + done.stderr
            end_docking(station, clip(station, 2))
            until_all_anchored(station, "tsa", "w1", "w2")
    again = station.run("bundle", "--export", json.loads(done.stdout)["export"], str(second))
    assert again.returncode == 0, again.stdout + again.stderr
    files = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    assert files == {path.relative_to(second) for path in second.rglob("*") if path.is_file()}
    assert not [path for path in files if (first / path).read_bytes() != (second / path).read_bytes()]


def test_export_of_what_was_just_sealed_waits_for_its_anchor(anchored: Station, outside: Outside) -> None:
    """The recorder is still docked, and the hour is not over."""
    station = anchored
    with Server(outside.authority) as server:
        station.configure(anchors=outside.table(server.url), bays={"wipe": "never"})
        with station.running():
            bay = clip(station, 1)
            until(lambda: station.bodies("segment"), "the segment is sealed")
            (segment,) = station.bodies("segment")
            out = station.folder / "bundle"
            done = station.run("bundle", "--segment", segment["segment"], "--purpose", "test", str(out))
            assert done.returncode == 0, done.stdout + done.stderr
            station.pull(bay)
    code, report = verify(
        out, "--trust", str(station.state / "keys" / "root.pem"), "--tsa", str(outside.tsa_pem)
    )  # fmt: skip
    assert (code, report["verdict"]) == (0, "verified"), report


def test_anchors_alone_make_no_anchor_due(anchored: Station, outside: Outside) -> None:
    station = anchored
    with Server(outside.authority) as server:
        station.configure(anchors=outside.table(server.url))
        with station.running():
            end_docking(station, clip(station, 1))
            until_all_anchored(station, "tsa", "w1", "w2")
            head = station.size()
            until(lambda: is_published(station), "all is published")
            requests = server.requests
            station.stop()
            station.start()
            until(lambda: is_published(station), "all is published again")
            assert server.requests == requests
            assert station.size() == head


def test_what_is_owed_waits_for_those_who_are_away(anchored: Station, outside: Outside) -> None:
    """The authority is away, and one witness; the other anchors. The others catch up on the very same checkpoints."""
    station = anchored
    first, second = outside.witnesses
    with ExitStack() as later:
        with Server(outside.authority) as server:
            url = server.url
        port = int(url.rstrip("/").rpartition(":")[2])
        station.configure(anchors=outside.table(url))
        second.kill()
        station.start()
        sizes = []
        for number in (1, 2):
            end_docking(station, clip(station, number))
            sizes.append(until_all_anchored(station, "w1"))
        until(lambda: station.alarm("anchor tsa") and station.alarm("anchor w2"), "alarms")
        assert all(by == {"w1"} for by in anchors_at(station).values())
        station.kill()
        later.enter_context(Server(outside.authority, port=port))
        second.start()
        station.start()
        until(lambda: all(anchors_at(station)[size] == {"tsa", "w1", "w2"} for size in sizes), "all caught up")
        station.stop()
    assert first.port != second.port
    station.is_whole()


@pytest.mark.parametrize("who", ["daemon", "witness"])
def test_kill_in_the_middle_of_anchoring_costs_nothing(anchored: Station, outside: Outside, who: str) -> None:
    """Whoever dies, whenever: afterwards every checkpoint has its anchors, each once, and no witness contradicts."""
    station = anchored
    first, _ = outside.witnesses
    with Server(outside.authority) as server:
        station.configure(anchors=outside.table(server.url))
        station.start()
        for number in (1, 2, 3):
            before = station.size("anchor")
            end_docking(station, clip(station, number))
            until(lambda before=before: station.size("anchor") > before, "an anchor arrives")
            if who == "daemon":
                station.kill()
                station.start()
            else:
                first.kill()
                first.start()
        until_all_anchored(station, "tsa", "w1", "w2")
        until(lambda: not station.status()["alarms"], "no alarm", otherwise=lambda: str(station.status()["alarms"]))
        station.stop()
    said = [(body["size"], body["name"]) for body in station.bodies("anchor")]
    assert len(said) == len(set(said))
    the_ledger_is_one(station)
    station.is_whole()


BAD: Final[dict[Behaviour, str]] = {
    "wrong-key": "no cosignature by its key",
    "other-checkpoint": "not over this checkpoint",
    "contradiction": "contradicts",
    "conflict": "never signed",
    "garbage": "refused",
    "stranger": "does not know this ledger",
}


@pytest.mark.parametrize("behaviour", BAD)
def test_witness_that_misbehaves_holds_nobody_up(anchored: Station, outside: Outside, behaviour: Behaviour) -> None:
    station = anchored
    with Server(outside.authority) as server, BadWitness("example.org/bad", behaviour) as bad:
        more = {"name": "bad", "url": bad.url, "vkey": bad.vkey}
        station.configure(anchors=outside.table(server.url, more))
        with station.running():
            end_docking(station, clip(station, 1))
            until_all_anchored(station, "tsa", "w1", "w2")
            alarm = until(lambda: station.alarm("anchor bad"), "an alarm")
            assert BAD[behaviour] in alarm["text"]
            if behaviour == "stranger":
                assert key_of(station) in alarm["hint"]
        assert not any("bad" in by for by in anchors_at(station).values())


def test_entries_never_cite_an_anchor_that_states_a_time_to_come(anchored: Station, outside: Outside) -> None:
    """A witness whose clock is a year ahead would make all that cites it contradict every other anchor."""
    station = anchored
    with Server(outside.authority) as server, BadWitness("example.org/bad", "future") as bad:
        more = {"name": "bad", "url": bad.url, "vkey": bad.vkey}
        station.configure(anchors=outside.table(server.url, more))
        with station.running():
            end_docking(station, clip(station, 1))
            size = until_all_anchored(station, "tsa", "w1", "w2", "bad")
            alarm = until(lambda: station.alarm("clock bad"), "an alarm")
            assert alarm["text"].endswith("behind that of example.org/bad.")
            end_docking(station, clip(station, 2))
            until_all_anchored(station, "tsa", "w1", "w2", "bad", beyond=size)
    ahead = {body["sha256"] for body in station.bodies("anchor") if body["name"] == "bad"}
    cited = {entry["after"] for entry in station.entries() if "after" in entry}
    assert cited
    assert not cited & ahead


def test_witness_that_forgets_is_noticed(anchored: Station, outside: Outside) -> None:
    station = anchored
    with Server(outside.authority) as server, BadWitness("example.org/bad", "signs-anything") as bad:
        more = {"name": "bad", "url": bad.url, "vkey": bad.vkey}
        station.configure(anchors=outside.table(server.url, more))
        with station.running():
            end_docking(station, clip(station, 1))
            size = until_all_anchored(station, "tsa", "w1", "w2", "bad")
            bad.behaviour = "rolls-back"
            end_docking(station, clip(station, 2))
            until_all_anchored(station, "bad", beyond=size)
            assert until(lambda: station.alarm("witness"), "an alarm")["text"].startswith("The witness bad cosigned")


def test_intake_goes_on_while_nobody_outside_answers(anchored: Station, outside: Outside) -> None:
    station = anchored
    for each in outside.witnesses:
        each.kill()
    station.configure(anchors=outside.table("http://127.0.0.1:9/"))
    with station.running():
        for number in (1, 2):
            end_docking(station, clip(station, number))
        assert station.bodies("anchor") == []
        for source in ("anchor tsa", "anchor w1", "anchor w2"):
            assert until(lambda source=source: station.alarm(source), source)
    with pytest.raises(UnavailableError):
        station.status()
