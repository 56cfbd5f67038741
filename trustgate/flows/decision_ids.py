"""Ids of decisions: sortable by time, and not to be guessed."""

from __future__ import annotations

import secrets
from datetime import datetime

from trustgate.ports import DecisionId

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_CHARACTERS = 10
_RANDOM_CHARACTERS = 16
"""80 random bits: the link to a decision is all that is needed to read it."""


def new_decision_id(now: datetime) -> DecisionId:
    """A ULID: 48 bits of milliseconds, 80 random bits, in Crockford's base 32."""
    moment = int(now.timestamp() * 1000)
    number = (moment << 80) | secrets.randbits(80)
    length = _TIME_CHARACTERS + _RANDOM_CHARACTERS
    return DecisionId("".join(_CROCKFORD[(number >> (5 * place)) & 31] for place in reversed(range(length))))
