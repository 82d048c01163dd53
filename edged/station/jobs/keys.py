"""Watches the key that signs: changes over when it is time, and says so while there is time to bring the next one.

It is time when the period of the configuration is over, or when the certificate is about to end. Without a certified
key that waits, an alarm says what to do.
"""

import threading
from datetime import timedelta
from typing import Final

from cryptography import x509

from edged.errors import EdgedError
from edged.evidence.certificates import load_certificates
from edged.evidence.entry import parse
from edged.station.epochs import change_over, ready_key
from edged.station.parts import Parts

WARN: Final = timedelta(days=90)
"""So long before its end a certificate raises the alarm, if no certified key waits."""
LAST: Final = timedelta(days=30)
"""So long before its end the change-over is made without being asked for, if one does."""
_LOOK_SECONDS: Final = 60.0

_HINT: Final = (
    "Run `edged key request`, have the request certified and give what comes back to `edged key install`; or run "
    "`edged key rotate --root-key FILE` with the key of the station's own root. Everything goes on meanwhile."
)


class KeyJob:
    """The change-over by period."""

    name = "key"
    idle_seconds = _LOOK_SECONDS
    put_off = 0

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._looked: float | None = None

    def step(self, stop: threading.Event) -> bool:  # noqa: ARG002 - nothing here takes long
        """Change over if it is time; raises EdgedError while it is, or soon will be, and no certified key waits."""
        parts, now = self._parts, self._parts.clock.monotonic()
        if self._looked is not None and now - self._looked < _LOOK_SECONDS:
            return False
        ledger = parts.book.ledger
        if not parts.confirmed.is_set() or ledger.signing_epoch().number != ledger.epoch.number:
            return False
        self._looked = now
        left, age = self._certificate().not_valid_after_utc - parts.clock.now(), self._age()
        period = parts.config.ledger.rotate_days
        is_over = period is not None and age >= timedelta(days=period)
        if ready_key(parts) is None:
            if left < WARN:
                raise EdgedError(f"The certificate of the station's key ends in {left.days} days.", hint=_HINT)
            if is_over:
                raise EdgedError(f"The station's key is {age.days} days old, and no other waits.", hint=_HINT)
            return False
        if is_over:
            change_over(parts, code="period", text=f"The key was in use for {age.days} days.")
        elif left < LAST:
            change_over(parts, code="expiry", text=f"The key's certificate would have ended in {left.days} days.")
        else:
            return False
        return True

    def _certificate(self) -> x509.Certificate:
        pem = self._parts.key.certificates_of(self._parts.book.ledger.epoch.origin)
        if pem is None:
            raise EdgedError("The certificate of the station's key is not here.", hint="Run `edged check`.")
        return load_certificates(pem)[0]

    def _age(self) -> timedelta:
        return self._parts.clock.now() - parse(self._parts.book.ledger.entry_bytes(0)).time
