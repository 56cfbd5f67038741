"""ASCII armor (RFC 9580, section 6): read strictly, so that no other reader finds something else in it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

from trustgate.evidence.helm.refusal import HelmRefused

MAX_ARMOR_HEADERS: Final = 8
MAX_ARMOR_LINE_CHARACTERS: Final = 76
_HEADER_NAMES = frozenset({"Version", "Comment"})
_HEADER = re.compile(r"([A-Za-z]+): ([ -~]{0,200})")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_CRC_INIT, _CRC_POLYNOMIAL, _CRC_TOP = 0xB704CE, 0x1864CFB, 0x1000000


def dearmor(lines: Sequence[str]) -> bytes:
    """The content of the lines between a BEGIN and an END line. Raises ``HelmRefused``.

    The checksum may be left out (helm does, RFC 9580 allows it); one that is there has to be right.
    """
    body = _without_headers(lines)
    checksum = body.pop() if body and body[-1].startswith("=") else ""
    for line in body:
        if len(line) > MAX_ARMOR_LINE_CHARACTERS or not _BASE64.fullmatch(line):
            raise HelmRefused("its armor has a line that is not base64 of at most 76 characters")
    try:
        content = base64.b64decode("".join(body), validate=True)
    except binascii.Error as exc:
        raise HelmRefused("its armor is not base64") from exc
    if not content:
        raise HelmRefused("its armor is empty")
    if checksum and checksum != f"={base64.b64encode(crc24(content).to_bytes(3)).decode()}":
        raise HelmRefused("its armor's checksum does not match its content")
    return content


def _without_headers(lines: Sequence[str]) -> list[str]:
    """An empty line ends the headers; it stands there when there are none, too."""
    for number, line in enumerate(lines[: MAX_ARMOR_HEADERS + 1]):
        if not line:
            return list(lines[number + 1 :])
        found = _HEADER.fullmatch(line)
        if not found or found[1] not in _HEADER_NAMES:
            raise HelmRefused(
                f"its armor has the header {line[:40]!a}; only Version and Comment may stand there"
            )
    raise HelmRefused("its armor has no empty line after its headers")


def crc24(content: bytes) -> int:
    """RFC 9580, section 6.1.1."""
    crc = _CRC_INIT
    for octet in content:
        crc ^= octet << 16
        for _ in range(8):
            crc <<= 1
            if crc & _CRC_TOP:
                crc ^= _CRC_POLYNOMIAL
    return crc
