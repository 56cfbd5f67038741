"""Judgements of signatures and attestations (port ``Judgements``), by the hash of all that they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Generic

from sqlalchemy import Connection, delete, insert, or_, select

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

    def find(self, key: str, *, now: datetime) -> tuple[F, ...] | None:
        statement = select(_judgement.c.body).where(
            _judgement.c.key == key,
            _judgement.c.made_at <= seconds(now),
            _judgement.c.valid_until > seconds(now),
        )
        body = self._database.read(lambda connection: connection.execute(statement).scalar())
        if body is None:
            return None
        try:
            return self._from_json(unpack(body, what="judgement"))
        except (ValueError, KeyError, TypeError) as exc:
            raise StorageUnavailable(
                f"a stored judgement can't be read: {exc}",
                hint="restore the database from a backup",
            ) from exc

    def save(self, key: str, facts: tuple[F, ...], *, now: datetime) -> None:
        turns = [fact.valid_until for fact in facts if fact.valid_until is not None]
        until = min([*turns, now + KEPT_FOR])

        def change(connection: Connection) -> None:
            connection.execute(delete(_judgement).where(_judgement.c.key == key))
            connection.execute(
                insert(_judgement).values(
                    key=key,
                    made_at=seconds(now),
                    valid_until=seconds(until),
                    body=pack(self._to_json(facts)),
                )
            )

        self._database.write(change)

    def forget_old(self, *, now: datetime) -> int:
        """Of all kinds: they share a table."""
        old = or_(_judgement.c.valid_until <= seconds(now), _judgement.c.made_at > seconds(now))
        return self._database.write(
            lambda connection: connection.execute(delete(_judgement).where(old)).rowcount
        )
