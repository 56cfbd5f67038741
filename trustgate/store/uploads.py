"""Uploads in progress (port ``Uploads``)."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from trustgate.errors import BlobUploadUnknown, RangeInvalid
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.ports import Clock, StorageKey, StoredBlob, Upload, UploadId
from trustgate.store import tables
from trustgate.store.blobs import bury_key, link
from trustgate.store.database import Database
from trustgate.store.freshness import SqlFreshness, bump_repository
from trustgate.store.repositories import ensure_repository
from trustgate.store.times import moment, seconds

ID_BYTES = 18
"""Random bytes of an upload's id: 144 bits, nobody guesses another's."""
_upload, _blob = tables.upload, tables.blob


class SqlUploads:
    """Every method is one transaction."""

    def __init__(self, database: Database, freshness: SqlFreshness, clock: Clock) -> None:
        self._database = database
        self._freshness = freshness
        self._clock = clock

    def begin(self, repository: RepositoryName, *, by: str, at: datetime) -> Upload:
        upload = Upload(UploadId(secrets.token_hex(ID_BYTES)), repository, 0, by, at)
        statement = insert(_upload).values(
            id=upload.id,
            repository=str(repository),
            size=0,
            started_by=by,
            started_at=seconds(at),
            touched_at=seconds(at),
        )
        self._database.write(lambda connection: connection.execute(statement))
        return upload

    def find(self, repository: RepositoryName, upload: UploadId) -> Upload | None:
        statement = select(_upload).where(_upload.c.id == upload, _upload.c.repository == str(repository))
        row = self._database.read(lambda connection: connection.execute(statement).first())
        return _read(row) if row else None

    def advance(self, upload: Upload, offset: int, *, at: datetime) -> Upload:
        def change(connection: Connection) -> Upload:
            same = (_upload.c.id == upload.id) & (_upload.c.size == upload.offset)
            done = connection.execute(update(_upload).where(same).values(size=offset, touched_at=seconds(at)))
            if done.rowcount == 0:
                _refuse_advance(connection, upload)
            return Upload(upload.id, upload.repository, offset, upload.by, upload.started_at)

        return self._database.write(change)

    def finish(self, upload: Upload, blob: StoredBlob, *, lost: StorageKey | None = None) -> StoredBlob:
        kept = self._database.write(lambda connection: self._finish(connection, upload, blob, lost))
        self._freshness.repositories_changed([upload.repository])
        return kept

    def cancel(self, repository: RepositoryName, upload: UploadId) -> bool:
        statement = delete(_upload).where(_upload.c.id == upload, _upload.c.repository == str(repository))
        return self._database.write(lambda connection: connection.execute(statement).rowcount > 0)

    def idle(self, *, before: datetime, limit: int) -> tuple[Upload, ...]:
        statement = select(_upload).where(_upload.c.touched_at < seconds(before)).limit(limit)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(_read(row) for row in rows)

    def _finish(
        self, connection: Connection, upload: Upload, blob: StoredBlob, lost: StorageKey | None
    ) -> StoredBlob:
        if connection.execute(delete(_upload).where(_upload.c.id == upload.id)).rowcount == 0:
            raise BlobUploadUnknown(f"upload {upload.id} was ended by someone else")
        now = self._clock.now()
        repository = ensure_repository(connection, upload.repository, now)
        kept = _keep_first(connection, blob, lost, now)
        link(connection, repository, blob.digest)
        bump_repository(connection, repository)
        return kept


def _keep_first(
    connection: Connection, blob: StoredBlob, lost: StorageKey | None, now: datetime
) -> StoredBlob:
    """The copy that is known already stays, if its bytes do; the bytes of a second one are given up."""
    row = connection.execute(select(_blob).where(_blob.c.digest == str(blob.digest))).first()
    if row is None:
        connection.execute(
            insert(_blob).values(
                digest=str(blob.digest), size=blob.size, storage_key=blob.key, stored_at=seconds(now)
            )
        )
        return blob
    if row.storage_key == lost:
        same = _blob.c.digest == str(blob.digest)
        connection.execute(update(_blob).where(same).values(size=blob.size, storage_key=blob.key))
        return blob
    bury_key(connection, blob.key, now)
    return StoredBlob(Digest(row.digest), row.size, StorageKey(row.storage_key))


def _refuse_advance(connection: Connection, upload: Upload) -> None:
    size = connection.execute(select(_upload.c.size).where(_upload.c.id == upload.id)).scalar()
    if size is None:
        raise BlobUploadUnknown(f"upload {upload.id} was ended by someone else")
    raise RangeInvalid(
        f"another chunk got in between: the upload stands at {size}, this chunk began at {upload.offset}",
        hint="ask for the upload's status and go on from there",
    )


def _read(row: Row[Any]) -> Upload:
    return Upload(
        UploadId(row.id), RepositoryName(row.repository), row.size, row.started_by, moment(row.started_at)
    )
