"""The ways in which evidence is refused here."""

from __future__ import annotations

from trustgate.evidence.dsse import Malformed


class Refusal(Malformed):
    """The evidence does not prove what it claims. The message says which part, and why."""


class NotTrusted(Refusal):
    """The evidence is sound, and is by someone, or vouched for by someone, who is not trusted for it."""
