"""Time-stamping authorities over HTTP (RFC 3161, section 3.4).

A token is verified before it is given to anybody: granted, over these bytes, with this request's nonce, by a chain
to a root of the configuration. What is wrong is said; nothing wrong is kept.
"""

from collections.abc import Sequence
from typing import Final

from cryptography import x509

from edged.anchors.port import AnchorError, Stamp
from edged.anchors.post import Poster
from edged.clock import random_hex
from edged.errors import MalformedError
from edged.evidence import timestamps

_OK: Final = 200
_NONCE_DIGITS: Final = 16
_HEADERS: Final = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


class HttpAuthority:
    """One authority."""

    def __init__(self, name: str, poster: Poster, roots: Sequence[x509.Certificate]) -> None:
        """`roots` are the certificates that its tokens must lead to."""
        self.name = name
        self._poster = poster
        self._roots = tuple(roots)

    def stamp(self, data: bytes) -> Stamp:
        """Have `data` stamped. Raises AnchorError, or UnavailableError where nobody answers."""
        nonce = int(random_hex(_NONCE_DIGITS), 16) or 1
        answer = self._poster.post(timestamps.request(data, nonce), _HEADERS)
        if answer.status != _OK:
            raise AnchorError(
                f"The authority {self.name} refuses (HTTP {answer.status}).",
                hint="Correct its `url`, or ask who runs it.",
            )
        try:
            token = timestamps.verify(answer.body, data, self._roots, nonce=nonce)
        except MalformedError as error:
            raise AnchorError(
                f"What the authority {self.name} answers is refused: {error.message}.",
                hint="Is `root` the root of this authority? Its answer was not kept.",
            ) from error
        return Stamp(data=answer.body, moment=token.moment, by=token.authority, expires=token.expires)

    def close(self) -> None:
        """Give up all connections."""
        self._poster.close()
