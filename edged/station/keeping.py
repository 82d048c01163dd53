"""The acts on the station's keys, as the control socket and `edged key` ask for them."""

import os
import stat
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edged.clock import rfc3339
from edged.config import explain
from edged.errors import UsageError
from edged.evidence.certificates import fingerprint, load_certificates, raw_public_key
from edged.evidence.ids import StationId
from edged.evidence.note import vkey
from edged.station.epochs import change_over, next_origin
from edged.station.parts import Parts

_Pem = Annotated[str, Field(min_length=1, max_length=64_000)]
_M = TypeVar("_M", bound=BaseModel)


class _Installed(BaseModel):
    """What came back from an authority."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificates: _Pem
    root: _Pem | None = None


class _Rotation(BaseModel):
    """Why the key is changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=4000)]


def show_keys(parts: Parts, _: Mapping[str, Any], __: str) -> dict[str, object]:
    """Say which keys are here, who vouches for them and for how long, and who may read them."""
    ledger, waiting = parts.book.ledger, parts.key.waiting()
    epochs = ledger.epochs()
    signing = ledger.signing_epoch()
    shown = None
    if waiting is not None:
        held = waiting.certificates[0] if waiting.certificates else None
        is_open = waiting.origin in {epoch.origin for epoch in epochs}
        shown = {"origin": waiting.origin, "key": vkey(waiting.origin, waiting.public), "open": is_open}
        shown["certificate"] = None if held is None else _certificate(parts, held)
    return {
        "station": parts.config.station.id,
        "origin": ledger.epoch.origin,
        "signing": signing.origin,
        "epochs": [
            {
                "origin": epoch.origin,
                "state": epoch.state,
                "size": ledger.log(epoch).size(),
                "published": ledger.log(epoch).published_size(),
                "key": _key(parts, epoch.origin),
            }
            for epoch in epochs
        ],
        "waiting": shown,
        "roots": [
            {"subject": each.subject.rfc4514_string(), "sha256": fingerprint(each), **_term(parts, each)}
            for each in load_certificates(parts.key.roots_pem())
        ],
        "files": [_file(path) for path in parts.key.private_files()],
    }


def request_key(parts: Parts, _: Mapping[str, Any], __: str) -> dict[str, object]:
    """Make the key of the next epoch, unless one waits, and give its request for a certificate."""
    with parts.key.turn:
        station = StationId(parts.config.station.id)
        waiting = parts.key.waiting()
        if waiting is not None and waiting.origin in {epoch.origin for epoch in parts.book.ledger.epochs()}:
            raise UsageError(
                "The last change-over is not through: its key still waits to sign.",
                hint="See `edged status`; it goes on by itself.",
            )
        waiting = parts.key.request(station=station, origin=next_origin(parts))
        return {
            "origin": waiting.origin,
            "request": waiting.request.decode(),
            "certified": bool(waiting.certificates),
            "roots": parts.key.roots_pem().decode(),
        }


def install_key(parts: Parts, arguments: Mapping[str, Any], _: str) -> dict[str, object]:
    """Take in what came back for the waiting key; raises UsageError with what does not fit."""
    asked = _read(_Installed, arguments)
    with parts.key.turn:
        root = None if asked.root is None else asked.root.encode()
        station = StationId(parts.config.station.id)
        waiting = parts.key.install(asked.certificates.encode(), root, station=station, clock=parts.clock)
        parts.pulse.beat()
        return {"origin": waiting.origin, "certificate": _certificate(parts, waiting.certificates[0])}


def rotate_key(parts: Parts, arguments: Mapping[str, Any], actor: str) -> dict[str, object]:
    """Close the epoch and open the next one with the waiting key."""
    asked = _read(_Rotation, arguments)
    closed, opened = change_over(parts, code="rotation", text=asked.reason, actor=actor)
    return {"closed": closed, "opened": opened}


Act = Callable[[Parts, Mapping[str, Any], str], dict[str, object]]


def _read(model: type[_M], arguments: Mapping[str, Any]) -> _M:
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        raise UsageError(f"This cannot be asked for: {explain(error)}") from error


def _key(parts: Parts, origin: str) -> dict[str, object] | None:
    pem = parts.key.certificates_of(origin)
    return None if pem is None else _certificate(parts, load_certificates(pem)[0])


def _certificate(parts: Parts, held: x509.Certificate) -> dict[str, object]:
    return {
        "subject": held.subject.rfc4514_string(),
        "issuer": held.issuer.rfc4514_string(),
        "sha256": fingerprint(held),
        "public_key": raw_public_key(held).hex(),
        **_term(parts, held),
    }


def _term(parts: Parts, held: x509.Certificate) -> dict[str, object]:
    return {
        "not_before": rfc3339(held.not_valid_before_utc),
        "not_after": rfc3339(held.not_valid_after_utc),
        "days_left": (held.not_valid_after_utc - parts.clock.now()) // timedelta(days=1),
    }


def _file(path: Path) -> dict[str, object]:
    found = path.stat()
    return {"path": str(path), "mode": f"{stat.S_IMODE(found.st_mode):04o}", "own": found.st_uid == os.geteuid()}
