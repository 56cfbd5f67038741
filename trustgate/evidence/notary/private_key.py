"""Private keys of delegations as docker, notary and openssl write them."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from asn1crypto import keys, pem
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from trustgate.errors import KeyUnreadable
from trustgate.evidence.keys import MAX_KEY_FILE_BYTES, supported
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.signature_bytes import PrivateKey

MAX_ITERATIONS: Final = 10_000_000
"""Of PBKDF2: some seconds."""
_SEALED: Final = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_PKCS8: Final = re.compile(rb"-----BEGIN (ENCRYPTED )?PRIVATE KEY-----")
# asn1crypto parses when values are asked for, and answers foreign bytes with any of these
_UNREADABLE: Final = (
    *MALFORMED,
    KeyError,
    AttributeError,
    IndexError,
    RecursionError,
)


def read_delegation_key(raw: bytes, passphrase: bytes) -> PrivateKey:
    """``passphrase`` opens an encrypted key, and is not asked of any other. Raises ``KeyUnreadable``."""
    if len(raw) > MAX_KEY_FILE_BYTES:
        raise KeyUnreadable(f"the key file has {len(raw)} bytes, at most {MAX_KEY_FILE_BYTES} are read")
    sealed = _SEALED in raw
    try:
        if _PKCS8.search(raw):
            key = serialization.load_der_private_key(_pkcs8(raw, passphrase), None)
        else:
            key = serialization.load_pem_private_key(raw, None)
    except _UNREADABLE as exc:
        wrong = "the passphrase is wrong, or the file is damaged" if sealed else "it is not a private key"
        raise KeyUnreadable(
            f"the delegation key can't be read: {wrong}",
            hint="docker trust key generate makes one; or give an unencrypted PKCS#8 PEM",
        ) from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        raise KeyUnreadable(f"{type(key).__name__} can't sign tags", hint="use ECDSA or RSA")
    supported(key.public_key())
    return key


def _pkcs8(raw: bytes, passphrase: bytes) -> bytes:
    """The PrivateKeyInfo, said to be of version 1.

    docker and notary write version 2 (RFC 5958) without the public key that version 2 is there for, and
    a header that says whose it is; OpenSSL takes that, other readers don't.
    """
    name, _headers, der = pem.unarmor(raw)
    info = keys.PrivateKeyInfo.load(_opened(der, passphrase) if name.startswith("ENC") else der, strict=True)
    plain = {part: info[part] for part in ("private_key_algorithm", "private_key")}
    rewritten: bytes = keys.PrivateKeyInfo({"version": 0, **plain}).dump()
    return rewritten


def _opened(der: bytes, passphrase: bytes) -> bytes:
    """PBES2 with PBKDF2 and AES in CBC mode (RFC 8018, 6.2)."""
    sealed = keys.EncryptedPrivateKeyInfo.load(der, strict=True)
    scheme: Any = sealed["encryption_algorithm"]
    stretching = scheme["parameters"]["key_derivation_func"]
    cipher = scheme["parameters"]["encryption_scheme"]
    if (stretching["algorithm"].native, cipher.encryption_cipher) != ("pbkdf2", "aes"):
        raise ValueError("only PBKDF2 and AES are read")
    given = stretching["parameters"]
    iterations = given["iteration_count"].native
    if not 1 <= iterations <= MAX_ITERATIONS:
        raise ValueError("too many iterations")
    stretched = hashlib.pbkdf2_hmac(
        given["prf"]["algorithm"].native, passphrase, given["salt"].native, iterations, cipher.key_length
    )
    decryptor = Cipher(algorithms.AES(stretched), modes.CBC(cipher.encryption_iv)).decryptor()
    padded = decryptor.update(sealed["encrypted_data"].native) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
