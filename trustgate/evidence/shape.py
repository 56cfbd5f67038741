"""What a manifest is, told from its content: names and tags are claims, bytes are facts.

A signature must stay pullable when the image that it signs is refused, so being one is worth something,
and must not be had by calling an image ``sha256-….sig``. Only a small document that parses as a signature is
one, and nothing that a client could unpack as a layer. The same holds for attestations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from trustgate.evidence.archive import opens_as_layer
from trustgate.evidence.attestation import MAX_ATTESTATION_BYTES, MAX_ATTESTATION_LAYERS
from trustgate.evidence.bundle import read_json
from trustgate.evidence.dsse import IN_TOTO_PAYLOAD, Malformed, a_text, an_object, read_envelope
from trustgate.evidence.helm.chart_manifest import PROVENANCE_TYPE
from trustgate.evidence.model import MAX_BUNDLE_BYTES, MAX_SIMPLE_SIGNING_BYTES, Role
from trustgate.evidence.notation.manifest import claims_to_be_signature, envelope_blobs
from trustgate.evidence.notation.manifest import is_signature as is_notation
from trustgate.evidence.simple_signing import read_simple_signing
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest
from trustgate.oci.names import Tag
from trustgate.oci.strict_json import JsonRefused, loads

MAX_SIGNATURE_LAYERS = 64
MAX_SIGNATURE_MANIFEST_BYTES = 1024 * 1024
"""Many are read for one digest; 64 layers with certificates and log entries in their annotations fit."""
MAX_SIGNATURE_CONFIG_BYTES = 64 * 1024
MAX_ATTACHED_BYTES = 2 * MAX_ATTESTATION_BYTES
"""All layers of one ``.att`` manifest together: they are read to tell what it is."""
_FALLBACK = re.compile(r"sha(256|512)-[0-9a-f]{64}(\.(sig|att|sbom))?")
_ATTACHED_TAG = re.compile(r"sha256-([0-9a-f]{64})\.(?:sig|att)")
_CONFIG_KEYS = frozenset({"architecture", "os", "config", "rootfs", "history", "created", "author"})


def looks_like_evidence(manifest: Manifest) -> bool:
    """Whether clients would look for a signature or attestation in it, whatever its bytes turn out to be."""
    types = {manifest.artifact_type, *(layer.media_type for layer in manifest.layers)}
    return manifest.kind == "image" and (
        claims_to_be_signature(manifest)
        or not types.isdisjoint({media.COSIGN_SIMPLE_SIGNING, PROVENANCE_TYPE})
        or any(one.startswith(media.SIGSTORE_BUNDLE_PREFIX) or _is_dsse(one) for one in types)
    )


def _is_dsse(media_type: str) -> bool:
    return media_type == media.DSSE_ENVELOPE or media_type.endswith("+dsse")


def legacy_signature_tag(digest: Digest) -> Tag | None:
    """The tag under which cosign keeps the signatures of ``digest``; it has none for sha512."""
    return Tag(f"sha256-{digest.hex}.sig") if digest.algorithm == "sha256" else None


def legacy_attestation_tag(digest: Digest) -> Tag | None:
    """The tag under which cosign keeps the attestations of ``digest``; it has none for sha512."""
    return Tag(f"sha256-{digest.hex}.att") if digest.algorithm == "sha256" else None


def fallback_tag(digest: Digest) -> Tag:
    """The referrers tag of ``digest`` (distribution-spec, "Referrers Tag Schema"): 64 characters of hex."""
    return Tag(f"{digest.algorithm}-{digest.hex[:64]}")


def signed_by(manifest: Manifest, tags: Iterable[Tag]) -> Digest | None:
    """What a signature or attestation is about: its ``subject``, or the digest in its tag's name."""
    if manifest.subject is not None:
        return manifest.subject.digest
    named = (_ATTACHED_TAG.fullmatch(tag) for tag in tags)
    return next((Digest(f"sha256:{found[1]}") for found in named if found), None)


def is_referrers_tag(tag: str) -> bool:
    """Whether clients keep lists of referrers or signatures under such a name."""
    return _FALLBACK.fullmatch(tag) is not None


def signature_blobs(manifest: Manifest) -> tuple[Descriptor, ...]:
    """The blobs that a signature is read from; none when the descriptors rule one out."""
    if len(manifest.raw) > MAX_SIGNATURE_MANIFEST_BYTES:
        return ()
    if _may_be_bundle(manifest):
        return manifest.layers if manifest.layers[0].size <= MAX_BUNDLE_BYTES else ()
    if may_be_legacy(manifest):
        return manifest.blobs
    return envelope_blobs(manifest) if claims_to_be_signature(manifest) else ()


def attestation_blobs(manifest: Manifest) -> tuple[Descriptor, ...]:
    """The layers that attestations are read from, each once; none when the descriptors rule them out.

    A bundle may turn out to be a signature: that shows only inside.
    """
    if len(manifest.raw) > MAX_SIGNATURE_MANIFEST_BYTES:
        return ()
    if _may_be_bundle(manifest) or _may_be_attached(manifest):
        return tuple({layer.digest: layer for layer in manifest.layers}.values())
    return ()


def role_blobs(manifest: Manifest) -> tuple[Descriptor, ...]:
    """The blobs to read before ``role_of`` can tell; none when the descriptors tell already."""
    if len(manifest.raw) <= MAX_SIGNATURE_MANIFEST_BYTES and _may_be_attached(manifest):
        return manifest.blobs
    return signature_blobs(manifest) or attestation_blobs(manifest)


def role_of(manifest: Manifest, contents: Mapping[Digest, bytes]) -> Role:
    """``contents`` are the blobs that ``role_blobs`` named."""
    if manifest.kind == "index":
        return Role.INDEX
    if _is_signature(manifest, contents) and not any(map(opens_as_layer, contents.values())):
        return Role.SIGNATURE
    if manifest.config is not None and manifest.config.media_type in media.IMAGE_CONFIGS:
        return Role.IMAGE
    return Role.ARTIFACT


def _is_signature(manifest: Manifest, contents: Mapping[Digest, bytes]) -> bool:
    if len(manifest.raw) > MAX_SIGNATURE_MANIFEST_BYTES:
        return False
    if _may_be_bundle(manifest):
        return _is_bundle(contents.get(manifest.layers[0].digest))
    if may_be_legacy(manifest):
        return _is_legacy(manifest, contents)
    if _may_be_attached(manifest):
        return _is_attached(manifest, contents)
    return is_notation(manifest, contents)


def _may_be_bundle(manifest: Manifest) -> bool:
    return (
        manifest.media_type == media.OCI_MANIFEST
        and manifest.subject is not None
        and manifest.config is not None
        and manifest.config.media_type == media.OCI_EMPTY
        and manifest.config.digest == media.EMPTY_JSON_DIGEST
        and manifest.config.size == len(media.EMPTY_JSON)
        and len(manifest.layers) == 1
        and manifest.layers[0].media_type.startswith(media.SIGSTORE_BUNDLE_PREFIX)
        and manifest.layers[0].size <= MAX_ATTESTATION_BYTES
    )


def may_be_legacy(manifest: Manifest) -> bool:
    """Whether the descriptors are those of a ``.sig`` manifest; its blobs have still to be read."""
    return _under_a_tag(manifest, MAX_SIGNATURE_LAYERS) and all(map(_is_simple_signing, manifest.layers))


def _may_be_attached(manifest: Manifest) -> bool:
    """The same for a ``.att`` manifest."""
    return (
        _under_a_tag(manifest, MAX_ATTESTATION_LAYERS)
        and all(map(_is_envelope, manifest.layers))
        and sum(layer.size for layer in manifest.layers) <= MAX_ATTACHED_BYTES
    )


def _under_a_tag(manifest: Manifest, most_layers: int) -> bool:
    """As cosign makes them: an image by its descriptors, but for the layers."""
    return (
        manifest.media_type == media.OCI_MANIFEST
        and manifest.subject is None
        and manifest.config is not None
        and manifest.config.media_type == media.OCI_CONFIG
        and manifest.config.size <= MAX_SIGNATURE_CONFIG_BYTES
        and 1 <= len(manifest.layers) <= most_layers
    )


def _is_simple_signing(layer: Descriptor) -> bool:
    return layer.media_type == media.COSIGN_SIMPLE_SIGNING and layer.size <= MAX_SIMPLE_SIGNING_BYTES


def _is_envelope(layer: Descriptor) -> bool:
    return layer.media_type == media.DSSE_ENVELOPE and layer.size <= MAX_ATTESTATION_BYTES


def _is_bundle(raw: bytes | None) -> bool:
    if raw is None:
        return False
    try:
        bundle = read_json(raw, max_bytes=MAX_ATTESTATION_BYTES)
        media_type = a_text(bundle, "mediaType", "the bundle")
        an_object(bundle.get("verificationMaterial"), "verificationMaterial")
        envelope = an_object(bundle.get("dsseEnvelope"), "dsseEnvelope")
        a_text(envelope, "payloadType", "the DSSE envelope")
        a_text(envelope, "payload", "the DSSE envelope")
    except Malformed:
        return False
    signatures = envelope.get("signatures")
    return media_type.startswith(media.SIGSTORE_BUNDLE_PREFIX) and isinstance(signatures, list)


def _is_legacy(manifest: Manifest, contents: Mapping[Digest, bytes]) -> bool:
    if not _has_image_config(manifest, contents):
        return False
    try:
        for layer in manifest.layers:
            read_simple_signing(contents[layer.digest])
    except (Malformed, KeyError):
        return False
    return True


def _is_attached(manifest: Manifest, contents: Mapping[Digest, bytes]) -> bool:
    if not _has_image_config(manifest, contents):
        return False
    return all(_is_in_toto(contents.get(layer.digest)) for layer in manifest.layers)


def _is_in_toto(raw: bytes | None) -> bool:
    """An envelope with one signature, around what says that it is a statement."""
    if raw is None:
        return False
    try:
        document = loads(raw, max_bytes=MAX_ATTESTATION_BYTES)
        envelope = read_envelope(document, max_payload_bytes=MAX_ATTESTATION_BYTES)
    except (JsonRefused, Malformed):
        return False
    return envelope.payload_type == IN_TOTO_PAYLOAD


def _has_image_config(manifest: Manifest, contents: Mapping[Digest, bytes]) -> bool:
    """cosign writes a genuine image configuration; anything else in its place is no signature."""
    raw = contents.get(manifest.config.digest) if manifest.config is not None else None
    if raw is None:
        return False
    try:
        document = loads(raw, max_bytes=MAX_SIGNATURE_CONFIG_BYTES)
    except JsonRefused:
        return False
    return isinstance(document, dict) and set(document) <= _CONFIG_KEYS
