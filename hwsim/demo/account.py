"""What the station's ledger says became of each file: read from its entries alone, by nothing of the station's.

A file is a recorder and a path. Nothing here knows what hwsim put on the cards, so that comparing the two
shows something.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from edged.errors import MalformedError

FileKey: TypeAlias = tuple[str, str]
"""Recorder id and path, as entries write them."""

Body: TypeAlias = Mapping[str, Any]
"""The body of an entry."""

_FILM_MS = 10_000
"""Whatever lasts as long and has a picture is no photo, and too much of it is there for a damaged file."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """The entries of a station, by what they are about."""

    dockings: Mapping[str, Body]
    """By docking id."""

    segments: Mapping[str, Body]
    """By segment id."""

    sealed: Mapping[FileKey, str]
    """Segment id of each file that a `segment` entry names."""

    sighted: Mapping[FileKey, str]
    """Segment id of each file that a `sighting` entry names and no `segment` entry."""

    replicas: Mapping[str, tuple[Body, ...]]
    """By segment id, those in central storage."""

    wiped: frozenset[FileKey]
    """Files that a `wipe` entry calls gone."""

    derivatives: frozenset[tuple[str, str]]
    """Segment id and kind of each derivative."""

    outcomes: tuple[tuple[str, str], ...]
    """Recorder id and outcome of each `undocking`, in order."""

    interrupted: tuple[str, ...]
    """Dockings that ended as interrupted."""

    cases: Mapping[str, str | None]
    """By segment id, the case of its newest classification."""

    anchored_by: frozenset[str]
    """Who anchored a checkpoint that covers the newest `undocking`."""

    @property
    def files(self) -> Mapping[FileKey, str]:
        """Segment id of every file that is accounted for."""
        return {**self.sealed, **self.sighted}

    def sealed_in(self, docking: str) -> int:
        """Count the segments that were sealed in a docking."""
        return sum(body["docking"] == docking for body in self.segments.values())

    @property
    def quarantined(self) -> frozenset[FileKey]:
        """Sealed files that are kept, but not trusted."""
        return frozenset(key for key, sg in self.sealed.items() if self.segments[sg].get("quarantine"))

    @property
    def replicated(self) -> frozenset[FileKey]:
        """Files whose bytes lie in central storage."""
        return frozenset(key for key, segment in self.files.items() if self.replicas.get(segment))

    @property
    def unwatchable(self) -> frozenset[str]:
        """Segments with moving picture that lack a poster or a proxy."""
        return frozenset(
            segment
            for segment, body in self.segments.items()
            if (body["media"].get("duration_ms") or 0) >= _FILM_MS
            and body["media"].get("video")
            and not {(segment, "poster"), (segment, "proxy")} <= self.derivatives
        )


def account(lines: Iterable[str]) -> Account:
    """Read a ledger, one entry a line, oldest first.

    Raises MalformedError for a line that is no entry, or names a docking or segment that no earlier one made.
    """
    entries = []
    try:
        for line in lines:
            entry = json.loads(line)
            entries.append((entry["type"], entry["body"]))
        return _account(entries)
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedError(f"the ledger is not what EVIDENCE.md says: {error!r}") from error


def _account(entries: list[tuple[str, Body]]) -> Account:
    def of(kind: str) -> list[Body]:
        return [body for name, body in entries if name == kind]

    dockings = {body["docking"]: body for body in of("docking")}
    segments = {body["segment"]: body for body in of("segment")}

    def key(body: Body) -> FileKey:
        return dockings[body["docking"]]["recorder"]["id"], body["path"]

    sealed = {(body["recorder"], body["path"]): segment for segment, body in segments.items()}
    replicas: dict[str, tuple[Body, ...]] = {}
    for body in of("replica"):
        if body["store"] != "vault":
            replicas[body["segment"]] = (*replicas.get(body["segment"], ()), body)
    last = max((number for number, (name, _) in enumerate(entries) if name == "undocking"), default=0)
    return Account(
        dockings=dockings,
        segments=segments,
        sealed=sealed,
        sighted={key(body): body["segment"] for body in of("sighting") if key(body) not in sealed},
        replicas=replicas,
        wiped=frozenset(key(body) for body in of("wipe") if body["outcome"] == "gone"),
        derivatives=frozenset((body["segment"], body["kind"]) for body in of("derivative")),
        outcomes=tuple((dockings[body["docking"]]["recorder"]["id"], body["outcome"]) for body in of("undocking")),
        interrupted=tuple(body["docking"] for body in of("undocking") if body["outcome"] == "interrupted"),
        cases={body["segment"]: body["case"] for body in of("classification")},
        anchored_by=frozenset(body["by"] for body in of("anchor") if body["size"] > last),
    )


def escaped(path: bytes) -> str:
    """Write a path as entries do (EVIDENCE.md, section 2): bytes that are not UTF-8, controls and `%` as `%XX`."""
    return "".join(
        f"%{ord(letter) & 0xFF:02X}" if letter < " " or letter in "%\x7f" or "\udc80" <= letter <= "\udcff" else letter
        for letter in path.decode("utf-8", "surrogateescape")
    )
