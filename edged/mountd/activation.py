"""The mounter's socket: given by systemd, or made by itself.

The protocol of systemd's socket activation is sd_listen_fds(3).
"""

import os
import socket
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from edged.errors import ConfigError, InUseError

_FIRST_FD: Final = 3


def given_socket(environment: MutableMapping[str, str]) -> socket.socket | None:
    """Take the listening socket that systemd hands over; None if there is none. Raises ConfigError for several."""
    if environment.pop("LISTEN_PID", "") != str(os.getpid()):
        return None
    count = environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if count != "1":
        raise ConfigError(f"systemd hands over {count or 'no'} sockets; the mounter has one.")
    os.set_inheritable(_FIRST_FD, False)  # noqa: FBT003 - its signature
    listener = socket.socket(fileno=_FIRST_FD)
    if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_STREAM:
        raise ConfigError("The socket that systemd hands over is no UNIX stream socket.")
    return listener


def own_socket(path: Path, gid: int) -> socket.socket:
    """Listen at `path`, in place of what an earlier mounter left there; only root and group `gid` can connect.

    Raises InUseError if somebody answers there, ConfigError if it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            _remove_dead(path)
        listener.bind(str(path))
        os.chown(path, -1, gid)
        path.chmod(0o660)
        listener.listen()
    except InUseError:
        listener.close()
        raise
    except OSError as error:
        listener.close()
        raise ConfigError(f"The mounter's socket {path} cannot be made: {error.strerror or error}.") from error
    return listener


def _remove_dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise InUseError(f"Another mounter answers at {path}.", hint="Only one may; stop the other.")
