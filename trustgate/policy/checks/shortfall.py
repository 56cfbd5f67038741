"""Why what is there is not enough, in words: the nearest miss first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from trustgate.evidence.model import Outcome
from trustgate.policy.checks.conditions import unfit
from trustgate.policy.checks.counting import Signers, distinct
from trustgate.policy.checks.reach import Found, Words
from trustgate.policy.checks.requirements import unmet
from trustgate.policy.model import F, Fact
from trustgate.policy.rules import AtLeast, Conditions, Requirement

_SHOWN_NAMES: Final = 3


def counted(facts: Sequence[F], conditions: Conditions, now: datetime) -> tuple[F, ...]:
    """The verified ones that meet the conditions."""
    verified = (fact for fact in facts if fact.outcome is Outcome.VERIFIED)
    return tuple(fact for fact in verified if not unfit(fact, conditions, now))


def signers_of(facts: Sequence[Fact]) -> Signers:
    """Everyone who signed one of them."""
    return frozenset(signer for fact in facts for signer in fact.signers)


def shortfall(
    require: Requirement, conditions: Conditions, facts: Sequence[Fact], words: Words, now: datetime
) -> Found:
    """For a requirement that ``facts``, of which there is one at least, do not meet."""
    fit = counted(facts, conditions, now)
    signers = signers_of(fit)
    missing = unmet(require, signers, now)
    unfitting = [fact for fact in facts if fact.outcome is Outcome.VERIFIED and fact not in fit]
    left_out = next((fact for fact in unfitting if set(fact.attestors) & set(missing)), None)
    if left_out is not None:
        who, why = some(left_out.attestors), unfit(left_out, conditions, now)
        message = f"{words.participle} by {who}, but {why}"
        return Found(False, missing, f"{words.noun}-does-not-count", message)
    return Found(False, missing, *_why_not(require, facts, signers, words, now))


def _why_not(
    require: Requirement, facts: Sequence[Fact], signers: Signers, words: Words, now: datetime
) -> tuple[str, str]:
    if isinstance(require, AtLeast):
        had = len(distinct(require.attestors, signers, now))
        return "too-few-signers", f"{had} of {require.count} required signers"
    if signers:
        return "signer-missing", f"{words.participle} by {some(names_of(signers))}, which is not enough"
    revoked = [fact for fact in facts if fact.outcome is Outcome.REVOKED]
    if revoked:
        return f"{words.noun}-revoked", f"no valid {words.noun}: {revoked[0].reason}"
    broken = [fact for fact in facts if fact.outcome is Outcome.BROKEN]
    if broken:
        return f"{words.noun}-broken", f"no valid {words.noun}: {broken[0].reason}"
    untrusted = [fact for fact in facts if fact.outcome is Outcome.UNTRUSTED]
    if untrusted:
        return "signer-not-trusted", untrusted[0].reason
    return (
        f"{words.noun}-not-understood",
        f"no {words.noun} that can be judged: {facts[0].reason}",
    )


def names_of(signers: Signers) -> tuple[str, ...]:
    """The names of the trust store, sorted."""
    return tuple(sorted({signer.attestor for signer in signers}))


def some(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    rest = len(names) - _SHOWN_NAMES
    shown = ", ".join(names[:_SHOWN_NAMES])
    return f"{shown} and {rest} more" if rest > 0 else shown
