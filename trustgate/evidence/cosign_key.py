"""Private keys to sign with: cosign's encrypted PEM, and plain PKCS#8 or SEC 1.

cosign's file is PEM around JSON: scrypt parameters, an XSalsa20-Poly1305 box, and PKCS#8 DER inside.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.utils import random

from trustgate.errors import KeyUnreadable
from trustgate.evidence.keys import MAX_KEY_FILE_BYTES, pem_of, supported
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.signature_bytes import PrivateKey
from trustgate.oci.strict_json import JsonRefused, loads

MIN_SCRYPT_N: Final = 2**10
MAX_SCRYPT_N: Final = 2**17
MAX_SCRYPT_R: Final = 16
MAX_SCRYPT_P: Final = 4
"""A foreign key file may ask for 128 * N * r bytes: at most 256 MiB."""
SCRYPT_MEMORY_BYTES: Final = 320 * 1024 * 1024
_WRITTEN = {"N": 65536, "r": 8, "p": 1}
_ALGORITHMS = ("scrypt", "nacl/secretbox")
_SALT_BYTES = 32
_PEM_LINE = 64
_LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY"
_BLOCK = re.compile(
    rb"-----BEGIN (ENCRYPTED (?:SIGSTORE|COSIGN) PRIVATE KEY)-----\r?\n([A-Za-z0-9+/=\s]+)-----END \1-----\s*"
)


def read_private_key(pem: bytes, password: bytes) -> PrivateKey:
    """Read a private key; ``password`` opens cosign's encrypted form. Raises ``KeyUnreadable``."""
    if len(pem) > MAX_KEY_FILE_BYTES:
        raise KeyUnreadable(f"the key file has {len(pem)} bytes, at most {MAX_KEY_FILE_BYTES} are read")
    sealed = _BLOCK.fullmatch(pem.strip())
    der = _decrypt(_sealed_key(sealed[2]), password) if sealed else None
    try:
        key = (
            serialization.load_der_private_key(der, password=None)
            if der is not None
            else serialization.load_pem_private_key(pem, password=None)
        )
    except MALFORMED as exc:
        raise KeyUnreadable(
            "the file is not a private key that can be used",
            hint="cosign generate-key-pair, trustgate key generate, or an unencrypted PKCS#8 PEM",
        ) from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        raise KeyUnreadable(f"{type(key).__name__} can't sign images", hint="use ECDSA, Ed25519 or RSA")
    supported(key.public_key())  # what it signs must be something that is verified here
    return key


def write_private_key(key: PrivateKey, password: bytes) -> bytes:
    """The key as ``cosign generate-key-pair`` writes it."""
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    salt, nonce = random(_SALT_BYTES), random(SecretBox.NONCE_SIZE)
    box = SecretBox(_stretched(password, salt, **_WRITTEN))
    document = {
        "kdf": {"name": "scrypt", "params": _WRITTEN, "salt": _b64(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": _b64(nonce)},
        "ciphertext": _b64(box.encrypt(der, nonce).ciphertext),
    }
    body = _b64(json.dumps(document, separators=(",", ":")).encode())
    lines = [body[start : start + _PEM_LINE] for start in range(0, len(body), _PEM_LINE)]
    return "\n".join((f"-----BEGIN {_LABEL}-----", *lines, f"-----END {_LABEL}-----", "")).encode()


def public_pem(key: PrivateKey) -> bytes:
    """The public half, as PKIX PEM."""
    return pem_of(key.public_key())


@dataclass(frozen=True, slots=True)
class _SealedKey:
    """What stands in cosign's file, read and bounded, not yet opened."""

    parameters: dict[str, int]
    salt: bytes
    nonce: bytes
    ciphertext: bytes = field(repr=False)


def _sealed_key(body: bytes) -> _SealedKey:
    try:
        raw = base64.b64decode(b"".join(body.split()), validate=True)
        document: Any = loads(raw, max_bytes=MAX_KEY_FILE_BYTES)
        kdf, cipher = document["kdf"], document["cipher"]
        algorithms = (kdf["name"], cipher["name"])
        sealed = _SealedKey(
            parameters={name: kdf["params"][name] for name in _WRITTEN},
            salt=base64.b64decode(kdf["salt"], validate=True),
            nonce=base64.b64decode(cipher["nonce"], validate=True),
            ciphertext=base64.b64decode(document["ciphertext"], validate=True),
        )
    except (binascii.Error, JsonRefused, KeyError, TypeError, ValueError) as exc:
        raise KeyUnreadable("the encrypted key file is damaged") from exc
    if algorithms != _ALGORITHMS:
        raise KeyUnreadable(f"the key is encrypted with {algorithms!a:.80}, expected {_ALGORITHMS}")
    if len(sealed.nonce) != SecretBox.NONCE_SIZE:
        raise KeyUnreadable(f"the encrypted key file has a nonce of {len(sealed.nonce)} bytes")
    _bound(sealed.parameters)
    return sealed


def _bound(parameters: dict[str, int]) -> None:
    """Refuse a file that would take the machine's memory or minutes, before any of it is spent."""
    n, r, p = (parameters[name] for name in ("N", "r", "p"))
    whole = all(type(value) is int for value in (n, r, p))
    if (
        not whole
        or not (MIN_SCRYPT_N <= n <= MAX_SCRYPT_N and n.bit_count() == 1)
        or not 1 <= r <= MAX_SCRYPT_R
        or not 1 <= p <= MAX_SCRYPT_P
    ):
        raise KeyUnreadable(
            f"the key file asks for scrypt with {parameters!a:.120}",
            hint=f"allowed are N a power of two up to {MAX_SCRYPT_N}, r up to {MAX_SCRYPT_R} "
            f"and p up to {MAX_SCRYPT_P}",
        )


def _decrypt(sealed: _SealedKey, password: bytes) -> bytes:
    key = _stretched(password, sealed.salt, **sealed.parameters)
    try:
        return SecretBox(key).decrypt(sealed.ciphertext, sealed.nonce)
    except CryptoError as exc:
        raise KeyUnreadable(
            "the password does not open the key", hint="set COSIGN_PASSWORD to the key's password"
        ) from exc


def _stretched(password: bytes, salt: bytes, **parameters: int) -> bytes:
    return hashlib.scrypt(
        password,
        salt=salt,
        n=parameters["N"],
        r=parameters["r"],
        p=parameters["p"],
        dklen=SecretBox.KEY_SIZE,
        maxmem=SCRYPT_MEMORY_BYTES,
    )


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
