"""What a policy asks of a signature beside its signer: its age, a log, a timestamp, its certificates' state.

A signature that does not meet them is not counted, and why is told. None of this can make a signature count
that its judge did not verify.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from trustgate.evidence.model import Outcome, SignatureFact, SignatureKind
from trustgate.policy.model import Evidence, SubjectEvidence, facts_of
from trustgate.policy.rules import Conditions


def unfit(fact: SignatureFact, conditions: Conditions, now: datetime) -> str:
    """Why the verified ``fact`` does not count; empty when it does."""
    return next(_reasons(fact, conditions, now), "")


def _reasons(fact: SignatureFact, conditions: Conditions, now: datetime) -> Iterator[str]:
    if conditions.max_age is not None:
        yield from _age(fact, conditions.max_age, now)
    if conditions.log == "required" and not fact.logs:
        yield "no transparency log proves it (transparencyLog: required)"
    if conditions.log == "ifPresent" and "log" in fact.unproven:
        yield "its log entry could not be verified (transparencyLog: ifPresent)"
    if conditions.timestamp and not fact.timestamps:
        yield "no timestamp authority proves its time (timestamp: always)"
    has_certificates = fact.kind is SignatureKind.NOTATION
    if conditions.revocation and has_certificates and fact.revocation != "good":
        yield f"the state of its certificates is {fact.revocation} (revocation: enforce)"


def _age(fact: SignatureFact, limit: timedelta, now: datetime) -> Iterator[str]:
    if fact.signed_at is None:
        yield "nothing proves when it was made (signatureMaxAge)"
    elif fact.signed_at + limit <= now:
        yield f"it was made on {fact.signed_at:%Y-%m-%d}, longer ago than signatureMaxAge"


def turns(conditions: Conditions, evidence: Evidence) -> Iterator[datetime]:
    """Moments at which a signature becomes too old."""
    if conditions.max_age is None:
        return
    for subject in _all(evidence.subject, *evidence.parents):
        for fact in facts_of(subject.signatures):
            if fact.outcome is Outcome.VERIFIED and fact.signed_at is not None:
                yield fact.signed_at + conditions.max_age


def fact_turns(evidence: Evidence) -> Iterator[datetime]:
    """Moments at which the outcome of some signature may turn by itself."""
    for subject in _all(evidence.subject, *evidence.parents):
        yield from (fact.valid_until for fact in facts_of(subject.signatures) if fact.valid_until)


def _all(*subjects: SubjectEvidence) -> Iterable[SubjectEvidence]:
    for subject in subjects:
        yield subject
        yield from _all(*subject.children)
