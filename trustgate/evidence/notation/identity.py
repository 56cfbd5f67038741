"""Trusted identities: distinguished names, matched as sets of attributes.

trust-store-trust-policy.md, "Trusted Identities Constraints"; text form: RFC 4514. Names are compared as the
signer's certificate spells them: exactly, with no regard to order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from trustgate.evidence.notation.refusal import Untrusted, shown

PREFIX: Final = "x509.subject"
ANY: Final = "*"
MAX_IDENTITY_CHARACTERS: Final = 1024
_REQUIRED: Final = ("C", "ST", "O")
_TYPES: Final = {
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COMMON_NAME: "CN",
    NameOID.LOCALITY_NAME: "L",
    NameOID.STREET_ADDRESS: "STREET",
    NameOID.SERIAL_NUMBER: "SERIALNUMBER",
    NameOID.POSTAL_CODE: "POSTALCODE",
}
"""What notation knows by name; a subject with another attribute matches nothing but ``*``."""
_ESCAPED: Final = re.compile(r"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)
_PIECE: Final = re.compile(r"(?:[^\\,]|\\.)*", re.DOTALL)
_UNESCAPED_SPECIAL: Final = re.compile(r"[\"+;<>]")

Identity = Mapping[str, str]
"""Attribute types and values, each type once."""


class IdentityInvalid(ValueError):
    """The text is not an identity that a signing certificate could have. The message says why."""


def read_identity(text: str) -> Identity:
    """``x509.subject: C=…, ST=…, O=…`` with any further attributes. Raises ``IdentityInvalid``."""
    prefix, colon, name = text.partition(":")
    if not colon or prefix != PREFIX:
        raise IdentityInvalid(f'{shown(text)} does not begin with "{PREFIX}:", the only kind there is')
    if len(name) > MAX_IDENTITY_CHARACTERS:
        raise IdentityInvalid(f"it has more than {MAX_IDENTITY_CHARACTERS} characters")
    identity: dict[str, str] = {}
    for piece in _pieces(name):
        kind, value = _attribute(piece)
        if kind in identity:
            raise IdentityInvalid(f"it names {kind} twice")
        identity[kind] = value
    missing = [kind for kind in _REQUIRED if kind not in identity]
    if missing:
        raise IdentityInvalid(f"it lacks {', '.join(missing)}: C, ST and O are required")
    return identity


def _pieces(name: str) -> list[str]:
    """Cut at the commas that are not escaped."""
    pieces, position = [], 0
    while True:
        match = _PIECE.match(name, position)
        end = match.end() if match else position
        pieces.append(name[position:end])
        if end >= len(name):
            return pieces
        if name[end] != ",":
            raise IdentityInvalid("it ends with a backslash")
        position = end + 1


def _attribute(piece: str) -> tuple[str, str]:
    kind, equals, raw = piece.partition("=")
    kind = "ST" if kind.strip() == "S" else kind.strip()
    if not equals or kind not in _TYPES.values():
        known = ", ".join(sorted(_TYPES.values()))
        raise IdentityInvalid(f"{shown(piece.strip())} is not TYPE=value with a TYPE of {known}")
    value = _unescaped(raw)
    if not value or "=#" in value or raw.lstrip().startswith("#"):
        raise IdentityInvalid(f"{kind} has no value that a certificate could have as text")
    return kind, value


def _unescaped(raw: str) -> str:
    """RFC 4514, section 2.4: ``\\,`` and ``\\2C``; spaces around a value are not part of it."""
    stripped = raw.lstrip(" ")
    while stripped.endswith(" ") and not stripped.endswith("\\ "):
        stripped = stripped[:-1]
    special = _UNESCAPED_SPECIAL.search(_ESCAPED.sub("", stripped))
    if special:
        raise IdentityInvalid(f'{special[0]} has to be written as "\\{special[0]}"')
    found = bytearray()
    position = 0
    for match in _ESCAPED.finditer(stripped):
        found += stripped[position : match.start()].encode()
        found += bytes.fromhex(match[1]) if len(match[1]) == 2 else match[1].encode()
        position = match.end()
    found += stripped[position:].encode()
    try:
        return found.decode()
    except UnicodeDecodeError as exc:
        raise IdentityInvalid("an escaped value is not UTF-8") from exc


def identity_of(certificate: x509.Certificate) -> Identity:
    """The subject as an identity. Raises ``Untrusted`` where no identity but ``*`` can name it."""
    identity: dict[str, str] = {}
    for part in map(list, certificate.subject.rdns):
        kind = _TYPES.get(part[0].oid)
        value = part[0].value
        if len(part) != 1 or kind is None or not isinstance(value, str) or "=#" in value:
            raise Untrusted(
                "the signing certificate's subject has an attribute that no trusted identity can name "
                f"({shown(part[0].oid.dotted_string)}, or several in one part)"
            )
        if kind in identity:
            raise Untrusted(f"the signing certificate's subject names {kind} twice")
        identity[kind] = value
    missing = [kind for kind in _REQUIRED if not identity.get(kind)]
    if missing:
        raise Untrusted(f"the signing certificate's subject lacks {', '.join(missing)}")
    return identity


def matches(wanted: Identity, found: Identity) -> bool:
    """Whether every attribute of ``wanted`` is in ``found``, with the same value."""
    return all(found.get(kind) == value for kind, value in wanted.items())
