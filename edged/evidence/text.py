"""Numbers and digests inside signed text: exactly one spelling is accepted for each value.

Python's own `int()` and `b64decode()` take digits of other scripts, signs, underscores, padding in odd places
and stray bits at the end. A format in which bytes are hashed must not: two spellings of one value would be
two documents that read the same.
"""

import base64
import re
from typing import Final

from edged.errors import MalformedError

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
MAX_SIZE: Final = 2**63 - 1
"""The largest log size or index that is read; C2SP counts in signed 64 bits."""


def parse_decimal(text: str, what: str) -> int:
    """Read an ASCII decimal without leading zeroes, at most `MAX_SIZE`; `what` names it in the error."""
    if _DECIMAL.fullmatch(text) is None or (number := int(text)) > MAX_SIZE:
        raise MalformedError(f"{what} is no decimal number: {_short(text)}")
    return number


def parse_base64(text: str, what: str, *, length: int | None = None) -> bytes:
    """Read standard base64 (RFC 4648, section 4) in its one canonical spelling, of `length` bytes if given."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise MalformedError(f"{what} is no base64: {_short(text)}") from error
    if to_base64(data) != text:
        raise MalformedError(f"{what} is not in the one canonical base64 spelling: {_short(text)}")
    if length is not None and len(data) != length:
        raise MalformedError(f"{what} has {len(data)} bytes instead of {length}")
    return data


def to_base64(data: bytes) -> str:
    """Write standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def _short(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "…")  # noqa: PLR2004 - room for one base64 digest
