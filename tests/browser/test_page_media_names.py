"""Which names are those of recordings, by the page: the same as by the program."""

from edged.evidence.media_names import CONTAINERS, is_named_as_media
from tests.browser.test_pure_modules import Ask, compare
from tests.browser.test_pure_modules import ask as ask  # noqa: PLC0414 - a fixture

ODD = (
    "",
    "/",
    ".",
    ".mp4",
    "a.mp4/",
    "mp4",
    "a.",
    "a..mp4",
    "a.mp4.ini",
    "\u212a.M\u212aV",
    "a.\u0130",
    "1.NMEA",
    "D.INI",
)


def test_page_and_program_know_the_same_names_of_recordings(ask: Ask) -> None:
    every = [f"V/{name}.{word}" for name in sorted(CONTAINERS) for word in (name, name.upper(), f"{name}x")]
    assert [is_named_as_media(path) for path in ("V/1.MP4", "DEVICE.INI", ".mp4")] == [True, False, False]
    compare(ask, "media", [*ODD, *every], is_named_as_media)
