"""Attestors: names of the trust store, and what proves that a signature is theirs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from trustgate.evidence.helm.trust import GpgTrust
from trustgate.evidence.keys import KeyTrust, key_trust
from trustgate.evidence.notary.trust import NotaryTrust
from trustgate.evidence.notation.trust import NotationTrust
from trustgate.evidence.revoked import Revoked
from trustgate.evidence.sigstore.trust import KeylessTrust

Trust: TypeAlias = KeyTrust | KeylessTrust | NotationTrust | NotaryTrust | GpgTrust
"""One kind a format; each judge weighs the attestors whose trust is of its own kind."""
_PREFIX: Final[dict[type, str]] = {
    KeyTrust: "key:",
    KeylessTrust: "keyless:",
    NotationTrust: "x509:",
    NotaryTrust: "tuf:",
}
"""How the identities of each kind begin, so that a name alone never makes a signer."""


@dataclass(frozen=True, slots=True)
class Attestor:
    """Someone whose signature may count, and from when until when (the end itself is outside)."""

    name: str
    trust: Trust
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked: tuple[Revoked, ...] = field(default=(), repr=False)
    """What the trust store takes back, of everybody: no attestor's judge forgets to ask."""

    def in_time(self, now: datetime) -> bool:
        """Whether the trust store counts this attestor's signatures now."""
        begun = self.not_before is None or self.not_before <= now
        return begun and (self.not_after is None or now < self.not_after)

    @property
    def sole_identity(self) -> str | None:
        """The one identity that can ever sign as this attestor; ``None`` where many may (a pattern)."""
        match self.trust:
            case KeyTrust() as trust:
                return trust.identity
            case KeylessTrust() as trust:
                return trust.sole_identity
            case GpgTrust() as trust:
                return next(iter(trust.identities)) if len(trust.identities) == 1 else None
            case NotationTrust() | NotaryTrust():
                return None

    def may_be(self, identity: str) -> bool:
        """Whether ``identity`` can be this attestor at all: facts outlive no change of the trust store."""
        if isinstance(self.trust, GpgTrust):
            return identity in self.trust.identities
        return self.sole_identity in (None, identity) and identity.startswith(_PREFIX[type(self.trust)])


def signs_charts(attestors: Iterable[Attestor]) -> bool:
    """Whether one of them signs Helm charts: only then are charts read and gpg is asked."""
    return any(isinstance(one.trust, GpgTrust) for one in attestors)


def signs_tags(attestors: Iterable[Attestor]) -> bool:
    """Whether one of them signs tags in Notary v1 metadata."""
    return any(isinstance(one.trust, NotaryTrust) for one in attestors)


def next_turn(attestors: Iterable[Attestor], now: datetime, *others: datetime | None) -> datetime | None:
    """The next moment at which one of them begins or ceases to count, or that is one of ``others``."""
    limits = (limit for one in attestors for limit in (one.not_before, one.not_after))
    return min((limit for limit in (*limits, *others) if limit is not None and limit > now), default=None)


def key_attestor(
    name: str,
    pem: bytes,
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    prehashed: bool = False,
) -> Attestor:
    """An attestor known by one key. Raises ``KeyUnreadable``."""
    return Attestor(name, key_trust(pem, prehashed=prehashed), not_before, not_after)
