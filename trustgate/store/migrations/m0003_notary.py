"""Tables of the Notary v1 server, frozen as they were at this version."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

Table(
    "notary_file",
    metadata,
    Column("gun", String, primary_key=True),
    Column("role", String, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("repository", String, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("sha256", String, nullable=False),
    Column("sha384", String, nullable=False),
    Column("sha512", String, nullable=False),
    Column("stored_at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_notary_file_repository", "repository"),
)
Table(
    "notary_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("gun", String, nullable=False),
    Column("role", String, nullable=False),
    Column("key_id", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_notary_key_gun", "gun"),
)
Table(
    "notary_floor",
    metadata,
    Column("gun", String, primary_key=True),
    Column("root_key_id", String, primary_key=True),
    Column("role", String, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
Table(
    "notary_change",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("gun", String, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("category", String, nullable=False),
    Column("at", Float, nullable=False),
    Index("ix_notary_change_gun", "gun", "id"),
)


def upgrade(connection: Connection) -> None:
    """From version 2 to version 3."""
    metadata.create_all(connection)
