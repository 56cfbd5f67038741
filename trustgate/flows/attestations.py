"""Every attestation about a digest: each is read once, judged once, and kept without what it says.

They may be large (an SBOM), and new ones are added for years (a scan a day), so each is kept by itself, and
one request reads only so many bytes of those that nobody has judged yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trustgate.errors import BlobUnknown, SizeInvalid, StorageUnavailable
from trustgate.evidence.attestation import AttestationFact, attestation_candidates, judge_attestations
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import candidates_from_bundle_manifest
from trustgate.evidence.facts_json import judgement_key
from trustgate.evidence.model import Absent, Known, Outcome, Role, Subject, Unreachable
from trustgate.evidence.shape import (
    MAX_ATTACHED_BYTES,
    MAX_SIGNATURE_MANIFEST_BYTES,
    attestation_blobs,
    legacy_attestation_tag,
    signed_by,
)
from trustgate.flows.stored_evidence import keep, read_evidence
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Attestations, Need, Partly
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import Blobs, BlobStore, Judgements, Manifests, StoredManifest

MAX_ATTESTATION_MANIFESTS: Final = 256
"""Referrers that are judged for one digest, oldest first; that there are more is reported."""
MAX_MANIFEST_BYTES: Final = 64 * MAX_SIGNATURE_MANIFEST_BYTES
MAX_FRESH_BYTES: Final = MAX_ATTACHED_BYTES
"""Of attestations that nobody has judged yet, for one request; the next one goes on. Any manifest fits."""
NONE: Final = Absent("no attestation is attached to it")


@dataclass(slots=True)
class Allowance:
    """What one request may still read."""

    left: int = MAX_FRESH_BYTES

    def take(self, size: int) -> bool:
        """Whether there is room for that many bytes; then they are taken."""
        if size > self.left:
            return False
        self.left -= size
        return True


class AttestationReader:
    """Asks the store for attestations and the judge for what they prove. Decides nothing itself."""

    def __init__(
        self,
        *,
        manifests: Manifests,
        blobs: Blobs,
        blob_store: BlobStore,
        judgements: Judgements[AttestationFact],
        judges: str,
    ) -> None:
        self._manifests = manifests
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
        try:
            stored = self._stored(repository, subject)
            looked = [
                self._facts(repository, subject, one, policies, now, allowance)
                for one in stored[:MAX_ATTESTATION_MANIFESTS]
            ]
        except StorageUnavailable as exc:
            return Unreachable(exc.message)
        facts = tuple(fact for found in looked for fact in found or ())
        facts += _unjudged(stored[MAX_ATTESTATION_MANIFESTS:])
        waiting = looked.count(None)
        if waiting:
            return Partly(facts, f"{waiting} are still to be judged, and will be with the next request")
        return Known(facts) if facts else NONE

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
        if subject is not None and policies.asks_for(Need.ATTESTATIONS):
            self.attestations(repository, subject, policies, now, Allowance())

    def _stored(self, repository: RepositoryName, subject: Digest) -> tuple[StoredManifest, ...]:
        """The ``.att`` manifest, then the referrers, oldest first."""
        tag = legacy_attestation_tag(subject)
        tagged = self._manifests.find(repository, tag) if tag else None
        referrers = self._manifests.referrers(
            repository,
            subject,
            limit=MAX_ATTESTATION_MANIFESTS + 1,
            role=Role.SIGNATURE,
            max_bytes=MAX_MANIFEST_BYTES,
        )
        return (tagged, *referrers) if tagged is not None and tagged.role is Role.SIGNATURE else referrers

    def _facts(
        self,
        repository: RepositoryName,
        subject: Digest,
        stored: StoredManifest,
        policies: PolicySet,
        now: datetime,
        allowance: Allowance,
    ) -> tuple[AttestationFact, ...] | None:
        """What one manifest holds; ``None`` when the allowance does not reach."""
        about = Subject(subject, "", 0)  # its digest is all that an attestation names
        key = judgement_key(about, [stored.digest], judges=self._judges, trust=policies.trust_revision)
        kept = self._judgements.find(key, now=now)
        if kept is not None:
            return kept
        manifest = parse_manifest(
            stored.raw, content_type=stored.media_type, algorithm=stored.digest.algorithm
        )
        layers = attestation_blobs(manifest)
        if not allowance.take(sum(layer.size for layer in layers)):
            return None
        facts, whole = self._judge(repository, subject, manifest, layers, policies.attestors, now)
        if whole:
            keep(self._judgements, key, facts, now)
        return facts

    def _judge(
        self,
        repository: RepositoryName,
        subject: Digest,
        manifest: Manifest,
        layers: Sequence[Descriptor],
        attestors: Sequence[Attestor],
        now: datetime,
    ) -> tuple[tuple[AttestationFact, ...], bool]:
        """Facts, and whether all bytes could be read. One layer at a time: each may have megabytes."""
        facts: list[AttestationFact] = []
        whole = True
        candidates_in = candidates_from_bundle_manifest if manifest.subject else attestation_candidates
        for layer in layers:
            try:
                raw = read_evidence(
                    self._blobs, self._blob_store, repository, layer.digest, max_bytes=layer.size
                )
            except (BlobUnknown, SizeInvalid) as exc:
                facts.append(AttestationFact(manifest.digest, layer.digest, Outcome.BROKEN, exc.message))
                whole = False
                continue
            judged = judge_attestations(
                candidates_in(manifest, {layer.digest: raw}), subject=subject, attestors=attestors, now=now
            )
            facts += [replace(fact, predicate=None) for fact in judged if not fact.is_signature]
        return tuple(facts), whole


def _unjudged(rest: Sequence[StoredManifest]) -> tuple[AttestationFact, ...]:
    """Not judging some can only lose a yes: rules ask for attestations that are there, never for absence."""
    if not rest:
        return ()
    first = rest[0].digest
    reason = f"more than {MAX_ATTESTATION_MANIFESTS} candidates: the rest was not judged"
    return (AttestationFact(first, first, Outcome.NOT_UNDERSTOOD, reason),)
