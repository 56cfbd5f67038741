"""Repositories and projects as rows: they come into being with the first thing that is put there."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select

from trustgate.oci.names import RepositoryName
from trustgate.store import tables
from trustgate.store.times import seconds


def repository_id(connection: Connection, name: str) -> int | None:
    """The row of a repository, or ``None``."""
    table = tables.repository
    found: int | None = connection.execute(select(table.c.id).where(table.c.name == name)).scalar()
    return found


def ensure_repository(connection: Connection, name: RepositoryName, at: datetime) -> int:
    """The row of a repository, made (with its private project) when it is not there."""
    found = repository_id(connection, name)
    if found is not None:
        return found
    project = tables.project
    if connection.execute(select(project.c.name).where(project.c.name == name.project)).first() is None:
        connection.execute(insert(project).values(name=name.project, public=False, created_at=seconds(at)))
    connection.execute(insert(tables.repository).values(name=str(name), revision=0))
    made = repository_id(connection, name)
    if made is None:
        raise LookupError(name)  # the insert above would have failed first
    return made
