"""Verify an image where it is: every candidate in every shape, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trustgate.errors import DigestInvalid, ManifestInvalid, NotFound
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import (
    candidates_from_bundle_manifest,
    candidates_from_legacy_manifest,
    judge_all,
)
from trustgate.evidence.model import (
    MAX_BUNDLE_BYTES,
    MAX_SIGNATURE_CANDIDATES,
    Absent,
    Known,
    Outcome,
    Role,
    SignatureCandidate,
    SignatureFact,
)
from trustgate.evidence.shape import legacy_signature_tag, role_of, signature_blobs
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.engine import evaluate
from trustgate.policy.model import Action, Caller, Evidence, Request, SubjectEvidence, Verdict
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import ImageSource

MAX_REFERRERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Verified:
    """A digest and what is known of its signatures; ``manifest`` is what the digest names."""

    manifest: Manifest
    facts: tuple[SignatureFact, ...]

    @property
    def good(self) -> tuple[SignatureFact, ...]:
        return tuple(fact for fact in self.facts if fact.outcome is Outcome.VERIFIED)


def verify_image(
    source: ImageSource, target: Tag | Digest, attestors: Sequence[Attestor], *, now: datetime
) -> Verified:
    """Judge every signature candidate of the image. Raises ``NotFound`` and the source's own errors."""
    found = source.manifest(target)
    manifest = parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)
    candidates = list(_candidates(source, found.digest))
    facts = judge_all(
        candidates[:MAX_SIGNATURE_CANDIDATES], subject=found.digest, attestors=attestors, now=now
    )
    return Verified(manifest, facts)


def judge_by_policy(
    verified: Verified,
    policies: PolicySet,
    *,
    repository: RepositoryName,
    tag: Tag | None,
    caller: Caller,
    now: datetime,
) -> Verdict:
    """What the gate would say, as far as signatures go; scan reports are not known here."""
    request = Request(Action.PULL, repository, verified.manifest.digest, caller, tag)
    signatures = Known(verified.facts) if verified.facts else Absent("no signature is attached to it")
    subject = SubjectEvidence(
        digest=verified.manifest.digest,
        role=role_of(verified.manifest, {}),
        media_type=verified.manifest.media_type,
        signatures=signatures,
        scan=Absent("scan reports are kept by a trustgate server"),
        complete=verified.manifest.kind != "index",
    )
    return evaluate(policies, request, Evidence(subject=subject), now)


def _candidates(source: ImageSource, subject: Digest) -> Iterator[SignatureCandidate]:
    for digest in source.referrers(subject, limit=MAX_REFERRERS):
        yield from _in_manifest(source, digest)
    tag = legacy_signature_tag(subject)
    if tag is not None:
        yield from _in_manifest(source, tag)


def _in_manifest(source: ImageSource, target: Tag | Digest) -> tuple[SignatureCandidate, ...]:
    """Candidates in one manifest; none when it is missing or no signature. What is unreachable raises."""
    try:
        found = source.manifest(target)
        manifest = parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)
    except (NotFound, ManifestInvalid, DigestInvalid):
        return ()
    contents = _contents(source, manifest)
    if role_of(manifest, contents) is not Role.SIGNATURE:
        return ()
    if manifest.subject is not None:
        return candidates_from_bundle_manifest(manifest, contents)
    return candidates_from_legacy_manifest(manifest, contents)


def _contents(source: ImageSource, manifest: Manifest) -> Mapping[Digest, bytes]:
    contents: dict[Digest, bytes] = {}
    for descriptor in signature_blobs(manifest):
        try:
            contents[descriptor.digest] = source.blob(descriptor.digest, max_bytes=MAX_BUNDLE_BYTES)
        except (NotFound, DigestInvalid):
            continue
    return contents
