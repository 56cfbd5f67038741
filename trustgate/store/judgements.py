"""Judgements of signatures and attestations (port ``Judgements``), by the hash of all that they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Generic

from sqlalchemy import Connection, bindparam, delete, insert, or_, select

from trustgate.errors import StorageUnavailable
from trustgate.oci.strict_json import Json
from trustgate.policy.model import F
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.packed import pack, unpack
from trustgate.store.times import seconds

_judgement = tables.judgement
KEPT_FOR: Final = timedelta(days=30)
"""Then a judgement is made anew, by whoever asks next."""
KEYS_AT_ONCE: Final = 500
"""In one statement: databases bound its parameters."""


class SqlJudgements(Generic[F]):
    """Of one kind of facts, which ``write`` and ``read`` turn into JSON and back. A method, a transaction."""

    def __init__(
        self,
        database: Database,
        *,
        write: Callable[[Iterable[F]], dict[str, Json]],
        read: Callable[[dict[str, Any]], tuple[F, ...]],
    ) -> None:
        self._database = database
        self._to_json = write
        self._from_json = read

    def find(self, keys: Iterable[str], *, now: datetime) -> Mapping[str, tuple[F, ...]]:
        asked = tuple(keys)
        statements = [
            select(_judgement.c.key, _judgement.c.body).where(
                _judgement.c.key.in_(asked[start : start + KEYS_AT_ONCE]),
                _judgement.c.made_at <= seconds(now),
                _judgement.c.valid_until > seconds(now),
            )
            for start in range(0, len(asked), KEYS_AT_ONCE)
        ]
        rows = self._database.read(
            lambda connection: [row for one in statements for row in connection.execute(one)]
        )
        return {row.key: self._facts(row.body) for row in rows}

    def _facts(self, body: bytes) -> tuple[F, ...]:
        try:
            return self._from_json(unpack(body, what="judgement"))
        except (ValueError, KeyError, TypeError) as exc:
            raise StorageUnavailable(
                f"a stored judgement can't be read: {exc}",
                hint="restore the database from a backup",
            ) from exc

    def save(self, found: Mapping[str, tuple[F, ...]], *, now: datetime) -> None:
        rows = [
            {
                "key": key,
                "made_at": seconds(now),
                "valid_until": seconds(_turns(facts, now)),
                "body": pack(self._to_json(facts)),
            }
            for key, facts in found.items()
        ]

        def change(connection: Connection) -> None:
            gone = delete(_judgement).where(_judgement.c.key == bindparam("old"))
            connection.execute(gone, [{"old": key} for key in found])
            connection.execute(insert(_judgement), rows)

        if rows:
            self._database.write(change)

    def forget_old(self, *, now: datetime) -> int:
        """Of all kinds: they share a table."""
        old = or_(_judgement.c.valid_until <= seconds(now), _judgement.c.made_at > seconds(now))
        return self._database.write(
            lambda connection: connection.execute(delete(_judgement).where(old)).rowcount
        )


def _turns(facts: tuple[F, ...], now: datetime) -> datetime:
    """The moment from which on one of them may be another."""
    turns = [fact.valid_until for fact in facts if fact.valid_until is not None]
    return min([*turns, now + KEPT_FOR])
