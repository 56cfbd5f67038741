"""What the server itself signs: snapshots where it holds the key, and every timestamp."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from trustgate.evidence.notary.canonical import Malformed
from trustgate.evidence.notary.keys import TufKey
from trustgate.evidence.notary.metadata import RoleKeys, Root, read_root, read_snapshot, read_timestamp
from trustgate.evidence.notary.publication import Held, MetadataFile, Refusal, Update, UpdateRefused
from trustgate.evidence.notary.signing import (
    SNAPSHOT_LIFETIME,
    TIMESTAMP_LIFETIME,
    MetadataSigner,
    sign_metadata,
    snapshot_document,
    timestamp_document,
)
from trustgate.evidence.notary.verify import check_in_time


def next_snapshot(held: Held, root: Root, files: Mapping[str, bytes], now: datetime) -> MetadataFile:
    """A snapshot of ``files`` by the server's key. Raises ``UpdateRefused`` when it holds none."""
    signers = held_signers(held, root.roles["snapshot"])
    if not signers:
        raise UpdateRefused(
            Refusal(
                "INVALID_UPDATE",
                "no snapshot was included in update and server does not hold current snapshot key "
                "for repository",
                "ErrBadHierarchy",
                missing="snapshot",
            )
        )
    version = held.version("snapshot") + 1
    document = snapshot_document(files, version=version, expires=now + SNAPSHOT_LIFETIME)
    return MetadataFile("snapshot", version, sign_metadata(document, signers))


def next_timestamp(held: Held, root: Root, snapshot: bytes, now: datetime) -> MetadataFile:
    """A timestamp over ``snapshot``; only the server ever signs one. Raises ``UpdateRefused``."""
    signers = held_signers(held, root.roles["timestamp"])
    if not signers:
        raise UpdateRefused(Refusal("INVALID_UPDATE", "no timestamp keys exist on the server", "ErrBadRoot"))
    version = held.version("timestamp") + 1
    document = timestamp_document(snapshot, version=version, expires=now + TIMESTAMP_LIFETIME)
    return MetadataFile("timestamp", version, sign_metadata(document, signers))


def held_signers(held: Held, role: RoleKeys) -> tuple[MetadataSigner, ...]:
    """The server's keys for a role, when they reach its threshold."""
    wanted = {key.id for key in role.keys}
    signers = tuple({one.key.id: one for one in held.signers if one.key.id in wanted}.values())
    return signers if len(signers) >= role.threshold else ()


def has_expired(files: Mapping[str, MetadataFile], now: datetime) -> bool:
    """Whether a snapshot or timestamp that is held has to be renewed: no key is needed to tell."""
    try:
        return any(
            role in files and now >= read(files[role].raw).signed.expires
            for role, read in (("snapshot", read_snapshot), ("timestamp", read_timestamp))
        )
    except Malformed:
        return False


def refresh(held: Held, now: datetime) -> Update | None:
    """New server-signed files when those that are held have expired; ``None`` when nothing is to be done.

    Nothing is renewed under a root that has expired itself, nor what is signed by others.
    """
    root_raw, snapshot = held.raw("root"), held.files.get("snapshot")
    if root_raw is None or snapshot is None or not has_expired(held.files, now):
        return None
    files: tuple[MetadataFile, ...] = ()
    try:
        root = read_root(root_raw)
        check_in_time(root.signed, now)
        if now >= read_snapshot(snapshot.raw).signed.expires:
            snapshot = next_snapshot(held, root, held.listed, now)
            files = (snapshot,)
        stamp = next_timestamp(held, root, snapshot.raw, now)
    except Malformed:
        return None
    return Update((*files, stamp), tuple(key.id for key in root.roles["root"].keys))


def current_key(held: Held, role: str, keys: Iterable[TufKey]) -> TufKey | None:
    """Which of the server's ``keys`` for a role clients are to use: the published one, else the newest.

    The newest also where the published one is a client's: asking again must not make more of them.
    """
    known = tuple(keys)
    raw = held.raw("root")
    published = {key.id for key in read_root(raw).roles[role].keys} if raw is not None else frozenset()
    return next((key for key in known if key.id in published), known[-1] if known else None)
