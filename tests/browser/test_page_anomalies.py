"""What the station noted, in the page's words: the same as the program's, whatever an entry holds."""

import re
from collections.abc import Iterator
from typing import Any, Final

from edged.evidence import bodies
from edged.evidence.verification.anomalies import _TOLD, NAMES, meaning
from tests.browser.test_pure_modules import Ask
from tests.browser.test_pure_modules import ask as ask  # noqa: PLC0414 - a fixture

VALUES: Final[tuple[Any, ...]] = (
    *(0, 7, -1, 41, -2_041, 3_600_000, 2**53 - 1),
    *("", "A.MP4", "x" * 119, "x" * 120, "录" * 121, "\N{SMILE}" * 200, "\u202e\n\x1b[31m", "{first}", "$&"),
    *(None, True, False, [], {}, [1], {"a": 1}),
)


def details() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every kind with every sentence filled, and with each of its values of every sort."""
    for kind in (*NAMES, "novelty", "constructor", "__proto__", ""):
        yield kind, {}
        for name, told in _TOLD.items():
            if name.partition("/")[0] != kind:
                continue
            why = {"why": name.partition("/")[2]} if "/" in name else {}
            for words in told:
                keys = re.findall(r"\{([a-z0-9_]+)\}", words.en + words.zh)
                full: dict[str, Any] = why | dict.fromkeys(keys, 5)
                yield kind, full
                yield kind, full | {"offset_ms": -90_804}
                yield kind, full | {"offset_ms": 90_804}
                yield kind, why | {key: number for number, key in enumerate(keys)}
                for value in VALUES:
                    yield kind, full | dict.fromkeys((*keys, "offset_ms"), value)
                    yield kind, full | {"more": value}
                    if why:
                        yield kind, full | {"why": value}


def test_page_and_program_say_the_same_of_every_anomaly(ask: Ask) -> None:
    cases = list(details())
    assert len(cases) > 500
    said = ask("meaning", [{"kind": kind, "detail": detail} for kind, detail in cases])
    for (kind, detail), answer in zip(cases, said, strict=True):
        words = meaning(bodies.Anomaly(kind=kind, docking=None, subject=None, detail=detail))
        expected = None if words is None else [words.en, words.zh]
        assert answer == {"is": expected}, (kind, detail)
