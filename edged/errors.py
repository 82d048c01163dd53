"""Every error of edged: one root, a stable exit code, a sentence for a person and a hint what to do next.

Errors of other libraries are wrapped where they enter, so that nothing but an `EdgedError` travels between
rooms. `cli/main.py` is the one place that turns an error into an exit code.

The exit codes follow `sysexits.h`; 0, 1 and 2 are the verdicts of `edged verify` (EVIDENCE.md, section 7).
"""

from typing import ClassVar


class EdgedError(Exception):
    """The root of all errors that edged raises on purpose."""

    exit_code: int = 70
    """What the process exits with when this error ends a command."""

    retry: ClassVar[bool] = False
    """Whether the same attempt can succeed later without anybody changing anything."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(EdgedError):
    """The command line asks for something that cannot be asked for."""

    exit_code = 64


class MalformedError(EdgedError):
    """Bytes are not what their format says they must be."""

    exit_code = 65


class UnreadableError(EdgedError):
    """A file or folder that a command was pointed at cannot be read."""

    exit_code = 66


class UnavailableError(EdgedError):
    """Something outside the process (daemon, store, tool) cannot be reached now."""

    exit_code = 69
    retry = True


class LedgerError(EdgedError):
    """The ledger contradicts itself or what was published of it; signing stops."""

    exit_code = 70


class RecorderError(EdgedError):
    """A recorder cannot be read, or stopped being readable: pulled out, dying card, damaged file system."""

    exit_code = 74
    retry = True


class RefusedRecorderError(EdgedError):
    """A recorder is not taken in: it matches no profile, or is not in the register."""

    exit_code = 77


class StorageError(EdgedError):
    """The station's own disk refuses: full, read-only, or failing."""

    exit_code = 74
    retry = True


class FullError(StorageError):
    """The station's disk has no room beyond its reserve; nothing was lost, intake waits."""


class StoreError(EdgedError):
    """Central storage refuses, or answers something that contradicts what was sent."""

    exit_code = 74
    retry = True


class ToolError(EdgedError):
    """A helper program (ffmpeg, ffprobe, the sandbox) is missing, failed, or went over its bounds."""

    exit_code = 69


class InUseError(EdgedError):
    """Another daemon holds this state folder."""

    exit_code = 75
    retry = True


class NewerStateError(EdgedError):
    """The state folder was written by a newer edged than this one."""

    exit_code = 76


class NotAllowedError(EdgedError):
    """Who asks may not do this."""

    exit_code = 77


class ConfigError(EdgedError):
    """The configuration is missing, unreadable or wrong; the message names file, key and what is allowed."""

    exit_code = 78


class StoppedError(EdgedError):
    """A shutdown interrupted the work; it is taken up again after the next start."""

    exit_code = 75
    retry = True
