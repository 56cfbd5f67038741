"""Write Notary v1 metadata: what docker and notary read, signed as they sign."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trustgate.evidence.notary.canonical import encode
from trustgate.evidence.notary.keys import PSS_SALT_BYTES, TufKey, bare_key, certificate_key
from trustgate.evidence.notary.metadata import Delegation, FileMeta, RoleKeys, Targets, read_targets
from trustgate.evidence.notary.trust import RELEASES
from trustgate.evidence.signature_bytes import PrivateKey
from trustgate.oci.strict_json import Json

ROOT_LIFETIME: Final = timedelta(days=3650)
TARGETS_LIFETIME: Final = timedelta(days=3 * 365)
SNAPSHOT_LIFETIME: Final = timedelta(days=3 * 365)
TIMESTAMP_LIFETIME: Final = timedelta(days=14)
"""Notary's own defaults."""


@dataclass(frozen=True, slots=True)
class MetadataSigner:
    """A key pair, as metadata names its public half."""

    key: TufKey
    private: PrivateKey = field(repr=False)

    @classmethod
    def of(cls, private: PrivateKey) -> MetadataSigner:
        """A key by itself; root keys need a certificate, see ``root_signer``."""
        return cls(bare_key(private.public_key()), private)


def root_signer(private: PrivateKey, gun: str, now: datetime) -> MetadataSigner:
    """A root key with the self-signed certificate in the name of ``gun`` that clients ask for."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gun)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    )
    return MetadataSigner(certificate_key(builder.sign(private, hashes.SHA256())), private)


def sign_metadata(signed: dict[str, Json], signers: Iterable[MetadataSigner]) -> bytes:
    """A metadata file. Raises ``Malformed`` for content that has no canonical form.

    Byte for byte as Go's encoder writes it: notary-server signs the hash of what it would write itself, and
    not of what was uploaded.
    """
    content = encode(signed)
    signatures: list[Json] = [
        {"keyid": one.key.id, "method": method, "sig": base64.b64encode(value).decode()}
        for one in signers
        for method, value in [_sign(one.private, content)]
    ]
    return b'{"signed":' + content + b',"signatures":' + encode(signatures) + b"}"


def _sign(private: PrivateKey, content: bytes) -> tuple[str, bytes]:
    """(method, signature), one method for each kind of key."""
    match private:
        case ec.EllipticCurvePrivateKey():
            r, s = decode_dss_signature(private.sign(content, ec.ECDSA(hashes.SHA256())))
            half = (private.curve.key_size + 7) // 8
            return "ecdsa", r.to_bytes(half, "big") + s.to_bytes(half, "big")
        case ed25519.Ed25519PrivateKey():
            return "eddsa", private.sign(content)
        case rsa.RSAPrivateKey():
            scheme = padding.PSS(padding.MGF1(hashes.SHA256()), PSS_SALT_BYTES)
            return "rsapss", private.sign(content, scheme, hashes.SHA256())


# --- documents -----------------------------------------------------------------------------------


def root_document(roles: Mapping[str, RoleKeys], *, version: int, expires: datetime) -> dict[str, Json]:
    """``signed`` of a root."""
    return {
        **_common("Root", version, expires),
        "consistent_snapshot": False,
        "keys": _keys(roles.values()),
        "roles": {name: _role(signers) for name, signers in roles.items()},
    }


def targets_document(
    targets: Mapping[str, FileMeta],
    delegations: Sequence[Delegation],
    *,
    version: int,
    expires: datetime,
) -> dict[str, Json]:
    """``signed`` of the targets or of a delegation."""
    roles: list[Json] = [
        {"name": one.role, "paths": list(one.paths), **_role(one.signers)} for one in delegations
    ]
    return {
        **_common("Targets", version, expires),
        "delegations": {"keys": _keys(one.signers for one in delegations), "roles": roles},
        "targets": {name: _meta(meta) for name, meta in targets.items()},
    }


def snapshot_document(files: Mapping[str, bytes], *, version: int, expires: datetime) -> dict[str, Json]:
    """``signed`` of a snapshot of these files, by role."""
    meta: dict[str, Json] = {role: _meta(file_meta(raw)) for role, raw in files.items()}
    return {**_common("Snapshot", version, expires), "meta": meta}


def timestamp_document(snapshot: bytes, *, version: int, expires: datetime) -> dict[str, Json]:
    """``signed`` of a timestamp over that snapshot."""
    meta: dict[str, Json] = {"snapshot": _meta(file_meta(snapshot))}
    return {**_common("Timestamp", version, expires), "meta": meta}


def file_meta(raw: bytes) -> FileMeta:
    """Length and both hashes, as notary writes them."""
    return FileMeta(
        len(raw), {"sha256": hashlib.sha256(raw).digest(), "sha512": hashlib.sha512(raw).digest()}
    )


def _common(kind: str, version: int, expires: datetime) -> dict[str, Json]:
    text = expires.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"_type": kind, "version": version, "expires": text}


def _keys(roles: Iterable[RoleKeys]) -> dict[str, Json]:
    return {key.id: key.as_json() for role in roles for key in role.keys}


def _role(signers: RoleKeys) -> dict[str, Json]:
    return {"keyids": [key.id for key in signers.keys], "threshold": signers.threshold}


def _meta(meta: FileMeta) -> dict[str, Json]:
    coded: dict[str, Json] = {name: base64.b64encode(value).decode() for name, value in meta.hashes.items()}
    return {"length": meta.length, "hashes": coded}


# --- what a signer publishes -----------------------------------------------------------------------


def new_repository(
    root: MetadataSigner,
    targets: MetadataSigner,
    *,
    snapshot: TufKey,
    timestamp: TufKey,
    now: datetime,
) -> dict[str, bytes]:
    """The first publish: root and empty targets; ``snapshot`` and ``timestamp`` are the server's keys."""
    keys = {"root": root.key, "targets": targets.key, "snapshot": snapshot, "timestamp": timestamp}
    roles = {role: RoleKeys((key,), 1) for role, key in keys.items()}
    return {
        "root": sign_metadata(root_document(roles, version=1, expires=now + ROOT_LIFETIME), [root]),
        "targets": sign_metadata(
            targets_document({}, [], version=1, expires=now + TARGETS_LIFETIME), [targets]
        ),
    }


def add_signer(
    current: Targets, name: str, keys: tuple[TufKey, ...], by: MetadataSigner, now: datetime
) -> bytes:
    """New targets in which ``targets/NAME`` and ``targets/releases`` may sign with ``keys`` too."""
    delegations = dict(current.delegations)
    for role in (f"targets/{name}", RELEASES):
        known = delegations.get(role)
        before = known.signers.keys if known else ()
        added = tuple(key for key in keys if key not in before)
        delegations[role] = Delegation(role, RoleKeys((*before, *added), 1), ("",))
    document = targets_document(
        current.targets,
        tuple(delegations.values()),
        version=current.signed.version + 1,
        expires=now + TARGETS_LIFETIME,
    )
    return sign_metadata(document, [by])


def sign_tag(
    name: str,
    tag: str,
    meta: FileMeta,
    *,
    current: Mapping[str, bytes],
    by: MetadataSigner,
    now: datetime,
) -> dict[str, bytes]:
    """The files to publish so that ``targets/NAME`` and ``targets/releases`` name ``tag``.

    ``meta`` is that of the manifest's bytes; ``current`` holds the delegations as they stand. Raises
    ``Malformed`` when those can't be read.
    """
    written: dict[str, bytes] = {}
    for role in (f"targets/{name}", RELEASES):
        raw = current.get(role)
        before = read_targets(role, raw) if raw is not None else None
        document = targets_document(
            {**(before.targets if before else {}), tag: meta},
            tuple(before.delegations.values()) if before else (),
            version=before.signed.version + 1 if before else 1,
            expires=now + TARGETS_LIFETIME,
        )
        written[role] = sign_metadata(document, [by])
    return written
