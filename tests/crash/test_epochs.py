"""Epochs: keys are changed over in the order of EVIDENCE.md, section 4, killed at every step; and a ledger that went on
elsewhere (a restored backup, a cloned disk) is left for a new epoch, so that no log forks."""

import base64
import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edged.bundles.load import verify_target
from edged.control.client import ask
from edged.evidence.certificates import load_certificates
from edged.evidence.note import parse_checkpoint, parse_note
from edged.evidence.tiles import FULL, entries_path, parse_bundle
from edged.evidence.verification import Trust
from edged.stores.s3 import S3Store
from tests.crash.epoch_lives import rotate_and_die
from tests.crash.published import root_of, versions
from tests.crash.station import SECURING, Station, clip_path, read_card, until
from tests.crash.test_forks import back_up, card, restore
from tests.independent import verifier

EVERY = 3
"""Each third step by one test, so that several can be played at once."""


def take_in(station: Station, number: int) -> None:
    """Take one card in from beginning to end, and publish all about it."""
    bay = station.dock(card(station, number))
    station.until_phase(bay, "done")
    station.pull(bay).rename(station.shelf / f"empty-{number}")
    until(lambda: not station.status()["bays"], "the bay is free")
    all_published(station)


def origins(station: Station) -> list[str]:
    """Give the origins of all epochs of the book."""
    with closing(sqlite3.connect(f"file:{station.state}/book.sqlite?mode=ro", uri=True)) as book:
        return [origin for (origin,) in book.execute("SELECT origin FROM epoch ORDER BY number")]


def key_files(station: Station) -> dict[str, Path]:
    """Give the private keys on the station's disk."""
    return {str(path.relative_to(station.state)): path for path in station.state.glob("keys/**/*.key*")}


def published_entries(station: Station, origin: str, size: int) -> list[bytes]:
    """Give the entries of a log as the store has them in its tiles."""
    assert station.store is not None
    store, found = S3Store(station.store), []
    try:
        for n in range(-(-size // FULL)):
            width = min(FULL, size - n * FULL)
            found += parse_bundle(store.newest(f"ledger/{origin}/{entries_path(n, width)}") or b"")
    finally:
        store.close()
    return found


def no_log_forks(station: Station, *others: Station) -> dict[str, list[dict[str, Any]]]:
    """Fail unless every checkpoint that was ever published of any epoch is of one history of it, and epochs join.

    All is read from the store: checkpoints in all their versions, tiles, certificates. Gives the entries by origin.
    """
    assert station.store is not None
    logs: dict[str, list[dict[str, Any]]] = {}
    for origin in dict.fromkeys(origin for each in (station, *others) for origin in origins(each)):
        notes = versions(station.store, f"ledger/{origin}/checkpoint")
        if not notes:
            continue
        sizes = [parse_checkpoint(parse_note(note).text).size for note in notes]
        leaves = published_entries(station, origin, max(sizes))
        (pem,) = set(versions(station.store, f"ledger/{origin}/station.pem"))
        key = x509.load_pem_x509_certificate(pem).public_key()
        assert isinstance(key, Ed25519PublicKey)
        for note, size in zip(notes, sizes, strict=True):
            text, _, signature = note.partition(b"\n\n")
            key.verify(base64.b64decode(signature.split()[-1])[4:], text + b"\n")
            assert base64.b64decode(text.split(b"\n")[2]) == root_of(leaves[:size]), f"{origin} forks at {size}"
        assert sizes[0] == max(sizes)
        logs[origin] = [json.loads(leaf) for leaf in leaves]
        refs = [hashlib.sha256(leaf).hexdigest() for leaf in leaves]
        assert [entry["prev"] for entry in logs[origin]] == ["0" * 64, *refs[:-1]]
        assert [entry["seq"] for entry in logs[origin]] == list(range(len(leaves)))
        previous = logs[origin][0]["body"]["previous"]
        if previous is not None:
            before = published_entries(station, previous["origin"], previous["size"])
            assert previous["root"] == base64.b64encode(root_of(before)).decode()
    return logs


def chains_go_on(station: Station) -> None:
    """Fail unless the chain of each recorder has no gap and no number twice, whatever the epochs."""
    with closing(sqlite3.connect(f"file:{station.state}/book.sqlite?mode=ro", uri=True)) as book:
        rows = book.execute("SELECT bytes FROM entry WHERE type = 'segment' ORDER BY position").fetchall()
    recorders: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for (data,) in rows:
        body = json.loads(data)["body"]
        recorders.setdefault(body["recorder"], []).append((hashlib.sha256(data).hexdigest(), body))
    for chain in recorders.values():
        assert [body["recorder_seq"] for _, body in chain] == list(range(1, len(chain) + 1))
        assert all(later["recorder_prev"] == ref for (ref, _), (_, later) in pairwise(chain))


def all_published(station: Station) -> None:
    def through() -> bool:
        shown: dict[str, Any] = ask(station.state / "control.sock", "key-show")
        ledger, waiting = station.status()["ledger"], shown["waiting"]
        return ledger["published"] == ledger["size"] and not (waiting and waiting["open"])

    until(through, "all is published, and the change-over is through", otherwise=lambda: str(station.status()))


def key_show(station: Station) -> dict[str, Any]:
    done = station.run("key", "show", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rotate(station: Station, *arguments: str) -> dict[str, Any]:
    done = station.run("key", "rotate", "--root-key", str(station.folder / "root.key"), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_change_over_of_a_running_daemon(station: Station) -> None:
    old = (station.state / "keys" / "epoch.key").read_bytes()
    with station.running():
        take_in(station, 1)
        said = rotate(station, "--reason", "once a year")
        all_published(station)
        take_in(station, 2)
        shown = key_show(station)
    first, second = origins(station)
    assert (said["closed"], said["opened"]) == (first, second)
    logs = no_log_forks(station)
    close, genesis = logs[first][-1], logs[second][0]
    assert (close["type"], close["body"]["next"]) == ("close", second)
    assert close["actor"] == genesis["actor"] != "edged"
    assert close["body"]["reason"] == genesis["body"]["reason"]
    assert genesis["body"]["previous"]["size"] == len(logs[first])
    chains_go_on(station)
    # The old key is destroyed, the new one in its place and readable by its owner alone.
    assert set(key_files(station)) == {"keys/epoch.key"}
    assert (station.state / "keys" / "epoch.key").read_bytes() != old
    assert [file["mode"] for file in shown["files"]] == ["0600"]
    assert [each["state"] for each in shown["epochs"]] == ["closed", "open"]
    station.is_whole()


def test_a_change_over_without_a_daemon(station: Station) -> None:
    with station.running():
        take_in(station, 1)
    rotate(station)
    shown = key_show(station)
    assert shown["waiting"] is None
    assert shown["signing"] == shown["origin"] == origins(station)[1]
    logs = no_log_forks(station)
    assert [len(logs) > 1, logs[origins(station)[0]][-1]["type"]] == [True, "close"]
    with station.running():
        take_in(station, 2)
    no_log_forks(station)
    station.is_whole()


def test_footage_goes_on_coming_in_while_the_store_is_away_in_a_change_over(station: Station) -> None:
    assert station.store is not None
    with station.running():
        take_in(station, 1)
    good = station.store
    station.store = replace(good, endpoint="http://127.0.0.1:9")
    station.configure()
    with station.running():
        done = station.run("key", "rotate", "--root-key", str(station.folder / "root.key"))
        assert done.returncode == 69
        assert station.size("close") == 0
        bay = station.dock(station.card("card-2", {clip_path(n): b"away %d" % n for n in range(1, 4)}))
        station.until_phase(bay, *SECURING)
    station.store = good
    station.configure()
    rotate(station)
    with station.running():
        all_published(station)
    no_log_forks(station)
    station.is_whole()


@pytest.mark.parametrize("first", range(EVERY))
def test_killed_at_every_step_of_a_change_over(station: Station, tmp_path: Path, first: int) -> None:
    """Each durable operation of a change-over in turn is the last one; what starts next goes on from there."""
    with station.running():
        take_in(station, 1)
    which, turned = first, 0
    while not rotate_and_die(station, which, trace := tmp_path / f"trace-{which}"):
        turned += 1
        assert rotate_and_die(station, None, tmp_path / "trace", wanted=turned), trace.read_text()
        assert set(key_files(station)) == {"keys/epoch.key"}, trace.read_text()
        assert len(origins(station)) == turned + 1
        which += EVERY
    assert which > 40, "a change-over has more steps than that"
    with station.running():
        all_published(station)
        take_in(station, 2)
    assert set(no_log_forks(station)) == set(origins(station))
    assert station.size("close") == len(origins(station)) - 1
    chains_go_on(station)
    station.is_whole()


@pytest.mark.parametrize("which", [5, 15, 25, 35])
def test_the_daemon_goes_on_with_a_change_over_that_was_killed(station: Station, which: int, tmp_path: Path) -> None:
    with station.running():
        take_in(station, 1)
    assert not rotate_and_die(station, which, tmp_path / "trace")
    with station.running():
        until(lambda: station.status()["ledger"]["published"] == station.status()["ledger"]["size"], "all is published")
        if station.size("close") == 0:
            rotate(station)
        all_published(station)
    assert (len(origins(station)), station.size("close")) == (2, 1)
    assert set(no_log_forks(station)) == set(origins(station))
    assert set(key_files(station)) == {"keys/epoch.key"}
    station.is_whole()


def entries_again(station: Station) -> list[dict[str, Any]]:
    return [body for body in station.bodies() if "first_written" in body]


def certified(station: Station) -> None:
    """Have a certified key wait for the next epoch."""
    asked = station.run("key", "request", "--json")
    assert asked.returncode == 0, asked.stderr
    from edged.clock import SystemClock  # noqa: PLC0415
    from edged.evidence.ids import StationId  # noqa: PLC0415
    from edged.keys import certify  # noqa: PLC0415

    request = json.loads(asked.stdout)
    key = (station.folder / "root.key").read_bytes()
    pem = certify(
        key,
        request["roots"].encode(),
        request["request"].encode(),
        station=StationId("st-01"),
        now=SystemClock().now(),
    )
    answer = station.folder / "answer.pem"
    answer.write_bytes(pem)
    done = station.run("key", "install", str(answer), "--wait")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def restored(station: Station) -> Station:
    """A station whose book is of before its second card, while the store knows all about that one."""
    with station.running():
        take_in(station, 1)
    certified(station)
    kept = back_up(station)
    with station.running():
        take_in(station, 2)
    restore(station, kept)
    return station


def test_a_restored_backup_with_a_certified_key_goes_on_in_a_new_epoch_by_itself(restored: Station) -> None:
    station = restored
    files = {clip_path(n): f"card 3, recording {n}".encode() for n in range(1, 4)}
    with station.running():
        bay = station.dock(station.card("card-3", files))
        station.until_phase(bay, "done")
        all_published(station)
    first, second = origins(station)
    logs = no_log_forks(station)
    # The old epoch ends where it was published, without a `close`, and the book holds all of it again.
    genesis = logs[second][0]["body"]
    assert genesis["previous"] == {
        "origin": first,
        "size": len(logs[first]),
        "root": base64.b64encode(root_of(published_entries(station, first, len(logs[first])))).decode(),
    }
    assert genesis["reason"]["code"] == "restored"
    assert [body["kind"] for body in station.anomalies()] == ["ledger-restored"]
    assert station.size("close") == 0
    sealed = {body["segment"] for body in station.bodies("segment")}
    assert len(sealed) == 9, "three cards of three"
    chains_go_on(station)
    assert set(key_files(station)) == {"keys/epoch.key"}
    assert read_card(bay) == {}
    station.is_whole()
    # Footage of the lost part and of the new epoch, in one bundle: the epochs join.
    chosen = [body["segment"] for body in station.bodies("segment")]
    with station.running():
        arguments = [word for segment in (chosen[3], chosen[6]) for word in ("--segment", segment)]
        done = station.run("bundle", str(station.folder / "bundle"), *arguments)
        assert done.returncode == 0, done.stderr
    roots = load_certificates((station.state / "keys" / "root.pem").read_bytes())
    own = verify_target(station.folder / "bundle", Trust(roots=roots)).plain()
    other = verifier.verify(station.folder / "bundle", verifier.Trust(list(roots), []))
    for report in (own, other):
        checks: Any = report["checks"]
        names = ("bag", "selection", "consistency", "custody", "derivatives", "chain")
        assert {checks[name]["verdict"] for name in names if name != "chain"} == {"verified"}
        assert checks["chain"]["verdict"] != "failed"
        assert report["verdict"] == "not-established", "for want of an anchor"


def test_what_a_restored_station_wrote_before_it_knew_is_said_again_in_the_new_epoch(restored: Station) -> None:
    station, good = restored, restored.store
    assert good is not None
    # The store is away at first: footage is taken in, into the epoch that the restored book has open.
    station.store = replace(good, endpoint="http://127.0.0.1:9")
    station.configure()
    known = {clip_path(n): f"card 2, recording {n}".encode() for n in range(1, 4)}
    new = {clip_path(n): f"card 4, recording {n}".encode() for n in range(4, 7)}
    with station.running():
        bay = station.dock(station.card("card-4", known | new))
        station.until_phase(bay, *SECURING)
        station.pull(bay)
        until(lambda: station.size("undocking") == 2, "the docking ends as interrupted")
        unsigned = station.entries()[-1]
    station.store = good
    station.configure()
    with station.running():
        all_published(station)
        assert not station.alarm("publish")
    first, second = origins(station)
    logs = no_log_forks(station)
    again = entries_again(station)
    assert {body["first_written"]["epoch"] for body in again} == {first.rsplit("/", 1)[1]}
    assert unsigned["body"]["docking"] in {body.get("docking") for body in again}
    # Three of the files had been sealed in the lost part: the station saw them again; the others it sealed.
    types = [entry["type"] for entry in logs[second] if "first_written" in entry["body"]]
    assert (types.count("sighting"), types.count("segment")) == (3, 3)
    chains_go_on(station)
    station.is_whole()


def test_a_restored_station_without_a_key_says_which_command_to_run(station: Station) -> None:
    with station.running():
        take_in(station, 1)
    kept = back_up(station)
    with station.running():
        take_in(station, 2)
    restore(station, kept)
    with station.running():
        alarm = until(lambda: station.alarm("publish", "does not contain"), "the alarm")
        assert "edged key rotate --root-key FILE" in alarm["hint"]
        assert "edged key install" in alarm["hint"]
        rotate(station)
        all_published(station)
        take_in(station, 3)
    assert len(origins(station)) == 2
    no_log_forks(station)
    chains_go_on(station)
    station.is_whole()


def test_a_book_from_before_the_last_change_over_goes_on_behind_the_epoch_that_followed(station: Station) -> None:
    with station.running():
        take_in(station, 1)
    kept = back_up(station)
    with station.running():
        rotate(station)
        all_published(station)
        take_in(station, 2)
    lost = origins(station)[1]
    restore(station, kept)
    with station.running():
        until(lambda: station.alarm("publish", "does not contain"), "the alarm")
        rotate(station)
        all_published(station)
        take_in(station, 3)
    assert origins(station)[1] == lost
    assert len(origins(station)) == 3
    logs = no_log_forks(station)
    assert logs[origins(station)[2]][0]["body"]["previous"]["origin"] == lost
    chains_go_on(station)
    station.is_whole()


def clone(station: Station, folder: Path) -> Station:
    """Give a second station that began as a copy of the first one's disk, with bays of its own."""
    folder.mkdir()
    twin = Station(folder=folder, store=station.store, tables={})
    for name in ("config", "state", "vault", "root.key"):
        source = station.folder / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("control.sock"))
        else:
            shutil.copy2(source, folder / name)
    for name in ("bays", "shelf", "cases"):
        (folder / name).mkdir()
    twin.configure()
    return twin


def test_of_a_cloned_disk_the_second_to_publish_opens_a_new_epoch(station: Station, tmp_path: Path) -> None:
    with station.running():
        take_in(station, 1)
    certified(station)
    twin = clone(station, tmp_path / "twin")
    try:
        with station.running(), twin.running():
            # Both are confirmed, for both have what is published. Then one goes ahead.
            take_in(station, 2)
            files = {b"DCIM/100MEDIA/VID_20260105_080000_%04d.MP4" % n: b"twin %d" % n for n in range(3)}
            bay = twin.dock(twin.card("CAM-07", files))
            twin.until_phase(bay, "done")
            all_published(twin)
            take_in(station, 3)
            assert not station.alarm("publish")
        assert len(origins(station)) == 1
        assert len(origins(twin)) == 2
        no_log_forks(station, twin)
        chains_go_on(station)
        chains_go_on(twin)
        station.is_whole()
        # The twin knows again what was published, and says that it does not have the footage of it.
        found = json.loads(twin.run("check", "--deep", "--json").stdout)["checks"]
        assert {name for name, texts in found.items() if texts} == {"vault"}
        assert len({text.partition(":")[0] for text in found["vault"]}) == 3
    finally:
        twin.clean_up()


def test_the_key_that_waits_on_a_cloned_disk_is_not_used_twice(station: Station, tmp_path: Path) -> None:
    with station.running():
        take_in(station, 1)
    certified(station)
    twin = clone(station, tmp_path / "twin")
    try:
        with station.running():
            done = station.run("key", "rotate")
            assert done.returncode == 0, done.stderr
            all_published(station)
        with twin.running():
            until(lambda: twin.alarm("publish", "does not contain"), "the alarm")
            rotate(twin)
            all_published(twin)
        assert origins(twin)[:2] == origins(station)
        assert len(origins(twin)) == 3
        no_log_forks(station, twin)
    finally:
        twin.clean_up()


def test_an_impossible_state_is_left_for_a_new_epoch_and_told(station: Station) -> None:
    """A checkpoint of this very key, not larger than the book, that is not of the book: somebody forked the log."""
    with station.running():
        take_in(station, 1)
    certified(station)
    (origin,) = origins(station)
    from edged.evidence.note import Checkpoint  # noqa: PLC0415
    from edged.keys import load  # noqa: PLC0415

    assert station.store is not None
    text = Checkpoint(origin=origin, size=2, root=hashlib.sha256(b"another history").digest()).text()
    store = S3Store(station.store)
    store.put(f"ledger/{origin}/checkpoint", load(station.state / "keys").sign(text, origin))
    store.close()
    with station.running():
        all_published(station)
        take_in(station, 2)
    assert len(origins(station)) == 2
    (anomaly,) = [each for each in station.anomalies() if each["kind"].startswith("ledger-")]
    assert (anomaly["kind"], anomaly["detail"]["size"]) == ("ledger-contradicted", 2)
    station.is_whole()
