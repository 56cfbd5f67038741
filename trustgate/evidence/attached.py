"""Signatures that lie beside their subject, in every format: which candidates a manifest holds, and what
each one proves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from trustgate.evidence import cosign
from trustgate.evidence.attestor import Attestor, next_turn
from trustgate.evidence.model import SignatureCandidate, SignatureFact, SignatureKind, Subject
from trustgate.evidence.notation.judge import judge_notation, revocation_questions
from trustgate.evidence.notation.manifest import NotationCandidate, candidate_of
from trustgate.evidence.notation.revocation import Answers, RevocationQuestion
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest

Candidate: TypeAlias = SignatureCandidate | NotationCandidate


def kind_of(candidate: Candidate) -> SignatureKind:
    """Its format."""
    return SignatureKind.NOTATION if isinstance(candidate, NotationCandidate) else candidate.kind


def candidates_in(manifest: Manifest, contents: Mapping[Digest, bytes]) -> tuple[Candidate, ...]:
    """Every candidate that a signature manifest holds; ``contents`` are the blobs that were read."""
    notation = candidate_of(manifest, contents)
    if notation is not None:
        return (notation,)
    if manifest.subject is not None:
        return cosign.candidates_from_bundle_manifest(manifest, contents)
    return cosign.candidates_from_legacy_manifest(manifest, contents)


def questions_about(
    candidates: Sequence[Candidate], *, subject: Subject, attestors: Sequence[Attestor], now: datetime
) -> tuple[RevocationQuestion, ...]:
    """What to ask certificate authorities before judging; nothing about signatures that nobody trusts."""
    return tuple(
        question
        for one in candidates
        if isinstance(one, NotationCandidate)
        for question in revocation_questions(one, subject=subject, attestors=attestors, now=now)
    )


def judge_attached(
    candidates: Sequence[Candidate],
    *,
    subject: Subject,
    attestors: Sequence[Attestor],
    answers: Answers,
    now: datetime,
) -> tuple[SignatureFact, ...]:
    """A fact for every candidate, in order. Each stands for itself: none hides or helps another."""
    return tuple(_judge(one, subject, attestors, answers, now) for one in candidates)


def _judge(
    candidate: Candidate,
    subject: Subject,
    attestors: Sequence[Attestor],
    answers: Answers,
    now: datetime,
) -> SignatureFact:
    if isinstance(candidate, SignatureCandidate):
        return cosign.judge(candidate, subject=subject.digest, attestors=attestors, now=now)
    fact = judge_notation(candidate, subject=subject, attestors=attestors, now=now, answers=answers)
    turns = [moment for moment in (fact.valid_until, next_turn(attestors, now)) if moment is not None]
    return replace(fact, valid_until=min(turns, default=None))
