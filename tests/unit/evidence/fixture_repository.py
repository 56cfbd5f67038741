"""Folders of ``tags.json`` and ``blobs/``, read as a registry would answer for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trustgate.errors import ManifestInvalid
from trustgate.evidence.attestation import attestation_candidates
from trustgate.evidence.cosign import candidates_from_bundle_manifest, candidates_from_legacy_manifest
from trustgate.evidence.model import SignatureCandidate
from trustgate.evidence.shape import fallback_tag, legacy_signature_tag
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import Tag


@dataclass(frozen=True, slots=True)
class FixtureRepository:
    """One repository on disk."""

    root: Path

    @property
    def tags(self) -> dict[str, Digest]:
        return {
            tag: Digest(digest) for tag, digest in json.loads((self.root / "tags.json").read_text()).items()
        }

    @property
    def subject(self) -> Digest:
        return self.tags["v1"]

    def blob(self, digest: Digest) -> bytes:
        path = self.root / "blobs" / digest.algorithm / digest.hex
        return path.read_bytes() if path.exists() else b""

    def manifests(self) -> Iterator[Manifest]:
        """Every blob that reads as a manifest."""
        for path in sorted((self.root / "blobs" / "sha256").iterdir()):
            try:
                yield parse_manifest(path.read_bytes())
            except ManifestInvalid:
                continue

    def candidates(self) -> tuple[SignatureCandidate, ...]:
        """Everything that says it signs ``v1``: by ``subject``, by the referrers' tag, by ``.sig``."""
        return (*self._referrers(), *self._legacy())

    def attestations(self) -> tuple[SignatureCandidate, ...]:
        """Everything that says something about ``v1``: by referrer, and by ``.att``."""
        digest = self.tags.get(Tag(f"sha256-{self.subject.hex}.att"))
        if digest is None:
            return tuple(self._referrers())
        manifest = parse_manifest(self.blob(digest))
        return (*self._referrers(), *attestation_candidates(manifest, self._contents(manifest)))

    def _referrers(self) -> Iterator[SignatureCandidate]:
        listed = self.tags.get(fallback_tag(self.subject))
        children = {one.digest for one in parse_manifest(self.blob(listed)).children} if listed else set()
        for manifest in self.manifests():
            claims = manifest.subject is not None and manifest.subject.digest == self.subject
            if claims or manifest.digest in children:
                yield from candidates_from_bundle_manifest(manifest, self._contents(manifest))

    def _legacy(self) -> tuple[SignatureCandidate, ...]:
        tag = legacy_signature_tag(self.subject)
        digest = self.tags.get(tag) if tag else None
        if digest is None:
            return ()
        manifest = parse_manifest(self.blob(digest))
        return candidates_from_legacy_manifest(manifest, self._contents(manifest))

    def _contents(self, manifest: Manifest) -> dict[Digest, bytes]:
        return {layer.digest: self.blob(layer.digest) for layer in manifest.layers}
