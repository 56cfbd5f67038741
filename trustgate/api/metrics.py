"""What is counted: Prometheus metrics with bounded labels (never a digest, tag, user or CVE)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from platform import python_version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from trustgate import __version__
from trustgate.api.exchange import Receive, Scope, Send, send_reply
from trustgate.policy.model import RuleOutcome, Verdict

_DECISION_BUCKETS_S = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.15, 0.5, 2.0)


class Metrics:
    """One registry object a server; no globals."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Gauge("trustgate_build_info", "Always 1.", ["version", "python"], registry=self.registry)
        build.labels(__version__, python_version()).set(1)
        self._requests = Counter(
            "trustgate_http_requests",
            "Requests to the registry.",
            ["route", "method", "code"],
            registry=self.registry,
        )
        self._decisions = Counter(
            "trustgate_decisions", "Decisions of the gate.", ["verdict", "rule"], registry=self.registry
        )
        self._seconds = Histogram(
            "trustgate_decision_duration_seconds",
            "From question to verdict, cache misses.",
            buckets=_DECISION_BUCKETS_S,
            registry=self.registry,
        )
        self._cached = Counter(
            "trustgate_decisions_cached", "Decisions that were answered from memory.", registry=self.registry
        )
        self._policy = Gauge(
            "trustgate_policy_info",
            "1 for the policy revision in force.",
            ["revision"],
            registry=self.registry,
        )
        self.policy_load_failures = Counter(
            "trustgate_policy_load_failures", "Policy revisions that did not load.", registry=self.registry
        )
        self._jobs = Gauge(
            "trustgate_jobs", "Jobs by kind and state.", ["kind", "state"], registry=self.registry
        )
        self._scans = Counter(
            "trustgate_scan_jobs", "Scans that ended.", ["scanner", "result"], registry=self.registry
        )
        self._count_jobs: Callable[[], Mapping[tuple[str, str], int]] = dict
        self._allowed = self._decisions.labels("allow", "")

    def requested(self, route: str, method: str, status: int) -> None:
        known = method if method in {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"} else "other"
        self._requests.labels(route, known, str(status)).inc()

    def decided(self, verdict: Verdict, seconds: float, cached: bool) -> None:
        """Counted once for an allow, and once a failing rule otherwise."""
        if verdict.kind == "allow":
            self._allowed.inc()
        else:
            for result in verdict.worst:
                if result.outcome is not RuleOutcome.PASS:
                    self._decisions.labels(str(verdict.kind), result.rule).inc()
        if cached:
            self._cached.inc()
        else:
            self._seconds.observe(seconds)

    def policy_loaded(self, revision: str) -> None:
        self._policy.clear()
        self._policy.labels(revision[:80]).set(1)

    def scanned(self, scanner: str, result: str) -> None:
        self._scans.labels(scanner, result).inc()

    def count_jobs_with(self, count: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """How to count jobs, asked at each scrape."""
        self._count_jobs = count

    def text(self) -> bytes:
        """The exposition, in Prometheus' text format."""
        self._jobs.clear()
        for (kind, state), number in self._count_jobs().items():
            self._jobs.labels(kind, state).set(number)
        return generate_latest(self.registry)


class MetricsApp:
    """``GET /metrics`` on a listener of its own."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != "/metrics":
            await send_reply(send, 404, [("content-type", "text/plain")], b"metrics are at /metrics\n")
            return
        await send_reply(send, 200, [("content-type", CONTENT_TYPE_LATEST)], self._metrics.text())
