"""Verify an image under notation's own trust policy: the statement that applies, then every signature."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

from trustgate.errors import AnswerTooLarge, DigestInvalid, InvalidInput, ManifestInvalid, NotFound
from trustgate.evidence.model import MAX_SIGNATURE_CANDIDATES, Outcome, Subject
from trustgate.evidence.notation.envelope import MAX_ENVELOPE_BYTES
from trustgate.evidence.notation.manifest import NotationCandidate, candidate_of, envelope_blobs
from trustgate.evidence.notation.refusal import Refused
from trustgate.evidence.notation.revocation import Answers
from trustgate.evidence.notation.trust import NotationTrust
from trustgate.evidence.notation.trust_policy import (
    Statement,
    TrustPolicyDocument,
    is_scope,
    statement_trust,
)
from trustgate.evidence.notation.verification import questions_under, verify_notation
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource, RevocationSource

MAX_REFERRERS: Final = 1000


@dataclass(frozen=True, slots=True)
class SignatureResult:
    """What became of one signature under the statement."""

    evidence: Digest
    outcome: Outcome
    reason: str
    logged: tuple[str, ...] = ()
    """Failures that the level does not enforce."""
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What the signer wrote beside the descriptor, signed with it; empty unless it is verified."""


@dataclass(frozen=True, slots=True)
class NotationResult:
    """The statement that applied, and what it makes of each signature."""

    subject: Digest
    statement: Statement
    signatures: tuple[SignatureResult, ...]
    truncated: bool = False
    """There are more signatures than are judged."""

    @property
    def skipped(self) -> bool:
        """Level ``skip``: nothing was verified, and nothing is said about the image."""
        return self.statement.skips

    @property
    def verified(self) -> bool:
        return any(one.outcome is Outcome.VERIFIED for one in self.signatures)


def verify_under_trust_policy(
    source: ImageSource,
    target: Tag | Digest,
    *,
    document: TrustPolicyDocument,
    store: Mapping[str, bytes],
    scope: str,
    revocation: RevocationSource,
    now: datetime,
) -> NotationResult:
    """Judge every Notary Project signature of the image.

    ``scope`` is the repository's full name (``HOST/REPOSITORY``; for a layout whatever the user calls it).
    Raises ``InvalidInput`` when no statement applies, ``NotationTrustInvalid`` when the statement's trust
    store does not fit, and what the source raises.
    """
    statement = _applicable(document, scope)
    found = source.manifest(target)
    image = parse_manifest(found.raw, content_type=found.media_type, algorithm=found.digest.algorithm)
    if statement.skips:
        return NotationResult(image.digest, statement, ())
    trust = statement_trust(statement, store)
    subject = Subject(image.digest, image.media_type, len(image.raw))
    listed = source.referrers(image.digest, limit=MAX_REFERRERS + 1)
    candidates = list(islice(_candidates(source, listed[:MAX_REFERRERS]), MAX_SIGNATURE_CANDIDATES + 1))
    judged = candidates[:MAX_SIGNATURE_CANDIDATES]
    results = tuple(_result(one, subject, trust, revocation, now) for one in judged)
    more = len(candidates) > len(judged) or len(listed) > MAX_REFERRERS
    return NotationResult(image.digest, statement, results, more)


def _applicable(document: TrustPolicyDocument, scope: str) -> Statement:
    if not is_scope(scope):
        raise InvalidInput(f"{scope[:80]!a} is no scope", hint="HOST/REPOSITORY, without tag or digest")
    statement = document.for_scope(scope)
    if statement is None:
        raise InvalidInput(
            f"no trust policy applies to {scope}",
            hint='add it to registryScopes of one policy, or have one with the scope "*"',
        )
    return statement


def _candidates(source: ImageSource, listed: Iterable[Digest]) -> Iterator[NotationCandidate]:
    for digest in listed:
        try:
            found = source.manifest(digest)
            manifest = parse_manifest(found.raw, content_type=found.media_type, algorithm=digest.algorithm)
        except (NotFound, ManifestInvalid, DigestInvalid):
            continue  # a list of referrers may name what is gone
        candidate = candidate_of(manifest, _contents(source, manifest))
        if candidate is not None:
            yield candidate


def _contents(source: ImageSource, manifest: Manifest) -> dict[Digest, bytes]:
    contents: dict[Digest, bytes] = {}
    for one in envelope_blobs(manifest):
        try:
            contents[one.digest] = source.blob(one.digest, max_bytes=min(one.size, MAX_ENVELOPE_BYTES))
        except (NotFound, DigestInvalid, AnswerTooLarge):
            continue
    return contents


def _result(
    candidate: NotationCandidate,
    subject: Subject,
    trust: NotationTrust,
    revocation: RevocationSource,
    now: datetime,
) -> SignatureResult:
    evidence = candidate.manifest.digest
    questions = questions_under(candidate, subject=subject, trusts=[trust], now=now)
    answers: Answers = revocation.ask(questions) if questions else {}
    try:
        found = verify_notation(candidate, subject=subject, trust=trust, now=now, answers=answers)
    except Refused as exc:
        return SignatureResult(evidence, exc.outcome, str(exc))
    logged = tuple(f"{one.validation}: {one.problem}" for one in found.logged)
    if found.verified:
        metadata = found.sound.target.annotations
        return SignatureResult(evidence, Outcome.VERIFIED, f"signed by {found.signer}", logged, metadata)
    reason = found.refusal or "the level logs authenticity, and a signature by anyone is no verification"
    return SignatureResult(evidence, Outcome.UNTRUSTED, reason, logged)
