"""Holding a receipt against a ledger: what paper remembers of it, and the ledger may have forgotten.

Guarantee: `verified` only if the entries themselves, all of them hashed anew, give the root on the paper at its size,
the entry that it names is among them, and the log's key signed that. Nothing that the ledger says of itself is taken
for an answer but its entries.
"""

from typing import Final

from edged.audit.port import ENTRIES, LogSource, Progress, Target
from edged.errors import MalformedError, UnreadableError
from edged.evidence import bodies, merkle
from edged.evidence.entry import parse, reference
from edged.evidence.note import parse_note, parse_vkey, verify
from edged.evidence.receipts import Receipt
from edged.evidence.verification.report import Check, failed, not_established, verified
from edged.evidence.verification.words import Words

_FOREIGN: Final = Words(
    "But the key of this ledger did not sign what was read: scan the code again first. If it stays so, either the "
    "paper is forged, or the ledger was replaced from its beginning, its key too. Compare the key with what the agency "
    "certified.",
    "但所读内容并非由本台账的密钥签署：请先重新扫描二维码。若结果不变，要么凭条系伪造，要么台账自始连同密钥被整体替换，"
    "请与本单位所认证的密钥核对。",
)
_MISREAD: Final = Words(
    "But what was read does not hold together: scan the code again first.",
    "但所读内容前后不符：请先重新扫描二维码。",
)


def hold_against(target: Target, paper: Receipt, progress: Progress) -> Check:
    """Say whether a ledger is the one that a receipt was printed of."""
    at = paper.checkpoint
    try:
        source = next((log for log in target.logs() if log.origin == at.origin), None)
    except UnreadableError:
        source = None
    if source is None:
        return not_established(
            f"There is no ledger of {at.origin} here: this receipt says nothing about what is here.",
            f"此处没有 {at.origin} 的台账：本凭条与此处内容无关。",
        )
    if source.size < at.size:
        return _cut(source, paper)
    try:
        root, there, signed = _read(source, paper, progress)
    except (UnreadableError, MalformedError) as error:
        return not_established(
            f"Not all of the {at.size} entries that the receipt covers can be read here: {error.message}",
            f"凭条所涵盖的 {at.size} 条中有条目在此处无法读取，无从核对。",
        )
    return _judged(paper, root, there=there, signed=signed)


def _judged(paper: Receipt, root: bytes, *, there: bool, signed: bool) -> Check:
    at = paper.checkpoint
    if root != at.root:
        return _contradicted(paper, signed=signed)
    if not signed:
        return not_established(
            f"This ledger has the root of the receipt at {at.size} entries. {_MISREAD.en} Its signature is not this "
            "ledger's own; if it stays so, the paper was altered.",
            f"本台账在 {at.size} 条处的根与凭条一致。{_MISREAD.zh}其签名不是本台账的签名；若结果不变，则凭条被改动。",
        )
    if not there:
        return not_established(
            f"This ledger has the root of the receipt at {at.size} entries. {_MISREAD.en} Entry {paper.seq} is not the "
            "one that it names; if it stays so, the paper was altered.",
            f"本台账在 {at.size} 条处的根与凭条一致。{_MISREAD.zh}"
            f"第 {paper.seq} 条不是其所指条目；若结果不变，则凭条被改动。",
        )
    return verified(
        f"This ledger has this root at {at.size} entries, and entry {paper.seq} is the one on the receipt: nothing of "
        "it was rewritten since the receipt was printed.",
        f"本台账在 {at.size} 条处确有此根，第 {paper.seq} 条即凭条所指条目：自凭条打印以来，此前内容未被改写。",
    )


def _cut(source: LogSource, paper: Receipt) -> Check:
    size = paper.checkpoint.size
    en = f"The ledger and the paper do not agree: the receipt is of {size} entries, and there are {source.size} here."
    zh = f"台账与凭条不一致：凭条所载台账有 {size} 条，此处只有 {source.size} 条。"
    try:
        signed = source.size > 0 and _signs(source.entries(0, min(ENTRIES, source.size))[0], paper)
    except (UnreadableError, MalformedError):
        signed = False
    if not signed:
        return not_established(f"{en} {_FOREIGN.en}", zh + _FOREIGN.zh)
    return failed(
        f"{en} Entries were removed, or this is an older copy of the ledger.", f"{zh}条目被删除，或此处为较早的副本。"
    )


def _contradicted(paper: Receipt, *, signed: bool) -> Check:
    size = paper.checkpoint.size
    en = f"The ledger and the paper do not agree: this ledger has another root at {size} entries."
    zh = f"台账与凭条不一致：本台账在 {size} 条处的根与凭条不同。"
    if not signed:
        return not_established(f"{en} {_FOREIGN.en}", zh + _FOREIGN.zh)
    return failed(
        f"{en} Its own key signed the root on the receipt: the ledger was rewritten. Keep the paper.",
        f"{zh}凭条上的根由台账自身的密钥签署：台账已被改写。请保存好凭条。",
    )


def _read(source: LogSource, paper: Receipt, progress: Progress) -> tuple[bytes, bool, bool]:
    """Hash the entries anew; gives the root at the paper's size, whether its entry is there, whether it was signed.

    Raises UnreadableError or MalformedError where they are not all here.
    """
    size = paper.checkpoint.size
    tree, there, signed = merkle.Tree(), False, False
    progress.begin("entries", size)
    for n in range(-(-size // ENTRIES)):
        # Where only this much was ever published, the last bundle is no wider.
        width = min(ENTRIES, source.size - n * ENTRIES)
        found = source.entries(n, width)[: size - n * ENTRIES]
        if n == 0:
            signed = _signs(found[0], paper)
        for entry in found:
            there = there or (tree.size == paper.seq and reference(entry) == paper.ref)
            tree.append(merkle.leaf_hash(entry))
        progress.advance(len(found))
    return tree.root(), there, signed


def _signs(first: bytes, paper: Receipt) -> bool:
    """Say whether the key that a log's first entry names signed the checkpoint on the paper."""
    try:
        genesis = parse(first).body
        if not isinstance(genesis, bodies.Genesis):
            return False
        key = parse_vkey(genesis.public_key)
        return key.name == paper.checkpoint.origin and verify(parse_note(paper.note()), key)
    except MalformedError:
        return False
