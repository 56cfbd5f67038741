"""Private keys to sign with: cosign's encrypted PEM, and plain PKCS#8 or SEC 1.

cosign's file is PEM around JSON: scrypt parameters, an XSalsa20-Poly1305 box, and PKCS#8 DER inside.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.utils import random

from trustgate.errors import KeyUnreadable
from trustgate.evidence.keys import MAX_KEY_FILE_BYTES
from trustgate.oci.strict_json import JsonRefused, loads

MAX_SCRYPT_N: Final = 2**17
MAX_SCRYPT_R: Final = 16
MAX_SCRYPT_P: Final = 4
"""A foreign key file may ask for 128 * N * r bytes: at most 256 MiB."""
SCRYPT_MEMORY_BYTES: Final = 320 * 1024 * 1024
_WRITTEN = {"N": 65536, "r": 8, "p": 1}
_SALT_BYTES = 32
_PEM_LINE = 64
_LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY"
_BLOCK = re.compile(
    rb"-----BEGIN (ENCRYPTED (?:SIGSTORE|COSIGN) PRIVATE KEY)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----\s*"
)
_ALLOWED_N = frozenset(2**power for power in range(10, 18))

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def read_private_key(pem: bytes, password: bytes) -> PrivateKey:
    """Read a private key; ``password`` opens cosign's encrypted form. Raises ``KeyUnreadable``."""
    if len(pem) > MAX_KEY_FILE_BYTES:
        raise KeyUnreadable(f"the key file has {len(pem)} bytes, at most {MAX_KEY_FILE_BYTES} are read")
    found = _BLOCK.fullmatch(pem.strip() + b"\n")
    der = _decrypt(found[2], password) if found else None
    try:
        key = (
            serialization.load_der_private_key(der, password=None)
            if der is not None
            else serialization.load_pem_private_key(pem, password=None)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise KeyUnreadable(
            "the file is not a private key that can be used",
            hint="cosign generate-key-pair, trustgate key generate, or an unencrypted PKCS#8 PEM",
        ) from exc
    if isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        return key
    raise KeyUnreadable(f"{type(key).__name__} can't sign images", hint="use ECDSA, Ed25519 or RSA")


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
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _decrypt(body: bytes, password: bytes) -> bytes:
    try:
        document: Any = loads(
            base64.b64decode(b"".join(body.split()), validate=True), max_bytes=MAX_KEY_FILE_BYTES
        )
        kdf, cipher = document["kdf"], document["cipher"]
        if kdf["name"] != "scrypt" or cipher["name"] != "nacl/secretbox":
            raise KeyUnreadable(f"the key is encrypted with {kdf['name']!r:.40} and {cipher['name']!r:.40}")
        parameters = {name: int(kdf["params"][name]) for name in ("N", "r", "p")}
        salt, nonce = base64.b64decode(kdf["salt"]), base64.b64decode(cipher["nonce"])
        sealed = base64.b64decode(document["ciphertext"])
    except (binascii.Error, JsonRefused, KeyError, TypeError, ValueError) as exc:
        raise KeyUnreadable("the encrypted key file is damaged") from exc
    _bound(parameters)
    try:
        return SecretBox(_stretched(password, salt, **parameters)).decrypt(sealed, nonce)
    except (CryptoError, ValueError, TypeError) as exc:
        raise KeyUnreadable(
            "the password does not open the key", hint="set COSIGN_PASSWORD to the key's password"
        ) from exc


def _bound(parameters: dict[str, int]) -> None:
    if parameters["N"] not in _ALLOWED_N or not 1 <= parameters["r"] <= MAX_SCRYPT_R:
        raise KeyUnreadable(f"the key file asks for scrypt with {parameters}, more than is allowed")
    if not 1 <= parameters["p"] <= MAX_SCRYPT_P or parameters["N"] > MAX_SCRYPT_N:
        raise KeyUnreadable(f"the key file asks for scrypt with {parameters}, more than is allowed")


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
