"""The beginning of a docking: what is written down about a recorder before anything of it is copied.

One transaction holds the `docking` entry, the inventory that it cites, and what was odd at first sight: entries that
are no files, places that could not be listed, an officer who is not qualified, a vendor's command that failed.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pydantic import JsonValue

from edged.bays import inventory
from edged.bays.recognise import Recognised
from edged.bays.recorder_clock import ClockReading
from edged.bays.source import Docked
from edged.book.facts import DockingRow
from edged.clock import random_hex
from edged.errors import LedgerError
from edged.evidence import bodies
from edged.evidence.canonical import decode
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import DockingId, OfficerId, RecorderId
from edged.station import recorder_clock
from edged.station.parts import Parts
from edged.station.vendor import Ran

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class HandedIn:
    """What a person says of a card or a file that was handed in."""

    recognised: Recognised
    reason: str
    actor: str
    only: bytes | None
    """Raw name of the one file that is meant; None for all there is."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A recorder whose docking begins."""

    docked: Docked
    recognised: Recognised
    found: inventory.Inventory
    filesystem: inventory.Filesystem
    """With a number by which an emptied card is known again."""
    handed: HandedIn | None


def begin(parts: Parts, arrival: Arrival) -> DockingRow:
    """Write a docking's beginning and give it."""
    docked, recognised, found, handed = arrival.docked, arrival.recognised, arrival.found, arrival.handed
    recorder = recognised.recorder
    docking = DockingId(f"dk-{parts.clock.now():%Y%m%d}-{random_hex(8)}")
    # Before a command may set the clock.
    reading = None if handed is not None else recorder_clock.measure(parts, docked, recognised, found.items)
    commands = _run_commands(parts, docked, recognised, handed)
    document = found.document(docking, arrival.filesystem)
    body = bodies.Docking(
        docking=docking,
        bay=docked.bay,
        recorder=bodies.RecorderInfo(
            id=recorder.id, vendor=recognised.vendor, model=recognised.model, serial=recorder.serial, known=True
        ),
        officer=recognised.officer,
        inventory_sha256=sha256_hex(document),
        files=len(found.files),
        bytes=found.total_bytes,
        clock_offset_ms=None if reading is None else reading.offset_ms,
        clock_uncertainty_ms=None if reading is None else reading.uncertainty_ms,
        clock_set=any(ran.purpose == "clock" and ran.outcome == "done" for ran in commands),
        missing=0 if handed is not None else len(missing_files(parts, recorder.id, found)),
        **_further(parts, docked, handed, commands, reading),
    )
    odd = [_odd(docking, item) for item in found.items if item.kind == "other"]
    odd += [_trouble(docking, trouble) for trouble in found.troubles]
    odd += _unqualified(parts, docking, recognised.officer)
    odd += [_failed(docking, recorder.id, ran) for ran in commands if ran.outcome != "done"]
    odd += recorder_clock.clock_anomalies(parts, docking, recorder.id, reading)
    actor = "edged" if handed is None else handed.actor
    parts.book.ledger.append(body, *odd, documents=[document], actor=actor)
    _log.info("docking %s of %s begins: %d files, %d bytes", docking, recorder.id, body.files, body.bytes)
    row = parts.book.facts.docking(docking)
    if row is None:
        raise LedgerError(f"The book does not know docking {docking}, which was just written.")
    return row


def missing_files(
    parts: Parts, recorder: RecorderId, found: inventory.Inventory, *, but: DockingId | None = None
) -> list[str]:
    """Give the files of a recorder's last inventory (before docking `but`) that are gone without a wipe of ours."""
    book = parts.book
    last = book.facts.last_docking(recorder, but=but)
    if last is None:
        return []
    # A wipe whose outcome is unknown may have erased its file, so that one is not missed.
    wiped = {path for path, each in book.facts.clearances(last.docking).items() if each.outcome != "present"}
    listed = {str(item["path"]) for item in files_of(book.registers.document(last.inventory_sha256))}
    return sorted(listed - wiped - {item.path for item in found.items})


def files_of(document: bytes) -> list[dict[str, object]]:
    """Give the files of an inventory document."""
    items = part_of(document, "items")
    if not isinstance(items, list):
        return []
    return [dict(item) for item in items if isinstance(item, dict) and item["kind"] == "file"]


def part_of(document: bytes, key: str) -> object:
    """Give one value of an inventory document."""
    plain = decode(document)
    return plain.get(key) if isinstance(plain, dict) else None


def _run_commands(parts: Parts, docked: Docked, recognised: Recognised, handed: HandedIn | None) -> tuple[Ran, ...]:
    """Run what the profile wants before anything is read; nothing for what was handed in."""
    if handed is not None:
        return ()
    return (*parts.vendor.take_unlocked(docked.bay), *parts.vendor.set_clock(recognised.profile, docked))


def _further(
    parts: Parts, docked: Docked, handed: HandedIn | None, commands: Sequence[Ran], reading: ClockReading | None
) -> Mapping[str, JsonValue]:
    """Give further keys of the `docking`: what udev says of the device, what was run, why it was handed in."""
    further: dict[str, JsonValue] = {}
    if handed is not None:
        reason = parts.book.registers.add_reason(code="intake", text=handed.reason)
        further["reason"] = reason.model_dump(mode="json")
    if docked.device is not None:
        further["device"] = asdict(docked.device)
    if reading is not None:
        further["clock_basis"] = reading.basis
    if commands:
        further["commands"] = [dict(ran.plain()) for ran in commands]
    return further


def _unqualified(parts: Parts, docking: DockingId, officer: OfficerId | None) -> list[bodies.Anomaly]:
    """Flag footage by somebody unknown or not qualified today; it is taken in like any other (MISSION.md, R11)."""
    if officer is None:
        return []
    known = parts.register().officer(officer)
    if known is not None and known.qualified_on(parts.clock.now().astimezone(parts.zone).date()):
        return []
    subject = bodies.Subject(kind="officer", id=officer)
    if known is None:
        return [bodies.Anomaly(kind="officer-not-registered", docking=docking, subject=subject, detail={})]
    return [bodies.Anomaly(kind="officer-not-qualified", docking=docking, subject=subject, detail={})]


def _odd(docking: DockingId, item: inventory.Item) -> bodies.Anomaly:
    return bodies.Anomaly(
        kind="not-a-file",
        docking=docking,
        subject=bodies.Subject(kind="docking", id=docking),
        detail={"path": item.path},
    )


def _failed(docking: DockingId, recorder: RecorderId, ran: Ran) -> bodies.Anomaly:
    kind = "clock-command-failed"
    if ran.purpose == "unlock":
        kind = "unlock-command-failed"
    return bodies.Anomaly(
        kind=kind,
        docking=docking,
        subject=bodies.Subject(kind="recorder", id=recorder),
        detail=dict(ran.plain()),
    )


def _trouble(docking: DockingId, trouble: inventory.Trouble) -> bodies.Anomaly:
    return bodies.Anomaly(
        kind="not-listed",
        docking=docking,
        subject=bodies.Subject(kind="docking", id=docking),
        detail={"path": trouble.path, "what": trouble.what},
    )
