"""Take content in: uploads, blobs, mounts, manifests, and taking them out again.

Nothing is acknowledged before it is durable. A manifest, its tags, its references and the jobs that it
causes are one transaction; whatever happens before it leaves at most bytes that nothing points to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from trustgate.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    Conflict,
    DigestInvalid,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    RangeInvalid,
    SizeInvalid,
    Unauthorized,
)
from trustgate.evidence.model import Role
from trustgate.evidence.shape import role_blobs, role_of
from trustgate.flows.access import Actor, permissions_on
from trustgate.flows.admit import Admission, Gate
from trustgate.flows.arrivals import Arrival, ArrivalReader
from trustgate.flows.stored_evidence import read_evidence
from trustgate.flows.upload_session import OneAtATime, UploadSession
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Action
from trustgate.ports import (
    Blobs,
    BlobStore,
    Clock,
    Manifests,
    NewJob,
    Push,
    StorageKey,
    StoredBlob,
    StoredManifest,
    Upload,
    UploadId,
    Uploads,
)

MAX_TAGS_PER_PUSH = 16
MAX_MANIFEST_ATTEMPTS = 3
"""How often a push is judged again because its tag moved under it."""
MAX_MOUNT_SOURCES = 32
"""Repositories that are looked at for a mount without a named source."""

JobsFor = Callable[[Manifest, Role, RepositoryName], Sequence[NewJob]]


class SourceOutOfScope(Unauthorized):
    """A mount reads a repository that the account may pull from, and the presented token may not."""

    code = "source-out-of-scope"

    def __init__(self, source: RepositoryName) -> None:
        super().__init__(
            f"mounting from {source} needs a token with pull on it", hint="ask for a token with both scopes"
        )
        self.source = source


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a manifest push did: for the answer's headers."""

    manifest: Manifest
    tags: tuple[Tag, ...]
    admissions: tuple[Admission, ...]


class PushFlow:
    """Every method is called by an actor that may already push (or delete) in the repository."""

    def __init__(
        self,
        *,
        manifests: Manifests,
        blobs: Blobs,
        uploads: Uploads,
        blob_store: BlobStore,
        gate: Gate,
        arrivals: ArrivalReader,
        clock: Clock,
        jobs_for: JobsFor,
        sparse_indexes: bool,
        max_blob_bytes: int,
        pushed: Callable[[RepositoryName, Manifest, tuple[Tag, ...]], None],
    ) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._uploads = uploads
        self._blob_store = blob_store
        self._gate = gate
        self._arrivals = arrivals
        self._clock = clock
        self._jobs_for = jobs_for
        self._sparse_indexes = sparse_indexes
        self._max_blob_bytes = max_blob_bytes
        self._pushed = pushed
        self._alone_with = OneAtATime()

    # --- uploads ---------------------------------------------------------------------------------

    def begin(self, repository: RepositoryName, actor: Actor) -> Upload:
        """A new upload, at offset 0."""
        return self._uploads.begin(repository, by=actor.caller.name, at=self._clock.now())

    def status(self, repository: RepositoryName, upload: UploadId) -> Upload:
        """Raises ``BlobUploadUnknown``."""
        found = self._uploads.find(repository, upload)
        if found is None:
            raise BlobUploadUnknown(
                f"there is no upload {upload[:80]!a} in {repository}",
                hint="it was finished or cancelled, or never begun: begin a new one",
            )
        return found

    @contextmanager
    def chunk(
        self, repository: RepositoryName, upload: UploadId, *, start: int | None, length: int | None = None
    ) -> Iterator[UploadSession]:
        """Append a chunk. What was written when the body ends or breaks off is kept and recorded.

        ``start`` is where the client says that the chunk begins, ``length`` how many bytes it is said to
        have. Raises ``RangeInvalid`` when the upload stands elsewhere, or another request writes to it;
        ``BlobUploadUnknown``.
        """
        with self._alone_with(upload):
            found = self.status(repository, upload)
            if start is not None and start != found.offset:
                raise RangeInvalid(
                    f"the chunk begins at {start}, the upload stands at {found.offset}",
                    hint="chunks are sent in order; ask for the upload's status and go on from there",
                )
            with self._blob_store.append(upload, found.offset) as writer:
                session = UploadSession(found, writer, length, max_bytes=self._max_blob_bytes)
                try:
                    yield session
                finally:
                    if writer.offset != found.offset:
                        writer.sync()
                        session.upload = self._uploads.advance(found, writer.offset, at=self._clock.now())

    def finish(self, repository: RepositoryName, upload: UploadId, digest: Digest) -> StoredBlob:
        """End an upload. Raises ``DigestInvalid`` (the upload then stays), ``BlobUploadUnknown``."""
        with self._alone_with(upload):
            found = self.status(repository, upload)
            key = self._blob_store.commit(upload, digest, found.offset)
            try:
                blob = StoredBlob(digest, found.offset, key)
                kept = self._uploads.finish(found, blob, lost=self._lost(digest))
            except BlobUploadUnknown:
                self._blob_store.delete(key)
                raise
            self._blob_store.discard(upload)
        return kept

    def _lost(self, digest: Digest) -> StorageKey | None:
        """The key of the copy that the records know, when its bytes are gone: pushing again mends that."""
        known = [self._blobs.find(holder, digest) for holder in self._blobs.holders(digest, limit=1)]
        for blob in filter(None, known):
            try:
                self._blob_store.path(blob.key)
            except BlobUnknown:
                return blob.key
        return None

    def cancel(self, repository: RepositoryName, upload: UploadId) -> None:
        """Raises ``BlobUploadUnknown``."""
        with self._alone_with(upload):
            self.status(repository, upload)
            self._uploads.cancel(repository, upload)
            self._blob_store.discard(upload)

    def mount(
        self, repository: RepositoryName, digest: Digest, source: RepositoryName | None, actor: Actor
    ) -> StoredBlob | None:
        """Take the blob from ``source`` (or from any repository that ``actor`` may pull it from).

        ``None`` means: upload it instead. That answer is the same for a blob that does not exist, one
        that the actor may not see, and one that policy withholds. Raises ``SourceOutOfScope`` when the
        account may pull from the source and only the token is too narrow: what the answer tells, that
        account may know.
        """
        held = self._blobs.find(repository, digest)
        if held is not None and actor.may("pull", repository):
            return held
        sources = (source,) if source else self._blobs.holders(digest, limit=MAX_MOUNT_SOURCES)
        for holder in sorted(sources, key=lambda name: not actor.may("pull", name)):
            if "pull" not in permissions_on(actor, holder) or self._blobs.find(holder, digest) is None:
                continue
            if not actor.may("pull", holder):
                raise SourceOutOfScope(holder)
            if self._gate.mount(holder, digest, actor):
                return self._blobs.mount(holder, repository, digest)
        return None

    # --- manifests -------------------------------------------------------------------------------

    def manifest(
        self,
        repository: RepositoryName,
        target: Tag | Digest,
        raw: bytes,
        actor: Actor,
        *,
        content_type: str,
        tags: tuple[Tag, ...] = (),
        only_if: Mapping[Tag, Digest | None] | None = None,
    ) -> Pushed:
        """Store a manifest, by tag or by digest, with further ``tags``.

        ``only_if`` says where tags must point until it is stored, ``None`` for a tag that must not exist.
        Raises ``ManifestInvalid``, ``DigestInvalid``, ``ManifestBlobUnknown``, ``Refused``, ``Conflict``.
        """
        manifest = _parsed(target, raw, content_type)
        names = tuple(dict.fromkeys((target, *tags) if isinstance(target, Tag) else tags))
        if len(names) > MAX_TAGS_PER_PUSH:
            raise ManifestInvalid(f"{len(names)} tags in one push, at most {MAX_TAGS_PER_PUSH} are accepted")
        role = role_of(manifest, self._signature_contents(repository, manifest))
        for attempts_left in reversed(range(MAX_MANIFEST_ATTEMPTS)):
            try:
                admissions = self._judge_and_put(repository, manifest, role, names, actor, only_if or {})
                return Pushed(manifest, names, admissions)
            except Conflict:
                if only_if or not attempts_left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _judge_and_put(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        role: Role,
        names: tuple[Tag, ...],
        actor: Actor,
        only_if: Mapping[Tag, Digest | None],
    ) -> tuple[Admission, ...]:
        """Raises ``Conflict`` when a tag moved between the judgement and the transaction."""
        current = {name: self._manifests.find(repository, name) for name in names}
        expected = {name: stored.digest if stored else None for name, stored in current.items()}
        if any(expected.get(name) != digest for name, digest in only_if.items()):
            raise Conflict(
                f"a tag of {repository} points elsewhere by now", hint="look again, then try again"
            )
        for name, stored in current.items():
            self._gate.keep_signatures(repository, name, stored, manifest, role, actor)
        admissions = self._admit(repository, manifest, actor, current, role)
        self._manifests.put(
            Push(
                repository=repository,
                manifest=manifest,
                role=role,
                tags=names,
                by=actor.caller.name,
                at=self._clock.now(),
                jobs=tuple(self._jobs_for(manifest, role, repository)),
                allow_missing_children=self._sparse_indexes,
                expected_tags=expected,
            )
        )
        self._pushed(repository, manifest, names)
        return admissions

    def _admit(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        actor: Actor,
        current: Mapping[Tag, StoredManifest | None],
        role: Role,
    ) -> tuple[Admission, ...]:
        pushed = StoredManifest(
            repository=repository,
            digest=manifest.digest,
            media_type=manifest.media_type,
            artifact_type=manifest.artifact_type,
            role=role,
            raw=manifest.raw,
            subject=manifest.subject.digest if manifest.subject else None,
            pushed_at=self._clock.now(),
        )
        arriving = {
            name: self._arrivals.of(Arrival(pushed, manifest, name, current.get(name) if name else None))
            for name in current or (None,)
        }
        questions = [(Action.PUSH, name) for name in arriving]
        questions += [(Action.TAG, name) for name in current]
        return tuple(
            self._gate.change(
                action, repository, manifest.digest, actor, tag=name, role=role, arriving=arriving[name]
            )
            for action, name in questions
        )

    def _signature_contents(self, repository: RepositoryName, manifest: Manifest) -> Mapping[Digest, bytes]:
        """The few blobs that tell a signature; one that is missing, or larger than said, makes it none."""
        contents: dict[Digest, bytes] = {}
        for descriptor in role_blobs(manifest):
            with suppress(SizeInvalid, BlobUnknown):
                contents[descriptor.digest] = read_evidence(
                    self._blobs, self._blob_store, repository, descriptor.digest, max_bytes=descriptor.size
                )
        return contents

    # --- taking away -----------------------------------------------------------------------------

    def delete_manifest(self, repository: RepositoryName, target: Tag | Digest, actor: Actor) -> None:
        """Delete a tag, or a manifest with its tags.

        Raises ``ManifestUnknown``, ``Refused``; ``Conflict`` when the repository never stands still.
        """
        for attempts_left in reversed(range(MAX_MANIFEST_ATTEMPTS)):
            try:
                self._judge_and_delete(repository, target, actor)
            except Conflict:
                if not attempts_left:
                    raise
            else:
                return

    def _judge_and_delete(self, repository: RepositoryName, target: Tag | Digest, actor: Actor) -> None:
        """Raises ``Conflict`` when anything in the repository changed between judgement and transaction:
        the tag may point elsewhere, or a protected tag may point to the manifest by now."""
        revision = self._manifests.revision(repository)
        stored = self._manifests.find(repository, target)
        if stored is None:
            raise ManifestUnknown(f"there is no {target[:80]!a} in {repository}")
        tag = target if isinstance(target, Tag) else None
        self._gate.change(Action.DELETE, repository, stored.digest, actor, tag=tag, role=stored.role)
        self._manifests.delete(repository, target, revision=revision)

    def delete_blob(self, repository: RepositoryName, digest: Digest, actor: Actor) -> None:
        """Raises ``BlobUnknown``; ``Conflict`` while a manifest needs it."""
        if not actor.may("delete", repository):
            raise NameUnknown(f"there is no repository {repository}")
        if not self._blobs.delete(repository, digest):
            raise BlobUnknown(f"there is no blob {digest} in {repository}")


def _parsed(target: Tag | Digest, raw: bytes, content_type: str) -> Manifest:
    """The manifest, with the digest that the request names. Raises ``ManifestInvalid``, ``DigestInvalid``."""
    algorithm = target.algorithm if isinstance(target, Digest) else "sha256"
    manifest = parse_manifest(raw, content_type=content_type, algorithm=algorithm)
    if isinstance(target, Digest) and manifest.digest != target:
        raise DigestInvalid(
            f"the manifest's bytes have the digest {manifest.digest}, the request names {target}",
            hint="send the bytes exactly as they were hashed",
        )
    return manifest
