"""`hwsim torture`: a few rounds with fixed seeds; and every check of it finds what it is there to find."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edged.errors import StoppedError, UsageError
from hwsim.faults.card_faults import Faults, Unreadable
from hwsim.faults.control import missing
from hwsim.torture.facts import Entry, Facts, Published, walk
from hwsim.torture.plan import Act, Deed, Means, Plan, PlannedCard, PlannedFile, make_plan
from hwsim.torture.round import Round, complaints
from hwsim.torture.run import ability
from hwsim.torture.store import Store
from tests.crash.station import PATIENCE_SECONDS, until

HWSIM = (sys.executable, "-c", "from hwsim.cli import main; main()")


@pytest.fixture(autouse=True)
def _fuse() -> None:
    if lacks := missing():
        pytest.skip(lacks)


@pytest.mark.timeout(900)
def test_rounds_with_fixed_seeds_hold_and_leave_nothing_behind(tmp_path: Path) -> None:
    words = ("torture", "--rounds", "2", "--seed", "3", "--folder", str(tmp_path / "rounds"), "--json")
    done = subprocess.run([*HWSIM, *words], check=False, capture_output=True, text=True)
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["seed"] for each in rounds] == [3, 4], done.stderr
    assert [each["complaints"] for each in rounds] == [[], []]
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text("utf-8")
    assert not (tmp_path / "rounds").exists()


@pytest.mark.timeout(300)
def test_interrupted_in_the_middle_it_leaves_nothing_running_or_mounted(tmp_path: Path) -> None:
    # Deeper than the path of a socket may be.
    rounds = tmp_path / ("deep" * 25) / "rounds"
    words = ("torture", "--rounds", "1", "--seed", "4", "--folder", str(rounds))
    log = rounds / "seed-4" / "log"
    scratch = Path(tempfile.mkdtemp(prefix="torture-"))
    run = subprocess.Popen(
        [*HWSIM, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(scratch)},
    )
    try:
        until(lambda: log.exists() and "docking" in log.read_text("utf-8", "replace"), "a docking has begun")
        assert str(tmp_path) in Path("/proc/self/mounts").read_text("utf-8")
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=PATIENCE_SECONDS)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == StoppedError.exit_code, said
    assert said.startswith("hwsim: interrupted; everything that was started is stopped")
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text("utf-8")
    assert left_running(str(tmp_path)) == []
    # Nor a socket: this fails unless it is empty.
    scratch.rmdir()


@pytest.mark.timeout(600)
def test_killed_in_the_middle_what_it_leaves_ends_with_the_next_in_that_folder(tmp_path: Path) -> None:
    rounds = tmp_path / "rounds"
    words = ("torture", "--rounds", "1", "--seed", "4", "--folder", str(rounds))
    log = rounds / "seed-4" / "log"
    # Where a killed one leaves its sockets.
    scratch = Path(tempfile.mkdtemp(prefix="torture-"))
    first = subprocess.Popen(
        [*HWSIM, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(scratch)},
    )
    try:
        until(lambda: log.exists() and "docking" in log.read_text("utf-8", "replace"), "a docking has begun")
        busy = subprocess.run([*HWSIM, *words], check=False, capture_output=True, text=True)
        assert busy.returncode == UsageError.exit_code
        assert f"Another hwsim torture plays in {rounds} now" in busy.stderr
    finally:
        first.kill()
        first.wait()
        shutil.rmtree(scratch)
    assert left_running(str(tmp_path)) != []
    done = subprocess.run([*HWSIM, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text("utf-8")
    until(lambda: left_running(str(tmp_path)) == [], "nothing of either runs")


def left_running(folder: str) -> list[str]:
    """Give the command lines of processes that name a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            here = os.fspath((process / "cwd").readlink())
            if (folder in words or folder in here) and process.name != str(os.getpid()):
                found.append(words)
    return found


def test_a_seed_gives_the_same_plan_again_and_another_one_another() -> None:
    means = Means(disk=True, clock=True)
    assert make_plan(7, means) == make_plan(7, means)
    assert make_plan(7, means) != make_plan(8, means)
    told = {deed for seed in range(200) for deed in (act.deed for act in make_plan(seed, means).acts)}
    assert told == set(Deed) - {Deed.MOUNTER_KILL}
    kernel = replace(means, kernel=True)
    plans = [make_plan(seed, kernel) for seed in range(200)]
    assert {act.deed for plan in plans for act in plan.acts} == set(Deed)
    assert not any(card.faults.faults or card.links for plan in plans for card in plan.cards)
    poor = Means(disk=False, clock=False)
    told = {deed for seed in range(200) for deed in (act.deed for act in make_plan(seed, poor).acts)}
    assert not told & {Deed.POWER_CUT, Deed.FILL, Deed.CLOCK}


# ------------------------------------------------------------------------------------------ the checks themselves


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facts]:
    """What a calm round comes to: one card that is erased, and one that lies."""
    if lacks := missing():
        pytest.skip(lacks)
    folder = tmp_path_factory.mktemp("calm")
    files = tuple(
        PlannedFile(path=f"DCIM/100MEDIA/VID_20260105_0800{at:02}_{at:04}.MP4", size=30_000 * at, seed=f"calm {at}")
        for at in range(1, 4)
    )
    path = "20260105/BC00001_138001_20260105080000_0001.MP4"
    bad = PlannedFile(path=path, size=50_000, seed="bad")
    lying = Faults(faults=(Unreadable(path=path, start=10_000, end=10_001),))
    plan = Plan(
        seed=0,
        means=replace(ability(in_kernel=False).means, clock=False),
        cards=(
            PlannedCard(name="CAM-07", files=files, faults=Faults()),
            PlannedCard(name="BC00001", files=(bad,), faults=lying),
        ),
        acts=tuple(Act(deed=Deed.DOCK, entries=0, card=name) for name in ("CAM-07", "BC00001")),
    )
    with Store(folder / "store") as store, ExitStack() as held:
        (folder / "round").mkdir()
        played = Round(plan, folder / "round", store, held)
        played.play()
        yield played.facts()


def test_a_calm_round_holds(facts: Facts) -> None:
    assert complaints(facts) == []


@pytest.mark.parametrize(("said", "is_stray"), [("sg-1", False), ("sg-2", True), (None, True)])
def test_a_mark_is_no_stray_only_beside_the_original_that_it_names(
    tmp_path: Path, said: str | None, *, is_stray: bool
) -> None:
    (tmp_path / "segments/BC00001/sg-1").mkdir(parents=True)
    (tmp_path / "segments/BC00001/sg-1/a.mp4").write_bytes(b"a")
    (tmp_path / "incoming").mkdir()
    mark = "torn" if said is None else json.dumps({"where": {"segment": said}})
    (tmp_path / "incoming/0.unsealed").write_text(mark)
    assert walk(tmp_path)[1] == (("incoming/0.unsealed",) if is_stray else ())


def without(facts: Facts, unwanted: Callable[[Entry], bool]) -> Facts:
    return replace(facts, entries=tuple(each for each in facts.entries if not unwanted(each)))


def with_body(facts: Facts, kind: str, **changes: Any) -> Facts:
    """Change what the first entry of a type says."""
    first = next(facts.of(kind))
    plain = dict(first.plain) | {"body": dict(first.body) | changes}
    changed = replace(first, plain=plain)
    return replace(facts, entries=tuple(changed if each is first else each for each in facts.entries))


def with_lying(facts: Facts, **changes: Any) -> Facts:
    """Change what the entry of the lying card's file says."""
    told = next(each for each in facts.of("segment") if each.body["path"].startswith("20260105"))
    changed = replace(told, plain=dict(told.plain) | {"body": dict(told.body) | changes})
    return replace(facts, entries=tuple(changed if each is told else each for each in facts.entries))


def with_plan_file(facts: Facts, seed: str) -> Facts:
    """Have the lying card's file be another one than the card gave."""
    good, lying = facts.plan.cards
    other = replace(lying, files=(replace(lying.files[0], seed=seed),))
    return replace(facts, plan=replace(facts.plan, cards=(good, other)))


def last_of(facts: Facts, kind: str) -> Entry:
    return list(facts.of(kind))[-1]


def some(facts: Facts) -> str:
    """Give a segment that was erased from its card."""
    return str(next(facts.of("wipe")).body["segment"])


def without_original(facts: Facts) -> Facts:
    return replace(facts, originals={key: each for key, each in facts.originals.items() if key != some(facts)})


def with_original(facts: Facts, **changes: Any) -> Facts:
    changed = replace(facts.originals[some(facts)], **changes)
    return replace(facts, originals=dict(facts.originals) | {some(facts): changed})


def with_left(facts: Facts, card: str, files: dict[str, bytes]) -> Facts:
    return replace(facts, left=dict(facts.left) | {card: files})


def with_published(facts: Facts, change: Callable[[bytes], bytes]) -> Facts:
    (origin, versions), *_ = facts.published.items()
    changed = (*versions[:-1], replace(versions[-1], note=change(versions[-1].note)))
    return replace(facts, published={origin: changed})


def a_day_late(versions: tuple[Published, ...]) -> tuple[Published, ...]:
    return tuple(replace(each, at=each.at + timedelta(days=1)) for each in versions)


ATTACKS: dict[str, tuple[Callable[[Facts], Facts], str]] = {
    "an original is lost": (without_original, "INV-3: .* is not in the vault"),
    "an original is damaged": (lambda f: with_original(f, sha256="0" * 64), "INV-2: .* is not what was sealed"),
    "an original can be written": (lambda f: with_original(f, mode=0o640), "INV-2: .* mode 640"),
    "an original nobody sealed": (
        lambda f: replace(f, originals=dict(f.originals) | {"sg-0": f.originals[some(f)]}),
        "INV-3: sg-0 is in the vault",
    ),
    "a stray in the vault": (lambda f: replace(f, strays=("incoming/x.part",)), "INV-3: incoming/x.part"),
    "the store gives other bytes": (
        lambda f: replace(f, replicas=dict.fromkeys(f.replicas, "0" * 64)),
        "INV-1: the store gives other bytes",
    ),
    "a copy is missing": (lambda f: without(f, lambda e: e is last_of(f, "replica")), "INV-10: .* has no copy"),
    "a file of a lying card is erased": (lambda f: with_left(f, "BC00001", {}), "INV-1: .* cannot be trusted"),
    "a file is changed on its card": (
        lambda f: with_left(f, "BC00001", dict.fromkeys(f.left["BC00001"], b"changed")),
        "INV-1: .* was changed on the card",
    ),
    "a good card keeps a file": (
        lambda f: with_left(f, "CAM-07", {each.path: each.content for each in f.plan.cards[0].files[:1]}),
        "INV-10: .* was left on a card",
    ),
    "nothing says what was erased": (
        lambda f: without(f, lambda e: e.type == "wipe"),
        "INV-3: .* is gone, and no wipe says so",
    ),
    "nothing was cleared": (lambda f: without(f, lambda e: e.type == "clearance"), "INV-3: wipe .* not cleared before"),
    "a clearance without a copy elsewhere": (
        lambda f: with_body(f, "clearance", proofs=[e.ref for e in f.of("replica") if e.body["store"] == "vault"]),
        r"INV-1: .* with copies in \['vault'\] only",
    ),
    "a clearance before anything was published": (
        lambda f: replace(f, published={origin: a_day_late(versions) for origin, versions in f.published.items()}),
        "INV-1: clearance .* before its proofs were published",
    ),
    "a segment is sealed twice": (
        lambda f: replace(f, entries=(*f.entries, last_of(f, "segment"))),
        "INV-4: segment .* was said 2 times",
    ),
    "an entry is taken out": (lambda f: without(f, lambda e: e.position == 5), "INV-4: entry 6 does not follow"),
    "an entry is rewritten": (
        lambda f: replace(f, entries=(*f.entries[:-1], replace(f.entries[-1], raw=b"{}"))),
        "INV-4: entry .* does not hash",
    ),
    "another ledger was published": (
        lambda f: replace(f, entries=tuple(replace(e, raw=e.raw + b" ") for e in f.entries)),
        "INV-4: the checkpoint over .* is of another ledger",
    ),
    "a checkpoint with a forged signature": (
        lambda f: with_published(f, lambda note: note[:-12] + b"AAAAAAAAAA=\n"),
        "INV-4: .* not signed by the key",
    ),
    "more was published than there is": (
        lambda f: replace(f, entries=f.entries[:-1]),
        "INV-4: a checkpoint over .* was published; there are",
    ),
    "somebody disposed of evidence": (
        lambda f: replace(
            f,
            entries=(
                *f.entries,
                replace(
                    f.entries[-1], plain=dict(f.entries[-1].plain) | {"type": "disposal", "body": {"segment": "sg-1"}}
                ),
            ),
        ),
        "INV-5: .* disposes of sg-1",
    ),
    "somebody acted": (
        lambda f: replace(
            f, entries=(*f.entries[:-1], replace(f.entries[-1], plain=dict(f.entries[-1].plain) | {"actor": "user:x"}))
        ),
        "INV-9: .* is by user:x",
    ),
    "an inventory is lost": (lambda f: replace(f, documents={}), "INV-7: the inventory of .* is not there"),
    "a file is not accounted for": (
        lambda f: without(f, lambda e: e is next(f.of("segment"))),
        "INV-7: .* is neither sealed nor sighted",
    ),
    "a link is followed": (
        lambda f: with_body(f, "segment", path="LINK.MP4"),
        "INV-8: .*: LINK.MP4 was taken",
    ),
    "a bad file is sealed as if it were good": (
        lambda f: with_lying(f, quarantine=None),
        "INV-1: BC00001: .* as if it could be trusted",
    ),
    "the findings name other bytes": (
        lambda f: with_lying(
            f, quarantine={"code": "partly-unreadable", "unreadable": [[0, 4096]], "second_sha256": None}
        ),
        r"INV-7: BC00001: .* does not say that \[8192, 12288\) could not be read",
    ),
    "readable bytes of a bad file are not kept": (
        lambda f: with_plan_file(f, "other bytes"),
        "INV-1: BC00001: .* other bytes than the card gave",
    ),
    "bad spots are not told of": (
        lambda f: without(
            f, lambda e: e.type == "anomaly" or (e.type == "segment" and e.body["quarantine"] is not None)
        ),
        "INV-7: BC00001: nothing says that",
    ),
    "a docking never ends": (
        lambda f: without(f, lambda e: e.type == "undocking"),
        "INV-10: docking .* never ended",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_checks_find(facts: Facts, attack: str) -> None:
    change, expected = ATTACKS[attack]
    found = complaints(change(facts))
    assert any(re.search(expected, each) for each in found), found
