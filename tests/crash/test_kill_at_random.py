"""INV-10: `kill -9` of the unmodified daemon at ten random moments of one docking ends in the same result.

The moments are spread over the whole docking: the undisturbed run says how many entries it takes, each of ten equal
spans of them has one moment, and a random delay lets it fall within whatever is under way then. Where they fell is
printed. `EDGED_KILL_SEED=n` chooses others.
"""

import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from edged.evidence.ids import escape_path
from edged.stores.s3 import S3Settings, S3Store
from hwsim.quick import QuickCamera
from hwsim.video import Format
from tests.crash.conftest import MakeStation
from tests.crash.published import the_ledger_is_one
from tests.crash.station import Station, clip_path, sg, until

SEED: Final = int(os.environ.get("EDGED_KILL_SEED", "0"))
KILLS: Final = 10
CLIPS: Final = 4
RECORDER: Final = "BC00001"
MEDIA: Final[dict[str, Any]] = {"derivatives": ["poster", "proxy"]}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, bytes]:
    """A day's recordings: real clips, small files, three of several parts, an empty one, and one twice."""
    rng = random.Random(SEED)
    clip = QuickCamera(tmp_path_factory.mktemp("clips")).clip(Format.MP4).read_bytes()
    files = {clip_path(n, important=n == 3): clip + _free_box(rng.randbytes(n)) for n in range(1, CLIPS + 1)}
    files |= {clip_path(n): rng.randbytes(rng.randrange(1, 200_000)) for n in range(CLIPS + 1, 41)}
    files |= {clip_path(n): rng.randbytes(rng.randrange(10 << 20, 20 << 20)) for n in range(41, 44)}
    return files | {clip_path(44): b"", b"COPY/same again.MP4": files[clip_path(5)]}


@pytest.mark.timeout(600)
def test_ten_kills_at_random_moments_end_in_the_same_result(
    day: dict[bytes, bytes], make_station: MakeStation, new_bucket: Callable[[], S3Settings]
) -> None:
    calm = make_station(store=new_bucket(), media=MEDIA)
    with calm.running():
        calm.until_phase(calm.dock(calm.card(RECORDER, day)), "done", "kept", "refused")
        until(lambda: settled(calm), "derivatives are made and uploaded, all is published")
    expected = calm.result()
    length = last_of_docking(calm)

    tried = make_station(store=new_bucket(), media=MEDIA)
    bay = tried.dock(tried.card(RECORDER, day))
    rng = random.Random(SEED)
    phases = [kill_in_span(tried, rng, span, length) for span in range(KILLS)]
    print(f"seed {SEED}: killed while {phases}")  # noqa: T201 - what to repeat a failure with
    assert {"copying", "wiping"} <= set(phases)
    assert "ended" not in phases[:-1]
    with tried.running():
        tried.until_phase(bay, "done", "kept", "refused")
        until(lambda: settled(tried), "derivatives are made and uploaded, all is published")

    assert not list(bay.iterdir())
    # An empty recorder that is found in its bay at a start is docked once more, if the last kill came too late.
    assert len([body for body in tried.bodies("docking") if body["files"]]) == 1
    assert replace(tried.result(), ended=tried.result().ended[:1]) == expected
    assert expected.ended == (("cleared", 0),)
    assert {path for path, _, _ in expected.wiped} == {escape_path(path) for path in day}
    for station in (calm, tried):
        station.holds(RECORDER, day)
        assert the_ledger_is_one(station) == station.size()
        nothing_is_doubled(station)
        station.is_whole()
        replicas_are_what_was_sealed(station, day)


def kill_in_span(station: Station, rng: random.Random, span: int, length: int) -> str:
    """Start the daemon, let it write some entries more, and kill it; gives what it was doing."""
    entries = int((span + rng.random()) / KILLS * length)
    station.start()
    until(lambda: steps(station) > entries, f"{entries} entries", otherwise=lambda: station.log)
    # While files are copied and uploaded there is much between two entries, while they are erased there is little.
    threading.Event().wait(rng.random() * (0.15 if span < KILLS * 3 // 4 else 0.01))
    station.kill()
    if station.bodies("undocking"):
        return "ended"
    if station.bodies("clearance"):
        return "wiping"
    found = {body["path"] for body in station.bodies("segment", "sighting")}
    return "securing" if len(found) == station.bodies("docking")[0]["files"] else "copying"


def last_of_docking(station: Station) -> int:
    """Give how many entries there were when the docking had ended, but for those about derivatives, which may wait."""
    types = [entry["type"] for entry in station.entries()]
    return sum(each != "derivative" for each in types[: types.index("undocking")])


def steps(station: Station) -> int:
    """Give how many such entries there are now."""
    return station.size() - station.size("derivative")


def settled(station: Station) -> bool:
    """Say whether nothing is left to be done for what was taken in."""
    status = station.status()
    made = Counter(body["kind"] for body in station.bodies("derivative"))
    return status["ledger"]["size"] == status["ledger"]["published"] and made == {"poster": CLIPS, "proxy": CLIPS}


def nothing_is_doubled(station: Station) -> None:
    """Fail if anything that is said once was said twice."""
    for kind, keys in {
        "docking": ("docking",),
        "undocking": ("docking",),
        "segment": ("segment",),
        "sighting": ("path",),
        "replica": ("segment", "store"),
        "classification": ("segment",),
        "derivative": ("segment", "kind"),
        "wipe": ("path",),
    }.items():
        said = Counter(tuple(body[key] for key in keys) for body in station.bodies(kind))
        assert not [each for each, times in said.items() if times > 1], kind
    # What the card itself has out of order, once: an empty file, and one that lies there twice.
    assert sorted(body["kind"] for body in station.bodies("anomaly")) == ["recording-incomplete", "same-file-again"]


def replicas_are_what_was_sealed(station: Station, files: dict[bytes, bytes]) -> None:
    """Read each replica back by its version: it is the original, and locked."""
    assert station.store is not None
    contents = {sg(RECORDER, content): content for content in files.values()}
    store = S3Store(station.store)
    try:
        copies = [body for body in station.bodies("replica") if body["store"] != "vault"]
        assert {body["segment"] for body in copies} == set(contents)
        for body in copies:
            assert b"".join(store.read(body["key"], body["version"])) == contents[body["segment"]]
            assert store.stat(body["key"], body["version"]).lock_mode == "COMPLIANCE"
    finally:
        store.close()


def _free_box(payload: bytes) -> bytes:
    """Make a clip unlike the others (ISO/IEC 14496-12, 8.1.2)."""
    return (len(payload) + 8).to_bytes(4) + b"free" + payload
