"""What both envelope formats carry: payload, signed attributes, a certificate chain, a signature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trustgate.evidence.notation.attributes import SignedAttributes
from trustgate.evidence.notation.refusal import Broken

MAX_ENVELOPE_BYTES: Final = 256 * 1024
"""A chain of four RSA-4096 certificates and a timestamp make some 30 KiB."""
MAX_HEADER_BYTES: Final = 16 * 1024
MAX_CHAIN_CERTIFICATES: Final = 10
JWS: Final = "application/jose+json"
COSE: Final = "application/cose"
ENVELOPES: Final = frozenset({JWS, COSE})


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope that was read and not yet verified."""

    attributes: SignedAttributes
    payload: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    """What the signature is over."""
    signature: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    """DER, the signing certificate first."""
    timestamp: bytes = field(repr=False)
    """A TimeStampToken (RFC 3161) over the signature; empty when there is none."""


def check_chain_size(count: int) -> None:
    """Raises ``Broken``."""
    if not 1 <= count <= MAX_CHAIN_CERTIFICATES:
        raise Broken(f"the chain has {count} certificates; 1 to {MAX_CHAIN_CERTIFICATES} are read")
