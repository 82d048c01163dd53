"""The register of recorders and officers, `config/register.toml`: who may be taken in, and who may carry what.

Ordinary data (DESIGN.md, section 2). It is checked whole: a number that stands in it twice would make two
recorders of one, so it is refused, and nothing is guessed.
"""

from collections import Counter
from collections.abc import Hashable, Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edged.bays.profiles import Profile
from edged.config import read_toml
from edged.errors import ConfigError
from edged.evidence.ids import OfficerId, RecorderId, is_id


def _checked(text: str) -> str:
    if not is_id(text):
        raise ValueError("letters, digits, `.`, `_` and `-`, at most 64, beginning with a letter, digit or `_`")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=True)


class RegisteredRecorder(_Part):
    """One recorder that this station takes in."""

    id: Annotated[RecorderId, AfterValidator(_checked)]
    profile: Annotated[str, AfterValidator(_checked)]
    """Id of its profile."""
    serial: _Text
    """The number by which it names itself, exactly as on the card."""
    vendor: _Text | None = None
    model: _Text | None = None
    officer: Annotated[OfficerId, AfterValidator(_checked)] | None = None
    """To whom it is allocated; None for a recorder of the pool."""


class RegisteredOfficer(_Part):
    """One officer whose recordings are expected, and the days on which a qualification is valid."""

    id: Annotated[OfficerId, AfterValidator(_checked)]
    name: str = ""
    unit: str = ""
    valid_from: date | None = None
    valid_until: date | None = None
    """The last day; None for an open end."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_from > self.valid_until:
            raise ValueError("valid_from not after valid_until")
        return self

    def qualified_on(self, day: date) -> bool:
        """Say whether the qualification is valid on this day, both ends included."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


class Register(_Part):
    """All recorders and officers; in the file, `[[recorder]]` and `[[officer]]`."""

    recorders: tuple[RegisteredRecorder, ...] = Field(default=(), alias="recorder")
    officers: tuple[RegisteredOfficer, ...] = Field(default=(), alias="officer")

    @model_validator(mode="after")
    def _without_doubles(self) -> Self:
        _once("a recorder id", (recorder.id for recorder in self.recorders))
        _once("a serial number of one profile", ((r.profile, r.serial) for r in self.recorders))
        _once("an officer id", (officer.id for officer in self.officers))
        known = {officer.id for officer in self.officers}
        for recorder in self.recorders:
            if recorder.officer is not None and recorder.officer not in known:
                raise ValueError(f"recorder {recorder.id!r} needs an officer who has an [[officer]] table")
        return self

    def find(self, profile: str, serial: str) -> RegisteredRecorder | None:
        """Give the recorder with this profile and serial number."""
        return next((r for r in self.recorders if (r.profile, r.serial) == (profile, serial)), None)

    def officer(self, officer: OfficerId) -> RegisteredOfficer | None:
        """Give the officer with this id."""
        return next((known for known in self.officers if known.id == officer), None)


def load_register(path: Path, profiles: Iterable[Profile]) -> Register:
    """Read `register.toml`; raises ConfigError, also for a recorder whose profile is not among `profiles`."""
    register = read_toml(path, Register)
    allowed = [profile.id for profile in profiles]
    for position, recorder in enumerate(register.recorders):
        if recorder.profile not in allowed:
            raise ConfigError(
                f"{path}: recorder.{position}.profile is {recorder.profile!r}; allowed: {', '.join(allowed)}.",
                hint="Nothing was changed. Correct the file and try again.",
            )
    return register


def _once(what: str, values: Iterable[Hashable]) -> None:
    if doubled := [value for value, count in Counter(values).items() if count > 1]:
        raise ValueError(f"{what} may stand only once; found several times: {doubled[0]!r}")
