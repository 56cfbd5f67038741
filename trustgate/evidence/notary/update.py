"""What a publish does to a repository's metadata: the stored files and the uploaded ones give the new ones,
or a refusal in notary's words.

Follows notary-server's ``validateUpdate``, and checks more: a client's snapshot may list only what is held
and has to match it, targets that are not sent along must still be signed by the keys of a new root, and
versions that were ever published are never given again, also after the repository was deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from trustgate.evidence.notary.canonical import Malformed, read_json
from trustgate.evidence.notary.fields import is_delegation, is_role, parent_of, shown
from trustgate.evidence.notary.metadata import Root, Signed, Targets, read_root, read_snapshot, read_targets
from trustgate.evidence.notary.publication import Held, MetadataFile, Refusal, Update, UpdateRefused
from trustgate.evidence.notary.server_signed import next_snapshot, next_timestamp
from trustgate.evidence.notary.verify import (
    check_content,
    check_in_time,
    check_next_root,
    check_signatures,
    root_signers,
    valid_signers,
)

MAX_UPLOADED_FILES: Final = 64
MAX_PUBLISHED_ROLES: Final = 200


def decide_update(held: Held, uploaded: Sequence[tuple[str, bytes]], now: datetime) -> Update | Refusal:
    """Never raises for what was uploaded."""
    try:
        return _decide(held, _by_role(uploaded), now)
    except UpdateRefused as exc:
        return exc.refusal
    except Malformed as exc:
        return Refusal("INVALID_UPDATE", str(exc), "ErrValidation")


def root_key_ids(raw: bytes) -> tuple[str, ...]:
    """Under which keys versions may have been remembered that hold for a root. Raises ``Malformed``."""
    return tuple(key.id for key in read_root(raw).roles["root"].keys)


def _signed_by(root: Root) -> tuple[str, ...]:
    """Its keys that signed it. Under another's key, which it may list as well, nothing is remembered."""
    keys = root.roles["root"].keys
    signed = {key.canonical_id for key in valid_signers(root.signed, keys)}
    return tuple(key.id for key in keys if key.canonical_id in signed)


def _by_role(uploaded: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    roles: dict[str, bytes] = {}
    if len(uploaded) > MAX_UPLOADED_FILES:
        raise UpdateRefused(Refusal("MALFORMED_UPLOAD", f"more than {MAX_UPLOADED_FILES} files"))
    for name, raw in uploaded:
        role = name.removesuffix(".json")
        if not role:
            raise UpdateRefused(Refusal("NO_FILENAME", "a part of the upload has no file name"))
        if not is_role(role):
            raise UpdateRefused(Refusal("INVALID_ROLE", f"{shown(role)} is no role"))
        if role in roles:
            raise UpdateRefused(Refusal("MALFORMED_UPLOAD", f"{role} is uploaded twice"))
        try:
            read_json(raw)
        except Malformed as exc:
            raise UpdateRefused(Refusal("MALFORMED_JSON", f"{role} {exc}")) from exc
        roles[role] = raw
    if roles.keys() <= {"timestamp"}:  # which is never taken from a client
        raise UpdateRefused(Refusal("MALFORMED_UPLOAD", "the upload has no files"))
    return roles


def _decide(held: Held, uploaded: Mapping[str, bytes], now: datetime) -> Update:
    root = _root(held, uploaded.get("root"), now)
    targets = _targets(held, root, uploaded, now)
    written = {"root": root.signed} if "root" in uploaded else {}
    written |= {role: found.signed for role, found in targets.items() if role in uploaded}
    kept = _files_after(held, written)
    snapshot = _snapshot(held, root, uploaded, kept, now)
    # a client's timestamp is never taken: the server's own key signs, or nobody's
    timestamp = next_timestamp(held, root, snapshot.raw, now)
    files = [MetadataFile(role, signed.version, signed.raw) for role, signed in written.items()]
    listed = read_snapshot(snapshot.raw).meta
    return Update(
        files=(*files, snapshot, timestamp),
        root_key_ids=_signed_by(root),
        dropped=tuple(sorted(role for role in kept if role not in listed)),
    )


# --- root ------------------------------------------------------------------------------------------


def _root(held: Held, raw: bytes | None, now: datetime) -> Root:
    stored = held.raw("root")
    current = read_root(stored) if stored is not None else None
    if raw is None:
        if current is None:
            raise UpdateRefused(
                Refusal(
                    "INVALID_UPDATE",
                    "no pre-existing root and no root provided in update.",
                    "ErrValidation",
                )
            )
        return current
    with _named("ErrBadRoot"):
        root = read_root(raw)
        _check_root_version(held, root, current)
        check_signatures(root.signed, root_signers(root, held.gun, now))
        if current is not None:
            check_next_root(current, root, held.gun)
        check_in_time(root.signed, now)
    return root


def _check_root_version(held: Held, root: Root, current: Root | None) -> None:
    """One more than the current; a repository begins with 1, or 2 when its client signed twice before."""
    version = root.signed.version
    if current is None:
        if version <= held.version("root"):
            raise _old(root.signed, held)
        if version > 2 and not held.version("root"):
            raise Malformed(f"a new repository begins with root version 1 or 2, not {version}")
        return
    if version <= current.signed.version:
        raise _old(root.signed, held)
    if version != current.signed.version + 1:
        raise Malformed(
            f"Root modifications must increment the version. Current {current.signed.version}, new {version}"
        )


def _old(signed: Signed, held: Held) -> UpdateRefused:
    return UpdateRefused(
        Refusal(
            "VERSION",
            f"{signed.role} version {signed.version} is not above {held.version(signed.role)}, "
            "which was published already",
        )
    )


# --- targets ---------------------------------------------------------------------------------------


def _targets(held: Held, root: Root, uploaded: Mapping[str, bytes], now: datetime) -> dict[str, Targets]:
    """Every uploaded targets role, verified against its parent, shallow ones first."""
    found: dict[str, Targets] = {}
    with _named("ErrBadTargets"):
        _open_targets(held, root, uploaded, now, found)
        for role in sorted(filter(is_delegation, uploaded), key=lambda name: (name.count("/"), name)):
            _open_delegation(held, role, uploaded, now, found)
    return found


def _open_targets(
    held: Held, root: Root, uploaded: Mapping[str, bytes], now: datetime, found: dict[str, Targets]
) -> None:
    raw = uploaded["targets"] if "targets" in uploaded else held.raw("targets")
    if raw is None:
        raise UpdateRefused(
            Refusal("INVALID_UPDATE", "the update has no targets, and there are none", "ErrValidation")
        )
    targets = read_targets("targets", raw)
    check_signatures(targets.signed, root.roles["targets"])
    if "targets" in uploaded:
        _check_new(held, targets.signed, now)
    found["targets"] = targets


def _open_delegation(
    held: Held, role: str, uploaded: Mapping[str, bytes], now: datetime, found: dict[str, Targets]
) -> Targets:
    if role in found:
        return found[role]
    parent = _open_delegation(held, parent_of(role), uploaded, now, found)
    delegation = parent.delegations.get(role)
    if delegation is None:
        raise Malformed(f"{parent.signed.role} does not delegate to {role}")
    raw = uploaded[role] if role in uploaded else held.raw(role)
    if raw is None:
        raise Malformed(f"{role} is not there")
    targets = read_targets(role, raw)
    check_signatures(targets.signed, delegation.signers)
    if role in uploaded:
        _check_new(held, targets.signed, now)
    found[role] = targets
    return targets


def _check_new(held: Held, signed: Signed, now: datetime) -> None:
    if signed.version <= held.version(signed.role):
        raise _old(signed, held)
    check_in_time(signed, now)


def _files_after(held: Held, written: Mapping[str, Signed]) -> dict[str, bytes]:
    """All files that the next snapshot is of."""
    files = {**held.listed, **{role: signed.raw for role, signed in written.items()}}
    if len(files) > MAX_PUBLISHED_ROLES:
        raise UpdateRefused(
            Refusal(
                "INVALID_UPDATE", f"at most {MAX_PUBLISHED_ROLES} roles can be published", "ErrValidation"
            )
        )
    return files


# --- snapshot and timestamp -------------------------------------------------------------------------


def _snapshot(
    held: Held, root: Root, uploaded: Mapping[str, bytes], files: Mapping[str, bytes], now: datetime
) -> MetadataFile:
    raw = uploaded.get("snapshot")
    if raw is None:
        return next_snapshot(held, root, files, now)
    return _clients_snapshot(held, root, raw, uploaded, files, now)


def _clients_snapshot(
    held: Held,
    root: Root,
    raw: bytes,
    uploaded: Mapping[str, bytes],
    files: Mapping[str, bytes],
    now: datetime,
) -> MetadataFile:
    with _named("ErrBadSnapshot"):
        snapshot = read_snapshot(raw)
        check_signatures(snapshot.signed, root.roles["snapshot"])
        for role, meta in snapshot.meta.items():
            if role not in files:
                raise Malformed(f"the snapshot lists {role}, which is neither uploaded nor published")
            check_content(files[role], meta, role)
        for role in uploaded:
            if role not in {"snapshot", "timestamp", *snapshot.meta}:
                raise Malformed(f"the snapshot does not list {role}, which is uploaded with it")
        _check_new(held, snapshot.signed, now)
    return MetadataFile("snapshot", snapshot.signed.version, raw)


@contextmanager
def _named(kind: str) -> Iterator[None]:
    """Name what is wrong by the class that the notary client knows."""
    try:
        yield
    except UpdateRefused:
        raise
    except Malformed as exc:
        raise UpdateRefused(Refusal("INVALID_UPDATE", str(exc), kind)) from exc
