"""Signatures and attestations beside a digest (port ``AttachedEvidence``)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

from trustgate.evidence.model import Role
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.store import tables
from trustgate.store.database import Database

_manifest, _repository = tables.manifest, tables.repository
_TURN: Final = func.row_number().over(partition_by=_manifest.c.pushed_by, order_by=_manifest.c.id)


class SqlAttachedEvidence:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def about(self, repository: RepositoryName, subject: Digest, *, limit: int) -> tuple[Digest, ...]:
        attached = (
            select(_manifest.c.digest, _manifest.c.id, _TURN.label("turn"))
            .join(_repository, _repository.c.id == _manifest.c.repository_id)
            .where(
                _repository.c.name == str(repository),
                _manifest.c.subject == str(subject),
                _manifest.c.role == str(Role.SIGNATURE),
            )
        )
        # The few of an ordinary image cost no ranking: it would look at all of a flood.
        oldest = attached.with_only_columns(_manifest.c.digest).order_by(_manifest.c.id).limit(limit)
        ranked = attached.subquery()
        fair = select(ranked.c.digest).order_by(ranked.c.turn, ranked.c.id).limit(limit)

        def question(connection: Connection) -> list[str]:
            found = list(connection.execute(oldest).scalars())
            return found if len(found) < limit else list(connection.execute(fair).scalars())

        return tuple(Digest(one) for one in self._database.read(question))
