"""What the kernel tests need of the machine, and the pieces they put together: udevd, mounter, source, cards."""

import json
import os
import pwd
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from edged.bays.volumes import udev_rules
from edged.clock import SystemClock
from edged.mountd.kernel import mounts
from hwsim.kernel import bays
from hwsim.kernel.images import make_image
from hwsim.kernel.usb import Plugged

REPOSITORY: Final = Path(__file__).parents[2]
DAEMON_USER: Final = "games"
"""Any user without rights; the daemon's is made only when edged is installed."""
FUSE_USER: Final = "nobody"
PATIENCE_SECONDS: Final = 60.0
RULES: Final = "70-edged-tests.rules"
USB: Final = "04c5:2028"
PORTS: Final = {
    f"pci-0000:00:14.0-usb-0:{hub}.{port}": f"bay-{hub}{port}" for hub in (1, 2, 3) for port in (1, 2, 3, 4)
}

_T = TypeVar("_T")


def port(bay: str) -> str:
    """Give the port of a bay."""
    return next(port for port, name in PORTS.items() if name == bay)


def missing() -> str | None:
    """Say what the machine lacks for these tests; None if nothing."""
    if os.geteuid() != 0:
        return "needs root"
    if not Path("/dev/loop-control").exists():
        return "the kernel has no loop devices"
    if not os.access("/sys/block", os.W_OK) or not Path("/dev/fuse").exists():
        return "sysfs is read-only here, or the kernel has no FUSE"
    tools = {"udevadm": "udev", "mkfs.exfat": "exfatprogs", "mkfs.ext4": "e2fsprogs", "bwrap": "bubblewrap"}
    tools |= {"mount.exfat-fuse": "exfat-fuse", "sfdisk": "fdisk"}
    absent = [
        package for tool, package in tools.items() if shutil.which(tool, path=f"/usr/sbin:/sbin:{os.defpath}") is None
    ]
    return f"not installed: {' '.join(absent)}" if absent else None


def user(name: str) -> pwd.struct_passwd:
    """Give a user of the machine."""
    return pwd.getpwnam(name)


def until(condition: Callable[[], _T | None], what: str, seconds: float = PATIENCE_SECONDS) -> _T:
    """Wait until a condition gives something true, and give it."""
    clock, pause = SystemClock(), threading.Event()
    end = clock.monotonic() + seconds
    while not (found := condition()):
        assert clock.monotonic() < end, f"not in {seconds:.0f} s: {what}"
        pause.wait(0.005)
    return found


def unprivileged_python() -> list[str]:
    """Give the words that run Python with this project as a user who may not see the home of root.

    Where the interpreter of the tests lies there, it is the system's, if that is of the same version.
    """
    site = Path(json.__file__).parent  # of the interpreter itself
    reachable = all(folder.stat().st_mode & 0o001 for folder in Path(sys.executable).resolve().parents)
    if reachable and all(folder.stat().st_mode & 0o001 for folder in site.parents):
        return [sys.executable]
    return ["/usr/bin/python3"]


def python_path() -> str:
    """Give what makes any Python of this version find the project and what it needs."""
    site = next(path for path in sys.path if path.endswith("site-packages"))
    return f"{REPOSITORY}:{site}"


@dataclass(kw_only=True)
class Mounter:
    """`edged mountd` as a child, as root."""

    folder: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "mountd.sock"

    @property
    def bays(self) -> Path:
        return self.folder / "bays"

    @property
    def log(self) -> str:
        path = self.folder / "mountd.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self) -> None:
        assert self.process is None
        with (self.folder / "mountd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", "from edged.cli.main import main; main()", "mountd", "--verbose"),
                    *("--user", DAEMON_USER, "--fuse-user", FUSE_USER),
                    *("--folder", str(self.bays), "--socket", str(self.socket), *self.options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.defpath, "PYTHONPATH": python_path()},
            )
        until(self._answers, f"the mounter answers: {self.log}")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            return self.socket.exists() and connection.connect_ex(str(self.socket)) == 0

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        return code

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def mounted(self) -> list[Path]:
        """Give what is mounted below its folder now."""
        return [each.folder for each in mounts() if self.bays in each.folder.parents]


class Listener:
    """`listener.py` as a child, as the daemon's user: the source `udev`, and what it told, in order."""

    def __init__(self, mounter: Mounter, *, usb: tuple[str, ...] = (USB,)) -> None:
        configuration = json.dumps({"ports": PORTS, "usb": usb})
        self.told: list[dict[str, Any]] = []
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        account = user(DAEMON_USER)
        script = str(Path(__file__).with_name("listener.py"))
        self.process = subprocess.Popen(
            [*unprivileged_python(), script, str(mounter.socket), configuration],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": os.defpath, "PYTHONPATH": python_path(), "PYTHONDONTWRITEBYTECODE": "1"},
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait("start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            said = json.loads(line)
            if "told" in said:
                self.told.append(said)
            else:
                self._answers.put(said)

    def of(self, kind: str, bay: str | None = None) -> list[dict[str, Any]]:
        """Give what was told of a kind, about one bay or about anything."""
        return [said for said in list(self.told) if said["told"] == kind and bay in {None, said.get("bay")}]

    def wait(self, kind: str, bay: str | None = None, nth: int = 1) -> dict[str, Any]:
        """Wait until something was told for the n-th time."""

        def found() -> list[dict[str, Any]] | None:
            said = self.of(kind, bay)
            return said if len(said) >= nth else None

        return until(found, f"{kind} {nth} in {bay}; told: {self.told}")[nth - 1]

    def ask(self, do: str, bay: str, path: str = "") -> dict[str, Any]:
        """Have it do something with a docked card, and give its answer."""
        self.send(do, bay, path)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Give the answer to what was sent."""
        return self._answers.get(timeout=PATIENCE_SECONDS)

    def send(self, do: str, bay: str, path: str = "") -> None:
        """Have it do something, without waiting."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, "bay": bay, "path": path}) + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it as -9 does."""
        self.process.kill()
        self.end()

    def end(self) -> None:
        """End it in order."""
        with suppress(BrokenPipeError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()


def rules() -> str:
    """Give the rules that edged makes for these ports."""
    return udev_rules(PORTS)


def plug(image: Path, bay: str, *, serial: str = "SC20451", usb: str = USB, lun: int = 0) -> bays.Docked:
    """Plug a card in at the port of a bay."""
    return bays.dock(image, Plugged(port=port(bay), usb=usb, serial=serial, lun=lun))


def image_of(files: Mapping[str, bytes], image: Path, **more: Any) -> Path:
    """Make the image of a card with these files."""
    card = image.with_suffix(".card")
    card.mkdir()
    for path, content in files.items():
        (card / path).parent.mkdir(parents=True, exist_ok=True)
        (card / path).write_bytes(content)
    make_image(card, image, **more)
    shutil.rmtree(card)
    return image
