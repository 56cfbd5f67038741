"""An image where it is (a registry, an OCI layout), read as the gate reads its own store.

The same readers then find the same evidence, and the same judges weigh it. What a source can't tell is
``StorageUnavailable``, which those readers turn into evidence that is unreachable: never into absence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final, Generic, NoReturn, TypeVar

from trustgate.errors import (
    AnswerTooLarge,
    BlobUnknown,
    DigestInvalid,
    InvalidInput,
    NotFound,
    SizeInvalid,
    StorageUnavailable,
    TooManyAttempts,
    Unauthorized,
    UpstreamFailed,
    UpstreamRefused,
)
from trustgate.evidence.model import Role
from trustgate.evidence.scan_report import ScanReport
from trustgate.evidence.shape import is_referrers_tag, role_blobs, role_of
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import F
from trustgate.ports import (
    FoundManifest,
    ImageSource,
    StorageKey,
    StoredBlob,
    StoredManifest,
)

MAX_REFERRERS: Final = 1000
"""Manifests that are looked at because they say that they are about one digest, of whatever kind."""
MAX_LOOKED_THROUGH: Final = 500
"""Manifests of a repository that are looked through for indexes that contain a digest."""
MAX_KEPT_BYTES: Final = 64 * 1024 * 1024
"""Of manifests and blobs that were read once already; signatures and attestations read the same ones."""
T = TypeVar("T")
_ANY_MOMENT: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""A source does not say when something was pushed, and nobody who judges asks."""


@dataclass(frozen=True, slots=True)
class SourceManifests:
    """``ManifestReader`` of one repository: whatever repository is asked for, it is the source's."""

    source: ImageSource
    blobs: SourceBlobs
    indexes: SourceIndexes | None = None
    """Without it nothing is said to contain anything."""
    _kept: _Kept[StoredManifest] = field(default_factory=lambda: _Kept(lambda stored: len(stored.raw)))

    def find(self, repository: RepositoryName, target: Tag | Digest) -> StoredManifest | None:
        """A tag that names no manifest names nothing; a digest whose bytes are damaged is not known."""
        try:
            return self.found(repository, target)
        except InvalidInput as exc:
            if isinstance(target, Tag):
                return None
            raise StorageUnavailable(f"{target.short} can't be read: {exc.message}") from exc

    def found(self, repository: RepositoryName, target: Tag | Digest) -> StoredManifest | None:
        """Raises ``InvalidInput`` for what is damaged."""
        kept = self._kept.get(target) if isinstance(target, Digest) else None
        if kept is not None:
            return kept
        try:
            with as_storage():
                found = self.source.manifest(target)
        except NotFound:
            return None
        stored = self._stored(repository, _parsed(found))
        self._kept.put(stored.digest, stored)
        return stored

    def _stored(self, repository: RepositoryName, manifest: Manifest) -> StoredManifest:
        contents: dict[Digest, bytes] = {}
        for descriptor in role_blobs(manifest):  # as a push is looked at
            with suppress(SizeInvalid, BlobUnknown):
                contents[descriptor.digest] = self.blobs.content(descriptor.digest, max_bytes=descriptor.size)
        return StoredManifest(
            repository=repository,
            digest=manifest.digest,
            media_type=manifest.media_type,
            artifact_type=manifest.artifact_type,
            role=role_of(manifest, contents),
            raw=manifest.raw,
            subject=manifest.subject.digest if manifest.subject else None,
            pushed_at=_ANY_MOMENT,
        )

    def tags_of(self, repository: RepositoryName, digest: Digest) -> NoReturn:  # noqa: ARG002 - the port's
        raise StorageUnavailable("which tags point to a digest is not asked of other registries")

    def containing(self, repository: RepositoryName, digest: Digest, *, limit: int) -> tuple[Digest, ...]:  # noqa: ARG002 - the port's
        return self.indexes.containing(digest, limit=limit) if self.indexes else ()


class SourceEvidence:
    """``AttachedEvidence`` of one repository, in the source's own order."""

    def __init__(self, source: ImageSource, manifests: SourceManifests, *, unlisted: str = "") -> None:
        """``unlisted`` says why nobody can tell what refers to a digest; empty where the source can."""
        self._source = source
        self._manifests = manifests
        self._unlisted = unlisted

    def about(self, repository: RepositoryName, subject: Digest, *, limit: int) -> tuple[Digest, ...]:
        """What the source lists and is about something else, or is no evidence, is left out."""
        if self._unlisted:
            raise StorageUnavailable(self._unlisted)
        listed = self._listed(repository, subject)
        evidence = (stored.digest for stored in listed if stored.role is Role.SIGNATURE)
        return tuple(islice(evidence, limit))

    def _listed(self, repository: RepositoryName, subject: Digest) -> Iterator[StoredManifest]:
        try:
            with as_storage():
                listed = self._source.referrers(subject, limit=MAX_REFERRERS)
        except InvalidInput as exc:
            raise StorageUnavailable(f"what refers to {subject.short}: {exc.message}") from exc
        for digest in listed:
            try:
                stored = self._manifests.found(repository, digest)
            except InvalidInput:
                continue  # anyone may list anything: what is broken can't push out what is not
            if stored is not None and stored.subject == subject:
                yield stored


class SourceIndexes:
    """Which indexes contain a digest: a source does not say, so what it lists is looked through, once."""

    def __init__(self, source: ImageSource, listed: Callable[[], Iterable[Tag | Digest]]) -> None:
        """``listed`` names where to begin: tags, or the entries of a layout."""
        self._source = source
        self._listed = listed
        self._children: Mapping[Digest, frozenset[Digest]] | None = None

    def containing(self, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        """Raises ``StorageUnavailable`` when not all could be looked through."""
        if self._children is None:
            self._children = self._looked_through()
        found = [index for index, children in self._children.items() if digest in children]
        return tuple(found[:limit])

    def _looked_through(self) -> Mapping[Digest, frozenset[Digest]]:
        found: dict[Digest, frozenset[Digest]] = {}
        try:
            with as_storage():
                waiting: list[Tag | Digest] = [one for one in self._listed() if not _is_attached(one)]
        except (NotFound, InvalidInput) as exc:
            raise StorageUnavailable(f"what the repository holds can't be listed: {exc.message}") from exc
        for number, target in enumerate(waiting):
            if number == MAX_LOOKED_THROUGH:
                raise StorageUnavailable(
                    f"the repository has more than {MAX_LOOKED_THROUGH} manifests to look through"
                )
            manifest = self._manifest(target)
            if manifest is None or manifest.kind != "index" or manifest.digest in found:
                continue
            found[manifest.digest] = frozenset(child.digest for child in manifest.children)
            nested = (child for child in manifest.children if child.media_type in media.INDEXES)
            waiting += [child.digest for child in nested]  # grows while it is walked, up to the limit
        return found

    def _manifest(self, target: Tag | Digest) -> Manifest | None:
        try:
            with as_storage():
                return _parsed(self._source.manifest(target))
        except (NotFound, InvalidInput):
            return None


class SourceBlobs:
    """``BlobFinder`` and ``BlobReader`` of one repository: a blob is known when it is read."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._kept: _Kept[bytes] = _Kept(len)

    def find(self, repository: RepositoryName, digest: Digest) -> StoredBlob:  # noqa: ARG002 - the port's
        return StoredBlob(digest, 0, StorageKey(digest))

    def read(self, key: StorageKey, *, max_bytes: int) -> bytes:
        return self.content(Digest(key), max_bytes=max_bytes)

    def content(self, digest: Digest, *, max_bytes: int) -> bytes:
        """Raises ``BlobUnknown`` for what is missing or damaged, ``SizeInvalid`` for what is larger."""
        kept = self._kept.get(digest)
        if kept is None:
            kept = self._fetched(digest, max_bytes)
            self._kept.put(digest, kept)
        if len(kept) > max_bytes:
            raise SizeInvalid(f"{digest.short} has more than {max_bytes} bytes")
        return kept

    def _fetched(self, digest: Digest, max_bytes: int) -> bytes:
        try:
            with as_storage():
                return self._source.blob(digest, max_bytes=max_bytes)
        except (NotFound, DigestInvalid) as exc:
            raise BlobUnknown(exc.message) from exc


class GivenReports:
    """``ReportReader`` of reports that someone has in a file; what nobody gave is not known."""

    def __init__(self, reports: Iterable[ScanReport]) -> None:
        self._reports = tuple(reports)

    def find(self, digest: Digest) -> tuple[ScanReport, ...]:
        found = tuple(one for one in self._reports if one.subject == digest)
        if not found:
            raise StorageUnavailable(f"no scan report of {digest.short} was given")
        return found


class KeptHere(Generic[F]):
    """``Judgements`` of those who judge one request, as of one moment: what is read in parts goes on."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[F, ...]] = {}

    def find(self, keys: Iterable[str], *, now: datetime) -> Mapping[str, tuple[F, ...]]:  # noqa: ARG002 - one moment
        return {key: self._kept[key] for key in keys if key in self._kept}

    def save(self, found: Mapping[str, tuple[F, ...]], *, now: datetime) -> None:  # noqa: ARG002 - the same
        self._kept |= found

    def forget_old(self, *, now: datetime) -> int:  # noqa: ARG002 - the port's signature
        return 0


@contextmanager
def as_storage() -> Iterator[None]:
    """What another machine does not answer, as the gate's readers expect it of a store."""
    try:
        yield
    except AnswerTooLarge as exc:
        raise SizeInvalid(exc.message) from exc
    except (UpstreamFailed, UpstreamRefused, Unauthorized, TooManyAttempts) as exc:
        raise StorageUnavailable(exc.message, hint=exc.hint) from exc


def _parsed(found: FoundManifest) -> Manifest:
    """Raises ``ManifestInvalid``."""
    return parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)


def _is_attached(target: Tag | Digest) -> bool:
    """Names under which no image stands that anyone pulls."""
    return isinstance(target, Tag) and is_referrers_tag(target)


class _Kept(Generic[T]):
    """What was read, until it is too much; then no more is kept."""

    def __init__(self, size_of: Callable[[T], int]) -> None:
        self._size_of = size_of
        self._entries: dict[Digest, T] = {}
        self._left = MAX_KEPT_BYTES

    def get(self, digest: Digest) -> T | None:
        return self._entries.get(digest)

    def put(self, digest: Digest, value: T) -> None:
        size = self._size_of(value)
        if digest not in self._entries and size <= self._left:
            self._left -= size
            self._entries[digest] = value
