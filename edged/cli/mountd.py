"""`edged mountd`: the privileged mounter; `systemd` starts it when the daemon first asks for it."""

import os
import pwd
import signal
from pathlib import Path
from typing import Annotated

import typer

from edged.cli.logs import log_to_stderr
from edged.errors import ConfigError, NotAllowedError
from edged.mountd.activation import given_socket, own_socket
from edged.mountd.exfat_fuse import User
from edged.mountd.folder import Folder
from edged.mountd.server import MountServer, Users

RUN = Path("/run/edged")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mountd")(mountd)


def mountd(
    user: Annotated[str, typer.Option(help="The daemon's user: the only one who is answered.")] = "edged",
    fuse_user: Annotated[str, typer.Option(help="User as whom exfat-fuse runs; used if the kernel has no exFAT.")] = "",
    folder: Annotated[Path, typer.Option(help="Private folder below which cards are mounted.")] = RUN / "bays",
    socket: Annotated[Path, typer.Option(help="Socket to make, if systemd hands none over.")] = RUN / "mountd.sock",
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
) -> None:
    """Mount the cards of recorders for the daemon, read-only, and for a wipe writable (needs root)."""
    if os.geteuid() != 0:
        raise NotAllowedError("The mounter must run as root.", hint="Use `systemctl start edged-mountd.socket`.")
    os.umask(0o077)
    log_to_stderr(verbose=verbose, identifier="edged-mountd")
    users = Users(daemon=_user(user), fuse=_user(fuse_user) if fuse_user else None)
    if users.daemon.uid == 0 or (users.fuse and users.fuse.uid in {0, users.daemon.uid}):
        raise ConfigError("The daemon and exfat-fuse each run as a user of their own, and not as root.")
    private = Folder(folder, users.daemon)
    listener = given_socket(os.environ) or own_socket(socket, users.daemon.gid)
    server = MountServer(listener, private, users)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.serve()
    private.close()


def _user(name: str) -> User:
    try:
        found = pwd.getpwnam(name)
    except KeyError as error:
        raise ConfigError(f"There is no user {name}.", hint="See the sysusers file in the folder systemd.") from error
    return User(uid=found.pw_uid, gid=found.pw_gid)
