"""The second fence: a blob is served only as part of a manifest that is admitted."""

from __future__ import annotations

from datetime import datetime

from trustgate.policy.model import Request, RuleOutcome, RuleResult, Verdict, VerdictKind

RULE = "registry/blob-fence"


def unreachable_blob(request: Request, *, policy_revision: str, now: datetime) -> Verdict:
    """The refusal of a blob that no manifest of the repository reaches."""
    result = RuleResult(
        rule=RULE,
        kind="fence",
        file="",
        line=0,
        mode="enforce",
        outcome=RuleOutcome.FAIL,
        reason_code="not-reachable",
        message="no manifest of this repository points to the blob, so nothing admits it",
        fix="push the manifest that uses it, or pull by the image's tag or digest",
    )
    return Verdict(
        kind=VerdictKind.DENY,
        request=request,
        policy_revision=policy_revision,
        results=(result,),
        at=now,
        valid_until=None,
        cacheable=True,
    )


def not_all_judged(request: Request, judged: int, *, policy_revision: str, now: datetime) -> Verdict:
    """The refusal of a blob when more manifests and tags lead to it than one request judges."""
    result = RuleResult(
        rule=RULE,
        kind="fence",
        file="",
        line=0,
        mode="enforce",
        outcome=RuleOutcome.UNKNOWN,
        reason_code="not-all-judged",
        message=f"none of {judged} images and tags that lead to the blob is admitted, and there are more "
        "that were not judged",
        fix="pull the image by its tag or digest first, then its layers",
    )
    return Verdict(
        kind=VerdictKind.DENY,
        request=request,
        policy_revision=policy_revision,
        results=(result,),
        at=now,
        valid_until=None,
        cacheable=False,
    )
