"""The patterns of configuration models in words: what a person reads who wrote something else."""

from typing import Final

FORMS: Final = {
    r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$": (
        "1 to 64 letters and digits of ASCII, dots, hyphens and underscores, beginning with a letter, a digit or _"
    ),
    r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$": (
        "1 to 64 letters and digits of ASCII, hyphens and underscores, not beginning with a hyphen; no dots"
    ),
    r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$": "a domain name in lower case, such as evidence.example.org",
    r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$": "the name of a group of this machine",
    r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,127}$": "a port as `edged bays` shows it, such as pci-0000:00:14.0-usb-0:1:1.0",
    r"^https?://[^\s]+$": "an address that begins with https:// or http://",
    r"^https?://[^\s?#]+$": "an address that begins with https:// or http://, without ? and #",
    r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$": "the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens",
    r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$": "the name or address of a machine",
    r"^[0-9a-f]{4}:[0-9a-f]{4}$": "vendor and product as `edged bays` shows them, such as 1234:5678, in lower case",
    r"^[a-z0-9]{1,8}$": "the ending of a file's name in lower case, without its dot, such as mp4",
    r"\S": "text that is not empty",
}
"""What a person reads in place of a pattern that configuration models have."""
