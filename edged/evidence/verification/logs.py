"""The logs of a bundle as they lie there: certificates, checkpoints, and proofs that join them.

Reading only: what is malformed or missing becomes an objection that `history` judges with the rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509

from edged.errors import MalformedError
from edged.evidence import cosignatures
from edged.evidence.certificates import load_certificates, raw_public_key
from edged.evidence.merkle import verify_consistency
from edged.evidence.note import Checkpoint, Note, VerifierKey, parse_checkpoint, parse_note, parse_vkey, vkey
from edged.evidence.proofs import ConsistencyProof, parse_consistency
from edged.evidence.verification.layout import LogFiles, LogId, SizeFiles
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.report import Check, failed, not_established

MAX_NOTE_BYTES: Final = 64 << 10
"""A checkpoint with a hundred witnesses has a fifth of this."""

_MAX_PEM_BYTES: Final = 256 << 10


@dataclass(frozen=True, kw_only=True)
class LogKey:
    """The key of a log, as the certificate that came with the evidence has it."""

    certificates: tuple[x509.Certificate, ...]
    """The log's own first, then its issuers."""

    public: bytes
    """Raw Ed25519 key."""

    def named(self, origin: str) -> VerifierKey:
        """Give the key under the name that signs the checkpoints of `origin`."""
        return parse_vkey(vkey(origin, self.public))


@dataclass(frozen=True, kw_only=True)
class Head:
    """One checkpoint as it stands under `logs/`; nothing of it is verified yet."""

    checkpoint: Checkpoint
    note: Note
    data: bytes
    """As signed by the log alone."""
    cosigned: bytes | None

    @property
    def forms(self) -> frozenset[bytes]:
        """The bytes that a proof may end in."""
        return frozenset({self.data} if self.cosigned is None else {self.data, self.cosigned})

    @property
    def cosignatures(self) -> tuple[bytes, ...] | None:
        """The lines of witnesses; None where `checkpoint.cosigned` is not that checkpoint and such lines."""
        if self.cosigned is None:
            return ()
        try:
            lines = cosignatures.lines(self.cosigned)[1:]
            names = {cosignatures.parse_line(line).name for line in lines}
        except MalformedError:
            return None
        is_extended = self.data + b"".join(lines) == self.cosigned and lines and self.checkpoint.origin not in names
        return lines if is_extended else None


@dataclass(kw_only=True)
class Log:
    """What is here of one log, as far as it can be read."""

    name: str
    """STATION/EPOCH, as in the path."""
    key: LogKey | None = None
    heads: dict[int, Head] = field(default_factory=dict)
    """By size, smallest first."""
    joints: dict[int, ConsistencyProof] = field(default_factory=dict)
    """By the larger size."""
    objections: list[Check] = field(default_factory=list)
    _extended: dict[tuple[int, int], bool] = field(default_factory=dict)
    """What `extends` found, so that a bundle of very many sizes is not proven over and over."""

    def origin(self) -> str | None:
        """Give the origin that the checkpoints name, None where there is none or they disagree."""
        origins = {head.checkpoint.origin for head in self.heads.values()}
        return origins.pop() if len(origins) == 1 else None

    def extends(self, smaller: int, larger: int) -> bool:
        """Say whether a proof here shows that the checkpoint of a size extends that of the next smaller one."""
        if (smaller, larger) not in self._extended:
            self._extended[smaller, larger] = self._proves(smaller, larger)
        return self._extended[smaller, larger]

    def _proves(self, smaller: int, larger: int) -> bool:
        old, new, joint = self.heads[smaller], self.heads[larger], self.joints.get(larger)
        return (
            joint is not None
            and joint.old == smaller
            and joint.checkpoint in new.forms
            and verify_consistency(smaller, larger, joint.hashes, old.checkpoint.root, new.checkpoint.root)
        )

    def steps(self) -> Iterator[tuple[int, int | None]]:
        """Give each size, largest first, with the next larger one if that is proven to extend it."""
        larger: int | None = None
        for size in reversed(self.heads):
            yield size, larger if larger is not None and self.extends(size, larger) else None
            larger = size


def read_logs(files: Mapping[LogId, LogFiles], contents: Contents) -> dict[LogId, Log]:
    """Read every log of the bundle."""
    return {log: _read_log(log, here, contents) for log, here in files.items()}


def _read_log(log: LogId, files: LogFiles, contents: Contents) -> Log:
    found = Log(name="/".join(log))
    if files.station is None:
        _miss(found, "station.pem")
    else:
        try:
            certificates = load_certificates(contents.small(files.station, _MAX_PEM_BYTES))
            found.key = LogKey(certificates=certificates, public=raw_public_key(certificates[0]))
        except MalformedError as error:
            _refuse(found, "station.pem", error)
    smaller: int | None = None
    for size in sorted(files.sizes):
        try:
            _read_size(found, size, files.sizes[size], contents)
            _read_joints(found, files, size, smaller, contents)
        except MalformedError as error:
            _refuse(found, str(size), error)
        smaller = size
    return found


def _read_size(log: Log, size: int, files: SizeFiles, contents: Contents) -> None:
    if files.checkpoint is None:
        _miss(log, f"{size}/checkpoint")
        return
    data = contents.small(files.checkpoint, MAX_NOTE_BYTES)
    cosigned = contents.small(files.cosigned, MAX_NOTE_BYTES) if files.cosigned else None
    note = parse_note(data)
    log.heads[size] = Head(checkpoint=parse_checkpoint(note.text), note=note, data=data, cosigned=cosigned)


def _read_joints(log: Log, files: LogFiles, size: int, smaller: int | None, contents: Contents) -> None:
    for old, path in files.sizes[size].joined_from.items():
        joint = parse_consistency(contents.small(path, MAX_NOTE_BYTES))
        if joint.old != old:
            raise MalformedError(f"from-{old}.consistency proves from another size than its name says")
        if old == smaller:
            log.joints[size] = joint
        elif old in files.sizes:
            raise MalformedError(f"from-{old}.consistency does not join the next smaller size of the bundle")
        else:
            _miss(log, str(old))


def _miss(log: Log, name: str) -> None:
    log.objections.append(not_established(f"logs/{log.name}/{name} is not here.", f"缺少 logs/{log.name}/{name}。"))


def _refuse(log: Log, name: str, error: MalformedError) -> None:
    log.objections.append(
        failed(f"logs/{log.name}/{name} is malformed: {error}.", f"logs/{log.name}/{name} 格式有误：{error}。")
    )
