"""``trusted_root.json``: whose logs, authorities and timestamps count, and when (protobuf-specs)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustgate.evidence.certificate_path import PathRefused, load_certificate
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.sigstore.fields import Fields, bytes_of, fields_of, list_of, text_of, time_of
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.oci.strict_json import Json, JsonRefused, loads

MEDIA_TYPES: Final = frozenset(
    {
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    }
)
"""Version 0.2 is refused by cosign and sigstore-python too: what it adds is not judged here."""
MAX_ROOT_BYTES: Final = 1024 * 1024
MAX_LOGS: Final = 64
MAX_AUTHORITIES: Final = 64
MAX_CHAIN: Final = 6

NOBODY: Final = "nobody named"
"""As which those count that name no operator: all as one, for who says that they are not? sigstore.dev's
root names none, and its two logs are one organisation's."""

LogPublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Window:
    """A closed interval: both ends are inside. Without an end it is open; a start there always is."""

    start: datetime
    end: datetime | None

    def holds(self, moment: datetime) -> bool:
        return self.start <= moment and (self.end is None or moment <= self.end)


@dataclass(frozen=True, slots=True)
class Log:
    """A transparency log (Rekor, or certificate transparency) and its key."""

    key: LogPublicKey = field(hash=False, compare=False)
    key_id: bytes
    """``logId.keyId``: what an entry names."""
    origin: str
    """The host of ``baseUrl``: how the log calls itself in its checkpoints."""
    window: Window
    operator: str = ""

    @property
    def counted_as(self) -> str:
        """Logs of one operator are one witness, however many shards or keys it has."""
        return self.operator or NOBODY


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate or timestamp authority: its chain ends with the anchor."""

    chain: tuple[x509.Certificate, ...]
    window: Window
    operator: str = ""

    @property
    def counted_as(self) -> str:
        """Authorities of one operator are one witness, however many anchors it has."""
        return self.operator or NOBODY


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """Everyone whose word counts for Sigstore signatures. Two are equal when their files are."""

    digest: str
    """SHA-256 of the file, hex."""
    rekor: tuple[Log, ...] = field(hash=False, compare=False, repr=False)
    ct: tuple[Log, ...] = field(hash=False, compare=False, repr=False)
    certificates: tuple[Authority, ...] = field(hash=False, compare=False, repr=False)
    timestamps: tuple[Authority, ...] = field(hash=False, compare=False, repr=False)
    raw: bytes = field(hash=False, compare=False, repr=False, default=b"")
    """The file itself, for those who have to read it in their own way."""


def read_trusted_root(raw: bytes) -> TrustedRoot:
    """Raises ``Refusal``: a root that is not understood whole is not used in part."""
    try:
        document = fields_of(loads(raw, max_bytes=MAX_ROOT_BYTES), "the trusted root")
    except JsonRefused as exc:
        raise Refusal(f"the trusted root {exc}") from exc
    if document.get("mediaType") not in tuple(MEDIA_TYPES):  # which may be unhashable
        raise Refusal("the trusted root has a media type that this version does not read")

    def logs(key: str) -> tuple[Log, ...]:
        return tuple(
            _log(item, f"{key}[{n}]") for n, item in enumerate(list_of(document.get(key), key, most=MAX_LOGS))
        )

    def authorities(key: str) -> tuple[Authority, ...]:
        found = list_of(document.get(key), key, most=MAX_AUTHORITIES)
        return tuple(_authority(item, f"{key}[{n}]") for n, item in enumerate(found))

    return TrustedRoot(
        digest=hashlib.sha256(raw).hexdigest(),
        raw=raw,
        rekor=logs("tlogs"),
        ct=logs("ctlogs"),
        certificates=authorities("certificateAuthorities"),
        timestamps=authorities("timestampAuthorities"),
    )


def _log(item: Json, what: str) -> Log:
    fields = fields_of(item, what)
    public = fields_of(fields.get("publicKey"), f"{what}.publicKey")
    der = bytes_of(public, "rawBytes", f"{what}.publicKey")
    named = fields.get("logId")
    return Log(
        key=_public_key(der, what),
        key_id=bytes_of(fields_of(named, f"{what}.logId"), "keyId", what)
        if named
        else hashlib.sha256(der).digest(),
        origin=_host(text_of(fields, "baseUrl", what), what),
        window=_window(public, f"{what}.publicKey"),
        operator=_operator(fields, what),
    )


def _host(url: str, what: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError as exc:
        raise Refusal(f"{what}: baseUrl is not a URL") from exc


def _operator(fields: Fields, what: str) -> str:
    operator = fields.get("operator") or ""
    if not isinstance(operator, str):
        raise Refusal(f"{what}: operator is not a text")
    return operator


def _public_key(der: bytes, what: str) -> LogPublicKey:
    try:
        key: object = serialization.load_der_public_key(der)
    except MALFORMED:
        key = _pkcs1(der, what)
    if isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey):
        return key
    raise Refusal(f"{what}: a {type(key).__name__} can't be a log's key")


def _pkcs1(der: bytes, what: str) -> object:
    """Some old certificate transparency logs are listed with a bare RSA key."""
    lines = base64.encodebytes(der)
    pem = b"-----BEGIN RSA PUBLIC KEY-----\n" + lines + b"-----END RSA PUBLIC KEY-----\n"
    try:
        return serialization.load_pem_public_key(pem)
    except MALFORMED as exc:
        raise Refusal(f"{what}: its public key can't be read") from exc


def _authority(item: Json, what: str) -> Authority:
    fields = fields_of(item, what)
    chain = fields_of(fields.get("certChain"), f"{what}.certChain")
    listed = list_of(chain.get("certificates"), f"{what}.certChain", most=MAX_CHAIN)
    certificates = tuple(_certificate(each, what) for each in listed)
    if not certificates:
        raise Refusal(f"{what} has no certificate")
    return Authority(certificates, _window(fields, what), _operator(fields, what))


def _certificate(item: Json, what: str) -> x509.Certificate:
    raw = bytes_of(fields_of(item, what), "rawBytes", what)
    try:
        return load_certificate(raw)
    except PathRefused as exc:
        raise Refusal(f"{what}: {exc}") from exc


def _window(fields: Fields, what: str) -> Window:
    window = fields_of(fields.get("validFor"), f"{what}.validFor")
    start = time_of(window, "start", what)
    if start is None:
        raise Refusal(f"{what}: validFor has no start")
    return Window(start, time_of(window, "end", what))
