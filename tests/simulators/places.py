"""Places with images that a test can fill: layouts on disk, and repositories of simulated registries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.signing_world import Artifact
from tests.simulators.registry import SimulatedRegistry
from tests.simulators.wires import loopback
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import ImageSource
from trustgate.remote.layout import LayoutSource
from trustgate.remote.registry import RegistryClient

KINDS = ("layout", "registry", "registry without referrers")


@contextmanager
def place(kind: str, folder: Path) -> Iterator[ImageSource]:
    if kind == "layout":
        yield LayoutSource(folder, create=True)
        return
    with SimulatedRegistry(referrers_api=kind == "registry") as simulator, client_of(simulator) as client:
        yield client


def client_of(simulator: SimulatedRegistry) -> RegistryClient:
    return RegistryClient(simulator.host, RepositoryName("shop/web"), None, transport=loopback())


def put(source: ImageSource, artifact: Artifact, tag: str | None = None) -> Digest:
    """The artifact with its blobs; the children of an index are put first, by whoever calls."""
    for digest, content in artifact.blobs.items():
        source.put_blob(digest, iter([content]), len(content))
    return source.put_manifest(artifact.raw, artifact.manifest.media_type, Tag(tag) if tag else None)
