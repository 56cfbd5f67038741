"""Manifests and tags (port ``Manifests``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, CursorResult, Select, bindparam, delete, func, insert, select, update

from trustgate.errors import Conflict, ManifestBlobUnknown, ManifestInvalid
from trustgate.evidence.model import Role
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import MAX_REFERRERS_BYTES, Push, StoredManifest
from trustgate.store import tables
from trustgate.store.database import Database
from trustgate.store.freshness import SqlFreshness, bump_repository
from trustgate.store.jobs import insert_jobs
from trustgate.store.repositories import ensure_repository, repository_id
from trustgate.store.times import moment, seconds

_SHOWN_MISSING = 5
DIGESTS_AT_ONCE = 500
"""In one statement: databases bound its parameters."""
_repository, _manifest, _tag, _content = tables.repository, tables.manifest, tables.tag, tables.content
_COLUMNS = (
    _manifest.c.digest,
    _manifest.c.media_type,
    _manifest.c.artifact_type,
    _manifest.c.role,
    _manifest.c.subject,
    _manifest.c.pushed_at,
    _content.c.body,
)
_STORED = (
    select(*_COLUMNS)
    .join(_content, _content.c.digest == _manifest.c.digest)
    .join(_repository, _repository.c.id == _manifest.c.repository_id)
    .where(_repository.c.name == bindparam("repository"))
)
_BY_DIGEST = _STORED.where(_manifest.c.digest == bindparam("target"))
_BY_TAG = _STORED.join(_tag, _tag.c.manifest_id == _manifest.c.id).where(
    _tag.c.repository_id == _repository.c.id, _tag.c.name == bindparam("target")
)


class SqlManifests:
    """Every method is one transaction."""

    def __init__(self, database: Database, freshness: SqlFreshness) -> None:
        self._database = database
        self._freshness = freshness

    def find(self, repository: RepositoryName, target: Tag | Digest) -> StoredManifest | None:
        statement = _BY_DIGEST if isinstance(target, Digest) else _BY_TAG
        values = {"repository": str(repository), "target": str(target)}
        row = self._database.read(lambda connection: connection.execute(statement, values).first())
        return _stored(repository, row) if row else None

    def put(self, push: Push) -> None:
        self._database.write(lambda connection: _put(connection, push))
        self._freshness.repositories_changed([push.repository])

    def delete(self, repository: RepositoryName, target: Tag | Digest, *, revision: int) -> bool:
        def change(connection: Connection) -> bool:
            found = repository_id(connection, repository)
            if found is None:
                return False
            _check_revision(connection, repository, revision)
            gone = _delete_tag if isinstance(target, Tag) else _delete_manifest
            bump_repository(connection, found)
            return gone(connection, found, target)

        deleted = self._database.write(change)
        self._freshness.repositories_changed([repository])
        return deleted

    def revision(self, repository: RepositoryName) -> int:
        return self._database.read(lambda connection: _revision(connection, repository))

    def tags(self, repository: RepositoryName, *, after: str, limit: int) -> tuple[Tag, ...] | None:
        def question(connection: Connection) -> tuple[Tag, ...] | None:
            found = repository_id(connection, repository)
            if found is None:
                return None
            statement = (
                select(_tag.c.name)
                .where(_tag.c.repository_id == found, _tag.c.name > after)
                .order_by(_tag.c.name)
                .limit(limit)
            )
            return tuple(Tag(name) for name in connection.execute(statement).scalars())

        return self._database.read(question)

    def tags_of(self, repository: RepositoryName, digest: Digest) -> tuple[Tag, ...]:
        statement = (
            select(_tag.c.name)
            .join(_manifest, _manifest.c.id == _tag.c.manifest_id)
            .join(_repository, _repository.c.id == _manifest.c.repository_id)
            .where(_repository.c.name == str(repository), _manifest.c.digest == str(digest))
            .order_by(_tag.c.name)
        )
        return tuple(Tag(name) for name in self._scalars(statement))

    def repositories(self, *, after: str, limit: int) -> tuple[RepositoryName, ...]:
        held = select(_manifest.c.id).where(_manifest.c.repository_id == _repository.c.id).exists()
        statement = (
            select(_repository.c.name)
            .where(_repository.c.name > after, held)
            .order_by(_repository.c.name)
            .limit(limit)
        )
        return tuple(RepositoryName(name) for name in self._scalars(statement))

    def referrers(
        self,
        repository: RepositoryName,
        subject: Digest,
        *,
        limit: int,
        artifact_type: str = "",
        after: str = "",
        max_bytes: int = MAX_REFERRERS_BYTES,
    ) -> tuple[StoredManifest, ...]:
        wanted = [_manifest.c.subject == str(subject), _manifest.c.digest > after]
        if artifact_type:
            wanted.append(_manifest.c.artifact_type == artifact_type)
        statement = _STORED.where(*wanted).order_by(_manifest.c.digest).limit(limit)
        values = {"repository": str(repository)}
        rows = self._database.read(
            lambda connection: _up_to(connection.execute(statement, values), max_bytes)
        )
        return tuple(_stored(repository, row) for row in rows)

    def containing(self, repository: RepositoryName, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        def named_by(refs: Any) -> Select[Any]:
            return (
                select(_manifest.c.id, _manifest.c.digest, _manifest.c.pushed_by)
                .join(refs, refs.c.manifest_id == _manifest.c.id)
                .join(_repository, _repository.c.id == _manifest.c.repository_id)
                .where(_repository.c.name == str(repository), refs.c.digest == str(digest))
            )

        both = named_by(tables.blob_ref).union(named_by(tables.child_ref)).subquery()
        turn = func.row_number().over(partition_by=both.c.pushed_by, order_by=both.c.id.desc())
        statement = select(both.c.digest).order_by(turn, both.c.id.desc()).limit(limit)
        return tuple(Digest(found) for found in self._scalars(statement))

    def _scalars(self, statement: Select[Any]) -> list[str]:
        return self._database.read(lambda connection: list(connection.execute(statement).scalars()))


def _up_to(rows: CursorResult[Any], max_bytes: int) -> list[Any]:
    """Rows until their bodies have ``max_bytes``; those beyond are never read."""
    found: list[Any] = []
    size = 0
    with closing(rows):
        for row in rows:
            found.append(row)
            size += len(row.body)
            if size >= max_bytes:
                break
    return found


def _stored(repository: RepositoryName, row: Any) -> StoredManifest:
    return StoredManifest(
        repository=repository,
        digest=Digest(row.digest),
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        role=Role(row.role),
        raw=bytes(row.body),
        subject=Digest(row.subject) if row.subject else None,
        pushed_at=moment(row.pushed_at),
    )


def _put(connection: Connection, push: Push) -> None:
    found = ensure_repository(connection, push.repository, push.at)
    _check_tags(connection, found, push)
    _check_blobs(connection, found, push)
    _check_children(connection, found, push)
    manifest_id = _manifest_id(connection, found, push.manifest.digest)
    if manifest_id is None:
        manifest_id = _insert_manifest(connection, found, push)
    else:
        _check_role(connection, manifest_id, push)
    _insert_refs(connection, manifest_id, push)
    for name in push.tags:
        _move_tag(connection, found, name, manifest_id, seconds(push.at))
    insert_jobs(connection, push.jobs, at=push.at)
    bump_repository(connection, found)


def _revision(connection: Connection, repository: RepositoryName) -> int:
    statement = select(_repository.c.revision).where(_repository.c.name == str(repository))
    return connection.execute(statement).scalar() or 0


def _check_revision(connection: Connection, repository: RepositoryName, judged: int) -> None:
    if _revision(connection, repository) != judged:
        raise Conflict(
            f"{repository} changed while the deletion was being judged",
            hint="delete again: it will be judged against what is there now",
        )


def _check_tags(connection: Connection, repository: int, push: Push) -> None:
    for name, expected in push.expected_tags.items():
        statement = (
            select(_manifest.c.digest)
            .join(_tag, _tag.c.manifest_id == _manifest.c.id)
            .where(_tag.c.repository_id == repository, _tag.c.name == str(name))
        )
        current = connection.execute(statement).scalar()
        if current != expected:
            raise Conflict(
                f"tag {name} moved to {current} while the push was being judged",
                hint="push again: it will be judged against what the tag points to now",
            )


def _check_blobs(connection: Connection, repository: int, push: Push) -> None:
    table, held = tables.blob, tables.repository_blob
    statement = (
        select(table.c.digest, table.c.size)
        .join(held, held.c.digest == table.c.digest)
        .where(held.c.repository_id == repository)
    )
    blobs = push.manifest.blobs
    missing = _missing(blobs, _sizes(connection, statement, table.c.digest, blobs))
    _refuse_missing(push, [one for one in missing if not _may_be_absent(one, push)], "blob")


def _may_be_absent(descriptor: Descriptor, push: Push) -> bool:
    """Layers that may not be distributed are fetched from elsewhere (image-spec layer.md); where sparse
    content is accepted, any layer may come later. A config never may: it says what the image is."""
    if "nondistributable" in descriptor.media_type or ".foreign." in descriptor.media_type:
        return True
    return push.allow_missing_children and descriptor is not push.manifest.config


def _check_children(connection: Connection, repository: int, push: Push) -> None:
    """A child's bytes are not read: they may have megabytes, and everyone who writes waits for this."""
    statement = (
        select(_manifest.c.digest, func.length(_content.c.body))
        .join(_content, _content.c.digest == _manifest.c.digest)
        .where(_manifest.c.repository_id == repository)
    )
    children = push.manifest.children
    missing = _missing(children, _sizes(connection, statement, _manifest.c.digest, children))
    if not push.allow_missing_children:
        _refuse_missing(push, missing, "manifest")


def _sizes(
    connection: Connection, statement: Select[Any], digest: Any, descriptors: Sequence[Descriptor]
) -> Mapping[str, int]:
    """What is held of these, each asked for once: digest and size, as ``statement`` selects them."""
    wanted = sorted({str(one.digest) for one in descriptors})
    found: dict[str, int] = {}
    for start in range(0, len(wanted), DIGESTS_AT_ONCE):
        some = statement.where(digest.in_(wanted[start : start + DIGESTS_AT_ONCE]))
        found |= {str(name): int(size) for name, size in connection.execute(some)}
    return found


def _missing(descriptors: Sequence[Descriptor], sizes: Mapping[str, int]) -> list[Descriptor]:
    """Those that are not held. Raises ``ManifestInvalid`` for one that is and has another size."""
    missing: list[Descriptor] = []
    for one in descriptors:
        size = sizes.get(str(one.digest))
        if size is None:
            missing.append(one)
        elif size != one.size:
            raise ManifestInvalid(f"{one.digest.short} has {size} bytes, its descriptor says {one.size}")
    return missing


def _refuse_missing(push: Push, missing: list[Descriptor], what: str) -> None:
    if not missing:
        return
    shown = ", ".join(item.digest for item in missing[:_SHOWN_MISSING])
    more = f" and {len(missing) - _SHOWN_MISSING} more" if len(missing) > _SHOWN_MISSING else ""
    raise ManifestBlobUnknown(
        f"the manifest points to a {what} that {push.repository} does not hold: {shown}{more}",
        hint=f"push every {what} before the manifest that names it",
    )


def _manifest_id(connection: Connection, repository: int, digest: str) -> int | None:
    statement = select(_manifest.c.id).where(
        _manifest.c.repository_id == repository, _manifest.c.digest == str(digest)
    )
    found: int | None = connection.execute(statement).scalar()
    return found


def _insert_manifest(connection: Connection, repository: int, push: Push) -> int:
    manifest = push.manifest
    known = select(_content.c.digest).where(_content.c.digest == str(manifest.digest))
    if connection.execute(known).first() is None:
        connection.execute(insert(_content).values(digest=str(manifest.digest), body=manifest.raw))
    connection.execute(
        insert(_manifest).values(
            repository_id=repository,
            digest=str(manifest.digest),
            media_type=manifest.media_type,
            artifact_type=manifest.artifact_type,
            role=str(push.role),
            subject=str(manifest.subject.digest) if manifest.subject else None,
            pushed_at=seconds(push.at),
            pushed_by=push.by,
        )
    )
    made = _manifest_id(connection, repository, manifest.digest)
    if made is None:
        raise LookupError(manifest.digest)  # the insert above would have failed first
    return made


def _check_role(connection: Connection, manifest_id: int, push: Push) -> None:
    """What was judged has to be what stands: while its blobs were missing nobody could tell a signature."""
    stands = connection.execute(select(_manifest.c.role).where(_manifest.c.id == manifest_id)).scalar_one()
    if stands != str(push.role):
        raise ManifestInvalid(
            f"{push.manifest.digest.short} is stored here as {stands}, and with the blobs that are here now "
            f"it would be {push.role}",
            hint="push its blobs, delete the manifest, then push it again",
        )


def _insert_refs(connection: Connection, manifest_id: int, push: Push) -> None:
    children = {str(child.digest) for child in push.manifest.children}
    wanted = {str(item.digest) for item in push.manifest.blobs}
    held = set()
    if wanted:
        statement = select(tables.blob.c.digest).where(tables.blob.c.digest.in_(sorted(wanted)))
        held = set(connection.execute(statement).scalars())
    for table, digests in ((tables.child_ref, children), (tables.blob_ref, held)):
        mine = select(table.c.digest).where(table.c.manifest_id == manifest_id)
        # pushed again, it may find layers that were missing when it was pushed first
        fresh = digests - set(connection.execute(mine).scalars())
        if fresh:
            rows = [{"manifest_id": manifest_id, "digest": digest} for digest in sorted(fresh)]
            connection.execute(insert(table), rows)


def _move_tag(connection: Connection, repository: int, name: str, manifest_id: int, at: float) -> None:
    same = (_tag.c.repository_id == repository) & (_tag.c.name == str(name))
    moved = connection.execute(update(_tag).where(same).values(manifest_id=manifest_id, moved_at=at))
    if moved.rowcount == 0:
        connection.execute(
            insert(_tag).values(
                repository_id=repository, name=str(name), manifest_id=manifest_id, moved_at=at
            )
        )


def _delete_tag(connection: Connection, repository: int, name: str) -> bool:
    gone = connection.execute(
        delete(_tag).where(_tag.c.repository_id == repository, _tag.c.name == str(name))
    )
    return gone.rowcount > 0


def _delete_manifest(connection: Connection, repository: int, digest: str) -> bool:
    """The manifest, its tags and its references go; an index that named it becomes sparse."""
    found = _manifest_id(connection, repository, digest)
    if found is None:
        return False
    connection.execute(delete(_tag).where(_tag.c.manifest_id == found))
    connection.execute(delete(_manifest).where(_manifest.c.id == found))
    still = select(_manifest.c.id).where(_manifest.c.digest == str(digest))
    if connection.execute(still).first() is None:
        connection.execute(delete(_content).where(_content.c.digest == str(digest)))
    return True
