"""The registers: ordinary data of people, kept out of the ledger, which cites it by digest."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from edged.book.database import Database
from edged.clock import random_hex
from edged.errors import UnreadableError
from edged.evidence.bodies import Reason
from edged.evidence.digests import sha256_hex

_DAYS_BETWEEN_ZONES: Final = 3
"""How far the dates of one moment can be apart, written with any two offsets, and a day for what is compared."""


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """A record of the case feed, as JSON text, and the digest of the file that told it."""

    case: str
    record: str
    source: str


class Registers:
    """Cases, texts of reasons, and the documents that entries cite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_reason(self, *, code: str, text: str) -> Reason:
        """Keep a person's words under a fresh salt, and give what an entry says of them (EVIDENCE.md, section 2)."""
        salt = random_hex(32)
        digest = sha256_hex(salt.encode() + text.encode())
        self._database.run("add_reason", digest=digest, salt=salt, text=text)
        return Reason(code=code, text=digest)

    def reason(self, digest: str) -> tuple[str, str] | None:
        """Give salt and text of a reason, if the register still holds it."""
        row = self._database.row("reason", digest=digest)
        return None if row is None else (row["salt"], row["text"])

    def document(self, sha256: str) -> bytes:
        """Give a document that an entry cites; raises UnreadableError if it is not here."""
        row = self._database.row("document", sha256=sha256)
        if row is None:
            raise UnreadableError(f"The book holds no document {sha256}.")
        return bytes(row["bytes"])

    def add_cases(self, rows: list[CaseRow]) -> None:
        """Keep records of the case feed; one that is already known is not kept twice."""
        with self._database.write():
            for row in rows:
                self._database.run("add_case", case=row.case, record=row.record, source=row.source)

    def cases_named(self, case: str) -> list[str]:
        """Give the records of one case as JSON text, in the order they were taken in."""
        return [str(row["record"]) for row in self._database.rows("cases_named", case=case)]

    def cases_about(self, *, recorder: str, officer: str | None, begin: datetime, end: datetime) -> list[str]:
        """Give the records of the case feed that footage may be meant by, as JSON text, oldest first.

        These are all that name its recorder, or no recorder and its officer, and reach into its time; some more may
        be among them.
        """
        since, before = _day(begin, -_DAYS_BETWEEN_ZONES), _day(end, _DAYS_BETWEEN_ZONES)
        rows = self._database.rows("cases_about", recorder=recorder, officer=officer, since=since, before=before)
        return [str(row["record"]) for row in rows]


def _day(moment: datetime, further: int) -> str:
    """Give the day so many days from a moment's as text, the first or last there is where the calendar ends."""
    try:
        return (moment.date() + timedelta(days=further)).isoformat()
    except OverflowError:
        return (date.min if further < 0 else date.max).isoformat()
