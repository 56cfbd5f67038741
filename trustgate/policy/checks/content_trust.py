"""``contentTrust``: signatures of named attestors, on the digest itself or on an index that contains it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from trustgate.evidence.model import SignatureFact
from trustgate.policy.checks.answer import Answer, failed
from trustgate.policy.checks.reach import Found, Question, Words, ask, found_in
from trustgate.policy.checks.requirements import attestors_of, carriers, unmet
from trustgate.policy.checks.shortfall import counted, names_of, shortfall, signers_of, some
from trustgate.policy.checks.signing_advice import how_to_sign
from trustgate.policy.model import Evidence, Request, SubjectEvidence, Violation
from trustgate.policy.rules import Conditions, ContentTrust, Requirement

_WORDS: Final = Words("signature", "signed")


def check_content_trust(check: ContentTrust, request: Request, evidence: Evidence, now: datetime) -> Answer:
    """Pass when one digest carries everything that is required; several never add up."""

    here = request.repository if check.same_repository else None
    conditions = replace(check.conditions, repository=here)

    def weigh(facts: tuple[SignatureFact, ...]) -> Found:
        return _weigh(check.require, conditions, facts, now)

    def judge(subject: SubjectEvidence) -> Found:
        return found_in(subject.signatures, weigh, _WORDS)

    def refuse(own: Found, about: Request) -> Answer:
        return _refused(check, own, about)

    question = Question(_WORDS, judge, refuse, check.inherits, check.each, check.subject)
    return ask(question, request, evidence)


def _weigh(
    require: Requirement, conditions: Conditions, facts: tuple[SignatureFact, ...], now: datetime
) -> Found:
    if not facts:
        return Found(False, unmet(require, frozenset(), now), "unsigned", "it is not signed")
    signers = signers_of(counted(facts, conditions, now))
    if carriers(require, signers, now):
        return Found(True, (), "signed", f"signed by {some(names_of(signers))}")
    return shortfall(require, conditions, facts, _WORDS, now)


def _refused(check: ContentTrust, own: Found, request: Request) -> Answer:
    return failed(
        own.reason_code,
        own.message,
        fix=how_to_sign(attestors_of(check.require), own.missing, request),
        violations=[Violation(subject=name) for name in own.missing],
    )
