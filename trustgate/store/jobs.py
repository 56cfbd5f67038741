"""One table of leased jobs (port ``Jobs``).

A job is written in the transaction of the change that causes it. One worker holds it at a time, by a
lease that it renews; ``fence`` grows with every claim, so a worker that lost its lease can't end a job
that another one runs by now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from trustgate.ports import Job, NewJob
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.times import moment, seconds

MAX_ATTEMPTS = 5
MAX_ERROR_CHARACTERS = 2000
_job = tables.job


class SqlJobs:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, jobs: Sequence[NewJob], *, at: datetime) -> None:
        self._database.write(lambda connection: insert_jobs(connection, jobs, at=at))

    def claim(self, *, owner: str, lease_s: float, now: datetime) -> Job | None:
        return self._database.write(lambda connection: _claim(connection, owner, lease_s, seconds(now)))

    def beat(self, job: Job, *, lease_s: float, now: datetime) -> bool:
        return self._change(job, {"lease_until": seconds(now) + lease_s})

    def finish(self, job: Job, *, now: datetime) -> bool:
        return self._database.write(lambda connection: finish_job(connection, job, now))

    def fail(self, job: Job, error: str, *, retry_at: datetime | None, now: datetime) -> bool:
        kept = error[:MAX_ERROR_CHARACTERS]
        if retry_at is None or job.attempt >= job.max_attempts:
            return self._change(job, {"state": "failed", "error": kept, "finished_at": seconds(now)})
        return self._change(job, {"state": "ready", "error": kept, "run_at": seconds(retry_at)})

    def counts(self) -> Mapping[tuple[str, str], int]:
        statement = select(_job.c.kind, _job.c.state, func.count()).group_by(_job.c.kind, _job.c.state)
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        return {(kind, state): number for kind, state, number in rows}

    def _change(self, job: Job, values: Mapping[str, object]) -> bool:
        statement = update(_job).where(_mine(job)).values(**values)
        return self._database.write(lambda connection: connection.execute(statement).rowcount > 0)


def _mine(job: Job):  # type: ignore[no-untyped-def]  # SQLAlchemy's expression types say nothing here
    return (_job.c.id == job.id) & (_job.c.fence == job.fence) & (_job.c.state == "running")


def finish_job(connection: Connection, job: Job, now: datetime) -> bool:
    """End a job inside the caller's transaction; false when its lease was lost."""
    statement = update(_job).where(_mine(job)).values(state="done", finished_at=seconds(now))
    return connection.execute(statement).rowcount > 0


def insert_jobs(connection: Connection, jobs: Sequence[NewJob], *, at: datetime) -> None:
    """Enqueue inside the caller's transaction. A twin that waits already takes the job's place."""
    for job in jobs:
        waiting = select(_job.c.id).where(_job.c.dedupe == job.dedupe, _job.c.state == "ready")
        if connection.execute(waiting).first() is None:
            connection.execute(
                insert(_job).values(
                    kind=job.kind,
                    payload=json.dumps(dict(job.payload), sort_keys=True),
                    dedupe=job.dedupe,
                    state="ready",
                    run_at=seconds(at),
                    attempt=0,
                    max_attempts=MAX_ATTEMPTS,
                    fence=0,
                    owner="",
                    lease_until=0.0,
                    error="",
                    created_at=seconds(at),
                )
            )


def _claim(connection: Connection, owner: str, lease_s: float, now: float) -> Job | None:
    _take_back_expired(connection, now)
    due = select(_job).where(_job.c.state == "ready", _job.c.run_at <= now).order_by(_job.c.run_at, _job.c.id)
    row = connection.execute(due.limit(1).with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    until = now + lease_s
    taken = {"state": "running", "attempt": row.attempt + 1, "fence": row.fence + 1}
    connection.execute(
        update(_job).where(_job.c.id == row.id).values(**taken, owner=owner, lease_until=until)
    )
    return Job(
        id=row.id,
        kind=row.kind,
        payload=json.loads(row.payload),
        attempt=row.attempt + 1,
        max_attempts=row.max_attempts,
        fence=row.fence + 1,
        lease_until=moment(until),
    )


def _take_back_expired(connection: Connection, now: float) -> None:
    """A worker that died: its jobs become ready again, or failed when their attempts are used up."""
    expired = (_job.c.state == "running") & (_job.c.lease_until < now)
    lost = "the worker that ran it was lost"
    connection.execute(
        update(_job)
        .where(expired & (_job.c.attempt >= _job.c.max_attempts))
        .values(state="failed", error=lost, finished_at=now)
    )
    connection.execute(update(_job).where(expired).values(state="ready", run_at=now, error=lost))
