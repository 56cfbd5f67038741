"""``attestation``: signed statements of a type, by named attestors, about the digest or an index around it.

Type, signer and content have to hold for the same attestation: a stranger's provenance beside an SBOM by CI
is no provenance by CI. One that holds is enough: another that does not, takes nothing back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.model import Outcome
from trustgate.evidence.predicate_query import Said
from trustgate.policy.checks.answer import Answer, failed
from trustgate.policy.checks.reach import Found, Question, Words, ask, found_in
from trustgate.policy.checks.requirements import attestors_of, carriers, unmet
from trustgate.policy.checks.shortfall import counted, names_of, shortfall, signers_of, some
from trustgate.policy.checks.signing_advice import how_to_attest
from trustgate.policy.model import Evidence, Request, RuleOutcome, SubjectEvidence, Violation
from trustgate.policy.rules import Attestation

_MEND: Final = "mend what the attestation tells of, and attest what was built then"
_WORDS: Final = Words("attestation", "attested")


def check_attestation(check: Attestation, request: Request, evidence: Evidence, now: datetime) -> Answer:
    """Pass when enough statements of the right type by the right people are about one digest."""

    def weigh(facts: tuple[AttestationFact, ...]) -> Found:
        return _weigh(check, facts, now)

    def judge(subject: SubjectEvidence) -> Found:
        return found_in(subject.attestations, weigh, _WORDS)

    def refuse(own: Found, about: Request) -> Answer:
        return _refused(check, own, about)

    return ask(Question(_WORDS, judge, refuse, check.inherits, check.each), request, evidence)


def _weigh(check: Attestation, facts: tuple[AttestationFact, ...], now: datetime) -> Found:
    of_type = tuple(fact for fact in facts if fact.predicate_type in check.predicate_types)
    if not of_type:
        missing = unmet(check.by, frozenset(), now)
        return Found(False, missing, "no-attestation", _none(check, facts))
    fit = counted(of_type, check.conditions, now)
    told = tuple(fact for fact in fit if _why_it_fails(check, fact) is None)
    signers = carriers(check.by, signers_of(told), now)
    if not signers:
        if check.query is not None and carriers(check.by, signers_of(fit), now):
            return _content(check, [fact for fact in fit if fact not in told])
        return shortfall(check.by, check.conditions, of_type, _WORDS, now)
    statements = {fact.statement for fact in told if signers & frozenset(fact.signers)}
    if len(statements) < check.at_least:
        missing = tuple(dict.fromkeys(one.name for one in attestors_of(check.by)))
        why = f"{len(statements)} of {check.at_least} required attestations of {_types(check)} that differ"
        return Found(False, missing, "too-few-attestations", why)
    return Found(True, (), "attested", f"{_types(check)} attested by {some(names_of(signers))}")


def _why_it_fails(check: Attestation, fact: AttestationFact) -> Said | None:
    """What is wrong with what it says; ``None`` when nothing is, or nothing is asked. Unasked is wrong."""
    if check.query is None:
        return None
    said = fact.answers(check.query) or Said(check.query.id, False, "it was not asked")
    return None if said.holds else said


def _content(check: Attestation, failing: Sequence[AttestationFact]) -> Found:
    """Signed as it should be, by enough of them, and none of it says what is asked for."""
    wrong = [said for fact in failing if (said := _why_it_fails(check, fact)) is not None]
    said = next((one for one in wrong if one.items), wrong[0])
    why = f"{check.message}: {said.reason}" if check.message else f"{_types(check)}: {said.reason}"
    items = tuple(Violation(subject=_types(check), package=item) for item in said.items)
    return Found(False, (), "attestation-content", why, violations=items, more_violations=said.more)


def _none(check: Attestation, facts: tuple[AttestationFact, ...]) -> str:
    """What is there instead, if anything is."""
    message = f"no attestation of type {_types(check)}"
    others = sorted({fact.predicate_type for fact in facts if fact.outcome is Outcome.VERIFIED})
    if others:
        return f"{message}; it has {some(others)}"
    unread = next((fact for fact in facts if not fact.predicate_type), None)
    return f"{message}; one can't be read: {unread.reason}" if unread else message


def _types(check: Attestation) -> str:
    return " or ".join(check.predicate_types)


def _refused(check: Attestation, own: Found, request: Request) -> Answer:
    if own.reason_code == "attestation-content":
        kept, more = own.violations, own.more_violations
        return Answer(RuleOutcome.FAIL, own.reason_code, own.message, _MEND, kept, more)
    return failed(
        own.reason_code,
        own.message,
        fix=how_to_attest(attestors_of(check.by), own.missing, check.predicate_types[0], request),
        violations=[Violation(subject=name) for name in own.missing],
    )
