"""Which witnesses must have cosigned: C2SP `tlog-policy` files, read strictly.

A policy names witnesses, groups of them, and the quorum. `log` lines are ignored: which log it must be is said by
the evidence and its certificate (EVIDENCE.md, section 7). Witnesses are those of `tlog-cosignature` with Ed25519
keys (type 0x04); a file with any other is refused, rather than weighed without it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from edged.errors import MalformedError
from edged.evidence import cosignatures
from edged.evidence.note import COSIGNATURE, VerifierKey, parse_vkey

NONE: Final = "none"
"""The quorum that nothing is needed for, and that therefore shows nothing."""

_MAX_BYTES: Final = 1 << 20
_MAX_NAMES: Final = 1_000
_FORBIDDEN: Final = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}")
_BLANKS: Final = " \t"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Witnesses, or other groups, of which some must have cosigned."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which cosignatures make a checkpoint one that was witnessed."""

    witnesses: Mapping[str, VerifierKey]
    """By their names in the file, which need not be the names of their keys."""
    groups: Mapping[str, Group]
    """In the order of their definition: each names only what stands before it."""
    quorum: str | None
    """Name of a witness or group; None for `quorum none`."""

    def moment(self, times: Mapping[str, datetime]) -> datetime | None:
        """Give a quorum's time: the latest in the earliest set of witnesses that satisfies it.

        `times` says when each witness, by its name in the file, cosigned. None where no quorum did, and for
        `quorum none`.
        """
        reached = {name: times[name] for name in self.witnesses if name in times}
        for name, group in self.groups.items():
            # A group has cosigned when the last of the members that it needs has; a name is a member only once.
            members = sorted(reached[member] for member in group.members if member in reached)
            if len(members) >= group.needed:
                reached[name] = members[group.needed - 1]
        return None if self.quorum is None else reached.get(self.quorum)

    def times(self, text: str, lines: Sequence[bytes]) -> dict[str, datetime]:
        """Verify the lines of this policy's witnesses over the text of a checkpoint, and give when each cosigned.

        Lines of others are passed over. Raises MalformedError if one that claims to be by a witness is not valid.
        """
        found = {name: cosignatures.earliest(lines, text, key) for name, key in self.witnesses.items()}
        return {name: moment for name, moment in found.items() if moment is not None}


def parse(data: bytes) -> Policy:
    """Read a policy file; the error names the line that is wrong."""
    if len(data) > _MAX_BYTES:
        raise MalformedError("the policy is longer than a megabyte")
    if _FORBIDDEN.search(data):
        raise MalformedError("a policy holds no control characters but tab and newline")
    if data and not data.endswith(b"\n"):
        raise MalformedError("the last line of the policy is not ended")
    # Bytes beyond ASCII are opaque: what is not UTF-8 stays what it is.
    reader = _Reader()
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n")[:-1], 1):
        try:
            reader.read([item for item in re.split(f"[{_BLANKS}]+", line.strip(_BLANKS)) if item])
        except MalformedError as error:
            raise MalformedError(f"line {number}: {error.message}") from error
    return reader.finish()


class _Reader:
    """Takes a policy in line by line."""

    def __init__(self) -> None:
        self._witnesses: dict[str, VerifierKey] = {}
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._quorums: list[str] = []

    def read(self, items: Sequence[str]) -> None:
        match items:
            case []:
                pass
            case [first, *_] if first.startswith("#"):
                pass
            case ["log", _] | ["log", _, _]:
                pass
            case ["witness", name, key] | ["witness", name, key, _]:
                self._add_witness(name, key)
            case ["group", name, needed, first, *more]:
                self._add_group(name, needed, (first, *more))
            case ["quorum", name]:
                self._set_quorum(name)
            case [keyword, *_]:
                raise MalformedError(f"this is no line of a policy: {keyword!a}")

    def finish(self) -> Policy:
        if not self._quorums:
            raise MalformedError("the policy has no quorum line")
        (quorum,) = self._quorums
        return Policy(witnesses=self._witnesses, groups=self._groups, quorum=None if quorum == NONE else quorum)

    def _add_witness(self, name: str, written: str) -> None:
        self._check_new(name)
        key = parse_vkey(written)
        if key.kind != COSIGNATURE:
            raise MalformedError(f"the key of {name!a} is not one for cosignatures (type 0x04)")
        if any(key.public == other.public for other in self._witnesses.values()):
            raise MalformedError(f"the key of {name!a} is also that of another witness")
        self._witnesses[name] = key

    def _add_group(self, name: str, needed: str, members: tuple[str, ...]) -> None:
        self._check_new(name)
        for member in members:
            self._check_defined(member)
            if member in self._members:
                raise MalformedError(f"{member!a} is a member twice")
            self._members.add(member)
        count = {"any": 1, "all": len(members)}.get(needed)
        if count is None:
            count = int(needed) if _NUMBER.fullmatch(needed) else 0
        if not 1 <= count <= len(members):
            raise MalformedError(f"{needed!a} is not `any`, `all`, or a number of the {len(members)} members")
        self._groups[name] = Group(needed=count, members=members)

    def _set_quorum(self, name: str) -> None:
        if self._quorums:
            raise MalformedError("a second quorum line")
        if name != NONE:
            self._check_defined(name)
        self._quorums.append(name)

    def _check_new(self, name: str) -> None:
        if name == NONE or name in self._witnesses or name in self._groups:
            raise MalformedError(f"the name {name!a} is taken")
        if len(self._witnesses) + len(self._groups) >= _MAX_NAMES:
            raise MalformedError(f"more than {_MAX_NAMES} witnesses and groups")

    def _check_defined(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise MalformedError(f"{name!a} is defined on no line before")
