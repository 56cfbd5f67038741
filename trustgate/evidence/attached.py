"""Signatures that lie beside their subject, in every format: which candidates a manifest holds, and what
each one proves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from trustgate.evidence import cosign
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import SignatureCandidate, SignatureFact, SignatureKind, Subject
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest


def kind_of(manifest: Manifest) -> SignatureKind:
    """The format of a manifest whose role is that of a signature."""
    return SignatureKind.COSIGN_LEGACY if manifest.subject is None else SignatureKind.COSIGN_BUNDLE


def candidates_in(manifest: Manifest, contents: Mapping[Digest, bytes]) -> tuple[SignatureCandidate, ...]:
    """Every candidate that a signature manifest holds; ``contents`` are the blobs that were read."""
    if kind_of(manifest) is SignatureKind.COSIGN_BUNDLE:
        return cosign.candidates_from_bundle_manifest(manifest, contents)
    return cosign.candidates_from_legacy_manifest(manifest, contents)


def judge_attached(
    candidates: Sequence[SignatureCandidate],
    *,
    subject: Subject,
    attestors: Sequence[Attestor],
    now: datetime,
) -> tuple[SignatureFact, ...]:
    """A fact for every candidate, in order. Each stands for itself: none hides or helps another."""
    return cosign.judge_all(candidates, subject=subject.digest, attestors=attestors, now=now)
