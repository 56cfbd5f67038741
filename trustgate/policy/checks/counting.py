"""How many different people signed: each attestor counts once, and so does each identity.

One key under two names is one signer; one name whose pattern two people match is one signer too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Signer

Signers: TypeAlias = frozenset[Signer]


def identities(attestor: Attestor, signers: Signers, now: datetime) -> frozenset[str]:
    """Who signed as ``attestor``; empty outside the attestor's time."""
    if not attestor.in_time(now):
        return frozenset()
    found = (signer.identity for signer in signers if signer.attestor == attestor.name)
    return frozenset(identity for identity in found if attestor.may_be(identity))


def distinct(attestors: Sequence[Attestor], signers: Signers, now: datetime) -> frozenset[str]:
    """The largest set of identities that can be told to as many different attestors.

    A maximum matching, by augmenting paths: what is left out can never have counted.
    """
    named = {one.name: one for one in attestors}
    choices = {name: sorted(identities(one, signers, now)) for name, one in named.items()}
    holders: dict[str, str] = {}

    def place(name: str, tried: set[str]) -> bool:
        for identity in choices[name]:
            if identity in tried:
                continue
            tried.add(identity)
            if identity not in holders or place(holders[identity], tried):
                holders[identity] = name
                return True
        return False

    for name in named:
        place(name, set())
    return frozenset(holders)
