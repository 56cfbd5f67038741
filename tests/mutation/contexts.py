"""A pytest plugin: what is covered is noted under the test that reached it, its fixtures included.

Writes a line ``SECONDS<tab>TEST`` for each into the folder ``$TRUSTGATE_REACH``, one file a process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    measured = coverage.Coverage.current()
    if measured is None:
        return (yield)
    measured.switch_context(item.nodeid)
    start = time.monotonic()
    answer = yield
    measured.switch_context("")
    times = Path(os.environ["TRUSTGATE_REACH"], f"times.{os.getpid()}")
    with times.open("a", encoding="utf-8") as file:
        file.write(f"{time.monotonic() - start:.3f}\t{item.nodeid}\n")
    return answer
