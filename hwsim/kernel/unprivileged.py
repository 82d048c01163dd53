"""Running edged as a user without rights, from wherever it is installed or checked out.

Where that user may not see the interpreter of the virtual environment (it may lie below the home of root), the system's
own of the same version is taken, with the packages of the environment.
"""

import json
import os
import pwd
import sys
from pathlib import Path
from typing import Final

from edged.errors import UsageError

_SYSTEM_PYTHON: Final = Path("/usr/bin/python3")
_PROGRAM: Final = "from edged.cli.main import main; main()"
_CODE: Final = Path(__file__).parents[2]


class Unprivileged:
    """A user, and how edged is run as it."""

    def __init__(self, name: str) -> None:
        found = pwd.getpwnam(name)
        self.name = name
        self.uid, self.gid = found.pw_uid, found.pw_gid
        self.edged = Path(sys.executable).with_name("edged")

    def check_can_enter(self, folder: Path) -> None:
        """Raise UsageError unless the user can get to a folder, and to the code."""
        for needed in (folder, _CODE, _packages(), Path(self.command()[0])):
            if not _open_to_all(needed):
                raise UsageError(
                    f"the daemon runs as the user {self.name}, who cannot get to {needed}",
                    hint="Put the checkout, and the demo's folder, where every user may look, such as below /opt.",
                )

    def give(self, folder: Path) -> None:
        """Make a folder and all in it the user's."""
        for path in (folder, *folder.rglob("*")):
            os.lchown(path, self.uid, self.gid)

    def command(self, *arguments: str) -> list[str]:
        """Give the words that run edged as this user."""
        library = Path(json.__file__).parent  # of the interpreter itself
        python = Path(sys.executable)
        if not (_open_to_all(python.resolve()) and _open_to_all(python) and _open_to_all(library)):
            python = _SYSTEM_PYTHON
        return [str(python), "-c", _PROGRAM, *arguments]

    def environment(self) -> dict[str, str]:
        """Give what makes any Python of this version find the project and what it needs."""
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        return {"PATH": path, "PYTHONPATH": f"{_CODE}:{_packages()}", "PYTHONDONTWRITEBYTECODE": "1"}


def _packages() -> Path:
    return next(Path(path) for path in sys.path if path.endswith("site-packages"))


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.parents) and bool(path.stat().st_mode & 0o005)
