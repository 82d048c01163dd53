"""`edged verify` on a station and on stores, honest and attacked: real books, vaults, folders and buckets."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edged.audit.check import check_target
from edged.audit.sentences import sentences
from edged.audit.stores import StoredOriginals, StoreTarget
from edged.cli.progress import Silent
from edged.clock import SystemClock
from edged.errors import UsageError
from edged.evidence import bodies
from edged.evidence.ids import StoreId
from edged.evidence.verification import SegmentReport
from edged.stores.directory import DirectorySettings
from edged.stores.folder_reader import FolderReader
from edged.stores.reader import Reader
from edged.stores.s3 import S3Settings
from edged.stores.s3_client import make_client
from edged.stores.s3_reader import S3Reader
from edged.vault.reread import ON_DISK, file_system
from hwsim.authority import Authority
from tests.unit.anchored_station import Witness, made_authority, policy_of
from tests.unit.calling import Caller, start
from tests.unit.stored_station import FILES, Stored, check_station, check_store, make_stored

CHUNK = 8_388_608


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    now = SystemClock().now()
    folder = tmp_path_factory.mktemp("authority")
    return made_authority(folder, not_before=now - timedelta(days=1), not_after=now + timedelta(days=365))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Stored:
    """A station with a folder for a store, published and stamped; tests work on copies of its folders."""
    folder = tmp_path_factory.mktemp("honest")
    if file_system(folder) not in ON_DISK:
        pytest.skip(f"temporary files lie on {file_system(folder)} here")
    (folder / "nas").mkdir()
    stored = make_stored(folder, DirectorySettings(id=StoreId("nas"), folder=folder / "nas"))
    stored.take_in(FILES)
    stored.publish()
    stored.stamp(authority)
    stored.publish()
    stored.close()
    return stored


@pytest.fixture
def nas(honest: Stored, tmp_path: Path) -> Path:
    """A copy of the store, writable."""
    return writable(shutil.copytree(honest.folder / "nas", tmp_path / "nas"))


@pytest.fixture
def vault(honest: Stored, tmp_path: Path) -> Path:
    """The station's folders, moved to a copy for one test."""
    return writable(shutil.copytree(honest.state, tmp_path / "state"))


def writable(folder: Path) -> Path:
    for each in folder.rglob("*"):
        each.chmod(0o700 if each.is_dir() else 0o600)
    return folder


def verdicts(report: object) -> dict[str, str]:
    return {name: check.verdict for name, check in report.checks.items()}  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------------------------- honest targets


def test_a_store_is_verified_under_root_and_authority(honest: Stored, nas: Path, authority: Authority) -> None:
    found, segments = check_store(FolderReader(nas), honest.trust(authorities=(authority.root,)))
    assert found.report.verdict == "verified", found.report.plain()
    assert len(segments) == len(FILES)
    assert all(each.not_after is not None and each.root is not None for each in segments.values())
    assert set(found.report.checks) == {"consistency", "custody", "derivatives", "chain", "completeness"}
    assert found.report.checks["completeness"].verdict == "not-established"


def test_without_an_authority_only_the_time_is_open(honest: Stored, nas: Path) -> None:
    found, _ = check_store(FolderReader(nas), honest.trust())
    assert (found.report.verdict, found.report.open_checks) == ("not-established", {"time"})
    # A store holds no inventories: that nothing is missing is not shown, and is not said.
    said = next(iter(sentences(found.report))).en
    assert "whether files are missing is not established either" in said
    assert "whole" not in said


def test_without_a_root_nobody_is_believed(honest: Stored, nas: Path, authority: Authority) -> None:
    found, _ = check_store(FolderReader(nas), honest.trust(roots=(), authorities=(authority.root,)))
    assert (found.report.verdict, found.report.open_checks) == ("not-established", {"custody", "identity"})


def test_a_station_is_verified_with_its_inventories(honest: Stored, authority: Authority) -> None:
    found, segments = check_station(honest, honest.trust(authorities=(authority.root,)))
    assert found.report.verdict == "verified", found.report.plain()
    assert len(segments) == len(FILES)
    assert found.report.checks["completeness"].verdict == "verified"


def test_a_witnessed_store_is_verified_under_the_policy(tmp_path: Path) -> None:
    (tmp_path / "nas").mkdir()
    stored = make_stored(tmp_path, DirectorySettings(id=StoreId("nas"), folder=tmp_path / "nas"))
    witness = Witness("witness.example/one")
    stored.take_in(FILES)
    stored.publish()
    stored.cosign(witness)
    stored.publish()
    stored.close()
    reader = FolderReader(tmp_path / "nas")
    assert check_store(reader, stored.trust(policy=policy_of([witness], "any")))[0].report.verdict == "verified"
    other = policy_of([Witness("witness.example/one")], "any")
    assert check_store(reader, stored.trust(policy=other))[0].report.verdict == "not-established"


def test_what_is_sealed_and_not_copied_yet_is_a_finding(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "nas").mkdir()
    stored = make_stored(tmp_path, DirectorySettings(id=StoreId("nas"), folder=tmp_path / "nas"))
    stored.take_in({"20261121/a.mp4": b"one"})
    stored.publish()
    stored.stamp(authority)
    stored.take_in({"20261121/b.mp4": b"two"})
    trust = stored.trust(authorities=(authority.root,))
    found, _ = check_station(stored, trust)
    # Sealed, and under no signed checkpoint: its own entry is not proven yet, and nothing else suffers.
    assert found.report.verdict == "not-established"
    assert any("not under a signed checkpoint yet" in each.en for each in found.report.findings)
    stored.close()


# ------------------------------------------------------------------------------------------ attacks on originals


def test_bit_flipped_in_the_vault_is_named_by_chunk_byte_and_time(
    honest: Stored, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = vault / honest.original("20261121/b.mp4").relative_to(honest.state)
    data = bytearray(path.read_bytes())
    data[CHUNK + 5] ^= 1
    path.write_bytes(data)
    said = Caller(capsys)("verify", vault, "--trust", honest.root, "--json")
    report = json.loads(said.out)
    assert (said.code, report["verdict"], report["target"]) == (1, "failed", str(vault))
    (bad,) = [each for each in report["segments"] if each["checks"]["bytes"]["verdict"] == "failed"]
    (damage,) = bad["damage"]
    assert (damage["chunk"], damage["from_byte"], damage["to_byte"]) == (1, CHUNK, 2 * CHUNK)
    assert damage["from_time"].startswith("2026-11-21T07:04:3")
    assert len(report["segments"]) == len(FILES)


def test_truncated_original_in_the_vault_fails(honest: Stored, vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = vault / honest.original("20261121/b.mp4").relative_to(honest.state)
    with path.open("r+b") as file:
        file.truncate(CHUNK)
    said = Caller(capsys)("verify", vault, "--trust", honest.root)
    assert said.code == 1
    assert f"The file has {CHUNK} bytes; 18000000 were sealed." in said.out


def test_missing_original_is_neither_verified_nor_failed(
    honest: Stored, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (vault / honest.original("20261121/a.mp4").relative_to(honest.state)).unlink()
    said = Caller(capsys)("verify", vault, "--trust", honest.root, "--json")
    verdict = {each["name"]: each["checks"]["bytes"]["verdict"] for each in json.loads(said.out)["segments"]}
    assert (said.code, verdict) == (2, {"a.mp4": "not-established", "b.mp4": "verified", "c.mp4": "verified"})


def test_original_replaced_by_a_link_is_not_followed(
    honest: Stored, vault: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = vault / honest.original("20261121/a.mp4").relative_to(honest.state)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    report = json.loads(Caller(capsys)("verify", vault, "--trust", honest.root, "--json").out)
    found = {each["name"]: each["checks"]["bytes"]["verdict"] for each in report["segments"]}
    assert found["a.mp4"] == "not-established"
    assert any("a.mp4" in each for each in report["findings"])


def test_stray_file_in_the_vault_is_a_finding(honest: Stored, vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = (vault / honest.original("20261121/a.mp4").relative_to(honest.state)).parent
    (folder / "extra.mp4").write_bytes(b"never sealed")
    said = Caller(capsys)("verify", vault, "--trust", honest.root)
    assert "extra.mp4" in said.out


def test_chunk_list_of_another_file_fails(honest: Stored, nas: Path) -> None:
    key = honest.replica("20261121/b.mp4").key
    (nas / key).with_name("chunks.sha256").write_bytes(b"0" * 64 + b"\n")
    found, segments = check_store(FolderReader(nas), honest.trust())
    assert found.report.verdict == "failed"
    assert segments[honest.segments["20261121/b.mp4"].segment].checks["bytes"].verdict == "failed"


def test_derivative_without_an_entry_fails(honest: Stored, nas: Path) -> None:
    folder = (nas / honest.replica("20261121/a.mp4").key).parent / "derivatives"
    folder.mkdir()
    (folder / "proxy.mp4").write_bytes(b"made up")
    assert verdicts(check_store(FolderReader(nas), honest.trust())[0].report)["derivatives"] == "failed"


# ------------------------------------------------------------------------- attacks on objects, in folder and bucket


class Attacker:
    """Somebody who can write to the store as it stands."""

    def __init__(self, stored: Stored, settings: S3Settings | DirectorySettings) -> None:
        self.stored = stored
        self.settings = settings

    @property
    def reader(self) -> Reader:
        if isinstance(self.settings, DirectorySettings):
            return FolderReader(self.settings.folder)
        return S3Reader(self.settings)

    def put(self, key: str, data: bytes) -> None:
        """Put a newer version."""
        self.stored.store.put(key, data)

    def newest(self, key: str) -> bytes:
        return b"".join(self.reader.newest(key))

    def delete(self, key: str, version: str | None) -> None:
        """Take an object away, where no lock keeps it."""
        if isinstance(self.settings, DirectorySettings):
            (self.settings.folder / key).unlink()
        else:
            make_client(self.settings).delete_object(Bucket=self.settings.bucket, Key=key)
            del version


@pytest.fixture(scope="module", params=["directory", "s3"])
def attacked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Attacker]:
    """A published store with everything that a lesser attacker can do to it done, one thing a file."""
    folder = tmp_path_factory.mktemp("attacked")
    if request.param == "s3":
        new_bucket: Callable[[], S3Settings] = request.getfixturevalue("new_bucket")
        settings: S3Settings | DirectorySettings = new_bucket()
    else:
        (folder / "nas").mkdir()
        settings = DirectorySettings(id=StoreId("nas"), folder=folder / "nas")
    stored = make_stored(folder, settings)
    stored.take_in({f"20261121/{name}.mp4": name.encode() * 100 for name in "abcd"})
    stored.publish()
    stored.stamp(authority)
    stored.publish()
    yield Attacker(stored, settings)
    stored.close()


def test_honest_store_is_verified_then_a_later_version_is_an_impostor(attacked: Attacker, authority: Authority) -> None:
    trust = attacked.stored.trust(authorities=(authority.root,))
    found, _ = check_store(attacked.reader, trust)
    assert found.report.verdict == "verified", found.report.plain()
    replica = attacked.stored.replica("20261121/a.mp4")
    flipped = bytearray(attacked.newest(replica.key))
    flipped[0] ^= 1
    attacked.put(replica.key, bytes(flipped))
    found, segments = check_store(attacked.reader, trust)
    # Every read names the version of the `replica` entry, so the impostor changes no verdict; and it is told.
    assert found.report.verdict == "verified"
    assert segments[replica.segment].checks["bytes"].verdict == "verified"
    assert any("Not the version that the ledger names" in each.en for each in found.report.findings)


def test_extra_object_is_a_finding(attacked: Attacker) -> None:
    attacked.put("segments/rec-0001/2026/11/21/sg-" + "0" * 32 + "/x.mp4", b"never sealed")
    attacked.put("segments/anything", b"never sealed")
    found, _ = check_store(attacked.reader, attacked.stored.trust())
    told = [each.en for each in found.report.findings if "names no such copy" in each.en]
    assert len(told) == 2
    assert found.report.verdict == "not-established"


def test_missing_object_is_neither_verified_nor_failed(attacked: Attacker) -> None:
    if isinstance(attacked.reader, S3Reader):
        # A deletion mark hides a locked version; whoever names the version still reads it.
        replica = attacked.stored.replica("20261121/b.mp4")
        attacked.delete(replica.key, replica.version)
        found, segments = check_store(attacked.reader, attacked.stored.trust())
        assert segments[replica.segment].checks["bytes"].verdict == "verified"
        assert any("(no file)" in each.en for each in found.report.findings)
        return
    replica = attacked.stored.replica("20261121/b.mp4")
    attacked.delete(replica.key, replica.version)
    found, segments = check_store(attacked.reader, attacked.stored.trust())
    assert segments[replica.segment].checks["bytes"].verdict == "not-established"
    assert found.report.verdict == "not-established"


def test_bytes_that_were_replaced_on_the_disk_of_a_folder_fail(honest: Stored, nas: Path) -> None:
    path = nas / honest.replica("20261121/b.mp4").key
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    found, segments = check_store(FolderReader(nas), honest.trust())
    report = segments[honest.segments["20261121/b.mp4"].segment]
    assert (found.report.verdict, [each.chunk for each in report.damage]) == ("failed", [2])


def test_plain_name_that_is_not_its_newest_version_is_a_finding(attacked: Attacker) -> None:
    if isinstance(attacked.reader, S3Reader):
        pytest.skip("a bucket has no plain names")
    key = attacked.stored.replica("20261121/c.mp4").key
    attacked.put(key, b"a later version")
    path = Path(attacked.reader.name) / key
    path.unlink()
    path.write_bytes(b"neither version")
    found, _ = check_store(attacked.reader, attacked.stored.trust())
    assert (
        sum("Not the version that the ledger names" in each.en and "c.mp4" in each.en for each in found.report.findings)
        == 2
    )


def test_replica_entries_of_another_store_are_not_taken_for_ones_of_this(honest: Stored, nas: Path) -> None:
    with pytest.raises(UsageError, match="in: nas"):
        check_store(FolderReader(nas), honest.trust(), store="tape")


# ------------------------------------------------------------------------------------------- the command itself


def test_bucket_is_verified_from_the_command_line(attacked: Attacker, capsys: pytest.CaptureFixture[str]) -> None:
    if not isinstance(attacked.reader, S3Reader):
        pytest.skip("of buckets")
    edged = Caller(capsys)
    bucket = attacked.reader.name
    config = ("--config", attacked.stored.config)
    said = edged("verify", bucket, "--trust", attacked.stored.root, "--json", *config)
    assert (said.code, json.loads(said.out)["target"]) == (2, bucket)
    settings = attacked.settings
    assert isinstance(settings, S3Settings)
    access = ("--endpoint", settings.endpoint, "--credentials", attacked.stored.folder / "s3.toml")
    assert edged("verify", bucket, "--trust", attacked.stored.root, *access).code == 2
    assert edged("verify", bucket).code == 64
    assert edged("verify", "s3://there-is-none", *access).code == 66
    away = ("--endpoint", "http://127.0.0.1:1", "--credentials", attacked.stored.folder / "s3.toml")
    assert edged("verify", bucket, *away).code == 66


def test_folder_without_a_ledger_is_unreadable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ledger").mkdir()
    assert Caller(capsys)("verify", tmp_path).code == 66
    assert Caller(capsys)("verify", tmp_path / "nothing").code == 66


def test_nothing_is_written(honest: Stored, vault: Path, nas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def facts(folder: Path) -> dict[str, tuple[int, int]]:
        found = {str(each): each.stat() for each in folder.rglob("*") if each.name != "book.sqlite-shm"}
        return {name: (each.st_size, each.st_mtime_ns) for name, each in found.items() if "sqlite" not in name}

    before = facts(vault), facts(nas)
    Caller(capsys)("verify", vault, "--trust", honest.root)
    Caller(capsys)("verify", nas, "--trust", honest.root)
    assert (facts(vault), facts(nas)) == before


def stretched(honest: Stored, vault: Path, size_bytes: int) -> None:
    """Make an original much longer than it was, in no time and no room."""
    path = vault / honest.original("20261121/b.mp4").relative_to(honest.state)
    with path.open("r+b") as file:
        file.truncate(size_bytes)


def test_ctrl_c_ends_it_soon_and_without_a_trace_of_python(honest: Stored, vault: Path) -> None:
    stretched(honest, vault, 1 << 40)
    process = start("verify", vault, "--trust", honest.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    pause = threading.Event()
    io = Path(f"/proc/{process.pid}/io")
    while process.poll() is None and int(io.read_text().split()[1]) < 64 << 20:
        pause.wait(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "Interrupted; nothing is lost.\n")


def test_long_original_takes_no_more_memory_than_a_short_one(honest: Stored, vault: Path) -> None:
    stretched(honest, vault, 256 << 20)
    process = start("verify", vault, "--trust", honest.root, stdout=subprocess.DEVNULL)
    pause, most_kib = threading.Event(), 0
    while process.poll() is None:
        # Of the process as it is now: what the system counts at its end includes the test's own memory.
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        most_kib = max(most_kib, int(found[1]) if found and "edged" in command_of(process.pid) else 0)
        pause.wait(0.02)
    assert process.returncode == 1
    assert 0 < most_kib < 160 << 10, f"{most_kib} KiB"


def command_of(pid: int) -> str:
    """Give what a process runs; before it was replaced by the command, that is the test."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[1].decode() if len(words) > 1 and b"pytest" not in words[0] + words[1] else ""


def test_progress_is_shown_on_a_terminal_alone(honest: Stored, nas: Path) -> None:
    leader, follower = pty.openpty()
    command = ("verify", nas, "--trust", honest.root)
    process = start(*command, stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    out, _ = process.communicate(timeout=60)
    shown = os.read(leader, 1 << 20).decode()
    os.close(leader)
    assert "checking" in shown or "reading" in shown
    quiet = start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert quiet.communicate(timeout=60) == (out, "")


# ---------------------------------------------------------------------------- what the ledger says later of its copies


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Stored]:
    """A small station with a store in a folder."""
    (tmp_path / "nas").mkdir()
    stored = make_stored(tmp_path, DirectorySettings(id=StoreId("nas"), folder=tmp_path / "nas"))
    stored.take_in({"20261121/a.mp4": b"one", "20261121/b.mp4": b"two"})
    stored.publish()
    yield stored
    stored.close()


def test_copy_that_was_retired_is_not_looked_for(living: Stored) -> None:
    replica = living.replica("20261121/a.mp4")
    retire = bodies.Retire(segment=replica.segment, store=replica.store, proofs=())
    living.parts.book.ledger.append(retire)
    living.publish()
    (living.folder / "nas" / replica.key).unlink()
    found, segments = check_store(FolderReader(living.folder / "nas"), living.trust())
    assert (list(segments), found.report.open_checks) == ([living.segments["20261121/b.mp4"].segment], {"time"})
    assert any("1 copies were removed" in each.en for each in found.report.findings)


def test_every_version_that_the_ledger_names_is_read(living: Stored) -> None:
    replica = living.replica("20261121/a.mp4")
    damaged = living.store.put(replica.key, b"something else")
    named = replica.model_copy(update={"version": damaged.version})
    living.parts.book.ledger.append(named, replica)
    living.publish()
    every: list[SegmentReport] = []
    target = StoreTarget(reader := FolderReader(living.folder / "nas"), "store", StoredOriginals(reader))
    found = check_target(target, living.trust(), progress=Silent(), on_segment=every.append)
    verdict = [each.checks["bytes"].verdict for each in every if each.segment == replica.segment]
    # The one of the first entry, and the one of the second; the third says nothing new.
    assert (verdict, found.report.verdict) == (["verified", "failed"], "failed")


@pytest.mark.parametrize("name", ["checkpoint", "station.pem", "tile/entries/000.p", "tile/0/000.p"])
def test_overlong_file_of_a_ledger_is_no_traceback(living: Stored, name: str) -> None:
    path = living.folder / "nas" / "ledger" / living.origin / name
    for each in path.iterdir() if path.is_dir() else [path]:
        each.unlink()
        each.write_bytes(b"x" * (17 << 20))
    reader = FolderReader(living.folder / "nas")
    for originals in (None, StoredOriginals(reader)):
        target = StoreTarget(reader, "store", originals)
        found = check_target(target, living.trust(), progress=Silent())
        assert found.report.verdict != "verified"
        assert originals is not None or found.report.checks["consistency"].verdict != "verified"
