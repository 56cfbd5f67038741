"""Judge cosign's signatures in both shapes that exist: bundle by referrer, and ``.sig`` tag.

By key or by a short-lived certificate ("keyless"). Stricter than cosign itself where it is lax (see
``docs/`` "What verified means"): the predicate type must be cosign's own, so that an attestation is never
taken for a signature; the subject must be one, and be the digest that is asked for; ``critical.type`` counts;
no duplicate or differently spelled keys; the clock never stands in for a proven time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from trustgate.evidence.attestor import Attestor, next_turn
from trustgate.evidence.bundle import NotUnderstood
from trustgate.evidence.cosign_claim import Claim, legacy_claim, signature_claim
from trustgate.evidence.dsse import Malformed
from trustgate.evidence.model import Outcome, SignatureCandidate, SignatureFact, SignatureKind
from trustgate.evidence.printable import printable
from trustgate.evidence.weighing import weigh
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest


def judge_all(
    candidates: Sequence[SignatureCandidate],
    *,
    subject: Digest,
    attestors: Sequence[Attestor],
    now: datetime,
) -> tuple[SignatureFact, ...]:
    """A fact for every candidate, in order. Each stands for itself: none hides or helps another."""
    return tuple(judge(candidate, subject=subject, attestors=attestors, now=now) for candidate in candidates)


def judge(
    candidate: SignatureCandidate, *, subject: Digest, attestors: Sequence[Attestor], now: datetime
) -> SignatureFact:
    """What the candidate proves about ``subject``. Never raises: what is broken is an outcome."""
    try:
        claim = _claim(candidate, subject)
    except NotUnderstood as exc:
        return _fact(candidate, Outcome.NOT_UNDERSTOOD, str(exc))
    except Malformed as exc:
        return _fact(candidate, Outcome.BROKEN, str(exc))
    # of a tag's manifest every layer may be another's
    bundled = candidate.kind is SignatureKind.COSIGN_BUNDLE
    weighed = weigh(claim, attestors, now, candidate.evidence if bundled else None)
    return replace(
        _fact(candidate, weighed.outcome, weighed.reason),
        signers=weighed.signers,
        signed_at=weighed.signed_at,
        logs=weighed.logs,
        timestamps=weighed.timestamps,
        unproven=weighed.unproven,
        valid_until=next_turn(attestors, now, weighed.proof.valid_until),
        signed_repository=claim.repository,
        annotations=claim.annotations,
    )


def _claim(candidate: SignatureCandidate, subject: Digest) -> Claim:
    if candidate.kind is SignatureKind.COSIGN_BUNDLE:
        return signature_claim(candidate, subject)
    return legacy_claim(candidate, subject)


def _fact(candidate: SignatureCandidate, outcome: Outcome, reason: str) -> SignatureFact:
    return SignatureFact(candidate.kind, candidate.evidence, outcome, printable(reason))


def candidates_from_bundle_manifest(
    manifest: Manifest, contents: Mapping[Digest, bytes]
) -> tuple[SignatureCandidate, ...]:
    """The candidate in a referrer that carries one bundle; ``contents`` are the blobs that were read."""
    return _candidates(SignatureKind.COSIGN_BUNDLE, manifest, contents)


def candidates_from_legacy_manifest(
    manifest: Manifest, contents: Mapping[Digest, bytes]
) -> tuple[SignatureCandidate, ...]:
    """One candidate a layer of a ``.sig`` manifest."""
    return _candidates(SignatureKind.COSIGN_LEGACY, manifest, contents)


def _candidates(
    kind: SignatureKind, manifest: Manifest, contents: Mapping[Digest, bytes]
) -> tuple[SignatureCandidate, ...]:
    return tuple(
        SignatureCandidate(
            kind=kind,
            evidence=manifest.digest,
            layer=layer,
            payload=contents[layer.digest],
            annotations=layer.annotations,
            claimed_subject=manifest.subject.digest if manifest.subject else None,
        )
        for layer in manifest.layers
        if layer.digest in contents
    )
