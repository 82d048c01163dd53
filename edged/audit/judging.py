"""One log, judged: which of its checkpoints are signed and are those of its entries, whose key it is, and since when.

All that can be asked of an entry is answered from there: an entry is in the log if the tree over all entries has the
root of a checkpoint above it; its time is bounded by every anchored checkpoint above it, all of which are joined by
that same tree.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from edged.audit.port import LogSource
from edged.audit.scan import Scan
from edged.errors import MalformedError
from edged.evidence.certificates import extension_of, fingerprint
from edged.evidence.entry import Entry
from edged.evidence.identity import Identity, check_identity
from edged.evidence.ids import Sha256
from edged.evidence.note import Checkpoint, Note, parse_checkpoint, parse_note, verify
from edged.evidence.verification import BundleFile, Trust
from edged.evidence.verification.anchors import Anchor, Anchors, Covering, Found
from edged.evidence.verification.layout import Layout, LogId, arrange
from edged.evidence.verification.logs import Head, Log, LogKey, read_logs
from edged.evidence.verification.moments import signing_time
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.report import Check, RootName, failed, not_established, verified
from edged.evidence.verification.words import some

_NO_ANCHORS: Final = Covering(own=Found(), larger=Found())
_IN_LOG: Final = verified(
    "The tree over all entries, this one among them, has the root of a checkpoint above it.",
    "由全部条目（含该条目）计算的树根与其上检查点的根相同。",
)
_NOT_IN_LOG: Final = failed(
    "The tree over the entries does not have the root of the checkpoint.", "由条目计算的树根与检查点的根不同。"
)
_ALTERED: Final = failed("The entry is not the one that is in the log.", "该条目不是日志中的条目。")
_NOT_SIGNED: Final = not_established("No signed checkpoint covers it yet.", "尚无已签名的检查点覆盖它。")
_SIGNED: Final = verified("The checkpoint is signed by the key in station.pem.", "检查点由 station.pem 中的密钥签名。")
_WRONGLY_SIGNED: Final = failed(
    "The checkpoint is not signed by the key in station.pem.", "检查点并非由 station.pem 中的密钥签名。"
)
_NO_KEY: Final = not_established(
    "The certificate of the log's key is not here, or cannot be read.", "缺少该日志密钥的证书，或证书无法读取。"
)
_SECOND: Final = timedelta(seconds=1)
_LAST_YEAR: Final = 9999


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A checkpoint that somebody shows of a log; nothing of it is verified by being here."""

    label: str
    note: Note
    checkpoint: Checkpoint


def read_claim(label: str, data: bytes) -> Claim:
    """Take a checkpoint apart; raises MalformedError."""
    note = parse_note(data)
    return Claim(label=label, note=note, checkpoint=parse_checkpoint(note.text))


class _Alone(Log):
    """A log whose larger checkpoints are joined by the tree, not by proofs: each is asked for by itself."""

    def covering(self, size: int) -> Iterator[int]:
        """Give just that size."""
        yield from [size] if size in self.heads else []


@dataclass(kw_only=True)
class Shown:
    """What is shown of the logs of a target, read and judged as far as it can be without the entries."""

    logs: Mapping[LogId, Log]
    anchors: Anchors
    layout: Layout


def show(sources: Sequence[LogSource], trust: Trust) -> Shown:
    """Read certificates and anchored checkpoints of every log, and judge the anchors."""
    logs: dict[LogId, Log] = {}
    layout = Layout(files={})
    files: dict[LogId, LogSource] = {}
    for source in sources:
        id_ = source.station, source.epoch
        here = arrange(source.files.listing())
        read = read_logs(here.logs, Contents(source.files, here.files))
        found = read.get(id_, Log(name="/".join(id_)))
        logs[id_] = _Alone(name=found.name, key=found.key, heads=found.heads, objections=found.objections)
        layout.logs.update({each: lying for each, lying in here.logs.items() if each == id_})
        files[id_] = source
    anchors = Anchors(Contents(_AllFiles(files)), {each: logs[each] for each in layout.logs}, trust)
    anchors.read(layout)
    return Shown(logs=logs, anchors=anchors, layout=layout)


class _AllFiles:
    """The files of all logs, each found by its path."""

    def __init__(self, sources: Mapping[LogId, LogSource]) -> None:
        self._sources = sources

    def listing(self) -> Sequence[BundleFile]:
        """Nothing is listed anew."""
        return ()

    def open(self, path: str) -> Iterator[bytes]:
        """Give a file of the log that its path names."""
        _, _, station, epoch, *_ = path.split("/")
        (found,) = [each for id_, each in self._sources.items() if id_ == (station, epoch)]
        return found.files.open(path)


class Judge:
    """Answers for one log."""

    def __init__(self, source: LogSource, scan: Scan, shown: Shown, claims: Sequence[Claim], trust: Trust) -> None:
        """`claims` are the checkpoints besides those of `shown`."""
        id_ = source.station, source.epoch
        self.origin, self.scan, self.key = source.origin, scan, shown.logs[id_].key
        self._id = id_
        self._trust = trust
        self._heads = shown.logs[id_].heads
        self.claims = [
            *claims,
            *(
                Claim(label=f"anchors/{size}/checkpoint", note=head.note, checkpoint=head.checkpoint)
                for size, head in self._heads.items()
            ),
        ]
        joined = [each for each in self.claims if self._is_of_entries(each.checkpoint)]
        self.joined = max((each.checkpoint.size for each in joined), default=0)
        """The largest size whose checkpoint is the one of the entries."""
        self.claimed = max((each.checkpoint.size for each in self.claims), default=0)
        signed = [each.checkpoint.size for each in joined if self._is_signed(each)]
        self.signed = max(signed, default=0)
        self._altered = frozenset(scan.altered)
        self._identities: dict[int, tuple[Check, RootName | None]] = {}
        self._turns = _turns(self.key, trust)
        self._sizes, self._coverings = self._cover(shown.anchors)
        self.anchors = shown.anchors

    # -- of an entry

    def inclusion(self, seq: int) -> Check:
        """Say whether an entry is in the log."""
        if seq in self._altered:
            return _ALTERED
        if seq < self.joined:
            return _IN_LOG
        return _NOT_IN_LOG if seq < min(self.claimed, self.scan.size) else _NOT_SIGNED

    def signature(self, seq: int) -> Check:
        """Say whether the log's key signed a checkpoint above an entry."""
        if self.key is None:
            return _NO_KEY
        if seq < self.signed:
            return _SIGNED
        return _WRONGLY_SIGNED if seq < self.joined else _NOT_SIGNED

    def covering(self, seq: int) -> Covering:
        """Give the anchors above an entry."""
        at = bisect_right(self._sizes, seq)
        return self._coverings[at] if at < len(self._sizes) else _NO_ANCHORS

    def identity(self, entry: Entry, anchor: Anchor | None) -> tuple[Check, RootName | None]:
        """Say whose key it was at the time of signing."""
        if self.key is None:
            return _NO_KEY, None
        moment = signing_time(entry, anchor).replace(microsecond=0)
        # Between two moments at which a certificate begins, ends or is revoked, the answer is the same.
        turn = bisect_right(self._turns, moment)
        if turn not in self._identities:
            self._identities[turn] = _named(self._check_identity(self.key, moment), self._id[0])
        return self._identities[turn]

    @property
    def roots(self) -> set[RootName]:
        """The roots that this log's key was found to be certified under."""
        return {root for _, root in self._identities.values() if root is not None}

    # -- of checkpoints

    def objections(self, objections: Iterable[Check]) -> Iterator[Check]:
        """Give what stands against this log's checkpoints; `objections` are those of its files."""
        yield from objections
        for claim in self.claims:
            yield from self.against(claim)
        for size, head in self._heads.items():
            yield from _of_head(head, size, self.origin)
        if self.scan.ended is not None:
            yield not_established(f"{self.origin}: {self.scan.ended}.", f"{self.origin}：部分条目不在此处。")
        if self.scan.absent:
            names = some([str(each) for each in self.scan.absent])
            yield not_established(
                f"{self.origin}: bundles of entries are not here or are none: {names}.",
                f"{self.origin}：条目包缺失或无法解读：{names}。",
            )
        if self.scan.altered:
            names = some([str(each) for each in self.scan.altered])
            yield failed(
                f"{self.origin}: entries were altered: number {names}.", f"{self.origin}：条目已被改动：第 {names} 号。"
            )
        if self.scan.wrong_tiles:
            names = some(self.scan.wrong_tiles)
            yield failed(
                f"{self.origin}: hashes are not those of the entries: {names}.",
                f"{self.origin}：哈希与条目不符：{names}。",
            )

    def against(self, claim: Claim) -> Iterator[Check]:
        """Give what stands against a checkpoint that the log itself shows."""
        checkpoint, name = claim.checkpoint, f"{self.origin}, {claim.label}"
        if checkpoint.origin != self.origin:
            yield failed(f"{name}: it is of another log.", f"{name}：属于另一个日志。")
        elif checkpoint.size <= self.scan.size and not self._is_of_entries(checkpoint):
            yield failed(
                f"{name}: its root over {checkpoint.size} entries is not that of the entries here. One history was "
                "signed, and another one is shown.",
                f"{name}：其 {checkpoint.size} 个条目的根与此处条目不符：签名的历史与出示的历史不同。",
            )
        elif checkpoint.size > self.scan.size and self.scan.ended is None:
            yield not_established(
                f"{name}: it is over {checkpoint.size} entries, of which {self.scan.size} are here.",
                f"{name}：覆盖 {checkpoint.size} 个条目，此处只有 {self.scan.size} 个。",
            )
        if self.key is not None and not self._is_signed(claim):
            yield failed(f"{name}: it is not signed by the log's key.", f"{name}：并非由日志密钥签名。")

    def anchoring(self) -> Iterator[Check]:
        """Say what the anchors of this log's checkpoints are worth."""
        if not self._coverings:
            yield not_established(f"{self.origin}: nobody who was given anchored it.", f"{self.origin}：无所给时间锚。")
        for size, covering in zip(self._sizes, self._coverings, strict=True):
            for words in covering.own.failed:
                yield failed(f"{self.origin}, size {size}: {words.en}", f"{self.origin}，大小 {size}：{words.zh}")
        if self._coverings and self._coverings[0].earliest is None:
            for words in self._coverings[0].larger.undecided[:1]:
                yield not_established(f"{self.origin}: {words.en}", f"{self.origin}：{words.zh}")

    def is_signed(self, claim: Claim) -> bool:
        """Say whether the log's key signed a checkpoint."""
        return self._is_signed(claim)

    # -- inside

    def _is_of_entries(self, checkpoint: Checkpoint) -> bool:
        return checkpoint.origin == self.origin and self.scan.matches(checkpoint.size, checkpoint.root)

    def _is_signed(self, claim: Claim) -> bool:
        try:
            return self.key is not None and verify(claim.note, self.key.named(claim.checkpoint.origin))
        except MalformedError:
            return False

    def _cover(self, anchors: Anchors) -> tuple[list[int], list[Covering]]:
        """Give, for each size with anchors, what covers an entry below it and not below a smaller one."""
        sizes, coverings = [], []
        nearest, above = Found(), Found()
        for size in sorted(self._heads, reverse=True):
            head = self._heads[size]
            if not self._is_of_entries(head.checkpoint):
                continue
            found = anchors.covering(head.checkpoint, head.data).own
            if not (found.anchors or found.failed or found.undecided):
                continue
            nearest = found if found.anchors or not nearest.anchors else nearest
            above = Found(
                anchors=_earliest([*above.anchors, *found.anchors]),
                failed=list(dict.fromkeys([*found.failed, *above.failed]))[:_KEPT],
                undecided=list(dict.fromkeys([*found.undecided, *above.undecided]))[:_KEPT],
            )
            sizes.append(size)
            coverings.append(Covering(own=nearest, larger=above))
        return sizes[::-1], coverings[::-1]

    def _check_identity(self, key: LogKey, moment: datetime) -> Identity:
        return check_identity(
            key.certificates[0],
            key.certificates[1:],
            self._trust.roots,
            station=self._id[0],
            origin=self.origin,
            at=moment,
            crls=self._trust.crls,
        )


_KEPT: Final = 5
"""Reasons that are kept of anchors that do not hold; there is one a size."""


def _earliest(anchors: Sequence[Anchor]) -> list[Anchor]:
    return [min(anchors, key=lambda anchor: anchor.moment)] if anchors else []


def _of_head(head: Head, size: int, origin: str) -> Iterator[Check]:
    """Check an anchored checkpoint against its place and its cosigned form."""
    where = f"{origin}, anchors/{size}/checkpoint"
    if head.checkpoint.size != size:
        yield failed(f"{where}: it is of another size.", f"{where}：大小与其位置不符。")
    if len(head.note.signatures) != 1:
        yield failed(f"{where}: it has not exactly one signature.", f"{where}：签名不是恰好一个。")
    if head.cosignatures is None:
        yield failed(f"{where}.cosigned is not it and witness lines.", f"{where}.cosigned 不是该检查点加见证签名。")


def _named(found: Identity, station: str) -> tuple[Check, RootName | None]:
    if found.verdict == "verified" and found.root is not None:
        root = RootName(subject=found.root.subject.rfc4514_string(), sha256=Sha256(fingerprint(found.root)))
        good = verified(
            f"The key is certified for {station} under the root {root.subject} (SHA-256 {root.sha256}).",
            f"密钥经根证书 {root.subject}（SHA-256 {root.sha256}）证明属于 {station}。",
        )
        return good, root
    if found.verdict == "failed":
        return failed(f"The key is not that station's: {found.detail}.", f"密钥不属于该采集站：{found.detail}。"), None
    return (
        not_established(f"Whose key signed is not known: {found.detail}.", f"签名密钥的归属无法确定：{found.detail}。"),
        None,
    )


def _turns(key: LogKey | None, trust: Trust) -> list[datetime]:
    """Give the moments at which the answer about a key can change, and those just after."""
    moments: set[datetime] = set()
    for each in [*(() if key is None else key.certificates), *trust.roots]:
        moments |= {each.not_valid_before_utc, each.not_valid_after_utc}
    for crl in trust.crls:
        for revoked in crl:
            moments.add(revoked.revocation_date_utc)
            dated = extension_of(revoked, x509.InvalidityDate)
            if dated is not None:
                moments.add(dated.invalidity_date_utc)
    return sorted(moments | {moment + _SECOND for moment in moments if moment.year < _LAST_YEAR})
