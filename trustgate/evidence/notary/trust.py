"""What a trust store says about Notary v1: which root keys, which delegations, which repositories."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from trustgate.errors import KeyUnreadable
from trustgate.evidence.keys import MAX_KEY_FILE_BYTES, PublicKey, read_public_key, supported
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.notary.fields import is_delegation
from trustgate.evidence.notary.keys import TufKey, bare_key

RELEASES: Final = "targets/releases"
TARGETS: Final = "targets"
DOCKERS_ROLES: Final = (RELEASES, TARGETS)
"""Where docker looks for a tag, in this order."""
MAX_ROLES: Final = 16
MAX_GUN_CHARACTERS: Final = 512
_KEY_ID = re.compile("[0-9a-f]{64}")
_GUN = re.compile(r"[a-zA-Z0-9._:/\[\]-]+\*?")


@dataclass(frozen=True, slots=True)
class NotaryTrust:
    """Root keys that are pinned (never whatever is met first), and whose word on a tag counts.

    ``roles`` are asked in order, the first that names a tag decides; when the trust store gives them, only
    those count. ``gun`` is a name, or the beginning of names with ``*`` at the end; empty for any.
    """

    root_keys: frozenset[str]
    """Ids of keys or of certificates, as ``notary key list`` and ``docker trust inspect`` show them."""
    roles: tuple[str, ...] = DOCKERS_ROLES
    gun: str = ""

    def pins(self, key: TufKey) -> bool:
        """Whether this root key is one of the pinned ones."""
        return key.id in self.root_keys or key.canonical_id in self.root_keys

    def is_about(self, gun: str) -> bool:
        """Whether this attestor speaks for such a repository."""
        if self.gun.endswith("*"):
            return gun.startswith(self.gun[:-1])
        return self.gun in {"", gun}


def notary_trust(
    *,
    root_key: bytes | None = None,
    root_key_ids: Iterable[str] = (),
    delegations: Iterable[str] = (),
    gun: str = "",
) -> NotaryTrust:
    """From what a trust store says. Raises ``KeyUnreadable`` with what is wrong with it."""
    pins = set(root_key_ids)
    for pin in pins:
        if not _KEY_ID.fullmatch(pin):
            raise KeyUnreadable(
                f"{pin[:80]!a} is not a root key id",
                hint="64 lower-case hex digits, as docker trust inspect shows them",
            )
    if root_key is not None:
        pins.add(bare_key(_root_key(root_key)).id)
    if not pins:
        raise KeyUnreadable("no root key is pinned", hint="give rootKey (a PEM file) or rootKeyIds")
    roles = tuple(dict.fromkeys(delegations)) or DOCKERS_ROLES
    if len(roles) > MAX_ROLES:
        raise KeyUnreadable(f"{len(roles)} delegations are named, at most {MAX_ROLES} can be")
    for role in roles:
        if role != TARGETS and not is_delegation(role):
            raise KeyUnreadable(
                f"{role[:80]!a} is not a delegation", hint="write targets/NAME, or targets itself"
            )
    if gun and (len(gun) > MAX_GUN_CHARACTERS or not _GUN.fullmatch(gun)):
        raise KeyUnreadable(
            f"{gun[:80]!a} names no repository", hint="HOST/REPOSITORY, or the beginning of one and *"
        )
    return NotaryTrust(frozenset(pins), roles, gun)


def _root_key(pem: bytes) -> PublicKey:
    """A public key, or the certificate that holds it. Raises ``KeyUnreadable``."""
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        return read_public_key(pem)
    if len(pem) > MAX_KEY_FILE_BYTES:
        raise KeyUnreadable(f"the key file has {len(pem)} bytes, at most {MAX_KEY_FILE_BYTES} are read")
    if pem.count(b"-----BEGIN ") != 1:
        raise KeyUnreadable("the file holds more than one PEM block", hint="give one certificate, or one key")
    try:
        return supported(x509.load_pem_x509_certificate(pem).public_key())
    except MALFORMED as exc:
        raise KeyUnreadable(f"the PEM block is not a certificate: {type(exc).__name__}") from exc
