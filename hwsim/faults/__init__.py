"""Faults below the file system: cards that lie, stall and are pulled out, and a disk that loses power.

Both are file systems in user space (FUSE, libfuse 2 or 3), each in a process of its own that is told through a socket
what goes wrong next: the station reads and writes them unmodified.
"""

from typing import Final

DISK: Final = "disk-{}"
"""Name of the one file that is a disk; its number grows each time the power comes back."""
BAYS: Final = "bays"
SHELF: Final = "shelf"
"""Folders of the cards that are docked, and of those that are not."""
