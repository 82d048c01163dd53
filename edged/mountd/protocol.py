"""What goes over the mounter's socket: one line of JSON each way, over a connection that is the lease of one mount.

    {"do": "mount", "device": "8:17", "medium": 42}  ─▶  {"ok": {"folder": "/run/edged/bays/8-17.42"}}
    {"do": "writable"}                               ─▶  {"ok": {}}
    {"do": "read_only"}                              ─▶  {"ok": {}}
    {"do": "forget"}                                 ─▶  {"ok": {}}, what comes next is read from the medium
    {"do": "unmount"}                                ─▶  {"ok": {}}, and the end of the connection
    anything refused                                 ─▶  {"error": {"message", "hint", "retry"}}

A mount lives as long as the connection that asked for it: when the client ends, however it ends, its mount goes. No
request bears a path, a name or an option. A device is two numbers, and `medium` is the number that the kernel gives
each disk or card once and never again (`diskseq`), so that a request cannot hit what was plugged in meanwhile.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from edged.errors import EdgedError, MalformedError, RecorderError, RefusedRecorderError

MAX_LINE_BYTES: Final = 4096

_DEVICE: Final = re.compile(r"(0|[1-9][0-9]{0,3}):(0|[1-9][0-9]{0,6})")
"""Major and minor number as the kernel writes them; at most 12 and 20 bits."""


@dataclass(frozen=True, kw_only=True)
class MountRequest:
    """Ask for the file system on a device to be mounted, read-only."""

    device: str
    """MAJOR:MINOR."""
    medium: int
    """The disk's `diskseq`."""

    @property
    def number(self) -> tuple[int, int]:
        """Give the device's number in two parts."""
        major, minor = self.device.split(":")
        return int(major), int(minor)


Change = Literal["writable", "read_only", "forget", "unmount"]
Request = MountRequest | Change


def write_request(request: Request) -> bytes:
    """Give the line of a request."""
    if isinstance(request, MountRequest):
        return _line({"do": "mount", "device": request.device, "medium": request.medium})
    return _line({"do": request})


def read_request(line: bytes) -> Request:
    """Read the line of a request; raises MalformedError for anything that is not exactly one."""
    plain = _read(line)
    match plain:
        case {"do": "mount", "device": str(device), "medium": int(medium)} if len(plain) == 3:  # noqa: PLR2004
            if _DEVICE.fullmatch(device) and type(medium) is int and 0 < medium < 1 << 63:
                return MountRequest(device=device, medium=medium)
        case {"do": "writable"} if len(plain) == 1:
            return "writable"
        case {"do": "read_only"} if len(plain) == 1:
            return "read_only"
        case {"do": "forget"} if len(plain) == 1:
            return "forget"
        case {"do": "unmount"} if len(plain) == 1:
            return "unmount"
        case _:
            pass
    raise MalformedError("A request to the mounter is none that there is.")


def write_answer(folder: Path | None = None) -> bytes:
    """Give the line of an answer, with the folder for a mount."""
    return _line({"ok": {} if folder is None else {"folder": str(folder)}})


def write_error(error: EdgedError) -> bytes:
    """Give the line of a refusal."""
    return _line({"error": {"message": error.message, "hint": error.hint, "retry": error.retry}})


def read_answer(line: bytes) -> Path | None:
    """Read the line of an answer.

    Raises RefusedRecorderError for a refusal, RecorderError for one that may pass, MalformedError for nonsense.
    """
    match _read(line):
        case {"ok": {"folder": str(folder)}}:
            return Path(folder)
        case {"ok": {}}:
            return None
        case {"error": {"message": str(message), "hint": str(hint), "retry": bool(retry)}}:
            raise (RecorderError if retry else RefusedRecorderError)(message, hint=hint)
        case _:
            raise MalformedError("The mounter's answer cannot be understood.")


def _line(plain: object) -> bytes:
    return json.dumps(plain).encode() + b"\n"


def _read(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n") or len(line) > MAX_LINE_BYTES:
        raise MalformedError("A line of the mounter's protocol is too long, or not finished.")
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedError("A line of the mounter's protocol is not JSON.") from error
    if not isinstance(plain, dict):
        raise MalformedError("A line of the mounter's protocol is not a JSON object.")
    return plain
