"""A short run of ``tests.crash.kill``: one kill at each stage. The long one is run by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.kill import STAGES, rounds


@pytest.mark.timeout(300)
def test_kill_at_every_stage_of_a_push(tmp_path: Path) -> None:
    assert tuple(rounds(len(STAGES), tmp_path, seed=1)) == STAGES
