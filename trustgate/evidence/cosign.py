"""Judge cosign's key-based signatures in both shapes that exist: bundle by referrer, and ``.sig`` tag.

Stricter than cosign itself where it is lax (see ``docs/`` "What verified means"): the predicate type must
be cosign's own, so that an attestation is never taken for a signature; the subject must be one, and be
the digest that is asked for; ``critical.type`` counts; no duplicate or differently spelled keys.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime

from trustgate.evidence.bundle import NotUnderstood, key_bundle
from trustgate.evidence.dsse import IN_TOTO_PAYLOAD, STATEMENT_V1, Malformed, an_object, read_statement
from trustgate.evidence.model import (
    MAX_BUNDLE_BYTES,
    MAX_SIMPLE_SIGNING_BYTES,
    Attestor,
    Outcome,
    SignatureCandidate,
    SignatureFact,
    SignatureKind,
)
from trustgate.evidence.signature_bytes import MAX_SIGNATURE_BYTES, canonical_base64, verifies
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest
from trustgate.oci.strict_json import Json, JsonRefused, loads

COSIGN_SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
SIMPLE_SIGNING_TYPE = "cosign container image signature"
SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
CERTIFICATE_ANNOTATION = "dev.sigstore.cosign/certificate"
_SHOWN_CHARACTERS = 80


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
        if candidate.kind is SignatureKind.COSIGN_BUNDLE:
            claim = _bundle_claim(candidate, subject)
        else:
            claim = _legacy_claim(candidate, subject)
    except NotUnderstood as exc:
        return _fact(candidate, Outcome.NOT_UNDERSTOOD, str(exc))
    except Malformed as exc:
        return _fact(candidate, Outcome.BROKEN, str(exc))
    return _weigh(candidate, claim, attestors, now)


class _Claim:
    """A well-formed statement about the right subject, whose signature has still to be verified."""

    __slots__ = ("hint", "repository", "signature", "signed")

    def __init__(self, signed: bytes, signature: bytes, *, hint: str = "", repository: str = "") -> None:
        self.signed = signed
        self.signature = signature
        self.hint = hint
        self.repository = repository


def _bundle_claim(candidate: SignatureCandidate, subject: Digest) -> _Claim:
    _check_layer(candidate, MAX_BUNDLE_BYTES)
    # 1. the manifest that carries it must be about this subject
    if candidate.claimed_subject != subject:
        raise Malformed(f"its manifest is about {_shown(candidate.claimed_subject)}, not about this digest")
    # 2. the bundle, its one envelope and its one statement
    bundle = key_bundle(candidate.payload)
    if bundle.envelope.payload_type != IN_TOTO_PAYLOAD:
        raise Malformed(f"the envelope's payload type is {_shown(bundle.envelope.payload_type)}")
    statement = read_statement(bundle.envelope.payload)
    if statement.type != STATEMENT_V1:
        raise NotUnderstood(f"statement type {_shown(statement.type)} is not a cosign signature's")
    # 3. an attestation says something about an image; it does not sign it
    if statement.predicate_type != COSIGN_SIGN_PREDICATE:
        raise NotUnderstood(f"an attestation ({_shown(statement.predicate_type)}) is not a signature")
    # 4. the statement must be about this subject, by the same algorithm
    if statement.subject != subject:
        raise Malformed(f"the signed statement is about {statement.subject.short}, not about this digest")
    return _Claim(bundle.envelope.signed, bundle.envelope.signature, hint=bundle.hint)


def _legacy_claim(candidate: SignatureCandidate, subject: Digest) -> _Claim:
    _check_layer(candidate, MAX_SIMPLE_SIGNING_BYTES)
    if candidate.layer.media_type != media.COSIGN_SIMPLE_SIGNING:
        raise Malformed(f"layer of type {_shown(candidate.layer.media_type)} is no simple signing")
    if candidate.annotations.get(CERTIFICATE_ANNOTATION):
        raise NotUnderstood("keyless signatures are not judged by this version")
    signature = canonical_base64(candidate.annotations.get(SIGNATURE_ANNOTATION, ""))
    if not signature or len(signature) > MAX_SIGNATURE_BYTES:
        raise Malformed("its signature annotation is missing or not base64")
    digest, repository = read_simple_signing(candidate.payload)
    if digest != subject:
        raise Malformed(f"the signed payload is about {_shown(digest)}, not about this digest")
    return _Claim(candidate.payload, signature, repository=repository)


def read_simple_signing(payload: bytes) -> tuple[str, str]:
    """(manifest digest, docker-reference) of a simple-signing payload. Raises ``Malformed``."""
    try:
        document = an_object(loads(payload, max_bytes=MAX_SIMPLE_SIGNING_BYTES), "the payload")
    except JsonRefused as exc:
        raise Malformed(f"the payload {exc}") from exc
    critical = an_object(document.get("critical"), "critical")
    if critical.get("type") != SIMPLE_SIGNING_TYPE:
        raise Malformed(f"critical.type is not {SIMPLE_SIGNING_TYPE!r}")
    image = an_object(critical.get("image"), "critical.image")
    digest = image.get("docker-manifest-digest")
    identity: Json = critical.get("identity", {})
    reference = identity.get("docker-reference", "") if isinstance(identity, dict) else ""
    if not isinstance(digest, str) or not isinstance(reference, str):
        raise Malformed("critical.image.docker-manifest-digest is missing")
    return digest, reference


def _check_layer(candidate: SignatureCandidate, max_bytes: int) -> None:
    if len(candidate.payload) > max_bytes:
        raise Malformed(f"it has {len(candidate.payload)} bytes, at most {max_bytes} are read")
    if Digest.of(candidate.payload, candidate.layer.digest.algorithm) != candidate.layer.digest:
        raise Malformed("its bytes do not match the digest of its layer")


def _weigh(
    candidate: SignatureCandidate, claim: _Claim, attestors: Sequence[Attestor], now: datetime
) -> SignatureFact:
    """Verify the claim against every attestor's key; only those inside their time count."""
    by_key = [one for one in attestors if verifies(one.public_key, claim.signature, claim.signed)]
    in_time = [one for one in by_key if _in_time(one, now)]
    if in_time:
        names = tuple(one.name for one in in_time)
        identities = tuple(dict.fromkeys(one.key_id for one in in_time))
        reason = f"verified by {', '.join(names)}"
        return _fact(
            candidate,
            Outcome.VERIFIED,
            reason,
            attestors=names,
            identities=identities,
            repository=claim.repository,
        )
    if by_key:
        names_out = ", ".join(one.name for one in by_key)
        reason = f"signed by {names_out}, outside the time that the trust store gives that key"
        return _fact(candidate, Outcome.UNTRUSTED, reason, repository=claim.repository)
    hinted = [one.name for one in attestors if claim.hint and claim.hint == _hint(one)]
    if hinted:
        reason = f"it names the key of {hinted[0]}, and that key does not verify it"
        return _fact(candidate, Outcome.BROKEN, reason, repository=claim.repository)
    reason = "signed by a key that the trust store does not name"
    return _fact(candidate, Outcome.UNTRUSTED, reason, repository=claim.repository)


def _in_time(attestor: Attestor, now: datetime) -> bool:
    begun = attestor.not_before is None or attestor.not_before <= now
    return begun and (attestor.not_after is None or now < attestor.not_after)


def _hint(attestor: Attestor) -> str:
    return base64.b64encode(bytes.fromhex(attestor.key_id)).decode()


def _fact(
    candidate: SignatureCandidate,
    outcome: Outcome,
    reason: str,
    *,
    attestors: tuple[str, ...] = (),
    identities: tuple[str, ...] = (),
    repository: str = "",
) -> SignatureFact:
    return SignatureFact(
        kind=candidate.kind,
        evidence=candidate.evidence,
        outcome=outcome,
        reason=reason,
        attestors=attestors,
        identities=identities,
        signed_repository=repository,
    )


def _shown(text: str | None) -> str:
    """Foreign text, fit to be printed: escaped and cut."""
    return ascii(text[:_SHOWN_CHARACTERS]) if text else "nothing"


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
