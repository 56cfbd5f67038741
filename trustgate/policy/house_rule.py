"""Refusals by rules of the house, which stand in no policy and which none can switch off."""

from __future__ import annotations

from datetime import datetime

from trustgate.policy.model import Request, RuleOutcome, RuleResult, Verdict, VerdictKind


def house_refusal(
    request: Request,
    rule: str,
    code: str,
    message: str,
    *,
    fix: str,
    policy_revision: str,
    now: datetime,
    outcome: RuleOutcome = RuleOutcome.FAIL,
    cacheable: bool = False,
) -> Verdict:
    """A verdict that denies. ``cacheable`` where time can't turn it, and only a change can."""
    result = RuleResult(
        rule=rule,
        kind="fence",
        file="",
        line=0,
        mode="enforce",
        outcome=outcome,
        reason_code=code,
        message=message,
        fix=fix,
    )
    return Verdict(
        kind=VerdictKind.DENY,
        request=request,
        policy_revision=policy_revision,
        results=(result,),
        at=now,
        valid_until=None,
        cacheable=cacheable,
    )
