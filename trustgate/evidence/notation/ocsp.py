"""OCSP: the request for one certificate, and what a response proves (RFC 6960)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from asn1crypto.core import GeneralizedTime
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import CRLEntryExtensionOID, ExtendedKeyUsageOID, SignatureAlgorithmOID

from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.notation.certificates import is_issued_by, load_certificate
from trustgate.evidence.notation.refusal import Broken
from trustgate.evidence.notation.revocation import (
    CLOCK_SKEW,
    RevocationAnswer,
    RevocationQuestion,
    RevocationStatus,
    is_current,
    unknown,
)

MAX_RESPONSE_BYTES: Final = 64 * 1024
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_PSS: Final = SignatureAlgorithmOID.RSASSA_PSS


def request_for(question: RevocationQuestion) -> bytes:
    """The request, DER. SHA-1 names the certificate: many responders know no other."""
    certificate = x509.load_der_x509_certificate(question.certificate)
    issuer = x509.load_der_x509_certificate(question.issuer)
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
    return builder.build().public_bytes(Encoding.DER)


def judge_response(question: RevocationQuestion, raw: bytes, now: datetime) -> RevocationAnswer:
    """What the response says of the certificate. Never raises: what proves nothing is ``UNKNOWN``."""
    if len(raw) > MAX_RESPONSE_BYTES:
        return unknown(f"the OCSP response has {len(raw)} bytes, at most {MAX_RESPONSE_BYTES} are read")
    try:
        return _judge(question, raw, now)
    except (Broken, InvalidSignature, *MALFORMED) as exc:
        return unknown(f"the OCSP response can't be read ({type(exc).__name__})")


def _judge(  # noqa: PLR0911  # each no has its reason
    question: RevocationQuestion, raw: bytes, now: datetime
) -> RevocationAnswer:
    response = ocsp.load_der_ocsp_response(raw)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return unknown(f"the OCSP responder answered {response.response_status.name.lower()}")
    certificate, issuer = load_certificate(question.certificate), load_certificate(question.issuer)
    # 1. who answers: the issuer itself, or whom it gave a certificate for this
    why = _why_not_by(response, issuer, now)
    if why:
        return unknown(why)
    if response.produced_at_utc > now + CLOCK_SKEW:
        return unknown("the OCSP response is from the future")
    # 2. about this certificate, and now
    single = _single(response.responses, certificate, issuer)
    if single is None:
        return unknown("the OCSP response is about other certificates")
    stale = is_current(single.this_update_utc, single.next_update_utc, now)
    if stale:
        return unknown(f"the OCSP response {stale}")
    # 3. what it says
    match single.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return RevocationAnswer(RevocationStatus.GOOD, "good by OCSP", single.next_update_utc)
        case ocsp.OCSPCertStatus.REVOKED:
            return RevocationAnswer(
                RevocationStatus.REVOKED,
                f"revoked on {single.revocation_time_utc:%Y-%m-%d}"
                if single.revocation_time_utc
                else "revoked",
                single.next_update_utc,
                _invalid_since(response),
            )
        case _:
            return unknown("the OCSP responder does not know the certificate")


def _single(
    responses: Iterable[ocsp.OCSPSingleResponse], certificate: x509.Certificate, issuer: x509.Certificate
) -> ocsp.OCSPSingleResponse | None:
    for one in responses:
        if one.serial_number == certificate.serial_number and _is_of(one, issuer):
            return one
    return None


def _is_of(single: ocsp.OCSPSingleResponse, issuer: x509.Certificate) -> bool:
    """Serial numbers are unique within an issuer only; the CertID names it by two hashes."""
    algorithm = single.hash_algorithm.name
    name = hashlib.new(algorithm, issuer.subject.public_bytes(), usedforsecurity=False).digest()
    key = hashlib.new(algorithm, _key_bits(issuer), usedforsecurity=False).digest()
    return (single.issuer_name_hash, single.issuer_key_hash) == (name, key)


def _key_bits(certificate: x509.Certificate) -> bytes:
    """The subjectPublicKey without its algorithm (RFC 6960, section 4.1.1)."""
    match certificate.public_key():
        case rsa.RSAPublicKey() as key:
            return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        case ec.EllipticCurvePublicKey() as key:
            return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        case ed25519.Ed25519PublicKey() as key:
            return key.public_bytes_raw()
        case key:
            raise Broken(f"the issuer's key is {type(key).__name__}")


def _why_not_by(  # noqa: PLR0911  # each no has its reason
    response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime
) -> str:
    """Why the response is not by the issuer's authority (RFC 6960, section 4.2.2.2); empty when it is."""
    if _is_signed_by(response, issuer):
        return ""
    for responder in response.certificates[:4]:
        if not _is_signed_by(response, responder):
            continue
        if not is_issued_by(responder, issuer):
            return "the OCSP response is by a certificate that the issuer did not issue"
        if not responder.not_valid_before_utc <= now <= responder.not_valid_after_utc:
            return "the OCSP responder's certificate is not valid now"
        if not _is_responder(responder):
            return "the OCSP responder's certificate is not for that purpose"
        if not _has(responder, x509.OCSPNoCheck):
            return "the OCSP responder's own certificate could be revoked (it has no ocsp-nocheck)"
        return ""
    return "the OCSP response is not signed by the issuer or its responder"


def _is_responder(certificate: x509.Certificate) -> bool:
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in purposes


def _has(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> bool:
    try:
        certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return False
    return True


def _is_signed_by(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    algorithm = response.signature_hash_algorithm
    if not isinstance(algorithm, _HASHES) or response.signature_algorithm_oid == _PSS:
        return False
    try:
        match certificate.public_key():
            case rsa.RSAPublicKey() as key:
                key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
            case ec.EllipticCurvePublicKey() as key:
                key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _invalid_since(response: ocsp.OCSPResponse) -> datetime | None:
    """invalidityDate (RFC 5280, section 5.3.2), when the response is about one certificate alone."""
    try:
        found = list(response.single_extensions)
    except ValueError:  # about several
        return None
    return next(
        (date_of(one.value) for one in found if one.oid == CRLEntryExtensionOID.INVALIDITY_DATE), None
    )


def date_of(value: x509.ExtensionType) -> datetime | None:
    """The date of an invalidityDate extension, whether or not the library has read it."""
    if isinstance(value, x509.InvalidityDate):
        return value.invalidity_date_utc
    if isinstance(value, x509.UnrecognizedExtension):
        found = GeneralizedTime.load(value.value, strict=True).native
        return found.astimezone(UTC) if isinstance(found, datetime) else None
    return None
