"""Weigh a cosign claim against the trust store: who signed it, and what is proven beside the signature."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign_claim import Claim
from trustgate.evidence.keys import KeyTrust
from trustgate.evidence.model import Outcome, Signer, TimeEvidence
from trustgate.evidence.revoked import (
    Marks,
    Piece,
    certificate_marks,
    content_marks,
    evidence_marks,
    key_mark,
    names_evidence,
)
from trustgate.evidence.signature_bytes import forms, verifies
from trustgate.evidence.sigstore.content import Holder
from trustgate.evidence.sigstore.refusal import NotTrusted, Refusal
from trustgate.evidence.sigstore.second_judge import second_opinion
from trustgate.evidence.sigstore.trust import KeylessTrust, named
from trustgate.evidence.sigstore.trusted_root import TrustedRoot
from trustgate.evidence.sigstore.verify import (
    KeylessProof,
    Proof,
    check_enough,
    prove_keyless,
    prove_witnesses,
)
from trustgate.oci.digest import Digest

_SHOWN_NAMES: Final = 4
_NOT_JUDGED_TIME: Final = "; its log entries and timestamps were not judged"


@dataclass(frozen=True, slots=True)
class Weighed:
    """The outcome of one claim, for signatures and attestations alike."""

    outcome: Outcome
    reason: str
    signers: tuple[Signer, ...] = ()
    proof: Proof = field(default_factory=Proof)
    unproven: frozenset[TimeEvidence] = frozenset()

    @property
    def signed_at(self) -> datetime | None:
        return self.proof.signed_at

    @property
    def logs(self) -> int:
        return len(self.proof.logs)

    @property
    def timestamps(self) -> int:
        return len(self.proof.timestamps)


@dataclass(frozen=True, slots=True)
class _Vote:
    """Someone of the trust store who signed it, and what is proven under their own trusted root."""

    attestor: Attestor
    identity: str
    proof: Proof
    key: PublicKeyTypes
    """That verifies the signature: the attestor's own, or the certificate's."""
    found: KeylessProof | None = None
    """Of a certificate."""

    @property
    def marks(self) -> Marks:
        return certificate_marks(self.found.path) if self.found else frozenset({key_mark(self.key)})


def weigh(
    claim: Claim, attestors: Sequence[Attestor], now: datetime, manifest: Digest | None = None
) -> Weighed:
    """Verify the claim for every attestor whose trust is of its kind; only those inside their time count.

    ``manifest`` is the one that carries it alone, where there is such a one.
    """
    if claim.certificate is None:
        return _weigh_key(claim, attestors, now, manifest)
    return _weigh_keyless(claim, claim.certificate, attestors, now, manifest)


def _piece(claim: Claim, votes: Sequence[_Vote], manifest: Digest | None) -> Piece:
    """Whoever of the voters has which key: all of them are on the way to this signature."""
    rests_on: Marks = frozenset().union(*(one.marks for one in votes))
    if not any(names_evidence(one.attestor.revoked) for one in votes):
        return Piece(rests_on)
    content = claim.content
    signed = content.signed if content.payload is None else content.payload
    signatures = (form for one in votes for form in forms(one.key, content.signature))
    file = claim.raw if content.envelope is None else content.envelope
    return Piece(
        rests_on | content_marks(filter(None, (signed, *signatures))),
        content_marks(filter(None, [file])) | evidence_marks([manifest] if manifest else []),
        str(Digest.of(content.signature)),
    )


def _verified(
    votes: Sequence[_Vote], piece: Piece, unproven: frozenset[TimeEvidence] = frozenset()
) -> Weighed:
    """Whatever speaks for it, one revocation outweighs: what only one root proves to be older is not."""
    for vote in votes:
        why = piece.why_revoked(vote.attestor.revoked, vote.proof.signed_at)
        if why:
            return Weighed(Outcome.REVOKED, f"signed by {vote.attestor.name}, but {why}")
    return Weighed(
        outcome=Outcome.VERIFIED,
        reason=f"verified by {_names([vote.attestor for vote in votes])}",
        signers=tuple(dict.fromkeys(Signer(vote.attestor.name, vote.identity) for vote in votes)),
        proof=least([vote.proof for vote in votes]),
        unproven=unproven,
    )


def _names(attestors: Sequence[Attestor]) -> str:
    names = list(dict.fromkeys(one.name for one in attestors))
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def least(proofs: Sequence[Proof]) -> Proof:
    """What every one of them proves: nobody's requirement is met by what somebody else's root trusts.

    A time is proven when all prove one, and then the earliest counts; trust ends with the first that ends.
    """
    timed = all(proof.times for proof in proofs)
    return Proof(
        logs=min((proof.logs for proof in proofs), key=len),
        timestamps=min((proof.timestamps for proof in proofs), key=len),
        times=tuple(moment for proof in proofs for moment in proof.times) if timed else (),
        reasons=tuple(dict.fromkeys(reason for proof in proofs for reason in proof.reasons)),
        valid_until=min((proof.valid_until for proof in proofs if proof.valid_until), default=None),
    )


# --- by key --------------------------------------------------------------------------------------


def _weigh_key(
    claim: Claim, attestors: Sequence[Attestor], now: datetime, manifest: Digest | None
) -> Weighed:
    holders = [(one, one.trust) for one in attestors if isinstance(one.trust, KeyTrust)]
    by_key = [(one, trust) for one, trust in holders if _is_by(trust, claim)]
    in_time = [(one, trust) for one, trust in by_key if one.in_time(now)]
    votes: list[_Vote] = []
    reasons: list[str] = []
    judged = False
    for one, trust in in_time:
        proof = _proof(claim, trust, now)
        try:
            check_enough(proof, min_logs=trust.min_logs, min_timestamps=trust.min_timestamps)
        except Refusal as exc:
            reasons.append(f"signed by {one.name}, but {exc}")
            continue
        votes.append(_Vote(one, trust.identity, proof, trust.public_key))
        judged |= trust.root is not None
    if votes:
        return _with_unproven(_verified(votes, _piece(claim, votes, manifest)), claim, judged)
    refused = _unverified(claim, [one for one, _ in by_key], holders, reasons)
    return _with_unproven(refused, claim, any(trust.root for _, trust in in_time))


def _with_unproven(weighed: Weighed, claim: Claim, judged: bool) -> Weighed:
    """Say that witnesses came along and nobody could judge them, for want of a trusted root."""
    unproven: frozenset[TimeEvidence] = frozenset()
    if not judged:
        unproven = _carried(claim)
    reason = weighed.reason + (_NOT_JUDGED_TIME if unproven else "")
    return Weighed(weighed.outcome, reason, weighed.signers, weighed.proof, unproven)


def _carried(claim: Claim) -> frozenset[TimeEvidence]:
    found: set[TimeEvidence] = set()
    if claim.witnesses.entries:
        found.add("log")
    if claim.witnesses.timestamps:
        found.add("timestamp")
    return frozenset(found)


def _unverified(
    claim: Claim,
    by_key: Sequence[Attestor],
    holders: Sequence[tuple[Attestor, KeyTrust]],
    reasons: Sequence[str],
) -> Weighed:
    if reasons:
        return Weighed(Outcome.UNTRUSTED, reasons[0])
    if by_key:
        return Weighed(
            Outcome.UNTRUSTED,
            f"signed by {_names(by_key)}, outside the time that the trust store gives that key",
        )
    hinted = [one for one, trust in holders if claim.hint == _hint(trust)]
    if hinted:
        return Weighed(
            Outcome.BROKEN, f"it names the key of {_names(hinted)}, and that key does not verify it"
        )
    return Weighed(Outcome.UNTRUSTED, "signed by a key that the trust store does not name")


def _is_by(trust: KeyTrust, claim: Claim) -> bool:
    content = claim.content
    signed = content.signed or b""
    return verifies(trust.public_key, content.signature, signed, prehashed=trust.prehashed)


def _proof(claim: Claim, trust: KeyTrust, now: datetime) -> Proof:
    if trust.root is None or not claim.witnesses:
        return Proof()
    return prove_witnesses(claim.content, Holder(trust.spki), claim.witnesses, trust.root, now=now)


def _hint(trust: KeyTrust) -> str:
    return base64.b64encode(bytes.fromhex(trust.key_id)).decode()


# --- by certificate ------------------------------------------------------------------------------


def _weigh_keyless(
    claim: Claim,
    certificate: bytes,
    attestors: Sequence[Attestor],
    now: datetime,
    manifest: Digest | None,
) -> Weighed:
    trusting = [(one, one.trust) for one in attestors if isinstance(one.trust, KeylessTrust)]
    if not trusting:
        return Weighed(
            Outcome.UNTRUSTED, "signed by a certificate, and the trust store names no keyless signer"
        )
    proven: dict[TrustedRoot, KeylessProof | Refusal] = {}
    votes: list[_Vote] = []
    refusals: list[Refusal] = []
    for one, trust in trusting:
        if trust.root not in proven:
            proven[trust.root] = _proven(claim, certificate, trust.root, now)
        found = proven[trust.root]
        try:
            votes.append(_vote(one, trust, found, now))
        except Refusal as exc:
            refusals.append(exc)
    if votes:
        return _second(claim, votes, _piece(claim, votes, manifest))
    return _refused(refusals)


def _proven(claim: Claim, certificate: bytes, root: TrustedRoot, now: datetime) -> KeylessProof | Refusal:
    try:
        return prove_keyless(claim.content, certificate, claim.witnesses, root, now=now)
    except Refusal as exc:
        return exc


def _vote(one: Attestor, trust: KeylessTrust, found: KeylessProof | Refusal, now: datetime) -> _Vote:
    if isinstance(found, Refusal):
        raise found
    trust.check(found)
    if not one.in_time(now):
        raise NotTrusted(f"signed by {one.name}, outside the time that the trust store gives it")
    return _Vote(one, named(found.identity), found.proof, found.path[0].public_key(), found)


def _second(claim: Claim, votes: Sequence[_Vote], piece: Piece) -> Weighed:
    """Another implementation must accept too, wherever it knows the shape."""
    agreed: list[_Vote] = []
    refusal = ""
    for vote in votes:
        opinion = _opinion(claim, vote)
        if opinion:
            refusal = opinion
        else:
            agreed.append(vote)
    if agreed:
        return _verified(agreed, piece)
    return Weighed(Outcome.BROKEN, f"two judges disagree: accepted here, refused by sigstore ({refusal})")


def _opinion(claim: Claim, vote: _Vote) -> str:
    """Why the other judge refuses; empty when it accepts, is not asked, or does not know the shape."""
    trust, bundle = vote.attestor.trust, claim.bundle
    if bundle is None or vote.found is None or not isinstance(trust, KeylessTrust) or not trust.second_judge:
        return ""
    return second_opinion(claim.raw, bundle, vote.found, trust.root).refusal


def _refused(refusals: Sequence[Refusal]) -> Weighed:
    """Sound but not trusted goes before broken: under another trusted root it may be good."""
    distrusted = [one for one in refusals if isinstance(one, NotTrusted)]
    if distrusted:
        return Weighed(Outcome.UNTRUSTED, str(distrusted[0]))
    return Weighed(Outcome.BROKEN, str(refusals[0]))
