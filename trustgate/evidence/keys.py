"""Public keys that attestors are known by: read strictly, named by the hash of their SPKI."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustgate.errors import KeyUnreadable
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.sigstore.trusted_root import TrustedRoot

MAX_KEY_FILE_BYTES: Final = 64 * 1024
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
_PEM_PUBLIC = b"-----BEGIN PUBLIC KEY-----"
_PEM_ANY = b"-----BEGIN "
_OTHERS = {
    b"PRIVATE KEY": "a private key; give the public one (cosign public-key --key …)",
    b"CERTIFICATE": "a certificate; give its public key (openssl x509 -pubkey -noout)",
    b"PGP": "an OpenPGP key, which signs charts and not images",
}

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


def read_public_key(pem: bytes) -> PublicKey:
    """Read one PEM public key (PKIX): P-256, P-384, Ed25519 or RSA of 2048 to 8192 bits.

    Raises ``KeyUnreadable``.
    """
    if len(pem) > MAX_KEY_FILE_BYTES:
        raise KeyUnreadable(f"the key file has {len(pem)} bytes, at most {MAX_KEY_FILE_BYTES} are read")
    # a second block of any kind would leave open which of them is trusted
    if pem.count(_PEM_PUBLIC) != 1 or pem.count(_PEM_ANY) != 1:
        raise KeyUnreadable(
            f"the file {_found_in(pem)}", hint="exactly one block '-----BEGIN PUBLIC KEY-----' is expected"
        )
    try:
        key = serialization.load_pem_public_key(pem)
    except MALFORMED as exc:
        raise KeyUnreadable(f"the PEM block is not a public key: {type(exc).__name__}") from exc
    return supported(key)


def _found_in(pem: bytes) -> str:
    blocks = pem.count(_PEM_ANY)
    if blocks > 1:
        return f"holds {blocks} PEM blocks"
    other = next((text for mark, text in _OTHERS.items() if _PEM_ANY in pem and mark in pem), None)
    return f"is {other}" if other else "holds no PEM public key"


def supported(key: object) -> PublicKey:
    """``key`` itself, when signatures by such a key are judged here. Raises ``KeyUnreadable``."""
    match key:
        case ed25519.Ed25519PublicKey():
            return key
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            return key
        case rsa.RSAPublicKey() if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            return key
        case rsa.RSAPublicKey():
            found = f"RSA with {key.key_size} bits"
        case ec.EllipticCurvePublicKey():
            found = f"a key on curve {key.curve.name}"
        case _:
            found = type(key).__name__
    raise KeyUnreadable(
        f"{found} can't be used to sign or verify images",
        hint="supported are ECDSA P-256 and P-384, Ed25519, and RSA of 2048 to 8192 bits",
    )


def pem_of(key: PublicKey) -> bytes:
    """PKIX PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: PublicKey) -> str:
    """SHA-256 of the key's SubjectPublicKeyInfo, hex."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


@dataclass(frozen=True, slots=True)
class KeyTrust:
    """A signature counts when this key made it."""

    public_key: PublicKey = field(hash=False, compare=False)
    key_id: str
    """SHA-256 of the key's SubjectPublicKeyInfo, hex: attestors with one key are one identity."""
    prehashed: bool = False
    """The key signs as Ed25519ph (RFC 8032): a choice that the trust store writes down, never a guess."""
    root: TrustedRoot | None = None
    """Whose logs and timestamp authorities are believed about this key's signatures; without, none are."""
    min_logs: int = 0
    """Distinct transparency logs of ``root`` that must hold the signature."""
    min_timestamps: int = 0
    """Distinct timestamp authorities of ``root`` that must have seen it."""

    @property
    def spki(self) -> bytes:
        """The key's SubjectPublicKeyInfo, DER."""
        return self.public_key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def identity(self) -> str:
        """What distinct signers are counted by."""
        return f"key:{self.key_id}"


def key_trust(
    pem: bytes,
    *,
    prehashed: bool = False,
    root: TrustedRoot | None = None,
    min_logs: int = 0,
    min_timestamps: int = 0,
) -> KeyTrust:
    """Trust in one key. Raises ``KeyUnreadable``."""
    key = read_public_key(pem)
    if prehashed and not isinstance(key, ed25519.Ed25519PublicKey):
        raise KeyUnreadable("Ed25519ph is for Ed25519 keys, and this is another", hint="leave algorithm out")
    if root is None and (min_logs or min_timestamps):
        raise KeyUnreadable(
            "a log or a timestamp is asked for, and no trusted root says whose", hint="name a trusted root"
        )
    return KeyTrust(key, key_id(key), prehashed, root, min_logs, min_timestamps)
