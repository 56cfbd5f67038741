"""A server, put together from its settings."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trustgate.api.admin import AdminParts, admin_router
from trustgate.api.app import Front, create_site
from trustgate.api.auth import authenticator, token_router
from trustgate.api.charts import charts_router
from trustgate.api.health import health_router
from trustgate.api.hot import HotPath
from trustgate.api.metrics import Metrics
from trustgate.api.notary import NotaryServer
from trustgate.api.pages import pages_router
from trustgate.api.registry import Authenticate, Registry
from trustgate.errors import ManifestUnknown
from trustgate.flows.access import Actor
from trustgate.flows.accounts import AccountFlow
from trustgate.flows.admit import Gate, GateLinks
from trustgate.flows.arrivals import ArrivalReader
from trustgate.flows.charts import ChartFlow
from trustgate.flows.first_start import FirstStart
from trustgate.flows.gather import Gatherer
from trustgate.flows.identity import Identity
from trustgate.flows.notary import TrustFlow
from trustgate.flows.pull import PullFlow
from trustgate.flows.push import PushFlow
from trustgate.flows.reload import Reload
from trustgate.flows.scan import ScanFlow, Worker, scan_jobs_for
from trustgate.flows.tokens import Tokens
from trustgate.oci.manifest import Manifest
from trustgate.oci.names import Reference, RepositoryName, Tag
from trustgate.ports import Clock, DecisionRecord
from trustgate.scanning import ScanContext, Scanner
from trustgate.scanning.discovery import discover
from trustgate.settings import Settings
from trustgate.store.opening import Store, open_store
from trustgate.wiring.chores import Ticker, chores, readiness
from trustgate.wiring.clock import SystemClock
from trustgate.wiring.evidence import EvidenceParts, open_evidence
from trustgate.wiring.policies import in_force, open_policies, policy_status, reload_now


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
    reload = open_policies(settings, clock, store, metrics)
    evidence = open_evidence(settings, clock, store)
    gate = _gate(settings, clock, store, evidence, reload, metrics)
    scan = _scan(settings, clock, store, metrics)
    worker = Worker(scan, owner=f"{socket.gethostname()}:{os.getpid()}")
    tokens = Tokens(store.signing_keys, clock)
    tokens.load()
    identity = _identity(settings, clock, store, tokens)
    accounts = AccountFlow(store.accounts, store.projects, clock)
    first_start = FirstStart(store.accounts, accounts, clock, settings.data)
    pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="work")

    def pushed(repository: RepositoryName, manifest: Manifest, tags: tuple[Tag, ...]) -> None:
        worker.wake()
        evidence.arrived(repository, manifest, tags, in_force(reload), clock.now())

    push, pull, charts = _transfer(settings, clock, store, gate, evidence.arrivals, pushed)
    authenticate = authenticator(identity, _caller(pool))
    registry = _registry(settings, push, pull, authenticate, identity.service, metrics, pool)
    notary = _notary(settings, evidence.trust, gate, identity, authenticate, metrics, pool)
    ticker = Ticker(chores(settings, clock, store, reload, metrics))

    routers = _routers(
        settings, store, gate, identity, accounts, tokens, first_start, reload, metrics, clock, pool
    )
    site = create_site(
        (*routers, charts_router(charts, authenticate, clock, _caller(pool))),
        on_start=lambda: _all(worker.start, ticker.start),
        on_stop=lambda: _all(ticker.stop, worker.stop),
    )
    app = HotPath(
        Front(registry, site, notary),
        freshness=store.freshness,
        policies=lambda: reload.current,
        clock=clock,
        observe=metrics.decided,
    )

    return Server(
        settings=settings,
        app=app,
        metrics=metrics,
        store=store,
        reload=reload,
        accounts=accounts,
        setup_code=first_start.prepare(),
        password_file=first_start.password_file,
        close=lambda: _all(pool.shutdown, evidence.close, store.close),
    )


def _all(*steps: Callable[[], object]) -> None:
    """One after the other."""
    for step in steps:
        step()


def _identity(settings: Settings, clock: Clock, store: Store, tokens: Tokens) -> Identity:
    return Identity(
        accounts=store.accounts,
        projects=store.projects,
        tokens=tokens,
        freshness=store.freshness,
        clock=clock,
        service=settings.base_url.partition("://")[2],
    )


def _gate(
    settings: Settings,
    clock: Clock,
    store: Store,
    evidence: EvidenceParts,
    reload: Reload,
    metrics: Metrics,
) -> Gate:
    base_url = settings.base_url
    return Gate(
        gatherer=Gatherer(
            manifests=store.manifests,
            reports=store.reports,
            signatures=evidence.signatures,
            attestations=evidence.attestations,
            scanners=settings.scanners,
        ),
        manifests=store.manifests,
        blobs=store.blobs,
        decisions=store.decisions,
        freshness=store.freshness,
        policies=lambda: in_force(reload),
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


def _transfer(
    settings: Settings,
    clock: Clock,
    store: Store,
    gate: Gate,
    arrivals: ArrivalReader,
    pushed: Callable[[RepositoryName, Manifest, tuple[Tag, ...]], None],
) -> tuple[PushFlow, PullFlow, ChartFlow]:
    """How content comes in and goes out, whichever door it takes."""
    push = PushFlow(
        manifests=store.manifests,
        blobs=store.blobs,
        uploads=store.uploads,
        blob_store=store.blob_store,
        gate=gate,
        arrivals=arrivals,
        clock=clock,
        jobs_for=scan_jobs_for,
        sparse_indexes=settings.sparse_indexes,
        max_blob_bytes=settings.max_blob_bytes,
        pushed=pushed,
    )
    pull = PullFlow(manifests=store.manifests, blobs=store.blobs, blob_store=store.blob_store, gate=gate)
    charts = ChartFlow(
        manifests=store.manifests,
        blobs=store.blobs,
        blob_store=store.blob_store,
        push=push,
        pull=pull,
        clock=clock,
    )
    return push, pull, charts


def _registry(
    settings: Settings,
    push: PushFlow,
    pull: PullFlow,
    authenticate: Authenticate,
    service: str,
    metrics: Metrics,
    pool: ThreadPoolExecutor,
) -> Registry:
    return Registry(
        push=push,
        pull=pull,
        authenticate=authenticate,
        pool=pool,
        public_url=settings.public_url,
        service=service,
        observe=metrics.requested,
    )


def _notary(
    settings: Settings,
    flow: TrustFlow,
    gate: Gate,
    identity: Identity,
    authenticate: Authenticate,
    metrics: Metrics,
    pool: ThreadPoolExecutor,
) -> NotaryServer:
    return NotaryServer(
        flow=flow,
        gate=gate,
        authenticate=authenticate,
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
        policy_reload=lambda: reload_now(reload, clock, metrics),
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
        health_router(readiness(store, reload), call),
    )


def _explain(store: Store, gate: Gate, text: str, actor: Actor) -> DecisionRecord:
    """``shop/web:1`` or ``shop/web@sha256:…`` to a decision."""
    reference = Reference.parse(f"localhost/{text}")
    stored = store.manifests.find(reference.repository, reference.target)
    if stored is None or not actor.may("pull", reference.repository):
        raise ManifestUnknown(f"there is no {text[:200]!a} that {actor.caller.name} may pull")
    tag = reference.target if isinstance(reference.target, Tag) else None
    return gate.explain(stored, actor, tag=tag)
