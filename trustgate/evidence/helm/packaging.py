"""A chart as an OCI artifact, as ``helm push`` makes it: bytes in, bytes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trustgate.evidence.helm.chart import Chart
from trustgate.evidence.helm.chart_manifest import CHART_TYPE, CONFIG_TYPE, PROVENANCE_TYPE, chart_layers
from trustgate.evidence.helm.metadata import ChartMetadata
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest
from trustgate.oci.strict_json import Json

_TITLE, _VERSION = "org.opencontainers.image.title", "org.opencontainers.image.version"


@dataclass(frozen=True, slots=True)
class ChartArtifact:
    """A manifest to push, and the blobs that it needs, by digest."""

    manifest: bytes = field(repr=False)
    blobs: Mapping[Digest, bytes] = field(repr=False)


def chart_artifact(
    package: bytes, chart: Chart, provenance: bytes | None, *, created: datetime
) -> ChartArtifact:
    """The chart, with its provenance in the same manifest, where helm looks for it."""
    config = json.dumps(chart.metadata.fields, separators=(",", ":"), ensure_ascii=False).encode()
    blobs = {Digest.of(content): content for content in (config, package, provenance) if content is not None}
    layers = [Descriptor(CHART_TYPE, chart.digest, chart.size)]
    if provenance is not None:
        layers.append(_provenance_layer(provenance))
    described = Descriptor(CONFIG_TYPE, Digest.of(config), len(config))
    return ChartArtifact(_manifest(described, layers, _annotations(chart.metadata, created)), blobs)


def with_provenance(manifest: Manifest, provenance: bytes) -> ChartArtifact:
    """The same chart with this provenance, instead of whatever it had. Raises ``HelmRefused``."""
    layers = chart_layers(manifest)
    raw = _manifest(layers.config, [layers.chart, _provenance_layer(provenance)], manifest.annotations)
    return ChartArtifact(raw, {Digest.of(provenance): provenance})


def _provenance_layer(provenance: bytes) -> Descriptor:
    return Descriptor(PROVENANCE_TYPE, Digest.of(provenance), len(provenance))


def _manifest(config: Descriptor, layers: list[Descriptor], annotations: Mapping[str, str]) -> bytes:
    document: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": config.as_json(),
        "layers": [layer.as_json() for layer in sorted(layers, key=lambda layer: layer.digest)],
        "annotations": dict(annotations),
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _annotations(metadata: ChartMetadata, created: datetime) -> Mapping[str, str]:
    """Helm's own choice, ``generateOCIAnnotations``: a chart's annotations can't change its name."""
    fields = metadata.fields
    sources, maintainers, own = fields.get("sources"), fields.get("maintainers"), fields.get("annotations")
    found: dict[str, Json] = {
        "org.opencontainers.image.description": fields.get("description"),
        "org.opencontainers.image.url": fields.get("home"),
        "org.opencontainers.image.created": created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "org.opencontainers.image.source": sources[0] if isinstance(sources, list) and sources else None,
        "org.opencontainers.image.authors": _authors(maintainers),
        **(own if isinstance(own, dict) else {}),
        _TITLE: metadata.name,
        _VERSION: metadata.version,
    }
    return {key: value for key, value in found.items() if isinstance(value, str) and value.strip()}


def _authors(maintainers: Json) -> str:
    people = maintainers if isinstance(maintainers, list) else []
    named = [person for person in people if isinstance(person, dict)]
    return ", ".join(_author(str(one.get("name", "")), str(one.get("email", ""))) for one in named)


def _author(name: str, email: str) -> str:
    return f"{name} ({email})" if email else name
