"""The completeness of one case: gathers from the book what `rules.completeness` judges. Reads only."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, TypeAlias

from edged.bays.profiles import load_profiles
from edged.bays.register import load_register
from edged.book import Book
from edged.book.facts import DockingRow, SegmentRow
from edged.clock import from_rfc3339
from edged.errors import UnreadableError, UsageError
from edged.evidence import bodies
from edged.evidence.canonical import decode
from edged.evidence.entry import Entry, parse
from edged.evidence.ids import CaseId, DockingId, RecorderId, SegmentId, to_id
from edged.evidence.media_names import is_named_as_media
from edged.rules.cases import CaseRecord
from edged.rules.completeness import CaseFacts, Completeness, Footage, Noted, Visit, completeness, touches
from edged.rules.matters import Catalogue

_LATER: Final = 100
"""How many later dockings of a recorder are asked for what one left, and how many that were cut short are looked at."""

_DAY: Final = timedelta(days=1)
"""How long before and after the recordings of a case a docking that nobody finished counts as its own."""

_OF_READING: Final = frozenset({"partly-unreadable", "second-reading-differs"})
"""Codes of a quarantine that a later docking of the same card can make up for."""

_NOT_READ: Final = frozenset({"unreadable", "gone-after-inventory"})
"""Kinds of anomalies about a file that was not read at all, likewise."""

IsMedia: TypeAlias = Callable[[RecorderId, str], bool]
"""Whether a file of a recorder is expected to be a recording, by its path."""


@dataclass(frozen=True, kw_only=True)
class CaseAnswer:
    """The completeness of a case, with what the station noted about it."""

    completeness: Completeness
    noted: tuple[Entry, ...]
    """The anomaly entries that concern its footage, oldest first."""


@dataclass(frozen=True, kw_only=True)
class _Account:
    """What became of the files of one docking."""

    visit: Visit
    whole: dict[str, DockingId]
    """Which later docking took a file whole that this one did not take, or not trust."""


def media_by_profile(folder: Path) -> IsMedia:
    """Read what the profile of each recorder calls media; of one without a profile, go by the usual names.

    Raises ConfigError.
    """
    profiles = {each.id: each for each in load_profiles(folder / "recorders")}
    register = load_register(folder / "register.toml", profiles.values())
    by_recorder = {each.id: profiles[each.profile] for each in register.recorders}

    def is_media(recorder: RecorderId, path: str) -> bool:
        profile = by_recorder.get(recorder)
        return is_named_as_media(path) if profile is None else profile.is_media(path)

    return is_media


def case_completeness(book: Book, catalogue: Catalogue, case: str, is_media: IsMedia) -> CaseAnswer:
    """Answer for a case, named as the feed writes it or by its id; raises UsageError where nobody knows it."""
    name = CaseId(to_id(case))
    with book.database.snapshot():
        records = [CaseRecord.from_plain(json.loads(text)) for text in book.registers.cases_named(name)]
        rows = book.facts.segments_of_case(name)
        if not records and not rows:
            raise UsageError(
                f"No case {case} is known here.",
                hint="`edged ledger show --type classification` lists what the case feed tied to cases.",
            )
        accounts = {docking: _account(book, docking, rows) for docking in sorted(_dockings(book, records, rows))}
        footage = [_footage(book, row, is_media, accounts[row.docking]) for row in rows]
        entries = list(_anomalies(book, rows))
        noted = [_noted(entry, accounts) for entry in entries]
        facts = CaseFacts(
            case=name,
            records=records,
            footage=footage,
            noted=noted,
            visits=[account.visit for account in accounts.values()],
        )
    return CaseAnswer(
        completeness=completeness(facts, catalogue),
        noted=tuple(entry for entry, each in zip(entries, noted, strict=True) if touches(each, footage)),
    )


def _footage(book: Book, row: SegmentRow, is_media: IsMedia, account: _Account) -> Footage:
    classified = book.facts.classification(row.segment)
    form: Literal["video", "audio", "photo", "side", "other"] | None = None
    if row.side_of is not None:
        form = "side"
    elif row.video is not None:
        form = "photo" if row.duration_ms is None else "video"
    elif row.audio is not None:
        form = "audio"
    elif not is_media(row.recorder, row.path):
        form = "other"
    return Footage(
        segment=row.segment,
        recorder=row.recorder,
        docking=row.docking,
        path=row.path,
        matter=None if classified is None else classified.matter,
        stage=None if classified is None else classified.stage,
        start=None if row.started is None else from_rfc3339(row.started),
        end=None if row.ended is None else from_rfc3339(row.ended),
        uncertainty_ms=row.uncertainty_ms,
        form=form,
        quarantined=row.quarantine is not None,
        whole_in=account.whole.get(row.path) if row.quarantine in _OF_READING else None,
    )


def _anomalies(book: Book, rows: Sequence[SegmentRow]) -> Iterator[Entry]:
    """Give the anomaly entries about the case's segments, and those of their dockings, each once."""
    here = {row.segment for row in rows}
    found: dict[bytes, None] = {}
    for docking in sorted({row.docking for row in rows}):
        found |= dict.fromkeys(book.facts.anomalies_of_docking(docking))
    for segment in sorted(here):
        found |= dict.fromkeys(book.facts.anomalies_about(segment))
    entries = [parse(data) for data in found]
    for entry in sorted(entries, key=lambda each: (each.time, each.epoch, each.seq)):
        about = entry.body.subject if isinstance(entry.body, bodies.Anomaly) else None
        if about is None or about.kind != "segment" or about.id in here:
            yield entry


def _noted(entry: Entry, accounts: Mapping[DockingId, _Account]) -> Noted:
    body = entry.body
    if not isinstance(body, bodies.Anomaly):
        return Noted(kind=entry.type, docking=None, segment=None)
    about = body.subject
    between = [body.detail.get(key) for key in ("before", "after")] if body.kind == "counter-skips" else []
    harmless = body.kind == "missing-since-last-docking" and body.detail.get("lost") == 0
    account = None if body.docking is None else accounts.get(body.docking)
    if body.kind in _NOT_READ and account is not None:
        harmless = body.detail.get("path") in account.whole
    return Noted(
        kind=body.kind,
        docking=body.docking,
        segment=SegmentId(about.id) if about is not None and about.kind == "segment" else None,
        between=tuple(each for each in between if isinstance(each, str)),
        harmless=harmless,
    )


def _dockings(book: Book, records: Sequence[CaseRecord], rows: Sequence[SegmentRow]) -> set[DockingId]:
    """Give the dockings that sealed something of the case, and those cut short that may have held more of it.

    A docking that was cut short may have sealed nothing of the case: what its card held is told by its inventory, and
    where no docking of the recorder followed, nobody finished it since.
    """
    found = {row.docking for row in rows}
    held = {(row.recorder, row.path, row.bytes) for row in rows}
    moments = [moment for each in records for moment in (each.from_, each.until)]
    moments += [from_rfc3339(each) for row in rows for each in (row.started, row.ended) if each is not None]
    recorders = {row.recorder for row in rows} | {each.recorder for each in records if each.recorder is not None}
    for recorder in recorders:
        for row in book.facts.dockings_cut_short(recorder, most=_LATER):
            listed = _listed(book, row)
            began = from_rfc3339(row.began)
            in_time = bool(moments) and min(moments) - _DAY <= began <= max(moments) + _DAY
            if any((recorder, path, stamp[0]) in held for path, stamp in listed.items()) or (
                in_time and not book.facts.dockings_after(row.docking, most=1)
            ):
                found.add(row.docking)
    return found


def _account(book: Book, docking: DockingId, rows: Sequence[SegmentRow]) -> _Account:
    row = book.facts.docking(docking)
    listed = {} if row is None else _listed(book, row)
    found = book.facts.found(docking)
    left = listed.keys() - found.keys()
    doubtful = {each.path for each in rows if each.docking == docking and each.quarantine in _OF_READING}
    lost, wanted, whole = set(left), left | (doubtful & listed.keys()), dict[str, DockingId]()
    for later in book.facts.dockings_after(docking, most=_LATER) if wanted else ():
        there, taken = _listed(book, later), book.facts.found(later.docking)
        same = {path for path in lost | wanted if path in taken and there.get(path) == listed[path]}
        lost -= same
        # What a person handed in says nothing about what the card gives.
        if not later.handed_in and same & wanted:
            sizes = {path: listed[path][0] for path in same & wanted}
            whole |= dict.fromkeys(_trusted(book, later.docking, sizes), later.docking)
            wanted -= whole.keys()
        if not lost | wanted:
            break
    return _Account(
        visit=Visit(
            docking=docking,
            ended=row is not None and row.outcome is not None,
            lost=tuple(sorted(lost)),
            later=len(left) - len(lost),
        ),
        whole=whole,
    )


def _trusted(book: Book, docking: DockingId, sizes: Mapping[str, object]) -> Iterator[str]:
    """Give which of some files a docking took as long as they were listed, and trusts."""
    for file in book.facts.sealed_files(docking):
        if file.path in sizes and not file.distrusted:
            segment = book.facts.segment(file.segment)
            if segment is not None and segment.bytes == sizes[file.path]:
                yield file.path


def _listed(book: Book, docking: DockingRow) -> dict[str, tuple[object, object]]:
    """Give length and time of last change of the files that a docking found; nothing where its list is lost."""
    try:
        document = decode(book.registers.document(docking.inventory_sha256))
    except UnreadableError:
        return {}
    items = document.get("items") if isinstance(document, dict) else None
    return {
        str(item["path"]): (item["bytes"], item["modified"])
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and item["kind"] == "file"
    }
