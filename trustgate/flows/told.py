"""Refusals that were told a moment ago: who asks the same again gets the same decision, with the same page.

A verdict that rests on what is not known now is not kept by ``VerdictCache``, so that it ends as soon as it
can. Asked in a loop, each answer would be a record of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final, TypeAlias

from trustgate.flows.verdict_cache import Judged
from trustgate.policy.model import Request, RuleResult
from trustgate.ports import Clock

TOLD_FOR_S: Final = 60.0
MAX_TOLD: Final = 1000
_Told: TypeAlias = tuple[Request, tuple[RuleResult, ...]]


class Told:
    """Bounded, the oldest goes first. Safe from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: OrderedDict[_Told, tuple[float, Judged]] = OrderedDict()
        self._lock = Lock()

    def same(self, refusal: Judged) -> Judged:
        """The refusal of the same request for the same reasons that was told already, or this one."""
        key = (refusal.verdict.request, refusal.verdict.results)
        now = self._clock.monotonic()
        with self._lock:
            at, told = self._told.get(key, (now, refusal))
            if now - at >= TOLD_FOR_S:
                at, told = now, refusal
            self._told[key] = at, told
            while len(self._told) > MAX_TOLD:
                self._told.popitem(last=False)
        return told
