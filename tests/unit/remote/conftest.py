from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.simulators.registry import SimulatedRegistry
from trustgate.remote import repository_session as client_module


@pytest.fixture
def simulator() -> Iterator[SimulatedRegistry]:
    with SimulatedRegistry() as simulated:
        yield simulated


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of the client, a hundred times shorter."""
    monkeypatch.setattr(client_module, "TIMEOUT", httpx.Timeout(0.3))
    monkeypatch.setattr(client_module, "BACKOFF_S", 0.005)
    monkeypatch.setattr(client_module, "MAX_WAIT_S", 1.5)
    monkeypatch.setattr("trustgate.remote.wire.GRACE_S", 0.2)
