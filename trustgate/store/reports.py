"""Scan reports (port ``Reports``).

The last good report stays while newer ones fail: a failed scan is kept beside it, as a fact of its own.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from trustgate.evidence.model import Role
from trustgate.evidence.report_json import report_from_json, report_to_json
from trustgate.evidence.scan_report import ScanReport, ScanStatus
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.ports import Clock, Job
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.freshness import SqlFreshness, bump_repository
from trustgate.store.jobs import finish_job
from trustgate.store.packed import pack, unpack
from trustgate.store.times import seconds

_report, _manifest, _repository = tables.report, tables.manifest, tables.repository
CONCLUSIVE = frozenset({ScanStatus.OK, ScanStatus.UNSUPPORTED, ScanStatus.PARTIAL})
"""Statuses that may take the place of an earlier report; a failure never does."""


class SqlReports:
    """Every method is one transaction."""

    def __init__(self, database: Database, freshness: SqlFreshness, clock: Clock) -> None:
        self._database = database
        self._freshness = freshness
        self._clock = clock

    def find(self, digest: Digest) -> tuple[ScanReport, ...]:
        statement = (
            select(_report.c.body)
            .where(_report.c.digest == str(digest))
            .order_by(_report.c.scanned_at.desc())
        )
        bodies = self._database.read(lambda connection: list(connection.execute(statement).scalars()))
        return tuple(report_from_json(unpack(body, what="scan report")) for body in bodies)

    def save(self, report: ScanReport, *, finishing: Job | None) -> bool:
        now = self._clock.now()

        def change(connection: Connection) -> list[str] | None:
            if finishing is not None and not finish_job(connection, finishing, now):
                return None
            _write(connection, report)
            return _bump_holders(connection, report.subject)

        holders = self._database.write(change)
        self._freshness.repositories_changed(holders or ())
        return holders is not None

    def subjects(self, *, limit: int, after: str) -> tuple[tuple[RepositoryName, Digest], ...]:
        statement = (
            select(_repository.c.name, _manifest.c.digest)
            .join(_repository, _repository.c.id == _manifest.c.repository_id)
            .where(_manifest.c.role == str(Role.IMAGE), _manifest.c.digest > after)
            .order_by(_manifest.c.digest)
            .limit(limit)
        )
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return tuple((RepositoryName(name), Digest(digest)) for name, digest in rows)


def _write(connection: Connection, report: ScanReport) -> None:
    mine = (_report.c.digest == str(report.subject)) & (_report.c.scanner == report.scanner)
    if report.status not in CONCLUSIVE:
        earlier = connection.execute(select(_report.c.status).where(mine)).scalar()
        if earlier is not None and ScanStatus(earlier) in CONCLUSIVE:
            return
    connection.execute(delete(_report).where(mine))
    connection.execute(
        insert(_report).values(
            digest=str(report.subject),
            scanner=report.scanner,
            scanned_at=seconds(report.scanned_at),
            status=str(report.status),
            body=pack(report_to_json(report)),
        )
    )


def _bump_holders(connection: Connection, digest: Digest) -> list[str]:
    statement = (
        select(_repository.c.id, _repository.c.name)
        .join(_manifest, _manifest.c.repository_id == _repository.c.id)
        .where(_manifest.c.digest == str(digest))
    )
    holders = connection.execute(statement).all()
    for found, _name in holders:
        bump_repository(connection, found)
    return [name for _found, name in holders]
