"""Which repository may serve which blob (port ``Blobs``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from trustgate.errors import Conflict
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.ports import Clock, StorageKey, StoredBlob
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.freshness import SqlFreshness, bump_repository
from trustgate.store.repositories import ensure_repository, repository_id
from trustgate.store.times import seconds

_blob, _held, _repository = tables.blob, tables.repository_blob, tables.repository
_FIND = (
    select(_blob.c.digest, _blob.c.size, _blob.c.storage_key)
    .join(_held, _held.c.digest == _blob.c.digest)
    .join(_repository, _repository.c.id == _held.c.repository_id)
    .where(_repository.c.name == bindparam("repository"), _blob.c.digest == bindparam("digest"))
)


class SqlBlobs:
    """Every method is one transaction."""

    def __init__(self, database: Database, freshness: SqlFreshness, clock: Clock) -> None:
        self._database = database
        self._freshness = freshness
        self._clock = clock

    def find(self, repository: RepositoryName, digest: Digest) -> StoredBlob | None:
        return self._database.read(lambda connection: _find(connection, repository, digest))

    def holders(self, digest: Digest, *, limit: int) -> tuple[RepositoryName, ...]:
        statement = (
            select(_repository.c.name)
            .join(_held, _held.c.repository_id == _repository.c.id)
            .where(_held.c.digest == str(digest))
            .order_by(_repository.c.name)
            .limit(limit)
        )
        names = self._database.read(lambda connection: list(connection.execute(statement).scalars()))
        return tuple(RepositoryName(name) for name in names)

    def mount(self, source: RepositoryName, target: RepositoryName, digest: Digest) -> StoredBlob | None:
        at = self._clock.now()

        def change(connection: Connection) -> StoredBlob | None:
            blob = _find(connection, source, digest)
            if blob is not None:
                link(connection, ensure_repository(connection, target, at), digest)
            return blob

        return self._database.write(change)

    def delete(self, repository: RepositoryName, digest: Digest) -> bool:
        deleted = self._database.write(
            lambda connection: _delete(connection, repository, digest, self._clock.now())
        )
        self._freshness.repositories_changed([repository])
        return deleted

    def release(self, *, limit: int) -> tuple[StorageKey, ...]:
        now = seconds(self._clock.now())
        table = tables.tombstone
        statement = select(table.c.storage_key).where(table.c.due_at <= now).limit(limit)
        keys = self._database.read(lambda connection: list(connection.execute(statement).scalars()))
        return tuple(StorageKey(key) for key in keys)

    def released(self, keys: Sequence[StorageKey]) -> None:
        table = tables.tombstone
        statement = delete(table).where(table.c.storage_key.in_(list(keys)))
        self._database.write(lambda connection: connection.execute(statement))


def _find(connection: Connection, repository: RepositoryName, digest: Digest) -> StoredBlob | None:
    row = connection.execute(_FIND, {"repository": str(repository), "digest": str(digest)}).first()
    return StoredBlob(Digest(row.digest), row.size, StorageKey(row.storage_key)) if row else None


def link(connection: Connection, repository: int, digest: Digest) -> None:
    """Let the repository hold the blob; no error when it does already."""
    same = select(_held.c.digest).where(_held.c.repository_id == repository, _held.c.digest == str(digest))
    if connection.execute(same).first() is None:
        connection.execute(insert(_held).values(repository_id=repository, digest=str(digest)))


def _delete(connection: Connection, repository: RepositoryName, digest: Digest, now: datetime) -> bool:
    found = repository_id(connection, repository)
    if found is None:
        return False
    needed = (
        select(tables.manifest.c.digest)
        .join(tables.blob_ref, tables.blob_ref.c.manifest_id == tables.manifest.c.id)
        .where(tables.manifest.c.repository_id == found, tables.blob_ref.c.digest == str(digest))
    )
    manifest = connection.execute(needed).scalar()
    if manifest is not None:
        raise Conflict(
            f"blob {digest.short} is needed by manifest {Digest(manifest).short}",
            hint="delete the manifest first",
        )
    mine = (_held.c.repository_id == found) & (_held.c.digest == str(digest))
    gone = connection.execute(delete(_held).where(mine)).rowcount > 0
    bump_repository(connection, found)
    others = select(_held.c.digest).where(_held.c.digest == str(digest))
    if gone and connection.execute(others).first() is None:
        bury_blob(connection, digest, now)
    return gone


def bury_blob(connection: Connection, digest: Digest, now: datetime) -> None:
    """No repository holds the blob any more: drop its row and leave a tombstone for its bytes."""
    key = connection.execute(select(_blob.c.storage_key).where(_blob.c.digest == str(digest))).scalar()
    connection.execute(delete(_blob).where(_blob.c.digest == str(digest)))
    bury_key(connection, StorageKey(str(key)), now)


def bury_key(connection: Connection, key: StorageKey, now: datetime) -> None:
    """The bytes under ``key`` may be deleted from now on."""
    connection.execute(insert(tables.tombstone).values(storage_key=key, due_at=seconds(now)))
