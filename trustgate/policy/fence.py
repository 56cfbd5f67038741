"""The second fence: a blob is served only as part of a manifest that is admitted."""

from __future__ import annotations

from datetime import datetime

from trustgate.policy.house_rule import house_refusal
from trustgate.policy.model import Request, RuleOutcome, Verdict

RULE = "registry/blob-fence"


def unreachable_blob(request: Request, *, policy_revision: str, now: datetime) -> Verdict:
    """The refusal of a blob that no manifest of the repository reaches."""
    return house_refusal(
        request,
        RULE,
        "not-reachable",
        "no manifest of this repository points to the blob, so nothing admits it",
        fix="push the manifest that uses it, or pull by the image's tag or digest",
        policy_revision=policy_revision,
        now=now,
        cacheable=True,
    )


def not_all_judged(request: Request, judged: int, *, policy_revision: str, now: datetime) -> Verdict:
    """The refusal of a blob when more manifests and tags lead to it than one request judges."""
    return house_refusal(
        request,
        RULE,
        "not-all-judged",
        f"none of {judged} images and tags with this blob is admitted, and more were not judged",
        fix="pull the image first, then its layers",
        policy_revision=policy_revision,
        now=now,
        outcome=RuleOutcome.UNKNOWN,
    )
