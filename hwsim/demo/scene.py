"""What happens in the demo: three recorders come in from a day's work, and one case needs their footage."""

import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hwsim.layouts.layout import Worn
from hwsim.script import Feature, Order

ZONE = "Asia/Shanghai"
CASE = "LZ-2026-0117"
"""The case whose bundle is made."""

PULLED = "CAM-07"
"""The recorder that is taken out while it is being read. The case has no footage of it: a docking that was cut short
leaves files without a word in it, which the completeness of a bundle with its footage would have to say."""

MATTER = "forced-demolition"
STAGE = "enforcement"
"""What the case is about: a matter and a stage of the shipped catalogue."""

_SECONDS = 15
_MARGIN = timedelta(minutes=20)
"""How far the case's time reaches beyond the recordings: more than any recorder's clock is wrong."""

_CASE_FILE = timedelta(days=10 * 365)
"""How long the written case file is kept, and its footage with it."""


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """One recorder of the demo. Its id in the register is its serial number and its folder's name."""

    order: Order

    in_case: bool
    """Whether the case feed ties its footage to the case."""

    @property
    def name(self) -> str:
        """Id, serial number and folder."""
        return self.order.worn.device

    @property
    def profile(self) -> str:
        """The recorder's profile in the register."""
        return self.order.layout


def recorders(now: datetime) -> tuple[Recorder, ...]:
    """Give the recorders after a day that began four hours before `now`."""
    start = now.replace(second=0, microsecond=0) - timedelta(hours=4)

    def recorder(layout: str, device: str, officer: str, segments: int, *features: Feature) -> Recorder:
        worn = Worn(device=device, officer=officer, zone=ZoneInfo(ZONE))
        order = Order(
            layout=layout,
            worn=worn,
            start=start,
            segments=segments,
            seconds=_SECONDS,
            features=frozenset(features),
        )
        return Recorder(order=order, in_case=layout != "dcim")

    marks = (Feature.IMPORTANT, Feature.JOINED, Feature.GAP, Feature.LARGE)
    return (
        recorder("gat947", "EG01234", "138001", 6, *marks, Feature.TRUNCATED, Feature.DUPLICATE),
        recorder("dcim", PULLED, "138002", 4, Feature.EMPTY, Feature.AWKWARD),
        recorder(
            "sidecar",
            "SC20451",
            "138003",
            4,
            *(Feature.IMPORTANT, Feature.DRIFT, Feature.NO_MEDIA, Feature.CORRUPTED),
        ),
    )


def register(recorders: tuple[Recorder, ...]) -> str:
    """Write the station's register of officers and recorders, TOML."""
    lines = []
    for recorder in recorders:
        lines += ["[[officer]]", f'id = "{recorder.order.worn.officer}"', 'unit = "demo"', ""]
    for recorder in recorders:
        lines += ["[[recorder]]", f'id = "{recorder.name}"', f'profile = "{recorder.profile}"']
        lines += [f'serial = "{recorder.name}"', f'officer = "{recorder.order.worn.officer}"', ""]
    return "\n".join(lines)


def case_feed(recorders: tuple[Recorder, ...], now: datetime) -> str:
    """Write the case file, CSV: who worked on the case, from when until when."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["case", "title", "party", "matter", "stage", "officer", "from", "until", "case_file_until"])
    for recorder in recorders:
        if recorder.in_case:
            times = [moment.isoformat() for moment in (recorder.order.start - _MARGIN, now)]
            what = [CASE, "Removal of a structure without permit", "P-0117", MATTER, STAGE]
            rows.writerow([*what, recorder.order.worn.officer, *times, (now + _CASE_FILE).date().isoformat()])
    return text.getvalue()
