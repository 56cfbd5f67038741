"""Make signatures as cosign does: bytes in, bytes out; storing them is a flow's work."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trustgate.errors import Conflict
from trustgate.evidence.cosign_claim import COSIGN_SIGN_PREDICATE, SIGNATURE_ANNOTATION
from trustgate.evidence.dsse import IN_TOTO_PAYLOAD, STATEMENT_V1, Envelope
from trustgate.evidence.keys import key_id
from trustgate.evidence.shape import MAX_SIGNATURE_LAYERS, may_be_legacy
from trustgate.evidence.signature_bytes import PrivateKey, sign
from trustgate.evidence.simple_signing import SIMPLE_SIGNING_TYPE
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest


@dataclass(frozen=True, slots=True)
class SignatureArtifact:
    """A manifest to push, and the blobs that it needs, by digest."""

    manifest: bytes = field(repr=False)
    blobs: Mapping[Digest, bytes] = field(repr=False)


def bundle_for(subject: Digest, key: PrivateKey, annotations: Mapping[str, str]) -> bytes:
    """A Sigstore bundle v0.3 that signs ``subject`` with ``key``."""
    statement = {
        "_type": STATEMENT_V1,
        "subject": [{"digest": {subject.algorithm: subject.hex}, "annotations": dict(annotations)}],
        "predicateType": COSIGN_SIGN_PREDICATE,
        "predicate": {},
    }
    payload = _json(statement)
    envelope = Envelope(IN_TOTO_PAYLOAD, payload, b"")
    hint = base64.b64encode(bytes.fromhex(key_id(key.public_key()))).decode()
    return _json(
        {
            "mediaType": media.SIGSTORE_BUNDLE_V03,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": IN_TOTO_PAYLOAD,
                "signatures": [{"sig": base64.b64encode(sign(key, envelope.signed)).decode()}],
            },
        }
    )


def bundle_artifact(subject: Descriptor, bundle: bytes, created: datetime) -> SignatureArtifact:
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
            "dev.sigstore.bundle.predicateType": COSIGN_SIGN_PREDICATE,
            "org.opencontainers.image.created": created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        },
    }
    blobs = {Digest(media.EMPTY_JSON_DIGEST): media.EMPTY_JSON, layer.digest: bundle}
    return SignatureArtifact(_json(manifest), blobs)


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
    _check_room(existing)
    payload = _json(
        {
            "critical": {
                "identity": {"docker-reference": docker_reference},
                "image": {"docker-manifest-digest": str(subject)},
                "type": SIMPLE_SIGNING_TYPE,
            },
            "optional": dict(annotations) or None,
        }
    )
    mine = Descriptor(
        media.COSIGN_SIMPLE_SIGNING,
        Digest.of(payload),
        len(payload),
        annotations={SIGNATURE_ANNOTATION: base64.b64encode(sign(key, payload)).decode()},
    )
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
    return SignatureArtifact(_json(manifest), {Digest.of(config): config, mine.digest: payload})


def _check_room(existing: Manifest | None) -> None:
    if existing is None:
        return
    if not may_be_legacy(existing):
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
    return _json(
        {
            "architecture": "",
            "config": {},
            "created": "0001-01-01T00:00:00Z",
            "history": [{"created": "0001-01-01T00:00:00Z"} for _ in diff_ids],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [str(digest) for digest in diff_ids]},
        }
    )


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
