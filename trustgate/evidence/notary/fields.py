"""Fields of a metadata document, read strictly: the type that is asked for, one spelling, bounded size."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from trustgate.evidence.notary.canonical import MAX_INTEGER, Malformed
from trustgate.evidence.signature_bytes import canonical_base64
from trustgate.oci.strict_json import Json

MAX_ROLE_CHARACTERS: Final = 255
MAX_DELEGATION_LEVELS: Final = 8
_SHOWN_CHARACTERS: Final = 80
_DELEGATION = re.compile(rf"targets(?:/[a-z0-9_-]+){{1,{MAX_DELEGATION_LEVELS}}}")
_RFC3339 = re.compile(
    r"(?P<head>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})"
)
BASE_ROLES: Final = ("root", "targets", "snapshot", "timestamp")


def an_object(value: Json, what: str, known: Iterable[str] = ()) -> dict[str, Json]:
    """An object in which each of the ``known`` fields has its one spelling.

    Go reads ``Version`` for ``version``: a field that differs from a known one in case only would make one
    document two. Raises ``Malformed``.
    """
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not an object")
    names = {name.casefold(): name for name in known}
    for key in value:
        if names.get(key.casefold(), key) != key:
            raise Malformed(f"{what} has the field {shown(key)}, spelled {names[key.casefold()]!r} in Notary")
    return value


def a_list(value: Json, what: str, limit: int) -> list[Json]:
    """A list, where Go's ``null`` is the empty one. Raises ``Malformed``."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{what} is not a list")
    if len(value) > limit:
        raise Malformed(f"{what} has {len(value)} entries, at most {limit} are read")
    return value


def a_map(value: Json, what: str, limit: int) -> dict[str, Json]:
    """An object whose keys are names, where Go's ``null`` is the empty one. Raises ``Malformed``."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not an object")
    if len(value) > limit:
        raise Malformed(f"{what} has {len(value)} entries, at most {limit} are read")
    return value


def a_text(value: Json, what: str) -> str:
    """A string that is not empty. Raises ``Malformed``."""
    if not isinstance(value, str) or not value:
        raise Malformed(f"{what} is missing or not a string")
    return value


def an_integer(value: Json, what: str, *, least: int) -> int:
    """Raises ``Malformed``."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"{what} is not a whole number")
    if not least <= value <= MAX_INTEGER:
        raise Malformed(f"{what} is {value}, expected {least} to 2^53-1")
    return value


def some_bytes(value: Json, what: str, max_bytes: int) -> bytes:
    """Base64 with exactly one spelling. Raises ``Malformed``."""
    raw = canonical_base64(a_text(value, what))
    if not raw or len(raw) > max_bytes:
        raise Malformed(f"{what} is not base64 of 1 to {max_bytes} bytes")
    return raw


def a_moment(value: Json, what: str) -> datetime:
    """RFC 3339 with up to nine digits of a second; what is finer than a microsecond is cut off, so that
    nothing is valid longer than it says. Raises ``Malformed``.
    """
    found = _RFC3339.fullmatch(a_text(value, what))
    if found is None:
        raise Malformed(f"{what} is not a time as RFC 3339 writes it")
    fraction = (found["fraction"] or "").ljust(6, "0")[:6]
    zone = "+00:00" if found["zone"] == "Z" else found["zone"]
    try:
        return datetime.fromisoformat(f"{found['head']}.{fraction}{zone}").astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Malformed(f"{what} is not a time that exists") from exc


def is_delegation(role: str) -> bool:
    """``targets/x``, ``targets/x/y``: lower-case letters, digits, ``_`` and ``-``; never a dot."""
    return len(role) <= MAX_ROLE_CHARACTERS and _DELEGATION.fullmatch(role) is not None


def is_role(role: str) -> bool:
    """A role that a metadata file may have."""
    return role in BASE_ROLES or is_delegation(role)


def parent_of(role: str) -> str:
    """The role that has to vouch for a delegation."""
    return role.rpartition("/")[0]


def shown(text: object) -> str:
    """Foreign text, fit to be printed: escaped and cut."""
    return ascii(str(text)[:_SHOWN_CHARACTERS])
