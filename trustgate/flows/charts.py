"""The classic chart repository: another door to the same artifacts that ``helm push`` makes.

A chart that is uploaded here is ``PROJECT/NAME:VERSION`` in the registry, stored by the push and handed out
by the pull: what the gate says of one is said of the other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Final

from trustgate.errors import (
    BlobUnknown,
    Conflict,
    Forbidden,
    InvalidInput,
    ManifestUnknown,
    SizeInvalid,
    Unauthorized,
    Unsupported,
)
from trustgate.evidence.helm.chart import MAX_CHART_BYTES, Chart, read_chart
from trustgate.evidence.helm.chart_manifest import MAX_CONFIG_BYTES, chart_layers, config_metadata, is_chart
from trustgate.evidence.helm.metadata import ChartMetadata, is_version
from trustgate.evidence.helm.packaging import ChartArtifact, chart_artifact, with_provenance
from trustgate.evidence.helm.provenance import check_belongs, read_provenance
from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.flows.access import Actor
from trustgate.flows.admit import Admission
from trustgate.flows.pull import PullFlow, ServedBlob
from trustgate.flows.push import PushFlow
from trustgate.flows.stored_evidence import read_evidence
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.oci.strict_json import Json
from trustgate.ports import Blobs, BlobStore, Clock, Manifests, StoredManifest

MAX_INDEX_REPOSITORIES: Final = 2000
MAX_INDEX_CHARTS: Final = 20_000
"""Versions in one index; helm reads it whole, so a project that has more is better served over OCI."""
MAX_INDEX_BYTES: Final = 64 * 1024 * 1024
"""Of the charts' own configuration; small packages may hold much of it."""
MAX_KEPT_BYTES: Final = 2 * MAX_INDEX_BYTES
ENTRY_BYTES: Final = 1024
MAX_ATTEMPTS: Final = 3
"""How often a provenance is added anew because the chart's tag moved meanwhile."""
PACKAGE, PROVENANCE = ".tgz", ".tgz.prov"


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version of a chart, as the index lists it."""

    metadata: ChartMetadata
    digest: Digest
    created: datetime
    size: int
    """Bytes of its configuration."""


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A package or a provenance that may go out, and the admission of the chart that it belongs to."""

    blob: ServedBlob
    admission: Admission | None


@dataclass(frozen=True, slots=True)
class _Standing:
    """A chart as it is stored now."""

    stored: StoredManifest
    metadata: ChartMetadata
    chart: Descriptor
    config_size: int
    provenance: Descriptor | None = field(default=None)


class ChartFlow:
    """Charts of a project, for helm. Each method finds out itself what the actor may."""

    def __init__(
        self,
        *,
        manifests: Manifests,
        blobs: Blobs,
        blob_store: BlobStore,
        push: PushFlow,
        pull: PullFlow,
        clock: Clock,
    ) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._blob_store = blob_store
        self._push = push
        self._pull = pull
        self._clock = clock
        self._kept: OrderedDict[RepositoryName, tuple[int, tuple[IndexEntry, ...]]] = OrderedDict()
        self._lock = Lock()

    # --- reading ---------------------------------------------------------------------------------

    def index(self, project: str, actor: Actor) -> tuple[IndexEntry, ...]:
        """Every version of every chart that ``actor`` has the permission to pull.

        What policy refuses is listed too: helm would otherwise take an older version without a word.
        Raises ``Unauthorized``, ``NameInvalid``; ``Unsupported`` when there are too many.
        """
        name = RepositoryName(project)
        found: list[IndexEntry] = []
        size = 0
        for repository in self._repositories(name):
            entries = self._entries(repository) if actor.may("pull", repository) else ()
            found += entries
            size += sum(entry.size for entry in entries)
            _check_fits(len(found), size, name)
        if not found and actor.is_anonymous and name not in actor.public_projects:
            raise Unauthorized("authentication is required", hint="helm repo add NAME URL --username USER")
        return tuple(found)

    def file(self, project: str, file_name: str, actor: Actor) -> ServedFile:
        """A package or its provenance, once the gate has admitted the chart.

        Raises ``ManifestUnknown``, ``Unauthorized``, ``Refused``.
        """
        for repository, tag in _places(RepositoryName(project), file_name):
            if not actor.may("pull", repository) or self._manifests.find(repository, tag) is None:
                continue
            served = self._pull.manifest(repository, tag, actor, head=False)
            standing = self._standing(served.manifest)
            if standing is None or standing.metadata.file_name != _package_name(file_name):
                continue
            layer = standing.provenance if file_name.endswith(PROVENANCE) else standing.chart
            if layer is not None:
                return ServedFile(
                    self._pull.blob(repository, layer.digest, actor, head=False), served.admission
                )
        if actor.is_anonymous:
            raise Unauthorized("authentication is required", hint="helm repo add NAME URL --username USER")
        raise ManifestUnknown(f"there is no {file_name[:120]!a} in {project[:80]!a} that you may pull")

    def _repositories(self, project: RepositoryName) -> Iterator[RepositoryName]:
        """Those right below the project: only they have an address here."""
        prefix = f"{project}/"
        names = self._manifests.repositories(after=prefix, limit=MAX_INDEX_REPOSITORIES + 1)
        below = [name for name in names if name.startswith(prefix)]
        if len(below) > MAX_INDEX_REPOSITORIES:
            raise Unsupported(
                f"{project} has more than {MAX_INDEX_REPOSITORIES} repositories, too many for an index",
                hint=f"use its charts over OCI: helm pull oci://HOST/{project}/CHART",
            )
        yield from (name for name in below if "/" not in name.removeprefix(prefix))

    def _entries(self, repository: RepositoryName) -> tuple[IndexEntry, ...]:
        revision = self._manifests.revision(repository)  # before the look-ups: a change in between shows
        kept = self._kept.get(repository)
        if kept is not None and kept[0] == revision:
            return kept[1]
        tags = self._manifests.tags(repository, after="", limit=MAX_INDEX_CHARTS + 1) or ()
        found: list[IndexEntry] = []
        size = 0
        for tag in tags:
            entry = self._entry(repository, tag) if is_version(tag.replace("_", "+")) else None
            if entry is not None:
                found.append(entry)
                size += entry.size
                _check_fits(len(found), size, repository)
        self._keep(repository, revision, tuple(found))
        return tuple(found)

    def _keep(self, repository: RepositoryName, revision: int, entries: tuple[IndexEntry, ...]) -> None:
        with self._lock:
            self._kept.pop(repository, None)
            self._kept[repository] = (revision, entries)
            weight = sum(_weight(kept) for _, kept in self._kept.values())
            while weight > MAX_KEPT_BYTES:
                weight -= _weight(self._kept.popitem(last=False)[1][1])

    def _entry(self, repository: RepositoryName, tag: Tag) -> IndexEntry | None:
        stored = self._manifests.find(repository, tag)
        standing = self._standing(stored) if stored else None
        if standing is None or (repository.rpartition("/")[2], tag) != (
            standing.metadata.name,
            standing.metadata.tag,
        ):
            return None
        return IndexEntry(
            standing.metadata, standing.chart.digest, standing.stored.pushed_at, standing.config_size
        )

    def _standing(self, stored: StoredManifest) -> _Standing | None:
        """``None`` for what helm could not install: no chart, or one whose parts do not fit."""
        manifest = parse_manifest(
            stored.raw, content_type=stored.media_type, algorithm=stored.digest.algorithm
        )
        if not is_chart(manifest):
            return None
        try:
            layers = chart_layers(manifest)
            config = self._read(stored.repository, layers.config, MAX_CONFIG_BYTES)
            metadata = config_metadata(config)
        except (HelmRefused, BlobUnknown, SizeInvalid):
            return None
        return _Standing(stored, metadata, layers.chart, len(config), layers.provenance)

    def _read(self, repository: RepositoryName, layer: Descriptor, max_bytes: int) -> bytes:
        return read_evidence(self._blobs, self._blob_store, repository, layer.digest, max_bytes=max_bytes)

    # --- uploading -------------------------------------------------------------------------------

    def check_uploader(self, project: str, actor: Actor) -> None:
        """Before a body is read. Raises ``NameInvalid``, ``Unauthorized``, ``Forbidden``."""
        if not actor.may_below("push", RepositoryName(project)):
            raise _may_not_push(actor)

    def upload(
        self, project: str, package: bytes, provenance: bytes | None, actor: Actor, *, force: bool
    ) -> ChartMetadata:
        """Store a chart, with its provenance if there is one. ``force`` replaces what has that version.

        Raises ``InvalidInput``, ``NameInvalid``, ``Unauthorized``, ``Forbidden``, ``Conflict``, ``Refused``.
        """
        chart = _chart(package)
        repository, tag = _place(RepositoryName(project), chart.metadata, actor)
        if provenance is not None:
            _check_belongs(provenance, chart)
        standing = self._manifests.find(repository, tag)
        if standing is not None and not force:
            raise Conflict(
                f"{repository}:{tag} already exists",
                hint="give the chart a new version; --force replaces it, if policy allows that",
            )
        artifact = chart_artifact(package, chart, provenance, created=self._clock.now())
        self._store(repository, tag, artifact, actor, over=standing.digest if standing else None)
        return chart.metadata

    def add_provenance(self, project: str, provenance: bytes, actor: Actor, *, force: bool) -> ChartMetadata:
        """Put a provenance to the chart that it is about; the chart's digest changes, its package does not.

        Raises as ``upload``, and ``ManifestUnknown``.
        """
        try:
            about = read_provenance(provenance).metadata
        except HelmRefused as exc:
            raise _not_a_provenance(exc) from exc
        repository, tag = _place(RepositoryName(project), about, actor)
        for attempts_left in reversed(range(MAX_ATTEMPTS)):
            try:
                return self._add_provenance(repository, tag, provenance, actor, force=force)
            except _Moved as exc:
                if not attempts_left:
                    raise Conflict(exc.message, hint=exc.hint) from exc
        raise AssertionError("the last attempt returns or raises")

    def _add_provenance(
        self, repository: RepositoryName, tag: Tag, provenance: bytes, actor: Actor, *, force: bool
    ) -> ChartMetadata:
        stored = self._manifests.find(repository, tag)
        standing = self._standing(stored) if stored else None
        if standing is None:
            raise ManifestUnknown(f"there is no chart {repository}:{tag}", hint="upload the chart first")
        chart = _chart(self._read(repository, standing.chart, MAX_CHART_BYTES))
        _check_belongs(provenance, chart)
        kept = standing.provenance
        if kept is not None and kept.digest == Digest.of(provenance):
            return chart.metadata
        if kept is not None and not force:
            raise Conflict(
                f"{repository}:{tag} has another provenance already",
                hint="?force replaces it, if policy allows",
            )
        manifest = parse_manifest(standing.stored.raw, content_type=standing.stored.media_type)
        artifact = with_provenance(manifest, provenance)
        try:
            self._store(repository, tag, artifact, actor, over=standing.stored.digest)
        except Conflict as exc:
            raise _Moved(exc.message, hint=exc.hint) from exc
        return chart.metadata

    def _store(
        self,
        repository: RepositoryName,
        tag: Tag,
        artifact: ChartArtifact,
        actor: Actor,
        *,
        over: Digest | None,
    ) -> None:
        """Blobs, then the manifest, if the tag still points where it pointed. Raises ``Conflict``."""
        for digest, content in artifact.blobs.items():  # also those that are known: their bytes may be lost
            upload = self._push.begin(repository, actor)
            with self._push.chunk(repository, upload.id, start=0, length=len(content)) as session:
                session.write(content)
            self._push.finish(repository, upload.id, digest)
        self._push.manifest(
            repository,
            tag,
            artifact.manifest,
            actor,
            content_type=media.OCI_MANIFEST,
            only_if={tag: over},
        )


def _weight(entries: Iterable[IndexEntry]) -> int:
    """About what they take in memory, in bytes."""
    return sum(entry.size + ENTRY_BYTES for entry in entries)


def _check_fits(charts: int, size: int, name: RepositoryName) -> None:
    """Raises ``Unsupported``."""
    if charts > MAX_INDEX_CHARTS or size > MAX_INDEX_BYTES:
        raise Unsupported(
            f"{name} holds more than {MAX_INDEX_CHARTS} charts, or {MAX_INDEX_BYTES} bytes about them: too "
            "much for an index",
            hint=f"use them over OCI: helm pull oci://HOST/{name}/CHART",
        )


class _Moved(Conflict):
    """The tag moved between the look and the push."""


def index_document(entries: tuple[IndexEntry, ...], *, generated: datetime) -> Mapping[str, Json]:
    """``index.yaml``, newest first within a chart's name. Addresses are relative to the index's own."""
    charts: dict[str, list[Json]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.metadata.name, -entry.created.timestamp())):
        item: dict[str, Json] = {
            **entry.metadata.fields,
            "urls": [entry.metadata.file_name],
            "created": entry.created.isoformat(),
            "digest": entry.digest.hex,
        }
        charts.setdefault(entry.metadata.name, []).append(item)
    entries_json: dict[str, Json] = dict(charts)
    return {"apiVersion": "v1", "generated": generated.isoformat(), "entries": entries_json}


def _place(project: RepositoryName, metadata: ChartMetadata, actor: Actor) -> tuple[RepositoryName, Tag]:
    """Where the chart lies. Raises ``NameInvalid``, ``TagInvalid``, ``Unauthorized``, ``Forbidden``."""
    repository, tag = RepositoryName(f"{project}/{metadata.name}"), Tag(metadata.tag)
    if not actor.may("push", repository):
        raise _may_not_push(actor)
    return repository, tag


def _may_not_push(actor: Actor) -> Unauthorized | Forbidden:
    if actor.is_anonymous:
        return Unauthorized("authentication is required", hint="helm repo add NAME URL --username USER")
    return Forbidden("requested access to the resource is denied", hint="ask an administrator for a grant")


def _places(project: RepositoryName, file_name: str) -> Iterator[tuple[RepositoryName, Tag]]:
    """Every way to read ``NAME-VERSION.tgz``, longest name first: both parts may hold dashes."""
    stem = _package_name(file_name).removesuffix(PACKAGE)
    if not file_name.endswith((PACKAGE, PROVENANCE)) or len(stem) > 400:
        return
    dashes = [position for position, character in enumerate(stem) if character == "-"]
    for position in reversed(dashes):
        name, version = stem[:position], stem[position + 1 :]
        if not is_version(version):
            continue
        try:
            yield RepositoryName(f"{project}/{name}"), Tag(version.replace("+", "_"))
        except InvalidInput:
            continue


def _package_name(file_name: str) -> str:
    return file_name.removesuffix(".prov")


def _chart(package: bytes) -> Chart:
    try:
        return read_chart(package)
    except HelmRefused as exc:
        raise InvalidInput(str(exc), hint="send a package that helm package made") from exc


def _check_belongs(provenance: bytes, chart: Chart) -> None:
    """Whoever signed it: that is for the gate to say."""
    try:
        check_belongs(read_provenance(provenance), chart)
    except HelmRefused as exc:
        raise _not_a_provenance(exc) from exc


def _not_a_provenance(exc: HelmRefused) -> InvalidInput:
    return InvalidInput(
        f"the provenance is refused: {exc}",
        hint="send the .prov that helm package --sign made with the chart",
    )
