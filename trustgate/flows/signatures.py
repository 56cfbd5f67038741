"""Every signature of a digest: read once, judged once, and kept until something that it rests on changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from trustgate.errors import BlobUnknown, SizeInvalid, StorageUnavailable
from trustgate.evidence.attached import Candidate, candidates_in, judge_attached, kind_of, questions_about
from trustgate.evidence.attestor import signs_charts, signs_tags
from trustgate.evidence.facts_json import judgement_key
from trustgate.evidence.model import (
    MAX_BUNDLE_BYTES,
    MAX_SIGNATURE_CANDIDATES,
    Absent,
    Known,
    Outcome,
    Role,
    SignatureFact,
    SignatureKind,
    Subject,
    Unreachable,
)
from trustgate.evidence.notation.manifest import NotationCandidate, claims_to_be_signature
from trustgate.evidence.shape import (
    MAX_SIGNATURE_MANIFEST_BYTES,
    legacy_signature_tag,
    signature_blobs,
    signed_by,
)
from trustgate.flows.chart_evidence import ChartEvidence
from trustgate.flows.notary_evidence import NotaryEvidence
from trustgate.flows.stored_evidence import keep, read_evidence
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Partly, Signatures, facts_of
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import (
    Blobs,
    BlobStore,
    Judgements,
    Manifests,
    RevocationSource,
    StoredManifest,
)

UNSIGNED: Final = Absent("no signature is attached to it")


class SignatureReader:
    """Asks the store for signatures and the judges for what they prove. Decides nothing itself."""

    def __init__(
        self,
        *,
        manifests: Manifests,
        blobs: Blobs,
        blob_store: BlobStore,
        judgements: Judgements[SignatureFact],
        revocation: RevocationSource,
        charts: ChartEvidence,
        notary: NotaryEvidence,
        judges: str,
    ) -> None:
        """``judges`` names the code that judges: it believes nothing that other code has kept."""
        self._revocation = revocation
        self._charts = charts
        self._notary = notary
        self._manifests = manifests
        self._blobs = blobs
        self._blob_store = blob_store
        self._judgements = judgements
        self._judges = judges

    def signatures(
        self,
        repository: RepositoryName,
        subject: Subject,
        stored: StoredManifest | None,
        tag: Tag | None,
        policies: PolicySet,
        now: datetime,
    ) -> Signatures:
        """Facts about every candidate of every format. What can't be read is told, never raised.

        ``stored`` is the subject's manifest, ``None`` while it is being pushed; ``tag`` the name it is
        asked for by, which is a part of what some formats sign.
        """
        found = [self._attached(repository, subject, policies, now)]
        if stored is not None and signs_charts(policies.attestors):
            found.append(self._charts.of(stored, attestors=policies.attestors, now=now, tag=tag))
        if signs_tags(policies.attestors):
            found.append(self._notary.of(repository, subject, tag, policies.attestors, now))
        return _together(found)

    def _attached(
        self, repository: RepositoryName, subject: Subject, policies: PolicySet, now: datetime
    ) -> Signatures:
        try:
            stored = tuple(self._signature_manifests(repository, subject.digest))
            if not stored:
                return UNSIGNED
            evidence = [one.digest for one in stored]
            key = judgement_key(subject, evidence, judges=self._judges, trust=policies.trust_revision)
            kept = self._judgements.find(key, now=now)
            if kept is not None:
                return Known(kept)
            facts, whole = self._judge(repository, subject, stored, policies, now)
        except StorageUnavailable as exc:
            return Unreachable(exc.message)
        if whole:
            keep(self._judgements, key, facts, now)
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
            self._attached(repository, subject, policies, now)

    def _judge(
        self,
        repository: RepositoryName,
        subject: Subject,
        stored: Iterable[StoredManifest],
        policies: PolicySet,
        now: datetime,
    ) -> tuple[tuple[SignatureFact, ...], bool]:
        """Facts, and whether all evidence could be read (only then are they worth keeping)."""
        found, lost = self._candidates(repository, stored)
        candidates = [one for kind in SignatureKind for one in _of(kind, found)[:MAX_SIGNATURE_CANDIDATES]]
        attestors = policies.attestors
        questions = questions_about(candidates, subject=subject, attestors=attestors, now=now)
        answers = self._revocation.ask(questions) if questions else {}
        judged = judge_attached(candidates, subject=subject, attestors=attestors, answers=answers, now=now)
        facts = (*judged, *lost, *_unjudged(found))
        return facts, not lost and all(fact.revocation != "unknown" for fact in facts)

    def _candidates(
        self, repository: RepositoryName, stored: Iterable[StoredManifest]
    ) -> tuple[list[Candidate], list[SignatureFact]]:
        """Signature candidates, oldest first, and a fact for each one whose bytes are gone."""
        found: list[Candidate] = []
        lost: list[SignatureFact] = []
        for one in stored:
            manifest = parse_manifest(one.raw, content_type=one.media_type, algorithm=one.digest.algorithm)
            try:
                found += candidates_in(manifest, self._contents(repository, manifest))
            except (BlobUnknown, SizeInvalid) as exc:
                lost.append(SignatureFact(_kind_of(manifest), one.digest, Outcome.BROKEN, exc.message))
        return found, lost

    def _signature_manifests(self, repository: RepositoryName, subject: Digest) -> Iterable[StoredManifest]:
        yield from self._manifests.referrers(
            repository,
            subject,
            limit=MAX_SIGNATURE_CANDIDATES + 1,
            role=Role.SIGNATURE,
            max_bytes=MAX_SIGNATURE_CANDIDATES * MAX_SIGNATURE_MANIFEST_BYTES,
        )
        tag = legacy_signature_tag(subject)
        legacy = self._manifests.find(repository, tag) if tag else None
        if legacy is not None and legacy.role is Role.SIGNATURE:
            yield legacy

    def _contents(self, repository: RepositoryName, manifest: Manifest) -> Mapping[Digest, bytes]:
        contents: dict[Digest, bytes] = {}
        for descriptor in signature_blobs(manifest):
            contents[descriptor.digest] = read_evidence(
                self._blobs, self._blob_store, repository, descriptor.digest, max_bytes=MAX_BUNDLE_BYTES
            )
        return contents


def _kind_of(manifest: Manifest) -> SignatureKind:
    """Of a manifest whose blobs are gone, by what it says of itself."""
    if claims_to_be_signature(manifest):
        return SignatureKind.NOTATION
    return SignatureKind.COSIGN_LEGACY if manifest.subject is None else SignatureKind.COSIGN_BUNDLE


def _of(kind: SignatureKind, candidates: list[Candidate]) -> list[Candidate]:
    """Each shape has its own limit, so that a flood of one can't push out the other."""
    return [candidate for candidate in candidates if kind_of(candidate) is kind]


def _unjudged(candidates: list[Candidate]) -> tuple[SignatureFact, ...]:
    """Not judging some can only lose a yes: rules ask for signatures that are there, never for absence."""
    facts: list[SignatureFact] = []
    for kind in SignatureKind:
        rest = _of(kind, candidates)[MAX_SIGNATURE_CANDIDATES:]
        if rest:
            first = rest[0].manifest.digest if isinstance(rest[0], NotationCandidate) else rest[0].evidence
            reason = f"more than {MAX_SIGNATURE_CANDIDATES} candidates: {len(rest)} or more were not judged"
            facts.append(SignatureFact(kind, first, Outcome.NOT_UNDERSTOOD, reason))
    return tuple(facts)


def _together(found: Sequence[Signatures]) -> Signatures:
    """All that is known. A part that could not be asked never passes for one that says nothing."""
    facts = tuple(fact for one in found for fact in facts_of(one))
    lost = next((one.why for one in found if isinstance(one, Unreachable | Partly)), "")
    if lost:
        return Partly(facts, lost) if facts else Unreachable(lost)
    if facts:
        return Known(facts)
    # the one that says more than that there is nothing
    return next((one for one in reversed(found) if isinstance(one, Absent)), UNSIGNED)
