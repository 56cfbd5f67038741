"""Trust in OpenPGP keys: a keyring, and which of its primary keys may sign charts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from trustgate.errors import KeyUnreadable
from trustgate.evidence.helm.armor import dearmor
from trustgate.evidence.helm.packets import DSA, ELLIPTIC, RSA, KeyPacket, key_packets
from trustgate.evidence.helm.refusal import HelmRefused
from trustgate.oci.digest import Digest

MAX_KEYRING_BYTES: Final = 1024 * 1024
MAX_FINGERPRINTS: Final = 256
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16384
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_KEYBOX = b"KBXf"
_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"


@dataclass(frozen=True, slots=True)
class GpgTrust:
    """A signature counts when a key of the keyring made it that stands below one of ``fingerprints``."""

    keyring: bytes = field(repr=False)
    """Binary, whatever was given."""
    fingerprints: frozenset[str]
    """Of primary keys, upper-case hex: being in the keyring alone is no trust."""
    keys: Mapping[str, KeyPacket] = field(hash=False, compare=False, repr=False)
    """Every key of the keyring by fingerprint."""
    keyring_digest: Digest

    @property
    def identities(self) -> frozenset[str]:
        """Who can ever sign by this trust."""
        return frozenset(map(gpg_identity, self.fingerprints))


def gpg_identity(fingerprint: str) -> str:
    """What distinct signers are counted by: the primary key."""
    return f"gpg:{fingerprint}"


def gpg_trust(keyring: bytes, fingerprints: Iterable[str]) -> GpgTrust:
    """Trust in some keys of a binary or armored keyring. Raises ``KeyUnreadable``."""
    binary, keys = _keyring(keyring)
    wanted = frozenset(map(_fingerprint, fingerprints))
    if not 1 <= len(wanted) <= MAX_FINGERPRINTS:
        raise KeyUnreadable(
            f"{len(wanted)} fingerprints are given, expected 1 to {MAX_FINGERPRINTS}",
            hint="gpg --show-keys KEYRING prints them",
        )
    for fingerprint in sorted(wanted):
        _check_wanted(fingerprint, keys)
    return GpgTrust(binary, wanted, keys, Digest.of(binary))


def whole_keyring_trust(keyring: bytes) -> GpgTrust:
    """Trust in every key of a keyring, as helm's ``--keyring`` means it: for commands, not for policies.

    Weak keys are refused when they sign. Raises ``KeyUnreadable``.
    """
    binary, keys = _keyring(keyring)
    primaries = frozenset(key.primary for key in keys.values())
    if not primaries:
        raise KeyUnreadable("the keyring holds no key that is read here: version 4 keys are")
    return GpgTrust(binary, primaries, keys, Digest.of(binary))


def weakness(key: KeyPacket) -> str:
    """Why signatures by such a key do not count; empty when they do."""
    if key.algorithm in RSA:
        strong = MIN_RSA_BITS <= key.bits <= MAX_RSA_BITS
        return "" if strong else f"it is RSA with {key.bits} bits, at least {MIN_RSA_BITS} are asked for"
    if key.algorithm in ELLIPTIC:
        return ""
    name = "DSA" if key.algorithm == DSA else f"of algorithm {key.algorithm}"
    return f"it is {name}; RSA, ECDSA and EdDSA keys count"


def _keyring(keyring: bytes) -> tuple[bytes, Mapping[str, KeyPacket]]:
    if len(keyring) > MAX_KEYRING_BYTES:
        raise KeyUnreadable(f"the keyring has {len(keyring)} bytes, at most {MAX_KEYRING_BYTES} are read")
    try:
        binary = _binary(keyring)
        return binary, {key.fingerprint: key for key in key_packets(binary)}
    except HelmRefused as exc:
        hint = "write it with: gpg --export FINGERPRINT > keyring.gpg"
        raise KeyUnreadable(f"the keyring {exc}", hint=hint) from exc


def _check_wanted(fingerprint: str, keys: Mapping[str, KeyPacket]) -> None:
    key = keys.get(fingerprint)
    if key is None:
        raise KeyUnreadable(
            f"the keyring has no key {fingerprint}", hint="gpg --show-keys KEYRING lists its keys"
        )
    if key.primary != fingerprint:
        raise KeyUnreadable(f"{fingerprint} is a subkey", hint=f"name its primary key: {key.primary}")
    if weakness(key):
        raise KeyUnreadable(f"the key {fingerprint} can't be trusted: {weakness(key)}")


def _fingerprint(text: str) -> str:
    clean = text.replace(" ", "").removeprefix("0x").upper()
    if _FINGERPRINT.fullmatch(clean):
        return clean
    hint = "key ids can be forged: write the whole fingerprint of a version 4 key (gpg --show-keys KEYRING)"
    raise KeyUnreadable(f"{text[:80]!a} is not a fingerprint of 40 hexadecimal digits", hint=hint)


def _binary(keyring: bytes) -> bytes:
    """Raises ``HelmRefused``."""
    if not keyring:
        raise HelmRefused("is empty")
    if keyring[8:12] == _KEYBOX:
        raise HelmRefused("is a keybox (pubring.kbx), GnuPG's own database")
    if keyring[:1] >= b"\x80":
        return keyring
    try:
        lines = [line.rstrip() for line in keyring.decode("ascii").splitlines()]
    except UnicodeDecodeError as exc:
        raise HelmRefused("is neither binary nor armored") from exc
    blocks = list(_blocks(lines))
    if not blocks:
        raise HelmRefused("holds no public key block")
    return b"".join(map(dearmor, blocks))


def _blocks(lines: list[str]) -> Iterable[list[str]]:
    """The lines of each armored block. Text around them is nobody's: a keyring is not signed."""
    block: list[str] | None = None
    for line in lines:
        if line == _BEGIN and block is None:
            block = []
        elif line == _END and block is not None:
            yield block
            block = None
        elif line.startswith("-----"):
            raise HelmRefused(f"has the line {line[:40]!a} where it makes no sense")
        elif block is not None:
            block.append(line)
    if block is not None:
        raise HelmRefused("has a key block without an end")


def created_before(key: KeyPacket, moment: datetime) -> bool:
    """A key can't have signed before it was made."""
    return key.created <= moment
