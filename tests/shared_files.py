"""Fixtures that are too large or too public to live in this repository: signatures by real clients,
advisories. They lie in ``shared/`` beside the checkout, or where ``TRUSTGATE_SHARED`` points."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("TRUSTGATE_SHARED") or Path(__file__).parents[2] / "shared")


def shared(*parts: str) -> Path:
    """A path below ``shared/``; the test is skipped when it is not there."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip(
            f"{path} is not there: set TRUSTGATE_SHARED to the folder that holds fixtures/ and advisories/"
        )
    return path
