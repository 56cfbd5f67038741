"""``docs/cli.md`` is what the parser says, on whatever terminal it was generated."""

from __future__ import annotations

from dataclasses import fields
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.cli.test_manners import commands
from trustgate.settings import Settings

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("columns", ["20", "300"])
def test_the_page_is_up_to_date(generate: ModuleType, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TRUSTGATE_SERVER", "http://somewhere.example")
    page = (DOCS / "cli.md").read_text("utf-8")
    assert generate.cli_page() == page, "run python docs/generate.py"


def test_the_page_has_every_command_and_every_setting() -> None:
    page = (DOCS / "cli.md").read_text("utf-8")
    headings = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")}
    assert {f"trustgate {' '.join(words)}" for words, _ in commands()} <= headings
    assert [setting.name for setting in fields(Settings) if f"| `{setting.name}` |" not in page] == []
    assert "\ncli\n" in (DOCS / "index.md").read_text("utf-8")
