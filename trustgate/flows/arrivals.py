"""What a push brings that signs or attests something: read and judged before anything of it is recorded.

What is judged here is kept as every judgement is, so that a first signature is not judged again once it is
stored. Of a ``.sig`` or ``.att`` tag that grows, only what is new counts as arriving: cosign sends along what
stands there already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from trustgate.errors import StorageUnavailable
from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.helm.chart_manifest import has_provenance
from trustgate.evidence.model import (
    Absent,
    Known,
    Outcome,
    Role,
    SignatureFact,
    SignatureKind,
    Subject,
    Unreachable,
)
from trustgate.evidence.shape import attestation_blobs, looks_like_evidence, signature_blobs, signed_by
from trustgate.flows.attestations import AttestationReader
from trustgate.flows.chart_evidence import ChartEvidence
from trustgate.flows.signatures import SignatureReader
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor, Manifest, parse_manifest
from trustgate.oci.names import Tag
from trustgate.policy.model import Arriving, Attestations, Partly, facts_of
from trustgate.policy.policy_set import PolicySet
from trustgate.ports import Manifests, StoredManifest

NO_EVIDENCE: Final = Absent("it is no signature and no attestation")
NOTHING_NEW: Final = Absent("it adds nothing to what stands under the tag")
Judge: TypeAlias = Callable[[PolicySet, datetime], Arriving]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A manifest that is about to be stored under ``tag``, which points to ``current`` until then."""

    pushed: StoredManifest
    manifest: Manifest
    tag: Tag | None
    current: StoredManifest | None


@dataclass(slots=True)
class OnceJudged:
    """One push asks the policy more than once; its evidence is judged once for each trust store."""

    judge: Judge
    _known: dict[str, Arriving] = field(default_factory=dict)

    def __call__(self, policies: PolicySet, now: datetime) -> Arriving:
        if policies.trust_revision not in self._known:
            self._known[policies.trust_revision] = self.judge(policies, now)
        return self._known[policies.trust_revision]


class ArrivalReader:
    """Tells evidence from everything else, and has it judged. Decides nothing itself."""

    def __init__(
        self,
        *,
        manifests: Manifests,
        signatures: SignatureReader,
        attestations: AttestationReader,
        charts: ChartEvidence,
    ) -> None:
        self._manifests = manifests
        self._signatures = signatures
        self._attestations = attestations
        self._charts = charts

    def of(self, arrival: Arrival) -> Judge:
        """Nothing is read before somebody asks."""
        return OnceJudged(lambda policies, now: self._judged(arrival, policies, now))

    def _judged(self, arrival: Arrival, policies: PolicySet, now: datetime) -> Arriving:
        """What can't be read or asked is ``Unreachable``, never raised."""
        manifest = arrival.manifest
        if arrival.pushed.role is Role.SIGNATURE:
            try:
                return self._attached(arrival, policies, now)
            except StorageUnavailable as exc:
                return Unreachable(exc.message)
        if has_provenance(manifest):
            # by whom is asked, not under which tag: by its digest it can be had without one
            found = self._charts.of(arrival.pushed, attestors=policies.attestors, now=now, tag=None)
            return found if isinstance(found, Unreachable) else _known(manifest, facts_of(found))
        if looks_like_evidence(manifest):
            return _known(manifest, ())
        return NO_EVIDENCE

    def _attached(self, arrival: Arrival, policies: PolicySet, now: datetime) -> Arriving:
        manifest = arrival.manifest
        about = signed_by(manifest, () if arrival.tag is None else (arrival.tag,))
        if about is None:
            return _known(manifest, (), "nothing says of what it is: neither a subject nor its tag")
        new = new_layers(manifest, arrival.current)
        if not new:
            return NOTHING_NEW
        repository = arrival.pushed.repository
        attested: Attestations = NO_EVIDENCE
        if attestation_blobs(manifest):
            attested = self._attestations.held_in(repository, about, arrival.pushed, policies, now)
        if isinstance(attested, Unreachable | Partly):
            return Unreachable(attested.why)
        digests = {layer.digest for layer in new}
        said = tuple(fact for fact in facts_of(attested) if fact.content in digests)
        return _known(manifest, said) if said else self._signed(arrival, about, new, policies, now)

    def _signed(
        self,
        arrival: Arrival,
        about: Digest,
        new: tuple[Descriptor, ...],
        policies: PolicySet,
        now: datetime,
    ) -> Arriving:
        manifest, repository = arrival.manifest, arrival.pushed.repository
        if not signature_blobs(manifest):
            return _known(manifest, ())
        stored = self._manifests.find(repository, about)
        subject = _subject(about, manifest, stored)
        found = self._signatures.held_in(repository, subject, (arrival.pushed,), policies, now)
        if isinstance(found, Unreachable):
            return found
        facts = _of_new(facts_of(found), manifest, new)
        if facts is None:
            return Unreachable("not all of it could be read")
        if stored is None and any(_needs_subject(fact) for fact in facts):
            return Unreachable(f"what it signs, {about.short}, is not here: push that first")
        return _known(manifest, facts)


def new_layers(manifest: Manifest, current: StoredManifest | None) -> tuple[Descriptor, ...]:
    """What does not stand under the tag already, in every detail, as evidence that is read."""
    if manifest.subject is not None or current is None or current.role is not Role.SIGNATURE:
        return manifest.layers
    held = parse_manifest(
        current.raw, content_type=current.media_type, algorithm=current.digest.algorithm
    ).layers
    return tuple(layer for layer in manifest.layers if layer not in held)


def _of_new(
    facts: tuple[SignatureFact, ...], manifest: Manifest, new: tuple[Descriptor, ...]
) -> tuple[SignatureFact, ...] | None:
    """Those about ``new``: there is one for each layer, in order, unless something could not be read."""
    if len(facts) != len(manifest.layers):
        return None
    return tuple(fact for fact, layer in zip(facts, manifest.layers, strict=True) if layer in new)


def _subject(about: Digest, manifest: Manifest, stored: StoredManifest | None) -> Subject:
    """As it is stored; else as the signature's manifest describes it."""
    if stored is not None:
        return Subject(about, stored.media_type, len(stored.raw))
    claimed = manifest.subject
    return Subject(about, claimed.media_type if claimed else "", claimed.size if claimed else 0)


def _needs_subject(fact: SignatureFact) -> bool:
    """Notation signs more of its subject than the digest, so it may verify once that is here."""
    return fact.kind is SignatureKind.NOTATION and fact.outcome is not Outcome.VERIFIED


def _known(
    manifest: Manifest,
    facts: tuple[SignatureFact, ...] | tuple[AttestationFact, ...],
    why: str = "it looks like a signature or attestation, and can't be read as one",
) -> Arriving:
    """Empty is never true: what looks like evidence and yields none is a kind that is not understood.

    And what could not be read or judged now may turn out to be by someone once it can.
    """
    if not facts:
        kind = SignatureKind.COSIGN_LEGACY if manifest.subject is None else SignatureKind.COSIGN_BUNDLE
        return Known((SignatureFact(kind, manifest.digest, Outcome.NOT_UNDERSTOOD, why),))
    lost = next((fact.reason for fact in facts if not fact.settled), None)
    return Known(facts) if lost is None else Partly(facts, lost)
