"""The doors themselves: one ``Protocol`` each, of at most eight methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports.reading import BlobFinder, BlobReader, ManifestReader
from trustgate.ports.values import (
    Account,
    DecisionId,
    DecisionRecord,
    Job,
    NewJob,
    PolicyFiles,
    Project,
    Push,
    Revisions,
    SigningKey,
    StorageKey,
    StoredBlob,
    StoredManifest,
    Upload,
    UploadId,
)

MAX_REFERRERS_BYTES: Final = 4 * 1024 * 1024
"""Of manifests that are read at once: whoever may push decides how large each is."""

# --- time ----------------------------------------------------------------------------------------


class Clock(Protocol):
    """The only source of "now"; tests hand in their own."""

    def now(self) -> datetime:
        """The present moment, in UTC, with a time zone."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and deadlines."""
        ...


# --- bytes ---------------------------------------------------------------------------------------


class BlobWriter(Protocol):
    """Staged content that is open for appending."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append and hash. Raises ``StorageFull``; what was written before stays staged."""
        ...

    @property
    def offset(self) -> int:
        """Bytes staged so far, those of earlier chunks included."""
        ...

    def sync(self) -> None:
        """Make everything up to ``offset`` durable. Raises ``StorageFull`` or ``StorageUnavailable``."""
        ...


class BlobStore(BlobReader, Protocol):
    """Bytes by key. A key is never used twice, so deleting one can't hit newer content.

    Readable only after ``commit``. Not promised: listing order, space accounting, anything about
    two writers on one upload at a time (the records' fence keeps those apart).
    """

    def append(self, upload: UploadId, offset: int) -> AbstractContextManager[BlobWriter]:
        """Open the upload's staged content at ``offset``, dropping whatever a cut-off writer left beyond.

        Raises ``BlobUploadUnknown`` when less than ``offset`` bytes are staged.
        """
        ...

    def commit(self, upload: UploadId, digest: Digest, size: int) -> StorageKey:
        """Verify size and digest, and make the content durable under a fresh key.

        The staged content stays until ``discard``, so that a finish that was cut off can be tried again.
        Raises ``DigestInvalid`` or ``SizeInvalid`` (staged content then stays as it was).
        """
        ...

    def discard(self, upload: UploadId) -> None:
        """Drop staged content; no error when there is none."""
        ...

    def path(self, key: StorageKey) -> Path:
        """Where the bytes can be read on local disk. Raises ``BlobUnknown`` when they are gone."""
        ...

    def delete(self, key: StorageKey) -> None:
        """Remove the bytes; no error when they are gone already."""
        ...

    def keys(self) -> Iterator[StorageKey]:
        """Every key that holds bytes, in no order: for reconciling."""
        ...

    def check(self) -> None:
        """Prove that bytes can be written durably now. Raises ``StorageFull`` or ``StorageUnavailable``."""
        ...


# --- what repositories hold ----------------------------------------------------------------------


class Manifests(ManifestReader, Protocol):
    """Manifests and tags."""

    def put(self, push: Push) -> None:
        """Write everything that a push changes, in one transaction, and bump the repository's revision.

        Raises ``ManifestBlobUnknown`` naming what is missing, ``ManifestInvalid`` when a size differs
        from its descriptor's, ``Conflict`` when a tag moved since it was judged.
        """
        ...

    def delete(self, repository: RepositoryName, target: Tag | Digest, *, revision: int) -> bool:
        """Remove a tag, or a manifest with all tags that point to it. False when it was not there.

        An index that names a deleted child becomes sparse; blobs stay with the repository. Raises
        ``Conflict`` when the repository is no longer at ``revision``: something changed since it was judged.
        """
        ...

    def revision(self, repository: RepositoryName) -> int:
        """Counts the changes of the repository's tags, manifests and evidence; 0 when it is unknown."""
        ...

    def tags(self, repository: RepositoryName, *, after: str, limit: int) -> tuple[Tag, ...] | None:
        """Tags in lexical (byte) order that sort after ``after``; ``None`` when the repository is unknown."""
        ...

    def repositories(self, *, after: str, limit: int) -> tuple[RepositoryName, ...]:
        """Repositories in lexical order that sort after ``after``."""
        ...

    def referrers(
        self,
        repository: RepositoryName,
        subject: Digest,
        *,
        limit: int,
        artifact_type: str = "",
        after: str = "",
        max_bytes: int = MAX_REFERRERS_BYTES,
    ) -> tuple[StoredManifest, ...]:
        """Manifests whose ``subject`` is that digest; at most ``limit``, of one type if given.

        In the order of their digests, those that sort after ``after``. The one that brings their bytes to
        ``max_bytes`` is the last.
        """
        ...


class Blobs(BlobFinder, Protocol):
    """Which repository may serve which blob, and who else holds it."""

    def holders(self, digest: Digest, *, limit: int) -> tuple[RepositoryName, ...]:
        """Repositories that hold it: where an automatic mount may take it from."""
        ...

    def mount(self, source: RepositoryName, target: RepositoryName, digest: Digest) -> StoredBlob | None:
        """Let ``target`` hold what ``source`` holds, without copying. ``None`` when the source does not."""
        ...

    def delete(self, repository: RepositoryName, digest: Digest) -> bool:
        """Take the blob from the repository. False when it was not there.

        Raises ``Conflict`` when a manifest of the repository still needs it.
        """
        ...

    def release(self, *, limit: int) -> tuple[StorageKey, ...]:
        """Keys that no repository holds any more, already tombstoned: their bytes may be deleted."""
        ...

    def released(self, keys: Sequence[StorageKey]) -> None:
        """The bytes of these keys are gone: forget their tombstones."""
        ...


class Uploads(Protocol):
    """Uploads in progress: the row says how many bytes are durable."""

    def begin(self, repository: RepositoryName, *, by: str, at: datetime) -> Upload:
        """Open an upload at offset 0, with an id that can't be guessed."""
        ...

    def find(self, repository: RepositoryName, upload: UploadId) -> Upload | None: ...

    def advance(self, upload: Upload, offset: int, *, at: datetime) -> Upload:
        """Record that ``offset`` bytes are durable.

        Raises ``RangeInvalid`` when another chunk got in between, ``BlobUploadUnknown`` when it ended.
        """
        ...

    def finish(self, upload: Upload, blob: StoredBlob, *, lost: StorageKey | None = None) -> StoredBlob:
        """End the upload: from now on the repository holds the blob.

        When the digest is known already, the copy that is known stays and the new key is tombstoned; unless
        it is the one under ``lost``, whose bytes are gone: then the new one takes its place.
        Raises ``BlobUploadUnknown`` when the upload was ended by someone else.
        """
        ...

    def cancel(self, repository: RepositoryName, upload: UploadId) -> bool: ...

    def idle(self, *, before: datetime, limit: int) -> tuple[Upload, ...]:
        """Uploads that nobody touched since ``before``: to be cancelled and discarded."""
        ...


# --- jobs, decisions, policy ---------------------------------------------------------------------


class Jobs(Protocol):
    """One table of leased jobs. Effects outside the database are at least once; inside, exactly once."""

    def enqueue(self, jobs: Sequence[NewJob], *, at: datetime) -> None: ...

    def claim(self, *, owner: str, lease_s: float, now: datetime) -> Job | None:
        """Take the oldest job that is due, and its lease; expired leases are taken back first."""
        ...

    def beat(self, job: Job, *, lease_s: float, now: datetime) -> bool:
        """Lengthen the lease. False when it was lost: stop, and keep nothing."""
        ...

    def finish(self, job: Job, *, now: datetime) -> bool:
        """Done. False when the lease was lost."""
        ...

    def fail(self, job: Job, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
        """Not done; try again at ``retry_at``, or never."""
        ...

    def counts(self) -> Mapping[tuple[str, str], int]:
        """(kind, state) to number, for metrics."""
        ...


class Decisions(Protocol):
    """Decision records, addressable by id."""

    def save(self, records: Sequence[DecisionRecord]) -> None: ...

    def find(self, decision: DecisionId) -> DecisionRecord | None: ...

    def latest(self, repository: RepositoryName, digest: Digest, *, limit: int) -> tuple[DecisionRecord, ...]:
        """The newest decisions on a digest, newest first."""
        ...

    def forget(self, *, before: datetime, limit: int) -> int:
        """Delete so many of those made before then, oldest first; how many there were."""
        ...


class PolicyHistory(Protocol):
    """The last policy set that loaded, so that a start without git serves it."""

    def last_good(self) -> PolicyFiles | None: ...

    def accept(self, files: PolicyFiles) -> None:
        """Keep as the last good set, and bump the policy revision."""
        ...


class PolicySource(Protocol):
    """Where policies come from. Raises ``PolicySourceUnavailable``."""

    def fetch(self, *, known: str) -> PolicyFiles | None:
        """The files at the newest commit; ``None`` when that is the ``known`` revision still."""
        ...

    def describe(self) -> str:
        """For people: ``./policy (main)``."""
        ...


# --- people --------------------------------------------------------------------------------------


class Accounts(Protocol):
    """Users and robots. Every change bumps the accounts revision."""

    def find(self, name: str) -> Account | None: ...

    def all(self) -> tuple[Account, ...]: ...

    def create(self, account: Account) -> None:
        """Raises ``Conflict`` when the name is taken."""
        ...

    def replace(self, account: Account) -> None:
        """Write the account as it is given. Raises ``NotFound``."""
        ...

    def delete(self, name: str) -> bool: ...


class Projects(Protocol):
    """Projects. They come into being with their first push, private, or by ``project create``."""

    def find(self, name: str) -> Project | None: ...

    def all(self) -> tuple[Project, ...]: ...

    def put(self, project: Project) -> None:
        """Create, or replace what is there; bumps the accounts revision."""
        ...


class SigningKeys(Protocol):
    """Keys of the token service: one signs, the retired ones still verify until they are removed."""

    def all(self) -> tuple[SigningKey, ...]: ...

    def add(self, key: SigningKey, *, retire_others_at: datetime) -> None: ...

    def remove_retired(self, *, before: datetime) -> int: ...


class Freshness(Protocol):
    """Revisions, from memory: cheap enough to compare on every pull.

    A revision is bumped in the transaction of the change, and is visible here before that transaction's
    method returns. Read the vector *before* the evidence that is cached under it.
    """

    def vector(self, repository: str) -> Revisions: ...
