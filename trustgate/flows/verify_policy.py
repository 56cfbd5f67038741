"""What the gate would say about a pull: its own readers and engine, on an image that is somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.trust import GpgTrust
from trustgate.evidence.model import Role, SignatureFact
from trustgate.evidence.notary.trust import NotaryTrust
from trustgate.flows.attestations import AttestationReader
from trustgate.flows.chart_evidence import ChartEvidence
from trustgate.flows.gather import Gatherer
from trustgate.flows.notary_evidence import NotaryEvidence, PublishedTrust
from trustgate.flows.signatures import SignatureReader
from trustgate.flows.source_reader import (
    KeptHere,
    SourceBlobs,
    SourceEvidence,
    SourceIndexes,
    SourceManifests,
)
from trustgate.flows.verify import resolve
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.checks.requirements import attestors_of
from trustgate.policy.engine import evaluate
from trustgate.policy.model import (
    Action,
    Caller,
    Evidence,
    Partly,
    Request,
    RuleOutcome,
    SubjectEvidence,
    Verdict,
    facts_of,
)
from trustgate.policy.policy_set import PolicySet
from trustgate.policy.rules import Attestation, ContentTrust
from trustgate.ports import ImageSource, OpenPgp, ReportReader, RevocationSource

REVOCATION_NOT_ASKED: Final = "whether certificates were revoked was not asked: nobody was to be (offline)"
_ONCE: Final = "once"
"""Who judges, for judgements that nobody keeps."""
MAX_ROUNDS: Final = 16
"""Of judging what is too much for one request of the gate."""
TrustOf: TypeAlias = Callable[[tuple[Attestor, ...]], PublishedTrust]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An image's place, and who can be asked about it there."""

    source: ImageSource
    listed: Callable[[], Iterable[Tag | Digest]]
    """Where indexes that contain the image may be found."""
    openpgp: OpenPgp
    revocation: RevocationSource
    offline: bool
    """``revocation`` asks nobody: what it would have said is not known, and is no refusal."""
    trust: TrustOf
    """Where trust data of Notary v1 is, for the attestors that a rule asks for; never asked without one."""
    reports: ReportReader
    beside: str = ""
    """Why signatures and attestations that lie beside an image can't be had; empty where they can."""


@dataclass(frozen=True, slots=True)
class JudgedPull:
    """What was judged, on which evidence, and what the engine says."""

    manifest: Manifest
    evidence: Evidence
    verdict: Verdict


def judge_pull(
    around: Surroundings,
    target: Tag | Digest,
    policies: PolicySet,
    *,
    repository: RepositoryName,
    tag: Tag | None,
    caller: Caller,
    now: datetime,
) -> JudgedPull:
    """Judge a pull of ``target`` as if it stood in ``repository``, and were asked for by ``tag``.

    Raises what ``ImageSource`` raises for the image itself, and ``StorageUnavailable`` for an index whose
    parts can't be read.
    """
    manifest = resolve(around.source, target)
    request = Request(Action.PULL, repository, manifest.digest, caller, tag)
    readers = _Readers(around, policies, request)
    judged = readers.judge(manifest, now, indexes=None)
    if not _could_be_helped(judged.verdict, policies):
        return judged
    # An index that contains it may speak for it: looked for only when that could change the answer.
    return readers.judge(manifest, now, indexes=SourceIndexes(around.source, around.listed))


def _could_be_helped(verdict: Verdict, policies: PolicySet) -> bool:
    short = {one.rule for one in verdict.results if one.outcome in (RuleOutcome.FAIL, RuleOutcome.UNKNOWN)}
    rules = policies.rules_for(verdict.request)
    return any(
        rule.id in short and rule.check.inherits
        for rule in rules
        if isinstance(rule.check, ContentTrust | Attestation)
    )


class _Readers:
    """The gate's readers over one source, for one request."""

    def __init__(self, around: Surroundings, policies: PolicySet, request: Request) -> None:
        self._around = around
        self._policies = policies
        self._request = request
        self._blobs = SourceBlobs(around.source)
        self._manifests = SourceManifests(around.source, self._blobs)
        self._signatures: KeptHere[SignatureFact] = KeptHere()
        self._attestations: KeptHere[AttestationFact] = KeptHere()
        asked = self._asked()
        self._asks_beside = any(not isinstance(one.trust, GpgTrust | NotaryTrust) for one in asked)
        self._trust = around.trust(tuple(one for one in asked if isinstance(one.trust, NotaryTrust)))

    def judge(self, manifest: Manifest, now: datetime, *, indexes: SourceIndexes | None) -> JudgedPull:
        manifests = replace(self._manifests, indexes=indexes)
        stored = manifests.find(self._request.repository, manifest.digest)
        role = stored.role if stored else Role.ARTIFACT
        needs = self._policies.needs(self._request)
        gatherer = self._gatherer(manifests)
        for _ in range(MAX_ROUNDS):
            evidence = gatherer.evidence(self._request, role, needs=needs, policies=self._policies, now=now)
            if not _goes_on(evidence):
                break
        if self._around.offline:
            evidence = _without_revocation(evidence)
        return JudgedPull(manifest, evidence, evaluate(self._policies, self._request, evidence, now))

    def _gatherer(self, manifests: SourceManifests) -> Gatherer:
        around, blobs = self._around, self._blobs
        evidence = SourceEvidence(around.source, manifests)
        unlisted = SourceEvidence(around.source, manifests, unlisted=around.beside)
        return Gatherer(
            manifests=manifests,
            reports=around.reports,
            signatures=SignatureReader(
                manifests=manifests,
                attached=unlisted if self._asks_beside else evidence,
                blobs=blobs,
                blob_store=blobs,
                judgements=self._signatures,
                revocation=around.revocation,
                charts=ChartEvidence(blobs=blobs, blob_store=blobs, openpgp=around.openpgp),
                notary=NotaryEvidence(self._trust),
                judges=_ONCE,
            ),
            attestations=AttestationReader(
                manifests=manifests,
                attached=unlisted,
                blobs=blobs,
                blob_store=blobs,
                judgements=self._attestations,
                judges=_ONCE,
            ),
        )

    def _asked(self) -> tuple[Attestor, ...]:
        """Whose signatures the rules for this pull ask for."""
        checks = [rule.check for rule in self._policies.rules_for(self._request)]
        trusted = [check.require for check in checks if isinstance(check, ContentTrust)]
        return tuple({one.name: one for require in trusted for one in attestors_of(require)}.values())


def _goes_on(evidence: Evidence) -> bool:
    """One request judges so much, and the next one goes on."""
    subjects = (evidence.subject, *evidence.subject.children, *evidence.parents)
    found = (part for one in subjects for part in (one.signatures, one.attestations))
    return any(isinstance(part, Partly) and part.waits for part in found)


def _without_revocation(evidence: Evidence) -> Evidence:
    """A signature whose certificates nobody asked about is not refused by that: it is not known whole."""
    return replace(
        evidence,
        subject=_subject_without(evidence.subject),
        parents=tuple(map(_subject_without, evidence.parents)),
    )


def _subject_without(subject: SubjectEvidence) -> SubjectEvidence:
    facts: tuple[SignatureFact, ...] = facts_of(subject.signatures)
    if all(fact.revocation != "unknown" for fact in facts):
        signatures = subject.signatures
    else:
        signatures = Partly(facts, REVOCATION_NOT_ASKED)
    children = tuple(map(_subject_without, subject.children))
    return replace(subject, signatures=signatures, children=children)
