"""Where the long-running commands log to: the journal with fields of its own, or standard error.

The journal is taken if standard error is connected to it (systemd.exec(5), `$JOURNAL_STREAM`).
"""

import logging
import os
import re
import socket
import sys
from pathlib import Path
from typing import Final

JOURNAL: Final = Path("/run/systemd/journal/socket")

_LEVELS: Final = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
"""Priorities of syslog(3)."""
_IN_BAY: Final = re.compile(r"(?:bay|seal) (\S+)")
"""Names of the threads that serve one bay."""
_MOST_BYTES: Final = 32_768
"""Of a message; a datagram holds more."""


class JournalHandler(logging.Handler):
    """Logs by the journal's own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), which keeps fields and whole traces.

    Fields besides the usual ones: LOGGER, THREAD, and EDGED_BAY for what happens in a bay. What the journal does not
    take goes to standard error, line by line behind its priority (sd-daemon(3)).
    """

    def __init__(self, path: Path = JOURNAL, *, identifier: str = "edged") -> None:
        super().__init__()
        self._path, self._identifier = str(path), identifier
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record."""
        text = self.format(record)
        fields = {
            "MESSAGE": text,
            "PRIORITY": str(_priority(record)),
            "SYSLOG_IDENTIFIER": self._identifier,
            "LOGGER": record.name,
            "THREAD": record.threadName or "",
        }
        if found := _IN_BAY.fullmatch(fields["THREAD"]):
            fields["EDGED_BAY"] = found[1]
        try:
            self._socket.sendto(b"".join(_field(name, value) for name, value in fields.items()), self._path)
        except OSError:
            print(in_lines(record, text), file=sys.stderr)  # noqa: T201 - where logs go

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        super().close()


def in_lines(record: logging.LogRecord, text: str) -> str:
    """Give each line of a record behind its priority."""
    return "\n".join(f"<{_priority(record)}>{line}" for line in text.split("\n"))


def log_to_stderr(*, verbose: bool, identifier: str = "edged") -> None:
    """Log what happens, or more, under a name; libraries only say what went wrong."""
    handler: logging.Handler
    if _stderr_is_journal():
        handler = JournalHandler(identifier=identifier)
        handler.setFormatter(logging.Formatter("%(threadName)s: %(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(threadName)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    for chatty in ("botocore", "boto3", "urllib3", "watchdog", "s3transfer"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _stderr_is_journal() -> bool:
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _priority(record: logging.LogRecord) -> int:
    return _LEVELS.get(record.levelname, 6)


def _field(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")[:_MOST_BYTES]
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
