"""The only place that builds objects and knows who is who."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

from trustgate.api.admin import AdminParts, admin_router
from trustgate.api.app import Front, create_site
from trustgate.api.auth import authenticator, token_router
from trustgate.api.health import health_router
from trustgate.api.hot import HotPath
from trustgate.api.metrics import Metrics
from trustgate.api.notary import NotaryServer
from trustgate.api.pages import pages_router
from trustgate.api.registry import Registry
from trustgate.errors import ManifestUnknown, StorageUnavailable, TrustgateError
from trustgate.flows.access import Actor
from trustgate.flows.accounts import AccountFlow
from trustgate.flows.admit import Gate, GateLinks
from trustgate.flows.first_start import FirstStart
from trustgate.flows.gather import Gatherer
from trustgate.flows.identity import Identity
from trustgate.flows.keeping import Keeping
from trustgate.flows.notary import TrustFlow
from trustgate.flows.pull import PullFlow
from trustgate.flows.push import PushFlow
from trustgate.flows.reload import Reload
from trustgate.flows.scan import ScanFlow, Worker, scan_jobs_for
from trustgate.flows.tokens import Tokens
from trustgate.oci.names import Reference, Tag
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import Clock, DecisionRecord
from trustgate.remote.policy_git import parse_source
from trustgate.scanning import ScanContext, Scanner
from trustgate.scanning.discovery import discover
from trustgate.settings import Settings
from trustgate.store.opening import Store, open_store

KEEPING_INTERVAL_S = 60.0

log = logging.getLogger("trustgate")


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()


@dataclass(frozen=True, slots=True)
class Server:
    """Everything that runs: the ASGI application, and what a command wants to reach beside it."""

    settings: Settings
    app: Any
    metrics: Metrics
    store: Store
    reload: Reload
    accounts: AccountFlow
    setup_code: str | None
    password_file: Path
    close: Callable[[], None]


def build(settings: Settings, *, clock: Clock | None = None) -> Server:
    """Open the data directory and put the house together.

    Raises ``StorageUnavailable``, ``PolicyInvalid``, ``PolicySourceUnavailable``, ``ConfigInvalid``.
    """
    clock = clock or SystemClock()
    store = open_store(settings.data, clock)
    try:
        return _build(settings, clock, store)
    except BaseException:
        store.close()
        raise


def _build(settings: Settings, clock: Clock, store: Store) -> Server:
    metrics = Metrics()
    metrics.count_jobs_with(store.jobs.counts)
    reload = _policies(settings, clock, store, metrics)
    gate = _gate(settings, clock, store, reload, metrics)
    scan = _scan(settings, clock, store, metrics)
    worker = Worker(scan, owner=f"{socket.gethostname()}:{os.getpid()}")
    tokens = Tokens(store.signing_keys, clock)
    tokens.load()
    identity = Identity(
        accounts=store.accounts,
        projects=store.projects,
        tokens=tokens,
        freshness=store.freshness,
        clock=clock,
        service=settings.base_url.partition("://")[2],
    )
    accounts = AccountFlow(store.accounts, store.projects, clock)
    first_start = FirstStart(store.accounts, accounts, clock, settings.data)
    pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="work")
    registry = _registry(settings, clock, store, gate, identity, metrics, pool, worker)
    notary = _notary(settings, clock, store, identity, metrics, pool)
    ticker = _Ticker(_chores(settings, clock, store, reload, metrics))

    def start() -> None:
        worker.start()
        ticker.start()

    def stop() -> None:
        ticker.stop()
        worker.stop()

    site = create_site(
        _routers(
            settings, store, gate, identity, accounts, tokens, first_start, reload, metrics, clock, pool
        ),
        on_start=start,
        on_stop=stop,
    )
    app = HotPath(
        Front(registry, site, notary),
        freshness=store.freshness,
        policies=lambda: reload.current,
        clock=clock,
        observe=metrics.decided,
    )

    def close() -> None:
        pool.shutdown(wait=True)
        store.close()

    return Server(
        settings=settings,
        app=app,
        metrics=metrics,
        store=store,
        reload=reload,
        accounts=accounts,
        setup_code=first_start.prepare(),
        password_file=first_start.password_file,
        close=close,
    )


def _policies(settings: Settings, clock: Clock, store: Store, metrics: Metrics) -> Reload:
    source = parse_source(settings.policy, data_dir=settings.data, clock=clock)
    reload = Reload(source, store.policy_history)
    policies = reload.start(clock.now())
    metrics.policy_loaded(policies.revision)
    return reload


def _in_force(reload: Reload) -> PolicySet:
    if reload.current is None:  # start() has raised before anything could ask
        raise StorageUnavailable("no policy is loaded")
    return reload.current


def _gate(settings: Settings, clock: Clock, store: Store, reload: Reload, metrics: Metrics) -> Gate:
    base_url = settings.base_url
    return Gate(
        gatherer=Gatherer(
            manifests=store.manifests, blobs=store.blobs, blob_store=store.blob_store, reports=store.reports
        ),
        manifests=store.manifests,
        blobs=store.blobs,
        decisions=store.decisions,
        freshness=store.freshness,
        policies=lambda: _in_force(reload),
        clock=clock,
        links=GateLinks(page=lambda decision: f"{base_url}/d/{decision}", host=base_url.partition("://")[2]),
        observe=metrics.decided,
    )


def load_scanners(settings: Settings) -> tuple[Scanner, ...]:
    """The scanner adapters that the settings name. Raises ``ConfigInvalid``."""
    temporary = settings.data / "tmp"
    return discover(settings.scanners, ScanContext(settings.data, temporary))


def _scan(settings: Settings, clock: Clock, store: Store, metrics: Metrics) -> ScanFlow:
    return ScanFlow(
        manifests=store.manifests,
        blobs=store.blobs,
        blob_store=store.blob_store,
        reports=store.reports,
        jobs=store.jobs,
        clock=clock,
        scanners=load_scanners(settings),
        observe=metrics.scanned,
    )


def _registry(
    settings: Settings,
    clock: Clock,
    store: Store,
    gate: Gate,
    identity: Identity,
    metrics: Metrics,
    pool: ThreadPoolExecutor,
    worker: Worker,
) -> Registry:
    push = PushFlow(
        manifests=store.manifests,
        blobs=store.blobs,
        uploads=store.uploads,
        blob_store=store.blob_store,
        gate=gate,
        clock=clock,
        jobs_for=scan_jobs_for,
        sparse_indexes=settings.sparse_indexes,
        max_blob_bytes=settings.max_blob_bytes,
        pushed=worker.wake,
    )
    pull = PullFlow(manifests=store.manifests, blobs=store.blobs, blob_store=store.blob_store, gate=gate)
    return Registry(
        push=push,
        pull=pull,
        authenticate=authenticator(identity, _caller(pool)),
        pool=pool,
        public_url=settings.public_url,
        service=identity.service,
        observe=metrics.requested,
    )


def _notary(
    settings: Settings,
    clock: Clock,
    store: Store,
    identity: Identity,
    metrics: Metrics,
    pool: ThreadPoolExecutor,
) -> NotaryServer:
    flow = TrustFlow(files=store.trust_files, keys=store.trust_keys, clock=clock, hosts=settings.own_hosts)
    return NotaryServer(
        flow=flow,
        authenticate=authenticator(identity, _caller(pool)),
        anonymous=identity.anonymous,
        pool=pool,
        public_url=settings.public_url,
        service=identity.service,
        observe=metrics.requested,
    )


def _caller(pool: ThreadPoolExecutor) -> Callable[[Callable[[], Any]], Awaitable[Any]]:
    """Run blocking work in the pool."""

    async def call(work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    return call


def _routers(
    settings: Settings,
    store: Store,
    gate: Gate,
    identity: Identity,
    accounts: AccountFlow,
    tokens: Tokens,
    first_start: FirstStart,
    reload: Reload,
    metrics: Metrics,
    clock: Clock,
    pool: ThreadPoolExecutor,
) -> Sequence[Any]:
    call = _caller(pool)
    admin = AdminParts(
        identity=identity,
        accounts=accounts,
        tokens=tokens,
        decisions=store.decisions,
        explain=lambda reference, actor: _explain(store, gate, reference, actor),
        policy_status=lambda: policy_status(reload),
        policy_reload=lambda: _reload_now(reload, clock, metrics),
        call=call,
        host=settings.base_url.partition("://")[2],
    )
    return (
        token_router(identity, tokens, call, own_hosts=settings.own_hosts),
        admin_router(admin),
        pages_router(
            decisions=store.decisions,
            first_start=first_start,
            call=call,
            base_url=lambda request: settings.public_url or str(request.base_url).rstrip("/"),
        ),
        health_router(_checks(store, reload), call),
    )


def _explain(store: Store, gate: Gate, text: str, actor: Actor) -> DecisionRecord:
    """``shop/web:1`` or ``shop/web@sha256:…`` to a decision."""
    reference = Reference.parse(f"localhost/{text}")
    stored = store.manifests.find(reference.repository, reference.target)
    if stored is None or not actor.may("pull", reference.repository):
        raise ManifestUnknown(f"there is no {text[:200]!a} that {actor.caller.name} may pull")
    tag = reference.target if isinstance(reference.target, Tag) else None
    return gate.explain(stored, actor, tag=tag)


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


def _reload_now(reload: Reload, clock: Clock, metrics: Metrics) -> Mapping[str, Any]:
    before = reload.status.last_error
    if reload.run_once(clock.now()):
        metrics.policy_loaded(reload.status.loaded_revision)
    if reload.status.last_error is not None and reload.status.last_error is not before:
        metrics.policy_load_failures.inc()
    return policy_status(reload)


def _checks(store: Store, reload: Reload) -> Mapping[str, Callable[[], str]]:
    def storage() -> str:
        store.check()
        return "database answers, blobs can be written"

    def policy() -> str:
        status = reload.status
        if status.last_error is None:
            return f"{status.loaded_revision[:12]} in force ({status.summary})"
        return f"{status.loaded_revision[:12]} in force, DEGRADED: {status.last_error.message}"

    return {"storage": storage, "policy": policy}


def _chores(
    settings: Settings, clock: Clock, store: Store, reload: Reload, metrics: Metrics
) -> Sequence[tuple[float, Callable[[], object]]]:
    keeping = Keeping(uploads=store.uploads, blobs=store.blobs, blob_store=store.blob_store, clock=clock)
    return (
        (float(settings.policy_interval_s), lambda: _reload_now(reload, clock, metrics)),
        (KEEPING_INTERVAL_S, keeping.round),
    )


class _Ticker:
    """Runs each chore at its interval, in a thread of its own; one that fails is tried again."""

    def __init__(self, chores: Sequence[tuple[float, Callable[[], object]]]) -> None:
        self._stop = Event()
        self._threads = [
            Thread(target=self._run, args=chore, name=f"chore-{number}", daemon=True)
            for number, chore in enumerate(chores)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)

    def _run(self, interval_s: float, chore: Callable[[], object]) -> None:
        while not self._stop.wait(interval_s):
            try:
                chore()
            except TrustgateError as exc:
                log.warning("%s", exc.message)
