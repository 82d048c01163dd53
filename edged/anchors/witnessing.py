"""Being a witness: what C2SP `tlog-witness` asks, decided for one request at a time.

Order: read the request; the log is known, and signed this; then, holding the log alone, the old size is the one
remembered, the proof leads from its root to the new one; cosign; remember, durably; only then is the line given to
anybody. So a witness that is killed at any instruction has never said anything that it does not remember.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.anchors.memory import Memory, Seen
from edged.anchors.tlog_witness import SIZE_TYPE
from edged.clock import Clock
from edged.errors import MalformedError
from edged.evidence import cosignatures
from edged.evidence.merkle import EMPTY_ROOT, verify_consistency
from edged.evidence.note import Checkpoint, Note, VerifierKey, parse_checkpoint, parse_note, verify
from edged.evidence.proofs import ConsistencyProof, parse_consistency

MAX_BODY_BYTES: Final = 64 << 10
"""A request has 63 hashes and a checkpoint with its signatures: a tenth of this."""

_TEXT: Final = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a request is answered."""

    status: int
    body: bytes
    kind: str = _TEXT


class Witnessing:
    """One witness: its key, the logs it knows, and what it remembers."""

    def __init__(
        self,
        name: str,
        private: Ed25519PrivateKey,
        logs: Mapping[str, Sequence[VerifierKey]],
        memory: Memory,
        clock: Clock,
    ) -> None:
        """Witness the `logs`: the keys of each by its origin."""
        self.name = name
        self._private = private
        self._logs = logs
        self._memory = memory
        self._clock = clock
        self._origins = {hashlib.sha256(origin.encode()).hexdigest(): origin for origin in logs}

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer an add-checkpoint request; raises StorageError if what was seen cannot be remembered."""
        if len(body) > MAX_BODY_BYTES:
            return _no(413, "The request is too long.")
        try:
            proof = parse_consistency(body)
            note = parse_note(proof.checkpoint)
            checkpoint = parse_checkpoint(note.text)
        except MalformedError as error:
            return _no(400, f"Malformed: {error.message}.")
        keys = self._logs.get(checkpoint.origin)
        if keys is None:
            return _no(404, "This witness does not know the log.")
        signed = _signed(proof.checkpoint, note, keys)
        if not signed:
            return _no(403, "No known key of the log signed the checkpoint, or a signature by one is wrong.")
        if proof.old > checkpoint.size:
            return _no(400, "The old size is larger than the checkpoint's.")
        return self._decide(proof, checkpoint, note, signed)

    def newest(self, origin_hash: str) -> Reply:
        """Give the newest cosigned checkpoint of a log by the SHA-256 of its origin, for monitors."""
        origin = self._origins.get(origin_hash)
        seen = None if origin is None else self._memory.seen(origin)
        return _no(404, "Nothing was cosigned.") if seen is None else Reply(status=200, body=seen.note)

    def _decide(self, proof: ConsistencyProof, checkpoint: Checkpoint, note: Note, signed: Sequence[bytes]) -> Reply:
        with self._memory.turn(checkpoint.origin) as turn:
            seen = turn.seen
            size, root = (0, EMPTY_ROOT) if seen is None else (seen.size, seen.root)
            if proof.old != size:
                return Reply(status=409, body=f"{size}\n".encode(), kind=SIZE_TYPE)
            if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
                return _no(422, "The root is not that of the empty tree.")
            if not _extends(proof, checkpoint, root):
                # A log that signed this forked: whoever runs it, or looks into it, wants these bytes.
                _log.error("%s does not extend what was cosigned at size %d: %r", checkpoint.origin, size, note.text)
                return _no(422, "The proof does not show that the log only grew.")
            line = cosignatures.cosign(note.text, self.name, self._private, self._clock.now())
            kept = note.text.encode() + b"\n" + b"".join(signed) + line
            turn.remember(Seen(size=checkpoint.size, root=checkpoint.root, note=kept))
        return Reply(status=200, body=line)


def _signed(data: bytes, note: Note, keys: Sequence[VerifierKey]) -> list[bytes]:
    """Give the lines by which known keys signed a checkpoint; none if there are none, or if one of them is wrong."""
    ours = {(key.name, key.key_id): key for key in keys}
    by = [ours.get((each.name, each.key_id)) for each in note.signatures]
    if not all(verify(note, key) for key in by if key is not None):
        return []
    return [line for line, key in zip(cosignatures.lines(data), by, strict=True) if key is not None]


def _extends(proof: ConsistencyProof, checkpoint: Checkpoint, root: bytes) -> bool:
    """Say whether the tree remembered is the beginning of the new one; nothing is proven from an empty one."""
    if proof.old == 0:
        return not proof.hashes
    return verify_consistency(proof.old, checkpoint.size, proof.hashes, root, checkpoint.root)


def _no(status: int, why: str) -> Reply:
    return Reply(status=status, body=f"{why}\n".encode())
