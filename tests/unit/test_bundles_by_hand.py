"""The commands of VERIFY.md, as pasted: they say OK to an honest bundle, complain about others, and write nothing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.bundles.load import verify_target
from edged.bundles.pages import _page
from edged.evidence import bodies
from edged.evidence.certificates import make_root, to_pem
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import DockingId, SegmentId
from edged.evidence.proofs import format_proof
from tests.unit.anchored_station import SEALED, Anchored, anchored, made_authority, stamped
from tests.unit.bundle_station import START, VIDEO, Forgery, Station, failing

BLOCKS = ("root", "bag", "originals", "inclusion", "signature", "identity", "list", "derivatives", "history", "tokens")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    station = Station(folder=tmp_path_factory.mktemp("station"))
    station.genesis()
    station.dock("d", "r", {"A.MP4": VIDEO, "empty.MP4": b""})
    video = station.seal("d", "r", "A.MP4", VIDEO)
    station.seal("d", "r", "empty.MP4", b"")
    station.derive(video, "poster", b"a picture")
    station.append(bodies.Undocking(docking=DockingId("d"), outcome="kept", remaining=2))
    return station


@pytest.fixture(scope="module")
def video(station: Station) -> SegmentId:
    return _segments(station)[0]


def _segments(station: Station) -> list[SegmentId]:
    return [SegmentId(name) for kind, name in station.names if kind == "segment"]


@pytest.fixture(scope="module")
def honest(station: Station, tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("out")
    station.bundle(station.export(_segments(station)), top / "bundle", kinds=["poster"])
    (top / "trust").mkdir()
    (top / "trust/root.pem").write_bytes(station.root_pem())
    return top / "bundle"


@pytest.fixture
def bundle(honest: Path, tmp_path: Path) -> Path:
    shutil.copytree(honest.parent, tmp_path / "copy")
    return tmp_path / "copy/bundle"


def blocks(bundle: Path, page: str = "VERIFY.md") -> dict[str, str]:
    found = re.findall(r"^```sh\n(.*?)^```$", (bundle / page).read_text(), re.MULTILINE | re.DOTALL)
    return dict(zip(BLOCKS, found, strict=True))


def run(bundle: Path, commands: str, shell: str = "sh", **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "TMPDIR": str(bundle.parent), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [shell], input=commands, cwd=bundle, env=kept | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_alone_finds_an_honest_bundle_in_order(honest: Path, name: str) -> None:
    done = run(honest, blocks(honest)[name])
    assert (done.returncode, done.stderr) == (0, "")
    if name == "root":
        assert "self-made by st-07" in done.stdout
    elif name == "signature":
        assert done.stdout == "Signature Verified Successfully\n"
    elif name == "history":
        assert [line.split()[0] for line in done.stdout.split("\n")[:3]] == ["0", "1", "2"]
        assert done.stdout.endswith("export, by user:li\n")
    elif name == "tokens":
        assert done.stdout == "there are none: the times are claims\n"
    else:
        assert "OK" in done.stdout


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_all_blocks_pasted_into_one_shell_in_either_language(station: Station, honest: Path, shell: str) -> None:
    page = {"sh": "VERIFY.md", "bash": "VERIFY.zh.md"}[shell]
    done = run(honest, "\n".join(blocks(honest, page).values()), shell)
    assert (done.returncode, done.stderr) == (0, "")
    entries = len(list(honest.glob("data/custody/*/*/*.json"))) + 2
    assert done.stdout.count("OK: data/segments") + done.stdout.count("OK: data/custody") == entries + 2
    # The commands leave the bundle as it was.
    assert failing(verify_target(honest, station.trust)) == set()


def test_both_pages_have_the_same_commands(honest: Path) -> None:
    assert blocks(honest) == blocks(honest, "VERIFY.zh.md")
    for page in ("VERIFY.md", "VERIFY.zh.md"):
        assert "{{" not in (honest / page).read_text()


def test_a_flipped_byte_is_found_with_its_chunk(video: SegmentId, bundle: Path) -> None:
    path = bundle / "data/segments" / video / "A.MP4"
    with path.open("r+b") as file:
        file.seek(9_000_000)
        file.write(b"!!")
    bag = run(bundle, blocks(bundle)["bag"])
    assert bag.returncode != 0
    assert "A.MP4: FAILED" in bag.stdout
    originals = run(bundle, blocks(bundle)["originals"])
    assert originals.returncode == 1
    assert f"DIFFERENT: data/segments/{video}/" in originals.stdout


def test_a_stray_file_and_a_link_are_found(bundle: Path) -> None:
    (bundle / "data/stray").write_text("x")
    assert run(bundle, blocks(bundle)["bag"]).returncode != 0
    (bundle / "data/stray").unlink()
    (bundle / "link").symlink_to("bagit.txt")
    assert run(bundle, blocks(bundle)["bag"]).returncode != 0


def test_an_altered_entry_is_not_in_the_log(bundle: Path) -> None:
    path = next(path for path in bundle.glob("data/custody/*/*/*.json") if b'"type":"undocking"' in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"kept", b"gone"))
    done = run(bundle, blocks(bundle)["inclusion"])
    assert done.returncode == 1
    assert done.stdout.count("NOT IN THE LOG") == 1
    assert run(bundle, blocks(bundle)["list"]).returncode == 1


def test_the_program_for_inclusion_agrees_with_the_verifier_on_every_size(station: Station, tmp_path: Path) -> None:
    (tmp_path / "inclusion.sh").write_text(_page("inclusion.sh"))
    size = 6
    note = station.note(size)
    for seq in range(size):
        (tmp_path / "entry").write_bytes(station.entry_bytes(seq))
        proof = format_proof(seq, station.inclusion_proof(seq, size), note)
        (tmp_path / "proof").write_bytes(proof)
        assert run(tmp_path, "sh inclusion.sh entry proof").returncode == 0
        (tmp_path / "proof").write_bytes(proof.replace(f"index {seq}".encode(), f"index {seq ^ 1}".encode()))
        assert run(tmp_path, "sh inclusion.sh entry proof").returncode != 0


def test_a_dropped_entry_is_missing_from_the_list(bundle: Path) -> None:
    path = next(path for path in bundle.glob("data/custody/*/*/*.json") if b'"type":"undocking"' in path.read_bytes())
    digest = sha256_hex(path.read_bytes())
    path.unlink()
    done = run(bundle, blocks(bundle)["list"])
    assert done.returncode == 1
    assert f"< {digest}" in done.stdout


def test_an_altered_derivative_is_not_in_the_ledger(video: SegmentId, bundle: Path) -> None:
    (bundle / "data/derivatives" / video / "poster.jpg").write_bytes(b"!")
    assert run(bundle, blocks(bundle)["derivatives"]).returncode == 1


def test_another_key_has_not_signed(station: Station, bundle: Path) -> None:
    (checkpoint,) = bundle.glob("data/logs/*/*/*/checkpoint")
    checkpoint.write_bytes(station.note(len(station.entries), key=Ed25519PrivateKey.generate()))
    done = run(bundle, blocks(bundle)["signature"])
    assert done.returncode != 0
    assert "Verified Successfully" not in done.stdout


def test_another_root_does_not_vouch_for_the_station(station: Station, bundle: Path, tmp_path: Path) -> None:
    _, other = make_root(station.name, START, START.replace(year=2040))
    (tmp_path / "other.pem").write_bytes(to_pem([other]))
    done = run(bundle, blocks(bundle)["identity"], ROOT=str(tmp_path / "other.pem"))
    assert done.returncode == 1


@pytest.fixture(scope="module")
def stamped_bundle(tmp_path_factory: pytest.TempPathFactory) -> Anchored:
    folder = tmp_path_factory.mktemp("stamped")
    return anchored(folder, made_authority(folder / "authority", intermediates=1))


def laid_out(made: Anchored, forgery: Forgery, folder: Path) -> Path:
    for path, data in forgery.files.items():
        (folder / "bundle" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "bundle" / path).write_bytes(data)
    (folder / "trust").mkdir()
    (folder / "trust/root.pem").write_bytes(made.station.root_pem())
    (folder / "trust/tsa.pem").write_bytes(made.authority.root_pem)
    return folder / "bundle"


def test_tokens_are_shown_with_their_times(stamped_bundle: Anchored, tmp_path: Path) -> None:
    made = stamped_bundle
    bundle = made.bundle.copy()
    token = made.token(made.sealed)
    for number, stamped_by in ((1, token), (2, token.replace(".tsr", ".1.tsr"))):
        renewal = stamped(made.authority, bundle.files[stamped_by], SEALED.replace(day=22 + number))
        bundle.add(token.replace(".tsr", f".{number}.tsr"), renewal)
    folder = laid_out(made, bundle, tmp_path)
    done = run(folder, blocks(folder)["tokens"])
    assert (done.returncode, done.stderr) == (0, "")
    log = made.logs.removeprefix("data/logs/")
    assert set(done.stdout.splitlines()) == {
        f"OK: {log}/{made.first}/checkpoint existed on 2026-11-21T09:00:00Z",
        f"OK: {log}/{made.sealed}/checkpoint existed on 2026-11-21T10:00:00Z",
        f"OK: {log}/{made.sealed}/tsa.tsr existed on 2026-11-23T10:00:00Z",
        f"OK: {log}/{made.sealed}/tsa.1.tsr existed on 2026-11-24T10:00:00Z",
        f"OK: {log}/{made.exported}/checkpoint existed on 2026-11-21T11:00:00Z",
    }


def test_tokens_that_are_wrong_are_not_shown(stamped_bundle: Anchored, tmp_path: Path) -> None:
    made = stamped_bundle
    other = made_authority(tmp_path / "other", name="Other")
    wrong = {
        "another": made.bundle.files[made.token(made.first)],
        "garbage": b"x",
        "nobody": stamped(other, made.note(made.sealed), SEALED),
        "use": made.stamp(made.sealed, SEALED, "wrong-use"),
    }
    bundle = made.bundle.copy()
    for name, data in wrong.items():
        bundle.add(made.token(made.sealed, name), data)
    folder = laid_out(made, bundle, tmp_path)
    done = run(folder, blocks(folder)["tokens"])
    assert done.returncode == 1
    refused = [line for line in done.stdout.splitlines() if line.startswith("NOT SHOWN")]
    assert [line.rpartition("/")[2] for line in refused] == [f"{name}.tsr" for name in sorted(wrong)]
    assert done.stdout.count("OK: ") == 3
