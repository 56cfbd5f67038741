"""A world of keys, images and signatures that tests can edit and break, part by part.

Signatures are put together here by hand and not by ``trustgate.evidence.signing``, so that the two can
be held against each other. Every maker takes ``edit``, a function that changes the JSON document just
before it is written; what is edited before signing is signed, what is edited afterwards is a forgery.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa

from trustgate.evidence.attestor import Attestor, key_attestor
from trustgate.evidence.keys import key_id
from trustgate.evidence.model import SignatureCandidate, SignatureKind
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest, parse_manifest

NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)
EVIDENCE = Digest.of(b"the manifest that carries the signature")
IN_TOTO = "application/vnd.in-toto+json"
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
SIGNATURE = "dev.cosignproject.cosign/signature"

Edit = Callable[[dict[str, Any]], object]
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def unchanged(document: dict[str, Any]) -> None:
    """The edit that edits nothing."""


@lru_cache
def key(kind: str = "p256", name: str = "alice") -> Any:
    """A private key; the same ``kind`` and ``name`` give the same key for the whole run."""
    match kind:
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "p521":
            return ec.generate_private_key(ec.SECP521R1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "dsa":
            return dsa.generate_private_key(2048)
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa")))


def public_pem(private: Any) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def private_pem(private: Any, form: str = "PKCS8") -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), serialization.NoEncryption()
    )


def trusted(private: Any, name: str = "alice", **window: datetime) -> Attestor:
    return key_attestor(name, public_pem(private), **window)


def hint(private: Any) -> str:
    return b64(bytes.fromhex(key_id(private.public_key())))


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def as_json(document: object) -> bytes:
    return json.dumps(document).encode()


def signature(private: Any, content: bytes) -> bytes:
    """As cosign signs with this kind of key by default."""
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return private.sign(content, ec.ECDSA(hashes.SHA256()))
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(content, padding.PKCS1v15(), hashes.SHA256())
    return private.sign(content)


# --- bundles -------------------------------------------------------------------------------------


def statement(subject: Digest) -> dict[str, Any]:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {subject.algorithm: subject.hex}, "annotations": {}}],
        "predicateType": SIGN_PREDICATE,
        "predicate": {},
    }


def bundle(
    subject: Digest,
    private: Any,
    *,
    edit_statement: Edit = unchanged,
    payload: bytes | None = None,
    payload_type: str = IN_TOTO,
    sign: Callable[[Any, bytes], bytes] = signature,
    edit: Edit = unchanged,
) -> bytes:
    """A key-based bundle. ``edit_statement``, ``payload``, ``payload_type`` are signed; ``edit`` is not."""
    said = statement(subject)
    edit_statement(said)
    content = as_json(said) if payload is None else payload
    signed = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(content), content)
    document = {
        "mediaType": media.SIGSTORE_BUNDLE_V03,
        "verificationMaterial": {"publicKey": {"hint": hint(private)}},
        "dsseEnvelope": {
            "payload": b64(content),
            "payloadType": payload_type,
            "signatures": [{"sig": b64(sign(private, signed))}],
        },
    }
    edit(document)
    return as_json(document)


def bundle_candidate(subject: Digest, raw: bytes, **changes: Any) -> SignatureCandidate:
    """``raw`` as it is found by the referrers of ``subject``; ``changes`` replace fields."""
    candidate = SignatureCandidate(
        kind=SignatureKind.COSIGN_BUNDLE,
        evidence=EVIDENCE,
        layer=Descriptor(media.SIGSTORE_BUNDLE_V03, Digest.of(raw), len(raw)),
        payload=raw,
        claimed_subject=subject,
    )
    return replace(candidate, **changes)


# --- legacy --------------------------------------------------------------------------------------


def simple_signing(subject: Digest, edit: Edit = unchanged) -> bytes:
    document: dict[str, Any] = {
        "critical": {
            "identity": {"docker-reference": "registry.test/shop/web"},
            "image": {"docker-manifest-digest": str(subject)},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
    edit(document)
    return as_json(document)


def legacy_candidate(
    subject: Digest,
    private: Any,
    *,
    payload: bytes | None = None,
    annotations: Mapping[str, str] | None = None,
    sign: Callable[[Any, bytes], bytes] = signature,
    **changes: Any,
) -> SignatureCandidate:
    """A layer of a ``.sig`` manifest; ``annotations`` come on top of the genuine one."""
    content = simple_signing(subject) if payload is None else payload
    written = {SIGNATURE: b64(sign(private, content)), **(annotations or {})}
    candidate = SignatureCandidate(
        kind=SignatureKind.COSIGN_LEGACY,
        evidence=EVIDENCE,
        layer=Descriptor(media.COSIGN_SIMPLE_SIGNING, Digest.of(content), len(content), annotations=written),
        payload=content,
        annotations=written,
    )
    return replace(candidate, **changes)


# --- manifests -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Artifact:
    """A manifest document that can be edited, and the blobs it needs."""

    document: dict[str, Any]
    blobs: dict[Digest, bytes] = field(default_factory=dict)

    @property
    def manifest(self) -> Manifest:
        return parse_manifest(as_json(self.document))

    @property
    def raw(self) -> bytes:
        return as_json(self.document)

    def add(self, media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
        """Keep ``content`` and return its descriptor."""
        digest = Digest.of(content)
        self.blobs[digest] = content
        return {"mediaType": media_type, "digest": str(digest), "size": len(content), **more}


def _image_config(layers: int) -> bytes:
    return as_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(b"%d" % n)) for n in range(layers)]},
        }
    )


def _manifest() -> Artifact:
    return Artifact({"schemaVersion": 2, "mediaType": media.OCI_MANIFEST})


def image(content: bytes = b"a layer") -> Artifact:
    made = _manifest()
    made.document["config"] = made.add(media.OCI_CONFIG, _image_config(1))
    made.document["layers"] = [made.add(media.OCI_LAYER_TAR_GZIP, content)]
    return made


def index(*children: Artifact) -> Artifact:
    return Artifact(
        {
            "schemaVersion": 2,
            "mediaType": media.OCI_INDEX,
            "manifests": [child.manifest.descriptor.as_json() for child in children],
        }
    )


def bundle_manifest(subject: Descriptor, raw: bytes) -> Artifact:
    """The referrer that cosign 3 pushes."""
    made = _manifest()
    made.document |= {
        "artifactType": media.SIGSTORE_BUNDLE_V03,
        "config": made.add(media.OCI_EMPTY, media.EMPTY_JSON),
        "layers": [made.add(media.SIGSTORE_BUNDLE_V03, raw)],
        "subject": {"mediaType": subject.media_type, "digest": str(subject.digest), "size": subject.size},
    }
    return made


def legacy_manifest(*candidates: SignatureCandidate) -> Artifact:
    """The ``.sig`` manifest with one layer a candidate."""
    made = _manifest()
    made.document["config"] = made.add(media.OCI_CONFIG, _image_config(len(candidates)))
    made.document["layers"] = [
        made.add(one.layer.media_type, one.payload, annotations=dict(one.annotations)) for one in candidates
    ]
    return made
