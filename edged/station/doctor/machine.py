"""The machine as `edged doctor` sees it: files of the system, users, programs. Nothing is changed."""

import grp
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.media.sandbox import SEARCH

DAEMON_USER: Final = "edged"
FUSE_USER: Final = "edged-fuse"
_SECONDS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine whose system lies below `root`; the folders that the configuration names are taken as they are."""

    root: Path = Path("/")
    search: str = SEARCH
    """Where programs are looked for."""

    def at(self, path: str) -> Path:
        """Give where a file of the system lies."""
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str | None:
        """Give the content of a file of the system; None if there is none that can be read."""
        try:
            return self.at(path).read_text("utf-8", "replace")
        except OSError:
            return None

    def uid(self, user: str) -> int | None:
        """Give the number of a user; None if there is none of that name."""
        try:
            return pwd.getpwnam(user).pw_uid
        except KeyError:
            return None

    def has_group(self, name: str) -> bool:
        """Say whether there is a group of that name."""
        try:
            grp.getgrnam(name)
        except KeyError:
            return False
        return True

    def name_of(self, uid: int) -> str:
        """Give the name of a user, or the number."""
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def runs_systemd(self) -> bool:
        """Say whether systemd runs the machine (sd_booted(3))."""
        return self.at("/run/systemd/system").is_dir()

    def run(self, *command: str) -> str:
        """Give what a program prints, on one line; empty if it cannot be run."""
        try:
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                stdin=subprocess.DEVNULL,
                env={"PATH": os.defpath, "LC_ALL": "C"},
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip()
