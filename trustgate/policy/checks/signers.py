"""``signers``: who may bring signatures and attestations to a repository, judged as they arrive.

With ``deny`` a push is refused when one of these signed what it brings. With ``only`` it is refused unless
one of these did: then also what is a stranger's, broken, or of a kind that is not understood. Every new piece
of evidence has to be in order by itself. A push that brings no evidence is none of its business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.trust import GpgTrust
from trustgate.evidence.model import Absent, Known, Outcome, SignatureFact, Unreachable
from trustgate.policy.checks.answer import Answer, failed, passed, unknown
from trustgate.policy.checks.counting import identities
from trustgate.policy.checks.shortfall import names_of, some
from trustgate.policy.model import Evidence, Partly, Violation
from trustgate.policy.rules import Signers

_AGAIN: Final = "try again; see the registry's log"
_CODES: Final = {
    Outcome.UNTRUSTED: "signer-not-trusted",
    Outcome.BROKEN: "signature-broken",
    Outcome.NOT_UNDERSTOOD: "signature-not-understood",
    Outcome.REVOKED: "signature-revoked",
    Outcome.VERIFIED: "signer-not-allowed",
}
_Fact = SignatureFact | AttestationFact


def check_signers(check: Signers, evidence: Evidence, now: datetime) -> Answer:
    """Fail goes before Unknown, and Unknown before Pass: nothing that arrives hides behind another."""
    match evidence.arriving:
        case Absent(why):
            return passed("no-evidence", why)
        case Unreachable(why):
            return unknown("evidence-unreachable", f"who signed it can't be judged now: {why}", _AGAIN)
        case Partly(facts, why):
            lost = why
        case Known(facts):
            lost = "" if facts else "nothing of it was judged"
    refused = _revoked(facts) or _denied(check.deny, facts) or _not_allowed(check.only, facts, now)
    if refused is not None:
        return refused
    if lost:
        return unknown("evidence-unreachable", f"who signed it can't be judged now: {lost}", _AGAIN)
    undecided = next(_undecided(check, facts, now), None)
    if undecided is not None:
        return undecided
    signers = names_of(frozenset(signer for fact in facts for signer in fact.signers))
    return passed("signers-allowed", f"signed by {some(signers)}" if signers else "signed by nobody denied")


def _revoked(facts: Sequence[_Fact]) -> Answer | None:
    """Under either word: who is denied does not get in because their key was revoked, too."""
    found = next((fact for fact in facts if _is_revoked(fact)), None)
    if found is None:
        return None
    return failed(_CODES[Outcome.REVOKED], found.reason, fix="sign it with a key that is not revoked")


def _is_revoked(fact: _Fact) -> bool:
    """By the trust store, or by an authority for a chain that someone trusts: what it holds it may let go."""
    if fact.outcome is Outcome.VERIFIED or not isinstance(fact, SignatureFact):
        return fact.outcome is Outcome.REVOKED
    return fact.outcome is Outcome.REVOKED or fact.revocation == "revoked"


def _denied(denied: Sequence[Attestor], facts: Sequence[_Fact]) -> Answer | None:
    found = [(one, fact) for fact in facts for one in denied if _is_by(one, fact)]
    if not found:
        return None
    one, fact = found[0]
    return failed(
        "signer-denied",
        f"{_verb(fact)} by {one.name}, who must not sign here",
        fix="sign it as someone else, or ask the policy's owner",
        violations=[Violation(subject=name) for name in dict.fromkeys(one.name for one, _ in found)],
    )


def _is_by(one: Attestor, fact: _Fact) -> bool:
    """By name, or by a key of theirs under whatever name: who is denied wins."""
    own = one.trust.identities if isinstance(one.trust, GpgTrust) else {one.sole_identity}
    return any(signer.attestor == one.name or signer.identity in own for signer in fact.signers)


def _not_allowed(only: Sequence[Attestor], facts: Sequence[_Fact], now: datetime) -> Answer | None:
    if not only:
        return None
    against = next((one for one in facts if not _is_allowed(only, one, now) and not _may_turn(one)), None)
    if against is None:
        return None
    names = [one.name for one in only]
    why = against.reason
    if against.outcome is Outcome.VERIFIED:
        why = f"it is {_verb(against)} by {some(against.attestors)}"
    return failed(
        _CODES[against.outcome],
        f"only {some(names)} may sign here: {why}",
        fix=f"sign it as {some(names)}",
        violations=[Violation(subject=name) for name in names],
    )


def _is_allowed(only: Sequence[Attestor], fact: _Fact, now: datetime) -> bool:
    return any(identities(one, frozenset(fact.signers), now) for one in only)


def _undecided(check: Signers, facts: Sequence[_Fact], now: datetime) -> Iterator[Answer]:
    """What may be verified for more people later than it is now."""
    for fact in facts:
        if not _may_turn(fact) or _is_allowed(check.only, fact, now):
            continue
        if isinstance(fact, SignatureFact) and fact.early:
            why = f"it, or one of its certificates, is dated after {now:%Y-%m-%dT%H:%M:%SZ}"
            fix = "sign it anew, at the right time"
        else:
            why, fix = f"the state of its certificates is unknown ({fact.reason})", _AGAIN
        message = f"who signed it can't be judged now: {why}"
        yield unknown("evidence-unreachable", message, fix)


def _may_turn(fact: _Fact) -> bool:
    return isinstance(fact, SignatureFact) and (fact.early or fact.revocation == "unknown")


def _verb(fact: _Fact) -> str:
    return "signed" if isinstance(fact, SignatureFact) else "attested"
