"""`edged bays --follow`: one line for each change of a bay, for LEDs and screens."""

import json
import threading
from pathlib import Path
from typing import Any, Final, NoReturn

from edged.cli.output import amount, put_now
from edged.control.client import ask

_REST_SECONDS: Final = 0.25
"""Between two questions: not more than a few changes a second are told."""
_IDLE_SECONDS: Final = 10
_BUSY_SECONDS: Final = 1
"""While something moves: that it stands still shows by itself, without a change."""


def follow(socket: Path, *, as_json: bool) -> NoReturn:
    """Print the bays as they are, and then every change; raises UnavailableError when the daemon ends."""
    seen, shown, rest = -1, dict[str, dict[str, Any]](), threading.Event()
    while True:
        busy = any(bay["lamp"] == "busy" for bay in shown.values())
        answer = ask(socket, "watch", seen=seen, wait=_BUSY_SECONDS if busy else _IDLE_SECONDS)
        seen, bays = answer["seen"], {bay["bay"]: bay for bay in answer["bays"]}
        for name in sorted(shown.keys() | bays.keys()):
            bay = bays.get(name, {"bay": name, "lamp": "empty"})
            if shown.get(name) != bay:
                put_now(_json(bay) if as_json else line(bay))
            shown[name] = bay
        rest.wait(_REST_SECONDS)


def line(bay: dict[str, Any]) -> str:
    """Write a bay as one line: its name, its lamp, and then what a person may read."""
    if "phase" not in bay:
        return f"{bay['bay']} {bay['lamp']}"
    told = [f"{bay['bay']} {bay['lamp']} {bay['phase']} {bay['recorder'] or '?'}"]
    told.append(f"{bay['files_done']}/{bay['files']} files")
    told.append(f"{amount(bay['bytes_done'])} of {amount(bay['bytes'])}")
    return ", ".join([*told, *pace(bay)])


def pace(bay: dict[str, Any]) -> list[str]:
    """Write rate and remaining time of a bay, as far as they are known."""
    told = [f"{amount(bay['bytes_per_second'])}/s"] if bay["bytes_per_second"] else []
    return told if bay["seconds_left"] is None else [*told, f"{duration(bay['seconds_left'])} left"]


def duration(seconds: int) -> str:
    """Write a duration as people read it: `55 s`, `12 min`, `2 h 05 min`."""
    minutes = -(-seconds // 60)
    if seconds < 100:  # noqa: PLR2004 - more is read in minutes
        return f"{seconds} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"  # noqa: PLR2004


def _json(bay: dict[str, Any]) -> str:
    return json.dumps(bay, ensure_ascii=False)
