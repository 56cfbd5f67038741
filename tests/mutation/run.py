"""Take each check away, one at a time, and see a test go red.

    python -m tests.mutation.run [gate|evidence|sigstore|policy] [--jobs N] [--only FILE]

A mutant is one ``if`` whose condition became ``False`` (the check never speaks), or one operand of an ``and``
or ``or`` that was left out. Each runs in a copy of the tree with the tests that guard its room. Prints the
survivors and a line ``N killed, M survived``; exit code 1 when one survived that is not named in ``KNOWN``.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import local

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 240
ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "gate": (
        (
            "trustgate/flows/admit.py",
            "trustgate/flows/attestations.py",
            "trustgate/flows/gather.py",
            "trustgate/flows/signatures.py",
            "trustgate/flows/verdict_cache.py",
            "trustgate/flows/access.py",
            "trustgate/flows/pull.py",
            "trustgate/api/hot.py",
        ),
        ("tests/unit/api/test_hot.py", "tests/unit/flows", "tests/unit/gate", "tests/unit/api"),
    ),
    "evidence": (
        tuple(
            f"trustgate/evidence/{name}.py"
            for name in (
                "archive",
                "attestation",
                "attestor",
                "bundle",
                "cosign",
                "dsse",
                "keys",
                "shape",
                "signature_bytes",
            )
        ),
        ("tests/unit/evidence",),
    ),
    "sigstore": (
        (
            *(
                f"trustgate/evidence/{name}.py"
                for name in (
                    "attestation",
                    "certificate_path",
                    "cosign_claim",
                    "timestamp",
                    "timestamp_token",
                    "weighing",
                )
            ),
            *(
                f"trustgate/evidence/sigstore/{name}.py"
                for name in (
                    "artifact",
                    "certificate",
                    "checkpoint",
                    "content",
                    "entry",
                    "entry_body",
                    "fields",
                    "log",
                    "log_signature",
                    "merkle",
                    "pattern",
                    "sct",
                    "second_judge",
                    "seen",
                    "trust",
                    "trusted_root",
                    "verify",
                )
            ),
        ),
        tuple(
            f"tests/unit/evidence/test_{name}.py"
            for name in (
                "keyless",
                "key_witnesses",
                "keyless_trust",
                "artifact",
                "attestation",
                "second_judge",
                "certificate_path",
                "timestamp",
                "pattern",
                "judge_bundle",
                "judge_legacy",
                "judge_signer",
                "sigstore_properties",
                "against_cosign_faults",
            )
        ),
    ),
    "helm": (
        (
            *(
                f"trustgate/evidence/helm/{name}.py"
                for name in (
                    "armor",
                    "chart",
                    "chart_manifest",
                    "clear_sign",
                    "judge",
                    "metadata",
                    "packets",
                    "provenance",
                    "trust",
                    "yaml_text",
                )
            ),
            "trustgate/flows/chart_evidence.py",
            "trustgate/remote/gpg_status.py",
        ),
        (
            "tests/unit/remote/test_gpg.py",
            "tests/unit/evidence/helm",
            "tests/unit/flows/test_chart_evidence.py",
        ),
    ),
    "notation": (
        (
            *(
                f"trustgate/evidence/notation/{name}.py"
                for name in (
                    "algorithms",
                    "attributes",
                    "cbor",
                    "certificates",
                    "cose",
                    "crl",
                    "envelope",
                    "identity",
                    "judge",
                    "jws",
                    "manifest",
                    "ocsp",
                    "payload",
                    "revocation",
                    "trust",
                    "trust_policy",
                )
            ),
            "trustgate/flows/verify_notation.py",
            "trustgate/remote/public_http.py",
            "trustgate/remote/revocation.py",
        ),
        (
            "tests/unit/evidence/notation",
            "tests/unit/flows/test_verify_notation.py",
            "tests/unit/remote/test_revocation.py",
        ),
    ),
    "policy": (
        (
            "trustgate/policy/engine.py",
            "trustgate/policy/policy_set.py",
            "trustgate/policy/predicate_types.py",
            "trustgate/policy/rules.py",
            *(
                f"trustgate/policy/checks/{name}.py"
                for name in (
                    "attestation",
                    "conditions",
                    "content_trust",
                    "counting",
                    "immutability",
                    "reach",
                    "requirements",
                    "severity",
                    "shortfall",
                )
            ),
        ),
        ("tests/unit/policy",),
    ),
}
KNOWN: dict[str, str] = {
    "trustgate/evidence/certificate_path.py:119": "names are compared again, and paths are bounded",
}
"""``file:line`` of survivors that change nothing which can be seen, and why."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file."""

    path: str
    line: int
    what: str
    text: str


def mutants(path: str) -> Iterator[Mutant]:
    """Every check of a file, taken away."""
    source = (ROOT / path).read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If):
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
    return Mutant(path, node.lineno, f"{old[:70]} -> {new}", text)


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


def survives(mutant: Mutant, tests: tuple[str, ...], copies: Copies) -> bool:
    """Whether the tests stay green without the check."""
    copy = copies.mine()
    target = copy / mutant.path
    original = target.read_text("utf-8")
    target.write_text(mutant.text, "utf-8")
    environment = {
        "PYTHONPATH": f"{copy}:{copy / 'scanners'}",
        "PATH": "/usr/bin:/bin",
        "HOME": str(copy),
        "TRUSTGATE_SHARED": os.environ.get("TRUSTGATE_SHARED", str(ROOT.parent / "shared")),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        return all(_green(copy, environment, some) for some in (nearest(mutant.path, tests), tests) if some)
    except subprocess.TimeoutExpired:
        return False
    finally:
        target.write_text(original, "utf-8")


def nearest(path: str, tests: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the tests that bear the file's name: they are asked first, and mostly they know."""
    stem = Path(path).stem
    files = (found for one in tests for found in (ROOT / one, *(ROOT / one).rglob("test_*.py")))
    return tuple(str(found.relative_to(ROOT)) for found in files if stem in found.stem)


def _green(copy: Path, environment: dict[str, str], tests: tuple[str, ...]) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False
    )
    return done.returncode == 0


def main() -> int:
    rooms = [name for name in sys.argv[1:] if name in ROOMS] or list(ROOMS)
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    jobs = int(sys.argv[sys.argv.index("--jobs") + 1]) if "--jobs" in sys.argv else 2
    killed, left = 0, []
    with tempfile.TemporaryDirectory(prefix="trustgate-mutants-") as folder:
        copies = Copies(Path(folder))
        with ThreadPoolExecutor(jobs) as pool:
            work = [
                (mutant, pool.submit(survives, mutant, ROOMS[room][1], copies))
                for room in rooms
                for path in ROOMS[room][0]
                if only in path
                for mutant in mutants(path)
            ]
            for mutant, outcome in work:
                if outcome.result():
                    left.append(mutant)
                    print(f"SURVIVED {mutant.path}:{mutant.line}  {mutant.what}", flush=True)
                else:
                    killed += 1
    print(f"{killed} killed, {len(left)} survived")
    return 1 if any(f"{m.path}:{m.line}" not in KNOWN for m in left) else 0


if __name__ == "__main__":
    sys.exit(main())
