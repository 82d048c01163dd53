"""What verification says to people, in English and Chinese at once.

A sentence quotes names that a forger chose. Control characters, direction marks and line breaks in it are
shown as codes, so that no file name can rewrite a terminal or a page, and an overlong one is cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence, or a few, in both languages; safe to print."""

    en: str
    zh: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "en", printable(self.en))
        object.__setattr__(self, "zh", printable(self.zh))

    def __str__(self) -> str:
        return self.en

    def __add__(self, other: "Words") -> "Words":
        return Words(f"{self.en} {other.en}".strip(), f"{self.zh}{other.zh}")


def printable(text: str) -> str:
    """Show what cannot be printed by its code point, and cut what is too long to be read."""
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "…"
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\u{{{ord(each):x}}}" for each in text)


def signed_seconds(ms: int) -> str:
    """Write milliseconds as seconds with their sign, exactly."""
    return f"{'-' if ms < 0 else '+'}{abs(ms) // 1000}.{abs(ms) % 1000:03d}"


def some(names: Sequence[str], most: int = 3) -> str:
    """List a few names and say how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} (+{len(names) - most})" if len(names) > most else shown
