"""A chart in a file, with its provenance beside it, as the place that a registry would make of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from trustgate.cli.images import Place
from trustgate.oci.names import RepositoryName, Tag

PROVENANCE: Final = ".prov"
PACKAGE: Final = ".tgz"


def is_chart_file(text: str) -> bool:
    """Whether someone means a package on disk, be it there or not; references have a registry's host."""
    if not text.endswith(PACKAGE) or text.startswith("oci-layout:"):
        return False
    return Path(text).exists() or "/" not in text or text.startswith((".", "/"))


@contextmanager
def chart_in_file(path: Path, now: datetime) -> Iterator[Place]:
    """The artifact that ``helm push`` makes of both files, under the chart's version, in a layout.

    Raises ``ConfigInvalid``, and ``InvalidInput`` for what no registry would take for a chart.
    """
    from trustgate.errors import InvalidInput
    from trustgate.evidence.helm.chart import MAX_CHART_BYTES, read_chart
    from trustgate.evidence.helm.packaging import chart_artifact
    from trustgate.evidence.helm.refusal import HelmRefused
    from trustgate.oci import media
    from trustgate.remote.layout import LayoutSource

    package = read_beside(path, MAX_CHART_BYTES, "the chart")
    try:
        chart = read_chart(package)
    except HelmRefused as exc:
        raise InvalidInput(f"{path} {exc}", hint="is it a package that helm package made?") from exc
    if path.name != chart.metadata.file_name:
        raise InvalidInput(
            f"{path} holds {chart.metadata.file_name}: a chart's file is called after what is in it",
            hint=f"if it was renamed, call it {chart.metadata.file_name} again, and its .prov too",
        )
    artifact = chart_artifact(package, chart, _provenance(path), created=now)
    tag = Tag(chart.metadata.tag)
    with tempfile.TemporaryDirectory(prefix="trustgate-chart-") as folder:
        layout = LayoutSource(Path(folder), create=True)
        for digest, content in artifact.blobs.items():
            layout.put_blob(digest, iter([content]), len(content))
        layout.put_manifest(artifact.manifest, media.OCI_MANIFEST, tag)
        yield Place(layout, tag, str(path), RepositoryName("local/chart"), layout.listed, is_local=True)


def _provenance(path: Path) -> bytes | None:
    """None beside a chart that is not signed."""
    from trustgate.evidence.helm.clear_sign import MAX_PROVENANCE_BYTES

    beside = path.with_name(path.name + PROVENANCE)
    return read_beside(beside, MAX_PROVENANCE_BYTES, "its provenance") if beside.exists() else None


def read_beside(path: Path, max_bytes: int, what: str) -> bytes:
    """Raises ``ConfigInvalid``."""
    from trustgate.errors import ConfigInvalid

    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as exc:
        raise ConfigInvalid(
            f"{what}, {path}, can't be read: {exc.strerror}",
            hint="a chart is verified with its .prov beside it: helm package --sign writes both",
        ) from exc
    if len(content) > max_bytes:
        raise ConfigInvalid(f"{what}, {path}, has more than {max_bytes} bytes", hint="is it the right file?")
    return content
