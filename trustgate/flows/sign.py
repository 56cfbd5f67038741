"""Sign an image where it is: resolve once, sign that digest, store the signature beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trustgate.errors import InvalidInput, ManifestInvalid, NotFound
from trustgate.evidence.attesting import Predicate, attestation
from trustgate.evidence.cosign_claim import COSIGN_SIGN_PREDICATE
from trustgate.evidence.model import Subject
from trustgate.evidence.notation.algorithms import PrivateKey as NotationKey
from trustgate.evidence.notation.signing import Countersign, NotationSigner, ToSign, unsigned_envelope
from trustgate.evidence.notation.signing import signature_artifact as notation_artifact
from trustgate.evidence.shape import fallback_tag
from trustgate.evidence.signature_bytes import PrivateKey
from trustgate.evidence.signing import (
    SignatureArtifact,
    attestation_layer,
    bundle_artifact,
    bundle_of,
    dsse_document,
    signature_layer,
    signature_statement,
    simple_signing,
)
from trustgate.evidence.sigstore_signing.material import Material
from trustgate.flows.self_check import check_made
from trustgate.flows.signatory import Signatory, sign_content, sign_statement
from trustgate.flows.signed_bytes import notation_signature
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource
from trustgate.ports.signing import SigningKey


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, and the manifest that carries the signature."""

    subject: Digest
    signature: Digest
    stored: str
    """``referrer``, ``fallback tag``, ``.sig tag``, ``.att tag``, or the Notary v1 role."""


def sign_image(
    source: ImageSource,
    target: Tag | Digest,
    by: PrivateKey | Signatory,
    *,
    annotations: Mapping[str, str],
    now: datetime,
) -> Signed:
    """Sign as cosign 3 does: a Sigstore bundle that refers to the image."""
    found = _resolve(source, target)
    statement = signature_statement(found.digest, annotations)
    return _put_bundle(source, found, _signatory(by), statement, COSIGN_SIGN_PREDICATE, now)


def sign_image_legacy(
    source: ImageSource,
    target: Tag | Digest,
    by: PrivateKey | Signatory,
    *,
    docker_reference: str,
    annotations: Mapping[str, str],
) -> Signed:
    """Sign as cosign 2 does: one more layer under the ``.sig`` tag; layers by others stay."""
    found = _resolve(source, target)
    tag = _legacy_tag(found.digest, "sig")
    payload = simple_signing(found.digest, docker_reference, annotations)
    existing = _existing(source, tag)
    signature_layer(payload, b"", Material(), existing)  # before anything is written into a log
    who = _signatory(by)
    made = sign_content(who, payload, "layer")
    artifact = signature_layer(payload, made.signature, made.material, existing)
    check_made(who, artifact, found.digest, COSIGN_SIGN_PREDICATE)
    return Signed(found.digest, _store(source, artifact, tag), ".sig tag")


def sign_image_notation(
    source: ImageSource,
    target: Tag | Digest,
    signer: NotationSigner[NotationKey | SigningKey],
    *,
    media_type: str,
    metadata: Mapping[str, str],
    now: datetime,
    expiry: datetime | None = None,
    countersign: Countersign | None = None,
) -> Signed:
    """Sign as notation does: an envelope in JWS or COSE that refers to the image."""
    found = _resolve(source, target)
    subject = Subject(found.digest, found.media_type, len(found.raw))
    unsigned = unsigned_envelope(ToSign(subject, now, expiry, metadata), signer.chain, media_type)
    signature = notation_signature(signer.key, unsigned.to_be_signed)
    envelope = unsigned.signed(signature, countersign(signature) if countersign else None)
    artifact = notation_artifact(subject, signer.chain, media_type, envelope, now)
    return _store_referrer(source, found.digest, artifact)


def _store_referrer(source: ImageSource, subject: Digest, artifact: SignatureArtifact) -> Signed:
    listed = source.has_referrers_api(subject)
    signature = _store(source, artifact, None)
    if not listed:
        _append_fallback(source, subject, artifact, signature)
    return Signed(subject, signature, "referrer" if listed else "fallback tag")


def attest_image(
    source: ImageSource,
    target: Tag | Digest,
    by: PrivateKey | Signatory,
    predicate: Predicate,
    *,
    name: str,
    now: datetime,
) -> Signed:
    """Say ``predicate`` about the image, as ``cosign attest`` does: a bundle that refers to it."""
    found = _resolve(source, target)
    statement = attestation(found.digest, name, predicate)
    return _put_bundle(source, found, _signatory(by), statement, predicate.type, now)


def attest_image_legacy(
    source: ImageSource, target: Tag | Digest, by: PrivateKey | Signatory, predicate: Predicate, *, name: str
) -> Signed:
    """The same as one more layer under the ``.att`` tag; layers by others stay."""
    found = _resolve(source, target)
    tag = _legacy_tag(found.digest, "att")
    existing = _existing(source, tag)
    attestation_layer(b"", predicate.type, Material(), existing)  # before anything is written into a log
    who = _signatory(by)
    made = sign_statement(who, attestation(found.digest, name, predicate), "layer")
    artifact = attestation_layer(made.envelope, predicate.type, made.material, existing)
    check_made(who, artifact, found.digest, predicate.type)
    return Signed(found.digest, _store(source, artifact, tag), ".att tag")


def _put_bundle(
    source: ImageSource,
    found: Manifest,
    by: Signatory,
    statement: bytes,
    predicate_type: str,
    now: datetime,
) -> Signed:
    made = sign_statement(by, statement, "bundle")
    envelope = dsse_document(statement, made.signature)
    bundle = bundle_of({"dsseEnvelope": envelope}, by.public_key, made.material)
    artifact = bundle_artifact(found.descriptor, bundle, now, predicate_type)
    check_made(by, artifact, found.digest, predicate_type)
    return _store_referrer(source, found.digest, artifact)


def _signatory(by: PrivateKey | Signatory) -> Signatory:
    return by if isinstance(by, Signatory) else Signatory(by)


def _legacy_tag(subject: Digest, end: str) -> Tag:
    if subject.algorithm != "sha256":
        raise InvalidInput(f"{subject.short}: .{end} tags exist for sha256 digests only")
    return Tag(f"sha256-{subject.hex}.{end}")


def _resolve(source: ImageSource, target: Tag | Digest) -> Manifest:
    """What is signed has to be a manifest: no login page, no document of two natures."""
    found = source.manifest(target)
    return parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)


def _store(source: ImageSource, artifact: SignatureArtifact, tag: Tag | None) -> Digest:
    for digest, content in artifact.blobs.items():
        source.put_blob(digest, iter([content]), len(content))
    return source.put_manifest(artifact.manifest, media.OCI_MANIFEST, tag)


def _existing(source: ImageSource, tag: Tag) -> Manifest | None:
    try:
        found = source.manifest(tag)
    except NotFound:
        return None
    return parse_manifest(found.raw, content_type=found.media_type)


def _append_fallback(
    source: ImageSource, subject: Digest, artifact: SignatureArtifact, signature: Digest
) -> None:
    """distribution-spec, "Referrers Tag Schema": the client keeps the list where the registry does not."""
    tag = fallback_tag(subject)
    entries = _fallback_entries(source, tag)
    document = json.loads(artifact.manifest)
    entries.append(
        {
            "mediaType": media.OCI_MANIFEST,
            "digest": str(signature),
            "size": len(artifact.manifest),
            "artifactType": document["artifactType"],
            "annotations": document["annotations"],
        }
    )
    index = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}
    source.put_manifest(json.dumps(index).encode(), media.OCI_INDEX, tag)


def _fallback_entries(source: ImageSource, tag: Tag) -> list[dict[str, Any]]:
    """What stands under the tag already, untouched."""
    try:
        found = source.manifest(tag)
    except NotFound:
        return []
    parse_manifest(found.raw, content_type=found.media_type)  # refuse to append to something else
    entries = json.loads(found.raw).get("manifests")
    if not isinstance(entries, list):
        raise ManifestInvalid(f"{tag} is not a list of referrers")
    return list(entries)
