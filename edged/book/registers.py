"""The registers: ordinary data of people, kept out of the ledger, which cites it by digest."""

from dataclasses import dataclass

from edged.book.database import Database
from edged.clock import random_hex
from edged.errors import UnreadableError
from edged.evidence.bodies import Reason
from edged.evidence.digests import sha256_hex


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

    def cases(self) -> list[str]:
        """Give all records of the case feed, as JSON text, oldest first."""
        return [str(row["record"]) for row in self._database.rows("cases")]
