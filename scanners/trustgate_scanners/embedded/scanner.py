"""The adapter: inventory in a confined child process, matching here, one report."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from trustgate.scanning import (
    DatabaseStatus,
    Package,
    ScanContext,
    ScannerError,
    ScanReport,
    ScanRequest,
    ScanStatus,
    UpdatableScanner,
)
from trustgate_scanners.embedded.database import AdvisoryDatabase, current_generation
from trustgate_scanners.embedded.importing import import_all
from trustgate_scanners.embedded.matching import coverage, findings

VERSION: Final = "1"
IMAGE_CONFIGS: Final = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
SHOWN_PROBLEMS: Final = 3


class EmbeddedScanner(UpdatableScanner):
    """Packages of Debian, Ubuntu, Alpine, Wolfi, Python, npm and Go; advisories in OSV's format."""

    name = "embedded"
    version = VERSION

    def __init__(self, context: ScanContext) -> None:
        super().__init__(context)
        self._directory = context.data_directory / "advisories"

    def generation(self) -> str:
        path = current_generation(self._directory)
        return path.stem if path else ""

    def import_advisories(
        self,
        sources: Sequence[Path],
        *,
        progress: Callable[[str, int], None],
        now: datetime,
        allow_shrink: bool = False,
    ) -> DatabaseStatus:
        path = import_all(self._directory, sources, progress=progress, now=now, allow_shrink=allow_shrink)
        with AdvisoryDatabase(path) as database:
            return database.status()

    def database_status(self) -> DatabaseStatus | None:
        path = current_generation(self._directory)
        if path is None:
            return None
        with AdvisoryDatabase(path) as database:
            return database.status()

    def _scan(self, request: ScanRequest) -> ScanReport:
        if request.config.media_type not in IMAGE_CONFIGS:
            reason = f"{request.config.media_type[:80]} is not an image's configuration"
            return self._report(request, ScanStatus.UNSUPPORTED, reason, {}, None)
        answer = _inventory(request)
        path = current_generation(self._directory)
        if path is None:
            return self._report(request, *_status(answer), answer, None)
        with AdvisoryDatabase(path) as database:
            return self._report(request, *_status(answer), answer, database)

    def _report(
        self,
        request: ScanRequest,
        status: ScanStatus,
        reason: str,
        answer: dict[str, Any],
        database: AdvisoryDatabase | None,
    ) -> ScanReport:
        packages = tuple(Package(**item) for item in answer.get("packages", ()))
        state = database.status() if database else None
        return ScanReport(
            scanner=self.name,
            scanner_version=self.version,
            subject=request.manifest.digest,
            scanned_at=request.now,
            status=status,
            reason=reason,
            database=state.generation if state else "",
            database_at=state.updated_at if state else None,
            os=str(answer.get("os", "")),
            packages=packages,
            findings=findings(packages, database) if database else (),
            coverage=coverage(packages, database),
        )


def _status(answer: dict[str, Any]) -> tuple[ScanStatus, str]:
    problems = answer["problems"]
    if not problems:
        return ScanStatus.OK, ""
    more = f" and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
    return ScanStatus.PARTIAL, "; ".join(problems[:SHOWN_PROBLEMS]) + more


def _inventory(request: ScanRequest) -> dict[str, Any]:
    """Run the child. Raises ``ScannerError`` when it dies, takes too long or talks nonsense."""
    layers = [{"digest": str(layer.digest), "path": str(layer.path)} for layer in request.layers]
    question = json.dumps({"layers": layers, "deadline_s": request.deadline_s}).encode()
    child = subprocess.Popen(
        [sys.executable, "-I", "-m", "trustgate_scanners.embedded.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
        start_new_session=True,
    )
    try:
        output, _none = child.communicate(question, timeout=request.deadline_s + 10)
    except subprocess.TimeoutExpired as exc:
        raise ScannerError(
            "timeout", f"reading the layers took more than {request.deadline_s:.0f} s"
        ) from exc
    finally:
        _kill(child)
    if child.returncode != 0:
        raise ScannerError("crash", f"the layer reader ended with {child.returncode}")
    return _parsed(output)


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def _parsed(output: bytes) -> dict[str, Any]:
    if len(output) > MAX_ANSWER_BYTES:
        raise ScannerError("limit", "the layer reader's answer is too large")
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError as exc:
        raise ScannerError("crash", "the layer reader's answer is not JSON") from exc
    return answer
