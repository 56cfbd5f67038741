"""Whole signatures of the private Sigstore: bundles, and layers of ``.sig`` and ``.att`` manifests.

Put together by hand and not by ``trustgate.evidence``, so that the two can be held against each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.simulators.sigstore.authorities import PrivateSigstore, authority_key, der_of, pem_of, spki
from tests.simulators.sigstore.entries import Said, b64, body
from tests.simulators.sigstore.leaf import Identity, leaf
from tests.simulators.sigstore.logs import FILLERS, Entry, entry_v1, entry_v2
from tests.simulators.sigstore.timestamps import timestamp
from tests.simulators.sigstore.trust import Edit, unchanged
from trustgate.oci.digest import Digest

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE_LAYER = "application/vnd.dsse.envelope.v1+json"


@dataclass(frozen=True, slots=True)
class Logged:
    """Where a signature is written down: ``kind`` says the log too (0.0.1 is Rekor 1, hashedrekord and
    dsse 0.0.2 are Rekor 2)."""

    kind: str = "dsse/0.0.1"

    @property
    def version(self) -> int:
        return 2 if self.kind in {"hashedrekord/0.0.2", "dsse/0.0.2"} else 1


REKOR_V1 = (Logged(),)
REKOR_V2 = (Logged("hashedrekord/0.0.2"),)


@dataclass(frozen=True, slots=True)
class LegacyLayer:
    """A layer of a ``.sig`` or ``.att`` manifest."""

    media_type: str
    payload: bytes
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Signer:
    """A key, and its certificate when Fulcio gave one."""

    key: Any
    certificate: Any

    @property
    def logged(self) -> Any:
        return self.key if self.certificate is None else self.certificate


def statement(
    subject: Digest, predicate_type: str = SIGN_PREDICATE, predicate: object = None, version: str = "v1"
) -> dict[str, Any]:
    return {
        "_type": f"https://in-toto.io/Statement/{version}",
        "subject": [{"digest": {subject.algorithm: subject.hex}, "annotations": {}}],
        "predicateType": predicate_type,
        "predicate": {} if predicate is None else predicate,
    }


def mint_bundle(
    sigstore: PrivateSigstore,
    subject: Digest,
    *,
    identity: Identity | None = None,
    key: Any = None,
    leaf_key: Any = None,
    logged: Sequence[Logged] = REKOR_V1,
    timestamps: int = 0,
    predicate_type: str = SIGN_PREDICATE,
    predicate: object = None,
    payload: bytes | None = None,
    payload_type: str = IN_TOTO,
    media_type: str = BUNDLE,
    at: datetime | None = None,
    before: Sequence[bytes] = FILLERS,
    edit_statement: Edit = unchanged,
    edit: Edit = unchanged,
) -> bytes:
    """A DSSE bundle that signs ``subject``.

    Keyless unless ``key`` is given; ``leaf_key`` is the key that Fulcio certifies. ``edit_statement``,
    ``payload`` and ``payload_type`` are signed, ``edit`` changes the finished document. ``before`` are the
    bodies that the log has already.
    """
    said = statement(subject, predicate_type, predicate)
    edit_statement(said)
    content = json.dumps(said).encode() if payload is None else payload
    kind = payload_type.encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(content), content)
    who = _signer(sigstore, identity, key, leaf_key, at)
    signature = _sign(sigstore, who.key, signed)
    envelope = {
        "payload": b64(content),
        "payloadType": payload_type,
        "signatures": [{"sig": b64(signature)}],
    }
    about = Said(
        signature,
        who.logged,
        signed,
        json.dumps(envelope, separators=(",", ":")).encode(),
        content,
        payload_type,
    )
    document = {
        "mediaType": media_type,
        "verificationMaterial": _material(sigstore, who, about, logged, timestamps, at, media_type, before),
        "dsseEnvelope": envelope,
    }
    edit(document)
    return json.dumps(document).encode()


def mint_message_bundle(
    sigstore: PrivateSigstore,
    content: bytes,
    *,
    identity: Identity | None = None,
    key: Any = None,
    logged: Sequence[Logged] = (Logged("hashedrekord/0.0.1"),),
    timestamps: int = 0,
    at: datetime | None = None,
    edit: Edit = unchanged,
) -> bytes:
    """A bundle with a plain signature over ``content``, as for files."""
    who = _signer(sigstore, identity, key, None, at)
    signature = _sign(sigstore, who.key, content)
    about = Said(signature, who.logged, content)
    digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(content).digest())}
    document = {
        "mediaType": BUNDLE,
        "verificationMaterial": _material(sigstore, who, about, logged, timestamps, at, BUNDLE),
        "messageSignature": {"messageDigest": digest, "signature": b64(signature)},
    }
    edit(document)
    return json.dumps(document).encode()


def mint_legacy_layer(
    sigstore: PrivateSigstore,
    subject: Digest,
    *,
    identity: Identity | None = None,
    key: Any = None,
    leaf_key: Any = None,
    docker_reference: str = "registry.test/shop/web",
    payload: bytes | None = None,
    logged: str = "hashedrekord/0.0.1",
    timestamps: int = 0,
    at: datetime | None = None,
    edit: Edit = unchanged,
) -> LegacyLayer:
    """A layer of a ``.sig`` manifest; ``logged=""`` leaves the log out, ``edit`` changes the annotations."""
    content = payload if payload is not None else _simple_signing(subject, docker_reference)
    who = _signer(sigstore, identity, key, leaf_key, at)
    signature = _sign(sigstore, who.key, content)
    about = Said(signature, who.logged, content)
    annotations: dict[str, Any] = {"dev.cosignproject.cosign/signature": b64(signature)}
    annotations |= _annotations(sigstore, who, about, logged, signature if timestamps else b"", at)
    edit(annotations)
    return LegacyLayer(SIMPLE_SIGNING, content, annotations)


def mint_legacy_attestation(
    sigstore: PrivateSigstore,
    subject: Digest,
    *,
    identity: Identity | None = None,
    key: Any = None,
    predicate_type: str = "https://slsa.dev/provenance/v1",
    predicate: object = None,
    version: str = "v0.1",
    logged: str = "dsse/0.0.1",
    timestamps: int = 0,
    at: datetime | None = None,
    edit_statement: Edit = unchanged,
    edit: Edit = unchanged,
) -> LegacyLayer:
    """A layer of an ``.att`` manifest."""
    said = statement(subject, predicate_type, predicate, version)
    edit_statement(said)
    content = json.dumps(said).encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode(), len(content), content)
    who = _signer(sigstore, identity, key, None, at)
    signature = _sign(sigstore, who.key, signed)
    envelope = json.dumps(
        {
            "payloadType": IN_TOTO,
            "payload": b64(content),
            "signatures": [{"keyid": "", "sig": b64(signature)}],
        }
    ).encode()
    about = Said(signature, who.logged, signed, envelope, content, IN_TOTO)
    annotations: dict[str, Any] = {"dev.cosignproject.cosign/signature": "", "predicateType": predicate_type}
    annotations |= _annotations(sigstore, who, about, logged, envelope if timestamps else b"", at)
    edit(annotations)
    return LegacyLayer(DSSE_LAYER, envelope, annotations)


def _simple_signing(subject: Digest, docker_reference: str) -> bytes:
    critical = {
        "identity": {"docker-reference": docker_reference},
        "image": {"docker-manifest-digest": str(subject)},
        "type": "cosign container image signature",
    }
    return json.dumps({"critical": critical, "optional": None}).encode()


def _signer(
    sigstore: PrivateSigstore, identity: Identity | None, key: Any, leaf_key: Any, at: datetime | None
) -> _Signer:
    if key is not None:
        return _Signer(key, None)
    ephemeral = leaf_key or authority_key("ephemeral")
    certificate = leaf(sigstore, ephemeral.public_key(), identity or Identity(), at)
    return _Signer(ephemeral, certificate)


def _sign(sigstore: PrivateSigstore, key: Any, content: bytes) -> bytes:
    return sign_bytes(key, b"other bytes" if sigstore.faults.signature_over_other_bytes else content)


def sign_bytes(key: Any, content: bytes) -> bytes:
    """As cosign signs with this kind of key."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(content, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    signature: bytes = key.sign(content)
    return signature


def log(sigstore: PrivateSigstore, said: Said, kind: str, at: datetime | None = None, **more: Any) -> Entry:
    """The entry of a signature, with the faults that entries can have."""
    faults = sigstore.faults
    if faults.entry_for_other_artifact or faults.entry_with_other_signature or faults.entry_with_other_key:
        said = _other(sigstore, said)
    written = body(kind, said)
    if Logged(kind).version == 2:
        return entry_v2(sigstore, kind, written, **more)
    return entry_v1(sigstore, kind, written, at=at, **more)


def _other(sigstore: PrivateSigstore, said: Said) -> Said:
    faults = sigstore.faults
    signer, signature = said.signer, said.signature
    content, envelope, payload = said.content, said.envelope, said.payload
    stranger = authority_key("stranger")
    if faults.entry_with_other_key:
        keyless = hasattr(signer, "issuer")
        signer = leaf(sigstore, stranger.public_key(), Identity()) if keyless else stranger
    if faults.entry_with_other_signature:
        signature = sign_bytes(stranger, content)
    if faults.entry_for_other_artifact:
        content, envelope, payload = b"another artifact", b'{"another":1}', b"another"
    return Said(signature, signer, content, envelope, payload, said.payload_type)


def _material(
    sigstore: PrivateSigstore,
    who: _Signer,
    about: Said,
    logged: Sequence[Logged],
    timestamps: int,
    at: datetime | None,
    media_type: str,
    before: Sequence[bytes] = FILLERS,
) -> dict[str, Any]:
    material: dict[str, Any] = {}
    if who.certificate is None:
        material["publicKey"] = {"hint": b64(hashlib.sha256(spki(who.key)).digest())}
    elif "v0.3" in media_type or "0.3" in media_type:
        material["certificate"] = {"rawBytes": b64(der_of(who.certificate))}
    else:
        chain = (who.certificate, sigstore.ca_intermediate)
        material["x509CertificateChain"] = {"certificates": [{"rawBytes": b64(der_of(one))} for one in chain]}
    if logged:
        material["tlogEntries"] = [
            log(sigstore, about, one.kind, at, before=before).as_json() for one in logged
        ]
    if timestamps:
        token = b64(timestamp(sigstore, about.signature, at))
        material["timestampVerificationData"] = {
            "rfc3161Timestamps": [{"signedTimestamp": token}] * timestamps
        }
    return material


def _annotations(
    sigstore: PrivateSigstore,
    who: _Signer,
    about: Said,
    logged: str,
    stamped: bytes,
    at: datetime | None,
) -> dict[str, str]:
    made: dict[str, str] = {}
    if who.certificate is not None:
        above = pem_of(sigstore.ca_intermediate) + pem_of(sigstore.ca_root)
        made["dev.sigstore.cosign/certificate"] = pem_of(who.certificate).decode()
        made["dev.sigstore.cosign/chain"] = above.decode()
    if logged:
        made["dev.sigstore.cosign/bundle"] = json.dumps(log(sigstore, about, logged, at).as_annotation())
    if stamped:
        token = {"SignedRFC3161Timestamp": b64(timestamp(sigstore, stamped, at))}
        made["dev.sigstore.cosign/rfc3161timestamp"] = json.dumps(token)
    return made
