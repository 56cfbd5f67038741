"""Notary v1 metadata is asked for by what is current: old versions stay, and must not cost a look-up."""

from __future__ import annotations

from sqlalchemy import Connection, text


def upgrade(connection: Connection) -> None:
    """From version 3 to version 4."""
    for statement in (
        "DROP INDEX ix_notary_file_repository",
        "CREATE INDEX ix_notary_file_current_repository ON notary_file (repository, current, gun)",
        "CREATE INDEX ix_notary_file_current ON notary_file (gun, current)",
    ):
        connection.execute(text(statement))
