"""Keys of Notary v1 metadata: an id is always recomputed, a method always belongs to its kind of key.

CVE-2015-9258: notary once let the signature choose the algorithm for a key.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from trustgate.errors import KeyUnreadable
from trustgate.evidence.certificate_path import is_authority, load_certificate
from trustgate.evidence.keys import PublicKey, supported
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.notary.canonical import Malformed, encode
from trustgate.evidence.notary.fields import a_text, an_object, some_bytes
from trustgate.oci.strict_json import Json

MAX_KEY_BYTES: Final = 32 * 1024
PSS_SALT_BYTES: Final = 32
_KEY_FIELDS: Final = ("keytype", "keyval")
_VALUE_FIELDS: Final = ("public", "private")
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_BARE: Final[Mapping[str, str]] = {"ecdsa-x509": "ecdsa", "rsa-x509": "rsa"}


@dataclass(frozen=True, slots=True)
class TufKey:
    """A public key as metadata names it."""

    type: str
    public: bytes = field(repr=False)
    id: str
    canonical_id: str
    """The id of the bare key: the same for a key and for every certificate of it."""
    material: PublicKey | None = field(repr=False, compare=False, hash=False)
    """``None`` for a kind that is not known here, or content that is not such a key: it verifies nothing."""
    certificate: x509.Certificate | None = field(default=None, repr=False, compare=False, hash=False)

    def as_json(self) -> dict[str, Json]:
        return _document(self.type, self.public)


def read_key(value: Json, what: str) -> TufKey:
    """Raises ``Malformed``."""
    fields = an_object(value, what, _KEY_FIELDS)
    pair = an_object(fields.get("keyval"), f"keyval of {what}", _VALUE_FIELDS)
    if pair.get("private") is not None:
        raise Malformed(f"{what} holds a private key")
    kind = a_text(fields.get("keytype"), f"keytype of {what}")
    return make_key(kind, some_bytes(pair.get("public"), f"the public part of {what}", MAX_KEY_BYTES))


def make_key(kind: str, public: bytes) -> TufKey:
    """The key with its recomputed ids; content that makes no sense gives a key that verifies nothing."""
    found = _READERS.get(kind, _unknown)(public)
    key_id = _id(kind, public)
    canonical = key_id
    if found.material is not None and kind in _BARE:
        canonical = _id(_BARE[kind], _spki(found.material))
    return TufKey(kind, public, key_id, canonical, found.material, found.certificate)


def bare_key(key: PublicKey) -> TufKey:
    """The metadata key for a public key by itself."""
    match key:
        case ec.EllipticCurvePublicKey():
            return make_key("ecdsa", _spki(key))
        case rsa.RSAPublicKey():
            return make_key("rsa", _spki(key))
        case ed25519.Ed25519PublicKey():
            return make_key("ed25519", key.public_bytes_raw())


def certificate_key(certificate: x509.Certificate) -> TufKey:
    """The metadata key for a root certificate."""
    kind = "rsa-x509" if isinstance(certificate.public_key(), rsa.RSAPublicKey) else "ecdsa-x509"
    return make_key(kind, certificate.public_bytes(serialization.Encoding.PEM))


def verifies(key: TufKey, method: str, signature: bytes, content: bytes) -> bool:
    """Whether ``signature`` is by ``key`` and of the one method that the key's kind allows."""
    check = _METHODS.get(method)
    if check is None or key.material is None:
        return False
    try:
        return check(key.material, signature, content)
    except InvalidSignature:
        return False


@dataclass(frozen=True, slots=True)
class _Found:
    material: PublicKey | None = None
    certificate: x509.Certificate | None = None


def _unknown(_public: bytes) -> _Found:
    return _Found()


def _pkix(wanted: type[PublicKey]) -> Callable[[bytes], _Found]:
    def read(public: bytes) -> _Found:
        try:
            key = supported(serialization.load_der_public_key(public))
        except (KeyUnreadable, *MALFORMED):
            return _Found()
        return _Found(key) if isinstance(key, wanted) else _Found()

    return read


def _certificate(wanted: type[PublicKey]) -> Callable[[bytes], _Found]:
    """The leaf comes first; further certificates may only be its issuers, which are not asked."""

    def read(public: bytes) -> _Found:
        try:
            leaf, *issuers = map(load_certificate, _pem_blocks(public))
            key = supported(leaf.public_key())
        except (ValueError, KeyUnreadable):  # PathRefused is a ValueError, and so is having none
            return _Found()
        sound = isinstance(key, wanted) and all(map(is_authority, issuers))
        return _Found(key, leaf) if sound else _Found()

    return read


def _pem_blocks(text: bytes) -> list[bytes]:
    """The DER of every certificate block. Raises ``ValueError``."""
    return [base64.b64decode(b"".join(block.split()), validate=True) for block in _PEM.findall(text)]


def _raw_ed25519(public: bytes) -> _Found:
    try:
        return _Found(ed25519.Ed25519PublicKey.from_public_bytes(public))
    except ValueError:
        return _Found()


_READERS: Final[Mapping[str, Callable[[bytes], _Found]]] = {
    "ecdsa": _pkix(ec.EllipticCurvePublicKey),
    "ecdsa-x509": _certificate(ec.EllipticCurvePublicKey),
    "rsa": _pkix(rsa.RSAPublicKey),
    "rsa-x509": _certificate(rsa.RSAPublicKey),
    "ed25519": _raw_ed25519,
}


def _ecdsa(key: PublicKey, signature: bytes, content: bytes) -> bool:
    """Raw r and s of the curve's length each, over SHA-256 whatever the curve."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    half = (key.curve.key_size + 7) // 8
    if len(signature) != 2 * half:
        return False
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    key.verify(encode_dss_signature(r, s), content, ec.ECDSA(hashes.SHA256()))
    return True


def _rsa_pss(key: PublicKey, signature: bytes, content: bytes) -> bool:
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), PSS_SALT_BYTES)
    key.verify(signature, content, scheme, hashes.SHA256())
    return True


def _rsa_pkcs1(key: PublicKey, signature: bytes, content: bytes) -> bool:
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
    return True


def _eddsa(key: PublicKey, signature: bytes, content: bytes) -> bool:
    if not isinstance(key, ed25519.Ed25519PublicKey):
        return False
    key.verify(signature, content)
    return True


_METHODS: Final[Mapping[str, Callable[[PublicKey, bytes, bytes], bool]]] = {
    "ecdsa": _ecdsa,
    "rsapss": _rsa_pss,
    "rsapkcs1v15": _rsa_pkcs1,
    "eddsa": _eddsa,
}
"""``pycrypto-pkcs#1 pss`` is left out: no client writes it, and its key is no key of any other method."""


def _spki(key: PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _document(kind: str, public: bytes) -> dict[str, Json]:
    return {"keytype": kind, "keyval": {"private": None, "public": base64.b64encode(public).decode()}}


def _id(kind: str, public: bytes) -> str:
    return hashlib.sha256(encode(_document(kind, public))).hexdigest()
