"""Certificate revocation lists: what one proves of a certificate (RFC 5280, sections 5 and 6.3)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID, SignatureAlgorithmOID

from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.notation.certificates import load_certificate
from trustgate.evidence.notation.ocsp import date_of
from trustgate.evidence.notation.refusal import Broken
from trustgate.evidence.notation.revocation import (
    RevocationAnswer,
    RevocationQuestion,
    RevocationStatus,
    is_current,
    unknown,
)

MAX_CRL_BYTES: Final = 16 * 1024 * 1024
"""Some 400,000 revoked certificates."""
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_JUDGED: Final = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT})
_REMOVED: Final = x509.ReasonFlags.remove_from_crl


def judge_crl(question: RevocationQuestion, raw: bytes, url: str, now: datetime) -> RevocationAnswer:
    """What the list at ``url`` says of the certificate. Never raises: what proves nothing is ``UNKNOWN``."""
    if len(raw) > MAX_CRL_BYTES:
        return unknown(f"the CRL has {len(raw)} bytes, at most {MAX_CRL_BYTES} are read")
    try:
        return _judge(question, raw, url, now)
    except (Broken, *MALFORMED) as exc:
        return unknown(f"the CRL can't be read ({type(exc).__name__})")


def _judge(question: RevocationQuestion, raw: bytes, url: str, now: datetime) -> RevocationAnswer:
    certificate, issuer = load_certificate(question.certificate), load_certificate(question.issuer)
    crl = x509.load_der_x509_crl(raw)
    # 1. by the issuer, and current
    why = _why_not_by(crl, issuer)
    stale = is_current(crl.last_update_utc, crl.next_update_utc, now)
    if why or stale:
        return unknown(why or f"the CRL {stale}")
    # 2. what it lists counts whatever else it is; what it does not list, only if it is the whole list
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is not None:
        return _revoked(entry, crl.next_update_utc)
    gap = _gap(crl, certificate, url)
    if gap:
        return unknown(gap)
    return RevocationAnswer(RevocationStatus.GOOD, "not in the CRL", crl.next_update_utc)


def _why_not_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> str:
    if crl.issuer != issuer.subject:
        return "the CRL is by another issuer"
    ed = crl.signature_algorithm_oid == SignatureAlgorithmOID.ED25519
    if not (ed or isinstance(crl.signature_hash_algorithm, _HASHES)):
        return "the CRL is not signed with SHA-2"
    key = issuer.public_key()
    if not isinstance(
        key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
    ) or not crl.is_signature_valid(key):
        return "the CRL is not signed by the issuer"
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return "the issuer has no key usage"
    return "" if usage.crl_sign else "the issuer's key may not sign CRLs (key usage)"


def _revoked(entry: x509.RevokedCertificate, valid_until: datetime | None) -> RevocationAnswer:
    reason, since = None, None
    for one in entry.extensions:
        if isinstance(one.value, x509.CRLReason):
            reason = one.value.reason
        elif one.oid == CRLEntryExtensionOID.INVALIDITY_DATE:
            since = date_of(one.value)
    if reason is _REMOVED:  # belongs in a delta CRL only, section 5.3.1
        return unknown("the CRL says removeFromCRL, which a full CRL can't")
    why = f"revoked on {entry.revocation_date_utc:%Y-%m-%d}" + (f" ({reason.value})" if reason else "")
    return RevocationAnswer(RevocationStatus.REVOKED, why, valid_until, since)


def _gap(crl: x509.CertificateRevocationList, certificate: x509.Certificate, url: str) -> str:
    """Why a certificate that the list does not name may be revoked all the same; empty when it is not."""
    for one in crl.extensions:
        if one.oid in {ExtensionOID.FRESHEST_CRL, ExtensionOID.DELTA_CRL_INDICATOR}:
            return "the CRL has or is a delta, and deltas are not read by this version"
        if one.critical and one.oid not in _JUDGED:
            return f"the CRL has a critical extension that is not judged here ({one.oid.dotted_string})"
        if isinstance(one.value, x509.IssuingDistributionPoint):
            gap = _scope_gap(one.value, certificate, url)
            if gap:
                return gap
    try:
        certificate.extensions.get_extension_for_oid(ExtensionOID.FRESHEST_CRL)
    except x509.ExtensionNotFound:
        return ""
    return "the certificate names a delta CRL, and deltas are not read by this version"


def _scope_gap(scope: x509.IssuingDistributionPoint, certificate: x509.Certificate, url: str) -> str:
    """Section 5.2.5: a list may be for some certificates, or some reasons, only."""
    if scope.indirect_crl or scope.only_some_reasons or scope.only_contains_attribute_certs:
        return "the CRL is indirect or for some reasons only, which is not judged here"
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if scope.only_contains_user_certs and is_authority:
        return "the CRL is for end certificates only"
    if scope.only_contains_ca_certs and not is_authority:
        return "the CRL is for authorities only"
    names = [one.value for one in scope.full_name or () if isinstance(one, x509.UniformResourceIdentifier)]
    if scope.relative_name is not None or (scope.full_name is not None and url not in names):
        return "the CRL is for another distribution point"
    return ""
