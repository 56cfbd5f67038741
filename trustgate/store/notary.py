"""Notary v1 metadata, the server's keys for it, and its changefeed (ports ``TrustFiles``, ``TrustKeys``)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from trustgate.errors import Conflict
from trustgate.evidence.notary.publication import MetadataFile
from trustgate.oci.names import RepositoryName
from trustgate.ports import Publication, StoredMetadata, TrustChange, TrustKey
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.freshness import SqlFreshness, bump_repository
from trustgate.store.repositories import repository_id
from trustgate.store.sealing import Sealer
from trustgate.store.times import moment, seconds

MAX_KEYS: Final = 16
"""Keys kept for one role of one GUN: the published one, and those that wait for being published."""
_file, _key = tables.notary_file, tables.notary_key
_floor, _change = tables.notary_floor, tables.notary_change
_CHECKSUMS: Final = {64: _file.c.sha256, 96: _file.c.sha384, 128: _file.c.sha512}


class SqlTrustFiles:
    """Every method is one transaction."""

    def __init__(self, database: Database, freshness: SqlFreshness) -> None:
        self._database = database
        self._freshness = freshness

    def current(self, gun: str) -> Mapping[str, StoredMetadata]:
        statement = select(_file).where(_file.c.gun == gun, _file.c.current)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return {row.role: _read_file(row) for row in rows}

    def find(
        self, gun: str, role: str, *, checksum: str = "", version: int | None = None
    ) -> StoredMetadata | None:
        statement = select(_file).where(_file.c.gun == gun, _file.c.role == role)
        if version is not None:
            statement = statement.where(_file.c.version == version)
        else:
            column = _CHECKSUMS.get(len(checksum))
            if column is None:
                return None
            statement = statement.where(column == checksum)
        row = self._database.read(lambda connection: connection.execute(statement).first())
        return _read_file(row) if row else None

    def roots(self, gun: str, *, newest: int) -> tuple[bytes, ...]:
        statement = (
            select(_file.c.body)
            .where(_file.c.gun == gun, _file.c.role == "root")
            .order_by(_file.c.version.desc())
            .limit(newest)
        )
        rows = self._database.read(lambda connection: connection.execute(statement).scalars().all())
        return tuple(map(bytes, reversed(rows)))

    def guns(self, repository: RepositoryName) -> tuple[str, ...]:
        statement = (
            select(_file.c.gun)
            .where(_file.c.repository == str(repository), _file.c.current)
            .distinct()
            .order_by(_file.c.gun)
        )
        return tuple(self._database.read(lambda connection: connection.execute(statement).scalars().all()))

    def floors(self, gun: str, root_key_ids: tuple[str, ...]) -> Mapping[str, int]:
        remembered = select(_floor.c.role, _floor.c.version).where(
            _floor.c.gun == gun, _floor.c.root_key_id.in_(root_key_ids)
        )
        # what a snapshot took back, before the root keys were rotated
        kept = (
            select(_file.c.role, func.max(_file.c.version)).where(_file.c.gun == gun).group_by(_file.c.role)
        )

        def question(connection: Connection) -> list[tuple[str, int]]:
            return [tuple(row) for each in (remembered, kept) for row in connection.execute(each)]

        found: dict[str, int] = {}
        for role, version in self._database.read(question):
            found[role] = max(found.get(role, 0), version)
        return found

    def publish(self, publication: Publication) -> None:
        def change(connection: Connection) -> None:
            _check_expected(connection, publication)
            for file in publication.files:
                _write_file(connection, publication, file)
            for role in publication.dropped:
                _retire(connection, publication.gun, role)
            stamp = next(file for file in publication.files if file.role == "timestamp")
            _record(
                connection,
                publication.gun,
                stamp.version,
                hashlib.sha256(stamp.raw).hexdigest(),
                "update",
                publication.at,
            )
            _bump(connection, publication.repository)

        self._database.write(change)
        self._freshness.repositories_changed([publication.repository])

    def delete(self, gun: str, repository: RepositoryName, *, at: datetime) -> bool:
        def change(connection: Connection) -> bool:
            gone = connection.execute(delete(_file).where(_file.c.gun == gun)).rowcount > 0
            if gone:
                _record(connection, gun, 0, "", "deletion", at)
                _bump(connection, repository)
            return gone

        deleted = self._database.write(change)
        self._freshness.repositories_changed([repository])
        return deleted

    def changes(self, gun: str, *, after: int | None, limit: int, backwards: bool) -> tuple[TrustChange, ...]:
        statement: Select[Any] = select(_change)
        if gun:
            statement = statement.where(_change.c.gun == gun)
        if after is None and not backwards:
            return ()
        if after is not None:
            statement = statement.where(_change.c.id < after if backwards else _change.c.id > after)
        order = _change.c.id.desc() if backwards else _change.c.id
        statement = statement.order_by(order).limit(limit)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        found = [
            TrustChange(row.id, row.gun, row.version, row.sha256, row.category, moment(row.at))
            for row in rows
        ]
        return tuple(reversed(found) if backwards else found)


def _check_expected(connection: Connection, publication: Publication) -> None:
    statement = select(_file.c.role, _file.c.version).where(_file.c.gun == publication.gun, _file.c.current)
    found = {row.role: row.version for row in connection.execute(statement)}
    if found != dict(publication.expected):
        raise Conflict(f"{publication.gun} was published by someone else meanwhile")


def _write_file(connection: Connection, publication: Publication, file: MetadataFile) -> None:
    _retire(connection, publication.gun, file.role)
    connection.execute(
        insert(_file).values(
            gun=publication.gun,
            role=file.role,
            version=file.version,
            repository=str(publication.repository),
            current=True,
            sha256=hashlib.sha256(file.raw).hexdigest(),
            sha384=hashlib.sha384(file.raw).hexdigest(),
            sha512=hashlib.sha512(file.raw).hexdigest(),
            stored_at=seconds(publication.at),
            body=file.raw,
        )
    )
    for key_id in publication.root_key_ids:
        _raise_floor(connection, publication.gun, key_id, file)


def _retire(connection: Connection, gun: str, role: str) -> None:
    connection.execute(
        update(_file).where(_file.c.gun == gun, _file.c.role == role, _file.c.current).values(current=False)
    )


def _raise_floor(connection: Connection, gun: str, key_id: str, file: MetadataFile) -> None:
    same = (_floor.c.gun == gun, _floor.c.root_key_id == key_id, _floor.c.role == file.role)
    known = connection.execute(select(_floor.c.version).where(*same)).scalar()
    if known is None:
        values = {"gun": gun, "root_key_id": key_id, "role": file.role, "version": file.version}
        connection.execute(insert(_floor).values(**values))
    elif known < file.version:
        connection.execute(update(_floor).where(*same).values(version=file.version))


def _record(connection: Connection, gun: str, version: int, sha256: str, category: str, at: datetime) -> None:
    connection.execute(
        insert(_change).values(gun=gun, version=version, sha256=sha256, category=category, at=seconds(at))
    )


def _bump(connection: Connection, repository: RepositoryName) -> None:
    """What is published is evidence about a repository: verdicts from before it are stale."""
    found = repository_id(connection, repository)
    if found is not None:
        bump_repository(connection, found)


def _read_file(row: Row[Any]) -> StoredMetadata:
    return StoredMetadata(MetadataFile(row.role, row.version, bytes(row.body)), moment(row.stored_at))


class SqlTrustKeys:
    """Every method is one transaction."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def all(self, gun: str) -> tuple[TrustKey, ...]:
        statement = select(_key).where(_key.c.gun == gun).order_by(_key.c.id)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(
            TrustKey(
                role=row.role,
                key_id=row.key_id,
                private_pem=self._sealer.open(bytes(row.sealed), _context(gun, row.role, row.key_id)),
                created_at=moment(row.created_at),
            )
            for row in rows
        )

    def add(self, gun: str, key: TrustKey, *, keep: frozenset[str]) -> None:
        sealed = self._sealer.seal(key.private_pem, _context(gun, key.role, key.key_id))

        def change(connection: Connection) -> None:
            connection.execute(
                insert(_key).values(
                    gun=gun,
                    role=key.role,
                    key_id=key.key_id,
                    sealed=sealed,
                    created_at=seconds(key.created_at),
                )
            )
            same = select(_key.c.id, _key.c.key_id).where(_key.c.gun == gun, _key.c.role == key.role)
            rows = connection.execute(same.order_by(_key.c.id)).all()
            spare = [row.id for row in rows if row.key_id not in keep]
            surplus = spare[: max(0, len(rows) - MAX_KEYS)]
            connection.execute(delete(_key).where(_key.c.id.in_(surplus)))

        self._database.write(change)


def _context(gun: str, role: str, key_id: str) -> str:
    return f"{gun} {role} {key_id}"
