"""The framing of a clear-signed message (RFC 9580, section 7), checked before anyone verifies it.

gpg and helm look for a signed block anywhere in a file, and each leaves something out: text around the
block, a second block, a form feed (CVE-2025-68972), headers (CVE-2019-11841, NotDashEscaped), an inline
message in its place. Here the whole file is one block, and its lines are exactly what was signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from trustgate.evidence.helm.armor import dearmor
from trustgate.evidence.helm.packets import HASHES, TEXT_SIGNATURE, SignaturePacket, signature_packet
from trustgate.evidence.helm.refusal import HelmNotUnderstood, HelmRefused

MAX_PROVENANCE_BYTES: Final = 1024 * 1024
"""A chart's metadata and one line; helm's own are a few KiB."""
MAX_LINES: Final = 20_000
BEGIN_MESSAGE: Final = "-----BEGIN PGP SIGNED MESSAGE-----"
BEGIN_SIGNATURE: Final = "-----BEGIN PGP SIGNATURE-----"
END_SIGNATURE: Final = "-----END PGP SIGNATURE-----"
_SIGNATURE_WITHIN_LINES: Final = 400
_FORBIDDEN = re.compile(r"[^\t\n\r -~\u00a0-\U0010ffff]|\r(?!\n)|\ufeff")
_HASH = re.compile(r"Hash: ([A-Z0-9]{3,10})")


@dataclass(frozen=True, slots=True)
class ClearSigned:
    """``lines`` without escapes and trailing blanks: what the signature covers, and what is read."""

    lines: tuple[str, ...] = field(repr=False)
    signature: SignaturePacket

    @property
    def signed(self) -> bytes:
        """The octets that are hashed: lines joined by CRLF, none after the last."""
        return "\r\n".join(self.lines).encode()


def read_clear_signed(raw: bytes) -> ClearSigned:
    """Raises ``HelmRefused`` or ``HelmNotUnderstood``."""
    lines = _lines(raw)
    # 1. The file begins with the block.
    if lines[0] != BEGIN_MESSAGE:
        raise HelmRefused(_what_stands_there(raw, lines[0]))
    # 2. There is one of each line that frames it: no second block, nothing nested.
    for mark in (BEGIN_MESSAGE, BEGIN_SIGNATURE, END_SIGNATURE):
        if lines.count(mark) != 1:
            raise HelmRefused(f"has {lines.count(mark)} lines '{mark}', and must have one")
    begin, end = lines.index(BEGIN_SIGNATURE), lines.index(END_SIGNATURE)
    # 3. The file ends with the block.
    if any(lines[end + 1 :]):  # which BEGIN SIGNATURE would be, if it stood there
        raise HelmRefused("has text outside of the signed block, which nobody signed")
    if end - begin > _SIGNATURE_WITHIN_LINES:
        raise HelmRefused(f"has a signature block of more than {_SIGNATURE_WITHIN_LINES} lines")
    # 4. One Hash header, and it tells the truth.
    hash_name = _hash_header(lines[1], lines[2])
    signature = signature_packet(dearmor(lines[begin + 1 : end]))
    _check_signature(signature, hash_name)
    return ClearSigned(tuple(map(_unescaped, lines[3:begin])), signature)


def _lines(raw: bytes) -> list[str]:
    if len(raw) > MAX_PROVENANCE_BYTES:
        raise HelmRefused(f"has {len(raw)} bytes, at most {MAX_PROVENANCE_BYTES} are read")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise HelmRefused(f"is not UTF-8 at byte {exc.start}") from exc
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        raise HelmRefused(
            f"holds the control character U+{ord(forbidden[0]):04X}; readers do not agree about what it ends"
        )
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise HelmRefused(f"has more than {MAX_LINES} lines")
    return lines


def _what_stands_there(raw: bytes, first: str) -> str:
    if first == "-----BEGIN PGP MESSAGE-----":
        return "is an inline-signed message; a clear-signed one is expected (gpg --clearsign)"
    if first == BEGIN_SIGNATURE:
        return "is a detached signature; a clear-signed message is expected (gpg --clearsign)"
    if BEGIN_MESSAGE.encode() in raw:
        return f"has text before '{BEGIN_MESSAGE}', which nobody signed"
    return f"begins with {first[:40]!a} and not with '{BEGIN_MESSAGE}'"


def _hash_header(header: str, after: str) -> str:
    """Any other header could change how the text is read; helm writes exactly this one, gpg too."""
    found = _HASH.fullmatch(header)
    if found is None or after:
        raise HelmRefused(
            f"must have one header 'Hash: NAME' and an empty line after its first, found {header[:40]!a}"
        )
    return found[1]


def _check_signature(signature: SignaturePacket, hash_name: str) -> None:
    if signature.signature_class != TEXT_SIGNATURE:
        raise HelmRefused(
            f"has a signature of class 0x{signature.signature_class:02x}; a clear-signed text has class 0x01"
        )
    actual = HASHES.get(signature.hash_id)
    if actual is None:
        raise HelmNotUnderstood(f"its signature uses hash algorithm {signature.hash_id}, which is not judged")
    if actual != hash_name:
        raise HelmRefused(f"says Hash: {hash_name}, and its signature uses {actual}")


def _unescaped(line: str) -> str:
    """Section 7.2: a line that begins with a dash is escaped, and blanks at its end are not signed."""
    if line.startswith("- "):
        line = line[2:]
    elif line.startswith("-"):
        raise HelmRefused(f"has the line {line[:40]!a}, which begins with a dash and is not escaped")
    return line.rstrip(" \t")
