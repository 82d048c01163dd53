"""Recorder profiles: how one kind of recorder lays out its card, as data in `config/recorders/*.toml`.

A profile says what names mean, never what is taken: every file of a card is a segment, whether a layout rule fits
it or not. A profile that does not make sense is refused as a whole, with file, key and what is allowed.
"""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edged.config import read_toml
from edged.errors import ConfigError, MalformedError
from edged.evidence.ids import ID_PATTERN, unescape_path

_DATE: Final = frozenset({"year", "month", "day"})
_TIME: Final = frozenset({"hour", "minute", "second"})
_GROUPS: Final = _DATE | _TIME | {"device", "officer", "sequence", "important"}

_OFFSET: Final = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])")
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")

IdentitySource = Literal["file-name", "id-file", "folder-name"]
WayOfReading = Literal["status-file", "log", "newest-write"]


def zone_of(text: str) -> tzinfo:
    """Give the time zone that an IANA name (`Asia/Shanghai`) or an offset (`+08:00`) stands for.

    Raises MalformedError. The text may come from a card: it never becomes a path outside the zone data.
    """
    if text in {"Z", "UTC"}:
        return UTC
    if offset := _OFFSET.fullmatch(text):
        distance = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-distance if offset[1] == "-" else distance)
    if _ZONE_NAME.fullmatch(text) and len(text) <= 64:  # noqa: PLR2004 - the longest IANA name has 32
        try:
            return ZoneInfo(text)
        except (ValueError, KeyError, OSError) as error:
            raise MalformedError(f"{text!r} is no time zone that is known here.") from error
    raise MalformedError(f"{text!r} is no time zone.")


def _compiled(value: object) -> object:
    # ASCII: the digits of other scripts are digits to Python, but not to a recorder.
    try:
        return re.compile(value, re.ASCII | re.MULTILINE) if isinstance(value, str) else value
    except re.error as error:
        raise ValueError(f"a regular expression of Python ({error})") from error


def _with_known_groups(pattern: re.Pattern[str]) -> re.Pattern[str]:
    groups = set(pattern.groupindex)
    if foreign := groups - _GROUPS:
        raise ValueError(f"the groups {', '.join(sorted(_GROUPS))}; not {', '.join(sorted(foreign))}")
    for parts in (_DATE, _TIME):
        if groups & parts and not parts <= groups:
            raise ValueError(f"the groups {', '.join(sorted(parts))} only all together")
    if groups & _TIME and not groups & _DATE:
        raise ValueError("a time of day only together with a date")
    return pattern


def _with_one_group(pattern: re.Pattern[str]) -> re.Pattern[str]:
    if pattern.groups != 1:
        raise ValueError("a regular expression with exactly one group, which is the value")
    return pattern


def _with_a_moment(pattern: re.Pattern[str]) -> re.Pattern[str]:
    groups = set(pattern.groupindex)
    if groups not in ({"unix"}, _DATE | _TIME, _DATE | _TIME | {"offset"}):
        raise ValueError(
            "a regular expression with the groups year, month, day, hour, minute, second and perhaps offset; or unix"
        )
    return pattern


def _on_card(path: str) -> str:
    try:
        unescape_path(path)
    except MalformedError as error:
        raise ValueError("a path below the card's root") from error
    if path.startswith("/") or not set(path.split("/")).isdisjoint({"", ".", ".."}):
        raise ValueError("a path below the card's root")
    return path


def _zone_rule(text: str) -> str:
    if text not in {"station", "recorder"}:
        try:
            zone_of(text)
        except MalformedError as error:
            raise ValueError('"station", "recorder", an IANA time zone or an offset such as +08:00') from error
    return text


PathPattern = Annotated[re.Pattern[str], BeforeValidator(_compiled), AfterValidator(_with_known_groups)]
LinePattern = Annotated[re.Pattern[str], BeforeValidator(_compiled), AfterValidator(_with_one_group)]
MomentPattern = Annotated[re.Pattern[str], BeforeValidator(_compiled), AfterValidator(_with_a_moment)]
Id = Annotated[str, Field(pattern=rf"^{ID_PATTERN}$")]
UsbId = Annotated[str, Field(pattern=r"^[0-9a-f]{4}:[0-9a-f]{4}$")]
"""VENDOR:PRODUCT in lower-case hex."""


def _program(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command[0].startswith("/"):
        raise ValueError("a program with its absolute path first")
    return command


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class LayoutRule(_Part):
    """What one kind of file on the card is called."""

    name: Id
    pattern: PathPattern
    """Fits the whole escaped path; its named groups are the claims that the name makes."""
    side_of: Id | None = None
    """Name of the rule of the files that these stand beside: the one whose shared groups have the same values."""


class IdFile(_Part):
    """A text file by which the recorder names itself; each pattern is searched for, line by line."""

    path: Annotated[str, AfterValidator(_on_card)]
    serial: LinePattern
    officer: LinePattern | None = None
    zone: LinePattern | None = None


class VendorCommand(_Part):
    """A program of the vendor's or of your own, run as the daemon's user, without a shell."""

    command: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_program)]
    """The program, absolute, and its arguments."""
    seconds: Annotated[int, Field(ge=1, le=300)] = 15
    """After this time it is killed."""


class Unlock(VendorCommand):
    """What switches a recorder to storage mode."""

    usb: Annotated[tuple[UsbId, ...], Field(min_length=1)]
    """USB ids of the recorder while it is locked; none of its storage mode's."""


class ClockWay(_Part):
    """Something that a recorder writes by its own clock when it is connected, so that the clock can be compared."""

    way: WayOfReading
    """`status-file`: a line of a small text file. `log`: the last line of the newest log. `newest-write`: the time of
    last change of one file, or of the file that was changed last."""
    path: Annotated[str | None, AfterValidator(lambda path: None if path is None else _on_card(path))] = None
    """The file; for `newest-write` it may be left out."""
    rule: Id | None = None
    """For `log`: the rule of the layout that the logs fit; the newest is the last by the groups of its date."""
    time: MomentPattern | None = None
    """Finds the time in a line; for `newest-write` there is none."""
    within_seconds: Annotated[int, Field(ge=0, le=600)]
    """At most how long before its card shows up at the station the recorder writes this."""
    step_ms: Annotated[int, Field(ge=1, le=60_000)] = 1_000
    """In which steps the time counts: a text mostly whole seconds, a file system of FAT two."""
    local: bool = False
    """For `newest-write`: whether the card's file system holds local times that are read as if they were UTC (FAT)."""

    @model_validator(mode="after")
    def _make_sense(self) -> Self:
        given = {name for name in ("path", "rule", "time") if getattr(self, name) is not None}
        needed = {"status-file": {"path", "time"}, "log": {"rule", "time"}, "newest-write": given & {"path"}}
        if given != needed[self.way]:
            raise ValueError('path and time with "status-file", rule and time with "log", at most path otherwise')
        if self.local and self.way != "newest-write":
            raise ValueError('local only with "newest-write"; a time in a text has the zone of the names, or an offset')
        return self


class ContainerTime(_Part):
    """What the time of creation within a file means, for kinds of recorders that write one."""

    moment: Literal["start", "end"]
    """Whether it is that of the file's first or of its last moment."""
    local: bool = False
    """Whether it is local time, written as if it were UTC."""
    within_seconds: Annotated[int, Field(ge=0, le=600)] = 2
    """By how much it may differ from the name though both are right: naming a file and writing its header take time."""


class RecordingHabits(_Part):
    """How this kind of recorder cuts and counts what it records: by what completeness is judged."""

    longest_join_ms: Annotated[int, Field(ge=0, le=60_000)] = 40
    """What two segments of one recording may leave between them; GA/T 947 allows 0.04 s."""
    longest_overlap_ms: Annotated[int, Field(ge=0, le=600_000)] = 40
    """By how much a file may begin before the last one ends: more for kinds that keep what came before the button."""
    cut_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    """After how long it ends a file and goes on in the next; None where it does not, or nobody measured it."""
    cut_mib: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    """Likewise at which size, in MiB (4096 where the limit of FAT32 is the reason)."""
    counter: Literal["recorder", "day", "none"] | None = None
    """What the group `sequence` goes on over: the recorder's life, one day, or nothing. None: it may begin anew at any
    time, and nothing is said of that."""


class Profile(_Part):
    """One kind of recorder."""

    id: Id
    vendor: str
    model: str
    """Vendor and model are shown where the register does not name them for the single recorder."""
    zone: Annotated[str, AfterValidator(_zone_rule)]
    """Whose local time the names are in: `station`, `recorder` (the id file says; else the station), or a zone."""
    identity: Annotated[tuple[IdentitySource, ...], Field(min_length=1)]
    """Where the serial number stands; the first that gives one counts."""
    media: tuple[Annotated[str, Field(pattern=r"^[a-z0-9]{1,8}$")], ...]
    """Extensions, in lower case, of files that are expected to be footage, photographs or sound."""
    remove_empty_folders: bool
    """Whether folders that the wipe left empty are removed too."""
    stays: tuple[PathPattern, ...] = ()
    """What is the recorder's own, settings and indexes, not footage: taken in like any other file, but never erased."""
    usb: tuple[UsbId, ...] = ()
    """USB ids, VENDOR:PRODUCT, for a station that sees the devices themselves."""
    unlock: Unlock | None = None
    """Run when a recorder shows up that is no storage yet."""
    clock: VendorCommand | None = None
    """Run at each docking, before anything is read: sets the recorder's clock."""
    clock_reading: tuple[ClockWay, ...] = ()
    """How its clock can be compared with the station's; the first way that gives a time counts."""
    container_time: ContainerTime | None = None
    """What to compare the times in file names with; none: nothing."""
    recording: RecordingHabits | None = None
    """How it cuts and counts what it records."""
    id_file: IdFile | None = None
    layout: Annotated[tuple[LayoutRule, ...], Field(min_length=1)]
    """Tried in this order; the first that fits counts."""

    @model_validator(mode="after")
    def _make_sense(self) -> Self:
        names = [rule.name for rule in self.layout]
        if len(set(names)) < len(names):
            raise ValueError("layout rules need different names")
        for rule in self.layout:
            if rule.side_of is not None and (rule.side_of not in names or rule.side_of == rule.name):
                raise ValueError(f"side_of of {rule.name!r} must name another rule of this layout")
            if rule.side_of is not None and not self.shared_groups(rule):
                raise ValueError(f"the pattern of {rule.name!r} must share a group with that of {rule.side_of!r}")
        if self.unlock is not None and set(self.unlock.usb) & set(self.usb):
            raise ValueError("unlock.usb must not name the ids of usb, which are those of its storage mode")
        if strange := {way.rule for way in self.clock_reading} - {None, *names}:
            raise ValueError(f"rule of clock_reading must name a rule of this layout, not {min(map(str, strange))!r}")
        if "id-file" in self.identity and self.id_file is None:
            raise ValueError('identity "id-file" only with a table [id_file]')
        if "file-name" in self.identity and all("device" not in rule.pattern.groupindex for rule in self.layout):
            raise ValueError('identity "file-name" only with a pattern that has the group device')
        if self.zone == "recorder" and (self.id_file is None or self.id_file.zone is None):
            raise ValueError('zone "recorder" only with id_file.zone')
        return self

    def match(self, path: str) -> tuple[LayoutRule, dict[str, str]] | None:
        """Give the first rule that fits an escaped path, with the groups that took part; None if none does."""
        for rule in self.layout:
            if found := rule.pattern.fullmatch(path):
                return rule, {name: value for name, value in found.groupdict().items() if value is not None}
        return None

    def shared_groups(self, side: LayoutRule) -> tuple[str, ...]:
        """Give the groups by which files of rule `side` are tied to what they stand beside."""
        main = next((rule for rule in self.layout if rule.name == side.side_of), None)
        if main is None:
            return ()
        both = side.pattern.groupindex.keys() & main.pattern.groupindex.keys()
        return tuple(sorted(both - {"important"}))

    def is_media(self, path: str) -> bool:
        """Say whether a file is expected to be footage, by its extension in any case."""
        return path.rpartition("/")[2].rpartition(".")[2].lower() in self.media

    def keeps(self, path: str) -> bool:
        """Say whether a file is the recorder's own and is left on it."""
        return any(pattern.fullmatch(path) for pattern in self.stays)

    def names_itself_by(self, path: str) -> bool:
        """Say whether the recorder is known by this file: it is erased last, so that it stays recognisable."""
        return self.id_file is not None and path == self.id_file.path


def load_profiles(folder: Path) -> tuple[Profile, ...]:
    """Read every `*.toml` of a folder, in order of their names; raises ConfigError."""
    profiles: dict[str, Profile] = {}
    for path in sorted(folder.glob("*.toml")):
        profile = read_toml(path, Profile)
        if profile.id in profiles:
            raise ConfigError(f"{path}: id is {profile.id!r}; allowed: an id that no other profile has.")
        profiles[profile.id] = profile
    if not profiles:
        raise ConfigError(
            f"{folder} holds no recorder profile (*.toml).",
            hint="Without a profile every recorder is refused. Copy the shipped ones back.",
        )
    return tuple(profiles.values())
