"""The values that cross the doors: what the store hands over, and what a flow asks it to write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType

from trustgate.evidence.model import Role
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Verdict

StorageKey = NewType("StorageKey", str)
UploadId = NewType("UploadId", str)
DecisionId = NewType("DecisionId", str)


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as a repository holds it. ``raw`` are the bytes that were pushed, untouched."""

    repository: RepositoryName
    digest: Digest
    media_type: str
    artifact_type: str
    role: Role
    raw: bytes = field(repr=False)
    subject: Digest | None
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob that a repository may serve, and where its bytes are."""

    digest: Digest
    size: int
    key: StorageKey


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work to be done after a commit. ``dedupe`` keeps one waiting job of a name, beside a running one."""

    kind: str
    payload: Mapping[str, str]
    dedupe: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job that this worker holds until ``lease_until``; ``fence`` proves it still does."""

    id: int
    kind: str
    payload: Mapping[str, str]
    attempt: int
    max_attempts: int
    fence: int
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """An unfinished upload: ``offset`` bytes are durable, the next chunk begins there."""

    id: UploadId
    repository: RepositoryName
    offset: int
    by: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Push:
    """All that one manifest PUT writes, in one transaction."""

    repository: RepositoryName
    manifest: Manifest
    role: Role
    tags: tuple[Tag, ...]
    by: str
    at: datetime
    jobs: tuple[NewJob, ...] = ()
    allow_missing_children: bool = False
    """Sparse content: children of an index and layers of an image that are not held are accepted."""
    expected_tags: Mapping[Tag, Digest | None] = field(default_factory=dict)
    """Where each tag pointed when policy judged the push; ``Conflict`` when one has moved since."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """What a cached answer depended on. Compare whole; a change of any part makes it stale."""

    policy: int
    accounts: int
    repository: int


Permission = Literal["pull", "push", "delete", "admin"]


@dataclass(frozen=True, slots=True)
class Grant:
    """``permissions`` on every repository that ``pattern`` (a project or a glob) matches."""

    pattern: str
    permissions: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class Account:
    """A user or a robot. ``secret_hash`` is argon2id for users, SHA-256 hex for robots."""

    name: str
    """``alice``, or ``robot$prod`` for a robot."""
    kind: Literal["user", "robot"]
    secret_hash: str = field(repr=False)
    is_admin: bool
    grants: tuple[Grant, ...]
    groups: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    disabled: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """The first path segment of a repository name."""

    name: str
    public: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A verdict as it is kept: enough to explain it long after."""

    id: DecisionId
    verdict: Verdict
    evidence: tuple[Mapping[str, str], ...]
    """One row a candidate or report: kind, digest, outcome, reason, attestors."""
    cached: bool
    duration_ms: float


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """A set of policy files as they stood at one commit (or in a folder, for development)."""

    revision: str
    """The commit's id; ``dir:<sha256 of the files>`` for a folder."""
    files: Mapping[str, bytes] = field(repr=False)
    origin: str
    """For people: where it was read from."""
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of the token service. ``private_pem`` is PKCS#8, P-256."""

    id: str
    private_pem: bytes = field(repr=False)
    created_at: datetime
    retired_at: datetime | None = None
