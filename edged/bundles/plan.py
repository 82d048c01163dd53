"""What the ledger says a bundle holds: the `export` entry, its list, and the entries on it, read and compared once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from edged.bundles.anchored import End, end_for, ends_of
from edged.bundles.port import LedgerView
from edged.errors import LedgerError, MalformedError, UnavailableError, UsageError
from edged.evidence import bodies, canonical
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import Entry, parse
from edged.evidence.ids import EpochId, SegmentId, Sha256, StationId, bundle_name
from edged.evidence.verification.selection import cited_texts, parse_export_list


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything about a bundle that the ledger decides."""

    station: StationId
    export: bodies.Export
    export_number: int
    exported: datetime
    """When the station says it wrote the `export` entry."""
    export_list: bytes
    """The bytes of `export.json`."""
    data: Mapping[int, bytes]
    """The bytes of every entry of the bundle by its number, the `export` entry among them."""
    entries: Mapping[int, Entry]
    sealed: Mapping[int, bodies.Segment]
    """The segments to hand over, by the number of their entry."""
    ends: Mapping[EpochId, tuple[End, ...]]
    """Where proofs end, in each epoch that an entry of the bundle is of; smallest first."""

    @property
    def epoch(self) -> EpochId:
        """Give the epoch that the `export` entry is of, the newest one here."""
        return self.entries[self.export_number].epoch

    @property
    def export_seq(self) -> int:
        """Give the index of the `export` entry in its log."""
        return self.entries[self.export_number].seq

    @property
    def size(self) -> int:
        """Give the size at which the proofs of the newest epoch end."""
        return self.ends[self.epoch][-1].size

    @property
    def log(self) -> str:
        """Give `STATION/EPOCH`, the part of a path that names the log of the newest epoch."""
        return self.log_of(self.epoch)

    def log_of(self, epoch: EpochId) -> str:
        """Give the part of a path that names the log of an epoch."""
        return f"{self.station}/{epoch}"

    def end_of(self, number: int) -> End:
        """Give the checkpoint that an entry is proven to."""
        entry = self.entries[number]
        return end_for(self.ends[entry.epoch], entry.seq)

    def reasons(self) -> Iterator[Sha256]:
        """Give the digest of every reason that an entry of the bundle cites."""
        for entry in self.entries.values():
            yield from cited_texts(entry)


def read_plan(view: LedgerView, export_seq: int) -> Plan:
    """Read an export from the ledger.

    Raises UsageError for an entry that is no export, UnavailableError while no signed checkpoint covers it, and
    LedgerError where the ledger contradicts itself.
    """
    head = view.entry_bytes(export_seq)
    export = parse(head)
    if not isinstance(export.body, bodies.Export):
        raise UsageError(f"Entry {export_seq} is no export.")
    covering = view.checkpoint_covering(export_seq)
    if covering is None:
        raise UnavailableError(
            "No signed checkpoint covers the export yet.", hint="The station signs one shortly; try again then."
        )
    export_list = view.document(export.body.list_sha256)
    if sha256_hex(export_list) != export.body.list_sha256:
        raise LedgerError(f"The list of export {export.body.export} is not the one its entry cites.")
    try:
        listed = parse_export_list(export_list)
    except MalformedError as error:
        raise LedgerError(f"The list of export {export.body.export} is malformed: {error}.") from error
    data = {export_seq: head}
    for ref in listed.entries:
        seq = view.seq_of(ref)
        if seq is None:
            raise LedgerError(f"The ledger lacks the entry {ref} that export {listed.export} lists.")
        data[seq] = view.entry_bytes(seq)
    entries = {seq: parse(data[seq]) for seq in sorted(data)}
    sealed = _sealed(entries, set(listed.segments))
    return Plan(
        station=view.station,
        export=export.body,
        export_number=export_seq,
        exported=export.time,
        export_list=export_list,
        data=data,
        entries=entries,
        sealed=sealed,
        ends=ends_of(
            view,
            entries,
            {
                epoch: covering if epoch == export.epoch else _last(view, epoch)
                for epoch in sorted({entry.epoch for entry in entries.values()})
            },
        ),
    )


def _last(view: LedgerView, epoch: EpochId) -> tuple[int, bytes]:
    found = view.last_checkpoint(epoch)
    if found is None:
        raise UnavailableError(
            f"Epoch {epoch} is not signed to its end yet.", hint="The station does so by itself; try again then."
        )
    return found


def _sealed(entries: Mapping[int, Entry], wanted: set[SegmentId]) -> dict[int, bodies.Segment]:
    sealed = {
        seq: entry.body
        for seq, entry in entries.items()
        if isinstance(entry.body, bodies.Segment) and entry.body.segment in wanted
    }
    if lacking := wanted - {body.segment for body in sealed.values()}:
        raise LedgerError(f"The export lists {min(lacking)}, but not the entry that seals it.")
    if len(sealed) != len(wanted):
        raise LedgerError("The ledger seals a segment of this export twice.")
    return sealed


def texts(view: LedgerView, plan: Plan) -> bytes:
    """Give the bytes of `texts.json`: the reasons that may be disclosed, with the salt that their digests need."""
    found = {digest: view.reason_text(digest) for digest in plan.reasons()}
    return canonical.encode(
        {digest: {"salt": said[0], "text": said[1]} for digest, said in found.items() if said is not None}
    )


def name_of(segment: bodies.Segment) -> str:
    """Give the file name of an original in the bundle."""
    return bundle_name(segment.path)
