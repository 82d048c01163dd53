"""Canonical JSON: RFC 8785 (JCS) out, strict I-JSON (RFC 7493) in, and no floating-point number either way.

`decode` refuses what would let two readers see two documents in the same bytes: duplicate keys, lone
surrogates, numbers beyond 2^53, text that is not UTF-8. It does not ask for canonical bytes: that is a check
of its own, `is_canonical`. Unicode noncharacters pass, because a file name may hold them and a path is not
normalised.
"""

import json
from typing import Final, NoReturn

import rfc8785

from edged.errors import MalformedError

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
"""A JSON value without floating-point numbers."""

MAX_INTEGER: Final = 2**53 - 1
"""The largest absolute value of an integer in evidence."""

_MAX_DEPTH: Final = 64
"""Nesting beyond this is refused; what edged writes nests less than ten deep."""

_MAX_DIGITS: Final = len(str(-MAX_INTEGER))


def encode(value: object) -> bytes:
    """Write a JSON value (dict, list, tuple, str, int, bool, None) in RFC 8785 form."""
    _check(value, _MAX_DEPTH)
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # `_check` has made sure of its type


def decode(data: bytes) -> Json:
    """Read JSON strictly; canonical form is not asked for."""
    try:
        text = data.decode("utf-8")
        value: Json = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except UnicodeDecodeError as error:
        raise MalformedError("the text is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise MalformedError(f"the text is no JSON: {error}") from error
    except RecursionError as error:
        raise MalformedError("the JSON nests too deep") from error
    _check(value, _MAX_DEPTH)
    return value


def is_canonical(data: bytes) -> bool:
    """Say whether `data` is strict JSON in exactly its RFC 8785 form."""
    try:
        return encode(decode(data)) == data
    except MalformedError:
        return False


def _check(value: object, depth: int) -> None:
    """Refuse what I-JSON or EVIDENCE.md, section 2, do not allow in a value, however deep it lies."""
    if depth == 0:
        raise MalformedError("the JSON nests too deep")
    match value:
        case None | bool():
            pass
        case int() if abs(value) > MAX_INTEGER:
            raise MalformedError("an integer lies beyond 2^53")
        case int():
            pass
        case str():
            _check_text(value)
        case list() | tuple():
            for item in value:
                _check(item, depth - 1)
        case dict():
            for key, item in value.items():
                _check_text(key)
                _check(item, depth - 1)
        case _:
            raise MalformedError(f"a {type(value).__name__} has no place in evidence")


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise MalformedError(f"the key {text!r} is no text")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedError("a text holds a lone surrogate")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedError("an object holds a key twice")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise MalformedError("an integer lies beyond 2^53")
    return int(digits)


def _no_float(text: str) -> NoReturn:
    raise MalformedError(f"floating-point numbers have no place in evidence: {text[:20]}")
