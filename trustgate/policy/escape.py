"""Text that came from an artifact or a file, made safe to print: clients hand it to terminals as it is."""

from __future__ import annotations

from typing import Final

ELLIPSIS: Final = "..."


def printable(text: str, limit: int) -> str:
    """One line of printable ASCII, at most ``limit`` characters: everything else is written as an escape."""
    # Each character becomes at least one, so a longer prefix can not be needed.
    escaped = "".join(map(_escaped, text[: limit + 1]))
    if len(escaped) <= limit:
        return escaped
    return escaped[: max(limit - len(ELLIPSIS), 0)] + ELLIPSIS[:limit]


def _escaped(character: str) -> str:
    if " " <= character <= "~":
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
