"""The second fence: a blob is served only as part of a manifest that is admitted."""

from __future__ import annotations

from datetime import datetime

from trustgate.policy.model import Request, RuleOutcome, RuleResult, Verdict, VerdictKind

RULE = "registry/blob-fence"


def unreachable_blob(request: Request, *, policy_revision: str, now: datetime) -> Verdict:
    """The refusal of a blob that no manifest of the repository reaches."""
    result = _refused(
        "not-reachable",
        "no manifest of this repository points to the blob, so nothing admits it",
        "push the manifest that uses it, or pull by the image's tag or digest",
    )
    return _verdict(request, result, policy_revision, now, cacheable=True)


def many_ways(request: Request, judged: int, *, policy_revision: str, now: datetime) -> Verdict:
    """The refusal of a blob that so many manifests have in common that not all of them were judged."""
    result = _refused(
        "too-many-manifests",
        f"{judged} manifests and tags with this blob may not be pulled, and there are more",
        "pull the image's manifest first",
    )
    return _verdict(request, result, policy_revision, now, cacheable=False)


def _refused(code: str, message: str, fix: str) -> RuleResult:
    return RuleResult(
        rule=RULE,
        kind="fence",
        file="",
        line=0,
        mode="enforce",
        outcome=RuleOutcome.FAIL,
        reason_code=code,
        message=message,
        fix=fix,
    )


def _verdict(
    request: Request, result: RuleResult, policy_revision: str, now: datetime, *, cacheable: bool
) -> Verdict:
    return Verdict(
        kind=VerdictKind.DENY,
        request=request,
        policy_revision=policy_revision,
        results=(result,),
        at=now,
        valid_until=None,
        cacheable=cacheable,
    )


def is_unreachable(verdict: Verdict) -> bool:
    """Whether it is this refusal: time can't turn it, only a push can."""
    return any(result.rule == RULE for result in verdict.results)
