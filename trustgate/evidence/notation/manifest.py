"""Signature manifests: what says that it carries a Notary Project signature, and what really does.

signature-specification.md, "OCI Signatures": the type stands in artifactType (with an empty configuration) or
in the configuration's media type (older signers). Exactly one layer, a subject, and the thumbprints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from trustgate.evidence.notation.cose import read_cose
from trustgate.evidence.notation.envelope import COSE, ENVELOPES, JWS, MAX_ENVELOPE_BYTES, Envelope
from trustgate.evidence.notation.jws import read_jws
from trustgate.evidence.notation.payload import read_payload
from trustgate.evidence.notation.refusal import Broken, Refused, shown
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest
from trustgate.oci.strict_json import JsonRefused, loads

NOTARY_SIGNATURE: Final = "application/vnd.cncf.notary.signature"
THUMBPRINTS: Final = "io.cncf.notary.x509chain.thumbprint#S256"
MAX_THUMBPRINTS_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class NotationCandidate:
    """A manifest that says it carries a signature, and the bytes of its one layer if they were read."""

    manifest: Manifest
    envelope: bytes | None = field(repr=False)


def claims_to_be_signature(manifest: Manifest) -> bool:
    """Whether the manifest says so by any of its types; that it is one has still to be shown."""
    config = manifest.config.media_type if manifest.config else ""
    return manifest.kind == "image" and (
        NOTARY_SIGNATURE in {manifest.artifact_type, config}
        or any(layer.media_type in ENVELOPES for layer in manifest.layers)
    )


def envelope_blobs(manifest: Manifest) -> tuple[Descriptor, ...]:
    """The blob to read before the candidate can be judged; none when its descriptor rules it out."""
    if len(manifest.layers) == 1 and manifest.layers[0].size <= MAX_ENVELOPE_BYTES:
        return manifest.layers if manifest.layers[0].media_type in ENVELOPES else ()
    return ()


def candidate_of(manifest: Manifest, contents: Mapping[Digest, bytes]) -> NotationCandidate | None:
    """The candidate in a referrer, ``None`` where nothing says so; ``contents`` are blobs that were read."""
    if not claims_to_be_signature(manifest):
        return None
    only = envelope_blobs(manifest)
    return NotationCandidate(manifest, contents.get(only[0].digest) if only else None)


def check_manifest(manifest: Manifest) -> Descriptor:
    """The one layer of a signature manifest that is as specified. Raises ``Broken``."""
    if manifest.media_type != media.OCI_MANIFEST:
        raise Broken(f"its manifest is of type {shown(manifest.media_type)}, not an OCI image manifest")
    if manifest.artifact_type != NOTARY_SIGNATURE:
        raise Broken(
            f"its manifest's artifactType is {shown(manifest.artifact_type)}, not {NOTARY_SIGNATURE}"
        )
    config = manifest.config.media_type if manifest.config else ""
    if config not in {media.OCI_EMPTY, NOTARY_SIGNATURE}:
        raise Broken(f"its manifest's configuration is of type {shown(config)}, not empty")
    if len(manifest.layers) != 1:
        raise Broken(f"its manifest has {len(manifest.layers)} layers; a signature is exactly one")
    layer = manifest.layers[0]
    if layer.media_type not in ENVELOPES:
        raise Broken(f"its layer is of type {shown(layer.media_type)}, neither {JWS} nor {COSE}")
    if layer.size > MAX_ENVELOPE_BYTES:
        raise Broken(f"its envelope has {layer.size} bytes, at most {MAX_ENVELOPE_BYTES} are read")
    return layer


def read_envelope(candidate: NotationCandidate) -> Envelope:
    """The envelope that the manifest names. Raises ``Broken`` or ``NotUnderstood``."""
    layer, raw = check_manifest(candidate.manifest), candidate.envelope
    if raw is None:
        raise Broken("its envelope can't be read: the registry does not have that blob")
    if len(raw) != layer.size or Digest.of(raw, layer.digest.algorithm) != layer.digest:
        raise Broken("its envelope's bytes do not match the digest and size of the layer")
    return read_jws(raw) if layer.media_type == JWS else read_cose(raw)


def check_thumbprints(manifest: Manifest, thumbprints: Sequence[str]) -> None:
    """The annotation must list the chain: clients select signatures by it. Raises ``Broken``."""
    stated = manifest.annotations.get(THUMBPRINTS)
    if stated is None:
        raise Broken(f"its manifest lacks the annotation {THUMBPRINTS}")
    try:
        listed = loads(stated.encode(), max_bytes=MAX_THUMBPRINTS_BYTES)
    except JsonRefused as exc:
        raise Broken(f"the annotation {THUMBPRINTS} {exc}") from exc
    found = (
        [one.lower() if isinstance(one, str) else "" for one in listed] if isinstance(listed, list) else []
    )
    if found != list(thumbprints):
        raise Broken(f"the annotation {THUMBPRINTS} does not list the certificates of the envelope")


def is_signature(manifest: Manifest, contents: Mapping[Digest, bytes]) -> bool:
    """Whether the manifest is a signature by its content, whoever made it.

    It is worth something to be one: signatures stay pullable when what they sign is refused. So everything
    that could be run or unpacked is ruled out: an empty configuration, and one small layer that is an
    envelope around a payload, of the form that the specification gives them.
    """
    config = manifest.config
    if manifest.subject is None or config is None:
        return False
    if (config.digest, config.size) != (media.EMPTY_JSON_DIGEST, len(media.EMPTY_JSON)):
        return False
    try:
        layer = check_manifest(manifest)
        envelope = read_envelope(NotationCandidate(manifest, contents.get(layer.digest)))
        read_payload(envelope.payload)
    except Refused:
        return False
    return True
