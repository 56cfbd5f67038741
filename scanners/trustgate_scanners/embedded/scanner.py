"""The adapter: inventory in a confined child process, matching here, one report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from trustgate.scanning import (
    DatabaseStatus,
    ScanContext,
    ScanReport,
    ScanRequest,
    ScanStatus,
    UpdatableScanner,
)
from trustgate_scanners.embedded.child import Answer, read_layers
from trustgate_scanners.embedded.database import AdvisoryDatabase, current_generation, reading
from trustgate_scanners.embedded.importing import import_all
from trustgate_scanners.embedded.matching import coverage, findings

VERSION: Final = "1"
IMAGE_CONFIGS: Final = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
_LAYER_PREFIXES: Final = (
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.",
)
SHOWN_PROBLEMS: Final = 3
SHOWN_CHARACTERS: Final = 80


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
        with reading(path) as database:
            return database.status()

    def database_status(self) -> DatabaseStatus | None:
        path = current_generation(self._directory)
        if path is None:
            return None
        with reading(path) as database:
            return database.status()

    def _scan(self, request: ScanRequest) -> ScanReport:
        unsupported = _why_unsupported(request)
        if unsupported:
            return self._report(request, ScanStatus.UNSUPPORTED, unsupported, _NOTHING, None)
        answer = read_layers(request)
        path = current_generation(self._directory)
        if path is None:
            return self._report(request, *_status(answer), answer, None)
        with reading(path) as database:
            return self._report(request, *_status(answer), answer, database)

    def _report(
        self,
        request: ScanRequest,
        status: ScanStatus,
        reason: str,
        answer: Answer,
        database: AdvisoryDatabase | None,
    ) -> ScanReport:
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
            os=answer.os,
            packages=answer.packages,
            findings=findings(answer.packages, database) if database else (),
            coverage=coverage(answer.packages, answer.unread_system, database),
        )


_NOTHING: Final = Answer(os="", packages=(), problems=(), unread_system="")


def _why_unsupported(request: ScanRequest) -> str:
    """Charts, signatures and attestations are no images, also those that carry an image's configuration."""
    config = request.config.media_type
    if config not in IMAGE_CONFIGS:
        return f"{config[:SHOWN_CHARACTERS]} is not an image's configuration"
    types = [layer.media_type for layer in request.layers]
    if types and not any(name.startswith(_LAYER_PREFIXES) for name in types):
        return f"{types[0][:SHOWN_CHARACTERS]} is not an image's layer"
    return ""


def _status(answer: Answer) -> tuple[ScanStatus, str]:
    problems = answer.problems
    if not problems:
        return ScanStatus.OK, ""
    more = f" and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
    return ScanStatus.PARTIAL, "; ".join(problems[:SHOWN_PROBLEMS]) + more
