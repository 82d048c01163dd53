"""`edged ledger audit`: whole published logs, honest, damaged, rewritten by a thief of the key, and forked."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.clock import SystemClock
from edged.evidence import bodies, canonical, merkle, tiles
from edged.evidence.entry import reference
from edged.evidence.ids import StoreId
from edged.evidence.note import Checkpoint, sign_note
from edged.evidence.text import to_base64
from edged.keys import certify
from edged.station.epochs import change_over, next_origin
from edged.stores.directory import DirectorySettings
from edged.stores.folder_reader import FolderReader
from edged.stores.s3 import S3Settings
from edged.stores.s3_reader import S3Reader
from edged.vault.reread import ON_DISK, file_system
from hwsim.authority import Authority
from tests.unit.anchored_station import Witness, made_authority, policy_of
from tests.unit.book_station import STATION
from tests.unit.calling import Caller
from tests.unit.stored_station import FILES, Stored, check_log, check_station, check_store, make_stored, private_key

Change = Callable[[dict[str, canonical.Json]], None]


@dataclass
class Published:
    """A station whose ledger was published at two sizes, stamped and witnessed at the first."""

    stored: Stored
    authority: Authority
    witness: Witness
    kept: bytes
    """The checkpoint of the first size as the witness cosigned it."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("published")
    if file_system(folder) not in ON_DISK:
        pytest.skip(f"temporary files lie on {file_system(folder)} here")
    now = SystemClock().now()
    span = {"not_before": now - timedelta(days=1), "not_after": now + timedelta(days=365)}
    authority = made_authority(folder / "authority", **span)
    (folder / "nas").mkdir()
    stored = make_stored(folder, DirectorySettings(id=StoreId("nas"), folder=folder / "nas"))
    stored.take_in(FILES)
    # Beyond one full bundle of entries.
    noted = bodies.Anomaly(kind="test", docking=None, subject=None, detail={})
    stored.parts.book.ledger.append(*[noted] * 300)
    stored.publish()
    witness = Witness("witness.example/one")
    stored.stamp(authority)
    kept = stored.cosign(witness)
    stored.take_in({"20261121/last.mp4": b"last"})
    stored.publish()
    stored.close()
    return Published(stored=stored, authority=authority, witness=witness, kept=kept)


@pytest.fixture
def nas(published: Published, tmp_path: Path) -> Path:
    return copy(published.stored.folder / "nas", tmp_path / "nas")


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    for each in to.rglob("*"):
        each.chmod(0o700 if each.is_dir() else 0o600)
    return to


@dataclass
class Forger:
    """Writes a published log anew, in a folder."""

    stored: Stored
    nas: Path
    epoch: str = ""
    """Another than the newest one."""
    key: Ed25519PrivateKey | None = None
    """Another stolen key than the newest one."""

    @property
    def origin(self) -> str:
        newest = self.stored.origin
        return f"{newest.rpartition('/')[0]}/{self.epoch}" if self.epoch else newest

    @property
    def log(self) -> Path:
        return self.nas / "ledger" / self.origin

    def entries(self) -> list[bytes]:
        size = int((self.log / "checkpoint").read_bytes().split(b"\n")[1])
        found = []
        for n in range(-(-size // tiles.FULL)):
            width = min(tiles.FULL, size - n * tiles.FULL)
            found += tiles.parse_bundle((self.log / tiles.entries_path(n, width)).read_bytes())
        return found

    def rewrite(self, change: Change, *, of: str = "segment", key: Ed25519PrivateKey | None = None) -> int:
        """Alter the first entry of a type, chain, hash and sign everything behind it anew; gives its number."""
        entries = self.entries()
        seq = next(at for at, data in enumerate(entries) if f'"type":"{of}"'.encode() in data)
        prev = reference(entries[seq - 1])
        for at in range(seq, len(entries)):
            plain = canonical.decode(entries[at])
            assert isinstance(plain, dict)
            if at == seq:
                change(plain)
            plain["prev"] = prev
            entries[at] = canonical.encode(plain)
            prev = reference(entries[at])
        self.publish(entries, key)
        return seq

    def publish(self, entries: list[bytes], key: Ed25519PrivateKey | None = None) -> None:
        nodes: dict[tuple[int, int], bytes] = {}

        def read(level: int, index: int) -> bytes:
            return nodes[level, index]

        for at, data in enumerate(entries):
            for level, index, digest in merkle.appended_nodes(at, merkle.leaf_hash(data), read):
                nodes[level, index] = digest
        for tile in tiles.tiles_for(0, len(entries)):
            self.write(tiles.tile_path(*tile), tiles.tile_bytes(tile, read))
            if tile.level == 0:
                some = entries[tile.n * tiles.FULL : tile.n * tiles.FULL + tile.width]
                self.write(tiles.entries_path(tile.n, tile.width), tiles.bundle_entries(some))
        self.sign(len(entries), merkle.root(len(entries), read), key)

    def sign(self, size: int, root: bytes, key: Ed25519PrivateKey | None = None) -> None:
        stolen = self.key or private_key(self.stored)
        text = Checkpoint(origin=self.origin, size=size, root=root).text()
        self.write("checkpoint", sign_note(text, self.origin, key or stolen))

    def write(self, name: str, data: bytes) -> None:
        path = self.log / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        shutil.rmtree(f"{path}~", ignore_errors=True)


@pytest.fixture
def forger(published: Published, nas: Path) -> Forger:
    return Forger(published.stored, nas)


def officer(plain: dict[str, canonical.Json]) -> None:
    """Put footage down to another officer."""
    body = plain["body"]
    assert isinstance(body, dict)
    body["officer"] = "P000007"


# -------------------------------------------------------------------------------------------------------- honest


def test_honest_log_is_verified_with_all_its_checkpoints(published: Published, nas: Path) -> None:
    trust = published.stored.trust(
        authorities=(published.authority.root,), policy=policy_of([published.witness], "any")
    )
    found = check_log(FolderReader(nas), trust)
    assert found.report.verdict == "verified", found.report.plain()
    assert {name: check.verdict for name, check in found.report.checks.items()} == dict.fromkeys(
        ("entries", "consistency", "chain", "anchors"), "verified"
    )
    (log,) = found.report.logs
    assert log.checkpoints > 2


def test_station_store_and_kept_checkpoint_agree(
    published: Published, nas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(published.kept)
    said = Caller(capsys)(
        *("ledger", "audit", published.stored.config, nas, "--trust", published.stored.root, "--checkpoint", kept),
        "--json",
    )
    report = json.loads(said.out)
    assert (said.code, report["verdict"], report["differences"]) == (0, "verified", [])
    assert [each["verdict"] for each in report["checkpoints"]] == ["verified", "verified"]


def test_copy_that_is_behind_contradicts_nothing(
    published: Published, nas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forger = Forger(published.stored, copy(nas, tmp_path / "behind"))
    forger.publish(forger.entries()[:280])
    shutil.rmtree(forger.log / "anchors")
    said = Caller(capsys)("ledger", "audit", nas, tmp_path / "behind", "--trust", published.stored.root, "--json")
    (difference,) = json.loads(said.out)["differences"]
    assert (difference["seq"], difference["contradicts"]) == (280, False)
    # Its own later `anchor` entries are gone with it, and nothing it still says is wrong.
    assert said.code == 0


# ---------------------------------------------------------------------------------------------- damage and forgery


def test_altered_entry_is_named(published: Published, forger: Forger) -> None:
    name = tiles.entries_path(0)
    entries = tiles.parse_bundle((forger.log / name).read_bytes())
    entries[7] = entries[7].replace(b'"actor":"edged"', b'"actor":"user:x"')
    forger.write(name, tiles.bundle_entries(entries))
    report = check_log(FolderReader(forger.nas), published.stored.trust()).report
    assert report.verdict == "failed"
    assert "entries were altered: number 7." in report.checks["consistency"].detail.en
    # All others are proven all the same, by the log's own hashes.
    assert report.checks["entries"].detail.en.startswith(f"{published.stored.origin} entry 7: The entry is not the one")


def test_missing_entries_are_neither_verified_nor_failed(published: Published, forger: Forger) -> None:
    (forger.log / tiles.entries_path(0)).unlink()
    report = check_log(FolderReader(forger.nas), published.stored.trust()).report
    assert report.verdict == "not-established"


def test_altered_hash_tile_fails(published: Published, forger: Forger) -> None:
    path = forger.log / tiles.tile_path(1, 0, 1)
    path.write_bytes(b"x" * 32)
    report = check_log(FolderReader(forger.nas), published.stored.trust()).report
    assert "tile/1/0" in report.checks["consistency"].detail.en


def test_checkpoint_by_another_key_fails(published: Published, forger: Forger) -> None:
    forger.rewrite(officer, key=Ed25519PrivateKey.generate())
    report = check_log(FolderReader(forger.nas), published.stored.trust()).report
    assert "not signed by the log's key" in report.checks["consistency"].detail.en


def test_past_rewritten_with_the_stolen_key_is_caught_by_the_anchored_checkpoint(
    published: Published, forger: Forger
) -> None:
    forger.rewrite(officer)
    report = check_log(FolderReader(forger.nas), published.stored.trust()).report
    assert report.verdict == "failed"
    assert "One history was signed, and another one is shown" in report.checks["consistency"].detail.en


def test_past_rewritten_with_its_anchored_checkpoint_is_caught_by_the_token(
    published: Published, forger: Forger
) -> None:
    seq = forger.rewrite(officer)
    assert seq < 280
    _resign_anchors(forger)
    # What remains under a given authority is a token over another checkpoint.
    trust = published.stored.trust(authorities=(published.authority.root,))
    assert "over other bytes" in check_log(FolderReader(forger.nas), trust).report.checks["anchors"].detail.en
    # And under a given policy a cosignature over another one.
    trust = published.stored.trust(policy=policy_of([published.witness], "any"))
    assert "not over this checkpoint" in check_log(FolderReader(forger.nas), trust).report.checks["anchors"].detail.en


def _resign_anchors(forger: Forger) -> None:
    """Put the rewritten history under the anchored checkpoint, and into the `anchor` entries, as a good thief would."""
    entries = forger.entries()
    stolen = private_key(forger.stored)
    nodes: dict[tuple[int, int], bytes] = {}
    for at, data in enumerate(entries):
        for level, index, digest in merkle.appended_nodes(at, merkle.leaf_hash(data), lambda *key: nodes[key]):
            nodes[level, index] = digest
    roots = {}
    for folder in (forger.log / "anchors").iterdir():
        size = int(folder.name)
        roots[size] = merkle.root(size, lambda *key: nodes[key])
        text = Checkpoint(origin=forger.stored.origin, size=size, root=roots[size]).text()
        note = sign_note(text, forger.stored.origin, stolen)
        lines = (folder / "checkpoint.cosigned").read_bytes().splitlines(keepends=True)[-1]
        (folder / "checkpoint").write_bytes(note)
        (folder / "checkpoint.cosigned").write_bytes(note + lines)

    def reroot(plain: dict[str, canonical.Json]) -> None:
        body = plain["body"]
        assert isinstance(body, dict)
        assert isinstance(body["size"], int)
        body["root"] = to_base64(roots[body["size"]])

    first = next(at for at, data in enumerate(entries) if b'"type":"anchor"' in data)
    prev = reference(entries[first - 1])
    for at in range(first, len(entries)):
        plain = canonical.decode(entries[at])
        assert isinstance(plain, dict)
        if plain["type"] == "anchor":
            reroot(plain)
        plain["prev"] = prev
        entries[at] = canonical.encode(plain)
        prev = reference(entries[at])
    forger.publish(entries)


def test_past_rewritten_without_any_anchor_is_caught_by_the_checkpoint_that_somebody_kept(
    published: Published, forger: Forger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _rewrite_everything(forger)
    edged = Caller(capsys)
    audit = ("ledger", "audit", forger.nas, "--trust", published.stored.root)
    # Alone, it is right in itself: that is what anchors and kept checkpoints are for.
    assert edged(*audit).code == 0
    kept = tmp_path / "kept"
    kept.write_bytes(published.kept[: published.kept.rindex("\u2014".encode())])
    said = edged(*audit, "--checkpoint", kept)
    assert (said.code, "the past was rewritten" in said.out) == (1, True)


def test_past_rewritten_is_caught_by_what_the_witness_cosigned(
    published: Published, forger: Forger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _rewrite_everything(forger)
    kept, rules = tmp_path / "kept", tmp_path / "policy.txt"
    kept.write_bytes(published.kept)
    rules.write_text(f"witness one {published.witness.vkey}\nquorum one\n")
    said = Caller(capsys)(
        *("ledger", "audit", forger.nas, "--trust", published.stored.root, "--policy", rules),
        *("--checkpoint", kept, "--json"),
    )
    (found,) = json.loads(said.out)["checkpoints"]
    assert (said.code, found["verdict"], found["witnessed"] is not None) == (1, "failed", True)


def _rewrite_everything(forger: Forger) -> None:
    """Rewrite the past and take every trace of the old one out of the store: anchors, their entries, old versions."""
    shutil.rmtree(forger.log / "anchors")
    forged: list[bytes] = []
    newest: dict[str, str] = {}
    for data in forger.entries():
        plain: Any = canonical.decode(data)
        if plain["type"] == "anchor":
            continue
        plain.pop("after", None)
        body = plain["body"]
        if plain["type"] == "docking" and len(forged) == 1:
            body["bay"] = "bay-2"
        if body.get("recorder_prev") is not None:
            body["recorder_prev"] = newest[body["recorder"]]
        plain |= {"prev": reference(forged[-1]) if forged else "0" * 64, "seq": len(forged)}
        forged.append(canonical.encode(plain))
        if plain["type"] == "segment":
            newest[body["recorder"]] = reference(forged[-1])
    forger.publish(forged)


def test_checkpoint_that_nobody_signed_shows_nothing(
    published: Published, nas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "made-up"
    text = Checkpoint(origin=published.stored.origin, size=9, root=b"x" * 32).text()
    kept.write_bytes(sign_note(text, published.stored.origin, Ed25519PrivateKey.generate()))
    said = Caller(capsys)("ledger", "audit", nas, "--trust", published.stored.root, "--checkpoint", kept)
    assert (said.code, "it shows nothing" in said.out) == (2, True)


def test_log_cut_short_is_behind_the_checkpoint_that_somebody_kept(
    published: Published, forger: Forger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forger.publish(forger.entries()[:100])
    shutil.rmtree(forger.log / "anchors")
    kept = tmp_path / "kept"
    kept.write_bytes(published.kept)
    said = Caller(capsys)("ledger", "audit", forger.nas, "--trust", published.stored.root, "--checkpoint", kept)
    assert (said.code, "is behind or was cut" in said.out) == (2, True)


def test_forked_log_of_two_stores_is_shown_side_by_side(
    published: Published, forger: Forger, capsys: pytest.CaptureFixture[str]
) -> None:
    seq = forger.rewrite(officer)
    shutil.rmtree(forger.log / "anchors")
    other = published.stored.folder / "nas"
    said = Caller(capsys)("ledger", "audit", other, forger.nas, "--trust", published.stored.root, "--json")
    (difference,) = json.loads(said.out)["differences"]
    here, there = difference["sides"]
    assert (said.code, difference["seq"], difference["contradicts"]) == (1, seq, True)
    assert ('"officer":null' in here["entry"], '"officer":"P000007"' in there["entry"]) == (True, True)
    assert here["only_here"] == there["only_here"] == len(forger.entries()) - seq
    said = Caller(capsys)("ledger", "audit", other, forger.nas, "--trust", published.stored.root)
    assert f"the copies part at entry {seq}" in said.out


def test_log_without_its_beginning_entry_fails(published: Published, forger: Forger) -> None:
    forger.publish(forger.entries()[1:])
    report = check_log(FolderReader(forger.nas), published.stored.trust()).report
    assert {report.checks["entries"].verdict, report.checks["consistency"].verdict} == {"failed"}


def test_huge_size_in_a_checkpoint_ends_at_the_first_missing_entry(published: Published, forger: Forger) -> None:
    forger.sign(10**17, b"x" * 32)
    report = check_log(FolderReader(forger.nas), published.stored.trust()).report
    assert report.verdict in {"failed", "not-established"}


def test_a_bundle_is_no_target_of_an_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bagit.txt").touch()
    assert Caller(capsys)("ledger", "audit", tmp_path).code == 64


# -------------------------------------------------------------------------------------- several epochs, and buckets


def rotate(stored: Stored) -> None:
    """Change over to the next key, as `edged key rotate` does."""
    parts = stored.parts
    request = parts.key.request(station=STATION, origin=next_origin(parts))
    root_key, roots = (stored.folder / "root.key").read_bytes(), parts.key.roots_pem()
    answer = certify(root_key, roots, request.request, station=STATION, now=parts.clock.now())
    parts.key.install(answer, None, station=STATION, clock=parts.clock)
    change_over(parts, code="test", text="why")


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """A station with two epochs, footage of one recorder in both."""
    folder = tmp_path_factory.mktemp("rotated")
    (folder / "nas").mkdir()
    stored = make_stored(folder, DirectorySettings(id=StoreId("nas"), folder=folder / "nas"))
    stored.take_in({"20261121/a.mp4": b"one"})
    stored.publish()
    (key,) = (stored.state / "keys").glob("*.key")
    (folder / "stolen.key").write_bytes(key.read_bytes())
    rotate(stored)
    stored.take_in({"20261121/b.mp4": b"two"})
    stored.publish()
    stored.publish()
    stored.close()
    return stored


@pytest.fixture
def epochs(rotated: Stored, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A copy of its store, and the folders of the first and the second log."""
    nas = copy(rotated.folder / "nas", tmp_path / "nas")
    (station,) = (nas / "ledger" / "evidence.example").iterdir()
    first, second = sorted(station.iterdir(), key=lambda folder: str(folder) == str(nas / "ledger" / rotated.origin))
    return nas, first, second


def test_epochs_of_a_station_join(rotated: Stored, epochs: tuple[Path, Path, Path]) -> None:
    nas, _, _ = epochs
    report = check_log(FolderReader(nas), rotated.trust()).report
    assert (report.verdict, len(report.logs)) == ("verified", 2), report.plain()
    found, segments = check_store(FolderReader(nas), rotated.trust())
    assert (found.report.open_checks, len(segments)) == ({"time"}, 2)
    assert found.report.checks["chain"].verdict == "verified"
    assert check_station(rotated, rotated.trust())[0].report.open_checks == {"time"}


def test_epoch_taken_out_of_a_store_is_missed(rotated: Stored, epochs: tuple[Path, Path, Path]) -> None:
    nas, first, _ = epochs
    shutil.rmtree(first)
    report = check_log(FolderReader(nas), rotated.trust()).report
    assert (report.verdict, "which is not here" in report.checks["consistency"].detail.en) == ("not-established", True)
    assert report.checks["chain"].verdict == "not-established"


def test_latest_epoch_taken_out_of_a_store_is_missed(rotated: Stored, epochs: tuple[Path, Path, Path]) -> None:
    nas, _, second = epochs
    shutil.rmtree(second)
    report = check_log(FolderReader(nas), rotated.trust()).report
    assert (report.verdict, "goes on in" in report.checks["consistency"].detail.en) == ("not-established", True)


def stolen_before(rotated: Stored) -> Ed25519PrivateKey:
    """Give the first epoch's key, which a thief took before it was destroyed."""
    key = serialization.load_pem_private_key((rotated.folder / "stolen.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def test_closed_epoch_extended_fails(rotated: Stored, epochs: tuple[Path, Path, Path]) -> None:
    nas, first, _ = epochs
    forger = Forger(rotated, nas, epoch=first.name, key=stolen_before(rotated))
    entries = forger.entries()
    last: Any = canonical.decode(entries[-2])
    last |= {"prev": reference(entries[-1]), "seq": len(entries)}
    forger.publish([*entries, canonical.encode(last)])
    report = check_log(FolderReader(nas), rotated.trust()).report
    assert (report.verdict, "was closed by entry" in report.checks["consistency"].detail.en) == ("failed", True)


def test_closed_epoch_rewritten_contradicts_the_next(rotated: Stored, epochs: tuple[Path, Path, Path]) -> None:
    nas, first, _ = epochs
    Forger(rotated, nas, epoch=first.name, key=stolen_before(rotated)).rewrite(officer)
    report = check_log(FolderReader(nas), rotated.trust()).report
    assert (report.verdict, "speaks of another history" in report.checks["consistency"].detail.en) == ("failed", True)


def test_closed_epoch_cut_short_is_missed_by_the_next(rotated: Stored, epochs: tuple[Path, Path, Path]) -> None:
    nas, first, _ = epochs
    forger = Forger(rotated, nas, epoch=first.name, key=stolen_before(rotated))
    forger.publish(forger.entries()[:-1])
    report = check_log(FolderReader(nas), rotated.trust()).report
    assert report.verdict == "not-established"


def test_past_rewritten_in_a_bucket_is_caught_by_older_versions_of_its_checkpoint(
    new_bucket: Callable[[], S3Settings], tmp_path: Path
) -> None:
    settings = new_bucket()
    stored = make_stored(tmp_path, settings)
    stored.take_in({"20261121/a.mp4": b"one"})
    stored.publish()
    stored.take_in({"20261121/b.mp4": b"two"})
    stored.publish()
    reader = S3Reader(settings)
    assert check_log(reader, stored.trust()).report.verdict == "verified"
    forger = Forger(stored, tmp_path / "forged")
    for key in ("checkpoint", tiles.entries_path(0, stored.parts.book.ledger.published_size())):
        forger.write(key, b"".join(reader.newest(f"ledger/{stored.origin}/{key}")))
    forger.rewrite(officer)
    for path in forger.log.rglob("*"):
        if path.is_file():
            stored.store.put(f"ledger/{stored.origin}/{path.relative_to(forger.log)}", path.read_bytes())
    report = check_log(reader, stored.trust()).report
    assert (report.verdict, "an older checkpoint" in report.checks["consistency"].detail.en) == ("failed", True)
    reader.close()
    stored.close()
