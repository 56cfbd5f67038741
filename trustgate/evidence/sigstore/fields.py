"""Fields of protobuf's JSON form: bytes as base64, 64-bit numbers as strings, times as RFC 3339."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.oci.strict_json import Json

MAX_FIELD_BYTES = 128 * 1024
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_MAX_INT64 = 2**63 - 1
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)

Fields = dict[str, Json]


def fields_of(value: Json, what: str) -> Fields:
    """Raises ``Refusal`` for anything but an object."""
    if not isinstance(value, dict):
        raise Refusal(f"{what} is not an object")
    return value


def list_of(value: Json, what: str, *, most: int) -> list[Json]:
    """A list, or nothing. Raises ``Refusal`` for something else, or for more than ``most`` entries."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refusal(f"{what} is not a list")
    if len(value) > most:
        raise Refusal(f"{what} has {len(value)} entries, at most {most} are read")
    return value


def optional_of(fields: Fields, key: str, what: str) -> Fields | None:
    """An object, or ``None`` when the field is absent or null. Raises ``Refusal`` for something else."""
    value = fields.get(key)
    return None if value is None else fields_of(value, f"{what}: {key}")


def only_known(fields: Fields, known: frozenset[str], what: str) -> None:
    """Raises ``Refusal`` for any other field: what is not understood could change the meaning."""
    other = sorted(set(fields) - known)
    if other:
        raise Refusal(f"{what} has the field {other[0][:40]!a}, which its format does not name")


def text_of(fields: Fields, key: str, what: str) -> str:
    """A non-empty string. Raises ``Refusal``."""
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise Refusal(f"{what} has no {key}")
    return value


def bytes_of(fields: Fields, key: str, what: str) -> bytes:
    """Standard base64 of at least one byte. Raises ``Refusal``."""
    text = text_of(fields, key, what)
    if len(text) > MAX_FIELD_BYTES * 2:
        raise Refusal(f"{what}: {key} is too long")
    return decoded(text, f"{what}: {key}")


def decoded(text: str, what: str) -> bytes:
    """Strict base64. Raises ``Refusal``."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Refusal(f"{what} is not base64") from exc
    if not raw or base64.b64encode(raw).decode() != text:
        raise Refusal(f"{what} is not base64 in its one spelling")
    return raw


def number_of(fields: Fields, key: str, what: str) -> int:
    """A number that is not negative, written as a number or a string; absent means 0. Raises ``Refusal``."""
    value = fields.get(key, 0)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_INT64:
        raise Refusal(f"{what}: {key} is not a number from 0 to 2^63-1")
    return value


def time_of(fields: Fields, key: str, what: str) -> datetime | None:
    """An RFC 3339 time with its zone; ``None`` when absent. Raises ``Refusal``."""
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        raise Refusal(f"{what}: {key} is not a time (RFC 3339, with its zone)")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Refusal(f"{what}: {key} is not a time") from exc
