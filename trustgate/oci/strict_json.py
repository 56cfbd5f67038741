"""JSON as it has to be read when a decision hangs on it: one meaning, bounded depth.

Parsers disagree about duplicate keys (Go: last wins, case-insensitively), NaN and invalid UTF-8.
Where they disagree, one document can be two, so such documents are refused (CVE-2021-41190's class).
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import NoReturn

_INTEGER_DIGITS = 20  # 2**64 has 20 digits; longer ones only cost time
MAX_DEPTH = 64
"""Nesting levels; real manifests and bundles stay under 12."""

MAX_VALUES = 1_000_000
"""Each costs some hundred bytes once it is read; an SBOM of 16 MiB has half as many."""

_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
"""Possessive, and a string without end goes to the end: else each quote in it would begin a new search."""

_STRINGS_AND_BEGINNINGS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{,]', re.DOTALL)

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


class JsonRefused(ValueError):
    """The bytes are not one unambiguous JSON document. The message says why."""


def loads(raw: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH, fold_case: bool = True) -> Json:
    """Read ``raw`` strictly.

    Refuses: more than ``max_bytes`` or ``MAX_VALUES``, bytes that are not UTF-8, a byte order mark, NaN and
    infinities, keys that appear twice in an object (also when they differ in case only, unless ``fold_case``
    is off because keys are names: then the caller sees to the case of its fields), deep nesting, half of a
    surrogate pair (RFC 8259, section 8.2: Go reads another character in its place).
    Raises ``JsonRefused``.
    """
    if len(raw) > max_bytes:
        raise JsonRefused(f"has {len(raw)} bytes, at most {max_bytes} are read")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise JsonRefused(f"is not UTF-8 at byte {exc.start}") from exc
    _check_depth(text, max_depth)
    _check_count(text)
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_object if fold_case else _object_as_spelled,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_fraction,
        )
    except json.JSONDecodeError as exc:
        raise JsonRefused(f"is not JSON: {exc.msg} at byte {exc.pos}") from exc
    except RecursionError as exc:
        raise JsonRefused(f"is nested deeper than {max_depth} levels") from exc
    if _SURROGATE.search(text):
        _check_encodable(value)
    return value


def _check_encodable(value: Json) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise JsonRefused("has half of a surrogate pair in a string") from exc


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len({key.casefold() for key, _ in pairs}) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key.casefold() in seen:
                raise JsonRefused(f"has the key {key[:40]!r} twice in one object")
            seen.add(key.casefold())
    return result


def _object_as_spelled(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise JsonRefused("has a key twice in one object")
    return result


def _integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS:
        raise JsonRefused(f"has a number with more than {_INTEGER_DIGITS} digits")
    return int(text)


def _fraction(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise JsonRefused("has a number that is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise JsonRefused(f"has the value {name}, which is not JSON")


def _check_count(text: str) -> None:
    """What begins with a bracket or behind a comma is a value; counted exactly where it could be too many."""
    if sum(map(text.count, "[{,")) <= MAX_VALUES:
        return
    begun = (match for match in _STRINGS_AND_BEGINNINGS.finditer(text) if match[0] in "[{,")
    if next(islice(begun, MAX_VALUES, None), None) is not None:
        raise JsonRefused(f"has more than {MAX_VALUES} values")


def _check_depth(text: str, max_depth: int) -> None:
    """Refuse deep nesting before the recursive parser meets it; a cheap upper bound, then exact."""
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for match in _STRINGS_AND_BRACKETS.finditer(text):
        piece = match[0]
        if piece in "[{":
            depth += 1
            if depth > max_depth:
                raise JsonRefused(f"is nested deeper than {max_depth} levels")
        elif piece in "]}":
            depth -= 1
