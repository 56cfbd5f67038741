"""Every signature of a digest: read once, judged once, and kept until something that it rests on changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from trustgate import __version__
from trustgate.errors import BlobUnknown, SizeInvalid, StorageFull, StorageUnavailable
from trustgate.evidence.attached import candidates_in, judge_attached, kind_of
from trustgate.evidence.facts_json import judgement_key
from trustgate.evidence.model import (
    MAX_BUNDLE_BYTES,
    MAX_SIGNATURE_CANDIDATES,
    Absent,
    Known,
    Outcome,
    Role,
    SignatureCandidate,
    SignatureFact,
    SignatureKind,
    Subject,
    Unreachable,
)
from trustgate.evidence.shape import legacy_signature_tag, signature_blobs, signed_by
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Signatures
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import Blobs, BlobStore, Judgements, Manifests, StoredManifest

log = logging.getLogger("trustgate.evidence")

UNSIGNED: Final = Absent("no signature is attached to it")


class SignatureReader:
    """Asks the store for signatures and the judges for what they prove. Decides nothing itself."""

    def __init__(
        self, *, manifests: Manifests, blobs: Blobs, blob_store: BlobStore, judgements: Judgements
    ) -> None:
        self._manifests = manifests
        self._blobs = blobs
        self._blob_store = blob_store
        self._judgements = judgements

    def signatures(
        self, repository: RepositoryName, subject: Subject, policies: PolicySet, now: datetime
    ) -> Signatures:
        """Facts about every candidate. What can't be read is ``Unreachable``, never an exception."""
        try:
            stored = tuple(self._signature_manifests(repository, subject.digest))
            if not stored:
                return UNSIGNED
            evidence = [one.digest for one in stored]
            key = judgement_key(subject, evidence, judges=__version__, trust=policies.trust_revision)
            kept = self._judgements.find(key, now=now)
            if kept is not None:
                return Known(kept)
            facts, whole = self._judge(repository, subject, stored, policies, now)
        except StorageUnavailable as exc:
            return Unreachable(exc.message)
        if whole:
            self._keep(key, facts, now)
        return Known(facts)

    def arrived(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        tags: Iterable[Tag],
        policies: PolicySet,
        now: datetime,
    ) -> None:
        """Judge what was just pushed, if it signs something: the pulls that follow only evaluate."""
        digest = signed_by(manifest, tags) if signature_blobs(manifest) else None
        if digest is None:
            return
        try:
            stored = self._manifests.find(repository, digest)
        except StorageUnavailable:
            return  # nothing is lost: the first pull judges
        if stored is not None:
            subject = Subject(digest, stored.media_type, len(stored.raw))
            self.signatures(repository, subject, policies, now)

    def _judge(
        self,
        repository: RepositoryName,
        subject: Subject,
        stored: Iterable[StoredManifest],
        policies: PolicySet,
        now: datetime,
    ) -> tuple[tuple[SignatureFact, ...], bool]:
        """Facts, and whether all evidence could be read (only then are they worth keeping)."""
        candidates, lost = self._candidates(repository, stored)
        judged = judge_attached(
            [one for kind in SignatureKind for one in _of(kind, candidates)[:MAX_SIGNATURE_CANDIDATES]],
            subject=subject,
            attestors=policies.attestors,
            now=now,
        )
        facts = (*judged, *lost, *_unjudged(candidates))
        return facts, not lost and all(fact.revocation != "unknown" for fact in facts)

    def _keep(self, key: str, facts: tuple[SignatureFact, ...], now: datetime) -> None:
        """A pull does not fail because its judgement can't be kept."""
        try:
            self._judgements.save(key, facts, now=now)
        except (StorageUnavailable, StorageFull) as exc:
            log.warning("a judgement of signatures could not be kept: %s", exc.message)

    def _candidates(
        self, repository: RepositoryName, stored: Iterable[StoredManifest]
    ) -> tuple[list[SignatureCandidate], list[SignatureFact]]:
        """Signature candidates, oldest first, and a fact for each one whose bytes are gone."""
        found: list[SignatureCandidate] = []
        lost: list[SignatureFact] = []
        for one in stored:
            manifest = parse_manifest(one.raw, content_type=one.media_type, algorithm=one.digest.algorithm)
            try:
                found += candidates_in(manifest, self._contents(repository, manifest))
            except (BlobUnknown, SizeInvalid) as exc:
                lost.append(SignatureFact(kind_of(manifest), one.digest, Outcome.BROKEN, exc.message))
        return found, lost

    def _signature_manifests(self, repository: RepositoryName, subject: Digest) -> Iterable[StoredManifest]:
        yield from self._manifests.referrers(
            repository, subject, limit=MAX_SIGNATURE_CANDIDATES + 1, role=Role.SIGNATURE
        )
        tag = legacy_signature_tag(subject)
        legacy = self._manifests.find(repository, tag) if tag else None
        if legacy is not None and legacy.role is Role.SIGNATURE:
            yield legacy

    def _contents(self, repository: RepositoryName, manifest: Manifest) -> Mapping[Digest, bytes]:
        contents: dict[Digest, bytes] = {}
        for descriptor in signature_blobs(manifest):
            blob = self._blobs.find(repository, descriptor.digest)
            if blob is None:
                raise BlobUnknown(f"{descriptor.digest.short} is not in the repository")
            contents[descriptor.digest] = self._blob_store.read(blob.key, max_bytes=MAX_BUNDLE_BYTES)
        return contents


def _of(kind: SignatureKind, candidates: list[SignatureCandidate]) -> list[SignatureCandidate]:
    """Each shape has its own limit, so that a flood of one can't push out the other."""
    return [candidate for candidate in candidates if candidate.kind is kind]


def _unjudged(candidates: list[SignatureCandidate]) -> tuple[SignatureFact, ...]:
    """Not judging some can only lose a yes: rules ask for signatures that are there, never for absence."""
    facts: list[SignatureFact] = []
    for kind in SignatureKind:
        rest = _of(kind, candidates)[MAX_SIGNATURE_CANDIDATES:]
        if rest:
            reason = f"more than {MAX_SIGNATURE_CANDIDATES} candidates: {len(rest)} or more were not judged"
            facts.append(SignatureFact(kind, rest[0].evidence, Outcome.NOT_UNDERSTOOD, reason))
    return tuple(facts)
