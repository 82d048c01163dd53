"""`docs/attacks.md` is what the tests are: every attack in it has a test, and every test of an attack stands in it.

python -m tests.unit.test_attacks_table        writes the page's tables anew
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"
BEGIN, END = (
    "<!-- The tables below are written by tests/unit/test_attacks_table.py. -->\n",
    "<!-- End of the tables. -->\n",
)
MODULES = {
    "test_attacks_files": "Files of a bundle",
    "test_attacks_entries": "Entries",
    "test_attacks_proofs": "Proofs and checkpoints",
    "test_attacks_signatures": "Signatures and certificates",
    "test_attacks_lists": "Lists, texts, derivatives, forged custody",
    "test_verification_history": "History of a log, and epochs",
    "test_anchor_attacks": "Anchors in time",
    "test_bundles_load": "Folders and zips",
    "test_attacks_zips": "Zips that lead astray or explode",
    "test_verification_accounts": "Accounts that do not add up",
    "test_verification_hostile": "Input made to crash, exhaust or mislead",
}
CHECKS = (
    *("bag", "selection", "consistency", "custody", "derivatives", "chain", "completeness"),
    *("bytes", "entry", "inclusion", "signature", "identity", "time"),
)
ASKED = 80
"""How many attacks there must be at least."""


@dataclass(frozen=True)
class Row:
    """An attack, what catches it, and the test that shows it."""

    attack: str
    caught: str
    variants: int
    test: str

    def __str__(self) -> str:
        return f"| {self.attack} | {self.caught} | {self.variants} | `{self.test}` |"


def rows_of(name: str) -> Iterator[Row]:
    """Give the attacks of a module; what is no attack, and must pass, is not among them."""
    module = importlib.import_module(f"tests.unit.{name}")
    for key, test in vars(module).items():
        if not key.startswith("test_") or not isinstance(test, FunctionType) or test.__module__ != module.__name__:
            continue
        said = words_of(module, test)
        caught = [f"`{check}`" for check in CHECKS if check in said]
        caught += ["exit 66"] if "UnreadableError" in said else []
        caught += ["a finding"] if "findings" in said or "found()" in said else []
        if caught and not PASSES.search(key):
            yield Row(sentence(key), ", ".join(caught), variants(test), key)


PASSES = re.compile(
    r"one_history|may_be_continued|is_fine|witness_lines_may_follow|no_problem|not_refused|_is_read$|^test_what_these|"
    r"bundle_is_verified|counts_even|several_intermediates|given_authority_is_enough|renewed_in_time|in_its_turn|"
    r"somebody_else_signed|verifies_the_time|gives_the_time|counts_wherever|after_its_token_was_renewed|adds_up|"
    r"is_accounted_for|make_two_chains|later_type_is_cited|may_be_named"
)
"""Names of tests of what is right although it looks odd."""


def words_of(module: ModuleType, test: FunctionType) -> set[str]:
    """Give the words that a test compares with: its own, and those of what it calls or names in its module."""
    found: set[str] = set()
    waiting, seen = [test], {test.__name__}
    while waiting:
        tree = ast.parse(inspect.getsource(waiting.pop()).strip())
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.Attribute) and node.attr == "findings":
                found.add("findings")
            elif isinstance(node, ast.Name) and node.id not in seen:
                seen.add(node.id)
                value: Any = vars(module).get(node.id)
                found |= {node.id} if node.id == "UnreadableError" else set(texts_in(value))
                if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                    waiting.append(value)
    return found


def texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts_in(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from texts_in(each)


def variants(test: FunctionType) -> int:
    """Give how many cases `parametrize` makes of a test."""
    marks = getattr(test, "pytestmark", [])
    return prod(len(list(mark.args[1])) for mark in marks if mark.name == "parametrize")


def sentence(name: str) -> str:
    words = name.removeprefix("test_").replace("_s_", "'s ").replace("_", " ")
    return words[0].upper() + words[1:]


def tables() -> str:
    """Write the tables of the page."""
    lines = []
    for module, title in MODULES.items():
        lines += [f"### {title}", "", f"`tests/unit/{module}.py`", ""]
        lines += ["| attack | caught by | variants | test |", "| --- | --- | --- | --- |"]
        lines += [str(row) for row in rows_of(module)] + [""]
    return "\n".join(lines) + "\n"


def parts() -> tuple[str, str, str]:
    head, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    table, _, tail = rest.partition(END)
    return head, table, tail


def test_the_page_lists_the_attacks_that_are_tested() -> None:
    assert parts()[1].strip() == tables().strip(), "run: python -m tests.unit.test_attacks_table"


def test_there_are_enough_attacks_and_each_is_caught_by_a_check() -> None:
    rows = [row for module in MODULES for row in rows_of(module)]
    assert len({row.test for row in rows}) == len(rows) >= ASKED
    assert all(row.caught for row in rows)


def test_every_attack_that_was_asked_for_has_a_test() -> None:
    known = {row.test: row for module in MODULES for row in rows_of(module)}
    asked = re.findall(r"^\| ([^|`]+) \| ([^|]+) \| (`test_.+) \|$", parts()[0], re.MULTILINE)
    assert len(asked) > 50
    for what, caught, tests in asked:
        names = re.findall(r"`(test_\w+)`", tests)
        assert names, what
        assert set(names) <= set(known), (what, set(names) - set(known))
        for check in caught.split(", "):
            assert any(check in known[name].caught for name in names), (what, check)


def main() -> None:
    head, _, tail = parts()
    PAGE.write_text(head + BEGIN + "\n" + tables() + "\n" + END + tail, "utf-8")


if __name__ == "__main__":
    main()
