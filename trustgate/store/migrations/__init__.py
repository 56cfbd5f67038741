"""Numbered steps from an empty file to today's tables; each start runs those that are missing.

One transaction holds a whole upgrade, so a kill in the middle leaves the old schema. A schema newer than
this program knows is refused: an older program must not write into it. Steps are never edited once
released; they spell out their statements and do not import ``tables``, which moves on.

Alembic was weighed: it imports in half a second at each start that is behind, wants a configuration file
and an environment script, and offers autogeneration, which a handful of hand-written steps do not need.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from trustgate.errors import StorageUnavailable
from trustgate.store.database import Database
from trustgate.store.migrations import (
    m0001_first_tables,
    m0002_judgements,
    m0003_notary,
    m0004_current_metadata,
)

STEPS: tuple[Callable[[Connection], None], ...] = (
    m0001_first_tables.upgrade,
    m0002_judgements.upgrade,
    m0003_notary.upgrade,
    m0004_current_metadata.upgrade,
)
"""Step n brings version n to version n + 1."""


def migrate(database: Database) -> int:
    """Bring the schema to the newest version, and say which that is.

    Raises ``StorageUnavailable`` for a schema from a newer release.
    """
    return database.write(_upgrade)


def _upgrade(connection: Connection) -> int:
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"))
    version = connection.execute(text("SELECT max(version) FROM schema_version")).scalar() or 0
    if version > len(STEPS):
        raise StorageUnavailable(
            f"the database has schema version {version}, this release knows {len(STEPS)}",
            hint="start the newer release again, or restore the backup from before the upgrade",
        )
    for step in STEPS[version:]:
        step(connection)
    if version < len(STEPS):
        connection.execute(text("DELETE FROM schema_version"))
        connection.execute(text("INSERT INTO schema_version VALUES (:version)"), {"version": len(STEPS)})
    return len(STEPS)
