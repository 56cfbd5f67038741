"""Judgements of signatures: found by the hash of all that they rest on, and ended by time."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Float, Index, LargeBinary, MetaData, String, Table

metadata = MetaData()

Table(
    "judgement",
    metadata,
    Column("key", String, primary_key=True),
    Column("made_at", Float, nullable=False),
    Column("valid_until", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_judgement_end", "valid_until"),
)


def upgrade(connection: Connection) -> None:
    """From version 1 to version 2."""
    metadata.create_all(connection)
