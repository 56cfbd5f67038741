"""The smallest assembly that is a registry (store, gate, flows and the face), and a server for any.

The gate is the real one, under a policy that lets everything through: what is tried here is the protocol.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn

from tests.data_folders import begun
from trustgate.api.app import Front, create_site
from trustgate.api.auth import token_router
from trustgate.api.http_protocol import RegistryProtocol
from trustgate.api.notary import NotaryServer
from trustgate.api.registry import Registry
from trustgate.flows.access import Actor
from trustgate.flows.admit import Gate, GateLinks
from trustgate.flows.gather import Gatherer
from trustgate.flows.identity import Identity
from trustgate.flows.notary import TrustFlow
from trustgate.flows.pull import PullFlow
from trustgate.flows.push import PushFlow
from trustgate.flows.tokens import Tokens
from trustgate.policy.document import PolicySet, load
from trustgate.settings import Settings
from trustgate.store.opening import Store, open_store
from trustgate.wiring import SystemClock
from trustgate.wiring.evidence import open_evidence

USER = "conformance"
PASSWORD = "a-password-of-this-test-only"
SERVICE = "registry.test"
THREADS = 8
OPEN_POLICY = b"""\
apiVersion: trustgate.dev/v1
kind: Root
defaults:
  noMatch: {pull: allow, push: allow, delete: allow}
"""


@dataclass(frozen=True, slots=True)
class Assembly:
    """A registry and its inside, for tests that look."""

    app: Front
    store: Store
    push: PushFlow
    pull: PullFlow
    gate: Gate
    pool: Executor
    trust: TrustFlow


def open_policies() -> PolicySet:
    """Everything is allowed."""
    return load({"trustgate.yaml": OPEN_POLICY}, revision="open")


def assemble(
    data: Path,
    *,
    policies: Callable[[], PolicySet] | None = None,
    actors: Callable[[str | None], Actor] | None = None,
    sparse_indexes: bool = False,
    body_idle_s: float = 60.0,
    max_blob_bytes: int = 1024**4,
) -> Assembly:
    """Everything on ``data``.

    ``actors`` maps an Authorization header to a caller; without it, accounts and the token service do.
    """
    clock = SystemClock()
    store = open_store(begun(data), clock)
    allowed = open_policies()
    parts = open_evidence(Settings(data=data), clock, store)
    gate = Gate(
        gatherer=Gatherer(
            manifests=store.manifests,
            reports=store.reports,
            signatures=parts.signatures,
            attestations=parts.attestations,
        ),
        manifests=store.manifests,
        blobs=store.blobs,
        decisions=store.decisions,
        freshness=store.freshness,
        policies=policies or (lambda: allowed),
        clock=clock,
        links=GateLinks(page=lambda decision: f"http://registry.test/d/{decision}", host="registry.test"),
        observe=lambda *_: None,
    )
    push = PushFlow(
        manifests=store.manifests,
        blobs=store.blobs,
        uploads=store.uploads,
        blob_store=store.blob_store,
        gate=gate,
        arrivals=parts.arrivals,
        clock=clock,
        jobs_for=lambda *_: (),
        max_blob_bytes=max_blob_bytes,
        sparse_indexes=sparse_indexes,
        pushed=lambda *_: None,
    )
    pull = PullFlow(manifests=store.manifests, blobs=store.blobs, blob_store=store.blob_store, gate=gate)
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="registry")
    tokens = Tokens(store.signing_keys, clock)
    tokens.load()
    identity = Identity(
        accounts=store.accounts,
        projects=store.projects,
        tokens=tokens,
        freshness=store.freshness,
        clock=clock,
        service=SERVICE,
    )

    async def call(work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def authenticate(authorization: str | None, source: str) -> Actor:
        if actors is not None:
            return await call(lambda: actors(authorization))
        known = identity.remembered(authorization)
        return known or await call(lambda: identity.authenticate(authorization, source))

    registry = Registry(
        push=push,
        pull=pull,
        authenticate=authenticate,
        pool=pool,
        public_url="",
        service=SERVICE,
        observe=lambda *_: None,
        body_idle_s=body_idle_s,
    )

    trust = TrustFlow(files=store.trust_files, keys=store.trust_keys, clock=clock, hosts=frozenset({SERVICE}))
    notary = NotaryServer(
        flow=trust,
        gate=gate,
        authenticate=authenticate,
        anonymous=(lambda: actors(None)) if actors is not None else identity.anonymous,
        pool=pool,
        public_url="",
        service=SERVICE,
        observe=lambda *_: None,
    )

    def stop() -> None:
        pool.shutdown()
        store.close()

    tokens_at = token_router(identity, tokens, call, own_hosts=frozenset({SERVICE}))
    site = create_site([tokens_at], on_start=lambda: None, on_stop=stop)
    front = Front(registry, site, notary)
    return Assembly(front, store, push, pull, gate, pool, trust)


class _Prompt(uvicorn.Server):
    """Ends when it is told to, and not at the next tenth of a second: tests start hundreds of them."""

    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  # as uvicorn does
            await asyncio.sleep(0.001)
        await self.lifespan.shutdown()


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """A real server on a loopback port, by default a free one; yields ``HOST:PORT`` until the block ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        config = uvicorn.Config(
            app, loop="uvloop", http=RegistryProtocol, ws="none", access_log=False, log_level="critical"
        )
        server = _Prompt(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            host, port = listener.getsockname()
            yield f"{host}:{port}"
        finally:
            server.should_exit = True
            thread.join()


def basic(name: str, secret: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
