"""Policies are loaded as one transaction: fetch, read, keep, swap. What does not load changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

from trustgate.errors import (
    PolicyInvalid,
    PolicySourceUnavailable,
    Problem,
    StorageFull,
    StorageUnavailable,
    TrustgateError,
)
from trustgate.policy.document import NO_ROOTS, PolicySet, load
from trustgate.ports import PolicyFiles, PolicyHistory, PolicySource

log = logging.getLogger("trustgate.policy")


@dataclass(frozen=True, slots=True)
class LoadError:
    """Why the newest revision is not in force."""

    message: str
    hint: str
    at: datetime
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """What is in force, what should be, and why they differ."""

    origin: str
    desired_revision: str = ""
    """The newest that was fetched, whether or not it loads; empty before the first fetch."""
    loaded_revision: str = ""
    loaded_origin: str = ""
    loaded_at: datetime | None = None
    last_fetch: datetime | None = None
    """When the source last answered."""
    last_error: LoadError | None = None
    summary: str = ""

    @property
    def degraded(self) -> bool:
        """An older set serves, or nobody knows whether it is an older one."""
        return self.last_error is not None


class Reload:
    """Holds the set in force. ``current`` is swapped whole: a request keeps the set that it began with."""

    def __init__(
        self,
        source: PolicySource,
        history: PolicyHistory,
        *,
        known_roots: Mapping[str, bytes] = NO_ROOTS,
    ) -> None:
        self._source = source
        self._history = history
        self._known_roots = known_roots
        self._running = Lock()
        self._seen = ""
        """The revision that was dealt with, for better or worse: not fetched again."""
        self._invalid: LoadError | None = None
        """What is wrong with that revision, for when the source fails and comes back meanwhile."""
        self.current: PolicySet | None = None
        self.status = PolicyStatus(origin=source.describe())

    def start(self, now: datetime) -> PolicySet:
        """Load for the first time; the last good set of the database serves when the source has none.

        Raises the source's own error (``PolicySourceUnavailable``, ``PolicyInvalid``) when there is no good
        set at all: without a policy nothing is served.
        """
        with self._running:
            failure = self._attempt(now)
            if self.current is None:
                self._load_last_good(failure)
            if self.current is None:
                raise failure or PolicySourceUnavailable(
                    f"{self._source.describe()} delivered no policy", hint="check the --policy setting"
                )
            return self.current

    def run_once(self, now: datetime) -> bool:
        """Look for a newer revision; true when one came into force. Errors stand in ``status``."""
        with self._running:
            before = self.current
            self._attempt(now)
            return self.current is not before

    def _attempt(self, now: datetime) -> TrustgateError | None:
        try:
            files = self._source.fetch(known=self._seen)
            self.status = replace(self.status, last_fetch=now)
            if files is None:
                self._source_is_back()
                return None
            self.status = replace(self.status, desired_revision=files.revision)
            self._load(files, now)
        except (PolicyInvalid, PolicySourceUnavailable, StorageUnavailable, StorageFull) as exc:
            self._failed(exc, now)
            return exc
        return None

    def _load(self, files: PolicyFiles, now: datetime) -> None:
        try:
            policies = load(files.files, revision=files.revision, known_roots=self._known_roots)
        except PolicyInvalid:
            self._seen = files.revision
            raise
        self._keep(files)
        self._seen, self._invalid = files.revision, None
        self.current = policies
        self.status = replace(
            self.status,
            loaded_revision=files.revision,
            loaded_origin=files.origin,
            loaded_at=now,
            last_error=None,
            summary=policies.summary,
        )
        log.info("policy %s is in force: %s (%s)", files.revision, policies.summary, files.origin)

    def _keep(self, files: PolicyFiles) -> None:
        """Durable before it is in force: a restart without the source serves what was served last.

        What is kept already is kept again only when it differs, so that a restart makes nothing stale.
        """
        last = self._history.last_good()
        if last is None or last.revision != files.revision or dict(last.files) != dict(files.files):
            self._history.accept(files)

    def _load_last_good(self, failure: TrustgateError | None) -> None:
        last = self._history.last_good()
        if last is None:
            return
        try:
            policies = load(last.files, revision=last.revision, known_roots=self._known_roots)
        except PolicyInvalid as exc:
            raise failure or exc from exc
        self.current = policies
        self.status = replace(
            self.status,
            loaded_revision=last.revision,
            loaded_origin=last.origin,
            loaded_at=last.loaded_at,
            summary=policies.summary,
        )
        log.warning("policy %s, the last good one, is in force (%s)", last.revision, last.origin)

    def _source_is_back(self) -> None:
        """The source answers, with nothing new: what was wrong with the files is wrong still."""
        self.status = replace(self.status, last_error=self._invalid)

    def _failed(self, exc: TrustgateError, now: datetime) -> None:
        problems = exc.problems if isinstance(exc, PolicyInvalid) else ()
        error = LoadError(exc.message, exc.hint, now, problems)
        if isinstance(exc, PolicyInvalid):
            self._invalid = error
        self.status = replace(self.status, last_error=error)
        kept = self.status.loaded_revision or "none"
        log.error("policy: %s; in force stays %s", exc.message, kept)
