"""`python -m hwsim.faults KIND BACKING FOLDER CONTROL`: mount a fault file system until standard input ends."""

import os
import sys
from pathlib import Path

from mfusepy import FUSE

from hwsim.faults.card_files import CardFiles
from hwsim.faults.control import end_with_input, listen
from hwsim.faults.disk_file import DiskFile


def _main(kind: str, backing: Path, folder: Path, control: Path) -> None:
    if kind == "disk":
        disk = DiskFile(os.open(backing, os.O_RDWR | os.O_CLOEXEC))
        listen(control, disk.obey)
        end_with_input(folder)
        # One thread: what is written lies in the order in which it came.
        FUSE(disk, str(folder), foreground=True, nothreads=True, direct_io=True, big_writes=True, fsname="hwsim-disk")
        return
    cards = CardFiles(backing)
    listen(control, cards.obey)
    end_with_input(folder)
    FUSE(
        cards,
        str(folder),
        foreground=True,
        fsname="hwsim-cards",
        # Nothing of a card is remembered by the kernel: each look is a look at the card, and each read reads it.
        direct_io=True,
        use_ino=True,
        entry_timeout=0,
        attr_timeout=0,
        negative_timeout=0,
        hard_remove=True,
        default_permissions=True,
    )


_main(sys.argv[1], *map(Path, sys.argv[2:5]))
