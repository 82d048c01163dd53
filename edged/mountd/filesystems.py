"""How each kind of file system is mounted: read-only without writing one byte, or to be written to.

Read-only means three things at once: the mount is, the file system is told not to repair or replay anything, and the
kernel refuses writes to the device whatever asks for them. Never executable, never with devices, never with
privileged files, and no link on it is followed. All files belong to the daemon's user, whatever the card says.
"""

import errno
from pathlib import Path
from typing import Final

from edged.errors import RecorderError, RefusedRecorderError
from edged.mountd import exfat_fuse, kernel
from edged.mountd.devices import BayDevice
from edged.mountd.exfat_fuse import Server, User
from edged.mountd.ids import lend

KNOWN: Final = ("exfat", "vfat", "ext4")

_FLAGS: Final = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_NOSYMFOLLOW | kernel.MS_NOATIME
_NO_DRIVER: Final = errno.ENODEV
_PASSING: Final = {errno.EIO, errno.ENXIO, errno.ENOMEDIUM, errno.ENOENT, errno.ENOMEM}
_BY_HAND: Final = "Nothing on it was changed. Look at the card by hand."


def mount_card(
    device: BayDevice, folder: Path, *, owner: User, fuse_user: User | None, read_only: bool
) -> Server | None:
    """Mount a card at `folder` for `owner`; gives the program behind it where there is one.

    Raises RefusedRecorderError with the reason, RecorderError if it may pass.
    """
    if device.filesystem not in KNOWN:
        kind = ascii(device.filesystem)[1:-1] or "none that is known"
        raise RefusedRecorderError(
            f"The card's file system is {kind}; recorders have exFAT, FAT or ext4.", hint=_BY_HAND
        )
    device.protect(on=read_only)
    flags = _FLAGS | (kernel.MS_RDONLY if read_only else 0)
    try:
        kernel.mount(device.node, folder, device.filesystem, flags, _options(device.filesystem, owner, read_only))
    except OSError as error:
        if error.errno == _NO_DRIVER and device.filesystem == "exfat":
            if fuse_user is None:
                raise RefusedRecorderError(
                    "The kernel has no driver for exFAT, and there is no user for exfat-fuse to run as.",
                    hint="Make the user that --fuse-user names, or load the kernel's exfat module.",
                ) from error
            return exfat_fuse.serve(device, folder, user=fuse_user, owner=owner, flags=flags)
        raise _refusal(device, error) from error
    if device.filesystem == "ext4":
        lend(folder, owner)
    return None


def _options(filesystem: str, owner: User, read_only: bool) -> str:  # noqa: FBT001 - see `mount_card`
    match filesystem:
        case "exfat":
            return f"uid={owner.uid},gid={owner.gid},dmask=0077,fmask=0177,iocharset=utf8,errors=remount-ro"
        case "vfat":
            return f"uid={owner.uid},gid={owner.gid},dmask=0077,fmask=0177,utf8=1,errors=remount-ro"
        case _:
            # Even a read-only mount replays the journal of a card that was pulled out, unless told not to load it.
            return "noload" if read_only else "errors=remount-ro"


def _refusal(device: BayDevice, error: OSError) -> RefusedRecorderError | RecorderError:
    if error.errno == _NO_DRIVER:
        return RefusedRecorderError(
            f"The kernel has no driver for {device.filesystem}.", hint=f"Load its module {device.filesystem}."
        )
    if error.errno == errno.EBUSY:
        return RecorderError("Something else on this machine uses the card.")
    if error.errno in _PASSING:
        return RecorderError(f"The card cannot be mounted: {error.strerror}.")
    return RefusedRecorderError(
        f"The card's file system is damaged; the kernel does not mount it: {error.strerror}.", hint=_BY_HAND
    )
