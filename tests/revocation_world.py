"""OCSP responses and CRLs as authorities make them, and as they must not be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.notation_world import DAY, NOW, Issued, issue, key, root
from trustgate.evidence.notation.revocation import RevocationQuestion, questions_of

OCSP_URL, CRL_URL = "http://ocsp.test/", "http://crl.test/root.crl"


def access(*urls: str) -> x509.AuthorityInformationAccess:
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(Access.OCSP, x509.UniformResourceIdentifier(url)) for url in urls]
    )


def points(*urls: str) -> x509.CRLDistributionPoints:
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in urls]
    )


def leaf(*extensions: x509.ExtensionType, by: Issued | None = None, **changes: Any) -> Issued:
    """A signer's certificate that says where to ask."""
    given: dict[str, Any] = {"private": key("p256", "notation"), "extensions": extensions}
    return issue(by or root(), **{**given, **changes})


def question(issued: Issued) -> RevocationQuestion:
    (found,) = questions_of(issued.chain)
    return found


def responder(by: Issued | None = None, **changes: Any) -> Issued:
    """A certificate to answer with in the issuer's stead."""
    given: dict[str, Any] = {
        "private": key("p256", "responder"),
        "subject": {"CN": "responder"},
        "purposes": [ExtendedKeyUsageOID.OCSP_SIGNING],
        "extensions": [x509.OCSPNoCheck()],
    }
    return issue(by or root(), **{**given, **changes})


def response(
    issued: Issued,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    issuer: x509.Certificate | None = None,
    by: Issued | None = None,
    embed: Sequence[x509.Certificate] | None = None,
    this_update: datetime = NOW - DAY,
    next_update: datetime | None = NOW + DAY,
    algorithm: hashes.HashAlgorithm | None = None,
    cert_id_hash: hashes.HashAlgorithm | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
) -> bytes:
    """A response about ``issued``, by its issuer or by the responder ``by``."""
    authority_certificate = issuer or issued.chain[1]
    who = by or root()
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=issued.certificate,
            issuer=authority_certificate,
            algorithm=cert_id_hash or hashes.SHA1(),  # noqa: S303
            cert_status=status,
            this_update=this_update,
            next_update=next_update,
            revocation_time=NOW - DAY if status is ocsp.OCSPCertStatus.REVOKED else None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, who.certificate)
    )
    embedded = embed if embed is not None else ([by.certificate] if by else [])
    if embedded:
        builder = builder.certificates(list(embedded))
    for one in extensions:
        builder = builder.add_extension(one, critical=False)
    fitting = None if isinstance(who.key, ed25519.Ed25519PrivateKey) else algorithm or hashes.SHA256()
    return builder.sign(who.key, fitting).public_bytes(Encoding.DER)


def revoked(
    issued: Issued, reason: x509.ReasonFlags | None = None, invalid_since: datetime | None = None
) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(issued.certificate.serial_number)
        .revocation_date(NOW - DAY)
    )
    if reason is not None:
        builder = builder.add_extension(x509.CRLReason(reason), critical=False)
    if invalid_since is not None:
        builder = builder.add_extension(
            x509.InvalidityDate(invalid_since.replace(tzinfo=None)), critical=False
        )
    return builder.build()


def crl(
    *entries: x509.RevokedCertificate,
    by: Issued | None = None,
    sign_with: Any = None,
    last_update: datetime = NOW - DAY,
    next_update: datetime = NOW + DAY,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    algorithm: hashes.HashAlgorithm | None = None,
) -> bytes:
    who = by or root()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(who.certificate.subject)
        .last_update(last_update)
        .next_update(next_update)
    )
    for entry in entries:
        builder = builder.add_revoked_certificate(entry)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(sign_with or who.key, algorithm or hashes.SHA256()).public_bytes(Encoding.DER)
