"""README's transcript is what the demo prints."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.interop.world import run

README = Path(__file__).resolve().parents[2] / "README.md"
_VARIABLE = (
    (re.compile(r"localhost:\d+"), "localhost:PORT"),
    (re.compile(r"\d+\.\d s"), "N s"),
    (re.compile(r"/d/[0-9A-Z]{26}"), "/d/DECISION"),
    (re.compile(r"[ ]+\n"), "\n"),
)


def _settled(text: str) -> list[str]:
    for pattern, replacement in _VARIABLE:
        text = pattern.sub(replacement, text)
    return [" ".join(line.split()) for line in text.strip().splitlines()]


@pytest.mark.interop
def test_the_demo_prints_what_readme_says(tmp_path: Path) -> None:
    done = run(
        [sys.executable, "-m", "trustgate", "demo", "--once"],
        {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        tmp_path,
    )
    blocks = re.findall(r"```text\n(1/6 .*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 1
    assert _settled(done.stdout) == _settled(blocks[0])
