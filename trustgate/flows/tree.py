"""What is attached to an image: signatures, attestations, SBOMs and all else that refers to it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from trustgate.errors import DigestInvalid, InvalidInput, NotFound
from trustgate.evidence.bundle import read_json
from trustgate.evidence.cosign_claim import COSIGN_SIGN_PREDICATE
from trustgate.evidence.dsse import Malformed, read_statement
from trustgate.evidence.model import MAX_BUNDLE_BYTES
from trustgate.evidence.shape import fallback_tag
from trustgate.evidence.signing import DSSE_LAYER
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest, parse_manifest
from trustgate.oci.names import Tag
from trustgate.ports import FoundManifest, ImageSource

MAX_ATTACHED: Final = 256
"""Attached manifests in all; that there are more is said."""
MAX_DEPTH: Final = 4
"""A signature of an SBOM of an image is three deep."""
NOTATION: Final = "application/vnd.cncf.notary.signature"
_ENDS: Final = (".sig", ".att", ".sbom")
_SBOM_TYPES: Final = ("spdx", "cyclonedx", "syft")

Kind = Literal["signature", "attestation", "sbom", "referrer", "unreadable"]


@dataclass(frozen=True, slots=True)
class Attached:
    """One thing that is attached, by its own words: nothing of it has been verified."""

    kind: Kind
    digest: Digest
    says: str
    """The predicate's type, or the type of the artifact."""
    found_by: str
    """``referrer``, or the tag."""
    attached: tuple[Attached, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """An image with all that is attached to it."""

    subject: Digest
    media_type: str
    attached: tuple[Attached, ...]
    complete: bool
    """Whether this is everything, or the limits were reached."""


@dataclass(slots=True)
class _Budget:
    """How much may still be looked at; each manifest once, so that no circle goes on."""

    left: int
    complete: bool = True
    seen: set[Digest] = field(default_factory=set)

    def take(self, digest: Digest) -> bool:
        if digest in self.seen:
            return False
        if self.left == 0:
            self.complete = False
            return False
        self.left -= 1
        self.seen.add(digest)
        return True


def tree_of(source: ImageSource, target: Tag | Digest) -> Tree:
    """Raises what ``ImageSource`` raises for the image itself; what is attached and broken is shown so."""
    found = source.manifest(target)
    image = parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)
    budget = _Budget(MAX_ATTACHED, seen={image.digest})
    attached = tuple(_attached(source, image.digest, budget, MAX_DEPTH))
    return Tree(image.digest, image.media_type, attached, budget.complete)


def _attached(source: ImageSource, subject: Digest, budget: _Budget, depth: int) -> Iterator[Attached]:
    if depth == 0:
        budget.complete = False
        return
    if subject.algorithm == "sha256":
        for end in _ENDS:
            yield from _under_tag(source, Tag(f"{fallback_tag(subject)}{end}"), budget, depth)
    listed = source.referrers(subject, limit=budget.left + 1)
    for digest in listed:
        if budget.take(digest):
            yield from _look(source, digest, "referrer", budget, depth)


def _under_tag(source: ImageSource, tag: Tag, budget: _Budget, depth: int) -> Iterator[Attached]:
    try:
        found = source.manifest(tag)
    except NotFound:
        return
    if budget.take(found.digest):
        yield from _read(source, found, f"tag {tag[-5:].partition('.')[2]}", budget, depth)


def _look(
    source: ImageSource, digest: Digest, found_by: str, budget: _Budget, depth: int
) -> Iterator[Attached]:
    try:
        found = source.manifest(digest)
    except (NotFound, DigestInvalid) as exc:
        yield Attached("unreadable", digest, exc.message, found_by)
        return
    yield from _read(source, found, found_by, budget, depth)


def _read(
    source: ImageSource, found: FoundManifest, found_by: str, budget: _Budget, depth: int
) -> Iterator[Attached]:
    """One line for a referrer, one a layer for what stands under a tag."""
    try:
        manifest = parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)
    except InvalidInput as exc:
        yield Attached("unreadable", found.digest, exc.message, found_by)
        return
    below = tuple(_attached(source, found.digest, budget, depth - 1))
    if found_by == "referrer":
        kind, says = _referrer(source, manifest)
        yield Attached(kind, found.digest, says, found_by, below)
        return
    for number, layer in enumerate(manifest.layers):
        kind, says = _layer(layer)
        yield Attached(kind, found.digest, says, found_by, () if number else below)


def _referrer(source: ImageSource, manifest: Manifest) -> tuple[Kind, str]:
    layers = manifest.layers
    if len(layers) == 1 and layers[0].media_type.startswith(media.SIGSTORE_BUNDLE_PREFIX):
        says = _predicate_type(source, layers[0])
        return ("signature" if says == COSIGN_SIGN_PREDICATE else "attestation"), says
    if manifest.artifact_type == NOTATION:
        return "signature", NOTATION
    kind: Kind = "sbom" if _is_sbom(manifest.artifact_type) else "referrer"
    return kind, manifest.artifact_type or manifest.media_type


def _layer(layer: Descriptor) -> tuple[Kind, str]:
    if layer.media_type == media.COSIGN_SIMPLE_SIGNING:
        return "signature", layer.media_type
    if layer.media_type == DSSE_LAYER:
        return "attestation", layer.annotations.get("predicateType", layer.media_type)
    return ("sbom" if _is_sbom(layer.media_type) else "referrer"), layer.media_type


def _is_sbom(media_type: str) -> bool:
    return any(word in media_type for word in _SBOM_TYPES)


def _predicate_type(source: ImageSource, layer: Descriptor) -> str:
    """Out of the bundle itself: annotations are anybody's."""
    if layer.size > MAX_BUNDLE_BYTES:
        return f"a bundle of {layer.size} bytes"
    try:
        bundle = read_json(source.blob(layer.digest, max_bytes=MAX_BUNDLE_BYTES))
        envelope = bundle.get("dsseEnvelope")
        if not isinstance(envelope, dict):
            return "a bundle without a statement"
        payload = base64.b64decode(str(envelope.get("payload")), validate=True)
        return read_statement(payload).predicate_type
    except (Malformed, binascii.Error, ValueError, NotFound, DigestInvalid) as exc:
        return f"a bundle that can't be read: {exc}"
