"""Judgements of signatures (port ``Judgements``), each under the hash of all that it rests on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, or_, select

from trustgate.errors import StorageUnavailable
from trustgate.evidence.facts_json import facts_from_json, facts_to_json
from trustgate.evidence.model import SignatureFact
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.packed import pack, unpack
from trustgate.store.times import seconds

_judgement = tables.judgement
KEPT_FOR: Final = timedelta(days=30)
"""Then a judgement is made anew, by whoever asks next."""


class SqlJudgements:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: str, *, now: datetime) -> tuple[SignatureFact, ...] | None:
        statement = select(_judgement.c.body).where(
            _judgement.c.key == key,
            _judgement.c.made_at <= seconds(now),
            _judgement.c.valid_until > seconds(now),
        )
        body = self._database.read(lambda connection: connection.execute(statement).scalar())
        if body is None:
            return None
        try:
            return facts_from_json(unpack(body, what="judgement"))
        except (ValueError, KeyError, TypeError) as exc:
            raise StorageUnavailable(
                f"a stored judgement of signatures can't be read: {exc}",
                hint="restore the database from a backup",
            ) from exc

    def save(self, key: str, facts: tuple[SignatureFact, ...], *, now: datetime) -> None:
        turns = [fact.valid_until for fact in facts if fact.valid_until is not None]
        until = min([*turns, now + KEPT_FOR])

        def change(connection: Connection) -> None:
            connection.execute(delete(_judgement).where(_judgement.c.key == key))
            connection.execute(
                insert(_judgement).values(
                    key=key,
                    made_at=seconds(now),
                    valid_until=seconds(until),
                    body=pack(facts_to_json(facts)),
                )
            )

        self._database.write(change)

    def forget_old(self, *, now: datetime) -> int:
        old = or_(_judgement.c.valid_until <= seconds(now), _judgement.c.made_at > seconds(now))
        return self._database.write(
            lambda connection: connection.execute(delete(_judgement).where(old)).rowcount
        )
