"""A chart as an OCI artifact: one config, one package, at most one provenance (helm HIP-0006)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trustgate.evidence.helm.chart import MAX_CHART_BYTES, Chart
from trustgate.evidence.helm.clear_sign import MAX_PROVENANCE_BYTES
from trustgate.evidence.helm.metadata import ChartMetadata, metadata_of
from trustgate.evidence.helm.refusal import HelmNotUnderstood, HelmRefused
from trustgate.evidence.helm.yaml_text import Node, Scalar
from trustgate.oci.manifest import Descriptor, Manifest
from trustgate.oci.strict_json import Json, JsonRefused, loads

CONFIG_TYPE: Final = "application/vnd.cncf.helm.config.v1+json"
CHART_TYPE: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
LEGACY_CHART_TYPE: Final = "application/tar+gzip"
PROVENANCE_TYPE: Final = "application/vnd.cncf.helm.chart.provenance.v1.prov"
MAX_CONFIG_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ChartLayers:
    """Where a chart manifest keeps what. ``provenance`` is ``None`` for a chart that is not signed."""

    config: Descriptor
    chart: Descriptor
    provenance: Descriptor | None


def is_chart(manifest: Manifest) -> bool:
    """Whether helm would take it for a chart; it may still be a broken one."""
    return manifest.config is not None and manifest.config.media_type == CONFIG_TYPE


def has_provenance(manifest: Manifest) -> bool:
    """Whether it brings one, or several; ``chart_layers`` says whether they belong there."""
    return is_chart(manifest) and any(layer.media_type == PROVENANCE_TYPE for layer in manifest.layers)


def chart_layers(manifest: Manifest) -> ChartLayers:
    """Raises ``HelmRefused``: of two layers helm takes the last, of none it takes nothing."""
    if manifest.config is None or not is_chart(manifest):
        raise HelmRefused(f"a chart's config has the type {CONFIG_TYPE}")
    charts = [layer for layer in manifest.layers if layer.media_type in {CHART_TYPE, LEGACY_CHART_TYPE}]
    provenances = [layer for layer in manifest.layers if layer.media_type == PROVENANCE_TYPE]
    if len(charts) != 1:
        raise HelmRefused(f"a chart's manifest has one chart layer; this one has {len(charts)}")
    if len(provenances) > 1:
        raise HelmRefused(f"a chart's manifest has at most one provenance; this one has {len(provenances)}")
    if len(charts) + len(provenances) != len(manifest.layers):
        raise HelmRefused("the chart's manifest has a layer that is neither a chart nor a provenance")
    for layer, limit in ((manifest.config, MAX_CONFIG_BYTES), (charts[0], MAX_CHART_BYTES)):
        if layer.size > limit:
            raise HelmNotUnderstood(f"{layer.digest.short} has {layer.size} bytes, at most {limit} are read")
    if provenances and provenances[0].size > MAX_PROVENANCE_BYTES:
        raise HelmRefused(
            f"the provenance has {provenances[0].size} bytes, at most {MAX_PROVENANCE_BYTES} are read"
        )
    return ChartLayers(manifest.config, charts[0], provenances[0] if provenances else None)


def config_metadata(config: bytes) -> ChartMetadata:
    """The metadata that the config repeats. Raises ``HelmRefused``."""
    try:
        document = loads(config, max_bytes=MAX_CONFIG_BYTES)
    except JsonRefused as exc:
        raise HelmRefused(f"the chart's config {exc}") from exc
    if not isinstance(document, dict):
        raise HelmRefused("the chart's config is not an object")
    return metadata_of({key: _node(value) for key, value in document.items()}, "the chart's config")


def check_config(config: bytes, chart: Chart) -> None:
    """Helm shows the config and installs the chart: both must say the same. Raises ``HelmRefused``."""
    different = config_metadata(config).difference(chart.metadata)
    if different:
        raise HelmRefused(
            f"the manifest's config and the chart's own Chart.yaml differ in {different[:40]!a}"
        )


def _node(value: Json) -> Node:
    """JSON as a tree; its depth is bounded by the reader."""
    if isinstance(value, dict):
        return {key: _node(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_node(item) for item in value]
    if value is None:
        return Scalar("null", plain=True)
    if isinstance(value, str):
        return Scalar(value, plain=False)
    return Scalar(str(value).lower() if isinstance(value, bool) else repr(value), plain=True)
