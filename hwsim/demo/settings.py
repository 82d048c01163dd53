"""Setting keys of a commented TOML file while all else in it stays as `edged init` wrote it."""

import re
from collections.abc import Mapping, Sequence

from edged.errors import MalformedError


def with_values(text: str, values: Mapping[str, str | float]) -> str:
    """Give a TOML text in which each `table.key` has its new value; a table that is not there is added.

    A key that is there as a comment only is set in its place.

    Raises MalformedError if a table is there, but the key is not.
    """
    lines = text.splitlines()
    tables = {table for line in lines if (table := _table(line))}
    left = dict(values)
    table = ""
    for number, line in enumerate(lines):
        table = _table(line) or table
        key = line.partition("=")[0].strip()
        if line.startswith("#"):
            key = key[1:] if f"{table}.{key[1:]}" in left and not _is_set(lines, table, key[1:]) else ""
        if f"{table}.{key}" in left:
            lines[number] = f"{key} = {_toml(left.pop(f'{table}.{key}'))}"
    for name, value in left.items():
        table, _, key = name.partition(".")
        if table in tables:
            raise MalformedError(f"there is no {key} in [{table}] to be set")
        if f"[{table}]" not in lines:
            lines += ["", f"[{table}]"]
        lines.append(f"{key} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _is_set(lines: Sequence[str], wanted: str, key: str) -> bool:
    """Say whether a key of a table is set, and not only there as a comment."""
    table = ""
    for line in lines:
        table = _table(line) or table
        if table == wanted and line.partition("=")[0].strip() == key:
            return True
    return False


def _table(line: str) -> str | None:
    found = re.fullmatch(r"\[([a-z_]+)\]\s*(#.*)?", line)
    return found[1] if found else None


def _toml(value: str | float) -> str:
    if not isinstance(value, str):
        return str(value).lower()
    return '"' + "".join(_quoted(letter) for letter in value) + '"'


def _quoted(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    return letter if letter.isprintable() else f"\\u{ord(letter):04x}"
