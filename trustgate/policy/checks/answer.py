"""What a check answers, before the engine puts rule, place and mode to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trustgate.policy.model import Mode, RuleOutcome, Violation

MAX_VIOLATIONS: Final = 50
"""Violations kept with a verdict; the others are counted."""
HOST: Final = "HOST/"
"""Stands for this registry in a fix; whoever knows the host puts it there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``at_most`` lowers the rule's mode for this answer: ``onUnscanned: warn`` in an enforced rule.

    ``is_error``: whether a policy's ``onError`` speaks about it, when it is Unknown.
    """

    outcome: RuleOutcome
    reason_code: str
    message: str
    fix: str = ""
    violations: tuple[Violation, ...] = ()
    more_violations: int = 0
    at_most: Mode = "enforce"
    is_error: bool = True


def passed(reason_code: str, message: str) -> Answer:
    return Answer(RuleOutcome.PASS, reason_code, message)


def unknown(reason_code: str, message: str, fix: str = "", *, is_error: bool = True) -> Answer:
    return Answer(RuleOutcome.UNKNOWN, reason_code, message, fix, is_error=is_error)


def failed(
    reason_code: str,
    message: str,
    *,
    fix: str,
    violations: Sequence[Violation] = (),
    at_most: Mode = "enforce",
) -> Answer:
    kept = tuple(violations[:MAX_VIOLATIONS])
    return Answer(
        RuleOutcome.FAIL, reason_code, message, fix, kept, len(violations) - len(kept), at_most=at_most
    )
