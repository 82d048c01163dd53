"""Torture with recorders as USB disks: daemon and mounter are killed, a recorder is pulled out and comes back."""

from pathlib import Path

import pytest

from hwsim.faults.card_faults import Faults
from hwsim.faults.disk import missing
from hwsim.torture.plan import Act, Deed, Means, Plan, PlannedCard, PlannedFile
from hwsim.torture.round import run_round
from hwsim.torture.store import Store

MIB = 1 << 20


@pytest.mark.timeout(600)
def test_killed_mounter_killed_daemon_and_a_power_cut_lose_nothing(folder: Path) -> None:
    if lacks := missing():
        pytest.skip(lacks)
    files = tuple(
        PlannedFile(path=f"DCIM/100MEDIA/VID_20260105_0800{at:02}_{at:04}.MP4", size=size, seed=f"ports {at}")
        for at, size in enumerate((2 * MIB, 0, 9 * MIB, 30_000), 1)
    )
    name = "CAM-07"
    acts = (
        Act(deed=Deed.DOCK, entries=0, card=name),
        Act(deed=Deed.MOUNTER_KILL, entries=2),
        Act(deed=Deed.KILL, entries=2),
        Act(deed=Deed.YANK, entries=2, card=name, seconds=0.2),
        Act(deed=Deed.POWER_CUT, entries=2, count=40, way="some"),
    )
    means = Means(disk=True, clock=False, kernel=True)
    card = PlannedCard(name=name, files=files, faults=Faults())
    with Store(folder / "store") as store:
        outcome = run_round(Plan(seed=1, means=means, cards=(card,), acts=acts), folder / "round", store)
    assert outcome.complaints == ()
    assert outcome.entries > len(files)
    assert str(folder) not in Path("/proc/self/mounts").read_text("utf-8")
