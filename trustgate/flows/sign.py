"""Sign an image where it is: resolve once, sign that digest, store the signature beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trustgate.errors import InvalidInput, ManifestInvalid, NotFound
from trustgate.evidence.shape import fallback_tag, legacy_signature_tag
from trustgate.evidence.signature_bytes import PrivateKey
from trustgate.evidence.signing import SignatureArtifact, bundle_artifact, bundle_for, legacy_artifact
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, and the manifest that carries the signature."""

    subject: Digest
    signature: Digest
    stored: str
    """``referrer``, ``fallback tag`` or ``.sig tag``."""


def sign_image(
    source: ImageSource,
    target: Tag | Digest,
    key: PrivateKey,
    *,
    annotations: Mapping[str, str],
    now: datetime,
) -> Signed:
    """Sign as cosign 3 does: a Sigstore bundle that refers to the image."""
    found = _resolve(source, target)
    bundle = bundle_for(found.digest, key, annotations)
    artifact = bundle_artifact(found.descriptor, bundle, now)
    listed = source.has_referrers_api(found.digest)
    signature = _store(source, artifact, None)
    if not listed:
        _append_fallback(source, found.digest, artifact, signature)
    return Signed(found.digest, signature, "referrer" if listed else "fallback tag")


def sign_image_legacy(
    source: ImageSource,
    target: Tag | Digest,
    key: PrivateKey,
    *,
    docker_reference: str,
    annotations: Mapping[str, str],
) -> Signed:
    """Sign as cosign 2 does: one more layer under the ``.sig`` tag; layers by others stay."""
    found = _resolve(source, target)
    tag = legacy_signature_tag(found.digest)
    if tag is None:
        raise InvalidInput(f"{found.digest.short}: .sig tags exist for sha256 digests only")
    artifact = legacy_artifact(
        found.digest,
        key,
        docker_reference=docker_reference,
        annotations=annotations,
        existing=_existing(source, tag),
    )
    return Signed(found.digest, _store(source, artifact, tag), ".sig tag")


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
