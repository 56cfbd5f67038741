"""``contentTrust``: signatures of named attestors, on the digest itself or on an index that contains it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trustgate.evidence.model import Absent, Known, Outcome, Role, SignatureFact, Unreachable
from trustgate.policy.checks.answer import HOST, Answer, failed, passed, unknown
from trustgate.policy.checks.conditions import unfit
from trustgate.policy.checks.counting import Signers, distinct, identities
from trustgate.policy.model import (
    Evidence,
    Partly,
    Request,
    RuleOutcome,
    Signatures,
    SubjectEvidence,
    Violation,
)
from trustgate.policy.rules import AllOf, AnyOf, AtLeast, ContentTrust, Requirement, SignedBy

_SHOWN_NAMES: Final = 3
_RANK: Final = {RuleOutcome.PASS: 0, RuleOutcome.UNKNOWN: 1, RuleOutcome.FAIL: 2}


@dataclass(frozen=True, slots=True)
class _Signed:
    """What one digest's own signatures say: who signed, and for people what is wrong with the rest."""

    satisfied: bool
    missing: tuple[str, ...]
    reason_code: str
    message: str
    known: bool = True


def check_content_trust(check: ContentTrust, request: Request, evidence: Evidence, now: datetime) -> Answer:
    """Pass when one digest carries everything that is required; several never add up."""
    subject = evidence.subject
    if subject.role is Role.SIGNATURE:
        return passed("is-signature", "a signature is not asked to be signed itself")
    answer = _own_or_inherited(check, request, evidence, now)
    if subject.role is not Role.INDEX or not check.each:
        return answer
    children = _children(check, request, subject, now)
    # With subject: manifest the index itself needs no signature, its children all do.
    return children if check.subject == "manifest" else _worst(answer, children)


def _own_or_inherited(check: ContentTrust, request: Request, evidence: Evidence, now: datetime) -> Answer:
    subject = evidence.subject
    own = _judge(check, subject.signatures, now)
    own_counts = check.subject != "index" or subject.role is Role.INDEX
    tried = [own] if own_counts else []
    tried += [_judge(check, parent.signatures, now) for parent in _parents(check, evidence)]
    if own_counts and own.satisfied:
        return passed("signed", own.message)
    if any(one.satisfied for one in tried):
        return passed("signed-by-index", "an index that contains it carries the required signatures")
    lost = next((one for one in tried if not one.known), None)
    if lost is not None:
        return unknown("signatures-unreachable", lost.message, "try again; see the registry's log")
    if not own_counts:
        return _refused("index-not-signed", "no signed index of this repository contains it", own, request)
    return _refused(own.reason_code, own.message, own, request)


def _parents(check: ContentTrust, evidence: Evidence) -> tuple[SubjectEvidence, ...]:
    return evidence.parents if check.inherits else ()


def _children(check: ContentTrust, request: Request, index: SubjectEvidence, now: datetime) -> Answer:
    """Every platform manifest has to carry its own signatures."""
    if not index.complete or not index.children:
        return failed(
            "incomplete-index",
            "not every manifest of the index is held here, so not each can be shown to be signed",
            fix="push every platform of the index",
        )
    answers = [
        check_content_trust(check, _about(request, child), Evidence(subject=child), now)
        for child in index.children
    ]
    return _worst(*answers)


def _about(request: Request, child: SubjectEvidence) -> Request:
    return Request(request.action, request.repository, child.digest, request.caller)


def _worst(*answers: Answer) -> Answer:
    return max(answers, key=lambda answer: _RANK[answer.outcome])


def _refused(code: str, message: str, own: _Signed, request: Request) -> Answer:
    names = _some(own.missing)
    return failed(
        code,
        message,
        fix=f"sign it: cosign sign --key KEY {HOST}{request.repository}@{request.digest} (attestor {names})",
        violations=[Violation(subject=name) for name in own.missing],
    )


# --- one digest ----------------------------------------------------------------------------------


def _judge(check: ContentTrust, signatures: Signatures, now: datetime) -> _Signed:
    match signatures:
        case Unreachable(why):
            return _Signed(
                False, (), "signatures-unreachable", f"signatures can't be read: {why}", known=False
            )
        case Absent():
            return _Signed(False, _unmet(check.require, frozenset(), now), "unsigned", "it is not signed")
        case Known(facts):
            return _weigh(check, facts, now)
        case Partly(facts, why):
            found = _weigh(check, facts, now)
            lost = f"not all signatures can be judged: {why}"
            return found if found.satisfied else replace(found, reason_code="", message=lost, known=False)


def _weigh(check: ContentTrust, facts: tuple[SignatureFact, ...], now: datetime) -> _Signed:
    verified = [fact for fact in facts if fact.outcome is Outcome.VERIFIED]
    counted = [fact for fact in verified if not unfit(fact, check.conditions, now)]
    signers = frozenset(signer for fact in counted for signer in fact.signers)
    if _met(check.require, signers, now):
        return _Signed(True, (), "signed", f"signed by {_some(_names_of(signers))}")
    missing = _unmet(check.require, signers, now)
    if not facts:
        return _Signed(False, missing, "unsigned", "it is not signed")
    left_out = [fact for fact in verified if fact not in counted and set(fact.attestors) & set(missing)]
    if left_out:
        why = unfit(left_out[0], check.conditions, now)
        who = _some(left_out[0].attestors)
        return _Signed(False, missing, "signature-does-not-count", f"signed by {who}, but {why}")
    code, why = _why_not(check.require, facts, signers, now)
    return _Signed(False, missing, code, why)


def _names_of(signers: Signers) -> list[str]:
    return sorted({signer.attestor for signer in signers})


def _met(require: Requirement, signers: Signers, now: datetime) -> bool:
    match require:
        case SignedBy(attestor):
            return bool(identities(attestor, signers, now))
        case AnyOf(items):
            return any(_met(item, signers, now) for item in items)
        case AllOf(items):
            return bool(items) and all(_met(item, signers, now) for item in items)
        case AtLeast(count, attestors):
            return len(distinct(attestors, signers, now)) >= count > 0


def _unmet(require: Requirement, signers: Signers, now: datetime) -> tuple[str, ...]:
    """The names whose signatures would help, each once, in the order of the policy."""
    return tuple(dict.fromkeys(_names(require, signers, now)))


def _names(require: Requirement, signers: Signers, now: datetime) -> Iterator[str]:
    match require:
        case _ if _met(require, signers, now):
            return
        case SignedBy(attestor):
            yield attestor.name
        case AnyOf(items) | AllOf(items):
            for item in items:
                yield from _names(item, signers, now)
        case AtLeast(_, attestors):
            had = distinct(attestors, signers, now)
            yield from (one.name for one in attestors if not identities(one, signers, now) & had)


def _why_not(
    require: Requirement,
    facts: tuple[SignatureFact, ...],
    signers: Signers,
    now: datetime,
) -> tuple[str, str]:
    if isinstance(require, AtLeast):
        had = len(distinct(require.attestors, signers, now))
        return "too-few-signers", f"{had} of {require.count} required signers"
    if signers:
        return "signer-missing", f"signed by {_some(_names_of(signers))}, which is not enough"
    broken = [fact for fact in facts if fact.outcome is Outcome.BROKEN]
    if broken:
        return "signature-broken", f"no valid signature: {broken[0].reason}"
    untrusted = [fact for fact in facts if fact.outcome is Outcome.UNTRUSTED]
    if untrusted:
        return "signer-not-trusted", untrusted[0].reason
    return "signature-not-understood", f"no signature that can be judged: {facts[0].reason}"


def _some(names: tuple[str, ...] | list[str]) -> str:
    rest = len(names) - _SHOWN_NAMES
    shown = ", ".join(names[:_SHOWN_NAMES])
    return f"{shown} and {rest} more" if rest > 0 else shown
