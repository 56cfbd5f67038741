"""Make signatures as cosign does: bytes in, bytes out; storing them is a flow's work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trustgate.errors import Conflict
from trustgate.evidence.cosign_claim import COSIGN_SIGN_PREDICATE, SIGNATURE_ANNOTATION
from trustgate.evidence.dsse import IN_TOTO_PAYLOAD, STATEMENT_V1, Envelope
from trustgate.evidence.keys import PublicKey, key_id
from trustgate.evidence.shape import MAX_SIGNATURE_LAYERS
from trustgate.evidence.signature_bytes import PrivateKey, sign
from trustgate.evidence.sigstore_signing.material import Material, b64, for_bundle, for_layer
from trustgate.evidence.simple_signing import SIMPLE_SIGNING_TYPE
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest
from trustgate.oci.strict_json import Json

DSSE_LAYER = "application/vnd.dsse.envelope.v1+json"


@dataclass(frozen=True, slots=True)
class SignatureArtifact:
    """A manifest to push, and the blobs that it needs, by digest."""

    manifest: bytes = field(repr=False)
    blobs: Mapping[Digest, bytes] = field(repr=False)


def signature_statement(subject: Digest, annotations: Mapping[str, str]) -> bytes:
    """What ``cosign sign`` signs: an in-toto statement without a predicate."""
    return as_json(
        {
            "_type": STATEMENT_V1,
            "subject": [{"digest": {subject.algorithm: subject.hex}, "annotations": dict(annotations)}],
            "predicateType": COSIGN_SIGN_PREDICATE,
            "predicate": {},
        }
    )


def dsse_document(payload: bytes, signature: bytes) -> dict[str, Json]:
    """The DSSE envelope around an in-toto statement."""
    return {
        "payload": b64(payload),
        "payloadType": IN_TOTO_PAYLOAD,
        "signatures": [{"sig": b64(signature)}],
    }


def to_be_signed(payload: bytes) -> bytes:
    """The bytes under the signature of a statement (DSSE's pre-authentication encoding)."""
    return Envelope(IN_TOTO_PAYLOAD, payload, b"").signed


def bundle_of(content: Mapping[str, Json], key: PublicKey | None, material: Material) -> bytes:
    """A Sigstore bundle v0.3; ``key`` is hinted at where there is no certificate."""
    verification = for_bundle(material)
    if key is not None:
        verification = {"publicKey": {"hint": b64(bytes.fromhex(key_id(key)))}, **verification}
    document = {
        "mediaType": media.SIGSTORE_BUNDLE_V03,
        "verificationMaterial": verification,
        **content,
    }
    return as_json(document)


def bundle_for(subject: Digest, key: PrivateKey, annotations: Mapping[str, str]) -> bytes:
    """A Sigstore bundle v0.3 that signs ``subject`` with ``key``."""
    payload = signature_statement(subject, annotations)
    envelope = dsse_document(payload, sign(key, to_be_signed(payload)))
    return bundle_of({"dsseEnvelope": envelope}, key.public_key(), Material())


def bundle_artifact(
    subject: Descriptor, bundle: bytes, created: datetime, predicate_type: str = COSIGN_SIGN_PREDICATE
) -> SignatureArtifact:
    """The referrer that carries a bundle (shape: cosign 3.1)."""
    layer = Descriptor(media.SIGSTORE_BUNDLE_V03, Digest.of(bundle), len(bundle))
    about = Descriptor(subject.media_type, subject.digest, subject.size)
    manifest = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "artifactType": media.SIGSTORE_BUNDLE_V03,
        "config": {
            "mediaType": media.OCI_EMPTY,
            "digest": media.EMPTY_JSON_DIGEST,
            "size": len(media.EMPTY_JSON),
        },
        "layers": [layer.as_json()],
        "subject": about.as_json(),
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate_type,
            "org.opencontainers.image.created": created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        },
    }
    blobs = {Digest(media.EMPTY_JSON_DIGEST): media.EMPTY_JSON, layer.digest: bundle}
    return SignatureArtifact(as_json(manifest), blobs)


def simple_signing(subject: Digest, docker_reference: str, annotations: Mapping[str, str]) -> bytes:
    """What ``cosign sign`` signed before there were bundles."""
    return as_json(
        {
            "critical": {
                "identity": {"docker-reference": docker_reference},
                "image": {"docker-manifest-digest": str(subject)},
                "type": SIMPLE_SIGNING_TYPE,
            },
            "optional": dict(annotations) or None,
        }
    )


def legacy_artifact(
    subject: Digest,
    key: PrivateKey,
    *,
    docker_reference: str,
    annotations: Mapping[str, str],
    existing: Manifest | None,
) -> SignatureArtifact:
    """The ``.sig`` manifest with one more layer; ``existing`` layers by others stay as they are.

    Raises ``Conflict`` when what stands there is no signature manifest, or is full.
    """
    payload = simple_signing(subject, docker_reference, annotations)
    return signature_layer(payload, sign(key, payload), Material(), existing)


def signature_layer(
    payload: bytes, signature: bytes, material: Material, existing: Manifest | None
) -> SignatureArtifact:
    """The ``.sig`` manifest with a layer for this signature. Raises ``Conflict``."""
    _check_room(existing, media.COSIGN_SIMPLE_SIGNING)
    annotations = {SIGNATURE_ANNOTATION: b64(signature), **for_layer(material)}
    return _appended(existing, media.COSIGN_SIMPLE_SIGNING, payload, annotations)


def attestation_layer(
    envelope: bytes, predicate_type: str, material: Material, existing: Manifest | None
) -> SignatureArtifact:
    """The ``.att`` manifest with a layer for this attestation. Raises ``Conflict``."""
    _check_room(existing, DSSE_LAYER)
    annotations = {SIGNATURE_ANNOTATION: "", "predicateType": predicate_type, **for_layer(material)}
    return _appended(existing, DSSE_LAYER, envelope, annotations)


def _appended(
    existing: Manifest | None, media_type: str, payload: bytes, annotations: Mapping[str, str]
) -> SignatureArtifact:
    mine = Descriptor(media_type, Digest.of(payload), len(payload), annotations=annotations)
    layers = (*(existing.layers if existing else ()), mine)
    config = _config([layer.digest for layer in layers])
    manifest = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": {
            "mediaType": media.OCI_CONFIG,
            "digest": str(Digest.of(config)),
            "size": len(config),
        },
        "layers": [layer.as_json() for layer in layers],
    }
    return SignatureArtifact(as_json(manifest), {Digest.of(config): config, mine.digest: payload})


def _check_room(existing: Manifest | None, media_type: str) -> None:
    if existing is None:
        return
    config = existing.config
    if (
        config is None
        or existing.subject is not None
        or config.media_type != media.OCI_CONFIG
        or not existing.layers
        or any(layer.media_type != media_type for layer in existing.layers)
    ):
        raise Conflict(
            f"{existing.digest.short} stands under the signatures' tag and is not a signature manifest",
            hint="remove that tag, or sign with a bundle",
        )
    if len(existing.layers) >= MAX_SIGNATURE_LAYERS:
        raise Conflict(
            f"{existing.digest.short} has {len(existing.layers)} signatures, as many as are read",
            hint="sign with a bundle",
        )


def _config(diff_ids: list[Digest]) -> bytes:
    """A genuine image configuration with one entry a layer, as cosign writes it."""
    return as_json(
        {
            "architecture": "",
            "config": {},
            "created": "0001-01-01T00:00:00Z",
            "history": [{"created": "0001-01-01T00:00:00Z"} for _ in diff_ids],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [str(digest) for digest in diff_ids]},
        }
    )


def as_json(document: object) -> bytes:
    """Without spaces, as cosign writes it."""
    return json.dumps(document, separators=(",", ":")).encode()
