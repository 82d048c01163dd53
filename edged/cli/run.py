"""`edged run`: the daemon."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from edged.cli.logs import log_to_stderr
from edged.cli.output import DEFAULT_CONFIG, ConfigOption
from edged.clock import SystemClock
from edged.config import read_station
from edged.media.elsewhere import SandboxElsewhere
from edged.station.assembly import StateLock, build
from edged.station.daemon import Daemon
from edged.station.notifying import Notifier
from edged.station.serving import serve


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    config: ConfigOption = DEFAULT_CONFIG,
    media_socket: Annotated[
        Path | None, typer.Option(help="Have ffmpeg run by `edged media` behind this socket, and not by the daemon.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
) -> None:
    """Run the station until it is told to stop (SIGTERM or Ctrl-C)."""
    os.umask(0o027)
    log_to_stderr(verbose=verbose)
    # A pipe that the interpreter itself writes to: a handler in Python waits for the main thread, which may be on the
    # point of blocking; and an `Event` could be locked by the very wait that the handler interrupts.
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    systemd, clock = Notifier(os.environ), SystemClock()
    sandbox = None if media_socket is None else SandboxElsewhere(clock, media_socket)
    station = read_station(config)
    lock = StateLock(station.paths.state)
    try:
        parts = build(config.absolute(), clock, sandbox=sandbox)
        daemon = Daemon(parts)
        server = serve(parts)
        try:
            daemon.start()
            server.start()
            systemd.ready(daemon.check)
            os.read(told, 1)
        finally:
            systemd.stopping()
            server.stop()
        daemon.stop()
    finally:
        lock.release()
