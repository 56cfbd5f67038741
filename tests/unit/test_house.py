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


JUDGED_WHOLE = {"ocsp.py", "crl.py", "revocation.py"}
"""Of Notation: their one way in catches all that ``MALFORMED`` names, or they read what was read before."""


@pytest.mark.parametrize("path", sorted((ROOT / "trustgate" / "evidence").rglob("*.py")), ids=str)
def test_keys_and_certificates_are_made_of_bytes_under_malformed(path: Path) -> None:
    """``cryptography`` answers some foreign bytes with what is no ``ValueError``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    caught = {
        call
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) and any("MALFORMED" in _types(one) for one in node.handlers)
        for part in node.body
        for call in _loads(part)
    }
    assert path.name in JUDGED_WHOLE or set(_loads(tree)) == caught


def _types(handler: ast.ExceptHandler) -> str:
    """Its types; private_key.py has a list of its own that holds the shared one."""
    return ast.unparse(handler.type).replace("_UNREADABLE", "MALFORMED") if handler.type else ""


def _loads(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr.startswith(("load_pem_", "load_der_")):
            yield node


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
