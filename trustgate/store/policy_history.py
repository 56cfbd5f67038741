"""The last policy set that loaded (port ``PolicyHistory``)."""

from __future__ import annotations

import base64

from sqlalchemy import Connection, delete, insert, select

from trustgate.ports import PolicyFiles
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.freshness import POLICY, SqlFreshness, bump_named
from trustgate.store.packed import pack, unpack
from trustgate.store.times import moment, seconds

_THE_ROW = 1
_files = tables.policy_files


class SqlPolicyHistory:
    """Every method is one transaction."""

    def __init__(self, database: Database, freshness: SqlFreshness) -> None:
        self._database = database
        self._freshness = freshness

    def last_good(self) -> PolicyFiles | None:
        row = self._database.read(lambda connection: connection.execute(select(_files)).first())
        if row is None:
            return None
        packed: dict[str, str] = unpack(row.body, what="policy set")
        return PolicyFiles(
            revision=row.revision,
            files={path: base64.b64decode(text) for path, text in packed.items()},
            origin=row.origin,
            loaded_at=moment(row.loaded_at),
        )

    def accept(self, files: PolicyFiles) -> None:
        body = pack({path: base64.b64encode(raw).decode() for path, raw in files.files.items()})

        def change(connection: Connection) -> None:
            connection.execute(delete(_files))
            connection.execute(
                insert(_files).values(
                    id=_THE_ROW,
                    revision=files.revision,
                    origin=files.origin,
                    loaded_at=seconds(files.loaded_at),
                    body=body,
                )
            )
            bump_named(connection, POLICY)

        self._database.write(change)
        self._freshness.named_changed(POLICY)
