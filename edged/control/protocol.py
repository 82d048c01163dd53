"""What goes over the control socket: one request and one answer, each a line of JSON.

{"do": "status"}                                       ─▶  {"ok": {…}}
{"do": "export", "selection": {…}, "purpose": {…}}      ─▶  {"error": {"message", "hint", "exit_code"}}
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from edged.errors import EdgedError, MalformedError

MAX_REQUEST_BYTES: Final = 65_536


@dataclass(frozen=True, kw_only=True)
class Request:
    """Something that is asked of the daemon."""

    do: str
    arguments: dict[str, Any]


class RemoteError(EdgedError):
    """The daemon answered with an error; message, hint and exit code are its own."""

    def __init__(self, message: str, *, hint: str, exit_code: int) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def write_request(request: Request) -> bytes:
    """Give the line of a request."""
    return json.dumps({"do": request.do, **request.arguments}).encode() + b"\n"


def read_request(line: bytes) -> Request:
    """Read the line of a request; raises MalformedError."""
    plain = _read(line)
    do = plain.pop("do", None)
    if not isinstance(do, str):
        raise MalformedError("A request names what to do.")
    return Request(do=do, arguments=plain)


def write_answer(result: object) -> bytes:
    """Give the line of an answer."""
    return json.dumps({"ok": result}).encode() + b"\n"


def write_error(error: EdgedError) -> bytes:
    """Give the line of a refusal."""
    plain = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    return json.dumps({"error": plain}).encode() + b"\n"


def read_answer(line: bytes) -> Any:  # noqa: ANN401 - what the request asked for
    """Read the line of an answer; raises RemoteError for a refusal, MalformedError for nonsense."""
    plain = _read(line)
    if "ok" in plain:
        return plain["ok"]
    error = plain.get("error")
    if not isinstance(error, dict):
        raise MalformedError("The daemon's answer cannot be understood.")
    code = error.get("exit_code")
    raise RemoteError(
        str(error.get("message", "")), hint=str(error.get("hint", "")), exit_code=code if isinstance(code, int) else 70
    )


def _read(line: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedError("A line on the control socket is not JSON.") from error
    if not isinstance(plain, dict):
        raise MalformedError("A line on the control socket is not a JSON object.")
    return plain
