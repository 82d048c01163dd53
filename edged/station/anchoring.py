"""The authorities, witnesses and policy that the configuration names, and when the ledger is anchored well enough.

A checkpoint counts as anchored once an authority stamped it, or a quorum of the station's policy cosigned it; without
a policy, any witness. That is what a verifier who trusts the same can establish a time by.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from edged.anchors.port import Authority, Witness
from edged.anchors.post import Poster
from edged.anchors.rfc3161 import HttpAuthority
from edged.anchors.tlog_witness import HttpWitness
from edged.book.anchors import AnchorRow
from edged.clock import Clock
from edged.config import AnchorsPart, WitnessPart
from edged.errors import ConfigError, MalformedError
from edged.evidence.certificates import load_certificates
from edged.evidence.note import COSIGNATURE, VerifierKey, parse_note, parse_vkey
from edged.evidence.policy import Policy
from edged.evidence.policy import parse as parse_policy

_HINT = "Nothing was changed. Correct [anchors] in station.toml."


def open_authorities(part: AnchorsPart, clock: Clock, stop: threading.Event) -> list[Authority]:
    """Give the authorities; nothing is asked of them yet. Raises ConfigError."""
    return [
        HttpAuthority(
            each.id,
            Poster(each.url, who=f"the authority {each.id}", clock=clock, stop=stop, ca_file=each.ca_file),
            load_roots(each.root),
        )
        for each in part.authority
    ]


def open_witnesses(part: AnchorsPart, clock: Clock, stop: threading.Event) -> list[Witness]:
    """Give the witnesses; nothing is asked of them yet. Raises ConfigError."""
    return [
        HttpWitness(
            each.name,
            Poster(
                f"{each.url.rstrip('/')}/add-checkpoint",
                who=f"the witness {each.name}",
                clock=clock,
                stop=stop,
                ca_file=each.ca_file,
            ),
            witness_key(each),
        )
        for each in part.witness
    ]


def check_anchors(part: AnchorsPart, clock: Clock) -> None:
    """Read everything that [anchors] names as the daemon would; raises ConfigError."""
    never = threading.Event()
    open_authorities(part, clock, never)
    open_witnesses(part, clock, never)
    read_policy(part)


def load_roots(path: Path) -> tuple[x509.Certificate, ...]:
    """Read the roots of an authority; raises ConfigError."""
    try:
        return load_certificates(_read(path))
    except MalformedError as error:
        raise ConfigError(f"{path} holds no certificates in PEM form: {error.message}.", hint=_HINT) from error


def read_tsa_pem(part: AnchorsPart) -> bytes:
    """Give the roots of all authorities in PEM: for information in bundles; empty if there are none."""
    return b"".join(dict.fromkeys(_read(each.root).rstrip() + b"\n" for each in part.authority))


def read_policy_text(part: AnchorsPart) -> bytes:
    """Give the policy file as it is; empty if there is none."""
    return b"" if part.policy is None else _read(part.policy)


def read_policy(part: AnchorsPart) -> Policy | None:
    """Read the policy; raises ConfigError naming the line that is wrong."""
    if part.policy is None:
        return None
    try:
        return parse_policy(_read(part.policy))
    except MalformedError as error:
        raise ConfigError(f"{part.policy} is no witness policy: {error.message}.", hint=_HINT) from error


def witness_key(part: WitnessPart) -> VerifierKey:
    """Read the key of a witness; raises ConfigError."""
    try:
        key = parse_vkey(part.vkey)
    except MalformedError as error:
        raise ConfigError(f"The `vkey` of witness {part.name} is none: {error.message}.", hint=_HINT) from error
    if key.kind != COSIGNATURE:
        raise ConfigError(
            f"The `vkey` of witness {part.name} is not one for cosignatures (type 0x04).",
            hint="`edged witness show` prints the one of a witness.",
        )
    return key


def is_anchored(anchors: Sequence[AnchorRow], note: bytes, policy: Policy | None) -> bool:
    """Say whether the anchors over a checkpoint are enough to establish a time by."""
    if any(each.kind == "rfc3161" for each in anchors):
        return True
    lines = [each.data for each in anchors if each.kind == "cosignature"]
    if policy is None:
        return bool(lines)
    try:
        return policy.moment(policy.times(parse_note(note).text, lines)) is not None
    except MalformedError:
        # A key of the policy that is not the one it was configured with: nobody could use this.
        return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", hint=_HINT) from error
