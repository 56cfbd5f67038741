"""From a verdict on a pull to yes, no or undecided, for someone who may lack what the gate has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trustgate.policy.model import RuleOutcome, RuleResult, Verdict
from trustgate.policy.policy_set import PolicySet
from trustgate.policy.rules import Rule, words_of

NO_MATCH_KIND: Final = "default"
NOT_OF_PULLS: Final = "it does not speak about pulls"
LEFT_OUT: Final = "it was left out of the question"


class Said(StrEnum):
    """The answer. Permanent words: they stand in JSON."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class NotAsked:
    """A rule of this repository that has no part in the answer, and why."""

    rule: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class PullAnswer:
    """``asked`` are the results that the answer rests on; ``unjudged`` those of them without evidence."""

    said: Said
    why: str
    asked: tuple[RuleResult, ...]
    unjudged: tuple[RuleResult, ...]
    not_asked: tuple[NotAsked, ...]


def answer_of(policies: PolicySet, verdict: Verdict, only: frozenset[str] = frozenset()) -> PullAnswer:
    """Yes when every enforced rule that was asked passed, and there was one. ``only`` are kinds of rules.

    Stricter than the gate in two ways: an enforced rule that could not be judged is never let through here,
    whatever ``onError`` says, since the gate may have the evidence that is missing; and where no enforced
    rule speaks there is no yes.
    """
    rules = {rule.id: rule for rule in policies.rules_for(verdict.request)}
    asked = tuple(result for result in verdict.results if not only or result.kind in only)
    refused = [one for one in asked if one.mode == "enforce" and one.outcome is RuleOutcome.FAIL]
    unjudged = tuple(one for one in asked if one.outcome is RuleOutcome.UNKNOWN and _enforced(one, rules))
    passed = [one for one in asked if _passed(one)]
    said, why = _said(refused, unjudged, passed)
    left_out = [NotAsked(one.rule, one.kind, LEFT_OUT) for one in verdict.results if one not in asked]
    return PullAnswer(said, why, asked, unjudged, (*left_out, *_of_other_actions(policies, verdict)))


def _said(
    refused: list[RuleResult], unjudged: tuple[RuleResult, ...], passed: list[RuleResult]
) -> tuple[Said, str]:
    if refused:
        return Said.NO, f"refused by {_names(refused)}"
    if unjudged:
        return Said.UNDECIDED, f"not judged: {_names(unjudged)}"
    if not passed:
        return Said.UNDECIDED, "no enforced rule was asked: a pull would be served without being judged"
    return Said.YES, f"passed: {_names(passed)}"


def _names(results: list[RuleResult] | tuple[RuleResult, ...]) -> str:
    return ", ".join(one.rule for one in results)


def _enforced(result: RuleResult, rules: dict[str, Rule]) -> bool:
    """As the policy has it, before ``onError`` made less of it."""
    rule = rules.get(result.rule)
    return result.mode == "enforce" or (rule is not None and rule.mode == "enforce")


def _passed(result: RuleResult) -> bool:
    good = result.outcome in (RuleOutcome.PASS, RuleOutcome.EXEMPT)
    return good and result.mode == "enforce" and result.kind != NO_MATCH_KIND


def _of_other_actions(policies: PolicySet, verdict: Verdict) -> Iterator[NotAsked]:
    """Rules that cover the repository and tag, and are about pushes or deletions."""
    request = verdict.request
    words = words_of(request)
    for rule in policies.rules:
        covered = rule.scope.holds(request.repository) and (
            request.tag is None or rule.scope.tags.covers(request.tag)
        )
        spoken = words & rule.scope.actions & rule.check.speaks_on
        if rule.mode != "off" and covered and not spoken:
            yield NotAsked(rule.id, rule.check.kind, NOT_OF_PULLS)
