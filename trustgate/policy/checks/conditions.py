"""What a policy asks of a signature or attestation beside its signer: age, a log, a timestamp, revocation.

One that does not meet them is not counted, and why is told. None of this can make anything count that its
judge did not verify.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.model import Outcome, Revocation, SignatureFact, SignatureKind
from trustgate.oci.names import RepositoryName
from trustgate.policy.model import Evidence, Fact, facts_of, manifests_of
from trustgate.policy.rules import Conditions


def unfit(fact: Fact, conditions: Conditions, now: datetime) -> str:
    """Why the verified ``fact`` does not count; empty when it does."""
    return next(_reasons(fact, conditions, now), "")


def _reasons(fact: Fact, conditions: Conditions, now: datetime) -> Iterator[str]:
    yield from _age(fact, conditions, now)
    if conditions.log == "required" and not fact.logs:
        yield "no transparency log proves it (transparencyLog: required)"
    if conditions.log == "ifPresent" and "log" in fact.unproven:
        yield "its log entry could not be verified (transparencyLog: ifPresent)"
    if conditions.timestamp and not fact.timestamps:
        yield "no timestamp authority proves its time (timestamp: always)"
    if conditions.repository is not None and isinstance(fact, SignatureFact):
        yield from _elsewhere(fact, conditions.repository)
    match fact:
        case SignatureFact(kind=SignatureKind.NOTATION, revocation=state) if conditions.revocation:
            yield from _revocation(state)


def _age(fact: Fact, conditions: Conditions, now: datetime) -> Iterator[str]:
    if conditions.max_age is None:
        return
    if fact.signed_at is None:
        yield f"nothing proves when it was made ({conditions.max_age_key})"
    elif fact.signed_at + conditions.max_age <= now:
        yield f"it was made on {fact.signed_at:%Y-%m-%d}, longer ago than {conditions.max_age_key}"


def _revocation(state: Revocation) -> Iterator[str]:
    if state != "good":
        yield f"the state of its certificates is {state} (revocation: enforce)"


def _elsewhere(fact: SignatureFact, repository: RepositoryName) -> Iterator[str]:
    """``HOST/REPOSITORY[:TAG]`` is what signers write; the host is left out, since mirrors have others."""
    said = fact.signed_repository
    if not said:
        yield "it does not say of which repository it is (reference: same-repository)"
        return
    _host, _slash, path = said.partition("/")
    if path.partition("@")[0].partition(":")[0] != repository:
        yield f"it was made for {said[:120]!a}, not for {repository} (reference: same-repository)"


def ages(conditions: Conditions, facts: Iterable[Fact]) -> Iterator[datetime]:
    """Moments at which one of them becomes too old."""
    if conditions.max_age is None:
        return
    for fact in facts:
        if fact.outcome is Outcome.VERIFIED and fact.signed_at is not None:
            yield fact.signed_at + conditions.max_age


def turns(facts: Iterable[Fact]) -> Iterator[datetime]:
    """Moments at which the outcome of one of them may turn by itself."""
    yield from (fact.valid_until for fact in facts if fact.valid_until)


def signatures_in(evidence: Evidence) -> Iterator[SignatureFact]:
    """On every digest that was looked at."""
    for subject in manifests_of(evidence):
        yield from facts_of(subject.signatures)


def attestations_in(evidence: Evidence) -> Iterator[AttestationFact]:
    """About every digest that was looked at."""
    for subject in manifests_of(evidence):
        yield from facts_of(subject.attestations)
