"""A repository's metadata that one can break: documents, who signs them, and what happens to the bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign_key import PrivateKey
from trustgate.evidence.model import Subject
from trustgate.evidence.notary.judge import Judgement, MetadataSet, weigh
from trustgate.evidence.notary.metadata import Delegation, FileMeta, RoleKeys
from trustgate.evidence.notary.signing import (
    MetadataSigner,
    root_document,
    root_signer,
    sign_metadata,
    snapshot_document,
    targets_document,
    timestamp_document,
)
from trustgate.evidence.notary.trust import NotaryTrust, notary_trust
from trustgate.oci import media
from trustgate.oci.digest import Digest

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=10)
GUN = "registry.test/shop/web"
MANIFEST = b'{"schemaVersion": 2}'
SUBJECT = Subject(Digest.of(MANIFEST), media.OCI_MANIFEST, len(MANIFEST))
OTHER = Subject(Digest.of(b"other"), media.OCI_MANIFEST, 5)
ROLES = ("root", "targets", "snapshot", "timestamp")


def private(name: str, kind: str = "ec") -> PrivateKey:
    """A key by name, made once."""
    return _made(name, kind)


@cache
def _made(_name: str, kind: str) -> PrivateKey:
    match kind:
        case "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            return ec.generate_private_key(ec.SECP256R1())


def signer(name: str, kind: str = "ec") -> MetadataSigner:
    return MetadataSigner.of(private(name, kind))


def root(name: str = "root", gun: str = GUN, kind: str = "ec") -> MetadataSigner:
    """A root key and its one certificate for ``gun``."""
    return _certified(name, gun, kind)


@cache
def _certified(name: str, gun: str, kind: str) -> MetadataSigner:
    return root_signer(private(name, kind), gun, NOW - timedelta(days=30))


def meta(content: bytes = MANIFEST) -> FileMeta:
    return FileMeta(len(content), {"sha256": hashlib.sha256(content).digest()})


def role_keys(*signers: MetadataSigner, threshold: int = 1) -> RoleKeys:
    return RoleKeys(tuple(one.key for one in signers), threshold)


def root_roles(**changed: RoleKeys) -> dict[str, RoleKeys]:
    usual = {"root": role_keys(root()), **{role: role_keys(signer(role)) for role in ROLES[1:]}}
    return {**usual, **changed}


def delegation(name: str, *signers: MetadataSigner, paths: Sequence[str] = ("",)) -> Delegation:
    return Delegation(name, role_keys(*signers), tuple(paths))


@dataclass
class Scene:
    """``documents`` are signed by ``signers``; ``resealed`` bytes are listed as they are, ``swapped`` not."""

    documents: dict[str, dict[str, Any]]
    signers: dict[str, list[MetadataSigner]]
    older_roots: list[bytes] = field(default_factory=list)
    resealed: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    swapped: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    gun: str = GUN
    tag: str | None = "v1"
    subject: Subject = SUBJECT
    now: datetime = NOW
    seen: dict[str, int] = field(default_factory=dict)
    attestors: list[Attestor] = field(default_factory=list)

    def signed(self, role: str) -> bytes:
        raw = sign_metadata(self.documents[role], self.signers[role])
        return self.resealed.get(role, _same)(raw)

    def build(self) -> MetadataSet:
        files = {role: self.signed(role) for role in self.documents if role not in {"snapshot", "timestamp"}}
        snapshot = self.documents.get("snapshot") or snapshot_document(
            {role: raw for role, raw in files.items() if role not in self.missing},
            version=4,
            expires=LATER,
        )
        snapshot_raw = sign_metadata(snapshot, self.signers["snapshot"])
        snapshot_raw = self.resealed.get("snapshot", _same)(snapshot_raw)
        stamp = self.documents.get("timestamp") or timestamp_document(snapshot_raw, version=5, expires=LATER)
        stamp_raw = self.resealed.get("timestamp", _same)(sign_metadata(stamp, self.signers["timestamp"]))
        final = {role: self.swapped.get(role, _same)(raw) for role, raw in files.items()}
        main = final.pop("root")
        return MetadataSet(
            roots=(*self.older_roots, main),
            timestamp=self.swapped.get("timestamp", _same)(stamp_raw),
            snapshot=self.swapped.get("snapshot", _same)(snapshot_raw),
            targets=final,
        )

    def weigh(self, built: MetadataSet | None = None) -> Judgement:
        return weigh(
            built or self.build(),
            gun=self.gun,
            tag=self.tag,
            subject=self.subject,
            attestors=self.attestors or [attestor()],
            now=self.now,
            seen=self.seen,
        )


def _same(raw: bytes) -> bytes:
    return raw


def trust(*roots: MetadataSigner, roles: Sequence[str] = (), gun: str = "") -> NotaryTrust:
    ids = [one.key.id for one in roots or (root(),)]
    return notary_trust(root_key_ids=ids, delegations=roles, gun=gun)


def attestor(name: str = "release", given: NotaryTrust | None = None, **window: datetime) -> Attestor:
    return Attestor(name, given or trust(), **window)


def scene() -> Scene:
    """Root, targets, snapshot, timestamp; and ``targets/releases`` of alice, which names ``v1``."""
    alice = signer("alice")
    return Scene(
        documents={
            "root": root_document(root_roles(), version=1, expires=LATER),
            "targets": targets_document(
                {"old": meta(b"old")}, [delegation("targets/releases", alice)], version=2, expires=LATER
            ),
            "targets/releases": targets_document({"v1": meta()}, [], version=3, expires=LATER),
        },
        signers={
            "root": [root()],
            "targets": [signer("targets")],
            "snapshot": [signer("snapshot")],
            "timestamp": [signer("timestamp")],
            "targets/releases": [alice],
        },
    )


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    """Bytes with a piece of text exchanged, which has to be there."""

    def change(raw: bytes) -> bytes:
        assert old.encode() in raw, (old, raw)
        return raw.replace(old.encode(), new.encode(), 1)

    return change


def rewritten(edit: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """The document changed as JSON, under its old signatures."""

    def change(raw: bytes) -> bytes:
        document = json.loads(raw)
        edit(document)
        return json.dumps(document).encode()

    return change
