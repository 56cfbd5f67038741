"""JWS envelopes in flattened JSON (signature-envelope-jws.md; RFC 7515, section 7.2.2)."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Final

from trustgate.evidence.notation.attributes import TIMES, TIMESTAMP, check_unsigned, read_attributes
from trustgate.evidence.notation.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_HEADER_BYTES,
    Envelope,
    check_chain_size,
)
from trustgate.evidence.notation.refusal import Broken, shown
from trustgate.evidence.signature_bytes import canonical_base64
from trustgate.oci.strict_json import Json, JsonRefused, loads

_MEMBERS: Final = frozenset({"payload", "protected", "header", "signature"})
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})"
)


def read_jws(raw: bytes) -> Envelope:
    """The envelope, nothing of it verified yet. Raises ``Broken`` or ``NotUnderstood``."""
    members = _json_object(raw, MAX_ENVELOPE_BYTES, "the envelope")
    if set(members) != _MEMBERS:
        raise Broken("the envelope's members are not exactly payload, protected, header and signature")
    protected, payload = _text(members, "protected"), _text(members, "payload")
    unsigned = members["header"]
    if not isinstance(unsigned, dict):
        raise Broken("the envelope's header is not an object")
    header: dict[int | str, object] = {}
    header.update(_json_object(_base64url(protected, "protected"), MAX_HEADER_BYTES, "the protected header"))
    check_unsigned(unsigned, header)
    for name in TIMES & set(header):
        header[name] = _time(header[name], name)
    return Envelope(
        attributes=read_attributes(header),
        payload=_base64url(payload, "payload"),
        signed=f"{protected}.{payload}".encode("ascii"),
        signature=_base64url(_text(members, "signature"), "signature"),
        chain=_chain(unsigned.get("x5c")),
        timestamp=_timestamp(unsigned.get(TIMESTAMP)),
    )


def _json_object(raw: bytes, max_bytes: int, what: str) -> dict[str, Json]:
    try:
        document = loads(raw, max_bytes=max_bytes)
    except JsonRefused as exc:
        raise Broken(f"{what} {exc}") from exc
    if not isinstance(document, dict):
        raise Broken(f"{what} is not a JSON object")
    return document


def _text(members: dict[str, Json], name: str) -> str:
    value = members[name]
    if not isinstance(value, str) or not value:
        raise Broken(f"the envelope's {name} is not text")
    return value


def _base64url(text: str, name: str) -> bytes:
    """RFC 7515, section 2: no padding; and of several spellings the one without spare bits."""
    padded = text + "=" * (-len(text) % 4)
    try:
        raw = base64.urlsafe_b64decode(padded) if _BASE64URL.fullmatch(text) else b""
    except binascii.Error:
        raw = b""
    if not raw or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise Broken(f"the envelope's {name} is not base64url")
    return raw


def _time(value: object, name: str) -> datetime:
    """RFC 3339 in whole seconds, as signers have to write it."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise Broken(f"the attribute {name} is {shown(value)}, not a time in whole seconds (RFC 3339)")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Broken(f"the attribute {name} is {shown(value)}, which is no time") from exc


def _chain(listed: Json) -> tuple[bytes, ...]:
    if not isinstance(listed, list):
        raise Broken("the envelope has no certificate chain (x5c)")
    check_chain_size(len(listed))
    found = [canonical_base64(one) if isinstance(one, str) else None for one in listed]
    certificates = tuple(one for one in found if one)
    if len(certificates) != len(found):
        raise Broken("a certificate of the chain (x5c) is not base64")
    return certificates


def _timestamp(value: Json) -> bytes:
    if value is None or value == "":
        return b""
    token = canonical_base64(value) if isinstance(value, str) else None
    if not token:
        raise Broken("the timestamp signature is not base64")
    return token
