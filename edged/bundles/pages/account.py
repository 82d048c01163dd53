"""What the entries in a bundle tell, gathered for people to read.

Nothing is judged here, and nothing fails: what is missing or malformed is left out, and verification says so. The same
reading serves the station, of the bundle that it makes, and whoever received one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import chain
from typing import Final

from edged.clock import from_rfc3339
from edged.errors import MalformedError
from edged.evidence import bodies, canonical
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import Entry, parse
from edged.evidence.ids import SegmentId, Sha256, is_sha256
from edged.evidence.verification import BundleFiles
from edged.evidence.verification.layout import EXPORT, TEXTS, Layout, arrange
from edged.evidence.verification.reading import Contents

_MAX_ENTRY_BYTES: Final = 65_535
_MAX_TEXTS_BYTES: Final = 16 << 20
_MAX_POSTER_BYTES: Final = 512 << 10
_MAX_POSTERS_BYTES: Final = 32 << 20
_PICTURES: Final = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_LOG_ONLY: Final = (bodies.Genesis, bodies.Close, bodies.Anchor, bodies.Policy)
"""Entries about the log itself, which every segment shares."""


@dataclass(frozen=True, kw_only=True)
class Poster:
    """A picture of a segment, the one that its entry describes."""

    mime: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Account:
    """What the entries in a bundle tell."""

    export: Entry | None
    """The `export` entry that cites the bundle's list; None where none or several do."""
    sealed: Mapping[SegmentId, Entry]
    custody: Sequence[Entry]
    """Every other entry, oldest first."""
    texts: Mapping[str, str]
    """The words of reasons, by the digest that entries cite."""
    posters: Mapping[SegmentId, Poster]
    zone: tzinfo
    """A fixed offset: the one that most recorders here claim."""
    histories: Mapping[SegmentId, Sequence[Entry]]
    """The entries that concern each segment, oldest first."""

    def history(self, segment: SegmentId) -> Sequence[Entry]:
        """Give what was done with a segment, oldest first, its sealing included."""
        return self.histories.get(segment, ())

    def docking_of(self, segment: SegmentId) -> bodies.Docking | None:
        """Give the docking in which a segment was read."""
        for entry in self.history(segment):
            if isinstance(entry.body, bodies.Docking):
                return entry.body
        return None

    def about_the_log(self) -> list[Entry]:
        """Give the entries that are about the log and not about footage."""
        return [entry for entry in self.custody if isinstance(entry.body, _LOG_ONLY)]


def read_account(files: BundleFiles) -> Account:
    """Read what a bundle tells; raises UnreadableError where the medium does not give the bytes."""
    layout = arrange(files.listing())
    contents = Contents(files, layout.files)
    sealed = {}
    for name, each in layout.segments.items():
        entry = _entry(contents, each.entry)
        if entry is not None and isinstance(entry.body, bodies.Segment) and entry.body.segment == name:
            sealed[name] = entry
    read = (_entry(contents, each.entry) for each in layout.custody.values())
    custody = sorted((entry for entry in read if entry is not None), key=_order)
    return Account(
        export=_export(layout, contents, custody),
        sealed=sealed,
        custody=custody,
        texts=_texts(layout, contents),
        posters=dict(_posters(layout, contents, custody)),
        zone=_zone(sealed.values()),
        histories=_histories(sealed, custody),
    )


def _order(entry: Entry) -> tuple[datetime, str, int]:
    return entry.time, entry.epoch, entry.seq


def _entry(contents: Contents, path: str | None) -> Entry | None:
    try:
        return None if path is None else parse(contents.small(path, _MAX_ENTRY_BYTES))
    except MalformedError:
        return None


def _export(layout: Layout, contents: Contents, custody: Sequence[Entry]) -> Entry | None:
    if EXPORT not in layout.files:
        return None
    digest = contents.sha256(EXPORT)
    citing = [entry for entry in custody if isinstance(entry.body, bodies.Export) and entry.body.list_sha256 == digest]
    return citing[0] if len(citing) == 1 else None


def _texts(layout: Layout, contents: Contents) -> dict[str, str]:
    if TEXTS not in layout.files:
        return {}
    try:
        document = canonical.decode(contents.small(TEXTS, _MAX_TEXTS_BYTES))
    except MalformedError:
        return {}
    found = {}
    for digest, value in document.items() if isinstance(document, dict) else ():
        match value:
            # Words that are not those which entries cite are nobody's.
            case {"salt": str(salt), "text": str(text)} if is_sha256(digest):
                if sha256_hex((salt + text).encode()) == digest:
                    found[digest] = text
    return found


def _posters(layout: Layout, contents: Contents, custody: Sequence[Entry]) -> Iterator[tuple[SegmentId, Poster]]:
    known: set[tuple[SegmentId, Sha256]] = {
        (entry.body.segment, entry.body.sha256)
        for entry in custody
        if isinstance(entry.body, bodies.Derivative) and entry.body.kind == "poster"
    }
    room = _MAX_POSTERS_BYTES
    for segment, kind, path in layout.derivatives:
        if kind != "poster" or layout.files[path].size_bytes > min(_MAX_POSTER_BYTES, room):
            continue
        try:
            data = contents.small(path, _MAX_POSTER_BYTES)
        except MalformedError:
            continue
        mime = next((mime for magic, mime in _PICTURES.items() if data.startswith(magic)), None)
        if mime is not None and (segment, sha256_hex(data)) in known:
            room -= len(data)
            yield segment, Poster(mime=mime, data=data)


def _zone(sealed: Iterable[Entry]) -> tzinfo:
    """Give the offset that most recorders claim, UTC where none does."""
    starts = [entry.body.recorded.start for entry in sealed if isinstance(entry.body, bodies.Segment)]
    offsets = Counter(from_rfc3339(start).utcoffset() or timedelta() for start in starts if start is not None)
    return timezone(min(offsets, key=lambda each: (-offsets[each], each))) if offsets else UTC


def _histories(sealed: Mapping[SegmentId, Entry], custody: Sequence[Entry]) -> dict[SegmentId, list[Entry]]:
    """Sort entries by the segments they concern: by name, by docking, and by case while a segment belongs to it."""
    of_docking: dict[str, list[SegmentId]] = defaultdict(list)
    cases: dict[str, set[SegmentId]] = defaultdict(set)
    for segment, entry in sealed.items():
        if isinstance(entry.body, bodies.Segment):
            of_docking[entry.body.docking].append(segment)
    found: dict[SegmentId, list[Entry]] = {segment: [] for segment in sealed}
    for entry in sorted(chain(sealed.values(), custody), key=_order):
        for segment in _concerned(entry, of_docking, cases):
            if segment in found:
                found[segment].append(entry)
        if isinstance(entry.body, bodies.Classification):
            for members in cases.values():
                members.discard(entry.body.segment)
            if entry.body.case is not None:
                cases[entry.body.case].add(entry.body.segment)
    return found


def _concerned(
    entry: Entry, of_docking: Mapping[str, list[SegmentId]], cases: Mapping[str, set[SegmentId]]
) -> set[SegmentId]:
    body = entry.body
    of_body = getattr(body, "docking", None) or ""
    match body:
        case bodies.Docking() | bodies.Undocking():
            return set(of_docking.get(of_body, ()))
        case bodies.Clearance():
            return {item.segment for item in body.items}
        case bodies.Export():
            return set(chain.from_iterable(of_docking.values()))
        case bodies.Anomaly() | bodies.Hold() | bodies.Review() | bodies.Disclosure():
            return _under(body.subject, of_body, of_docking, cases)
        case _:
            named = getattr(body, "segment", None) if isinstance(body, bodies.Body) else body.get("segment")
            return {SegmentId(named)} if isinstance(named, str) else set()


def _under(
    subject: bodies.Subject | None,
    docking: str,
    of_docking: Mapping[str, list[SegmentId]],
    cases: Mapping[str, set[SegmentId]],
) -> set[SegmentId]:
    """Give the segments that a subject means; what names none of theirs concerns those of its docking."""
    match subject:
        case bodies.Subject(kind="segment", id=name):
            return {SegmentId(name)}
        case bodies.Subject(kind="case", id=name):
            return set(cases.get(name, ()))
        case bodies.Subject(kind="docking", id=name):
            return set(of_docking.get(name, ()))
        case _:
            return set(of_docking.get(docking, ()))
