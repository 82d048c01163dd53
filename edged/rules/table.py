"""What every table of a shipped catalogue has in common.

Guarantee: an unknown key is refused, a value is never converted into another type, and nothing can be changed
after it was read.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")]
"""An id as EVIDENCE.md writes them; it ends up in signed entries, so it cannot be prettified later."""

Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]


class Table(BaseModel):
    """A table of a catalogue file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Name(Table):
    """What people read, in both languages of the user interface."""

    en: Text
    zh: Text
