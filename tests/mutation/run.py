"""Take each check away, one at a time, and see a test go red.

    python -m tests.mutation.run [ROOM ...] [--jobs N] [--only FILE] [--reach FOLDER]

A mutant is one ``if`` whose condition became ``False`` (the check never speaks), or one operand of an ``and``
or ``or`` that was left out. Each runs in a copy of the tree with those unit tests that reach its line; they
are measured first, in one run of the suite, which ``--reach`` keeps for a second time. Prints survivors, a
line for each room and ``N killed, M survived``; ends with 1 when one survived that is not named in ``KNOWN``.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import local

import pytest

from tests.mutation.reach import Reach, measure, read

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 900
FIRST = 60
"""Tests that are asked before all the others."""
ROOMS: dict[str, tuple[str, ...]] = {
    "gate": (
        "trustgate/api/hot.py",
        "trustgate/flows/access.py",
        "trustgate/flows/admit.py",
        "trustgate/flows/attestations.py",
        "trustgate/flows/gather.py",
        "trustgate/flows/pull.py",
        "trustgate/flows/signatures.py",
        "trustgate/flows/stored_evidence.py",
        "trustgate/flows/verdict_cache.py",
    ),
    "evidence": ("trustgate/evidence/*.py",),
    "sigstore": ("trustgate/evidence/sigstore/*.py",),
    "helm": (
        "trustgate/evidence/helm/*.py",
        "trustgate/flows/chart_evidence.py",
        "trustgate/remote/gpg_status.py",
    ),
    "notation": (
        "trustgate/evidence/notation/*.py",
        "trustgate/flows/verify_notation.py",
        "trustgate/remote/public_http.py",
        "trustgate/remote/revocation.py",
    ),
    "notary": (
        "trustgate/evidence/notary/*.py",
        "trustgate/flows/notary.py",
        "trustgate/flows/notary_evidence.py",
        "trustgate/store/freshness.py",
    ),
    "pkcs11": (
        "trustgate/evidence/pkcs11/*.py",
        "trustgate/flows/signed_bytes.py",
        "trustgate/remote/pkcs11*.py",
        "trustgate/cli/token_key.py",
    ),
    "policy": ("trustgate/policy/*.py", "trustgate/policy/checks/*.py"),
}
_PATH, _TOKEN = "trustgate/evidence/certificate_path.py: ", "trustgate/evidence/timestamp_token.py: "
_TRUST, _WEIGHING = "trustgate/evidence/trust_contents.py: ", "trustgate/evidence/weighing.py: "
KNOWN: dict[str, str] = {
    f"{_PATH}candidate.subject != child.issuer -> False": "names are compared again with the signature",
    f"{_PATH}candidate in path -> False": "paths are bounded",
    "trustgate/evidence/shape.py: manifest.config is not None -> True": "what is no index has a config",
    f'{_TOKEN}mask["algorithm"].native != "mgf1" -> False': "parameters of another mask can't be read",
    f"{_TOKEN}not isinstance(found, datetime) or found.utcoffset() != timedelta() -> False": "never read so",
    f"{_TOKEN}not isinstance(found, datetime) -> False": "asn1crypto gives nothing else",
    f"{_TOKEN}found.utcoffset() != timedelta() -> False": "asn1crypto gives nothing else",
    f"{_TOKEN}0 -> False": "the same number",
    f"{_TRUST}one.not_after is not None -> True": "what is over has an end: for the types",
    f'{_WEIGHING}b"" -> False': "content without signed bytes is refused before: for the types",
    f"{_WEIGHING}not claim.witnesses -> False": "no witnesses prove nothing either way",
    f"{_WEIGHING}vote.found is None -> False": "only keys have votes without it: for the types",
    f"{_WEIGHING}not isinstance(trust, KeylessTrust) -> False": "only keys have votes without a certificate",
}
"""``file: what`` of survivors that change nothing which can be seen, and why."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file."""

    path: str
    line: int
    last: int
    what: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.path}: {self.what}"


def mutants(path: str) -> Iterator[Mutant]:
    """Every check of a file, taken away."""
    source = (ROOT / path).read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If):
            if ast.unparse(node.test) == "TYPE_CHECKING":
                continue
            yield _replaced(path, source, node.test, "False")
        elif isinstance(node, ast.BoolOp) and len(node.values) > 1:
            for value in node.values:
                neutral = "True" if isinstance(node.op, ast.And) else "False"
                yield _replaced(path, source, value, neutral)


def _replaced(path: str, source: str, node: ast.expr, new: str) -> Mutant:
    lines = source.splitlines(keepends=True)
    start = sum(len(line.encode()) for line in lines[: node.lineno - 1]) + node.col_offset
    end = sum(len(line.encode()) for line in lines[: (node.end_lineno or 1) - 1]) + (node.end_col_offset or 0)
    raw = source.encode()
    old = " ".join(raw[start:end].decode().split())
    text = (raw[:start] + new.encode() + raw[end:]).decode()
    return Mutant(path, node.lineno, node.end_lineno or node.lineno, f"{old[:70]} -> {new}", text)


class Copies:
    """A copy of the tree for each thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = local()
        self._count = 0

    def mine(self) -> Path:
        if not hasattr(self._threads, "path"):
            self._count += 1
            path = self._folder / f"copy-{self._count}"
            skipped = shutil.ignore_patterns(".git", ".venv", ".clients", "*_cache", "trustgate-*", "_build")
            shutil.copytree(ROOT, path, ignore=skipped)
            self._threads.path = path
        found: Path = self._threads.path
        return found


def environment(copy: Path) -> dict[str, str]:
    """What tests in a copy of the tree need."""
    return {
        "PYTHONPATH": f"{copy}:{copy / 'scanners'}",
        "PATH": "/usr/bin:/bin",
        "HOME": str(copy),
        "TRUSTGATE_SHARED": os.environ.get("TRUSTGATE_SHARED", str(ROOT.parent / "shared")),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def survives(mutant: Mutant, reach: Reach, copies: Copies) -> bool:
    """Whether the tests that reach the check stay green without it; those of its own file are asked first."""
    copy = copies.mine()
    target = copy / mutant.path
    tests = reach.tests(mutant.path, mutant.line, mutant.last)
    if not tests:
        return True
    original = target.read_text("utf-8")
    target.write_text(mutant.text, "utf-8")
    stem = Path(mutant.path).stem
    try:
        return _green(copy, sorted(tests, key=lambda test: stem not in test.partition("::")[0]))
    except subprocess.TimeoutExpired:
        return False
    finally:
        target.write_text(original, "utf-8")


def _green(copy: Path, tests: Sequence[str]) -> bool:
    """In two steps: most mutants are noticed by one of the first, and to collect the others takes time."""
    return all(_pass(copy, some) for some in (tests[:FIRST], tests[FIRST:]) if some)


def _pass(copy: Path, tests: Sequence[str]) -> bool:
    named = copy / "tests.txt"
    named.write_text("\n".join(tests), "utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"@{named}"]
    done = subprocess.run(
        command, cwd=copy, env=environment(copy), capture_output=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}:
        return done.returncode == pytest.ExitCode.OK
    if any("::" in test for test in tests):  # a name that pytest can't find again: ask the whole files
        return _pass(copy, tuple(dict.fromkeys(test.partition("::")[0] for test in tests)))
    raise RuntimeError(f"pytest could not be asked: {done.stdout[-2000:]!r}")


def measured(copies: Copies, folder: Path, workers: int) -> Reach:
    """Which tests reach what; from ``folder``, if it was measured before."""
    tree = copies.mine()
    if not any(folder.glob("data.*")):
        measure(tree, environment(tree), folder, workers)
    return read(folder)


def main() -> int:
    asked = argparse.ArgumentParser(prog="tests.mutation.run")
    asked.add_argument("rooms", nargs="*", choices=[*ROOMS, []], metavar="ROOM")
    asked.add_argument("--only", default="", metavar="FILE")
    asked.add_argument("--jobs", type=int, default=2, metavar="N")
    asked.add_argument("--reach", type=Path, metavar="FOLDER")
    given = asked.parse_args()
    left: list[Mutant] = []
    killed = 0
    with (
        tempfile.TemporaryDirectory(prefix="trustgate-mutants-") as folder,
        ThreadPoolExecutor(given.jobs) as pool,
    ):
        copies = Copies(Path(folder))
        reach = measured(copies, given.reach or Path(folder, "reach"), given.jobs)
        for room in given.rooms or list(ROOMS):
            work = [(one, pool.submit(survives, one, reach, copies)) for one in of_room(room, given.only)]
            survivors = [mutant for mutant, outcome in work if outcome.result() and tell(mutant)]
            print(f"{room}: {len(work) - len(survivors)} killed, {len(survivors)} survived", flush=True)
            killed += len(work) - len(survivors)
            left += survivors
    print(f"{killed} killed, {len(left)} survived")
    return 1 if any(one.name not in KNOWN for one in left) else 0


def tell(survivor: Mutant) -> bool:
    """Say it at once: a run takes long."""
    why = KNOWN.get(survivor.name, "")
    print(f"SURVIVED {survivor.path}:{survivor.line}  {survivor.what}  {why}", flush=True)
    return True


def of_room(room: str, only: str) -> Iterator[Mutant]:
    for pattern in ROOMS[room]:
        for file in sorted(ROOT.glob(pattern)):
            path = str(file.relative_to(ROOT))
            if only in path:
                yield from mutants(path)


if __name__ == "__main__":
    sys.exit(main())
