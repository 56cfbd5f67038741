"""What makes a metadata file true: enough signatures of distinct keys, in time, and the bytes meant."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from trustgate.evidence.certificate_path import is_authority
from trustgate.evidence.notary.canonical import Malformed
from trustgate.evidence.notary.fields import shown
from trustgate.evidence.notary.keys import TufKey, verifies
from trustgate.evidence.notary.metadata import FileMeta, RoleKeys, Root, Signed

_WEAK_HASHES = (hashes.SHA1, hashes.MD5)
_WILDCARD = "*"


def check_signatures(signed: Signed, signers: RoleKeys) -> tuple[TufKey, ...]:
    """The keys of ``signers`` that really signed, each once. Raises ``Malformed`` below the threshold.

    A key counts once however often it appears: two signatures by it, or two certificates of it, are one
    (CVE-2020-6174).
    """
    valid = valid_signers(signed, signers.keys)
    if len(valid) < signers.threshold:
        raise Malformed(
            f"the {signed.role} has {len(valid)} valid signatures by its keys, {signers.threshold} are needed"
        )
    return valid


def valid_signers(signed: Signed, keys: tuple[TufKey, ...]) -> tuple[TufKey, ...]:
    """Those of ``keys`` that signed, one for each distinct key pair."""
    by_id = {key.id: key for key in keys}
    valid: dict[str, TufKey] = {}
    for signature in signed.signatures:
        key = by_id.get(signature.key_id)
        if key is None or key.canonical_id in valid:
            continue
        if verifies(key, signature.method, signature.value, signed.content):
            valid[key.canonical_id] = key
    return tuple(valid.values())


def check_in_time(signed: Signed, now: datetime) -> None:
    """Raises ``Malformed``; the moment of expiry itself is outside."""
    if now >= signed.expires:
        raise Malformed(f"the {signed.role} expired at {signed.expires.isoformat(timespec='seconds')}")


def check_content(raw: bytes, meta: FileMeta, what: str) -> None:
    """Length and every hash that is given. Raises ``Malformed``."""
    if len(raw) != meta.length:
        raise Malformed(f"the {what} has {len(raw)} bytes, {meta.length} are signed")
    for algorithm, wanted in meta.hashes.items():
        if not hmac.compare_digest(hashlib.new(algorithm, raw).digest(), wanted):
            raise Malformed(f"the {what} does not match the {algorithm} that is signed for it")


def check_version(signed: Signed, seen: Mapping[str, int]) -> None:
    """Raises ``Malformed`` for less than the highest version ever seen."""
    highest = seen.get(signed.role, 0)
    if signed.version < highest:
        raise Malformed(
            f"rollback: the {signed.role} has version {signed.version}, {highest} was seen before"
        )


def root_signers(root: Root, gun: str, at: datetime | None) -> RoleKeys:
    """The root keys that count for ``gun``: certificates in its name, and valid ``at`` that time if given.

    Roots before the newest may be signed by certificates that have expired since.
    """
    role = root.roles["root"]
    keys = tuple(key for key in role.keys if _is_certificate_for(key, gun, at))
    if not keys:
        raise Malformed(f"the root has no valid certificate in the name of {shown(gun)}")
    return RoleKeys(keys, role.threshold)


def check_next_root(previous: Root, following: Root, gun: str) -> None:
    """One step of a rotation: the very next version, signed by the keys before it.

    CVE-2020-15163, CVE-2015-9259. Raises ``Malformed``.
    """
    if following.signed.version != previous.signed.version + 1:
        raise Malformed(
            f"root version {following.signed.version} can't follow version {previous.signed.version}"
        )
    valid = valid_signers(following.signed, root_signers(previous, gun, None).keys)
    if len(valid) < previous.roles["root"].threshold:
        raise Malformed(
            f"root version {following.signed.version} is not signed by the keys of version "
            f"{previous.signed.version}"
        )


def _is_certificate_for(key: TufKey, gun: str, at: datetime | None) -> bool:
    certificate = key.certificate
    if certificate is None:
        return False
    # everything of it has been read once when its key was: what can't be read is no certificate
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    sound = not isinstance(certificate.signature_hash_algorithm, _WEAK_HASHES) and not is_authority(
        certificate
    )
    valid = at is None or certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc
    return sound and valid and len(names) == 1 and _names(str(names[0].value), gun)


def _names(common_name: str, gun: str) -> bool:
    """A name, or the beginning of names: ``example.com/shop/*`` as notary writes it."""
    if common_name.endswith(_WILDCARD):
        return gun.startswith(common_name.rstrip(_WILDCARD))
    return common_name == gun
