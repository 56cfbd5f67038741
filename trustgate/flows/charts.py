"""The classic chart repository: another door to the same artifacts that ``helm push`` makes.

A chart that is uploaded here is ``PROJECT/NAME:VERSION`` in the registry, stored by the push and handed out
by the pull: what the gate says of one is said of the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from trustgate.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    ManifestUnknown,
    Unauthorized,
)
from trustgate.evidence.helm.chart import MAX_CHART_BYTES, Chart, read_chart
from trustgate.evidence.helm.metadata import ChartMetadata, is_version
from trustgate.evidence.helm.packaging import ChartArtifact, chart_artifact, with_provenance
from trustgate.evidence.helm.provenance import check_belongs, read_provenance
from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.flows.access import Actor
from trustgate.flows.admit import Admission
from trustgate.flows.chart_index import ChartIndex, IndexEntry
from trustgate.flows.pull import PullFlow, ServedBlob
from trustgate.flows.push import PushFlow
from trustgate.flows.standing_charts import StandingChart, StandingCharts
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import Blobs, BlobStore, Clock, Manifests

MAX_ATTEMPTS: Final = 3
"""How often a provenance is added anew because the chart's tag moved meanwhile."""
PACKAGE, PROVENANCE = ".tgz", ".tgz.prov"
_Place: TypeAlias = tuple[RepositoryName, Tag]


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A package or a provenance that may go out, and the admission of the chart that it belongs to."""

    blob: ServedBlob
    admission: Admission | None


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
        self._charts = StandingCharts(blobs, blob_store)
        self._index = ChartIndex(manifests, self._charts)

    # --- reading ---------------------------------------------------------------------------------

    def index(self, project: str, actor: Actor) -> tuple[IndexEntry, ...]:
        """Every version of every chart that ``actor`` has the permission to pull: see ``ChartIndex``."""
        return self._index.of(project, actor)

    def file(self, project: str, file_name: str, actor: Actor, *, chart: str = "") -> ServedFile:
        """A package or its provenance, once the gate has admitted the chart.

        Names and versions may both hold dashes, so that without ``chart``, its name, one file name can be of
        two charts: then it is of none, whichever of them the actor may pull.
        Raises ``ManifestUnknown``, ``Unauthorized``, ``Refused``.
        """
        places = _places(RepositoryName(project), file_name, chart)
        named = [place for place in places if self._is_there(place)]
        if len(named) == 1 and actor.may("pull", named[0][0]):
            served = self._served(named[0], file_name, actor)
            if served is not None:
                return served
        if actor.is_anonymous:
            raise Unauthorized("authentication is required", hint="helm repo add NAME URL --username USER")
        raise ManifestUnknown(
            f"there is no {file_name[:120]!a} in {project[:80]!a} that you may pull, or not only one",
            hint="index.yaml has the address of each chart: CHART/CHART-VERSION.tgz",
        )

    def _served(self, place: _Place, file_name: str, actor: Actor) -> ServedFile | None:
        """What is served belongs to the manifest that was judged, wherever the tag points meanwhile."""
        served = self._pull.manifest(*place, actor, head=False)
        standing = self._charts.read(served.manifest)
        if standing is None or not _is_named(standing, place):
            return None
        layer = standing.provenance if file_name.endswith(PROVENANCE) else standing.chart
        if layer is None:
            return None
        return ServedFile(self._pull.blob(place[0], layer.digest, actor, head=False), served.admission)

    def _is_there(self, place: _Place) -> bool:
        stored = self._manifests.find(*place)
        standing = self._charts.read(stored) if stored else None
        return standing is not None and _is_named(standing, place)

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
        standing = self._charts.read(stored) if stored else None
        if standing is None:
            raise ManifestUnknown(f"there is no chart {repository}:{tag}", hint="upload the chart first")
        chart = _chart(self._charts.content(repository, standing.chart, MAX_CHART_BYTES))
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


class _Moved(Conflict):
    """The tag moved between the look and the push."""


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


def _places(project: RepositoryName, file_name: str, chart: str) -> Iterator[_Place]:
    """Every way to read ``NAME-VERSION.tgz``, or the one way when the ``chart`` is named."""
    stem = _package_name(file_name).removesuffix(PACKAGE)
    if not file_name.endswith((PACKAGE, PROVENANCE)) or len(stem) > 400:
        return
    dashes = [position for position, character in enumerate(stem) if character == "-"]
    for position in reversed(dashes):
        name, version = stem[:position], stem[position + 1 :]
        if not is_version(version) or (chart and name != chart):
            continue
        try:
            yield RepositoryName(f"{project}/{name}"), Tag(version.replace("+", "_"))
        except InvalidInput:
            continue


def _is_named(standing: StandingChart, place: _Place) -> bool:
    """Whether the chart is what its place says: over OCI any chart can be pushed under any name."""
    repository, tag = place
    return (standing.metadata.name, standing.metadata.tag) == (repository.rpartition("/")[2], tag)


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
