"""Bounds in time from outside: which anchors of a bundle hold under what the verifier gave (EVIDENCE.md, section 5).

Each checkpoint's tokens and cosignatures are judged once, by `read_anchors`; those of authorities and witnesses that
the verifier did not give are passed over. An anchor over one size bounds every smaller one that consistency joins
to it. Anchors that entries cite as `after` are judged when they are asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from edged.errors import MalformedError
from edged.evidence import timestamps
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import Sha256, split_origin
from edged.evidence.note import Checkpoint, parse_note
from edged.evidence.verification.layout import Layout, LogId, SizeFiles
from edged.evidence.verification.logs import MAX_NOTE_BYTES, Head, Log
from edged.evidence.verification.port import Trust
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.words import Words

_MAX_TOKEN_BYTES: Final = 64 << 10
"""Tokens with a whole chain of certificates inside have a tenth of this."""

_MAX_SERIES: Final = 100
"""A token is renewed every few years."""

_MOST_WORDS: Final = 5
"""Of what is wrong with larger checkpoints; the first few say it."""

_ANCHORS: Final = "data/anchors/"


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A verified statement from outside that something existed at a moment."""

    moment: datetime
    accuracy: timedelta = timedelta()
    """By how much it may be wrong, by its own account."""
    by: str
    """Common name of the authority, or names of the witnesses' keys."""


@dataclass(kw_only=True)
class Found:
    """What was found of anchors in one place."""

    anchors: list[Anchor] = field(default_factory=list)
    failed: list[Words] = field(default_factory=list)
    """Why one of a given authority or witness is invalid."""
    undecided: list[Words] = field(default_factory=list)
    """Why one of a given authority, or a quorum, establishes nothing."""


@dataclass(frozen=True, kw_only=True)
class Covering:
    """The anchors that cover the checkpoint a proof ends in."""

    own: Found
    """Over the very note."""
    larger: Found
    """Over larger checkpoints that are proven to extend it."""

    @property
    def earliest(self) -> Anchor | None:
        """The one that gives T, None where none holds."""
        return min([*self.own.anchors, *self.larger.anchors], key=lambda anchor: anchor.moment, default=None)


class Anchors:
    """Every anchor of a bundle, judged."""

    def __init__(self, contents: Contents, logs: Mapping[LogId, Log], trust: Trust) -> None:
        self.unreadable: list[str] = []
        """Paths of files that should be tokens and are none, looked for where an authority was given."""
        self._contents = contents
        self._logs = logs
        self._trust = trust
        self._of_heads: dict[tuple[LogId, int], Found] = {}
        self._of_larger: dict[tuple[LogId, int], Found] = {}
        """Of the larger sizes that are proven to extend one."""
        self._by_digest: dict[Sha256, Found] = {}
        self._loose: dict[Sha256, list[str]] = {}

    def read(self, layout: Layout) -> None:
        """Judge what lies beside the checkpoints, and note what lies under `anchors/`."""
        for log, here in self._logs.items():
            for size, head in here.heads.items():
                found = self._of_heads[log, size] = Found()
                self._judge_tokens(layout.logs[log].sizes[size], head, found)
                lines = head.cosignatures or ()
                self._judge_lines(head.note.text, lines, found)
                for line in lines:
                    self._judge_lines(head.note.text, [line], self._by_digest.setdefault(sha256_hex(line), Found()))
            for size, larger in here.steps():
                self._of_larger[log, size] = Found() if larger is None else self._from(log, larger)
        for path in layout.anchors:
            digest = Sha256(path.removeprefix(_ANCHORS).removesuffix(".checkpoint"))
            self._loose.setdefault(digest, []).append(path)

    def covering(self, checkpoint: Checkpoint, data: bytes) -> Covering:
        """Give the anchors over a checkpoint with these bytes, and over those that extend it."""
        try:
            _, station, epoch = split_origin(checkpoint.origin)
        except MalformedError:
            return Covering(own=Found(), larger=Found())
        log = self._logs.get((station, epoch))
        if log is None or checkpoint.size not in log.heads or data not in log.heads[checkpoint.size].forms:
            return Covering(own=Found(), larger=Found())
        at = (station, epoch), checkpoint.size
        return Covering(own=self._of_heads[at], larger=self._of_larger[at])

    def _from(self, log: LogId, size: int) -> Found:
        """Put together what was found of a size and of those that extend it: of anchors the earliest, a few words."""
        own, larger = self._of_heads[log, size], self._of_larger[log, size]
        earliest = min([*own.anchors, *larger.anchors], key=lambda anchor: anchor.moment, default=None)
        return Found(
            anchors=[] if earliest is None else [earliest],
            failed=[*own.failed, *larger.failed][:_MOST_WORDS],
            undecided=[*own.undecided, *larger.undecided][:_MOST_WORDS],
        )

    def cited(self, digest: Sha256) -> Found:
        """Judge the anchor with this digest, which an entry cites as `after`; nothing is found where it is not here."""
        if digest in self._loose:
            self._judge_loose(digest, self._loose.pop(digest), self._by_digest.setdefault(digest, Found()))
        return self._by_digest.get(digest, Found())

    def _judge_tokens(self, files: SizeFiles, head: Head, found: Found) -> None:
        if not self._trust.authorities:
            return
        for numbered in files.tokens.values():
            series = self._series(numbered)
            self.unreadable += [numbered[at] for at, token in enumerate(series) if not timestamps.is_token(token)]
            judged = self._judge(series, head.data)
            for token, each in zip(series, judged, strict=True):
                _sort(each, self._by_digest.setdefault(sha256_hex(token), Found()))
            for each in judged[:1]:
                _sort(each, found)

    def _series(self, numbered: Mapping[int, str]) -> list[bytes]:
        """Read a token and its renewals, as far as none between them is missing or overlong."""
        series: list[bytes] = []
        while len(series) in numbered and len(series) < _MAX_SERIES:
            path = numbered[len(series)]
            try:
                series.append(self._contents.small(path, _MAX_TOKEN_BYTES))
            except MalformedError:
                self.unreadable.append(path)
                break
        return series

    def _judge(self, series: Sequence[bytes], data: bytes | None) -> Sequence[timestamps.Judgement | None]:
        trust = self._trust
        return timestamps.judge_series(series, data, trust.authorities, now=trust.now, crls=trust.crls)

    def _judge_lines(self, text: str, lines: Sequence[bytes], found: Found) -> None:
        policy = self._trust.policy
        if policy is None:
            return
        try:
            times = policy.times(text, lines)
        except MalformedError as error:
            found.failed.append(Words(f"Invalid: {error}.", f"无效：{error}。"))
            return
        moment = policy.moment(times)
        if moment is not None:
            names = [policy.witnesses[name].name for name, each in times.items() if each <= moment]
            found.anchors.append(Anchor(moment=moment, by=", ".join(names)))
        elif policy.quorum is None:
            found.undecided.append(Words("The policy given asks for no witness.", "所给策略不要求任何见证方。"))
        elif times:
            found.undecided.append(
                Words(
                    f"{len(times)} witness(es) of the policy cosigned, which is no quorum.",
                    f"策略中有 {len(times)} 个见证方联署，未达法定数。",
                )
            )

    def _judge_loose(self, digest: Sha256, paths: Sequence[str], found: Found) -> None:
        """Judge a file under `anchors/`: a token, or a cosignature with the checkpoint that it is over."""
        path = _ANCHORS + digest
        try:
            data = self._contents.small(path, _MAX_TOKEN_BYTES) if path in paths else b""
            beside = f"{path}.checkpoint"
            checkpoint = self._contents.small(beside, MAX_NOTE_BYTES) if beside in paths else None
            if sha256_hex(data) != digest:
                return  # not what its name says, as `bag` objects
            if data.startswith("\u2014".encode()):
                if checkpoint is not None:
                    self._judge_lines(parse_note(checkpoint).text, [data], found)
            elif self._trust.authorities:
                _sort(self._judge([data], checkpoint)[0], found)
                self.unreadable += [] if timestamps.is_token(data) else [path]
        except MalformedError:
            self.unreadable.append(path)


def read_anchors(layout: Layout, contents: Contents, logs: Mapping[LogId, Log], trust: Trust) -> Anchors:
    """Judge the anchors of a bundle under what the verifier gave."""
    anchors = Anchors(contents, logs, trust)
    anchors.read(layout)
    return anchors


def _sort(judged: timestamps.Judgement | None, found: Found) -> None:
    """Put what was found of one token where it belongs; of nobody given, nothing is said."""
    if judged is None:
        return
    by = judged.authority
    match judged.verdict:
        case "verified" if judged.token is not None:
            found.anchors.append(Anchor(moment=judged.token.moment, accuracy=judged.token.accuracy, by=by))
        case "failed":
            found.failed.append(
                Words(f"The token by {by} is invalid: {judged.detail}.", f"{by} 的令牌无效：{judged.detail}。")
            )
        case _:
            found.undecided.append(
                Words(f"The token by {by} shows nothing: {judged.detail}.", f"{by} 的令牌不能证明：{judged.detail}。")
            )
