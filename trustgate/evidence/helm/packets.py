"""OpenPGP packets (RFC 9580, section 4) as far as one has to see them before asking who verifies them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

from trustgate.evidence.helm.refusal import HelmNotUnderstood, HelmRefused

MAX_PACKETS: Final = 10_000
TEXT_SIGNATURE: Final = 0x01
"""Signature of a canonical text document: what a clear-signed message has (section 5.2.1.2)."""

RSA: Final = frozenset({1, 3})
DSA: Final = 17
ELLIPTIC: Final = frozenset({19, 22, 27, 28})
"""ECDSA, EdDSA in its old form, Ed25519, Ed448."""
HASHES: Final = {1: "MD5", 2: "SHA1", 3: "RIPEMD160", 8: "SHA256", 9: "SHA384", 10: "SHA512", 11: "SHA224"}
_PARTIAL = "has a packet of indeterminate length"
_CUT = "has a packet that is cut off"


class PacketTag(IntEnum):
    """The packets that have a meaning here (section 5)."""

    SIGNATURE = 2
    SECRET_KEY = 5
    PUBLIC_KEY = 6
    SECRET_SUBKEY = 7
    PUBLIC_SUBKEY = 14


@dataclass(frozen=True, slots=True)
class SignaturePacket:
    """What a version 4 signature says of itself; ``raw`` is the whole packet, and nothing but it."""

    raw: bytes = field(repr=False)
    signature_class: int
    algorithm: int
    hash_id: int


@dataclass(frozen=True, slots=True)
class KeyPacket:
    """A version 4 public key or subkey, named by its fingerprint (upper-case hex)."""

    fingerprint: str
    algorithm: int
    bits: int
    """Of an RSA or DSA modulus; 0 for the others, whose algorithm fixes their strength."""
    created: datetime
    primary: str
    """The fingerprint of the primary key that it stands below, its own for a primary key."""


def signature_packet(content: bytes) -> SignaturePacket:
    """The only packet of ``content``. Raises ``HelmRefused`` or ``HelmNotUnderstood``."""
    packets = list(_packets(content, limit=2))
    if len(packets) != 1 or packets[0][0] != PacketTag.SIGNATURE:
        raise HelmRefused("its signature block must hold exactly one signature, and nothing else")
    body = packets[0][1]
    if not body or body[0] != 4:
        raise HelmNotUnderstood(
            f"signatures of version {body[0] if body else 0} are not judged, only version 4"
        )
    if len(body) < 4:
        raise HelmRefused(_CUT)
    return SignaturePacket(content, signature_class=body[1], algorithm=body[2], hash_id=body[3])


def key_packets(content: bytes) -> tuple[KeyPacket, ...]:
    """Every public key of a keyring, subkeys after their primary. Raises ``HelmRefused``."""
    keys: list[KeyPacket] = []
    primary = ""
    for tag, body in _packets(content, limit=MAX_PACKETS):
        if tag in {PacketTag.SECRET_KEY, PacketTag.SECRET_SUBKEY}:
            raise HelmRefused("holds a secret key")
        if tag not in {PacketTag.PUBLIC_KEY, PacketTag.PUBLIC_SUBKEY}:
            continue
        key = _key(body, primary if tag == PacketTag.PUBLIC_SUBKEY else "")
        if tag == PacketTag.PUBLIC_KEY:
            primary = key.fingerprint if key else ""
        if key is not None:
            keys.append(key)
    return tuple(keys)


def _key(body: bytes, primary: str) -> KeyPacket | None:
    """``None`` for other versions than 4: the gpg of today's distributions does not read them either."""
    if not body or body[0] != 4:
        return None
    if len(body) < 8:
        raise HelmRefused(_CUT)
    framed = b"\x99" + len(body).to_bytes(2) + body if len(body) <= 0xFFFF else b""
    if not framed:
        raise HelmRefused("has a key of more than 65535 bytes")
    # the fingerprint names a key (section 5.5.4.2); no signature rests on this hash
    fingerprint = hashlib.sha1(framed, usedforsecurity=False).hexdigest().upper()
    algorithm = body[5]
    modular = algorithm in RSA or algorithm == DSA
    return KeyPacket(
        fingerprint=fingerprint,
        algorithm=algorithm,
        bits=int.from_bytes(body[6:8]) if modular else 0,
        created=datetime.fromtimestamp(int.from_bytes(body[1:5]), UTC),
        primary=primary or fingerprint,
    )


def _packets(content: bytes, *, limit: int) -> Iterator[tuple[int, bytes]]:
    """(tag, body) of each packet, at most ``limit`` and then a refusal."""
    position = count = 0
    while position < len(content):
        count += 1
        if count > limit:
            raise HelmRefused(f"has more than {limit} packets")
        tag, start, length = _header(content, position)
        position = start + length
        if position > len(content):
            raise HelmRefused(_CUT)
        yield tag, content[start:position]


def _header(content: bytes, position: int) -> tuple[int, int, int]:
    """(tag, where the body begins, its length) for both packet formats (section 4.2)."""
    first = content[position]
    if not first & 0x80:
        raise HelmRefused("does not consist of OpenPGP packets")
    if first & 0x40:
        return first & 0x3F, *_new_length(content, position + 1)
    kind = first & 3
    if kind == 3:
        raise HelmRefused(_PARTIAL)
    octets = 1 << kind
    start = position + 1 + octets
    if start > len(content):
        raise HelmRefused(_CUT)
    return (first >> 2) & 0xF, start, int.from_bytes(content[position + 1 : start])


def _new_length(content: bytes, position: int) -> tuple[int, int]:
    head = content[position : position + 5]
    if head and head[0] < 192:
        return position + 1, head[0]
    if len(head) >= 2 and 192 <= head[0] < 224:
        return position + 2, ((head[0] - 192) << 8) + head[1] + 192
    if len(head) == 5 and head[0] == 255:
        return position + 5, int.from_bytes(head[1:5])
    raise HelmRefused(_PARTIAL if head and 224 <= head[0] < 255 else _CUT)
