"""What was out of order at the dockings that are in the bays now, in plain words."""

from typing import Final

from edged.evidence import bodies
from edged.evidence.entry import parse
from edged.evidence.verification.anomalies import meaning
from edged.station.parts import Parts

_LISTED: Final = 10
"""A card of damaged files may have thousands; `edged ledger show --type anomaly` has all of them."""


def noted_in_bays(parts: Parts) -> list[dict[str, object]]:
    """Give, for each bay whose docking has anomalies, how many, and the first of them in both languages."""
    found: list[dict[str, object]] = []
    for bay in parts.live.bays():
        entries = [] if bay.docking is None else parts.book.facts.anomalies_of_docking(bay.docking)
        if entries:
            listed = [_plain(data) for data in entries[:_LISTED]]
            found.append({"bay": bay.bay, "docking": bay.docking, "count": len(entries), "listed": listed})
    return found


def _plain(data: bytes) -> dict[str, object]:
    entry = parse(data)
    if not isinstance(entry.body, bodies.Anomaly):
        return {"seq": entry.seq, "kind": entry.type, "en": entry.type, "zh": entry.type}
    kind, words = entry.body.kind, meaning(entry.body)
    return {"seq": entry.seq, "kind": kind, "en": words.en if words else kind, "zh": words.zh if words else kind}
