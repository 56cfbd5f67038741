"""Decision records (port ``Decisions``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.policy.serialise import verdict_from_json, verdict_to_json
from trustgate.ports import DecisionId, DecisionRecord
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.packed import pack, unpack
from trustgate.store.times import seconds

_decision = tables.decision


class SqlDecisions:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, records: Sequence[DecisionRecord]) -> None:
        self._database.write(lambda connection: _save(connection, records))

    def find(self, decision: DecisionId) -> DecisionRecord | None:
        statement = select(_decision).where(_decision.c.id == decision)
        row = self._database.read(lambda connection: connection.execute(statement).first())
        return _read(row) if row else None

    def latest(self, repository: RepositoryName, digest: Digest, *, limit: int) -> tuple[DecisionRecord, ...]:
        statement = (
            select(_decision)
            .where(_decision.c.repository == str(repository), _decision.c.digest == str(digest))
            .order_by(_decision.c.at.desc(), _decision.c.id.desc())
            .limit(limit)
        )
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return tuple(_read(row) for row in rows)

    def forget(self, *, before: datetime, limit: int) -> int:
        old = select(_decision.c.id).where(_decision.c.at < seconds(before)).order_by(_decision.c.at)
        gone = delete(_decision).where(_decision.c.id.in_(old.limit(limit)))
        return self._database.write(lambda connection: connection.execute(gone).rowcount)


def _save(connection: Connection, records: Sequence[DecisionRecord]) -> None:
    for record in records:
        verdict = record.verdict
        document = {
            "verdict": verdict_to_json(verdict),
            "evidence": [dict(row) for row in record.evidence],
            "cached": record.cached,
            "duration_ms": record.duration_ms,
        }
        connection.execute(
            insert(_decision).values(
                id=record.id,
                at=seconds(verdict.at),
                repository=str(verdict.request.repository),
                digest=str(verdict.request.digest),
                verdict=str(verdict.kind),
                body=pack(document),
            )
        )


def _read(row: Row[Any]) -> DecisionRecord:
    document = unpack(row.body, what="decision")
    return DecisionRecord(
        id=DecisionId(row.id),
        verdict=verdict_from_json(document["verdict"]),
        evidence=tuple(document["evidence"]),
        cached=document["cached"],
        duration_ms=document["duration_ms"],
    )
