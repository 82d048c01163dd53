"""The kinds of values that bodies of entries are made of, each with exactly the spelling section 2 allows.

Values of these types are checked where an entry is read and where one is written.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError

from edged.errors import MalformedError
from edged.evidence import ids, note
from edged.evidence.canonical import MAX_INTEGER
from edged.evidence.text import parse_base64

ID: Final = Field(pattern=f"^(?:{ids.ID_PATTERN})$")
"""Makes a text of an id; pydantic's `$` is the very end, never the place before a last newline."""

HEX_256: Final = Field(pattern="^[0-9a-f]{64}$")

_T = TypeVar("_T")

Many = Annotated[tuple[_T, ...], Strict(strict=False)]
"""An array; kept as a tuple, so that a frozen body stays as it is."""

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Whole = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]

SegmentId = Annotated[ids.SegmentId, Field(pattern=f"^{ids.SEGMENT_PATTERN}$")]
DockingId = Annotated[ids.DockingId, ID]
RecorderId = Annotated[ids.RecorderId, ID]
OfficerId = Annotated[ids.OfficerId, ID]
CaseId = Annotated[ids.CaseId, ID]
StoreId = Annotated[ids.StoreId, ID]
ExportId = Annotated[ids.ExportId, ID]

Digest = Annotated[ids.Sha256, HEX_256]
Sm3 = Annotated[ids.Sm3, HEX_256]
Reference = Annotated[ids.EntryRef, HEX_256]

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _by(check: Callable[[str], object]) -> AfterValidator:
    """Make a validator of a function that raises `MalformedError` for a text of the wrong kind."""

    def checked(text: str) -> str:
        try:
            check(text)
        except MalformedError as error:
            raise ValueError(error.message) from error
        return text

    return AfterValidator(checked)


def _check_path(path: str) -> None:
    ids.unescape_path(path)
    if not path or path.startswith("/"):
        raise MalformedError("a path is relative to the root of the card")


def _check_instant(text: str) -> str:
    if _INSTANT.fullmatch(text) is None:
        raise ValueError("a time is written as RFC 3339 with its offset")
    datetime.fromisoformat(text)
    return text


def _check_term(text: str) -> str:
    if text in {"permanent", "undetermined"}:
        return text
    if _DAY.fullmatch(text) is None:
        raise ValueError("a term is a date, `permanent` or `undetermined`")
    date.fromisoformat(text)
    return text


CardPath = Annotated[str, _by(_check_path)]
"""A path on a card, escaped as `ids.escape_path` writes it."""

Origin = Annotated[str, _by(ids.split_origin)]
Root = Annotated[str, _by(lambda text: parse_base64(text, "the root", length=32))]
"""The root of a tree, base64 as in a checkpoint."""

VerifierKey = Annotated[str, _by(note.parse_vkey)]
Instant = Annotated[str, AfterValidator(_check_instant)]
"""A time as RFC 3339 with an offset, kept as the text it came as."""

Term = Annotated[str, AfterValidator(_check_term)]
"""`retain_until`: a date, `permanent`, or `undetermined`, which is never disposable."""


class Part(BaseModel):
    """A JSON object within an entry: frozen, its values never converted, further keys kept."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


def complaint(error: ValidationError) -> str:
    """Say in a few words what is wrong first, and at which key."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}"
