"""Every attestation about a digest: each is read once, judged once, and kept without what it says.

They may be large (an SBOM), and new ones are added for years (a scan a day), so each is kept by itself, and
one request reads only so many bytes of those that nobody has judged yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from trustgate.errors import BlobUnknown, SizeInvalid, StorageUnavailable
from trustgate.evidence.attestation import AttestationFact, ask, attestation_candidates, judge_attestations
from trustgate.evidence.cosign import candidates_from_bundle_manifest
from trustgate.evidence.facts_json import judgement_key
from trustgate.evidence.model import Absent, Known, Outcome, Subject, Unreachable
from trustgate.evidence.shape import (
    attestation_blobs,
    legacy_attestation_tag,
    signed_by,
)
from trustgate.flows.defects import or_broken
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
from trustgate.oci.manifest import Descriptor, Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Attestations, Need
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import (
    AttachedEvidence,
    BlobFinder,
    BlobReader,
    Judgements,
    ManifestReader,
    StoredManifest,
)

NONE: Final = Absent("no attestation is attached to it")


class AttestationReader:
    """Asks the store for attestations and the judge for what they prove. Decides nothing itself."""

    def __init__(
        self,
        *,
        manifests: ManifestReader,
        attached: AttachedEvidence,
        blobs: BlobFinder,
        blob_store: BlobReader,
        judgements: Judgements[AttestationFact],
        judges: str,
    ) -> None:
        self._manifests = manifests
        self._evidence = attached
        self._blobs = blobs
        self._blob_store = blob_store
        self._judgements = judgements
        self._judges = f"attestations {judges}"

    def attestations(
        self,
        repository: RepositoryName,
        subject: Digest,
        policies: PolicySet,
        now: datetime,
        allowance: Allowance,
    ) -> Attestations:
        """Facts about every candidate. What can't be read is told, never raised."""
        tag = legacy_attestation_tag(subject)
        try:
            tagged = self._manifests.find(repository, tag) if tag else None
            evidence = evidence_about(self._evidence, repository, subject, tagged)
            if not evidence:
                return NONE
            return self._look(repository, subject, evidence, policies, now, allowance)
        except StorageUnavailable as exc:
            return Unreachable(exc.message)

    def held_in(
        self,
        repository: RepositoryName,
        subject: Digest,
        stored: StoredManifest,
        policies: PolicySet,
        now: datetime,
    ) -> Attestations:
        """What one manifest says, stored or about to be: any fits into one request."""
        given = {stored.digest: stored}
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
        """Judge what was just pushed, if it attests something and some rule asks for that."""
        subject = signed_by(manifest, tags) if attestation_blobs(manifest) else None
        if subject is None or not policies.asks_for(Need.ATTESTATIONS):
            return
        try:
            self._look(repository, subject, [manifest.digest], policies, now, Allowance())
        except StorageUnavailable:
            return  # nothing is lost: the first pull judges

    def _look(
        self,
        repository: RepositoryName,
        subject: Digest,
        evidence: Sequence[Digest],
        policies: PolicySet,
        now: datetime,
        allowance: Allowance,
        given: Mapping[Digest, StoredManifest] = MappingProxyType({}),
    ) -> Attestations:
        about = Subject(subject, "", 0)  # its digest is all that an attestation names
        looked = evidence[:MAX_EVIDENCE_MANIFESTS]
        trust = policies.trust_revision
        judges = f"{self._judges} {policies.query_revision}"
        keys = {one: judgement_key(about, [one], judges=judges, trust=trust) for one in looked}
        found = dict(self._judgements.find(keys.values(), now=now))
        lasting: dict[str, tuple[AttestationFact, ...]] = {}
        fresh = [(one, key) for one, key in keys.items() if key not in found]
        waiting = 0
        for position, (one, key) in enumerate(fresh):
            stored = given.get(one) or self._manifests.find(repository, one)
            if stored is None:  # deleted a moment ago
                continue
            judged = self._judge(repository, subject, stored, policies, now, allowance)
            if judged is None:
                waiting = len(fresh) - position
                break
            found[key] = judged
            if all(fact.settled for fact in judged):
                lasting[key] = judged
        keep(self._judgements, lasting, now)
        facts = [fact for key in keys.values() for fact in found.get(key, ())]
        if len(evidence) > len(looked):
            facts.insert(0, AttestationFact(evidence[-1], evidence[-1], Outcome.NOT_UNDERSTOOD, beyond()))
        if waiting:
            return partly(tuple(facts), waiting)
        return Known(tuple(facts)) if facts else NONE

    def _judge(
        self,
        repository: RepositoryName,
        subject: Digest,
        stored: StoredManifest,
        policies: PolicySet,
        now: datetime,
        allowance: Allowance,
    ) -> tuple[AttestationFact, ...] | None:
        """What one manifest holds; ``None`` when the allowance ends."""
        manifest = parse_manifest(
            stored.raw, content_type=stored.media_type, algorithm=stored.digest.algorithm
        )
        layers = attestation_blobs(manifest)
        if not allowance.take(sum(layer.size for layer in layers)):
            return None
        return self._judge_layers(repository, subject, manifest, layers, policies, now)

    def _judge_layers(
        self,
        repository: RepositoryName,
        subject: Digest,
        manifest: Manifest,
        layers: Sequence[Descriptor],
        policies: PolicySet,
        now: datetime,
    ) -> tuple[AttestationFact, ...]:
        """One layer at a time: each may have megabytes."""
        facts: list[AttestationFact] = []
        for layer in layers:
            try:
                raw = read_evidence(
                    self._blobs, self._blob_store, repository, layer.digest, max_bytes=layer.size
                )
            except (BlobUnknown, SizeInvalid) as exc:
                facts.append(_unread(manifest, layer, exc.message))
            else:
                facts += _judged(manifest, layer, raw, subject, policies, now)
        return tuple(facts)


def _unread(manifest: Manifest, layer: Descriptor, why: str) -> AttestationFact:
    return AttestationFact(manifest.digest, layer.digest, Outcome.BROKEN, why, settled=False)


def _judged(
    manifest: Manifest,
    layer: Descriptor,
    raw: bytes,
    subject: Digest,
    policies: PolicySet,
    now: datetime,
) -> tuple[AttestationFact, ...]:
    """What one layer attests, with its answers to what is asked of it, and without all else that it says."""
    attestors, queries = policies.attestors, policies.queries
    candidates_in = candidates_from_bundle_manifest if manifest.subject else attestation_candidates

    def judge() -> tuple[AttestationFact, ...]:
        candidates = candidates_in(manifest, {layer.digest: raw})
        facts = judge_attestations(candidates, subject=subject, attestors=attestors, now=now)
        return tuple(ask(fact, queries) for fact in facts if not fact.is_signature)

    return or_broken(judge, lambda why: (_unread(manifest, layer, why),))
