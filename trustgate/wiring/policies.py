"""The policies in force: loading them, and telling how that went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trustgate.api.metrics import Metrics
from trustgate.errors import StorageUnavailable
from trustgate.flows.reload import Reload
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import Clock
from trustgate.remote.policy_git import parse_source
from trustgate.remote.trust_root import bundled_roots
from trustgate.settings import Settings
from trustgate.store.opening import Store


def open_policies(settings: Settings, clock: Clock, store: Store, metrics: Metrics) -> Reload:
    source = parse_source(settings.policy, data_dir=settings.data, clock=clock)
    reload = Reload(source, store.policy_history, known_roots=bundled_roots())
    policies = reload.start(clock.now())
    metrics.policy_loaded(policies.revision)
    return reload


def in_force(reload: Reload) -> PolicySet:
    if reload.current is None:  # start() has raised before anything could ask
        raise StorageUnavailable("no policy is loaded")
    return reload.current


def policy_status(reload: Reload) -> Mapping[str, Any]:
    """What ``/api/v1/policy`` and ``trustgate policy status`` show."""
    document: dict[str, Any] = asdict(reload.status)
    for key in ("loaded_at", "last_fetch"):
        document[key] = document[key].isoformat() if document[key] else None
    error = document["last_error"]
    if error is not None:
        error["at"] = error["at"].isoformat()
        error["problems"] = [str(problem) for problem in reload.status.last_error.problems]  # type: ignore[union-attr]  # error is not None
    document["degraded"] = reload.status.degraded
    return document


def reload_now(reload: Reload, clock: Clock, metrics: Metrics) -> Mapping[str, Any]:
    before = reload.status.last_error
    if reload.run_once(clock.now()):
        metrics.policy_loaded(reload.status.loaded_revision)
    if reload.status.last_error is not None and reload.status.last_error is not before:
        metrics.policy_load_failures.inc()
    return policy_status(reload)
