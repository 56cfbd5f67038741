"""What a cosign candidate claims, read from its bytes: a well-formed statement with nothing verified yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.hazmat.primitives import serialization

from trustgate.evidence.bundle import Bundle, MessageSignature, NotUnderstood, read_bundle
from trustgate.evidence.dsse import (
    IN_TOTO_PAYLOAD,
    MAX_PAYLOAD_BYTES,
    STATEMENT_V1,
    Envelope,
    Malformed,
    Statement,
    read_statement,
)
from trustgate.evidence.model import (
    MAX_BUNDLE_BYTES,
    MAX_SIMPLE_SIGNING_BYTES,
    SignatureCandidate,
)
from trustgate.evidence.printable import shown
from trustgate.evidence.signature_bytes import MAX_SIGNATURE_BYTES, canonical_base64
from trustgate.evidence.sigstore.certificate import certificate_of_pem
from trustgate.evidence.sigstore.content import Content
from trustgate.evidence.sigstore.entry import LogEntry, read_entry_annotation
from trustgate.evidence.sigstore.fields import bytes_of, fields_of, only_known
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.evidence.sigstore.verify import Witnesses
from trustgate.evidence.simple_signing import read_simple_signing
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.strict_json import Json, JsonRefused, loads

COSIGN_SIGN_PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"
SIGNATURE_ANNOTATION: Final = "dev.cosignproject.cosign/signature"
CERTIFICATE_ANNOTATION: Final = "dev.sigstore.cosign/certificate"
BUNDLE_ANNOTATION: Final = "dev.sigstore.cosign/bundle"
TIMESTAMP_ANNOTATION: Final = "dev.sigstore.cosign/rfc3161timestamp"
MAX_ANNOTATION_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement about the right subject, whose signature has still to be verified."""

    content: Content = field(repr=False)
    witnesses: Witnesses = field(repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    """The signer's certificate, DER; ``None`` when it is signed by a bare key."""
    hint: str = ""
    repository: str = ""
    annotations: tuple[tuple[str, str], ...] = ()
    bundle: Bundle | None = field(default=None, repr=False)
    raw: bytes = field(default=b"", repr=False)
    """The bundle that it came in, and its bytes for another judge to read."""


def signature_claim(candidate: SignatureCandidate, subject: Digest) -> Claim:
    """What a bundle says as a signature of ``subject``. Raises ``Malformed`` or ``NotUnderstood``."""
    bundle, envelope = image_bundle(candidate, subject, MAX_BUNDLE_BYTES)
    statement = in_toto(envelope)
    if statement.type != STATEMENT_V1:
        raise NotUnderstood(f"statement type {shown(statement.type)} is not a cosign signature's")
    # an attestation says something about an image; it does not sign it
    if statement.predicate_type != COSIGN_SIGN_PREDICATE:
        raise NotUnderstood(f"an attestation ({shown(statement.predicate_type)}) is not a signature")
    about = statement.only_subject()
    if about != subject:
        raise Malformed(f"the signed statement is about {about.short}, not about this digest")
    return replace(claim_of(bundle, envelope, candidate.payload), annotations=statement.annotations)


def image_bundle(candidate: SignatureCandidate, subject: Digest, max_bytes: int) -> tuple[Bundle, Envelope]:
    """A referrer's bundle and its envelope. Raises ``Malformed`` or ``NotUnderstood``."""
    check_layer(candidate, max_bytes)
    if not candidate.layer.media_type.startswith(media.SIGSTORE_BUNDLE_PREFIX):
        raise Malformed(f"layer of type {shown(candidate.layer.media_type)} is no bundle")
    # the manifest that carries it must be about this subject
    if candidate.claimed_subject != subject:
        raise Malformed(f"its manifest is about {shown(candidate.claimed_subject)}, not about this digest")
    bundle = read_bundle(candidate.payload, max_bytes=max_bytes)
    if bundle.version < 3:
        raise NotUnderstood(f"bundles of version 0.{bundle.version} are for artifacts; images have 0.3")
    if isinstance(bundle.content, MessageSignature):
        raise Malformed("an image's bundle must hold a DSSE envelope, not a message signature")
    return bundle, bundle.content


def in_toto(envelope: Envelope, *, max_bytes: int = MAX_PAYLOAD_BYTES) -> Statement:
    """The statement in ``envelope``. Raises ``Malformed``."""
    if envelope.payload_type != IN_TOTO_PAYLOAD:
        raise Malformed(f"the envelope's payload type is {shown(envelope.payload_type)}")
    return read_statement(envelope.payload, max_bytes=max_bytes)


def claim_of(bundle: Bundle, envelope: Envelope, raw: bytes) -> Claim:
    return Claim(
        content=Content(envelope.signature, envelope.signed, payload=envelope.payload),
        witnesses=Witnesses(bundle.entries, bundle.timestamps),
        certificate=bundle.certificates[0] if bundle.certificates else None,
        hint=bundle.hint,
        bundle=bundle,
        raw=raw,
    )


def legacy_claim(candidate: SignatureCandidate, subject: Digest) -> Claim:
    """What a layer of a ``.sig`` manifest says. Raises ``Malformed``."""
    check_layer(candidate, MAX_SIMPLE_SIGNING_BYTES)
    if candidate.layer.media_type != media.COSIGN_SIMPLE_SIGNING:
        raise Malformed(f"layer of type {shown(candidate.layer.media_type)} is no simple signing")
    signature = canonical_base64(candidate.annotations.get(SIGNATURE_ANNOTATION, ""))
    if not signature or len(signature) > MAX_SIGNATURE_BYTES:
        raise Malformed("its signature annotation is missing or not base64")
    said = read_simple_signing(candidate.payload)
    if said.digest != subject:
        raise Malformed(f"the signed payload is about {shown(said.digest)}, not about this digest")
    return Claim(
        content=Content(signature, candidate.payload),
        witnesses=annotated_witnesses(candidate.annotations),
        certificate=annotated_certificate(candidate.annotations),
        repository=said.reference,
        annotations=said.annotations,
    )


def annotated_witnesses(annotations: Mapping[str, str], *, stamped: bytes | None = None) -> Witnesses:
    """The log entry and the timestamp beside a legacy layer. Raises ``Refusal``."""
    return Witnesses(_entries(annotations), _timestamps(annotations), needs_path=False, stamped=stamped)


def annotated_certificate(annotations: Mapping[str, str]) -> bytes | None:
    """The certificate beside a legacy layer, DER. Its ``chain`` is not read: the trusted root has one.

    Raises ``Refusal``.
    """
    pem = annotations.get(CERTIFICATE_ANNOTATION, "")
    if not pem:
        return None
    found = certificate_of_pem(pem.encode("utf-8", "surrogatepass"), "its certificate annotation")
    return found.public_bytes(serialization.Encoding.DER)


def _entries(annotations: Mapping[str, str]) -> tuple[LogEntry, ...]:
    text = annotations.get(BUNDLE_ANNOTATION, "")
    return (read_entry_annotation(_annotation(text, "its bundle annotation")),) if text else ()


def _timestamps(annotations: Mapping[str, str]) -> tuple[bytes, ...]:
    text = annotations.get(TIMESTAMP_ANNOTATION, "")
    if not text:
        return ()
    what = "its timestamp annotation"
    fields = fields_of(_annotation(text, what), what)
    only_known(fields, frozenset({"SignedRFC3161Timestamp"}), what)
    return (bytes_of(fields, "SignedRFC3161Timestamp", what),)


def _annotation(text: str, what: str) -> Json:
    try:
        return loads(text.encode("utf-8", "surrogatepass"), max_bytes=MAX_ANNOTATION_BYTES)
    except JsonRefused as exc:
        raise Refusal(f"{what} {exc}") from exc


def check_layer(candidate: SignatureCandidate, max_bytes: int) -> None:
    """Raises ``Malformed`` unless the bytes are what the layer's descriptor says, and not too many."""
    if len(candidate.payload) > max_bytes:
        raise Malformed(f"it has {len(candidate.payload)} bytes, at most {max_bytes} are read")
    if len(candidate.payload) != candidate.layer.size:
        raise Malformed(f"it has {len(candidate.payload)} bytes, its layer says {candidate.layer.size}")
    if Digest.of(candidate.payload, candidate.layer.digest.algorithm) != candidate.layer.digest:
        raise Malformed("its bytes do not match the digest of its layer")
