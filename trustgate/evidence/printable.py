"""Foreign text, fit for logs, terminals and answers: printable ASCII, and short."""

from __future__ import annotations

from typing import Final

MAX_REASON_CHARACTERS: Final = 400
_SHOWN_CHARACTERS: Final = 80


def printable(reason: str) -> str:
    """A reason as it may be shown."""
    text = reason[:MAX_REASON_CHARACTERS].encode("ascii", "backslashreplace").decode()
    kept = "".join(character if character.isprintable() else " " for character in text)
    return kept[:MAX_REASON_CHARACTERS]


def shown(text: str | None) -> str:
    """Foreign text within a reason: escaped and cut."""
    return ascii(text[:_SHOWN_CHARACTERS]) if text else "nothing"
