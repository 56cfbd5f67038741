"""Users, robots, projects, token keys (ports ``Accounts``, ``Projects``, ``SigningKeys``)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, insert, select, update

from trustgate.errors import Conflict, NotFound
from trustgate.ports import Account, Grant, Project, SigningKey
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.freshness import ACCOUNTS, SqlFreshness, bump_named
from trustgate.store.times import moment, seconds

T = TypeVar("T")
_account, _project, _key = tables.account, tables.project, tables.signing_key


class _Counted:
    """What the three share: each write counts as a change of accounts."""

    def __init__(self, database: Database, freshness: SqlFreshness) -> None:
        self._database = database
        self._freshness = freshness

    def _write(self, change: Callable[[Connection], T]) -> T:
        def counted(connection: Connection) -> T:
            result = change(connection)
            bump_named(connection, ACCOUNTS)
            return result

        result = self._database.write(counted)
        self._freshness.named_changed(ACCOUNTS)
        return result


class SqlAccounts(_Counted):
    """Every method is one transaction."""

    def find(self, name: str) -> Account | None:
        statement = select(_account).where(_account.c.name == name)
        row = self._database.read(lambda connection: connection.execute(statement).first())
        return _read_account(row) if row else None

    def all(self) -> tuple[Account, ...]:
        statement = select(_account).order_by(_account.c.name)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(_read_account(row) for row in rows)

    def create(self, account: Account) -> None:
        def change(connection: Connection) -> None:
            taken = select(_account.c.name).where(_account.c.name == account.name)
            if connection.execute(taken).first() is not None:
                raise Conflict(f"there is an account {account.name!r} already")
            connection.execute(insert(_account).values(**_account_values(account)))

        self._write(change)

    def replace(self, account: Account) -> None:
        def change(connection: Connection) -> None:
            statement = update(_account).where(_account.c.name == account.name)
            if connection.execute(statement.values(**_account_values(account))).rowcount == 0:
                raise NotFound(f"there is no account {account.name!r}")

        self._write(change)

    def delete(self, name: str) -> bool:
        statement = delete(_account).where(_account.c.name == name)
        return self._write(lambda connection: connection.execute(statement).rowcount > 0)


def _account_values(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "kind": account.kind,
        "secret_hash": account.secret_hash,
        "is_admin": account.is_admin,
        "grants": json.dumps([[grant.pattern, sorted(grant.permissions)] for grant in account.grants]),
        "groups": json.dumps(sorted(account.groups)),
        "created_at": seconds(account.created_at),
        "expires_at": seconds(account.expires_at) if account.expires_at else None,
        "disabled": account.disabled,
        "description": account.description,
    }


def _read_account(row: Row[Any]) -> Account:
    return Account(
        name=row.name,
        kind=row.kind,
        secret_hash=row.secret_hash,
        is_admin=row.is_admin,
        grants=tuple(Grant(pattern, frozenset(allowed)) for pattern, allowed in json.loads(row.grants)),
        groups=frozenset(json.loads(row.groups)),
        created_at=moment(row.created_at),
        expires_at=moment(row.expires_at) if row.expires_at is not None else None,
        disabled=row.disabled,
        description=row.description,
    )


class SqlProjects(_Counted):
    """Every method is one transaction."""

    def find(self, name: str) -> Project | None:
        statement = select(_project).where(_project.c.name == name)
        row = self._database.read(lambda connection: connection.execute(statement).first())
        return _read_project(row) if row else None

    def all(self) -> tuple[Project, ...]:
        statement = select(_project).order_by(_project.c.name)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(_read_project(row) for row in rows)

    def put(self, project: Project) -> None:
        def change(connection: Connection) -> None:
            same = _project.c.name == project.name
            if connection.execute(update(_project).where(same).values(public=project.public)).rowcount == 0:
                connection.execute(
                    insert(_project).values(
                        name=project.name, public=project.public, created_at=seconds(project.created_at)
                    )
                )

        self._write(change)


def _read_project(row: Row[Any]) -> Project:
    return Project(row.name, row.public, moment(row.created_at))


class SqlSigningKeys(_Counted):
    """Every method is one transaction."""

    def all(self) -> tuple[SigningKey, ...]:
        statement = select(_key).order_by(_key.c.created_at)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(_read_key(row) for row in rows)

    def add(self, key: SigningKey, *, retire_others_at: datetime) -> None:
        def change(connection: Connection) -> None:
            connection.execute(
                update(_key).where(_key.c.retired_at.is_(None)).values(retired_at=seconds(retire_others_at))
            )
            connection.execute(
                insert(_key).values(
                    id=key.id, private_pem=key.private_pem, created_at=seconds(key.created_at)
                )
            )

        self._write(change)

    def remove_retired(self, *, before: datetime) -> int:
        statement = delete(_key).where(_key.c.retired_at < seconds(before))
        return self._write(lambda connection: connection.execute(statement).rowcount)


def _read_key(row: Row[Any]) -> SigningKey:
    return SigningKey(
        id=row.id,
        private_pem=bytes(row.private_pem),
        created_at=moment(row.created_at),
        retired_at=moment(row.retired_at) if row.retired_at is not None else None,
    )
