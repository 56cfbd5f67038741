"""Data directories with their tables made: what migrations do is tested in unit/store."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clocks import SetClock
from trustgate.store.opening import DATABASE_FILE, open_store


def begun(folder: Path) -> Path:
    """``folder``, as a first start leaves its tables."""
    database = folder / DATABASE_FILE
    if not database.exists():
        folder.mkdir(parents=True, exist_ok=True)
        database.write_bytes(_empty())
    return folder


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as made:
        folder = Path(made)
        open_store(folder, SetClock()).close()
        return (folder / DATABASE_FILE).read_bytes()
