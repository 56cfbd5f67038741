"""The text that is signed for a chart, as ``helm package --sign`` writes it: bytes in, bytes out."""

from __future__ import annotations

from typing import Any

import yaml

from trustgate.errors import InvalidInput
from trustgate.evidence.helm.chart import Chart, read_chart
from trustgate.evidence.helm.provenance import SEPARATOR, Provenance, check_belongs, read_provenance
from trustgate.evidence.helm.refusal import HelmRefused


def provenance_text(package: bytes) -> bytes:
    """What has to be clear-signed for a chart. Raises ``InvalidInput`` when it is no chart."""
    try:
        chart = read_chart(package)
    except HelmRefused as exc:
        raise InvalidInput(str(exc), hint="make the chart with: helm package FOLDER") from exc
    metadata = _yaml(dict(chart.metadata.fields))
    files = _yaml({"files": {chart.metadata.file_name: str(chart.digest)}})
    return f"{metadata}\n{SEPARATOR}\n{files}".encode()


def check_signed(provenance: bytes, package: bytes) -> tuple[Provenance, Chart]:
    """What was just signed is read again, as everyone will read it. Raises ``InvalidInput``."""
    try:
        chart = read_chart(package)
        read = read_provenance(provenance)
        check_belongs(read, chart)
    except HelmRefused as exc:
        raise InvalidInput(f"the provenance {exc}") from exc
    return read, chart


def _yaml(document: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(document, allow_unicode=True, default_flow_style=False, width=10_000)
    return text
