"""A recorder with side files: position tracks, a log a day, and who it is in `DEVICE.INI`.

`VIDEO/20261121/083000_00001L.MP4` (L: locked by the officer as important) with
`GPS/20261121/083000_00001.NMEA` and `LOG/20261121.LOG`, of which the last line says when it was connected.
"""

import os
import random
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hwsim.cards import CardFile, Written
from hwsim.layouts.layout import Shot, Worn
from hwsim.layouts.nmea import track
from hwsim.video import Format


class Sidecar:
    """The layout `sidecar`."""

    name = "sidecar"
    extras: tuple[Format, ...] = ()

    def format(self, index: int) -> Format:
        """Everything is H.264 in MP4."""
        del index
        return Format.MP4

    def path(self, worn: Worn, shot: Shot) -> bytes:
        """Give the path of `shot`."""
        del worn
        mark = "L" if shot.important else ""
        return f"VIDEO/{_stem(shot)}{mark}{shot.format.suffix}".encode()

    def beside(self, worn: Worn, shots: tuple[Shot, ...], seed: int) -> tuple[CardFile, ...]:
        """Give `DEVICE.INI`, a track for each video and a log for each day."""
        rng = random.Random(seed)
        files = [
            CardFile(
                path=f"GPS/{_stem(shot)}.NMEA".encode(),
                content=Written(data=track(shot.began, shot.seconds, rng)),
                modified=shot.ended,
            )
            for shot in shots
        ]
        days: dict[str, list[Shot]] = {}
        for shot in shots:
            days.setdefault(f"{shot.began:%Y%m%d}", []).append(shot)
        files += [
            CardFile(
                path=f"LOG/{day}.LOG".encode(),
                content=Written(data=_log(worn, of_day)),
                modified=of_day[-1].ended,
            )
            for day, of_day in days.items()
        ]
        if shots:
            ini = CardFile(path=b"DEVICE.INI", content=Written(data=_ini(worn)), modified=shots[0].began)
            files.insert(0, ini)
        return tuple(files)


def connect(card: Path, moment: datetime) -> bool:
    """Have the recorder of a card write what it writes when it is connected: a last line into its log of the day.

    `moment` is what its clock shows then, aware. Says whether it is a recorder of this kind.
    """
    try:
        zone = re.search(r"^zone=(\S+)$", (card / "DEVICE.INI").read_text("ascii", "replace"), re.MULTILINE)
    except FileNotFoundError:
        return False
    here = moment.astimezone(ZoneInfo(zone[1]) if zone else UTC)
    log = card / f"LOG/{here:%Y%m%d}.LOG"
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as file:
        file.write(f"{_line(here, 'USB CONNECTED')}\r\n".encode())
    os.utime(log, (int(here.timestamp()),) * 2)
    return True


def _stem(shot: Shot) -> str:
    return f"{shot.began:%Y%m%d}/{shot.began:%H%M%S}_{shot.number:05}"


def _ini(worn: Worn) -> bytes:
    lines = ["[device]", f"serial={worn.device}", f"officer={worn.officer}", f"zone={worn.zone.key}"]
    lines += ["firmware=2.4.1", "resolution=640x360", ""]
    return "\r\n".join(lines).encode()


def _log(worn: Worn, shots: list[Shot]) -> bytes:
    lines = [f"{shots[0].began:%Y-%m-%d %H:%M:%S} POWER ON {worn.device} BATTERY 98%"]
    for shot in shots:
        lines.append(_line(shot.began, f"RECORD {shot.number:05} START"))
        if shot.important:
            lines.append(_line(shot.ended, f"RECORD {shot.number:05} LOCKED"))
        lines.append(_line(shot.ended, f"RECORD {shot.number:05} STOP"))
    return ("\r\n".join(lines) + "\r\n").encode()


def _line(moment: datetime, text: str) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} {text}"
