"""A daemon that dies at each step by which an original leaves the vault: it goes by its entries, or not at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from edged.book.ledger import Ledger
from edged.config import read_station
from edged.evidence.bodies import Retire
from edged.evidence.entry import parse
from edged.station.assembly import StateLock, build
from edged.station.daemon import Daemon
from edged.stores.s3 import S3Settings
from tests.crash import mortal
from tests.crash.conftest import MakeStation
from tests.crash.mortal import Life, Moment
from tests.crash.station import Station, clip_path
from tests.unit.retiring_station import Shifted

RECORDER: Final = "BC00001"
FILES: Final = {clip_path(n): b"recording %d" % n for n in range(1, 4)}

STEPS: Final = (
    Moment(of="retire: commit"),
    Moment(of="retire: remove", nth=2),
    Moment(of="retire: remove", then="retire: sync folder"),
    Moment(of="retire: sync folder", then="retire: commit"),
)
"""Before the order; before a file is removed; after it was, before that is durable; before it is written down."""


def live(life: Life, process: Callable[[Life], None]) -> bool:
    """Live a life as `Life.live` does, of another kind."""
    child = mortal._LIVES.Process(target=process, args=(life,))
    child.start()
    child.join(mortal._LIFE_SECONDS)
    code = child.exitcode
    child.kill()
    assert code in {0, mortal.DIED}, code
    return code == 0


def in_ten_days(life: Life) -> None:
    """Run the daemon ten days from now, until all that is old was retired."""
    death = mortal.Death(life)
    station = read_station(life.config)
    mortal._watch(death, station.bays.folder or station.paths.state)
    lock = StateLock(station.paths.state)
    parts = build(life.config, Shifted(), disk=mortal.MortalDisk(death))
    assert parts.store is not None
    daemon = Daemon(replace(parts, store=mortal.MortalStore(parts.store, death)))
    wake = parts.pulse.subscribe()
    daemon.start()
    while len(of_phase(parts.book.ledger, "done")) < len(FILES):
        wake.wait(1)
        wake.clear()
    daemon.stop()
    lock.release()


def of_phase(ledger: Ledger, phase: str) -> set[str]:
    found = [parse(ledger.bytes_at(position)).body for position in ledger.positions_of_type("retire")]
    return {body.segment for body in found if isinstance(body, Retire) and body.model_extra == {"phase": phase}}


@pytest.mark.parametrize("dies", STEPS, ids=lambda moment: moment.then or moment.of)
@pytest.mark.parametrize("how", ["kill", "power-cut"])
def test_a_station_that_dies_while_it_retires_ends_as_one_that_does_not(
    make_station: MakeStation,
    new_bucket: Callable[[], S3Settings],
    tmp_path: Path,
    dies: Moment,
    how: mortal.How,
) -> None:
    station = make_station(store=new_bucket())
    bay = station.dock(station.card(RECORDER, FILES))
    with station.running():
        station.until_phase(bay, "done")
    station.pull(bay)
    station.configure(paths={"retire_after_days": 7})
    life = Life(config=station.config, trace=tmp_path / "trace", dies=dies, how=how)
    assert not live(life, in_ten_days)
    assert mortal.check(station.config) == []
    gone = {name for name in sealed_by(station) if name not in station.originals()}
    ordered = {body["segment"] for body in station.bodies("retire") if body["phase"] == "ordered"}
    assert gone <= ordered, "nothing went that was not ordered"
    assert live(replace(life, dies=None), in_ten_days)
    assert mortal.check(station.config) == []
    assert station.originals() == {}
    assert len(list((station.vault / "segments").rglob("chunks.sha256"))) == len(FILES)
    phases = [(body["segment"], body["phase"]) for body in station.bodies("retire")]
    assert sorted(phases) == sorted((name, phase) for name in sealed_by(station) for phase in ("ordered", "done"))


def sealed_by(station: Station) -> set[str]:
    return {body["segment"] for body in station.bodies("segment")}
