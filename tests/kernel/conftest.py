"""The hardware path on a real kernel, as root: udev, mounter, cards on loop devices. Elsewhere all is skipped.

The machine has one udev: however many workers run these tests, one test has its turn at a time.
"""

import fcntl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from edged.mountd.kernel import mounts, unmount
from hwsim.kernel import bays, udevd
from tests.kernel.machine import RULES, Mounter, image_of, missing, rules

_TURN = Path("/run/edged-kernel-tests.turn")
_USERS = Path("/run/edged-kernel-tests.users")


@contextmanager
def _turn() -> Iterator[None]:
    with _TURN.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _alone(users: IO[str]) -> bool:
    """Say whether no other worker uses the machine's udev."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.fixture(scope="session")
def machine() -> Iterator[None]:
    """A udevd with hwsim's rule and edged's; afterwards nothing of it is left."""
    if lacks := missing():
        pytest.skip(lacks)
    with _USERS.open("w") as users:
        with _turn():
            if _alone(users):
                bays.clean()
            fcntl.flock(users, fcntl.LOCK_SH)
            udevd.start()
            udevd.install(RULES, rules())
        yield
        with _turn():
            if _alone(users):
                udevd.uninstall(RULES)
                assert bays.clean() == ()


@pytest.fixture
def turn(machine: None) -> Iterator[None]:
    """The machine for one test."""
    del machine
    with _turn():
        yield


@pytest.fixture
def folder(turn: None) -> Iterator[Path]:
    """A folder that other users may pass through, which pytest's own is not."""
    del turn
    with tempfile.TemporaryDirectory(prefix="edged-kernel-", dir="/var/tmp") as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
def mounter(folder: Path) -> Iterator[Mounter]:
    """A running mounter; whatever a test left plugged in is pulled out, and nothing may stay mounted."""
    made = Mounter(folder=folder)
    made.start()
    try:
        yield made
        for docked in bays.docked():
            bays.pull(docked.device)
        if made.process is not None:
            assert made.stop() == 0, made.log
        assert made.mounted() == []
    finally:
        made.kill()
        for docked in bays.docked():
            bays.pull(docked.device)
        for left in reversed(mounts()):
            if folder in left.folder.parents:
                unmount(left.folder, lazily=True)


@pytest.fixture
def card(folder: Path) -> Callable[..., Path]:
    """Make the image of a card with these files."""

    def make(files: Mapping[str, bytes], name: str = "card", **more: Any) -> Path:
        return image_of(files, folder / f"{name}.img", **more)

    return make
