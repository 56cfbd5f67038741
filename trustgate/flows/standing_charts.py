"""Charts as they are stored: what of a manifest helm could install."""

from __future__ import annotations

from dataclasses import dataclass, field

from trustgate.errors import BlobUnknown, SizeInvalid
from trustgate.evidence.helm.chart_manifest import MAX_CONFIG_BYTES, chart_layers, config_metadata, is_chart
from trustgate.evidence.helm.metadata import ChartMetadata
from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.flows.stored_evidence import read_evidence
from trustgate.oci.manifest import Descriptor, parse_manifest
from trustgate.oci.names import RepositoryName
from trustgate.ports import Blobs, BlobStore, StoredManifest


@dataclass(frozen=True, slots=True)
class StandingChart:
    """A chart as it is stored now."""

    stored: StoredManifest
    metadata: ChartMetadata
    chart: Descriptor
    config_size: int
    provenance: Descriptor | None = field(default=None)


class StandingCharts:
    """Reads them. Nobody's permission is asked for here."""

    def __init__(self, blobs: Blobs, blob_store: BlobStore) -> None:
        self._blobs = blobs
        self._blob_store = blob_store

    def read(self, stored: StoredManifest) -> StandingChart | None:
        """``None`` for what helm could not install: no chart, or one whose parts do not fit."""
        manifest = parse_manifest(
            stored.raw, content_type=stored.media_type, algorithm=stored.digest.algorithm
        )
        if not is_chart(manifest):
            return None
        try:
            layers = chart_layers(manifest)
            config = self.content(stored.repository, layers.config, MAX_CONFIG_BYTES)
            metadata = config_metadata(config)
        except (HelmRefused, BlobUnknown, SizeInvalid):
            return None
        return StandingChart(stored, metadata, layers.chart, len(config), layers.provenance)

    def content(self, repository: RepositoryName, layer: Descriptor, max_bytes: int) -> bytes:
        """A blob of a chart. Raises ``BlobUnknown``, ``SizeInvalid``."""
        return read_evidence(self._blobs, self._blob_store, repository, layer.digest, max_bytes=max_bytes)
