"""INV-1 to INV-3 of DESIGN.md, section 4, with real faults: what is erased, what is kept, and in which order."""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from edged.book.facts import DockingRow
from edged.errors import UnavailableError
from edged.evidence.ids import escape_path
from edged.rules.clearance import Kept
from edged.station.clearing import decide
from edged.station.parts import Parts
from edged.stores.port import PartsLog, Stored, Upload
from edged.stores.s3 import S3Settings
from edged.vault.reread import ON_DISK, file_system
from hwsim.quick import QuickCamera
from hwsim.video import Format
from tests.crash.conftest import MakeStation
from tests.crash.inside import ScriptedStore, inside
from tests.crash.mortal import Life, Moment, check
from tests.crash.station import SECURING, Station, clip_path, off_the_network, read_card, sg, until

RECORDER = "BC00001"
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - its file system is the point
FILES = {clip_path(n): f"recording {n} ".encode() * 1000 for n in range(1, 5)}


def nothing_was_erased(station: Station, bay: Path) -> None:
    assert not station.bodies("clearance", "wipe")
    assert read_card(bay) == FILES
    station.is_whole()


def reasons(parts: Parts, docking: DockingRow) -> set[str]:
    """Give why the files of a docking are kept; fails if one of them is cleared."""
    verdicts = [file.verdict for file in decide(parts, docking, unsealed=0).files]
    assert len(verdicts) == len(FILES)
    assert all(isinstance(verdict, Kept) for verdict in verdicts)
    return {reason for verdict in verdicts if isinstance(verdict, Kept) for reason in verdict.reasons}


def all_published(station: Station) -> bool:
    ledger = station.status()["ledger"]
    return bool(ledger["size"] == ledger["published"])


# ------------------------------------------------------------------------------------------------------- INV-1


def test_inv_1_nothing_is_erased_while_the_store_refuses(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings]
) -> None:
    right = new_bucket()
    station = make_station(store=replace(right, secret_key="another one"))  # noqa: S106
    bay = station.dock(station.card(RECORDER, FILES))
    with station.running():
        until(lambda: station.alarm("publish", "does not accept the secret key"), "the alarm about publishing")
        until(lambda: station.alarm("upload", "does not allow this access key"), "the alarm about uploads")
        until(lambda: len(station.bodies("replica")) == len(FILES), "all is re-read")
        assert station.bay(RECORDER)["phase"] in SECURING
        # While the uploads wait to be tried again, nobody says that they work.
        threading.Event().wait(2)
        assert station.alarm("upload")
        assert "works again" not in station.log
    nothing_was_erased(station, bay)
    station.store = right
    station.configure()
    with station.running():
        station.until_phase(bay, "done")
    station.holds(RECORDER, FILES)


class CarelessStore(ScriptedStore):
    """Says of each upload that it holds something else than was sent, as one would whose disk changed a byte."""

    def upload(self, upload: Upload, parts: PartsLog, stop: threading.Event) -> Stored:
        return replace(super().upload(upload, parts, stop), checksum="AAAA-1")


def test_inv_1_a_copy_whose_checksum_is_not_the_sealed_one_clears_nothing(station: Station) -> None:
    bay = station.dock(station.card(RECORDER, FILES))
    with inside(station, store=CarelessStore) as parts:
        until(lambda: len(station.bodies("replica")) == 2 * len(FILES), "both copies are noted")
        until(lambda: all_published(station), "all is published")
        (docking,) = parts.book.facts.open_dockings()
        assert reasons(parts, docking) == {"The copy in store central does not match its digests."}
        assert station.bay(RECORDER)["phase"] in SECURING
    nothing_was_erased(station, bay)


class QuietStore(ScriptedStore):
    """Takes everything but the signed checkpoint."""

    def put(self, key: str, data: bytes, locked_until: datetime | None = None) -> Stored:
        if key.endswith("/checkpoint"):
            raise UnavailableError("The checkpoint does not get through.")
        return super().put(key, data, locked_until)


def test_inv_1_nothing_is_erased_before_the_ledger_is_published(station: Station) -> None:
    bay = station.dock(station.card(RECORDER, FILES))
    with inside(station, store=QuietStore) as parts:
        until(lambda: len(station.bodies("replica")) == 2 * len(FILES), "both copies are made")
        until(lambda: station.alarm("publish", "does not get through"), "the alarm about publishing")
        (docking,) = parts.book.facts.open_dockings()
        assert all("is not under a published checkpoint yet" in reason for reason in reasons(parts, docking))
        assert station.bay(RECORDER)["phase"] in SECURING
    nothing_was_erased(station, bay)
    with station.running():
        station.until_phase(bay, "done")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder on a file system that is on no disk."""
    folder = SHARED_MEMORY / f"edged-tests-{os.getpid()}"
    if not SHARED_MEMORY.is_dir() or file_system(SHARED_MEMORY) in ON_DISK:
        pytest.skip(f"{SHARED_MEMORY} is not in memory here")
    folder.mkdir()
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def test_inv_1_a_vault_that_cannot_be_re_read_clears_nothing(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings], memory: Path
) -> None:
    station = make_station(store=new_bucket(), paths={"vault": str(memory / "vault")})
    bay = station.dock(station.card(RECORDER, FILES))
    with station.running():
        until(lambda: station.alarm("re-read", "proves nothing about a disk"), "the alarm about the vault")
        until(lambda: len(station.bodies("replica")) == len(FILES), "all is in central storage")
        until(lambda: all_published(station), "all is published")
        assert {body["store"] for body in station.bodies("replica")} == {"central"}
        state = station.until_phase(bay, "safe")
        assert (state["lamp"], "cannot read its own copies back" in state["text"]) == ("attention", True)
    nothing_was_erased(station, bay)


def test_inv_1_a_vault_that_gives_other_bytes_than_were_sealed_clears_nothing(station: Station) -> None:
    bay = station.dock(station.card(RECORDER, FILES))
    # Killed before the first re-read is written down, so that the disk can lose a bit in between.
    assert not Life(config=station.config, trace=station.folder / "trace", dies=Moment(of="re-read: commit")).live()
    # Others may have no entry yet, and are taken off the card again.
    rotten = station.bodies("segment")[0]["segment"]
    path = station.originals()[rotten]
    path.chmod(0o640)
    with path.open("r+b") as file:
        file.seek(17)
        file.write(b"\x00")
    path.chmod(0o440)
    with station.running():
        until(lambda: station.anomalies("vault-copy-differs"), "the anomaly about the vault's copy")
        state = station.until_phase(bay, "kept", "done")
        assert state["phase"] == "kept"
    (anomaly,) = station.anomalies()
    assert anomaly["subject"] == {"kind": "segment", "id": rotten}
    left = read_card(bay)
    assert {sg(RECORDER, content) for content in left.values()} == {rotten}
    assert len(station.bodies("wipe")) == len(FILES) - 1
    assert not [body for body in station.bodies("replica") if body["segment"] == rotten]
    assert f"{rotten}: " in station.run("check", "--deep").stdout


def test_inv_1_a_file_that_changed_after_it_was_sealed_is_not_erased(station: Station) -> None:
    changed, grown = clip_path(2), clip_path(3)
    with off_the_network(station):
        bay = station.dock(station.card(RECORDER, FILES))
        station.until_phase(bay, *SECURING)
        before = (bay / os.fsdecode(changed)).stat()
        (bay / os.fsdecode(changed)).write_bytes(FILES[changed][::-1])
        os.utime(bay / os.fsdecode(changed), ns=(before.st_atime_ns, before.st_mtime_ns))
        with (bay / os.fsdecode(grown)).open("ab") as file:
            file.write(b"more")
    station.is_whole()
    assert read_card(bay) == {changed: FILES[changed][::-1], grown: FILES[grown] + b"more"}
    assert {body["detail"]["path"] for body in station.anomalies("changed-before-wipe")} == {
        escape_path(changed),
        escape_path(grown),
    }
    outcomes = {body["path"]: body["outcome"] for body in station.bodies("wipe")}
    assert {path for path, outcome in outcomes.items() if outcome == "present"} == {
        escape_path(changed),
        escape_path(grown),
    }
    assert station.result().ended == (("kept", 2),)
    station.holds(RECORDER, FILES)


# ------------------------------------------------------------------------------------------------------- INV-2


def test_inv_2_no_original_is_opened_for_writing_or_touched_after_its_rename(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings], tmp_path: Path
) -> None:
    station = make_station(store=new_bucket(), media={"derivatives": ["poster", "proxy"]})
    clip = QuickCamera(tmp_path / "clips").clip(Format.MP4).read_bytes()
    files = FILES | {clip_path(9): clip}
    station.dock(station.card(RECORDER, files), "bay-1")
    trace = station.folder / "trace"
    assert Life(config=station.config, trace=trace).live()
    before = {path: path.lstat() for path in station.originals().values()}
    assert len(before) == len(files)
    with station.running():
        until(lambda: len(station.bodies("derivative")) == 2, "derivatives are made")
        until(lambda: all_published(station), "all is published")
        done = station.run("bundle", "--segment", sg(RECORDER, clip), str(station.folder / "bundle"))
        assert done.returncode == 0, done.stderr
    station.is_whole()
    written = [line for line in trace.read_text().splitlines() if line.startswith("opened for writing: ")]
    assert any("/vault/incoming/" in line for line in written)
    assert not [line for line in written if "/vault/segments/" in line]
    for path, was in before.items():
        now = path.lstat()
        assert stat.S_IMODE(now.st_mode) == 0o440
        assert (now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_nlink) == (
            was.st_ino,
            was.st_size,
            was.st_mtime_ns,
            was.st_ctime_ns,
            1,
        )
    station.holds(RECORDER, files)


# ------------------------------------------------------------------------------------------------------- INV-3


def test_inv_3_an_entry_is_written_only_for_bytes_and_names_that_are_durable(station: Station) -> None:
    # Of one file: of several, whose entries may share a transaction, the power cuts of `test_kill_everywhere` tell.
    station.dock(station.card(RECORDER, {clip_path(1): b"film" * 1000}))
    trace = station.folder / "trace"
    assert Life(config=station.config, trace=trace).live()
    done = [line.partition(": ") for line in trace.read_text().splitlines()]
    whats = [what for _, _, what in done]
    (renamed,) = (at for at, what in enumerate(whats) if what.startswith("rename ") and what.endswith(".MP4"))
    part, target = whats[renamed].removeprefix("rename ").split(" to ")
    (committed,) = (at for at, (thread, _, what) in enumerate(done) if (thread[:5], what) == ("seal ", "commit"))
    assert f"sync {part}" in whats[:renamed]
    assert f"sync folder {Path(target).parent}" in whats[renamed:committed]
    listed = f"{Path(target).parent}/chunks.sha256"
    assert any(what.endswith(f" to {listed}") for what in whats[:renamed]), "the list comes first"


@pytest.mark.parametrize(
    ("dies", "erased"),
    [
        (Moment(of="os.remove", nth=2), 1),
        (Moment(of="os.remove", nth=2, then="commit"), 2),
        (Moment(of="os.remove", nth=4, then="commit"), 4),
    ],
    ids=["before-erasing", "after-erasing", "after-erasing-the-last"],
)
def test_inv_3_after_a_crash_while_erasing_the_outcome_is_looked_up(
    station: Station, dies: Moment, erased: int
) -> None:
    bay = station.dock(station.card(RECORDER, FILES), "bay-1")
    trace = station.folder / "trace"
    assert not Life(config=station.config, trace=trace, dies=dies).live()
    assert station.bodies("clearance")
    assert len(read_card(bay)) == len(FILES) - erased
    assert len(station.bodies("wipe")) == min(erased, dies.nth - 1)
    assert Life(config=station.config, trace=trace).live()
    assert not list(bay.iterdir())
    assert {body["path"]: body["outcome"] for body in station.bodies("wipe")} == {
        escape_path(path): "gone" for path in FILES
    }
    assert len(station.bodies("wipe")) == len(FILES)
    assert station.result().ended == (("cleared", 0),)
    assert check(station.config) == []


def test_inv_3_what_became_of_a_card_that_nobody_can_look_at_is_unknown(station: Station) -> None:
    bay = station.dock(station.card(RECORDER, FILES), "bay-1")
    trace = station.folder / "trace"
    assert not Life(config=station.config, trace=trace, dies=Moment(of="os.remove", nth=2, then="commit")).live()
    card = station.pull(bay)
    other = {clip_path(1, "BC00002"): b"somebody else's"}
    bay = station.dock(station.card("BC00002", other), "bay-1")
    with station.running():
        station.until_phase(bay, "done")
        outcomes = [body["outcome"] for body in station.bodies("wipe") if body["docking"] == first(station)]
        assert sorted(outcomes) == ["gone", "unknown", "unknown", "unknown"]
        station.until_phase(station.dock(card, "bay-2"), "done")
    assert station.bodies("docking")[-1]["missing"] == 0
    assert not read_card(station.bays / "bay-2")
    assert [body["outcome"] for body in station.bodies("undocking")] == ["interrupted", "cleared", "cleared"]
    station.holds(RECORDER, FILES)
    station.is_whole()


def first(station: Station) -> str:
    return str(station.bodies("docking")[0]["docking"])
