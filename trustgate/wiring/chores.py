"""What runs beside the requests: reloading policies, housekeeping, and the checks of ``/readyz``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from threading import Event, Thread

from trustgate.api.metrics import Metrics
from trustgate.errors import TrustgateError
from trustgate.flows.keeping import Keeping
from trustgate.flows.reload import Reload
from trustgate.ports import Clock
from trustgate.settings import Settings
from trustgate.store.opening import Store
from trustgate.wiring.policies import reload_now

KEEPING_INTERVAL_S = 60.0

log = logging.getLogger("trustgate")


def readiness(store: Store, reload: Reload) -> Mapping[str, Callable[[], str]]:
    def storage() -> str:
        store.check()
        return "database answers, blobs can be written"

    def policy() -> str:
        status = reload.status
        if status.last_error is None:
            return f"{status.loaded_revision[:12]} in force ({status.summary})"
        return f"{status.loaded_revision[:12]} in force, DEGRADED: {status.last_error.message}"

    return {"storage": storage, "policy": policy}


def chores(
    settings: Settings, clock: Clock, store: Store, reload: Reload, metrics: Metrics
) -> Sequence[tuple[float, Callable[[], object]]]:
    keeping = Keeping(
        uploads=store.uploads,
        blobs=store.blobs,
        blob_store=store.blob_store,
        judgements=store.judgements,
        decisions=store.decisions,
        keep_decisions=timedelta(days=settings.decision_days),
        clock=clock,
    )
    return (
        (float(settings.policy_interval_s), lambda: reload_now(reload, clock, metrics)),
        (KEEPING_INTERVAL_S, keeping.round),
    )


class Ticker:
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
