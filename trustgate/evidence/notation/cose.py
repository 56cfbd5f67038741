"""COSE_Sign1 envelopes (signature-envelope-cose.md; RFC 9052, sections 4.2 and 4.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import cbor2

from trustgate.evidence.notation.algorithms import COSE_NAMES
from trustgate.evidence.notation.attributes import TIMES, TIMESTAMP, check_unsigned, read_attributes
from trustgate.evidence.notation.cbor import Cbor, CborRefused, Tagged, loads
from trustgate.evidence.notation.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_HEADER_BYTES,
    Envelope,
    check_chain_size,
)
from trustgate.evidence.notation.refusal import Broken, shown

SIGN1_TAG: Final = 18
EPOCH_TAG: Final = 1
X5CHAIN: Final = 33
LABELS: Final = {1: "alg", 2: "crit", 3: "cty"}
_LATEST: Final = 253402300799
"""9999-12-31T23:59:59Z, in seconds since 1970."""


def read_cose(raw: bytes) -> Envelope:
    """The envelope, nothing of it verified yet. Raises ``Broken`` or ``NotUnderstood``."""
    tagged = _item(raw, MAX_ENVELOPE_BYTES, "the envelope")
    if not isinstance(tagged, Tagged) or tagged.tag != SIGN1_TAG:
        raise Broken("the envelope is not a tagged COSE_Sign1 (tag 18)")
    match tagged.value:
        case [bytes() as protected, dict() as unsigned, bytes() as payload, bytes() as signature]:
            pass
        case _:
            raise Broken("the COSE_Sign1 is not [protected, unprotected, payload, signature]")
    if not (payload and signature):
        raise Broken("the COSE_Sign1 has an empty payload or signature")
    labels = _item(protected, MAX_HEADER_BYTES, "the protected header")
    if not isinstance(labels, dict):
        raise Broken("the protected header is not a map")
    header = _by_name(labels)
    check_unsigned([_name(label) for label in unsigned], header)
    return Envelope(
        attributes=read_attributes(header),
        payload=payload,
        signed=signed_bytes(protected, payload),
        signature=signature,
        chain=_chain(unsigned.get(X5CHAIN)),
        timestamp=_timestamp(unsigned.get(TIMESTAMP)),
    )


def signed_bytes(protected: bytes, payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052, section 4.4) without external data."""
    return cbor2.dumps(["Signature1", protected, b"", payload])


def _item(raw: bytes, max_bytes: int, what: str) -> Cbor:
    try:
        return loads(raw, max_bytes=max_bytes)
    except CborRefused as exc:
        raise Broken(f"{what} {exc}") from exc


def _name(label: int | str) -> int | str:
    return LABELS.get(label, label) if isinstance(label, int) else label


def _by_name(labels: dict[int | str, Cbor]) -> dict[int | str, object]:
    """The header under the names that JWS has for it."""
    if any(isinstance(label, str) and label in LABELS.values() for label in labels):
        raise Broken("the protected header spells alg, crit or cty as text; in COSE they are numbers")
    header: dict[int | str, object] = {}
    for label, value in labels.items():
        name = _name(label)
        if name == "alg":
            header[name] = _algorithm(value)
        elif name in TIMES:
            header[name] = _time(value, str(name))
        else:
            header[name] = value
    return header


def _algorithm(value: Cbor) -> str:
    name = COSE_NAMES.get(value) if isinstance(value, int) else None
    if name is None:
        raise Broken(f"the algorithm is {shown(value)}, which is none of PS256 to PS512 and ES256 to ES512")
    return name


def _time(value: Cbor, name: str) -> datetime:
    """Tag 1 over whole seconds (RFC 8949, section 3.4.2)."""
    seconds = value.value if isinstance(value, Tagged) and value.tag == EPOCH_TAG else None
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= _LATEST:
        raise Broken(f"the attribute {name} is not a time in whole seconds (CBOR tag 1)")
    return datetime.fromtimestamp(seconds, UTC)


def _chain(listed: Cbor) -> tuple[bytes, ...]:
    if not isinstance(listed, list):
        raise Broken("the envelope has no certificate chain (x5chain)")
    check_chain_size(len(listed))
    certificates = tuple(one for one in listed if isinstance(one, bytes) and one)
    if len(certificates) != len(listed):
        raise Broken("a certificate of the chain (x5chain) is not a byte string")
    return certificates


def _timestamp(value: Cbor) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, bytes):
        raise Broken("the timestamp signature is not a byte string")
    return value
