"""Verdicts in memory, each under all that it depended on; any change makes it stale.

A hit compares the whole vector of revisions, the policy set itself (by identity, since a set is never
changed, only swapped), and two clocks. Unknown is never kept (``Verdict.cacheable``).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Action, Caller, Verdict
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import Clock, DecisionRecord, Revisions

MAX_ENTRIES = 20_000
MAX_AGE_S = 300.0
"""Even an unchanged verdict is judged anew after this long: a bound on what a lost bump could do."""


@dataclass(frozen=True, slots=True)
class CacheKey:
    """The question: nothing that a client says of itself is in it."""

    action: Action
    repository: RepositoryName
    digest: Digest
    tag: Tag | None
    caller: Caller


@dataclass(slots=True)
class Judged:
    """A verdict with its record, and whether the record has been written."""

    record: DecisionRecord
    saved: bool = False

    @property
    def verdict(self) -> Verdict:
        return self.record.verdict


@dataclass(frozen=True, slots=True)
class _Entry:
    judged: Judged
    vector: Revisions
    policies: PolicySet
    until: datetime | None
    at: datetime
    at_monotonic: float


class VerdictCache:
    """Bounded, least recently used goes first. Safe from several threads."""

    def __init__(self, clock: Clock, *, max_entries: int = MAX_ENTRIES) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._entries: OrderedDict[CacheKey, _Entry] = OrderedDict()
        self._lock = Lock()

    def get(self, key: CacheKey, vector: Revisions, policies: PolicySet) -> Judged | None:
        """The verdict, if everything it rests on is as it was."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry.vector != vector or entry.policies is not policies or not self._in_time(entry):
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
            return entry.judged

    def put(
        self,
        key: CacheKey,
        vector: Revisions,
        policies: PolicySet,
        judged: Judged,
        *,
        until: datetime | None = None,
    ) -> None:
        """Keep ``judged`` under the vector that was read before its evidence.

        ``until``: when something else that the answer rests on turns, where that is sooner.
        """
        ends = [moment for moment in (until, judged.verdict.valid_until) if moment is not None]
        until = min(ends, default=None)
        entry = _Entry(judged, vector, policies, until, self._clock.now(), self._clock.monotonic())
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def _in_time(self, entry: _Entry) -> bool:
        """Both clocks must agree: a wall clock that was set back would lengthen ``valid_until``."""
        if self._clock.monotonic() - entry.at_monotonic > MAX_AGE_S:
            return False
        now = self._clock.now()
        return now >= entry.at and (entry.until is None or now < entry.until)
