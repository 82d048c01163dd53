"""Witnesses over HTTP: the client of C2SP `tlog-witness`, add-checkpoint.

Only a line by the key of the configuration, over the very checkpoint that was sent, is given to anybody; lines of other
keys are passed over, as the protocol says. A witness that answers 409 is asked again from the size that it names.
"""

import re
from collections.abc import Sequence
from typing import Final

from edged.anchors.port import AnchorError, Conflict, Cosigned, ForkError, UnknownLogError
from edged.anchors.post import Answer, Poster
from edged.errors import MalformedError
from edged.evidence import cosignatures
from edged.evidence.note import VerifierKey, parse_note
from edged.evidence.proofs import format_consistency

SIZE_TYPE: Final = "text/x.tlog.size"
_HEADERS: Final = {"Content-Type": "text/plain; charset=utf-8"}
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,17})\n")
_MOST_LINES: Final = 100


class HttpWitness:
    """One witness."""

    def __init__(self, name: str, poster: Poster, key: VerifierKey) -> None:
        """`poster` posts to its submission prefix followed by `/add-checkpoint`."""
        self.name = name
        self._poster = poster
        self._key = key

    def add_checkpoint(self, old: int, proof: Sequence[bytes], checkpoint: bytes) -> Cosigned | Conflict:
        """Have a checkpoint cosigned that `proof` shows to extend the one of size `old`, 0 for none.

        Raises UnknownLogError, ForkError, AnchorError, or UnavailableError where nobody answers.
        """
        answer = self._poster.post(format_consistency(old, proof, checkpoint), _HEADERS)
        match answer.status:
            case 200:
                return self._cosigned(answer.body, parse_note(checkpoint).text)
            case 409:
                return self._conflict(answer)
            case 404:
                raise UnknownLogError(
                    f"The witness {self.name} does not know this ledger.",
                    hint="Whoever runs it adds the key of the ledger to its witness.toml.",
                )
            case 403:
                raise UnknownLogError(
                    f"The witness {self.name} knows another key of this ledger.",
                    hint="Whoever runs it corrects the key of the ledger in its witness.toml.",
                )
            case 422:
                raise ForkError(
                    f"The witness {self.name} says that this ledger contradicts what it cosigned before.",
                    hint="Was this station restored from a backup, or its disk copied? Or the witness is at fault.",
                )
            case status:
                raise AnchorError(
                    f"The witness {self.name} refuses (HTTP {status}).", hint="Correct its `url`, or ask who runs it."
                )

    def close(self) -> None:
        """Give up all connections."""
        self._poster.close()

    def _cosigned(self, body: bytes, text: str) -> Cosigned:
        lines = body.splitlines(keepends=True)
        ours = [line for line in lines[:_MOST_LINES] if cosignatures.is_by(line, self._key)]
        if not ours:
            raise self._refused("it holds no cosignature by its key")
        try:
            moment = cosignatures.verify(ours[0], text, self._key)
        except MalformedError as error:
            raise self._refused(error.message) from error
        return Cosigned(line=ours[0], moment=moment, by=self._key.name)

    def _conflict(self, answer: Answer) -> Conflict:
        found = _SIZE.fullmatch(answer.body)
        if answer.kind != SIZE_TYPE or found is None:
            raise self._refused("it names a conflict, but no size")
        return Conflict(size=int(found[1]))

    def _refused(self, why: str) -> AnchorError:
        return AnchorError(
            f"What the witness {self.name} answers is refused: {why}.",
            hint="Is `vkey` the key of this witness? Its answer was not kept.",
        )
