"""exFAT in user space, where the kernel has no driver for it: exfat-fuse, as a user of its own and without any right.

The mounter makes the mount and hands over one end of it; the program that interprets what a stranger wrote has no
capability, no network, no files but programs and libraries, one device, and a user that owns nothing else. It runs in
bubblewrap, as media tools do. libfuse 3 takes such a mount under the name `/dev/fd/N`; libfuse 2 asks `fusermount` for
one, so in the sandbox that name is a script (`fusermount` beside this module) that answers with the one there is.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

from edged.errors import RecorderError, RefusedRecorderError
from edged.mountd import kernel
from edged.mountd.condition import exfat_cluster_bytes
from edged.mountd.devices import BayDevice

_SEARCH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FUSERMOUNT: Final = Path(__file__).with_name("fusermount")
_START_SECONDS: Final = 10
_LAST_WORDS_BYTES: Final = 300
_LONGEST_BLOCK: Final = 4096
_MEMORY_BYTES: Final = 1 << 29
_OPEN_FILES: Final = 64


@dataclass(frozen=True, kw_only=True)
class User:
    """A user of this machine."""

    uid: int
    gid: int


class Server:
    """The program behind one mount."""

    def __init__(self, init: int) -> None:
        """Keep the descriptor (pidfd_open(2)) of the sandbox's first process, with which all in it end."""
        self._init = init

    def end(self) -> None:
        """End it at once; whoever waits for an answer of it gets an error."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._init, signal.SIGKILL)

    def close(self) -> None:
        """Forget it; it ends by itself when its file system is unmounted."""
        os.close(self._init)


def serve(device: BayDevice, folder: Path, *, user: User, owner: User, flags: int) -> Server:
    """Mount an exFAT file system at `folder`, its files belonging to `owner`, the program running as `user`.

    Raises RefusedRecorderError if it cannot be mounted or the tools are missing, RecorderError if it may pass.
    """
    command = _command(device.node, owner, read_only=bool(flags & kernel.MS_RDONLY))
    os.fchown(device.fd, user.uid, -1)
    channel = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        block = max(512, min(exfat_cluster_bytes(device.read), _LONGEST_BLOCK))
        options = (
            f"fd={channel},rootmode=40000,user_id={user.uid},group_id={user.gid},"
            f"allow_other,default_permissions,blksize={block}"
        )
        try:
            kernel.mount(device.node, folder, "fuseblk", flags, options)
        except OSError as error:
            raise RecorderError(f"The card cannot be mounted: {error.strerror}.") from error
        try:
            return _start(command, channel, user)
        except RefusedRecorderError:
            kernel.unmount(folder, lazily=True)
            raise
    finally:
        os.close(channel)


def _start(command: list[str], channel: int, user: User) -> Server:
    """Start the program and wait until it answers; then it has gone into the background."""
    with TemporaryFile() as said, TemporaryFile() as status:
        words = [*_limits(), _tool("bwrap"), "--info-fd", str(status.fileno()), *command, f"/dev/fd/{channel}"]
        program = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={"EDGED_FUSE": str(channel)},
            pass_fds=[channel, status.fileno()],
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            start_new_session=True,
        )
        try:
            code: int | None = program.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            code = None
        server = _server(status)
        if code == 0 and server is not None:
            return server
        if server is not None:
            server.end()
            server.close()
        raise RefusedRecorderError(
            f"exfat-fuse cannot mount the card: {_last_words(said)}", hint="Nothing on it was changed."
        )


def _command(node: Path, owner: User, *, read_only: bool) -> list[str]:
    mode = "ro" if read_only else "rw"
    return [
        *("--unshare-all", "--disable-userns", "--unshare-user", "--cap-drop", "ALL", "--new-session"),
        *("--ro-bind", "/usr", "/usr", "--ro-bind", "/etc/passwd", "/etc/passwd"),
        *("--ro-bind-try", "/etc/localtime", "/etc/localtime", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"),
        *("--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin"),
        *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
        *("--proc", "/proc", "--dev", "/dev", "--dev-bind", str(node), "/dev/card"),
        # libfuse 2 opens it before it tries to mount, which it may not; the mount that there is comes from outside.
        *("--dev-bind", "/dev/null", "/dev/fuse"),
        *("--ro-bind", str(_FUSERMOUNT), "/usr/bin/fusermount"),
        *("--", _tool("mount.exfat-fuse"), "-o"),
        f"{mode},uid={owner.uid},gid={owner.gid},dmask=0077,fmask=0177",
        "/dev/card",
    ]


def _limits() -> list[str]:
    wanted = {
        "as": (resource.RLIMIT_AS, _MEMORY_BYTES),
        "nofile": (resource.RLIMIT_NOFILE, _OPEN_FILES),
        "core": (resource.RLIMIT_CORE, 0),
    }
    words = [_tool("prlimit")]
    for name, (kind, most) in wanted.items():
        hard = resource.getrlimit(kind)[1]
        words.append(f"--{name}={most if hard == resource.RLIM_INFINITY else min(most, hard)}")
    return [*words, "--"]


def _server(status: IO[bytes]) -> Server | None:
    """Read from bubblewrap which process is the sandbox's first; None if it did not come that far."""
    status.seek(0)
    try:
        plain: dict[str, Any] = json.loads(status.read())
        return Server(os.pidfd_open(int(plain["child-pid"])))
    except (ValueError, KeyError, ProcessLookupError):
        return None


def _tool(name: str) -> str:
    found = shutil.which(name, path=_SEARCH)
    if found is None:
        raise RefusedRecorderError(
            f"The kernel has no driver for exFAT, and {name} is not installed.",
            hint="Install exfat-fuse and bubblewrap, or a kernel with the exfat module, and dock the recorder again.",
        )
    return found


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read(1 << 16).decode("utf-8", "replace").split("\n")
    words = [line.strip() for line in lines if line.strip() and not line.startswith("FUSE exfat")]
    return ascii(words[0][:_LAST_WORDS_BYTES])[1:-1] if words else "it said nothing"
