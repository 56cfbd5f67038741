"""Revisions: counted in the transaction of each change, readable from memory.

The counters in memory follow the commit, before the writing method returns: whoever was told that a
change is done finds every answer from before it stale.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from sqlalchemy import Connection, insert, select, update

from trustgate.ports import Revisions
from trustgate.store import tables
from trustgate.store.database import Database

POLICY = "policy"
ACCOUNTS = "accounts"
_UNKNOWN_REPOSITORY = 0


class SqlFreshness:
    """The port ``Freshness``, and what the other rooms of the store bump."""

    def __init__(self, database: Database) -> None:
        self._named = database.write(_load_named)
        self._repositories = database.read(_load_repositories)
        self._counting = Lock()
        """Two changes that are counted at once must not bring back a vector that was seen before."""

    def vector(self, repository: str) -> Revisions:
        """From memory, no look at the database."""
        named = self._named
        return Revisions(
            policy=named[POLICY],
            accounts=named[ACCOUNTS],
            repository=self._repositories.get(repository, _UNKNOWN_REPOSITORY),
        )

    def named_changed(self, name: str) -> None:
        """After the commit."""
        with self._counting:
            self._named = {**self._named, name: self._named[name] + 1}

    def repositories_changed(self, names: Iterable[str]) -> None:
        """After the commit."""
        with self._counting:
            for name in names:
                self._repositories[name] = self._repositories.get(name, _UNKNOWN_REPOSITORY) + 1


def bump_named(connection: Connection, name: str) -> None:
    """Count a change of policy or accounts, inside its transaction."""
    table = tables.revision
    connection.execute(update(table).where(table.c.name == name).values(value=table.c.value + 1))


def bump_repository(connection: Connection, repository_id: int) -> None:
    """Count a change of a repository's content or evidence, inside its transaction."""
    table = tables.repository
    connection.execute(update(table).where(table.c.id == repository_id).values(revision=table.c.revision + 1))


def _load_named(connection: Connection) -> dict[str, int]:
    table = tables.revision
    found: dict[str, int] = {row.name: row.value for row in connection.execute(select(table))}
    for name in (POLICY, ACCOUNTS):
        if name not in found:
            connection.execute(insert(table).values(name=name, value=1))
            found[name] = 1
    return found


def _load_repositories(connection: Connection) -> dict[str, int]:
    table = tables.repository
    return {row.name: row.revision for row in connection.execute(select(table.c.name, table.c.revision))}
