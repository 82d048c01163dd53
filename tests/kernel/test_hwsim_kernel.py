"""The simulator's kernel mode: what is pulled out fails to read, and nothing is left behind by whoever is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edged.errors import UsageError
from hwsim.kernel import bays, udevd
from hwsim.kernel.images import make_image, opened
from hwsim.kernel.records import DEVICES, FILLING, GONE
from hwsim.kernel.usb import Plugged
from tests.kernel.machine import PATIENCE_SECONDS, PORTS, RULES, port, python_path, rules, until

Card = Callable[..., Path]
PORT = port("bay-11")


def hwsim(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of hwsim."""
    return subprocess.run(
        [sys.executable, "-c", "from hwsim.cli import main; main()", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={"PATH": os.defpath, "PYTHONPATH": python_path()},
    )


@pytest.fixture
def clean(turn: None) -> Iterator[None]:
    """Leave nothing plugged in, and the session's udevd as it was."""
    del turn
    yield
    bays.clean()
    udevd.start()
    udevd.install(RULES, rules())


def properties(device: str) -> dict[str, str]:
    udevd.settle()
    shown = subprocess.run(
        ["udevadm", "info", "--query=property", f"/dev/{device}"], check=True, capture_output=True, text=True
    )
    return dict(line.split("=", 1) for line in shown.stdout.splitlines())


def test_card_is_a_usb_disk_for_udev_and_marked_by_the_rules_of_edged(clean: None, card: Card) -> None:
    del clean
    docked = bays.dock(
        card({"a": b"a"}, label="CAM-07"), Plugged(port=PORT, usb="04c5:2028", serial="SC20451", model="BWC")
    )
    found = properties(docked.device)
    assert (found["ID_BUS"], found["ID_VENDOR_ID"], found["ID_MODEL_ID"]) == ("usb", "04c5", "2028")
    assert (found["ID_SERIAL_SHORT"], found["ID_PATH"]) == ("SC20451", f"{PORT}:1.0-scsi-0:0:0:0")
    assert (found["ID_FS_TYPE"], found["ID_FS_LABEL"]) == ("exfat", "CAM-07")
    assert found["EDGED_BAY"] == (Path("/sys/block") / docked.device / "diskseq").read_text("ascii").strip()


def test_other_loop_devices_of_the_machine_are_none_of_ours(clean: None, card: Card) -> None:
    del clean
    image = card({"a": b"a"})
    device = subprocess.run(
        ["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        assert "ID_BUS" not in properties(Path(device).name)
        bays.clean()
        assert Path(device).exists()
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
        udevd.start()


def test_yank_under_load_gives_io_errors_and_then_takes_the_device_away(clean: None, folder: Path) -> None:
    del clean
    (folder / "files").mkdir()
    (folder / "files" / "a.mp4").write_bytes(os.urandom(8 << 20))
    make_image(folder / "files", folder / "card.img", kind="ext4")
    docked = bays.dock(folder / "card.img", Plugged(port=PORT, usb="04c5:2028", serial="X"))
    (folder / "mounted").mkdir()
    subprocess.run(["mount", "-o", "ro", f"/dev/{docked.device}", str(folder / "mounted")], check=True)
    try:
        with (folder / "mounted" / "a.mp4").open("rb", buffering=0) as file:
            assert len(file.read(4096)) == 4096
            bays.pull(docked.device)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            with pytest.raises(OSError, match="Input/output error"):
                file.read(4096)
        assert (GONE / docked.device).exists()
        assert Path(f"/dev/{docked.device}").exists(), "it is still mounted"
        assert bays.docked() == ()
    finally:
        subprocess.run(["umount", str(folder / "mounted")], check=True)
    assert bays.clean() == ()
    assert not Path(f"/dev/{docked.device}").exists()
    # What was on the card is there for the next docking.
    udevd.start()
    again = bays.dock(folder / "card.img", Plugged(port=PORT, usb="04c5:2028", serial="X"))
    assert properties(again.device)["ID_FS_TYPE"] == "ext4"


def test_image_holds_what_the_card_held_and_can_be_read_back(clean: None, folder: Path) -> None:
    del clean
    files = folder / "files"
    (files / "VIDEO").mkdir(parents=True)
    (files / "VIDEO" / "执法 1.MP4").write_bytes(os.urandom(100_000))
    (files / "empty").touch()
    os.utime(files / "VIDEO" / "执法 1.MP4", (1_767_600_000, 1_767_600_000))
    make_image(files, folder / "card.img", label="CAM")
    with opened(folder / "card.img") as root:
        copied = root / "VIDEO" / "执法 1.MP4"
        assert copied.read_bytes() == (files / "VIDEO" / "执法 1.MP4").read_bytes()
        assert copied.stat().st_mtime == 1_767_600_000
        assert (root / "empty").stat().st_size == 0
    assert not any(FILLING.iterdir())


def test_one_image_is_not_plugged_in_twice_and_nonsense_not_at_all(clean: None, card: Card, folder: Path) -> None:
    del clean
    image = card({"a": b"a"})
    bays.dock(image, Plugged(port=PORT, usb="04c5:2028", serial="X"))
    with pytest.raises(UsageError, match="plugged in already"):
        bays.dock(image, Plugged(port=port("bay-12"), usb="04c5:2028", serial="X"))
    with pytest.raises(UsageError, match="is no image"):
        bays.dock(folder / "none", Plugged(port=PORT, usb="04c5:2028", serial="X"))
    for wrong in ({"usb": "04C5:2028"}, {"port": "a b"}, {"serial": 'x"\nID_BUS=ata'}, {"usb": "1:2"}):
        with pytest.raises(UsageError):
            Plugged(**({"port": PORT, "usb": "04c5:2028", "serial": "X"} | wrong))


def test_many_at_once_come_and_go(clean: None, card: Card, folder: Path) -> None:
    del clean
    first = card({"a": b"a"})
    devices = []
    for number, at in enumerate(PORTS):
        image = folder / f"{number}.img"
        image.write_bytes(first.read_bytes())
        devices.append(bays.dock(image, Plugged(port=at, usb="04c5:2028", serial=f"S{number}")).device)
    assert len(set(devices)) == len(PORTS)
    assert {each.port for each in bays.docked()} == set(PORTS)
    for device in devices:
        bays.pull(device)
    until(lambda: bays.clean() == () and not any(Path("/dev", device).exists() for device in devices), "all are gone")


@pytest.mark.parametrize("moment", ["docked", "filling"])
def test_what_a_killed_hwsim_left_behind_is_cleaned_up(clean: None, folder: Path, moment: str) -> None:
    del clean
    bays.clean()
    (folder / "card").mkdir()
    (folder / "card" / "a").write_bytes(b"a")
    script = {
        "docked": (
            "udevd.start()\n"
            "images.make_image(folder / 'card', folder / 'card.img')\n"
            f"bays.dock(folder / 'card.img', Plugged(port={PORT!r}, usb='04c5:2028', serial='X'))\n"
        ),
        "filling": (
            "images.make_image(folder / 'card', folder / 'card.img')\n"
            "held = images.opened(folder / 'card.img')\n"
            "held.__enter__()\n"
        ),
    }[moment]
    program = (
        "import threading; from pathlib import Path\n"
        "from hwsim.kernel import bays, images, udevd\n"
        "from hwsim.kernel.usb import Plugged\n"
        f"folder = Path({str(folder)!r})\n"
        f"{script}"
        "print('done', flush=True); threading.Event().wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={"PATH": os.defpath, "PYTHONPATH": python_path()},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        process.send_signal(signal.SIGKILL)
    left = [record.name for folder in (DEVICES, FILLING) for record in folder.glob("loop*")]
    assert len(left) == 1
    if moment == "docked":
        assert udevd._answers(), "the udevd that it started goes on"
    done = hwsim("clean")
    assert done.returncode == 0, done.stderr
    assert not Path(f"/dev/{left[0]}").exists()
    assert not udevd._answers()
    assert not (udevd.RULES / "59-hwsim.rules").exists()
    with suppress(OSError):
        assert not os.path.ismount(folder / ".card.img.open")


def test_commands_dock_list_yank_and_clean(clean: None, folder: Path) -> None:
    del clean
    (folder / "BC00001").mkdir()
    (folder / "BC00001" / "a").write_bytes(b"a")
    done = hwsim("dock", str(folder / "BC00001"), PORT, "--kernel")
    assert done.returncode == 0, done.stderr
    device, image = done.stdout.strip().split("\t")
    assert image == str(folder / "BC00001.img")
    assert hwsim("list", "--kernel").stdout == f"{device}\t{PORT}\t04c5:2028\tBC00001\t{image}\n"
    assert "is taken" in hwsim("dock", image, PORT, "--kernel").stderr
    assert hwsim("yank", PORT, "--kernel").returncode == 0
    assert hwsim("list", "--kernel").stdout == ""
    assert "nothing is plugged in" in hwsim("yank", PORT, "--kernel").stderr
    assert hwsim("clean").returncode == 0
