"""The tables, and nothing else. Statements are built from these in the modules beside this one.

Times are UTC seconds since 1970 as floats: SQLite and PostgreSQL order and compare them alike.
"""

from __future__ import annotations

from typing import cast

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, UniqueConstraint
from sqlmodel import Field, SQLModel


class RepositoryRow(SQLModel, table=True):
    __tablename__ = "repository"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True, index=True)
    revision: int = 0


class ContentRow(SQLModel, table=True):
    """The bytes of a manifest, once, whichever repositories hold it."""

    __tablename__ = "content"
    digest: str = Field(primary_key=True)
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ManifestRow(SQLModel, table=True):
    """A manifest in a repository; ``id`` orders by time of arrival."""

    __tablename__ = "manifest"
    __table_args__ = (
        UniqueConstraint("repository_id", "digest"),
        Index("ix_manifest_subject", "repository_id", "subject"),
    )
    id: int | None = Field(default=None, primary_key=True)
    repository_id: int = Field(foreign_key="repository.id", ondelete="RESTRICT")
    digest: str = Field(foreign_key="content.digest", ondelete="RESTRICT", index=True)
    media_type: str
    artifact_type: str
    role: str
    subject: str | None = None
    pushed_at: float
    pushed_by: str


class TagRow(SQLModel, table=True):
    __tablename__ = "tag"
    __table_args__ = (Index("ix_tag_manifest", "manifest_id"),)
    repository_id: int = Field(primary_key=True, foreign_key="repository.id", ondelete="RESTRICT")
    name: str = Field(primary_key=True)
    manifest_id: int = Field(foreign_key="manifest.id", ondelete="RESTRICT")
    moved_at: float


class BlobRow(SQLModel, table=True):
    __tablename__ = "blob"
    digest: str = Field(primary_key=True)
    size: int
    storage_key: str = Field(unique=True)
    stored_at: float


class RepositoryBlobRow(SQLModel, table=True):
    __tablename__ = "repository_blob"
    __table_args__ = (Index("ix_repository_blob_digest", "digest"),)
    repository_id: int = Field(primary_key=True, foreign_key="repository.id", ondelete="RESTRICT")
    digest: str = Field(primary_key=True, foreign_key="blob.digest", ondelete="RESTRICT")


class BlobRefRow(SQLModel, table=True):
    """A manifest needs a blob: as long as this row stands, the blob's row stands."""

    __tablename__ = "blob_ref"
    __table_args__ = (Index("ix_blob_ref_digest", "digest"),)
    manifest_id: int = Field(primary_key=True, foreign_key="manifest.id", ondelete="CASCADE")
    digest: str = Field(primary_key=True, foreign_key="blob.digest", ondelete="RESTRICT")


class ChildRefRow(SQLModel, table=True):
    """An index names a child; the child may be missing (a sparse index)."""

    __tablename__ = "child_ref"
    __table_args__ = (Index("ix_child_ref_digest", "digest"),)
    manifest_id: int = Field(primary_key=True, foreign_key="manifest.id", ondelete="CASCADE")
    digest: str = Field(primary_key=True)


class UploadRow(SQLModel, table=True):
    __tablename__ = "upload"
    id: str = Field(primary_key=True)
    repository: str
    size: int
    started_by: str
    started_at: float
    touched_at: float = Field(index=True)


class TombstoneRow(SQLModel, table=True):
    """A storage key whose bytes may be deleted: no row names it, and none ever will again."""

    __tablename__ = "tombstone"
    storage_key: str = Field(primary_key=True)
    due_at: float


class JobRow(SQLModel, table=True):
    __tablename__ = "job"
    __table_args__ = (Index("ix_job_due", "state", "run_at"), Index("ix_job_dedupe", "dedupe", "state"))
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    payload: str
    dedupe: str
    state: str
    """``ready``, ``running``, ``done`` or ``failed``."""
    run_at: float
    attempt: int = 0
    max_attempts: int
    fence: int = 0
    owner: str = ""
    lease_until: float = 0.0
    error: str = ""
    created_at: float
    finished_at: float | None = None


class ReportRow(SQLModel, table=True):
    """The newest report of a scanner, and the newest whose status was ``ok``."""

    __tablename__ = "report"
    digest: str = Field(primary_key=True)
    scanner: str = Field(primary_key=True)
    scanned_at: float
    status: str
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class DecisionRow(SQLModel, table=True):
    __tablename__ = "decision"
    __table_args__ = (Index("ix_decision_subject", "repository", "digest", "at"),)
    id: str = Field(primary_key=True)
    at: float = Field(index=True)
    repository: str
    digest: str
    verdict: str
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class PolicyFilesRow(SQLModel, table=True):
    """The last good policy set, as bytes: one row."""

    __tablename__ = "policy_files"
    id: int = Field(primary_key=True)
    revision: str
    origin: str
    loaded_at: float
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class AccountRow(SQLModel, table=True):
    __tablename__ = "account"
    name: str = Field(primary_key=True)
    kind: str
    secret_hash: str
    is_admin: bool
    grants: str
    """JSON: ``[[pattern, [permission …]] …]``."""
    groups: str
    """JSON: ``[name …]``."""
    created_at: float
    expires_at: float | None = None
    disabled: bool = False
    description: str = ""


class ProjectRow(SQLModel, table=True):
    __tablename__ = "project"
    name: str = Field(primary_key=True)
    public: bool
    created_at: float


class SigningKeyRow(SQLModel, table=True):
    __tablename__ = "signing_key"
    id: str = Field(primary_key=True)
    private_pem: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: float
    retired_at: float | None = None


class JudgementRow(SQLModel, table=True):
    """Facts about the signatures of a digest, under the hash of what they rest on."""

    __tablename__ = "judgement"
    __table_args__ = (Index("ix_judgement_end", "valid_until"),)
    key: str = Field(primary_key=True)
    made_at: float
    valid_until: float
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class RevisionRow(SQLModel, table=True):
    """Counters that a cached answer depends on: ``policy`` and ``accounts``."""

    __tablename__ = "revision"
    name: str = Field(primary_key=True)
    value: int


class NotaryFileRow(SQLModel, table=True):
    """A Notary v1 metadata file; of each role, at most one version is ``current``."""

    __tablename__ = "notary_file"
    __table_args__ = (
        Index("ix_notary_file_current_repository", "repository", "current", "gun"),
        Index("ix_notary_file_current", "gun", "current"),
    )
    gun: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    version: int = Field(sa_column=Column(BigInteger, primary_key=True))
    repository: str
    current: bool
    sha256: str
    sha384: str
    sha512: str
    stored_at: float
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class NotaryKeyRow(SQLModel, table=True):
    """A key that the server signs snapshots or timestamps with, sealed."""

    __tablename__ = "notary_key"
    id: int | None = Field(default=None, primary_key=True)
    gun: str = Field(index=True)
    role: str
    key_id: str
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: float


class NotaryFloorRow(SQLModel, table=True):
    """The highest version of a role that was ever published under a root key."""

    __tablename__ = "notary_floor"
    gun: str = Field(primary_key=True)
    root_key_id: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    version: int = Field(sa_column=Column(BigInteger, nullable=False))


class NotaryChangeRow(SQLModel, table=True):
    __tablename__ = "notary_change"
    __table_args__ = (Index("ix_notary_change_gun", "gun", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    gun: str
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str
    category: str
    at: float


def _table(model: type[SQLModel]) -> Table:
    return cast("Table", model.__table__)  # type: ignore[attr-defined]  # SQLModel adds it at run time


repository = _table(RepositoryRow)
content = _table(ContentRow)
manifest = _table(ManifestRow)
tag = _table(TagRow)
blob = _table(BlobRow)
repository_blob = _table(RepositoryBlobRow)
blob_ref = _table(BlobRefRow)
child_ref = _table(ChildRefRow)
upload = _table(UploadRow)
tombstone = _table(TombstoneRow)
job = _table(JobRow)
report = _table(ReportRow)
decision = _table(DecisionRow)
policy_files = _table(PolicyFilesRow)
account = _table(AccountRow)
project = _table(ProjectRow)
signing_key = _table(SigningKeyRow)
judgement = _table(JudgementRow)
revision = _table(RevisionRow)
notary_file = _table(NotaryFileRow)
notary_key = _table(NotaryKeyRow)
notary_floor = _table(NotaryFloorRow)
notary_change = _table(NotaryChangeRow)
