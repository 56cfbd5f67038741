"""Sigstore bundles (protobuf-specs ``sigstore_bundle.proto``), read strictly into values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trustgate.evidence.dsse import Envelope, Malformed, a_text, an_object, read_envelope
from trustgate.evidence.model import MAX_BUNDLE_BYTES
from trustgate.evidence.signature_bytes import MAX_SIGNATURE_BYTES
from trustgate.evidence.sigstore.entry import LogEntry, read_entry
from trustgate.evidence.sigstore.fields import (
    Fields,
    bytes_of,
    fields_of,
    list_of,
    only_known,
    optional_of,
)
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.oci.strict_json import Json, JsonRefused, loads

VERSIONS: Final = {
    "application/vnd.dev.sigstore.bundle+json;version=0.1": 1,
    "application/vnd.dev.sigstore.bundle+json;version=0.2": 2,
    "application/vnd.dev.sigstore.bundle+json;version=0.3": 3,
    "application/vnd.dev.sigstore.bundle.v0.3+json": 3,
}
MAX_LOG_ENTRIES: Final = 32
MAX_TIMESTAMPS: Final = 32
MAX_CHAIN: Final = 8
_KINDS: Final = ("publicKey", "certificate", "x509CertificateChain")
_BUNDLE_KEYS: Final = frozenset({"mediaType", "verificationMaterial", "dsseEnvelope", "messageSignature"})
_MATERIAL_KEYS: Final = frozenset({*_KINDS, "tlogEntries", "timestampVerificationData"})


class NotUnderstood(ValueError):
    """A sound document of a kind that this version does not judge."""


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature over an artifact; ``digest`` is what the bundle says it is of."""

    signature: bytes = field(repr=False)
    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle says, nothing of it proven."""

    version: int
    """1, 2 or 3, for 0.1, 0.2 and 0.3."""
    hint: str
    """Names the key of a key-based bundle, unauthenticated."""
    certificates: tuple[bytes, ...] = field(repr=False)
    """The signer's certificate first; none in a key-based bundle."""
    content: Envelope | MessageSignature = field(repr=False)
    entries: tuple[LogEntry, ...] = field(default=(), repr=False)
    timestamps: tuple[bytes, ...] = field(default=(), repr=False)
    """RFC 3161 responses."""


def read_json(raw: bytes, *, max_bytes: int = MAX_BUNDLE_BYTES) -> dict[str, Json]:
    """The outer object of any bundle. Raises ``Malformed``."""
    try:
        return an_object(loads(raw, max_bytes=max_bytes), "the bundle")
    except JsonRefused as exc:
        raise Malformed(f"the bundle {exc}") from exc


def read_bundle(raw: bytes, *, max_bytes: int = MAX_BUNDLE_BYTES) -> Bundle:
    """Raises ``Malformed`` or ``NotUnderstood``."""
    document = read_json(raw, max_bytes=max_bytes)
    media_type = a_text(document, "mediaType", "the bundle")
    version = VERSIONS.get(media_type)
    if version is None:
        raise NotUnderstood(f"bundle version {media_type[-40:]!a} is not judged by this version")
    only_known(document, _BUNDLE_KEYS, "the bundle")
    material = fields_of(document.get("verificationMaterial"), "verificationMaterial")
    only_known(material, _MATERIAL_KEYS, "verificationMaterial")
    hint, certificates = _holder(material, version)
    entries = list_of(material.get("tlogEntries"), "tlogEntries", most=MAX_LOG_ENTRIES)
    return Bundle(
        version=version,
        hint=hint,
        certificates=certificates,
        content=_content(document, max_bytes),
        entries=tuple(read_entry(one, f"tlogEntries[{number}]") for number, one in enumerate(entries)),
        timestamps=_timestamps(material),
    )


def _holder(material: Fields, version: int) -> tuple[str, tuple[bytes, ...]]:
    kinds = [kind for kind in _KINDS if material.get(kind) is not None]
    if len(kinds) != 1:
        raise Refusal("verificationMaterial must hold one of publicKey, certificate, x509CertificateChain")
    (kind,) = kinds
    fields = fields_of(material[kind], kind)
    if kind == "publicKey":
        return _hint(fields), ()
    if (kind == "certificate") != (version == 3):
        raise Refusal(f"a bundle of version 0.{version} can't hold its certificate as {kind}")
    return "", (_certificate(fields),) if kind == "certificate" else _chain(fields)


def _hint(fields: Fields) -> str:
    only_known(fields, frozenset({"hint"}), "publicKey")
    hint = fields.get("hint") or ""
    if not isinstance(hint, str):
        raise Refusal("the key hint is not a string")
    return hint


def _certificate(fields: Fields) -> bytes:
    only_known(fields, frozenset({"rawBytes"}), "the certificate")
    return bytes_of(fields, "rawBytes", "the certificate")


def _chain(fields: Fields) -> tuple[bytes, ...]:
    only_known(fields, frozenset({"certificates"}), "the certificate chain")
    listed = list_of(fields.get("certificates"), "the certificate chain", most=MAX_CHAIN)
    if not listed:
        raise Refusal("the certificate chain is empty")
    return tuple(_certificate(fields_of(one, "the certificate")) for one in listed)


def _content(document: Fields, max_bytes: int) -> Envelope | MessageSignature:
    envelope = optional_of(document, "dsseEnvelope", "the bundle")
    message = optional_of(document, "messageSignature", "the bundle")
    if (envelope is None) == (message is None):
        raise Refusal("the bundle must hold one of dsseEnvelope and messageSignature")
    if message is None:
        return read_envelope(envelope, max_payload_bytes=max_bytes)
    only_known(message, frozenset({"messageDigest", "signature"}), "messageSignature")
    digest = optional_of(message, "messageDigest", "messageSignature") or {}
    only_known(digest, frozenset({"algorithm", "digest"}), "messageDigest")
    signature = bytes_of(message, "signature", "messageSignature")
    if len(signature) > MAX_SIGNATURE_BYTES:
        raise Refusal(f"the signature has more than {MAX_SIGNATURE_BYTES} bytes")
    algorithm = digest.get("algorithm") or ""
    if not isinstance(algorithm, str):
        raise Refusal("messageDigest: algorithm is not a string")
    value = bytes_of(digest, "digest", "messageDigest") if digest.get("digest") else b""
    return MessageSignature(signature, algorithm, value)


def _timestamps(material: Fields) -> tuple[bytes, ...]:
    data = optional_of(material, "timestampVerificationData", "verificationMaterial") or {}
    only_known(data, frozenset({"rfc3161Timestamps"}), "timestampVerificationData")
    listed = list_of(data.get("rfc3161Timestamps"), "rfc3161Timestamps", most=MAX_TIMESTAMPS)
    found = []
    for one in listed:
        fields = fields_of(one, "a timestamp")
        only_known(fields, frozenset({"signedTimestamp"}), "a timestamp")
        found.append(bytes_of(fields, "signedTimestamp", "a timestamp"))
    return tuple(found)
