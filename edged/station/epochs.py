"""Epochs: the change-over from one key to the next, and the way on for a book that is behind (EVIDENCE.md, section 4).

*Change-over*, in this order, each step durable before the next: the next key and its certificate lie in the folder of
keys; `close` and `genesis` in one transaction, so that taking footage in never waits; the last checkpoint of the old
epoch signed and published (`PublishJob`); the old private key destroyed (`KeyFolder.turn_to`); only then is anything
of the new epoch signed. What is due after a crash follows from the book and the files.

*Behind*: central storage knows entries of this ledger that the book does not. They are taken in; what the book wrote
meanwhile, and nobody signed, is set aside and said again in a new epoch, whose `genesis` cites what was published.
"""

import logging

from pydantic import JsonValue

from edged import __version__
from edged.book.ledger import Epoch
from edged.clock import random_hex
from edged.errors import LedgerError, UsageError
from edged.evidence import bodies
from edged.evidence.certificates import fingerprint
from edged.evidence.entry import parse
from edged.evidence.ids import EpochId, StationId, origin_of, split_origin
from edged.evidence.note import vkey
from edged.evidence.text import to_base64
from edged.keys import Waiting
from edged.station.parts import Parts
from edged.station.published import Published, newest, read_checkpoint, read_entries, successor
from edged.stores.port import Store

_log = logging.getLogger(__name__)

_WAY_ON = (
    "Is this a restored backup or a copy of another station's disk? Intake goes on, and no recorder is erased. To go "
    "on in a new epoch, run `edged key rotate --root-key FILE` with the key of the station's own root, or `edged key "
    "request` and `edged key install` with an authority's."
)


def next_origin(parts: Parts) -> str:
    """Give the origin of an epoch that never was."""
    station = parts.config.station
    epoch = EpochId(f"{parts.clock.now():%Y-%m}-{random_hex(4)}")
    return origin_of(station.domain, StationId(station.id), epoch)


def ready_key(parts: Parts) -> Waiting | None:
    """Give the waiting key if it is certified, now valid, and its epoch was never opened."""
    waiting = parts.key.waiting()
    if waiting is None or not waiting.is_valid(parts.clock.now()):
        return None
    return None if waiting.origin in {epoch.origin for epoch in parts.book.ledger.epochs()} else waiting


def change_over(parts: Parts, *, code: str, text: str, actor: str = "edged") -> tuple[str, str]:
    """Close the open epoch and open the next with the waiting key; gives both origins.

    A book that is behind what was published is not closed; it goes on in the next epoch all the same. Raises
    UsageError where no certified key waits or one change-over is not through, UnavailableError or StoreError where
    central storage cannot confirm what is published.
    """
    with parts.key.turn:
        ledger = parts.book.ledger
        ended = ledger.epoch
        if parts.store is None:
            raise UsageError("A station without central storage signs nothing, so it has no key to change.")
        waiting = ready_key(parts)
        if waiting is None:
            raise UsageError(
                "No certified key waits for the next epoch.",
                hint="`edged key show` says what is there; `edged key request` and `edged key install` bring one.",
            )
        if not confirm(parts, parts.store):
            return ended.origin, ledger.epoch.origin
        if ledger.signing_epoch().number != ended.number:
            raise UsageError(
                "The last change-over is not through: the epoch before is not published to its end.",
                hint="See `edged status`; it goes on by itself.",
            )
        with parts.book.database.write():
            reason = parts.book.registers.add_reason(code=code, text=text)
            previous = ledger.close_epoch(bodies.Close(reason=reason, next=waiting.origin), actor=actor)
            _open(parts, waiting, previous, reason, actor)
    _log.info("epoch %s is closed, %s is open", ended.origin, waiting.origin)
    return ended.origin, waiting.origin


def confirm(parts: Parts, store: Store) -> bool:
    """Compare the newest published checkpoint with the book: the guard against forks. Called before each signature.

    Says whether all is as the book has it; False if the ledger went on elsewhere and a new epoch was begun. Raises
    LedgerError where that cannot be done, UnavailableError or StoreError where the store cannot be asked.
    """
    ledger = parts.book.ledger
    epoch = ledger.signing_epoch()
    log = ledger.log(epoch)
    data = newest(store, epoch.origin)
    if data is None:
        if log.published_size() > 0:
            raise LedgerError(
                f"Store {store.id} has lost the ledger that was published there; nothing is signed.",
                hint="Find out what happened to the bucket before anything else. Intake goes on.",
            )
        return True
    head = log.newest_head()
    if head is not None and head.note == data:
        return True
    published = read_checkpoint(data, epoch.origin, _vkey_of(parts, epoch))
    if published.size <= log.size() and log.root(published.size) == published.checkpoint.root:
        return True
    _go_on_after(parts, store, epoch, published)
    return False


def _vkey_of(parts: Parts, epoch: Epoch) -> str:
    """Give the verifier key that an epoch's first entry names."""
    genesis = parse(parts.book.ledger.log(epoch).entry_bytes(0)).body
    if not isinstance(genesis, bodies.Genesis):
        raise LedgerError(f"{epoch.origin} does not begin with its key.")
    return genesis.public_key


def _go_on_after(parts: Parts, store: Store, epoch: Epoch, published: Published) -> None:
    """Begin a new epoch behind what was published; raises LedgerError if no key for it is here."""
    log = parts.book.ledger.log(epoch)
    contradiction = (
        f"Store {store.id} holds a ledger of this station with {published.size} entries that this "
        f"book, with {log.size()}, does not contain; nothing is signed, so that the ledger never forks."
    )
    parts.confirmed.clear()
    waiting = parts.key.waiting()
    if waiting is not None and newest(store, waiting.origin) is not None:
        # A copy of this disk has opened that epoch: its name and its key are used up.
        parts.key.discard()
        waiting = None
    if waiting is None or not waiting.is_valid(parts.clock.now()):
        raise LedgerError(contradiction, hint=_WAY_ON)
    _log.warning("%s A new epoch begins.", contradiction)
    try:
        _restore(parts, store, epoch, published, waiting)
    except _ForkedError as error:
        _log.error("%s", error.message)
        _leave(parts, epoch, published, waiting)


class _ForkedError(LedgerError):
    """What was published contradicts what this very book had signed."""


def _restore(parts: Parts, store: Store, epoch: Epoch, published: Published, waiting: Waiting) -> None:
    """Take in what was published, of this epoch and of those after it, and say again what was not."""
    ledger, restoration = parts.book.ledger, parts.book.restoration
    log = ledger.log(epoch)
    signed = log.signed_size()
    if published.size < signed:
        raise _ForkedError(f"{epoch.origin} was signed at size {signed}, and published otherwise.")
    entries = read_entries(store, epoch.origin, signed, published.size)
    alike = _alike(log.entries_between(signed, log.size()), entries)
    chain, last = [], entries[-1] if entries else log.entry_bytes(published.size - 1)
    while (later := successor(store, last, parts.key.roots_pem())) is not None:
        chain.append(later)
        last = later.entries[-1]
    with parts.book.database.write():
        asides = restoration.set_aside(epoch, signed + alike)
        root = published.checkpoint.root
        try:
            restoration.take_in(epoch, entries[alike:], note=published.note, size=published.size, root=root)
        except LedgerError as error:
            raise _ForkedError(f"{epoch.origin}: {error.message}") from error
        end = published.checkpoint
        ledger.leave_epoch()
        for each in chain:
            end = each.published.checkpoint
            later_epoch = ledger.add_epoch(id=EpochId(split_origin(end.origin)[2]), origin=end.origin)
            restoration.take_in(later_epoch, each.entries, note=each.published.note, size=end.size, root=end.root)
            ledger.leave_epoch()
            parts.key.keep_certificates(end.origin, each.certificates)
        if waiting.origin in {each.origin for each in ledger.epochs()}:
            raise LedgerError(f"The waiting key is for {waiting.origin}, which was opened elsewhere.", hint=_WAY_ON)
        previous = bodies.Previous(origin=end.origin, size=end.size, root=to_base64(end.root))
        recovered = len(entries) - alike + sum(len(each.entries) for each in chain)
        text = f"This book was behind what was published: {recovered} entries were taken in again."
        _open(parts, waiting, previous, parts.book.registers.add_reason(code="restored", text=text), "edged")
        restoration.say_again(asides)
        _tell(parts, previous, recovered=recovered, set_aside=len(asides), contradicted=False)


def _leave(parts: Parts, epoch: Epoch, published: Published, waiting: Waiting) -> None:
    """Leave an epoch that went on elsewhere in contradiction to what this book had signed of it."""
    ledger, end = parts.book.ledger, published.checkpoint
    with parts.book.database.write():
        asides = parts.book.restoration.set_aside(epoch, ledger.log(epoch).signed_size())
        ledger.leave_epoch()
        previous = bodies.Previous(origin=end.origin, size=end.size, root=to_base64(end.root))
        text = "What was published under this station's name contradicts what it had signed itself."
        _open(parts, waiting, previous, parts.book.registers.add_reason(code="contradicted", text=text), "edged")
        parts.book.restoration.say_again(asides)
        _tell(parts, previous, recovered=0, set_aside=len(asides), contradicted=True)


def _open(parts: Parts, waiting: Waiting, previous: bodies.Previous, reason: bodies.Reason, actor: str) -> None:
    genesis = bodies.Genesis(
        origin=waiting.origin,
        public_key=vkey(waiting.origin, waiting.public),
        certificate_sha256=fingerprint(waiting.certificates[0]),
        previous=previous,
        software=f"edged {__version__}",
        reason=reason,
    )
    epoch = EpochId(split_origin(waiting.origin)[2])
    parts.book.ledger.open_epoch(id=epoch, origin=waiting.origin, genesis=genesis, actor=actor)


def _tell(parts: Parts, previous: bodies.Previous, *, recovered: int, set_aside: int, contradicted: bool) -> None:
    kind = "ledger-contradicted" if contradicted else "ledger-restored"
    detail: dict[str, JsonValue] = {
        "origin": previous.origin,
        "size": previous.size,
        "recovered": recovered,
        "set_aside": set_aside,
    }
    parts.book.ledger.append(bodies.Anomaly(kind=kind, docking=None, subject=None, detail=detail))


def _alike(ours: list[bytes], theirs: list[bytes]) -> int:
    """Give how many entries two lists begin with alike."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(ours), len(theirs)))
