"""`edged media`: runs ffmpeg for the daemon; `systemd` starts it when the daemon first asks for it."""

import os
import signal

import typer

from edged.cli.logs import log_to_stderr
from edged.clock import SystemClock
from edged.errors import UsageError
from edged.media.elsewhere import SandboxServer
from edged.media.sandbox import Sandbox
from edged.mountd.activation import given_socket


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("media")(media)


def media() -> None:
    """Run ffmpeg in sandboxes for a daemon that may not make any (systemd starts it)."""
    log_to_stderr(verbose=False, identifier="edged-media")
    listener = given_socket(os.environ)
    if listener is None:
        raise UsageError("systemd hands over no socket.", hint="Use `systemctl start edged-media.socket`.")
    server = SandboxServer(listener, Sandbox(SystemClock()))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.serve()
