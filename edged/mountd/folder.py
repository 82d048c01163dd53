"""The folder below which the mounter mounts: its own, held by one mounter, and empty when it starts.

Nobody but root can put anything there or above it, so its paths need no further care; the daemon's user may pass
through it and see nothing. A mounter that was killed leaves mounts behind; the next one takes them away before it
answers anybody.
"""

import fcntl
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

from edged.errors import ConfigError, InUseError
from edged.mountd import kernel
from edged.mountd.exfat_fuse import User

_log = logging.getLogger(__name__)


class Folder:
    """A private folder of the mounter."""

    def __init__(self, path: Path, owner: User) -> None:
        """Take it, made if need be, and clean it; raises ConfigError, or InUseError if another mounter has it."""
        self.path = path
        try:
            _check_private(path)
            if not path.parent.exists():
                # The daemon passes through it, to the socket and to the cards.
                path.parent.mkdir(parents=True)
                path.parent.chmod(0o755)
            path.mkdir(mode=0o710, exist_ok=True)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigError(f"The mounter's folder {path} cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise InUseError(f"Another mounter uses {path}.", hint="Only one may; stop the other.") from error
        os.fchown(self._fd, -1, owner.gid)
        os.fchmod(self._fd, 0o710)
        self.clean()
        try:
            kernel.share(path)
        except OSError as error:
            raise ConfigError(f"The mounter's folder {path} cannot be used: {error.strerror}.") from error

    def make(self, name: str) -> Path:
        """Make the folder for one mount; while nothing is mounted there, it is plainly another folder, and empty."""
        made = self.path / name
        made.mkdir(exist_ok=True)
        made.chmod(0o755)
        return made

    def clean(self) -> None:
        """Unmount whatever is mounted below, busy or not, and remove the empty folders."""
        for mounted in reversed(kernel.mounts()):
            if self.path in (mounted.folder, *mounted.folder.parents):
                _log.info("%s was left mounted; it is unmounted", mounted.folder)
                with suppress(OSError):
                    kernel.unmount(mounted.folder, lazily=True)
        for left in self.path.iterdir():
            if stat.S_ISDIR(left.lstat().st_mode):
                with suppress(OSError):
                    left.rmdir()

    def close(self) -> None:
        """Unmount all, and let go of it."""
        self.clean()
        os.close(self._fd)


def _check_private(path: Path) -> None:
    """Raise ConfigError unless root alone decides what this path means."""
    for folder in (path, *path.parents):
        if not os.path.lexists(folder):
            continue
        status = folder.lstat()
        others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or (others and not status.st_mode & stat.S_ISVTX):
            raise ConfigError(
                f"The mounter's folder {path} is not safe: somebody besides root can replace {folder}.",
                hint="Use a folder below /run that belongs to root.",
            )
