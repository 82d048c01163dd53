"""INV-1, INV-2, INV-3, INV-7, INV-8: every file that was ever on a card is safe, and nothing was erased too early."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from edged.evidence.ids import escape_path
from hwsim.faults.card_faults import Unreadable
from hwsim.torture.facts import Entry, Facts
from hwsim.torture.plan import Deed, PlannedCard, PlannedFile

_PAGE: Final = 4096
_READ_ONLY: Final = 0o440
_STORE_CLOCK: Final = timedelta(seconds=1)
"""How coarsely a store tells times."""


def file_complaints(facts: Facts) -> Iterator[str]:
    """Say what is wrong with files, in the vault, in the store and on cards."""
    yield from _vault(facts)
    yield from _copies(facts)
    for card in facts.plan.cards:
        for file in card.files:
            yield from _file(facts, card, file)
        yield from _never_taken(facts, card)
        yield from _lies(facts, card)
    yield from _clearances(facts)
    yield from _wipes(facts)
    yield from _inventories(facts)


def segment_of(card: str, content: bytes) -> str:
    """Give the id of the segment with this content (EVIDENCE.md, section 1), computed here once more."""
    return "sg-" + hashlib.sha256(card.encode() + b"\0" + hashlib.sha256(content).digest()).hexdigest()[:32]


def name_of(file: PlannedFile) -> str:
    """Give a file's path as entries write it."""
    return escape_path(os.fsencode(file.path))


def _vault(facts: Facts) -> Iterator[str]:
    """Compare the vault with what was sealed: exactly that, byte for byte, each once."""
    sealed = {entry.body["segment"]: entry for entry in facts.of("segment")}
    for stray in facts.strays:
        yield f"INV-3: {stray} is in the vault, and nothing speaks of it"
    for segment in facts.originals.keys() - sealed.keys():
        yield f"INV-3: {segment} is in the vault, and was not sealed"
    for segment, entry in sealed.items():
        original = facts.originals.get(segment)
        if original is None:
            yield f"INV-3: {segment} was sealed, and is not in the vault"
            continue
        if original.sha256 != entry.body["sha256"]:
            yield f"INV-2: {segment} is not what was sealed"
        if original.mode != _READ_ONLY or original.links != 1:
            yield f"INV-2: {segment} has mode {original.mode:o} and {original.links} names"


def _copies(facts: Facts) -> Iterator[str]:
    """Compare what the store gives with what was sealed: all of it, byte for byte."""
    sealed = {entry.body["segment"]: entry for entry in facts.of("segment")}
    for entry in facts.of("replica"):
        body = entry.body
        if body["store"] == "vault":
            continue
        if body["segment"] not in sealed:
            yield f"INV-3: there is a copy of {body['segment']}, which was not sealed"
        elif facts.replicas[body["key"], body["version"]] != sealed[body["segment"]].body["sha256"]:
            yield f"INV-1: the store gives other bytes of {body['segment']} than were sealed"
    copied = {(entry.body["segment"], entry.body["store"]) for entry in facts.of("replica")}
    stores = {"vault", *(store for _, store in copied)}
    for segment in sealed:
        for store in stores:
            if (segment, store) not in copied:
                yield f"INV-10: {segment} has no copy in {store}"


def _file(facts: Facts, card: PlannedCard, file: PlannedFile) -> Iterator[str]:
    """Look for one file: it is still on its card as it was, or whole in the vault and accounted for, or both."""
    left = facts.left[card.name].get(file.path)
    content = content_of(card, file)
    segment = segment_of(card.name, content)
    known = {(entry.body["segment"], entry.body["path"]) for entry in facts.of("segment", "sighting")}
    safe = segment in facts.originals and (segment, name_of(file)) in known
    what = f"{card.name}: {name_of(file)}"
    if left is not None and left != content:
        yield f"INV-1: {what} was changed on the card"
    if left is None and not safe:
        yield f"INV-1: {what} is neither in the vault nor on the card"
    if card.lies:
        if left is None:
            yield f"INV-1: {what} was erased although its card cannot be trusted"
        return
    if left is not None:
        yield f"INV-10: {what} was left on a card that nothing is wrong with"
    if not safe:
        yield f"INV-7: {what} is neither sealed nor sighted"
    wanted = {entry.body["path"] for entry in facts.of("wipe") if entry.body["segment"] == segment}
    if left is None and name_of(file) not in wanted:
        yield f"INV-3: {what} is gone, and no wipe says so"


def content_of(card: PlannedCard, file: PlannedFile) -> bytes:
    """Give what the recorder wrote."""
    if file.path == "DEVICE.INI":
        return f"[device]\r\nserial={card.name}\r\nzone=Asia/Shanghai\r\n".encode()
    return file.content


def _never_taken(facts: Facts, card: PlannedCard) -> Iterator[str]:
    """Nothing is taken from a card but its regular files."""
    dockings = {entry.body["docking"] for entry in facts.of("docking") if entry.body["recorder"]["id"] == card.name}
    expected = {name_of(file) for file in card.files}
    for entry in facts.of("segment", "sighting"):
        if entry.body["docking"] in dockings and entry.body["path"] not in expected:
            yield f"INV-8: {card.name}: {entry.body['path']} was taken, and is none of its files"


def _lies(facts: Facts, card: PlannedCard) -> Iterator[str]:
    """Look at files that cannot be read as they were written: what was read is not trusted, and findings say where."""
    files = {name_of(file): file for file in card.files if file.path in card.lies}
    dockings = {entry.body["docking"] for entry in facts.of("docking") if entry.body["recorder"]["id"] == card.name}
    sealed = [e for e in facts.of("segment") if e.body["path"] in files and e.body["docking"] in dockings]
    for entry in sealed:
        file, quarantine = files[entry.body["path"]], entry.body["quarantine"]
        original = facts.originals.get(entry.body["segment"])
        if original is None:
            continue
        content, what = original.path.read_bytes(), f"{card.name}: {entry.body['path']}"
        if quarantine is None:
            yield f"INV-1: {what} was sealed as if it could be trusted"
            continue
        bad = [fault for fault in card.faults.faults if isinstance(fault, Unreadable) and fault.path == file.path]
        # One that passes is read at the next try.
        for fault in (each for each in bad if each.times is None):
            start, end = fault.start // _PAGE * _PAGE, min(-(-fault.end // _PAGE) * _PAGE, file.size)
            if not any(first <= start and end <= last for first, last in quarantine["unreadable"]):
                yield f"INV-7: {what} does not say that [{start}, {end}) could not be read: {quarantine['unreadable']}"
        rotten = {fault.path for fault in card.faults.faults if fault not in bad}
        if file.path not in rotten and any(
            content[at] != file.content[at]
            for at in range(0, file.size, 509)
            if not any(first <= at < last for first, last in quarantine["unreadable"])
        ):
            yield f"INV-1: {what} was sealed with other bytes than the card gave"
    if not sealed and files and dockings:
        named = {entry.body["detail"].get("path") for entry in facts.of("anomaly")}
        for path in files.keys() - named:
            yield f"INV-7: {card.name}: nothing says that {path} could not be taken as it is"


def _clearances(facts: Facts) -> Iterator[str]:
    """Look at each clearance: its proofs lay under a published checkpoint by then."""
    by_ref = {entry.ref: entry for entry in facts.entries}
    stepped = any(act.deed is Deed.CLOCK for act in facts.plan.acts)
    for clearance in facts.of("clearance"):
        proofs = [by_ref[ref] for ref in clearance.body["proofs"] if ref in by_ref]
        if len(proofs) < len(clearance.body["proofs"]):
            yield f"INV-1: clearance {clearance.position} cites proofs that are not in the ledger"
        for item in clearance.body["items"]:
            yield from _cleared(facts, clearance, item, proofs)
        highest = max((entry.seq for entry in proofs), default=0)
        origin = facts.origins[clearance.epoch]
        if not stepped and not any(
            each.size > highest and each.at <= clearance.time + _STORE_CLOCK for each in facts.published[origin]
        ):
            yield f"INV-1: clearance {clearance.position} was given before its proofs were published"


def _wipes(facts: Facts) -> Iterator[str]:
    """Look at each erasing: it was cleared before, and what became of all that was cleared is said."""
    by_ref = {entry.ref: entry for entry in facts.entries}
    gone = []
    for wipe in facts.of("wipe"):
        cleared = by_ref.get(wipe.body["clearance"])
        item = {"segment": wipe.body["segment"], "path": wipe.body["path"]}
        if cleared is None or cleared.position > wipe.position or item not in cleared.body["items"]:
            yield f"INV-3: wipe {wipe.position} was not cleared before"
        gone += [(wipe.body["docking"], wipe.body["path"])] if wipe.body["outcome"] == "gone" else []
    for path in {path for path in gone if gone.count(path) > 1}:
        yield f"INV-3: {path} is said to be gone more than once"
    said = {(entry.body["docking"], entry.body["path"]) for entry in facts.of("wipe")}
    for clearance in facts.of("clearance"):
        for item in clearance.body["items"]:
            if (clearance.body["docking"], item["path"]) not in said:
                yield f"INV-3: nothing says what became of {item['path']} after clearance {clearance.position}"


def _cleared(facts: Facts, clearance: Entry, item: Mapping[str, Any], proofs: list[Entry]) -> Iterator[str]:
    stores = {entry.body["store"] for entry in proofs if entry.body["segment"] == item["segment"]}
    if any(entry.type != "replica" or entry.position > clearance.position for entry in proofs):
        yield f"INV-1: clearance {clearance.position} rests on what is no proof, or came later"
    if "vault" not in stores or len(stores) < 2:  # noqa: PLR2004 - the vault and another place
        yield f"INV-1: {item['path']} was cleared with copies in {sorted(stores)} only"
    sealed = [entry for entry in facts.of("segment") if entry.body["segment"] == item["segment"]]
    if any(entry.position > clearance.position or entry.body["quarantine"] for entry in sealed) or not sealed:
        yield f"INV-1: {item['path']} was cleared without being sealed before, or in quarantine"


def _inventories(facts: Facts) -> Iterator[str]:
    """Look at what dockings listed: it is sealed, sighted or named by an anomaly, or the docking was interrupted."""
    outcomes = {entry.body["docking"]: entry.body["outcome"] for entry in facts.of("undocking")}
    for docking in facts.of("docking"):
        own = docking.body["docking"]
        listed = facts.documents.get(docking.body["inventory_sha256"])
        if listed is None or hashlib.sha256(listed).hexdigest() != docking.body["inventory_sha256"]:
            yield f"INV-7: the inventory of {own} is not there"
            continue
        if own not in outcomes:
            yield f"INV-10: docking {own} never ended"
        if outcomes.get(own) == "interrupted":
            continue
        paths = {item["path"] for item in json.loads(listed)["items"] if item["kind"] == "file"}
        found = {entry.body["path"] for entry in facts.of("segment", "sighting") if entry.body["docking"] == own}
        named = {entry.body["detail"].get("path") for entry in facts.of("anomaly") if entry.body["docking"] == own}
        for path in paths - found - named:
            yield f"INV-7: {path} was listed in {own}, and nothing says what became of it"
