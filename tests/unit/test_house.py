"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import trustgate
from trustgate.errors import TrustgateError

ROOT = Path(__file__).parents[2]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
HEAVY = (
    "fastapi",
    "starlette",
    "sqlalchemy",
    "sqlmodel",
    "pydantic",
    "sigstore",
    "httpx",
    "uvicorn",
    "cryptography",
)
ALLOWED_ROOTS = {
    "_Unreadable",
    "Broken",
    "CborRefused",
    "CelRefused",
    "ClientGone",
    "GlobInvalid",
    "HelmNotUnderstood",
    "HelmRefused",
    "IdentityInvalid",
    "JsonRefused",
    "LayerProblem",
    "Malformed",
    "NotTrusted",
    "NotUnderstood",
    "NotationTrustInvalid",
    "PathRefused",
    "PatternRefused",
    "QueryRefused",
    "Refusal",
    "Refused",
    "ScannerError",
    "TimestampRefused",
    "Untrusted",
    "UpdateRefused",
    "YamlRefused",
}
"""Exceptions that never leave their room: each is caught where it is defined, or by its one caller."""


def _product_files() -> Iterator[Path]:
    for folder in ("trustgate", "scanners"):
        yield from (ROOT / folder).rglob("*.py")


@pytest.mark.parametrize("path", list(_product_files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES or _only_routes(node), f"{node.name} has {lines} lines"


def _only_routes(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A router's function is a table of routes: its own lines are counted without theirs."""
    inner = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
    own = (node.end_lineno or 0) - node.lineno - sum((i.end_lineno or 0) - i.lineno for i in inner)
    return bool(inner) and own <= MAX_FUNCTION_LINES


def test_every_error_descends_from_one_root() -> None:
    for module in walk_packages(trustgate.__path__, "trustgate."):
        if not module.name.endswith("__main__"):
            for value in vars(import_module(module.name)).values():
                if (
                    isinstance(value, type)
                    and issubclass(value, Exception)
                    and value.__module__ == module.name
                ):
                    assert issubclass(value, TrustgateError) or value.__name__ in ALLOWED_ROOTS, value


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "trustgate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & set(HEAVY)


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
