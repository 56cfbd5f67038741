"""By whom trust data is that is about to be published."""

from __future__ import annotations

from datetime import datetime

from trustgate.evidence.model import Known, Unreachable
from trustgate.evidence.notary.arriving import judge_published
from trustgate.evidence.notary.canonical import Malformed
from trustgate.flows.arrivals import NO_EVIDENCE, Judge
from trustgate.flows.defects import or_broken
from trustgate.flows.notary import Publishing
from trustgate.policy.model import Arriving
from trustgate.policy.policy_set import PolicySet


def whose(publishing: Publishing) -> Judge:
    """Judged when somebody asks. What can't be opened as it would be stored can't be told, either way."""
    data = publishing.data

    def judged(policies: PolicySet, now: datetime) -> Arriving:
        try:
            facts = judge_published(
                data.metadata, publishing.roles, gun=data.gun, attestors=policies.attestors, now=now
            )
        except Malformed as exc:
            return Unreachable(f"the trust data as it would be: {exc}")
        return Known(facts) if facts else NO_EVIDENCE

    return lambda policies, now: or_broken(lambda: judged(policies, now), Unreachable)
