"""The smallest assembly that is a registry: store, gate, flows and the face, with one user.

The gate is the real one, under a policy that lets everything through: what is tried here is the protocol.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from trustgate.api.app import Front, create_site
from trustgate.api.registry import Registry
from trustgate.errors import Unauthorized
from trustgate.flows.access import ANONYMOUS, Actor
from trustgate.flows.admit import Gate, GateLinks
from trustgate.flows.gather import Gatherer
from trustgate.flows.pull import PullFlow
from trustgate.flows.push import PushFlow
from trustgate.policy.document import PolicySet, load
from trustgate.policy.model import Caller
from trustgate.store.opening import Store, open_store

USER = "conformance"
PASSWORD = "a-password-of-this-test-only"
THREADS = 8
OPEN_POLICY = b"""\
apiVersion: trustgate.dev/v1
kind: Root
defaults:
  noMatch: {pull: allow, push: allow, delete: allow}
"""


class SystemClock:
    """The port ``Clock``, by the machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()


@dataclass(frozen=True, slots=True)
class Assembly:
    """A registry and its inside, for tests that look."""

    app: Front
    store: Store
    push: PushFlow
    pull: PullFlow
    gate: Gate
    pool: Executor


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
    public_url: str = "",
) -> Assembly:
    """Everything on ``data``. ``actors`` maps an Authorization header to a caller."""
    clock = SystemClock()
    store = open_store(data, clock)
    allowed = open_policies()
    gate = Gate(
        gatherer=Gatherer(
            manifests=store.manifests, blobs=store.blobs, blob_store=store.blob_store, reports=store.reports
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
        clock=clock,
        jobs_for=lambda *_: (),
        sparse_indexes=sparse_indexes,
    )
    pull = PullFlow(manifests=store.manifests, blobs=store.blobs, blob_store=store.blob_store, gate=gate)
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="registry")
    identify = actors or one_user

    async def authenticate(authorization: str | None, _source: str) -> Actor:
        return await asyncio.get_running_loop().run_in_executor(pool, identify, authorization)

    registry = Registry(
        push=push,
        pull=pull,
        authenticate=authenticate,
        pool=pool,
        public_url=public_url,
        service="registry.test",
        observe=lambda *_: None,
        body_idle_s=body_idle_s,
    )
    site = create_site([], on_start=lambda: None, on_stop=lambda: None)
    return Assembly(Front(registry, site), store, push, pull, gate, pool)


def basic(name: str, secret: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def one_user(authorization: str | None) -> Actor:
    """The user above as an administrator, and nobody else. Raises ``Unauthorized``."""
    if not authorization:
        return Actor(caller=Caller(ANONYMOUS))
    if authorization != basic(USER, PASSWORD):
        raise Unauthorized("wrong user name or password")
    return Actor(caller=Caller(USER), is_admin=True, may_list_catalog=True)
