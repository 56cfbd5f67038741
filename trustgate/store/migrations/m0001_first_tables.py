"""The first tables, frozen as they were at this version; built by the dialect of the database at hand."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()

Table(
    "account",
    metadata,
    Column("name", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("secret_hash", String, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("grants", String, nullable=False),
    Column("groups", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("disabled", Boolean, nullable=False),
    Column("description", String, nullable=False),
)
Table(
    "blob",
    metadata,
    Column("digest", String, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("storage_key", String, nullable=False, unique=True),
    Column("stored_at", Float, nullable=False),
)
Table(
    "content",
    metadata,
    Column("digest", String, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
Table(
    "decision",
    metadata,
    Column("id", String, primary_key=True),
    Column("at", Float, nullable=False),
    Column("repository", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_decision_at", "at"),
    Index("ix_decision_subject", "repository", "digest", "at"),
)
Table(
    "job",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("payload", String, nullable=False),
    Column("dedupe", String, nullable=False),
    Column("state", String, nullable=False),
    Column("run_at", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("owner", String, nullable=False),
    Column("lease_until", Float, nullable=False),
    Column("error", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Index("ix_job_dedupe", "dedupe", "state"),
    Index("ix_job_due", "state", "run_at"),
)
Table(
    "policy_files",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("loaded_at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Table(
    "project",
    metadata,
    Column("name", String, primary_key=True),
    Column("public", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
)
Table(
    "report",
    metadata,
    Column("digest", String, primary_key=True),
    Column("scanner", String, primary_key=True),
    Column("scanned_at", Float, nullable=False),
    Column("status", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Table(
    "repository",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("revision", Integer, nullable=False),
)
Table(
    "revision",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Integer, nullable=False),
)
Table(
    "signing_key",
    metadata,
    Column("id", String, primary_key=True),
    Column("private_pem", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("retired_at", Float),
)
Table(
    "tombstone",
    metadata,
    Column("storage_key", String, primary_key=True),
    Column("due_at", Float, nullable=False),
)
Table(
    "upload",
    metadata,
    Column("id", String, primary_key=True),
    Column("repository", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("started_by", String, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("touched_at", Float, nullable=False),
    Index("ix_upload_touched_at", "touched_at"),
)
Table(
    "manifest",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("repository_id", Integer, ForeignKey("repository.id", ondelete="RESTRICT"), nullable=False),
    Column("digest", String, ForeignKey("content.digest", ondelete="RESTRICT"), nullable=False),
    Column("media_type", String, nullable=False),
    Column("artifact_type", String, nullable=False),
    Column("role", String, nullable=False),
    Column("subject", String),
    Column("pushed_at", Float, nullable=False),
    Column("pushed_by", String, nullable=False),
    UniqueConstraint("repository_id", "digest"),
    Index("ix_manifest_digest", "digest"),
    Index("ix_manifest_subject", "repository_id", "subject"),
)
Table(
    "repository_blob",
    metadata,
    Column("repository_id", Integer, ForeignKey("repository.id", ondelete="RESTRICT"), primary_key=True),
    Column("digest", String, ForeignKey("blob.digest", ondelete="RESTRICT"), primary_key=True),
    Index("ix_repository_blob_digest", "digest"),
)
Table(
    "blob_ref",
    metadata,
    Column("manifest_id", Integer, ForeignKey("manifest.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", String, ForeignKey("blob.digest", ondelete="RESTRICT"), primary_key=True),
    Index("ix_blob_ref_digest", "digest"),
)
Table(
    "child_ref",
    metadata,
    Column("manifest_id", Integer, ForeignKey("manifest.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", String, primary_key=True),
    Index("ix_child_ref_digest", "digest"),
)
Table(
    "tag",
    metadata,
    Column("repository_id", Integer, ForeignKey("repository.id", ondelete="RESTRICT"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("manifest_id", Integer, ForeignKey("manifest.id", ondelete="RESTRICT"), nullable=False),
    Column("moved_at", Float, nullable=False),
    Index("ix_tag_manifest", "manifest_id"),
)


def upgrade(connection: Connection) -> None:
    """From nothing to version 1."""
    metadata.create_all(connection)
