"""Every signature of a digest: read once, judged once, and kept until something that it rests on changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import Final

from trustgate.errors import BlobUnknown, SizeInvalid, StorageUnavailable
from trustgate.evidence.attached import Candidate, candidates_in, judge_attached, questions_about
from trustgate.evidence.attestor import Attestor, signs_charts, signs_tags
from trustgate.evidence.facts_json import judgement_key
from trustgate.evidence.model import (
    MAX_BUNDLE_BYTES,
    Absent,
    Known,
    Outcome,
    SignatureFact,
    SignatureKind,
    Subject,
    Unreachable,
)
from trustgate.evidence.notation.manifest import claims_to_be_signature
from trustgate.evidence.notation.revocation import RevocationQuestion
from trustgate.evidence.shape import (
    legacy_signature_tag,
    signature_blobs,
    signed_by,
)
from trustgate.flows.chart_evidence import ChartEvidence
from trustgate.flows.defects import or_broken
from trustgate.flows.notary_evidence import NotaryEvidence
from trustgate.flows.stored_evidence import (
    MAX_EVIDENCE_MANIFESTS,
    Allowance,
    beyond,
    evidence_about,
    keep,
    partly,
    read_evidence,
)
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Partly, Signatures, facts_of
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import (
    AttachedEvidence,
    BlobFinder,
    BlobReader,
    Judgements,
    ManifestReader,
    RevocationSource,
    StoredManifest,
)

AT_ONCE: Final = 64
"""Manifests that are read together: a few megabytes, and one question to all authorities."""
UNSIGNED: Final = Absent("no signature is attached to it")


@dataclass(frozen=True, slots=True)
class _Asking:
    """Candidates of one manifest, what to ask authorities, and the fact for when they can't be judged."""

    candidates: tuple[Candidate, ...]
    questions: tuple[RevocationQuestion, ...]
    broken: Callable[[str], tuple[SignatureFact, ...]]


class SignatureReader:
    """Asks the store for signatures and the judges for what they prove. Decides nothing itself."""

    def __init__(
        self,
        *,
        manifests: ManifestReader,
        attached: AttachedEvidence,
        blobs: BlobFinder,
        blob_store: BlobReader,
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
        self._evidence = attached
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
        allowance: Allowance,
    ) -> Signatures:
        """Facts about every candidate of every format. What can't be read is told, never raised.

        ``stored`` is the subject's manifest, ``None`` while it is being pushed; ``tag`` the name it is
        asked for by, which is a part of what some formats sign.
        """
        found = [self._attached(repository, subject, policies, now, allowance)]
        if stored is not None and signs_charts(policies.attestors):
            found.append(self._charts.of(stored, attestors=policies.attestors, now=now, tag=tag))
        if signs_tags(policies.attestors):
            found.append(self._notary.of(repository, subject, tag, policies.attestors, now))
        return _together(found)

    def _attached(
        self,
        repository: RepositoryName,
        subject: Subject,
        policies: PolicySet,
        now: datetime,
        allowance: Allowance,
    ) -> Signatures:
        tag = legacy_signature_tag(subject.digest)
        try:
            tagged = self._manifests.find(repository, tag) if tag else None
            evidence = evidence_about(self._evidence, repository, subject.digest, tagged)
            if not evidence:
                return UNSIGNED
            return self._look(repository, subject, evidence, policies, now, allowance)
        except StorageUnavailable as exc:
            return Unreachable(exc.message)

    def held_in(
        self,
        repository: RepositoryName,
        subject: Subject,
        stored: Sequence[StoredManifest],
        policies: PolicySet,
        now: datetime,
    ) -> Signatures:
        """What these manifests prove: those that are stored, or one that is about to be."""
        given = {one.digest: one for one in stored}
        try:
            return self._look(repository, subject, tuple(given), policies, now, Allowance(), given)
        except StorageUnavailable as exc:
            return Unreachable(exc.message)

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
            if stored is not None:
                subject = Subject(digest, stored.media_type, len(stored.raw))
                self._look(repository, subject, [manifest.digest], policies, now, Allowance())
        except StorageUnavailable:
            return  # nothing is lost: the first pull judges

    def _look(
        self,
        repository: RepositoryName,
        subject: Subject,
        evidence: Sequence[Digest],
        policies: PolicySet,
        now: datetime,
        allowance: Allowance,
        given: Mapping[Digest, StoredManifest] = MappingProxyType({}),
    ) -> Signatures:
        """Each manifest is judged by itself: a new one costs the same however many are there."""
        looked = evidence[:MAX_EVIDENCE_MANIFESTS]
        trust = policies.trust_revision
        keys = {one: judgement_key(subject, [one], judges=self._judges, trust=trust) for one in looked}
        kept = self._judgements.find(keys.values(), now=now)
        fresh = [one for one, key in keys.items() if key not in kept]
        room = allowance.take_signatures(len(fresh))
        made: dict[Digest, tuple[SignatureFact, ...]] = {}
        for start in range(0, room, AT_ONCE):
            some = fresh[start : min(start + AT_ONCE, room)]
            manifests = (self._manifest(repository, one, given) for one in some)
            judged, lasting = self._judge(repository, subject, manifests, policies.attestors, now)
            keep(self._judgements, {keys[one]: judged[one] for one in lasting}, now)
            made |= judged
        facts = [fact for one, key in keys.items() for fact in kept.get(key, made.get(one, ()))]
        if len(evidence) > len(looked):
            kind = SignatureKind.COSIGN_BUNDLE
            facts.insert(0, SignatureFact(kind, evidence[-1], Outcome.NOT_UNDERSTOOD, beyond()))
        return partly(tuple(facts), len(fresh) - room) if len(fresh) > room else Known(tuple(facts))

    def _judge(
        self,
        repository: RepositoryName,
        subject: Subject,
        manifests: Iterable[Manifest | None],
        attestors: Sequence[Attestor],
        now: datetime,
    ) -> tuple[dict[Digest, tuple[SignatureFact, ...]], set[Digest]]:
        """What each manifest proves, and which of these answers last.

        Certificate authorities are asked once, about all of them.
        """
        found: dict[Digest, _Asking] = {}
        facts: dict[Digest, tuple[SignatureFact, ...]] = {}
        for manifest in filter(None, manifests):
            asking = self._asking(repository, manifest, subject, attestors, now)
            if isinstance(asking, SignatureFact):
                facts[manifest.digest] = (asking,)
            else:
                found[manifest.digest] = asking
        questions = tuple(question for asking in found.values() for question in asking.questions)
        answers = self._revocation.ask(questions) if questions else {}
        lasting: set[Digest] = set()
        for one, asking in found.items():
            judge = partial(judge_attached, subject=subject, attestors=attestors, now=now, answers=answers)
            # each by itself: a tag's manifest has the signatures of several, and anybody may add one
            each = [or_broken(partial(judge, [it]), asking.broken) for it in asking.candidates]
            judged = facts[one] = tuple(chain.from_iterable(each))
            if all(fact.settled and fact.revocation != "unknown" for fact in judged):
                lasting.add(one)
        return facts, lasting

    def _asking(
        self,
        repository: RepositoryName,
        manifest: Manifest,
        subject: Subject,
        attestors: Sequence[Attestor],
        now: datetime,
    ) -> _Asking | SignatureFact:
        """Its candidates and their questions; a fact where it can't be read."""
        broken = partial(SignatureFact, _kind_of(manifest), manifest.digest, Outcome.BROKEN, settled=False)
        try:
            contents = self._contents(repository, manifest)
        except (BlobUnknown, SizeInvalid) as exc:
            return broken(exc.message)

        def read() -> _Asking | SignatureFact:
            candidates = candidates_in(manifest, contents)
            questions = questions_about(candidates, subject=subject, attestors=attestors, now=now)
            return _Asking(candidates, questions, lambda why: (broken(why),))

        return or_broken(read, broken)

    def _manifest(
        self, repository: RepositoryName, digest: Digest, given: Mapping[Digest, StoredManifest]
    ) -> Manifest | None:
        """``None`` when it was deleted a moment ago."""
        stored = given.get(digest) or self._manifests.find(repository, digest)
        if stored is None:
            return None
        return parse_manifest(stored.raw, content_type=stored.media_type, algorithm=stored.digest.algorithm)

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


def _together(found: Sequence[Signatures]) -> Signatures:
    """All that is known. A part that could not be asked never passes for one that says nothing."""
    facts = tuple(fact for one in found for fact in facts_of(one))
    lost = next((one.why for one in found if isinstance(one, Unreachable | Partly)), "")
    waits = any(isinstance(one, Partly) and one.waits for one in found)
    if lost:
        return Partly(facts, lost, waits) if facts or waits else Unreachable(lost)
    if facts:
        return Known(facts)
    # the one that says more than that there is nothing
    return next((one for one in reversed(found) if isinstance(one, Absent)), UNSIGNED)
