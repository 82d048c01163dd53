"""Recorders as USB disks of this machine: exFAT on loop devices, a real udev, the real `edged mountd` (root).

The daemon runs as an ordinary user then, as on an installed station. What is wrong with cards is not played here, but
they are pulled out for real, and the mounter is killed.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edged.errors import ToolError
from hwsim.faults.card_faults import Faults
from hwsim.kernel import bays, udevd
from hwsim.kernel.images import make_image, opened
from hwsim.kernel.unprivileged import Unprivileged
from hwsim.kernel.usb import Plugged
from hwsim.quick import quick_card
from hwsim.torture.waiting import wait_for

_USERS: Final = ("edged", "games")
_FUSE_USERS: Final = ("edged-fuse", "nobody")
_RULES: Final = "70-edged-torture.rules"
_USB: Final = "04c5:2028"
_PORT: Final = "pci-0000:00:14.0-usb-0:9.{}"
_SECONDS: Final = 30.0


class PortRecorders:
    """Recorders at ports."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        """Keep images in `folder`, which is made; the bay of each recorder is called as it is."""
        self._folder = folder
        self._ports = {name: _PORT.format(number) for number, name in enumerate(names, 1)}
        self._docked: dict[str, str] = {}
        self._mountd: subprocess.Popen[bytes] | None = None
        self.user: Unprivileged | None = Unprivileged(_first(_USERS))

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        udevd.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for device in self._docked.values():
            bays.pull(device)
        if self._mountd is not None:
            self._mountd.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._mountd.wait(_SECONDS)
            self._mountd.kill()
            self._mountd.wait()
        udevd.uninstall(_RULES)
        wait_for(lambda: not any(bays.is_open(self._image(name)) for name in self._ports), _SECONDS)

    def settings(self) -> Mapping[str, Mapping[str, object]]:
        """Give ports and mounter."""
        ports = {f'"{port}"': name for name, port in self._ports.items()}
        return {"bays": {"source": "udev", "mounter": self._socket}, "bays.ports": ports}

    def begin(self, config: Path) -> None:
        """Tell profiles the USB id of ours, put edged's rules in force, and start the mounter; raises ToolError."""
        for profile in (config / "recorders").glob("*.toml"):
            profile.write_text(profile.read_text("utf-8").replace("usb = []", f'usb = ["{_USB}"]', 1), "utf-8")
        user = self._runs_as
        user.check_can_enter(self._folder)
        done = subprocess.run(
            user.command("bays", "--udev-rules", "--config", str(config)),
            check=False,
            capture_output=True,
            text=True,
            env=user.environment(),
        )
        if done.returncode:
            raise ToolError(f"edged bays --udev-rules failed: {done.stderr.strip()}")
        udevd.install(_RULES, done.stdout)
        self._start_mounter()

    def make(self, name: str, files: Mapping[str, bytes], links: tuple[str, ...], faults: Faults) -> None:
        """Make the image of the card; exFAT has no links, and what is wrong with cards is not played."""
        del links, faults
        card = self._folder / name
        quick_card(card, {os.fsencode(path): content for path, content in files.items()})
        make_image(card, self._image(name), label=name)
        shutil.rmtree(card)

    def heal(self, name: str, left: Faults) -> None:
        """Nothing is wrong with it."""

    def is_docked(self, name: str) -> bool:
        """Say whether a recorder is plugged in."""
        return name in self._docked

    def dock(self, name: str) -> None:
        """Plug it in, once nobody has it open from the time before."""
        if not wait_for(lambda: not bays.is_open(self._image(name)), _SECONDS):
            raise ToolError(f"somebody still has the card of {name} open")
        plugged = Plugged(port=self._ports[name], usb=_USB, serial=name)
        self._docked[name] = bays.dock(self._image(name), plugged).device

    def pull(self, name: str) -> None:
        """Pull it out, busy or not."""
        bays.pull(self._docked.pop(name))

    def kill_mounter(self) -> None:
        """Kill the mounter as -9 does, and start it again."""
        if self._mountd is not None:
            self._mountd.kill()
            self._mountd.wait()
        self._start_mounter()

    def cards(self) -> Mapping[str, Path]:
        """Pull every card out, and read what is on it into folders."""
        found = {}
        for name in list(self._docked):
            self.pull(name)
        for name in self._ports:
            image = self._image(name)
            if not wait_for(lambda image=image: not bays.is_open(image), _SECONDS):  # type: ignore[misc]
                raise ToolError(f"somebody still has the card of {name} open")
            found[name] = self._folder / f"{name}.read"
            with opened(image) as root:
                shutil.copytree(root, found[name])
        return found

    def _start_mounter(self) -> None:
        user = self._runs_as
        self._socket.unlink(missing_ok=True)
        with (self._folder / "mountd.log").open("ab") as log:
            self._mountd = subprocess.Popen(
                [
                    *user.command("mountd", "--user", user.name, "--fuse-user", _first(_FUSE_USERS)),
                    *("--folder", str(self._folder / "mounts"), "--socket", str(self._socket)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=user.environment(),
                cwd="/",
                start_new_session=True,
            )
        if not wait_for(self._socket.exists, _SECONDS):
            said = (self._folder / "mountd.log").read_text("utf-8", "replace").strip().splitlines()[-1:]
            raise ToolError(f"the mounter does not start: {said}")

    @property
    def _runs_as(self) -> Unprivileged:
        if self.user is None:
            raise ToolError("no user for the daemon")
        return self.user

    def _image(self, name: str) -> Path:
        return self._folder / f"{name}.img"

    @property
    def _socket(self) -> Path:
        return self._folder / "mountd.sock"


def _first(names: tuple[str, ...]) -> str:
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise ToolError(f"none of the users {', '.join(names)} is there")
