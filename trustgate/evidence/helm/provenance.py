"""What a provenance says: the chart's metadata, and the one package that it vouches for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trustgate.evidence.helm.chart import Chart
from trustgate.evidence.helm.clear_sign import read_clear_signed
from trustgate.evidence.helm.metadata import ChartMetadata, read_metadata
from trustgate.evidence.helm.packets import SignaturePacket
from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.evidence.helm.yaml_text import Node, Scalar, read_mapping

SEPARATOR: Final = "..."
"""YAML's own mark between documents, three dashes, would have to be escaped in a clear-signed text."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The signed text, taken apart. Nobody has verified its signature yet."""

    metadata: ChartMetadata
    file_name: str
    file_digest: str
    """As it stands there: ``sha256:`` and hex."""
    signed: bytes
    signature: SignaturePacket


def read_provenance(raw: bytes) -> Provenance:
    """Raises ``HelmRefused`` or ``HelmNotUnderstood``."""
    message = read_clear_signed(raw)
    parts = "\n".join(message.lines).split(f"\n{SEPARATOR}\n")
    if len(parts) != 2:
        raise HelmRefused(
            f"must have two parts, metadata and files, with a line '{SEPARATOR}' between; has {len(parts)}"
        )
    name, digest = _file(parts[1])
    metadata = read_metadata(parts[0], "its metadata")
    return Provenance(metadata, name, digest, message.signed, message.signature)


def _file(text: str) -> tuple[str, str]:
    """The only entry of ``files``. Helm takes the last of two equal keys, and any further file."""
    document = read_mapping(text, "its list of files")
    files: Node | None = document.get("files")
    if set(document) != {"files"} or not isinstance(files, dict) or len(files) != 1:
        raise HelmRefused("must list exactly one file, and nothing else, after its metadata")
    name, digest = next(iter(files.items()))
    if not isinstance(digest, Scalar):
        raise HelmRefused("lists a file without a digest")
    return name, digest.text


def check_belongs(provenance: Provenance, chart: Chart) -> None:
    """Whether it is about this very chart, whoever signed it. Raises ``HelmRefused``."""
    metadata = chart.metadata
    # 1. The bytes, under the chart's own name: helm compares only these two.
    if provenance.file_name != metadata.file_name:
        raise HelmRefused(
            f"is for {provenance.file_name[:80]!a}, and the chart is {metadata.file_name[:80]!a}"
        )
    if provenance.file_digest != str(chart.digest):
        raise HelmRefused(
            f"is for a package with the digest {provenance.file_digest[:71]!a}, "
            f"and the chart has {chart.digest}"
        )
    # 2. The metadata, which helm shows to people and does not compare.
    different = provenance.metadata.difference(metadata)
    if different:
        raise HelmRefused(f"and the chart's own Chart.yaml do not say the same of {different[:40]!a}")
