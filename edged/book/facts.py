"""What the projections say, as frozen rows: the facts from which the station derives what is due next."""

from typing import Any, TypeVar

from edged.book.database import Database
from edged.book.rows import (
    AtPathRow,
    ClassificationRow,
    ClearanceRow,
    DerivativeRow,
    DockingRow,
    FoundRow,
    FromRow,
    LockRow,
    MarkedRow,
    ReplicaRow,
    RetiredRow,
    RetiringRow,
    SealedFileRow,
    SegmentRow,
)
from edged.evidence.ids import SegmentId

__all__ = [
    "AtPathRow",
    "ClassificationRow",
    "ClearanceRow",
    "DerivativeRow",
    "DockingRow",
    "Facts",
    "FoundRow",
    "LockRow",
    "MarkedRow",
    "ReplicaRow",
    "RetiredRow",
    "RetiringRow",
    "SealedFileRow",
    "SegmentRow",
]

_Kind = TypeVar("_Kind", bound=FromRow)


class Facts:
    """Questions to the projections; every answer is one consistent read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def segment(self, segment: str) -> SegmentRow | None:
        """Give a sealed segment."""
        return self._one(SegmentRow, "segment", segment=segment)

    def segments_of_case(self, case: str) -> list[SegmentRow]:
        """Give the segments that are classified to a case, in the order they were sealed."""
        return self._all(SegmentRow, "segments_of_case", case=case)

    def segments_of_recorder(self, recorder: str) -> list[SegmentRow]:
        """Give the segments of a recorder, in the order they were sealed."""
        return self._all(SegmentRow, "segments_of_recorder", recorder=recorder)

    def segments_sealed_before(self, docking: DockingRow, *, most: int) -> list[SegmentRow]:
        """Give the newest segments of a docking's recorder that were sealed before it, newest first."""
        return self._all(
            SegmentRow, "segments_sealed_before", recorder=docking.recorder, docking=docking.docking, most=most
        )

    def found_segments(self, docking: str) -> dict[str, SegmentRow]:
        """Give the segments of a docking by the paths at which it found them."""
        rows = self._database.rows("found_segments", docking=docking)
        return {str(row["found_path"]): SegmentRow.of(row) for row in rows}

    def last_docking_before(self, docking: DockingRow) -> DockingRow | None:
        """Give the docking of a recorder before one, as `last_docking` gives the newest."""
        return self._one(DockingRow, "last_docking_before", recorder=docking.recorder, docking=docking.docking)

    def dockings_after(self, docking: str, *, most: int) -> list[DockingRow]:
        """Give the next dockings of a docking's recorder, oldest first."""
        return self._all(DockingRow, "dockings_after", docking=docking, most=most)

    def dockings_cut_short(self, recorder: str, *, most: int) -> list[DockingRow]:
        """Give the newest dockings of a recorder that were cut short, or last."""
        return self._all(DockingRow, "dockings_cut_short", recorder=recorder, most=most)

    def anomalies_of_docking(self, docking: str) -> list[bytes]:
        """Give the anomaly entries of a docking, oldest first."""
        return [bytes(row["bytes"]) for row in self._database.rows("anomalies_of_docking", docking=docking)]

    def segment_last_found_at(self, *, recorder: str, path: str, size_bytes: int) -> SegmentRow | None:
        """Give the segment that one of the last dockings of a recorder found at this path, if its size is the same."""
        return self._one(SegmentRow, "segment_last_found_at", recorder=recorder, path=path, bytes=size_bytes)

    def last_at_path(self, *, recorder: str, path: str, but: str) -> AtPathRow | None:
        """Give what the newest docking of a recorder but one found at a path; what was handed in is none."""
        return self._one(AtPathRow, "last_at_path", recorder=recorder, path=path, but=but)

    def docking(self, docking: str) -> DockingRow | None:
        """Give a docking."""
        return self._one(DockingRow, "docking", docking=docking)

    def open_dockings(self) -> list[DockingRow]:
        """Give the dockings without an end, oldest first."""
        return self._all(DockingRow, "open_dockings")

    def last_docking_in(self, bay: str) -> DockingRow | None:
        """Give the newest docking in a bay whose inventory is here."""
        return self._one(DockingRow, "last_docking_in", bay=bay)

    def last_docking(self, recorder: str, *, but: str | None = None) -> DockingRow | None:
        """Give the newest docking of a recorder, but one, whose inventory is here; what was handed in is none."""
        return self._one(DockingRow, "last_docking", recorder=recorder, but=but)

    def docking_entries(self, recorder: str, *, most: int) -> list[bytes]:
        """Give the newest `docking` entries of a recorder, newest first."""
        return [bytes(row["bytes"]) for row in self._database.rows("docking_entries", recorder=recorder, most=most)]

    def undocking_of(self, docking: str) -> int | None:
        """Give the position of the entry that ended a docking, None while it lasts."""
        row = self._database.row("undocking_of", docking=docking)
        return None if row is None else int(row["position"])

    def receipt_counts(self, docking: str) -> dict[str, int]:
        """Give the counts of a docking that its receipt tells: sealed, sighted, wiped, findings."""
        row = self._database.row("receipt_counts", docking=docking)
        return {} if row is None else {key: int(row[key]) for key in row.keys()}  # noqa: SIM118 - a Row is no dict

    def found(self, docking: str) -> dict[str, FoundRow]:
        """Give what of a docking is accounted for, by path."""
        return {row.path: row for row in self._all(FoundRow, "found", docking=docking)}

    def found_at(self, docking: str, path: str) -> FoundRow | None:
        """Give what a docking says of one path."""
        return self._one(FoundRow, "found_at", docking=docking, path=path)

    def sealed_files(self, docking: str) -> list[SealedFileRow]:
        """Give the accounted paths of a docking with what clearance asks of their segments."""
        return self._all(SealedFileRow, "clearance_facts", docking=docking)

    def clearances(self, docking: str) -> dict[str, ClearanceRow]:
        """Give the files of a docking that were cleared, by path."""
        return {row.path: row for row in self._all(ClearanceRow, "clearances", docking=docking)}

    def replicas(self, segment: str) -> list[ReplicaRow]:
        """Give the verified copies of a segment."""
        return self._all(ReplicaRow, "replicas", segment=segment)

    def retired(self, segment: str, store: str) -> RetiredRow | None:
        """Say whether the copy of a segment in a store was removed on purpose, or is about to be."""
        return self._one(RetiredRow, "retired", segment=segment, store=store)

    def retiring(self, store: str, *, after: int, most: int) -> list[RetiringRow]:
        """Give segments whose copy in a store is to be removed and not said to be gone, by entries behind `after`."""
        return self._all(RetiringRow, "retiring", store=store, after=after, most=most)

    def not_retired(self, store: str, *, before: str, after: int, most: int) -> list[SegmentRow]:
        """Give trusted segments behind a position, sealed before a time (RFC 3339), whose copy was not removed."""
        return self._all(SegmentRow, "not_retired", store=store, before=before, after=after, most=most)

    def last_segment_position(self) -> int:
        """Give the position of the newest segment, 0 where there is none."""
        row = self._database.row("last_segment_position")
        return 0 if row is None else int(row["position"])

    def locks_before(self, store: str, moment: str) -> list[LockRow]:
        """Give the copies in a store whose lock ends before a moment (RFC 3339, UTC), soonest first."""
        return self._all(LockRow, "locks_before", store=store, moment=moment)

    def without_replica(self, store: str, *, after: int, most: int) -> list[SegmentRow]:
        """Give segments behind a position that have no verified copy in a store, important ones and oldest first."""
        work = f"replicate {store}"
        return self._all(SegmentRow, "without_replica", store=store, work=work, after=after, most=most)

    def unclassified(self, *, after: int, most: int) -> list[SegmentRow]:
        """Give segments behind a position that have no classification."""
        return self._all(SegmentRow, "unclassified", after=after, most=most)

    def undetermined(self, *, after: int, most: int) -> list[SegmentRow]:
        """Give segments whose term is undetermined, in ledger order behind position `after`."""
        return self._all(SegmentRow, "undetermined", after=after, most=most)

    def unsettled(self, *, after: int, most: int) -> list[SegmentRow]:
        """Give segments that new cases may settle: without a case, or without a term; behind position `after`."""
        return self._all(SegmentRow, "unsettled", after=after, most=most)

    def marked_again(self, *, after: int, most: int) -> list[MarkedRow]:
        """Give segments that were met again marked as important, by entries behind position `after`, oldest first."""
        return self._all(MarkedRow, "marked_again", after=after, most=most)

    def side_files(self, segment: str) -> list[SegmentRow]:
        """Give the side files of a segment, in the order they were sealed."""
        return self._all(SegmentRow, "side_files", segment=segment)

    def classification(self, segment: str) -> ClassificationRow | None:
        """Give the classification in force."""
        return self._one(ClassificationRow, "classification", segment=segment)

    def without_derivative(self, kind: str, *, after: int, most: int) -> list[SegmentRow]:
        """Give segments behind a position for which a derivative is neither made nor known to be impossible."""
        work = f"derive {kind}"
        return self._all(SegmentRow, "without_derivative", kind=kind, work=work, after=after, most=most)

    def derivatives(self, segment: str) -> list[DerivativeRow]:
        """Give the derivatives of a segment."""
        return self._all(DerivativeRow, "derivatives", segment=segment)

    def last_derivative_position(self) -> int:
        """Give the position of the newest derivative, 0 where there is none."""
        row = self._database.row("last_derivative_position")
        return 0 if row is None else int(row["position"])

    def derivatives_not_beside(self, store: str, *, after: int, most: int) -> list[tuple[SegmentId, DerivativeRow]]:
        """Give derivatives that do not lie beside their replica in a store yet."""
        rows = self._database.rows("derivatives_not_beside", store=store, after=after, most=most)
        return [(SegmentId(row["segment"]), DerivativeRow.of(row)) for row in rows]

    def all_segments(self, *, after: int, most: int) -> list[SegmentRow]:
        """Give segments in ledger order behind position `after`, a page at a time."""
        return self._all(SegmentRow, "all_segments", after=after, most=most)

    def totals(self) -> dict[str, int]:
        """Give the station's counts as `total` keeps them: segments, their bytes, copies, wipes, anomalies."""
        row = self._database.row("totals")
        return {} if row is None else {key: int(row[key]) for key in row.keys()}  # noqa: SIM118 - a Row is no dict

    def lacking_proof(self, docking: str, store: str, *, sealed_before: str) -> int:
        """Count the files of a docking whose own entry or copy in vault or store is not published yet, and can be."""
        row = self._database.row("lacking_proof", docking=docking, store=store, before=sealed_before)
        return 0 if row is None else int(row["files"])

    def distrusted_in(self, docking: str) -> int:
        """Count the files of a docking that gave other bytes at each reading, or not all of them."""
        row = self._database.row("distrusted_in", docking=docking)
        return 0 if row is None else int(row["files"])

    def docking_progress(self, docking: str) -> dict[str, int]:
        """Give the counts of one docking: accounted, reread, replicated, wiped."""
        row = self._database.row("docking_progress", docking=docking)
        return {} if row is None else {key: int(row[key]) for key in row.keys()}  # noqa: SIM118 - a Row is no dict

    def anomalies_about(self, name: str, anomaly: str | None = None, *, kind: str = "segment") -> list[bytes]:
        """Give the anomaly entries of one kind, or of all, about a segment or a recorder, oldest first."""
        rows = self._database.rows("anomalies_about", kind=kind, id=name, anomaly=anomaly)
        return [bytes(row["bytes"]) for row in rows]

    def _one(self, kind: type[_Kind], query: str, /, **values: Any) -> _Kind | None:  # noqa: ANN401
        row = self._database.row(query, **values)
        return None if row is None else kind.of(row)

    def _all(self, kind: type[_Kind], query: str, /, **values: Any) -> list[_Kind]:  # noqa: ANN401
        return [kind.of(row) for row in self._database.rows(query, **values)]
