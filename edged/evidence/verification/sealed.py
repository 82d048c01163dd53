"""One entry of the bundle with its proof: the checks `entry`, `inclusion`, `signature`, `identity` and `time`.

The same questions are asked of a segment's entry and of every custody entry, whose `time` nobody judges by. They are
independent: each answers for itself, and what is missing for one leaves that one not established. Only T, the time
that `identity` is asked for, is what the anchors say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edged.errors import MalformedError
from edged.evidence import bodies, merkle
from edged.evidence.certificates import fingerprint
from edged.evidence.entry import Entry, parse, reference
from edged.evidence.identity import Identity, check_identity
from edged.evidence.ids import EntryRef, SegmentId, is_epoch, segment_id, split_origin
from edged.evidence.note import Checkpoint, Note, parse_checkpoint, parse_note, verify
from edged.evidence.proofs import InclusionProof, parse_proof
from edged.evidence.verification.anchors import Anchor, Anchors, Covering, Found
from edged.evidence.verification.layout import LogId
from edged.evidence.verification.logs import MAX_NOTE_BYTES, Log, LogKey
from edged.evidence.verification.moments import check_time, not_before, signing_time
from edged.evidence.verification.port import Trust
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.report import Check, RootName, failed, not_established, verified

_MAX_PROOF_BYTES: Final = MAX_NOTE_BYTES + (16 << 10)

_NO_ENTRY: Final = not_established("The entry is not here.", "条目不在此处。")
_NO_PROOF: Final = not_established("The proof is not here.", "证明不在此处。")
_NO_KEY: Final = not_established(
    "The certificate of the log's key is not here, or cannot be read.", "缺少该日志密钥的证书，或证书无法读取。"
)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The checkpoint that a proof ends in; not verified by being here."""

    data: bytes
    note: Note
    checkpoint: Checkpoint


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """An entry as it lies in the bundle, and what the checks say of it."""

    place: str
    """Path of the entry's file, or where it would be."""
    entry: Entry | None
    """None where it is missing or malformed."""
    ref: EntryRef | None
    """Digest of the stored bytes, None where there are none."""
    ending: Ending | None
    """None where the proof is missing or malformed."""
    checks: Mapping[str, Check]
    time: Check
    root: RootName | None
    """The root of a verified identity."""
    not_before: Anchor | None
    """What bounds it from below, by the anchor that it cites."""
    not_after: Anchor | None
    """What bounds it from above, and gives T."""

    @property
    def segment(self) -> bodies.Segment | None:
        """What a `segment` entry seals."""
        body = None if self.entry is None else self.entry.body
        return body if isinstance(body, bodies.Segment) else None


class Examiner:
    """Asks the questions of one entry after the other, under one trust."""

    def __init__(self, contents: Contents, logs: Mapping[LogId, Log], trust: Trust, anchors: Anchors) -> None:
        self._contents = contents
        self._logs = logs
        self._trust = trust
        self._anchors = anchors
        # Most proofs of a bundle end in the same checkpoint: it is read and verified once.
        self._endings: dict[bytes, Ending] = {}
        self._signed: dict[tuple[LogId, bytes], bool] = {}
        self._identities: dict[tuple[LogId, str, int], Identity] = {}
        self._coverings: dict[bytes, Covering] = {}

    def segment(self, segment: SegmentId, place: str, entry: str | None, proof: str | None) -> Sealed:
        """Examine the entry in a segment's folder."""
        return self._examine(place, entry, proof, segment=segment)

    def custody(self, log: LogId, seq: int, place: str, entry: str | None, proof: str | None) -> Sealed:
        """Examine a custody entry, which lies at its log and number."""
        return self._examine(place, entry, proof, at=(*log, seq))

    def _examine(
        self,
        place: str,
        entry_path: str | None,
        proof_path: str | None,
        *,
        segment: SegmentId | None = None,
        at: tuple[str, str, int] | None = None,
    ) -> Sealed:
        entry, data, checked = self._read_entry(entry_path)
        proof, ending, objection = self._read_proof(proof_path)
        if entry is not None:
            checked = _check_place(entry, segment, at) or checked
            if proof is not None and ending is not None:
                checked = _check_agreement(entry, ending.checkpoint.origin, proof.seq) or checked
        covering = self._covering(ending)
        after = Found() if entry is None or entry.after is None else self._anchors.cited(entry.after)
        identity, root = self._check_identity(entry, ending, covering.earliest)
        return Sealed(
            place=place,
            entry=entry,
            ref=None if data is None else reference(data),
            ending=ending,
            checks={
                "entry": checked,
                "inclusion": objection or _check_inclusion(data, proof, ending),
                "signature": self._check_signature(entry, ending),
                "identity": identity,
            },
            time=check_time(covering, after, entry, self._trust),
            root=root,
            not_before=not_before(after),
            not_after=covering.earliest,
        )

    def _covering(self, ending: Ending | None) -> Covering:
        if ending is None:
            return Covering(own=Found(), larger=Found())
        if ending.data not in self._coverings:
            self._coverings[ending.data] = self._anchors.covering(ending.checkpoint, ending.data)
        return self._coverings[ending.data]

    def _read_entry(self, path: str | None) -> tuple[Entry | None, bytes | None, Check]:
        if path is None:
            return None, None, _NO_ENTRY
        try:
            # An overlong entry is read too: it is no entry, but it is here, and its proof holds or not.
            data = self._contents.as_listed(path)
        except MalformedError as error:
            return None, None, _malformed_entry(error)
        try:
            entry = parse(data)
        except MalformedError as error:
            return None, data, _malformed_entry(error)
        good = verified("The entry is canonical and says what its place says.", "条目为规范形式，内容与其位置一致。")
        return entry, data, good

    def _read_proof(self, path: str | None) -> tuple[InclusionProof | None, Ending | None, Check | None]:
        if path is None:
            return None, None, _NO_PROOF
        try:
            proof = parse_proof(self._contents.small(path, _MAX_PROOF_BYTES))
            ending = self._endings.get(proof.checkpoint)
            if ending is None:
                note = parse_note(proof.checkpoint)
                ending = Ending(data=proof.checkpoint, note=note, checkpoint=parse_checkpoint(note.text))
                self._endings[proof.checkpoint] = ending
        except MalformedError as error:
            return None, None, failed(f"The proof is malformed: {error}.", f"证明格式有误：{error}。")
        return proof, ending, None

    def _key_of(self, log: LogId) -> LogKey | None:
        return self._logs[log].key if log in self._logs else None

    def _check_signature(self, entry: Entry | None, ending: Ending | None) -> Check:
        if ending is None:
            return _NO_PROOF
        log = _log_of(entry, ending)
        key = None if log is None else self._key_of(log)
        if log is None or key is None:
            return _NO_KEY
        asked = log, ending.data
        if asked not in self._signed:
            try:
                self._signed[asked] = verify(ending.note, key.named(ending.checkpoint.origin))
            except MalformedError:
                self._signed[asked] = False
        if not self._signed[asked]:
            return failed(
                "The checkpoint is not signed by the key in station.pem.", "检查点并非由 station.pem 中的密钥签名。"
            )
        return verified("The checkpoint is signed by the key in station.pem.", "检查点由 station.pem 中的密钥签名。")

    def _check_identity(
        self, entry: Entry | None, ending: Ending | None, anchor: Anchor | None
    ) -> tuple[Check, RootName | None]:
        if entry is None or ending is None:
            return (_NO_ENTRY if entry is None else _NO_PROOF), None
        key = self._key_of((entry.station, entry.epoch))
        if key is None:
            return _NO_KEY, None
        moment = signing_time(entry, anchor)
        asked = (entry.station, entry.epoch), ending.checkpoint.origin, int(moment.timestamp())
        if asked not in self._identities:
            self._identities[asked] = check_identity(
                key.certificates[0],
                key.certificates[1:],
                self._trust.roots,
                station=entry.station,
                origin=ending.checkpoint.origin,
                at=moment,
                crls=self._trust.crls,
            )
        found = self._identities[asked]
        if found.verdict == "failed":
            return failed(
                f"The key is not that station's: {found.detail}.", f"密钥不属于该采集站：{found.detail}。"
            ), None
        if found.verdict == "not-established" or found.root is None:
            return (
                not_established(
                    f"Whose key signed is not known: {found.detail}.", f"签名密钥的归属无法确定：{found.detail}。"
                ),
                None,
            )
        root = RootName(subject=found.root.subject.rfc4514_string(), sha256=fingerprint(found.root))
        return (
            verified(
                f"The key is certified for {entry.station} under the root {root.subject} (SHA-256 {root.sha256}).",
                f"密钥经根证书 {root.subject}（SHA-256 {root.sha256}）证明属于 {entry.station}。",
            ),
            root,
        )


def _log_of(entry: Entry | None, ending: Ending) -> LogId | None:
    """Give the log that an entry says it is of; without a readable entry, the one its proof speaks of."""
    if entry is not None:
        return entry.station, entry.epoch
    try:
        _, station, epoch = split_origin(ending.checkpoint.origin)
    except MalformedError:
        return None
    return station, epoch


def _malformed_entry(error: MalformedError) -> Check:
    return failed(f"The entry is not valid: {error}.", f"条目无效：{error}。")


def _check_place(entry: Entry, segment: SegmentId | None, at: tuple[str, str, int] | None) -> Check | None:
    """Compare an entry with the folder and name it lies under, and a segment's id with its content."""
    body = entry.body
    if not is_epoch(entry.epoch):
        return failed("The entry's epoch is not written YYYY-MM-xxxx.", "条目的纪元不是 YYYY-MM-xxxx 形式。")
    if isinstance(body, bodies.Segment) and body.segment != segment_id(body.recorder, body.sha256):
        return failed("The segment's id is not the one of its recorder and content.", "片段编号与其记录仪和内容不符。")
    if segment is not None and not (isinstance(body, bodies.Segment) and body.segment == segment):
        return failed("The entry is not that of this segment.", "该条目不属于此片段。")
    if at is not None and at != (entry.station, entry.epoch, entry.seq):
        return failed(
            f"The entry is number {entry.seq} of {entry.station}/{entry.epoch}, not what its file name says.",
            f"该条目实为 {entry.station}/{entry.epoch} 第 {entry.seq} 号，与文件名不符。",
        )
    return None


def _check_agreement(entry: Entry, origin: str, seq: int) -> Check | None:
    """Compare an entry with the log and the number in it that its proof speaks of."""
    try:
        _, station, epoch = split_origin(origin)
    except MalformedError as error:
        return failed(f"The proof is of no station's log: {error}.", f"证明不属于任何采集站的日志：{error}。")
    if (entry.station, entry.epoch, entry.seq) != (station, epoch, seq):
        return failed(
            f"The entry says {entry.station}/{entry.epoch} {entry.seq}, its proof {station}/{epoch} {seq}.",
            f"条目称 {entry.station}/{entry.epoch} {entry.seq}，证明称 {station}/{epoch} {seq}。",
        )
    return None


def _check_inclusion(data: bytes | None, proof: InclusionProof | None, ending: Ending | None) -> Check:
    if data is None or proof is None or ending is None:
        return _NO_ENTRY if data is None else _NO_PROOF
    size, leaf = ending.checkpoint.size, merkle.leaf_hash(data)
    if not merkle.verify_inclusion(proof.seq, size, leaf, proof.hashes, ending.checkpoint.root):
        return failed(
            "The proof does not lead from this entry to the checkpoint's root.", "证明不能由该条目推得检查点的根。"
        )
    return verified(
        f"The entry is number {proof.seq} of the {size} entries under the checkpoint.",
        f"该条目是检查点所含 {size} 个条目中的第 {proof.seq} 号。",
    )
