"""The unmodified daemon tells lamps and screens of every change, and gives the officer a receipt that holds."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

from edged.control.client import ask
from edged.errors import UnavailableError
from edged.stores.directory import DirectorySettings
from tests.crash.conftest import MakeStation
from tests.crash.station import BIN, Station, clip_path, environment, until

RECORDER = "BC00001"


def told(text: str, bay: str) -> list[str]:
    """Give the lamps of a bay in the order they were told, without those that follow themselves."""
    lamps = [state["lamp"] for state in map(json.loads, text.splitlines()) if state.get("bay") == bay]
    return [lamp for number, lamp in enumerate(lamps) if number == 0 or lamps[number - 1] != lamp]


def asked(station: Station, bay: str) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = ask(station.state / "control.sock", "receipt", bay=bay)
    except UnavailableError:
        return None
    return answer if answer["code"] else None


def test_lamp_follows_a_docking_and_the_receipt_of_it_holds(
    make_station: MakeStation, new_share: Callable[[], DirectorySettings]
) -> None:
    share = new_share()
    station = make_station()
    station.configure(store={"kind": "directory", "id": str(share.id), "folder": share.folder})
    lines = station.folder / "lines"
    station.start()
    with lines.open("wb") as output:
        follower = subprocess.Popen(
            [str(BIN / "edged"), "bays", "--follow", "--json", "--config", str(station.config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        try:
            bay = station.dock(station.card(RECORDER, {clip_path(n): bytes([n]) * 300_000 for n in range(1, 4)}))
            station.until_phase(bay, "done")
            until(lambda: told(lines.read_text("utf-8"), bay.name)[-1:] == ["free"], "the lamp is free")
            receipt = until(lambda: asked(station, bay.name), "the end of the docking is published")
            station.pull(bay)
            until(lambda: told(lines.read_text("utf-8"), bay.name)[-1:] == ["empty"], "the lamp is out")
            station.stop()
            assert follower.wait(60) == 69
        finally:
            follower.kill()
            follower.wait()
    # A docking may be over before the first question.
    assert told(lines.read_text("utf-8"), bay.name) in (["busy", "free", "empty"], ["free", "empty"])
    assert json.loads(lines.read_text("utf-8").splitlines()[-1])["error"]["exit_code"] == 69
    assert (receipt["files"], receipt["sealed"], receipt["wiped"], receipt["left"]) == (3, 3, 3, 0)
    assert receipt["recorder"] == RECORDER
    (undocking,) = station.entries("undocking")
    assert receipt["entry"]["seq"] == undocking["seq"]
    for target in (station.config, share.folder):
        said = station.run("receipt", "--check", receipt["code"], "--against", str(target), "--json")
        assert (said.returncode, json.loads(said.stdout)["verdict"]) == (0, "verified"), said.stderr
