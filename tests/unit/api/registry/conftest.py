from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.server import assemble, serving
from tests.unit.api.registry.rig import Wire, actors

Open = Callable[..., Wire]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Registries with other policies or limits."""
    with ExitStack() as stack:

        def open_one(**options: Any) -> Wire:
            inside = assemble(tmp_path_factory.mktemp("registry"), actors=actors, **options)
            return Wire(stack.enter_context(serving(inside.app)), inside)

        yield open_one


@pytest.fixture(scope="module")
def wire(opened: Open) -> Wire:
    """A registry under a policy that lets all through."""
    return opened()


@pytest.fixture
def uploads_left(wire: Wire) -> Callable[[], int]:
    """How many staged files lie in the data directory."""
    folder: Path = wire.inside.store.blob_store._uploads
    return lambda: len(list(folder.iterdir()))
