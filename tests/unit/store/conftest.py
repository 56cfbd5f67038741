from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clocks import SetClock
from trustgate.store.opening import Store, open_store


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(tmp_path: Path, clock: SetClock) -> Iterator[Store]:
    opened = open_store(tmp_path / "data", clock)
    yield opened
    opened.close()
