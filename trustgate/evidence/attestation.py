"""Attestations: signed statements *about* an artifact. They never sign it; policy reads what they say.

In-toto statements (v0.1 and v1) in a DSSE envelope, in a Sigstore bundle by referrer or in a layer of
cosign's ``.att`` manifest. A predicate type is one exact URI; the predicate is handed on as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias

from trustgate.evidence.attestor import Attestor, next_turn
from trustgate.evidence.bundle import NotUnderstood
from trustgate.evidence.cosign_claim import (
    COSIGN_SIGN_PREDICATE,
    Claim,
    annotated_certificate,
    annotated_witnesses,
    check_layer,
    claim_of,
    image_bundle,
    in_toto,
)
from trustgate.evidence.dsse import STATEMENT_V01, STATEMENT_V1, Envelope, Malformed, Statement, read_envelope
from trustgate.evidence.model import Outcome, SignatureCandidate, SignatureKind, Signer, TimeEvidence
from trustgate.evidence.predicate_query import PredicateQuery, Said
from trustgate.evidence.printable import printable, shown
from trustgate.evidence.sigstore.content import Content
from trustgate.evidence.weighing import weigh
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest
from trustgate.oci.strict_json import Json, JsonRefused, loads

MAX_ATTESTATION_BYTES: Final = 16 * 1024 * 1024
"""An SBOM of a large image has a few megabytes, and half as much again in base64."""
MAX_ATTESTATION_LAYERS: Final = 64
MAX_PREDICATE_TYPE_CHARACTERS: Final = 512
_STATEMENTS: Final = frozenset({STATEMENT_V01, STATEMENT_V1})


TypedQuery: TypeAlias = tuple[tuple[str, ...], PredicateQuery]
"""Of which predicate types it is asked."""


@dataclass(frozen=True, slots=True)
class AttestationFact:
    """What one candidate says about the subject, and who signed that: kept for good and bad alike.

    ``predicate_type``, ``statement`` and ``predicate`` are what is written, whoever wrote it: they count only
    when ``outcome`` is verified, and only for those in ``signers``.
    """

    evidence: Digest
    """The manifest that carries it."""
    content: Digest
    """The layer that it is: one manifest may carry several."""
    outcome: Outcome
    reason: str
    predicate_type: str = ""
    statement: Digest | None = None
    """The bytes that are signed: whoever wraps these anew gets another ``content``, and nothing new."""
    predicate: Json = field(default=None, repr=False, hash=False)
    signers: tuple[Signer, ...] = ()
    signed_at: datetime | None = None
    """The earliest time that a log or a timestamp authority proves."""
    logs: int = 0
    timestamps: int = 0
    unproven: frozenset[TimeEvidence] = frozenset()
    """What it carries and nobody verified, for want of a trusted root: it proves nothing."""
    valid_until: datetime | None = None
    """When time alone could turn the outcome; ``None`` for never."""
    said: tuple[Said, ...] = ()
    """What the predicate answers to the policies' queries: it is asked while it is read, and not kept."""
    settled: bool = True
    """False when it could not be read or judged just now and may say something else later: never kept."""

    @property
    def attestors(self) -> tuple[str, ...]:
        """The names of its signers, each once."""
        return tuple(dict.fromkeys(signer.attestor for signer in self.signers))

    @property
    def is_signature(self) -> bool:
        """Whether it is a signature of cosign's, which has the same shape and attests nothing."""
        return self.predicate_type == COSIGN_SIGN_PREDICATE

    def answers(self, query: PredicateQuery) -> Said | None:
        """What it said when it was asked that."""
        asked = query.id
        return next((one for one in self.said if one.query == asked), None)


def ask(fact: AttestationFact, queries: Sequence[TypedQuery]) -> AttestationFact:
    """The fact with its answers, without its predicate; nobody asks what nobody trusted said."""
    said = tuple(
        query.ask(fact.predicate)
        for types, query in queries
        if fact.outcome is Outcome.VERIFIED and fact.predicate_type in types
    )
    return replace(fact, predicate=None, said=said)


def judge_attestations(
    candidates: Sequence[SignatureCandidate],
    *,
    subject: Digest,
    attestors: Sequence[Attestor],
    now: datetime,
) -> tuple[AttestationFact, ...]:
    """A fact for every candidate, in order. Each stands for itself: none hides or helps another."""
    return tuple(judge_attestation(one, subject=subject, attestors=attestors, now=now) for one in candidates)


def judge_attestation(
    candidate: SignatureCandidate, *, subject: Digest, attestors: Sequence[Attestor], now: datetime
) -> AttestationFact:
    """What the candidate says about ``subject``, and by whom. Never raises: what is broken is an outcome."""
    said = AttestationFact(candidate.evidence, candidate.layer.digest, Outcome.BROKEN, "")
    try:
        claim, statement = _claim(candidate, subject)
        said = replace(said, predicate_type=_written_type(statement), statement=_digest_of(claim))
        _check(statement, subject)
    except NotUnderstood as exc:
        return replace(said, outcome=Outcome.NOT_UNDERSTOOD, reason=printable(str(exc)))
    except Malformed as exc:
        return replace(said, reason=printable(str(exc)))
    bundled = candidate.kind is SignatureKind.COSIGN_BUNDLE  # an .att manifest is not one attestation's alone
    weighed = weigh(claim, attestors, now, candidate.evidence if bundled else None)
    return replace(
        said,
        outcome=weighed.outcome,
        reason=printable(weighed.reason),
        predicate=statement.predicate,
        signers=weighed.signers,
        signed_at=weighed.signed_at,
        logs=weighed.logs,
        timestamps=weighed.timestamps,
        unproven=weighed.unproven,
        valid_until=next_turn(attestors, now, weighed.proof.valid_until),
    )


def attestation_candidates(
    manifest: Manifest, contents: Mapping[Digest, bytes]
) -> tuple[SignatureCandidate, ...]:
    """The candidates in a ``.att`` manifest, one a layer; ``contents`` are the blobs that were read.

    Bundles by referrer come from ``cosign.candidates_from_bundle_manifest``: which of them is a signature
    and which an attestation shows only inside.
    """
    return tuple(
        SignatureCandidate(
            kind=SignatureKind.COSIGN_LEGACY,
            evidence=manifest.digest,
            layer=layer,
            payload=contents[layer.digest],
            annotations=layer.annotations,
        )
        for layer in manifest.layers[:MAX_ATTESTATION_LAYERS]
        if layer.digest in contents and layer.media_type == media.DSSE_ENVELOPE
    )


def _claim(candidate: SignatureCandidate, subject: Digest) -> tuple[Claim, Statement]:
    if candidate.kind is SignatureKind.COSIGN_BUNDLE:
        bundle, envelope = image_bundle(candidate, subject, MAX_ATTESTATION_BYTES)
        statement = in_toto(envelope, max_bytes=MAX_ATTESTATION_BYTES)
        return claim_of(bundle, envelope, candidate.payload), statement
    envelope = _layer_envelope(candidate)
    statement = in_toto(envelope, max_bytes=MAX_ATTESTATION_BYTES)
    return _layer_claim(candidate, envelope), statement


def _written_type(statement: Statement) -> str:
    """The predicate type as it stands there; empty when it is none."""
    kind = statement.predicate_type
    sound = len(kind) <= MAX_PREDICATE_TYPE_CHARACTERS and kind.isascii() and kind.isprintable()
    return kind if sound else ""


def _digest_of(claim: Claim) -> Digest | None:
    return Digest.of(claim.content.payload) if claim.content.payload is not None else None


def _check(statement: Statement, subject: Digest) -> None:
    if statement.type not in _STATEMENTS:
        raise NotUnderstood(f"statement type {shown(statement.type)} is not judged by this version")
    if statement.predicate_type == COSIGN_SIGN_PREDICATE:
        raise NotUnderstood("it is a signature, and attests nothing further")
    if not _written_type(statement):
        raise Malformed("the predicate type is not a printable URI")
    if not statement.names(subject):
        raise Malformed("the signed statement is not about this digest")


def _layer_envelope(candidate: SignatureCandidate) -> Envelope:
    check_layer(candidate, MAX_ATTESTATION_BYTES)
    if candidate.layer.media_type != media.DSSE_ENVELOPE:
        raise Malformed(f"layer of type {shown(candidate.layer.media_type)} is no DSSE envelope")
    try:
        document = loads(candidate.payload, max_bytes=MAX_ATTESTATION_BYTES)
    except JsonRefused as exc:
        raise Malformed(f"the DSSE envelope {exc}") from exc
    return read_envelope(document, max_payload_bytes=MAX_ATTESTATION_BYTES)


def _layer_claim(candidate: SignatureCandidate, envelope: Envelope) -> Claim:
    """Log entries and timestamps are of the envelope's own bytes (cosign ``pkg/cosign/verify.go``)."""
    content = Content(
        envelope.signature, envelope.signed, payload=envelope.payload, envelope=candidate.payload
    )
    return Claim(
        content=content,
        witnesses=annotated_witnesses(candidate.annotations, stamped=candidate.payload),
        certificate=annotated_certificate(candidate.annotations),
    )
