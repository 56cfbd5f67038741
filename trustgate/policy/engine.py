"""Rules and evidence become a verdict. Every rule that applies is asked, and the worst answer counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from trustgate.policy.checks.answer import Answer
from trustgate.policy.checks.attestation import check_attestation
from trustgate.policy.checks.conditions import ages, attestations_in, signatures_in, turns
from trustgate.policy.checks.content_trust import check_content_trust
from trustgate.policy.checks.immutability import check_immutability
from trustgate.policy.checks.requirements import windows
from trustgate.policy.checks.severity import check_severity
from trustgate.policy.checks.signers import check_signers
from trustgate.policy.escape import printable
from trustgate.policy.model import (
    Evidence,
    Mode,
    Request,
    RuleOutcome,
    RuleResult,
    Verdict,
    VerdictKind,
    Violation,
)
from trustgate.policy.policy_set import PolicySet
from trustgate.policy.rules import (
    Attestation,
    Check,
    ContentTrust,
    Exemption,
    Immutability,
    Rule,
    SeverityLimit,
    Signers,
    milder,
)

NO_MATCH_RULE: Final = "root/no-match"
MAX_MESSAGE_CHARACTERS: Final = 200
MAX_FIX_CHARACTERS: Final = 500
MAX_FIELD_CHARACTERS: Final = 120
_AGAINST: Final = frozenset({RuleOutcome.FAIL, RuleOutcome.UNKNOWN})


def evaluate(policies: PolicySet, request: Request, evidence: Evidence, now: datetime) -> Verdict:
    """Denied when any enforced rule fails or can't tell; else warned if a warning rule does; else allowed.

    Where no enforced or warning rule speaks, the root's ``noMatch`` answers. Audited rules are only recorded.
    """
    rules = policies.rules_for(request)
    results = [_result(policies, rule, request, evidence, now) for rule in rules]
    if not any(rule.mode in ("enforce", "warn") for rule in rules):
        results.append(_no_match(policies, request))
    return Verdict(
        kind=_kind(results),
        request=request,
        policy_revision=policies.revision,
        results=tuple(results),
        at=now,
        valid_until=_valid_until(rules, evidence, now),
        cacheable=all(result.outcome is not RuleOutcome.UNKNOWN for result in results),
        facts={"role": str(evidence.subject.role)},
    )


def _kind(results: Iterable[RuleResult]) -> VerdictKind:
    modes = {result.mode for result in results if result.outcome in _AGAINST}
    if "enforce" in modes:
        return VerdictKind.DENY
    return VerdictKind.WARN if "warn" in modes else VerdictKind.ALLOW


def _result(
    policies: PolicySet, rule: Rule, request: Request, evidence: Evidence, now: datetime
) -> RuleResult:
    exemption = policies.exemption(request, rule.id)
    answer = _exempted(exemption) if exemption else _ask(rule, request, evidence, now)
    return _told(
        answer, rule=rule.id, kind=rule.check.kind, file=rule.file, line=rule.line, mode=_mode(rule, answer)
    )


def _ask(rule: Rule, request: Request, evidence: Evidence, now: datetime) -> Answer:
    match rule.check:
        case ContentTrust() as check:
            return check_content_trust(check, request, evidence, now)
        case Attestation() as check:
            return check_attestation(check, request, evidence, now)
        case SeverityLimit() as check:
            return check_severity(check, request, evidence)
        case Immutability() as check:
            return check_immutability(check, rule.scope.tags, request, evidence)
        case Signers() as check:
            return check_signers(check, evidence, now)


def _mode(rule: Rule, answer: Answer) -> Mode:
    """The mode that counts: the policy may say in writing that some answers weigh less."""
    if answer.outcome is RuleOutcome.UNKNOWN and answer.is_error and rule.allow_on_error:
        return milder(rule.mode, "audit")
    return milder(rule.mode, answer.at_most)


def _exempted(exemption: Exemption) -> Answer:
    where = f"{exemption.file}:{exemption.line}"
    return Answer(RuleOutcome.EXEMPT, "exempt", f"exempt by {where}: {exemption.why}")


def _no_match(policies: PolicySet, request: Request) -> RuleResult:
    no_match = policies.no_match
    said = no_match.answer(request)
    exemption = policies.exemption(request, NO_MATCH_RULE)
    mode: Mode = "warn" if said == "warn" else "enforce"
    if said == "allow":
        answer = Answer(RuleOutcome.PASS, "no-policy", "no policy speaks about it, and the root allows that")
    elif exemption is not None:
        answer = _exempted(exemption)
    else:
        answer = Answer(
            RuleOutcome.FAIL,
            "no-policy",
            "no policy speaks about it",
            fix=f"ask for a policy that covers {request.repository}",
        )
    return _told(
        answer, rule=NO_MATCH_RULE, kind="default", file=no_match.file, line=no_match.line, mode=mode
    )


def _told(answer: Answer, *, rule: str, kind: str, file: str, line: int, mode: Mode) -> RuleResult:
    """Everything that may come from an artifact is made printable here, once."""
    return RuleResult(
        rule=rule,
        kind=kind,
        file=printable(file, MAX_MESSAGE_CHARACTERS),
        line=line,
        mode=mode,
        outcome=answer.outcome,
        reason_code=answer.reason_code,
        message=printable(answer.message, MAX_MESSAGE_CHARACTERS),
        fix=printable(answer.fix, MAX_FIX_CHARACTERS),
        violations=tuple(_clean(violation) for violation in answer.violations),
        more_violations=answer.more_violations,
    )


def _clean(violation: Violation) -> Violation:
    return Violation(
        subject=printable(violation.subject, MAX_FIELD_CHARACTERS),
        package=printable(violation.package, MAX_FIELD_CHARACTERS),
        installed=printable(violation.installed, MAX_FIELD_CHARACTERS),
        fixed=printable(violation.fixed, MAX_FIELD_CHARACTERS),
        severity=violation.severity,
        where=printable(violation.where, MAX_FIELD_CHARACTERS),
    )


def _valid_until(rules: Iterable[Rule], evidence: Evidence, now: datetime) -> datetime | None:
    """The next moment at which an attestor, a signature or an attestation begins or ceases to count."""
    moments = [moment for rule in rules for moment in _moments(rule.check, evidence)]
    moments += [*turns(signatures_in(evidence)), *turns(attestations_in(evidence))]
    return min((moment for moment in moments if moment > now), default=None)


def _moments(check: Check, evidence: Evidence) -> Iterator[datetime]:
    match check:
        case ContentTrust():
            yield from windows(check.require)
            yield from ages(check.conditions, signatures_in(evidence))
        case Attestation():
            yield from windows(check.by)
            yield from ages(check.conditions, attestations_in(evidence))
        case SeverityLimit() | Immutability() | Signers():
            return  # what arrives is judged at its push, and nobody remembers that answer
