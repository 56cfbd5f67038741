"""Sigstore bundles: the outer document, and which of its kinds this version judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trustgate.evidence.dsse import Envelope, Malformed, a_text, an_object, only_keys, read_envelope
from trustgate.evidence.model import MAX_BUNDLE_BYTES, TimeEvidence
from trustgate.oci.strict_json import Json, JsonRefused, loads

MEDIA_TYPES = frozenset(
    {
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
    }
)
_KINDS = ("publicKey", "certificate", "x509CertificateChain")
_BUNDLE_KEYS = frozenset({"mediaType", "verificationMaterial", "dsseEnvelope", "messageSignature"})
_TIME_KEYS: Final[tuple[tuple[str, TimeEvidence], ...]] = (
    ("tlogEntries", "log"),
    ("timestampVerificationData", "timestamp"),
)
_MATERIAL_KEYS = frozenset({*_KINDS, "tlogEntries", "timestampVerificationData"})


class NotUnderstood(ValueError):
    """A sound document of a kind that this version does not judge."""


@dataclass(frozen=True, slots=True)
class KeyBundle:
    """A bundle signed with a key that the verifier has to know. ``hint`` names it, unauthenticated."""

    envelope: Envelope = field(repr=False)
    hint: str
    unproven: frozenset[TimeEvidence]
    """It brings log entries or timestamps, which are neither needed nor verified for a known key."""


def read_bundle(raw: bytes) -> dict[str, Json]:
    """The outer object of any bundle. Raises ``Malformed``."""
    try:
        return an_object(loads(raw, max_bytes=MAX_BUNDLE_BYTES), "the bundle")
    except JsonRefused as exc:
        raise Malformed(f"the bundle {exc}") from exc


def key_bundle(raw: bytes) -> KeyBundle:
    """Read a key-based DSSE bundle. Raises ``Malformed`` or ``NotUnderstood``."""
    bundle = read_bundle(raw)
    media_type = a_text(bundle, "mediaType", "the bundle")
    if media_type not in MEDIA_TYPES:
        raise NotUnderstood(f"bundle version {media_type[-40:]!a} is not judged by this version")
    only_keys(bundle, _BUNDLE_KEYS, "the bundle")
    material = an_object(bundle.get("verificationMaterial"), "verificationMaterial")
    only_keys(material, _MATERIAL_KEYS, "verificationMaterial")
    kinds = [kind for kind in _KINDS if kind in material]
    if len(kinds) != 1:
        raise Malformed("verificationMaterial must hold one of publicKey, certificate, x509CertificateChain")
    if kinds != ["publicKey"]:
        raise NotUnderstood("keyless signatures are not judged by this version")
    if "messageSignature" in bundle:
        raise Malformed("an image's bundle must hold a DSSE envelope, not a message signature")
    public_key = an_object(material["publicKey"], "publicKey")
    only_keys(public_key, frozenset({"hint"}), "publicKey")
    hint = public_key.get("hint", "")
    if not isinstance(hint, str):
        raise Malformed("the key hint is not a string")
    return KeyBundle(
        envelope=read_envelope(bundle.get("dsseEnvelope")),
        hint=hint,
        unproven=frozenset(kind for key, kind in _TIME_KEYS if material.get(key)),
    )
