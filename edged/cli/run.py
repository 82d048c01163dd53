"""`edged run`: the daemon."""

import logging
import os
import signal
import sys
from typing import Annotated

import typer

from edged.cli.output import DEFAULT_CONFIG, ConfigOption
from edged.clock import SystemClock
from edged.config import read_station
from edged.station.assembly import StateLock, build
from edged.station.daemon import Daemon
from edged.station.serving import serve

_LEVELS = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
"""Priorities of syslog(3), which journald reads from the start of a line (sd-daemon(3))."""


class _JournalFormatter(logging.Formatter):
    """Lines for journald: the priority first; time and process are the journal's own."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).split("\n")
        return "\n".join(f"<{_LEVELS.get(record.levelname, 6)}>{line}" for line in lines)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    config: ConfigOption = DEFAULT_CONFIG,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
) -> None:
    """Run the station until it is told to stop (SIGTERM or Ctrl-C)."""
    os.umask(0o027)
    _log_to_stderr(verbose=verbose)
    # A pipe that the interpreter itself writes to: a handler in Python waits for the main thread, which may be on the
    # point of blocking; and an `Event` could be locked by the very wait that the handler interrupts.
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    station = read_station(config)
    lock = StateLock(station.paths.state)
    try:
        parts = build(config.absolute(), SystemClock())
        daemon = Daemon(parts)
        server = serve(parts)
        daemon.start()
        server.start()
        os.read(told, 1)
        server.stop()
        daemon.stop()
    finally:
        lock.release()


def _log_to_stderr(*, verbose: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_JournalFormatter("%(threadName)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(threadName)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    for chatty in ("botocore", "boto3", "urllib3", "watchdog", "s3transfer"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
