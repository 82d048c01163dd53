"""What lies where originals do besides the copies of the ledger: derivatives are checked, the rest is named."""

from typing import Final

from edged.audit.entries import Known, mark
from edged.audit.port import Lying, Originals
from edged.audit.tally import Tally
from edged.errors import StorageError, StoreError, UnreadableError
from edged.evidence.digests import Digester
from edged.evidence.verification.report import failed, not_established, verified
from edged.evidence.verification.words import Words

_NAMED: Final = 1_000
_GOOD: Final = verified("It is the one its entry describes.", "与其条目相符。")


def check_lying(originals: Originals, known: Known, derivatives: Tally) -> list[Words]:
    """Check derivatives, and name what the ledger does not know; nothing of that counts for a segment."""
    strays: list[Words] = []
    more = 0
    for lying in originals.lying():
        if lying.kind == "derivative":
            _check_derivative(originals, lying, known, derivatives)
        elif (words := _stray(lying, known)) is not None:
            if len(strays) < _NAMED:
                strays.append(words)
            else:
                more += 1
    if more:
        strays.append(Words(f"{more} more that the ledger does not name.", f"另有 {more} 个不在台账内。"))
    return strays


def _stray(lying: Lying, known: Known) -> Words | None:
    is_known = mark(lying.key.rpartition("/")[0]) in known.folders
    which = "" if not lying.version else f" (version {lying.version})"
    if lying.kind == "beside" and is_known:
        return None
    if lying.kind == "original" and mark(lying.key, lying.version or "") in known.versions:
        return None
    if lying.kind == "original" and is_known:
        return Words(
            f"Not the version that the ledger names, and not looked at: {lying.key}{which}.",
            f"并非台账所指版本，未予采信：{lying.key}{which}。",
        )
    return Words(f"The ledger names no such copy: {lying.key}{which}.", f"台账中没有此副本：{lying.key}{which}。")


def _check_derivative(originals: Originals, lying: Lying, known: Known, derivatives: Tally) -> None:
    digester = Digester()
    try:
        for block in originals.read_lying(lying):
            digester.update(block)
    except (UnreadableError, StorageError, StoreError) as error:
        derivatives.add(not_established(error.message, f"无法读取：{error.message}"), lying.key)
        return
    found = digester.finish()
    named = mark(lying.segment or "", lying.derivative, found.sha256, str(found.size_bytes))
    derivatives.add(
        _GOOD
        if named in known.derivatives
        else failed("It is in no derivative entry of that original.", "与该原件的任何衍生件条目都不相符。"),
        lying.key,
    )
