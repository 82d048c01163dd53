"""What the page says of recorders' clocks is what the program says."""

from pathlib import Path

from edged.evidence.entry import encode
from edged.evidence.verification.findings import clock_courses
from edged.evidence.verification.words import signed_seconds
from tests.browser.test_pure_modules import Ask, ask, compare
from tests.unit.test_verification_clocks import HISTORIES, entries

__all__ = ["ask"]


def test_courses_of_clocks_are_told_alike(ask: Ask, tmp_path: Path) -> None:
    for dockings, _ in HISTORIES:
        made = entries(dockings, tmp_path)
        (answer,) = ask("courses", [[encode(entry).hex() for entry in made]])
        assert answer == {"is": [[each.en, each.zh] for each in clock_courses(made)]}


def test_milliseconds_are_written_alike(ask: Ask) -> None:
    compare(ask, "signed", [0, 1, -1, 999, -999, 1000, -61_005, 2**53 - 1, 1 - 2**53], signed_seconds)
