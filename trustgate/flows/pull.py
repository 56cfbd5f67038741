"""Hand content out. A tag is resolved once; that digest is judged, and that digest is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trustgate.errors import BlobUnknown, ManifestUnknown, NameUnknown
from trustgate.flows.access import Actor
from trustgate.flows.admit import Admission, Gate
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Verdict
from trustgate.ports import MAX_REFERRERS_BYTES, Blobs, BlobStore, Manifests, StoredBlob, StoredManifest

MAX_REFERRERS = 1000
"""Referrers in one page of the answer."""


@dataclass(frozen=True, slots=True)
class Served:
    """A manifest that may go out. ``admission`` is ``None`` for a HEAD by someone who may push here."""

    manifest: StoredManifest
    admission: Admission | None


@dataclass(frozen=True, slots=True)
class ServedBlob:
    """A blob that may go out, and where its bytes are. ``verdict`` as ``Gate.blob`` gives it."""

    blob: StoredBlob
    path: Path
    judged: bool = False
    """Whether the gate was asked: not for a HEAD by someone who may push here."""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class ReferrersFound:
    """One page of referrers, and how many of it policy keeps from this caller."""

    descriptors: tuple[Descriptor, ...]
    withheld: int
    next_after: str
    """Where the next page begins; empty when this is the last."""


class PullFlow:
    """Every method is called by an actor that may already pull (or push) in the repository."""

    def __init__(self, *, manifests: Manifests, blobs: Blobs, blob_store: BlobStore, gate: Gate) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._blob_store = blob_store
        self._gate = gate

    def manifest(
        self, repository: RepositoryName, target: Tag | Digest, actor: Actor, *, head: bool
    ) -> Served:
        """Raises ``ManifestUnknown``, ``Refused``.

        HEAD by an actor that holds ``push`` here is not judged: it yields a digest and no content, and
        without it nobody could push a fixed image over a blocked tag (goharbor/harbor#19408).
        """
        stored = self._manifests.find(repository, target)
        if stored is None:
            raise ManifestUnknown(
                f"there is no {target[:80]!a} in {repository}",
                hint="check the tag's spelling; trustgate ls lists what is there",
            )
        if head and actor.may("push", repository):
            return Served(stored, None)
        tag = target if isinstance(target, Tag) else None
        return Served(stored, self._gate.pull(stored, actor, tag=tag))

    def blob(self, repository: RepositoryName, digest: Digest, actor: Actor, *, head: bool) -> ServedBlob:
        """Raises ``BlobUnknown``, ``Refused``. HEAD as for manifests: a push asks what is there."""
        blob = self._blobs.find(repository, digest)
        if blob is None:
            raise BlobUnknown(f"there is no blob {digest} in {repository}")
        path = self._blob_store.path(blob.key)
        if head and actor.may("push", repository):
            return ServedBlob(blob, path)
        verdict = self._gate.blob(repository, digest, actor)
        return ServedBlob(blob, path, judged=True, verdict=verdict)

    def referrers(
        self, repository: RepositoryName, subject: Digest, actor: Actor, *, artifact_type: str, after: str
    ) -> ReferrersFound:
        """Those that point to ``subject`` and sort after ``after``, of one artifact type if it is given."""
        found = self._manifests.referrers(
            repository,
            subject,
            limit=MAX_REFERRERS + 1,
            artifact_type=artifact_type,
            after=after,
            max_bytes=MAX_REFERRERS_BYTES,
        )
        page = found[:MAX_REFERRERS]
        allowed = self._gate.referrers(repository, page, actor)
        return ReferrersFound(
            descriptors=tuple(map(_descriptor, allowed)),
            withheld=len(page) - len(allowed),
            next_after=page[-1].digest if len(found) > MAX_REFERRERS or _is_full(page) else "",
        )

    def tags(self, repository: RepositoryName, *, after: str, limit: int) -> tuple[Tag, ...]:
        """Raises ``NameUnknown``."""
        tags = self._manifests.tags(repository, after=after, limit=limit)
        if tags is None:
            raise NameUnknown(f"there is no repository {repository}")
        return tags

    def repositories(self, *, after: str, limit: int) -> tuple[RepositoryName, ...]:
        return self._manifests.repositories(after=after, limit=limit)


def _is_full(page: Sequence[StoredManifest]) -> bool:
    """Whether the bytes ended the page, so that more may follow."""
    return sum(len(stored.raw) for stored in page) >= MAX_REFERRERS_BYTES


def _descriptor(stored: StoredManifest) -> Descriptor:
    parsed = parse_manifest(stored.raw, content_type=stored.media_type, algorithm=stored.digest.algorithm)
    return parsed.descriptor
