"""A command's end of the control socket."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from edged.control.protocol import Request, read_answer, write_request
from edged.errors import UnavailableError

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 120.0


def ask(
    path: Path,
    do: str,
    *,
    handing: Sequence[int] = (),
    patience_seconds: float | None = _ANSWER_SECONDS,
    **arguments: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401 - JSON values both ways
    """Ask the daemon behind a socket, handing over descriptors with it; None as patience waits for ever.

    Raises UnavailableError if none answers, RemoteError if it refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise UnavailableError(
                f"No daemon answers at {path}: {error.strerror or error}.",
                hint="Start it with `systemctl start edged` or `edged run`; those in its group, and root, may ask it.",
            ) from error
        connection.settimeout(patience_seconds)
        try:
            line = write_request(Request(do=do, arguments=arguments))
            sent = socket.send_fds(connection, [line], list(handing))
            if rest := line[sent:]:
                connection.sendall(rest)
            with connection.makefile("rb") as answers:
                line = answers.readline()
        except OSError as error:
            raise UnavailableError(f"The daemon did not answer: {error.strerror or error}.") from error
    if not line:
        raise UnavailableError("The daemon ended before it answered.", hint="See its log.")
    return read_answer(line)
