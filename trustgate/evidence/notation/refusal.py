"""Why a Notary Project signature does not count: three kinds of no, each with its reason."""

from __future__ import annotations

from typing import ClassVar

from trustgate.evidence.model import Outcome

_SHOWN_CHARACTERS = 80


class Refused(ValueError):
    """A signature that does not verify. The message says what was expected and what was found."""

    outcome: ClassVar[Outcome] = Outcome.BROKEN


class Broken(Refused):
    """It does not have the form that the specification asks for, or does not fit what it is said to sign."""


class NotUnderstood(Refused):
    """Well formed, of a version or with a critical attribute that is not judged here."""

    outcome = Outcome.NOT_UNDERSTOOD


class Untrusted(Refused):
    """Sound in itself, by no one (or at no time) that the trust store accepts."""

    outcome = Outcome.UNTRUSTED


def shown(text: object) -> str:
    """Foreign text, fit to be printed: escaped and cut."""
    return ascii(str(text)[:_SHOWN_CHARACTERS])
