"""What the boot test runs inside of the booted machine, as root: ports, cards, and recorders that come and go."""

import os
import subprocess
import sys
from pathlib import Path

from hwsim.kernel import bays, udevd
from hwsim.kernel.images import make_image, opened
from hwsim.kernel.usb import Plugged

PORT = "pci-0000:00:14.0-usb-0:1.1"
USB = "04c5:2028"
CARD, IMAGE = Path("/srv/card"), Path("/srv/card.img")
CLIPS = 3


def ports() -> None:
    """Give the machine a udev with hwsim's rule, and nodes for the devices to come: nothing else makes them here."""
    for number in range(200, 456):
        if not Path(f"/dev/loop{number}").exists():
            os.mknod(f"/dev/loop{number}", 0o060660, os.makedev(7, number))
    udevd.start()


def configure(folder: Path) -> None:
    """Configure the station as IT does with an editor."""
    path = folder / "station.toml"
    text = path.read_text("utf-8").replace('source = "directory"\n', 'source = "udev"\n', 1)
    lines = [line for line in text.splitlines() if not line.startswith("folder = ") or line.endswith('cases"')]
    lines.insert(lines.index("[bays.ports]") + 1, f'"{PORT}" = "bay-11"')
    lines += ["[store]", 'kind = "directory"', 'id = "nas"', 'folder = "/srv/nas"']
    path.write_text("\n".join(lines) + "\n", "utf-8")
    with (folder / "register.toml").open("a", encoding="utf-8") as register:
        register.write('\n[[recorder]]\nid = "BC00001"\nprofile = "gat947"\nserial = "BC00001"\n')
    profile = folder / "recorders/gat947.toml"
    profile.write_text(profile.read_text("utf-8").replace("usb = []", f'usb = ["{USB}"]'), "utf-8")


def dock() -> None:
    """Plug in a recorder with footage that it never had before."""
    day = CARD / "20260105"
    day.mkdir(parents=True, exist_ok=True)
    for number in range(1, CLIPS + 1):
        name = f"BC00001_138001_202601050800{number:02}_{number:04}.MP4"
        (day / name).write_bytes(os.urandom(2 << 20))
    film = f"testsrc=s=320x240:r=10:d=1,hue=h={int.from_bytes(os.urandom(1))}"
    words = ["-f", "lavfi", "-i", film, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-y", str(day / name)]
    subprocess.run(["/usr/bin/ffmpeg", "-v", "error", "-nostdin", *words], check=True)
    make_image(CARD, IMAGE, label="BC00001")
    bays.dock(IMAGE, Plugged(port=PORT, usb=USB, serial="BC00001"))


def undock() -> None:
    """Pull it out, and print how many files are left on it."""
    for each in bays.docked():
        bays.yank(each.device)
    with opened(IMAGE) as root:
        print(sum(path.is_file() for path in root.rglob("*")))  # noqa: T201


if __name__ == "__main__":
    acts = {"ports": ports, "dock": dock, "undock": undock, "clean": bays.clean}
    acts.get(sys.argv[1], lambda: configure(Path("/etc/edged")))()
