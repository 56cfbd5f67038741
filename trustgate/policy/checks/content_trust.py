"""``contentTrust``: signatures of named attestors, on the digest itself or on an index that contains it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from trustgate.evidence.model import SignatureFact
from trustgate.policy.checks.answer import HOST, Answer, failed
from trustgate.policy.checks.reach import Found, Question, Words, ask, found_in
from trustgate.policy.checks.requirements import carriers, unmet
from trustgate.policy.checks.shortfall import counted, names_of, shortfall, signers_of, some
from trustgate.policy.model import Evidence, Request, SubjectEvidence, Violation
from trustgate.policy.rules import ContentTrust

_WORDS: Final = Words("signature", "signed")


def check_content_trust(check: ContentTrust, request: Request, evidence: Evidence, now: datetime) -> Answer:
    """Pass when one digest carries everything that is required; several never add up."""

    def weigh(facts: tuple[SignatureFact, ...]) -> Found:
        return _weigh(check, facts, now)

    def judge(subject: SubjectEvidence) -> Found:
        return found_in(subject.signatures, weigh, _WORDS)

    question = Question(_WORDS, judge, _refused, check.inherits, check.each, check.subject)
    return ask(question, request, evidence)


def _weigh(check: ContentTrust, facts: tuple[SignatureFact, ...], now: datetime) -> Found:
    if not facts:
        return Found(False, unmet(check.require, frozenset(), now), "unsigned", "it is not signed")
    signers = signers_of(counted(facts, check.conditions, now))
    if carriers(check.require, signers, now):
        return Found(True, (), "signed", f"signed by {some(names_of(signers))}")
    return shortfall(check.require, check.conditions, facts, _WORDS, now)


def _refused(own: Found, request: Request) -> Answer:
    return failed(
        own.reason_code,
        own.message,
        fix=f"sign it: cosign sign --key KEY {HOST}{request.repository}@{request.digest} "
        f"(attestor {some(own.missing)})",
        violations=[Violation(subject=name) for name in own.missing],
    )
