"""Judge cosign's key-based signatures in both shapes that exist: bundle by referrer, and ``.sig`` tag.

Stricter than cosign itself where it is lax (see ``docs/`` "What verified means"): the predicate type must
be cosign's own, so that an attestation is never taken for a signature; the subject must be one, and be
the digest that is asked for; ``critical.type`` counts; no duplicate or differently spelled keys.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from trustgate.evidence.attestor import Attestor, next_turn
from trustgate.evidence.bundle import NotUnderstood, key_bundle
from trustgate.evidence.dsse import IN_TOTO_PAYLOAD, STATEMENT_V1, Malformed, an_object, read_statement
from trustgate.evidence.keys import KeyTrust
from trustgate.evidence.model import (
    MAX_BUNDLE_BYTES,
    MAX_SIMPLE_SIGNING_BYTES,
    Outcome,
    SignatureCandidate,
    SignatureFact,
    SignatureKind,
    Signer,
    TimeEvidence,
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
TIME_ANNOTATIONS: Final[tuple[tuple[str, TimeEvidence], ...]] = (
    ("dev.sigstore.cosign/bundle", "log"),
    ("dev.sigstore.cosign/rfc3161timestamp", "timestamp"),
)
MAX_REFERENCE_CHARACTERS = 512
"""A docker-reference is a host and a repository name of at most 255 characters each."""
MAX_REASON_CHARACTERS = 400
_SHOWN_CHARACTERS = 80
_SHOWN_NAMES = 4
_NOT_JUDGED_TIME = "; its log entries and timestamps were not judged"


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


@dataclass(frozen=True, slots=True)
class _Claim:
    """A well-formed statement about the right subject, whose signature has still to be verified."""

    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    hint: str = ""
    repository: str = ""
    unproven: frozenset[TimeEvidence] = frozenset()


def _bundle_claim(candidate: SignatureCandidate, subject: Digest) -> _Claim:
    _check_layer(candidate, MAX_BUNDLE_BYTES)
    if not candidate.layer.media_type.startswith(media.SIGSTORE_BUNDLE_PREFIX):
        raise Malformed(f"layer of type {_shown(candidate.layer.media_type)} is no bundle")
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
    about = statement.only_subject()
    if about != subject:
        raise Malformed(f"the signed statement is about {about.short}, not about this digest")
    return _Claim(
        signed=bundle.envelope.signed,
        signature=bundle.envelope.signature,
        hint=bundle.hint,
        unproven=bundle.unproven,
    )


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
    unproven = frozenset(kind for name, kind in TIME_ANNOTATIONS if name in candidate.annotations)
    return _Claim(candidate.payload, signature, repository=repository, unproven=unproven)


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
    if not isinstance(digest, str):
        raise Malformed("critical.image.docker-manifest-digest is missing")
    return digest, _docker_reference(critical.get("identity", {}))


def _docker_reference(identity: Json) -> str:
    """It is kept and shown, so it has to be something that can be: printable, and of a name's length."""
    reference = an_object(identity, "critical.identity").get("docker-reference", "")
    if not isinstance(reference, str) or len(reference) > MAX_REFERENCE_CHARACTERS:
        raise Malformed("critical.identity.docker-reference is not a reference")
    if not (reference.isascii() and reference.isprintable()):
        raise Malformed("critical.identity.docker-reference is not printable")
    return reference


def _check_layer(candidate: SignatureCandidate, max_bytes: int) -> None:
    if len(candidate.payload) > max_bytes:
        raise Malformed(f"it has {len(candidate.payload)} bytes, at most {max_bytes} are read")
    if len(candidate.payload) != candidate.layer.size:
        raise Malformed(f"it has {len(candidate.payload)} bytes, its layer says {candidate.layer.size}")
    if Digest.of(candidate.payload, candidate.layer.digest.algorithm) != candidate.layer.digest:
        raise Malformed("its bytes do not match the digest of its layer")


def _weigh(
    candidate: SignatureCandidate, claim: _Claim, attestors: Sequence[Attestor], now: datetime
) -> SignatureFact:
    """Verify the claim against every attestor's key; only those inside their time count."""
    by_key = [one for one in attestors if _is_by(one.trust, claim)]
    in_time = [one for one in by_key if one.in_time(now)]
    outcome, reason = _outcome(claim, by_key, in_time, attestors)
    fact = _fact(candidate, outcome, reason + (_NOT_JUDGED_TIME if claim.unproven else ""))
    return replace(
        fact,
        signers=tuple(dict.fromkeys(Signer(one.name, one.trust.identity) for one in in_time)),
        unproven=claim.unproven,
        valid_until=next_turn(attestors, now),
        signed_repository=claim.repository,
    )


def _outcome(
    claim: _Claim, by_key: Sequence[Attestor], in_time: Sequence[Attestor], attestors: Sequence[Attestor]
) -> tuple[Outcome, str]:
    if in_time:
        return Outcome.VERIFIED, f"verified by {_names(in_time)}"
    if by_key:
        return Outcome.UNTRUSTED, (
            f"signed by {_names(by_key)}, outside the time that the trust store gives that key"
        )
    hinted = [one for one in attestors if claim.hint and claim.hint == _hint(one.trust)]
    if hinted:
        return Outcome.BROKEN, f"it names the key of {_names(hinted)}, and that key does not verify it"
    return Outcome.UNTRUSTED, "signed by a key that the trust store does not name"


def _names(attestors: Sequence[Attestor]) -> str:
    names = list(dict.fromkeys(one.name for one in attestors))
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _is_by(trust: KeyTrust, claim: _Claim) -> bool:
    return verifies(trust.public_key, claim.signature, claim.signed, prehashed=trust.prehashed)


def _hint(trust: KeyTrust) -> str:
    return base64.b64encode(bytes.fromhex(trust.key_id)).decode()


def _fact(candidate: SignatureCandidate, outcome: Outcome, reason: str) -> SignatureFact:
    return SignatureFact(candidate.kind, candidate.evidence, outcome, _printable(reason))


def _printable(reason: str) -> str:
    """Reasons go to logs and terminals: printable ASCII, and short."""
    text = reason[:MAX_REASON_CHARACTERS].encode("ascii", "backslashreplace").decode()
    kept = "".join(character if character.isprintable() else " " for character in text)
    return kept[:MAX_REASON_CHARACTERS]


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
