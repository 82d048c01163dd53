"""Cards as images of file systems: made from a card folder, and read back into one.

exFAT is filled through exfat-fuse on a loop device that udev takes for none of ours; ext4 by mke2fs itself. Names,
contents and times are the folder's; what exFAT cannot hold (links, pipes, some names) stays behind.
"""

import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from edged.errors import ToolError, UsageError
from hwsim.kernel.loops import Loop
from hwsim.kernel.records import FILLING, claim, forget

_MIB: Final = 1 << 20
_SPARE_BYTES: Final = 16 * _MIB
_UMOUNT_TRIES: Final = 50
_PARTITION_START: Final = _MIB
_FORBIDDEN: Final = set('"*/:<>?\\|')

Kind = Literal["exfat", "ext4", "vfat"]


def make_image(card: Path, image: Path, *, kind: Kind = "exfat", label: str = "", size_bytes: int = 0) -> None:
    """Make the image of a card that holds what the folder `card` holds; raises UsageError, ToolError.

    `size_bytes` is the size of the card, by default somewhat more than its files need.
    """
    if not card.is_dir():
        raise UsageError(f"{card} is no card: there is no such folder")
    used = sum(path.lstat().st_size for path in card.rglob("*") if path.is_file())
    size = max(size_bytes, used * 5 // 4 + _SPARE_BYTES) // _MIB * _MIB
    image.touch(mode=0o600)
    os.truncate(image, 0)
    os.truncate(image, size)
    if kind == "ext4":
        _run("mkfs.ext4", "-q", "-F", "-L", label, "-d", str(card), str(image))
        return
    if kind == "vfat":
        _run("mkfs.vfat", *(["-n", label] if label else []), str(image))
        if any(card.iterdir()):
            _run("mcopy", "-s", "-m", "-i", str(image), *map(str, sorted(card.iterdir())), "::")
        return
    _run("mkfs.exfat", *(["-L", label] if label else []), str(image))
    if any(card.iterdir()):
        with opened(image) as root:
            _copy(card, root)


@contextmanager
def opened(image: Path) -> Iterator[Path]:
    """Hold an exFAT image mounted, writable, at a folder beside it; raises ToolError, UnavailableError."""
    folder = image.with_name(f".{image.name}.open")
    folder.mkdir()
    loop = claim(FILLING, str(folder))
    try:
        loop.attach(image)
        _run("mount.exfat-fuse", str(loop.node), str(folder))
        try:
            yield folder
        finally:
            _unmount(folder, loop)
    finally:
        forget(loop, tries=_UMOUNT_TRIES)
        folder.rmdir()


def can_hold(name: bytes) -> bool:
    """Say whether exFAT allows a name: neither control bytes nor certain signs (its specification, 7.7.3)."""
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    # A trailing dot or space is allowed, but Linux and Windows drop it.
    return not (_FORBIDDEN & set(text)) and min(text, default=" ") >= " " and text == text.rstrip(". ")


def close_left_open() -> None:
    """Let go of the images that were being filled when hwsim was killed."""
    for record in FILLING.glob("loop*"):
        folder = record.read_text("utf-8")
        with suppress(ToolError):
            _run("umount", "--lazy", folder)
        forget(Loop(record.name), tries=_UMOUNT_TRIES)
        with suppress(OSError):
            Path(folder).rmdir()


def partitioned(images: tuple[Path, ...], disk: Path) -> tuple[tuple[int, int], ...]:
    """Make a disk of the images, one a partition (MBR, type 7); gives their (start, length) in bytes."""
    places = []
    start = _PARTITION_START
    for image in images:
        length = (image.stat().st_size + _MIB - 1) // _MIB * _MIB
        places.append((start, length))
        start += length
    with disk.open("wb") as out:
        out.truncate(start + _MIB)
        for image, (offset, _) in zip(images, places, strict=True):
            with image.open("rb") as part:
                out.seek(offset)
                shutil.copyfileobj(part, out)
    table = "".join(f"start={offset // 512}, size={length // 512}, type=7\n" for offset, length in places)
    _run("sfdisk", "-q", "--no-reread", str(disk), text=f"label: dos\n{table}")
    return tuple(places)


def _copy(card: Path, root: Path) -> None:
    for path in sorted(card.rglob("*")):
        if not all(can_hold(os.fsencode(name)) for name in path.relative_to(card).parts):
            continue
        status = path.lstat()
        target = root / path.relative_to(card)
        if stat.S_ISDIR(status.st_mode):
            target.mkdir()
        elif stat.S_ISREG(status.st_mode):
            shutil.copyfile(path, target)
            os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _unmount(folder: Path, loop: Loop) -> None:
    """Unmount, and wait until all of it is written back; raises ToolError."""
    pause = threading.Event()
    for tries in range(_UMOUNT_TRIES, 0, -1):
        try:
            if folder.is_mount():
                _run("umount", str(folder))
        except ToolError:
            if tries == 1:
                raise
        if loop.is_free:
            return
        pause.wait(0.1)
    raise ToolError(f"{folder} is not written back; something still uses it")


def _run(tool: str, *arguments: str, text: str = "") -> None:
    path = f"/usr/local/sbin:/usr/sbin:/sbin:{os.defpath}"
    found = shutil.which(tool, path=path)
    if found is None:
        packages = {"mkfs.ext4": "e2fsprogs", "mount.exfat-fuse": "exfat-fuse", "sfdisk": "fdisk", "mcopy": "mtools"}
        package = packages.get(tool, "exfatprogs" if "exfat" in tool else "dosfstools")
        raise ToolError(f"{tool} is not installed", hint=f"Install it: apt-get install {package}")
    done = subprocess.run(
        [found, *arguments], check=False, capture_output=True, text=True, input=text, env={"PATH": path}
    )
    if done.returncode != 0:
        raise ToolError(f"{tool} failed: {(done.stderr or done.stdout).strip()}")
