"""Whose trust data is about to be published: a fact for each file that a client signed.

Not what the tags are, which is asked of a pull, but by whom a file is: it is an attestor's when a root of the
chain is signed by keys that the attestor pins, and its role is one that speaks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Outcome, SignatureFact, Signer
from trustgate.evidence.notary.chain import TrustedSet, open_set
from trustgate.evidence.notary.judge import MetadataSet, notary_fact, why_foreign, why_taken_back
from trustgate.evidence.notary.keys import TufKey
from trustgate.evidence.notary.trust import DOCKERS_ROLES, NotaryTrust
from trustgate.evidence.notary.verify import root_signers, valid_signers
from trustgate.oci.digest import Digest


def judge_published(
    metadata: MetadataSet,
    roles: Sequence[str],
    *,
    gun: str,
    attestors: Sequence[Attestor],
    now: datetime,
) -> tuple[SignatureFact, ...]:
    """``metadata`` is the set as it would be, ``roles`` those whose files a client sent.

    Raises ``Malformed`` when the set can't be opened as it would be: then nobody can tell whose it is.
    """
    opened = open_set(
        metadata.roots,
        metadata.timestamp,
        metadata.snapshot,
        metadata.targets,
        gun=gun,
        now=now,
        seen={},
    )
    return tuple(_fact(opened, metadata, role, attestors, now) for role in roles)


def _fact(
    opened: TrustedSet, metadata: MetadataSet, role: str, attestors: Sequence[Attestor], now: datetime
) -> SignatureFact:
    raw = opened.root.signed.raw if role == "root" else metadata.targets[role]
    keys = _keys(opened, role)
    signers: list[Signer] = []
    reasons: list[str] = []
    revoked = ""
    for one in attestors:
        if not isinstance(one.trust, NotaryTrust):
            continue
        problem = _why_not(opened, one, one.trust, role, now)
        if problem:
            reasons.append(problem)
        else:
            why = why_taken_back(opened, one, one.trust, role)
            revoked = revoked or (why and f"the {role} is signed in the name of {one.name}, but {why}")
            signers += [Signer(one.name, f"tuf:{key.canonical_id}") for key in keys]
    if revoked:
        return notary_fact(Digest.of(raw), Outcome.REVOKED, revoked, repository=opened.gun)
    if signers:
        names = ", ".join(dict.fromkeys(signer.attestor for signer in signers))
        outcome, reason = Outcome.VERIFIED, f"the {role} is signed in the name of {names}"
    else:
        first = next(iter(reasons), "no root key of the trust store is for Notary v1")
        outcome, reason = Outcome.UNTRUSTED, f"the {role}: {first}"
    return notary_fact(Digest.of(raw), outcome, reason, signers=tuple(signers), repository=opened.gun)


def _keys(opened: TrustedSet, role: str) -> tuple[TufKey, ...]:
    """Who signed the file. Raises ``Malformed``."""
    if role == "root":
        return valid_signers(opened.root.signed, root_signers(opened.root, opened.gun, None).keys)
    spoken = opened.open_role(role)
    return spoken.signers if spoken else ()


def _why_not(opened: TrustedSet, one: Attestor, trust: NotaryTrust, role: str, now: datetime) -> str:
    """Why the file is not this attestor's; empty when it is."""
    foreign = why_foreign(opened, one, trust)
    if foreign:
        return foreign
    if not _speaks_for(trust, role):
        return f"{one.name} counts other delegations only"
    if role != "root" and opened.open_role(role) is None:
        return "nothing delegates to it"
    if not one.in_time(now):
        return f"signed in the name of {one.name}, outside the time that the trust store gives it"
    return ""


def _speaks_for(trust: NotaryTrust, role: str) -> bool:
    """A role that counts or delegates to one that does; without a choice, all below the root."""
    if role == "root" or trust.roles == DOCKERS_ROLES:
        return True
    return any(one == role or one.startswith(f"{role}/") for one in trust.roles)
