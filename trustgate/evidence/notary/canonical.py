"""OLPC canonical JSON, the form that Notary v1 signs: sorted keys, no spaces, two escapes, no fractions.

What is signed is not the bytes on the wire but their content in this form, so a reader that takes one
document for another would verify what nobody signed: duplicate keys, fractions and numbers beyond what a
double holds (Go's verifier goes through one) are refused before anything is encoded.
"""

from __future__ import annotations

from typing import Final

from trustgate.oci.strict_json import Json, JsonRefused, loads

MAX_METADATA_BYTES: Final = 8 * 1024 * 1024
"""One metadata file; a targets file with 20,000 tags has some 4 MiB."""
MAX_VALUES: Final = 500_000
"""Of one file, counted by its commas: reading a value costs more than its bytes (20,000 tags: 100,000)."""
MAX_DEPTH: Final = 24
MAX_INTEGER: Final = 2**53 - 1


class Malformed(ValueError):
    """The metadata is not what its role asks for, or does not prove what it claims. The message says why."""


def read_json(raw: bytes, *, max_bytes: int = MAX_METADATA_BYTES) -> Json:
    """One unambiguous document. Raises ``Malformed``."""
    if len(raw) <= max_bytes and raw.count(b",") > MAX_VALUES:
        raise Malformed(f"has more than {MAX_VALUES} values")
    try:
        return loads(raw, max_bytes=max_bytes, max_depth=MAX_DEPTH, fold_case=False)
    except JsonRefused as exc:
        raise Malformed(str(exc)) from exc


def encode(value: Json) -> bytes:
    """The canonical form. Raises ``Malformed`` for what has none."""
    pieces: list[str] = []
    _write(value, pieces)
    try:
        return "".join(pieces).encode()
    except UnicodeEncodeError as exc:
        raise Malformed("has half of a surrogate pair in a string") from exc


def _write(value: Json, pieces: list[str]) -> None:
    match value:
        case str():
            pieces.append(_quoted(value))
        case bool():
            pieces.append("true" if value else "false")
        case int():
            pieces.append(_number(value))
        case None:
            pieces.append("null")
        case list():
            _write_list(value, pieces)
        case dict():
            _write_object(value, pieces)
        case _:
            raise Malformed("has a number with a fraction or an exponent, which canonical JSON has not")


def _write_list(values: list[Json], pieces: list[str]) -> None:
    pieces.append("[")
    for number, value in enumerate(values):
        if number:
            pieces.append(",")
        _write(value, pieces)
    pieces.append("]")


def _write_object(fields: dict[str, Json], pieces: list[str]) -> None:
    pieces.append("{")
    for number, key in enumerate(sorted(fields)):
        pieces.append(f",{_quoted(key)}:" if number else f"{_quoted(key)}:")
        _write(fields[key], pieces)
    pieces.append("}")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(value: int) -> str:
    if abs(value) > MAX_INTEGER:
        raise Malformed("has a number beyond 2^53, which verifiers read differently")
    return str(value)
