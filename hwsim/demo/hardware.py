"""The demo in kernel mode (root): recorders as exFAT images on loop devices, a real udev, and `edged mountd`.

The daemon runs as an ordinary user then, as on an installed station. Whatever is started or plugged in here is gone
on the way out; what a demo that was killed left is removed by the next one, and by `hwsim clean`.
"""

import os
import pwd
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from edged.errors import UnavailableError, UsageError
from edged.mountd.kernel import mounts
from hwsim.cards import files_on
from hwsim.demo.stage import Stage
from hwsim.kernel import bays, udevd
from hwsim.kernel.images import make_image, opened
from hwsim.kernel.loops import Loop
from hwsim.kernel.records import RUN
from hwsim.kernel.unprivileged import Unprivileged
from hwsim.kernel.usb import Plugged
from hwsim.watching import ReadWatch

_USERS: Final = ("edged", "games")
_FUSE_USERS: Final = ("edged-fuse", "nobody")
"""The first that this machine has: the daemon's own are made only when edged is installed."""
_RULES: Final = "70-edged-demo.rules"
_MOUNTS: Final = RUN / "demo"
_PORT: Final = "pci-0000:00:14.0-usb-0:{}"
_USB: Final = "04c5:2028"
_TRIES: Final = 400
_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 30.0


class KernelSlots:
    """Bays as physical ports of this machine."""

    kind = "USB ports of this machine, with cards on loop devices (kernel mode)"

    def __init__(self, stage: Stage, recorders: Sequence[str]) -> None:
        """Check that it can be; raises UsageError, ToolError."""
        if os.geteuid() != 0:
            raise UsageError("kernel mode needs root", hint="sudo make demo KERNEL=1")
        self._stage = stage
        self._ports = {name: _PORT.format(number) for number, name in enumerate(recorders, 1)}
        self._bays = {name: f"bay-{number}" for number, name in enumerate(recorders, 1)}
        self._plugged: dict[str, bays.Docked] = {}
        self._mountd: subprocess.Popen[bytes] | None = None
        self.user = Unprivileged(next(name for name in _USERS if _exists(name)))
        self.user.check_can_enter(stage.folder)

    def __enter__(self) -> Self:
        """Have a udevd that knows of our devices."""
        bays.clean()
        udevd.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._mountd is not None:
            self._mountd.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._mountd.wait(_STOP_SECONDS)
            self._mountd.kill()
            self._mountd.wait()
        udevd.uninstall(_RULES)
        bays.clean()

    def settings(self) -> Mapping[str, str | float]:
        """Give the keys of `station.toml`."""
        return {"bays.source": "udev", "bays.mounter": str(self._socket)}

    def configure(self) -> None:
        """Write ports and bays into `station.toml`, and the USB id of our recorders into their profiles."""
        for profile in (self._stage.config / "recorders").glob("*.toml"):
            profile.write_text(profile.read_text("utf-8").replace("usb = []", f'usb = ["{_USB}"]'), "utf-8")
        station = self._stage.config / "station.toml"
        ports = "".join(f'"{port}" = "{self._bays[name]}"\n' for name, port in self._ports.items())
        station.write_text(station.read_text("utf-8").replace("[bays.ports]\n", f"[bays.ports]\n{ports}"), "utf-8")

    def start(self, rules: str) -> None:
        """Put edged's udev rules in force, make the cards' images, and start the mounter; raises ToolError."""
        udevd.install(_RULES, rules)
        for name in self._ports:
            make_image(self._stage.recorders / name, self._image(name), label=name)
            shutil.rmtree(self._stage.recorders / name)
        for folder in (self._stage.config, self._stage.state, self._stage.feed):
            self.user.give(folder)
        fuse = next(name for name in _FUSE_USERS if _exists(name))
        with (self._stage.logs / "mountd.log").open("ab") as log:
            self._mountd = subprocess.Popen(
                [
                    *(str(self.user.edged), "mountd", "--user", self.user.name, "--fuse-user", fuse),
                    *("--folder", str(_MOUNTS), "--socket", str(self._socket)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.defpath},
                start_new_session=True,
            )
        self._wait(self._socket.exists, "the mounter does not answer; see logs/mountd.log")

    def bay(self, recorder: str) -> str:
        """Give the bay."""
        return self._bays[recorder]

    def dock(self, recorder: str) -> None:
        """Plug a recorder in."""
        plugged = Plugged(port=self._ports[recorder], usb=_USB, serial=recorder)
        self._plugged[recorder] = bays.dock(self._image(recorder), plugged)

    @contextmanager
    def dock_and_watch(self, recorder: str) -> Iterator[ReadWatch]:
        """Plug a recorder in, and watch its card as soon as it is mounted."""
        self.dock(recorder)
        number = Loop(self._plugged[recorder].device).number
        self._wait(lambda: _mounted(number), f"{recorder} is not mounted; see logs/mountd.log")
        with ReadWatch(_mounted(number)[0]) as watch:
            yield watch

    def pull(self, recorder: str) -> None:
        """Pull a recorder out, busy or not."""
        bays.pull(self._plugged.pop(recorder).device)

    def files_on(self, recorder: str) -> list[bytes]:
        """Give the files that a recorder holds, once nobody has its card open any more."""
        self._wait(lambda: not bays.is_open(self._image(recorder)), f"somebody still has the card of {recorder} open")
        with opened(self._image(recorder)) as card:
            return list(files_on(card))

    def _image(self, recorder: str) -> Path:
        return self._stage.recorders / f"{recorder}.img"

    @property
    def _socket(self) -> Path:
        return self._stage.folder / "mountd.sock"

    def _wait(self, until: Callable[[], object], otherwise: str) -> None:
        pause = threading.Event()
        for _ in range(_TRIES):
            if until():
                return
            pause.wait(_SECONDS)
        raise UnavailableError(otherwise)


def _mounted(number: str) -> list[Path]:
    """Give where the mounter has mounted a device MAJOR:MINOR."""
    return [each.folder for each in mounts() if each.number == number and _MOUNTS in each.folder.parents]


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
