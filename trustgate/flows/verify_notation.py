"""Verify Notary Project signatures of an image where it is, under one trust without a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trustgate.evidence.model import Subject
from trustgate.evidence.notation.judge import Verification, questions_under, verify_notation
from trustgate.evidence.notation.manifest import NotationCandidate
from trustgate.evidence.notation.refusal import Refused
from trustgate.evidence.notation.trust import NotationTrust
from trustgate.flows.verify import signature_candidates
from trustgate.oci.digest import Digest
from trustgate.ports import ImageSource, RevocationSource


@dataclass(frozen=True, slots=True)
class NotationResult:
    """What became of one candidate; ``verification`` is ``None`` for one that is not intact."""

    evidence: Digest
    verification: Verification | None
    reason: str


def verify_by_trust(
    source: ImageSource,
    subject: Subject,
    trust: NotationTrust,
    *,
    now: datetime,
    revocation: RevocationSource,
) -> tuple[NotationResult, ...]:
    """Every candidate, each with its reason. Raises the source's own errors."""
    found = signature_candidates(source, subject.digest)
    return tuple(
        _verified(one, subject, trust, now, revocation) for one in found if isinstance(one, NotationCandidate)
    )


def _verified(
    candidate: NotationCandidate,
    subject: Subject,
    trust: NotationTrust,
    now: datetime,
    revocation: RevocationSource,
) -> NotationResult:
    evidence = candidate.manifest.digest
    questions = questions_under(candidate, subject=subject, trusts=[trust], now=now)
    answers = revocation.ask(questions) if questions else {}
    try:
        found = verify_notation(candidate, subject=subject, trust=trust, now=now, answers=answers)
    except Refused as exc:
        return NotationResult(evidence, None, str(exc))
    logged = "; ".join(f"only logged: {one.problem}" for one in found.logged)
    return NotationResult(evidence, found, found.refusal or logged or "every check is passed")
