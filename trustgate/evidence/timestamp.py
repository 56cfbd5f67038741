"""Verify RFC 3161 timestamps: an authority says that some bytes existed at a moment.

Shared by Sigstore (a TimeStampResp over a signature) and Notation (a bare TimeStampToken). The embedded
certificates may lead to an anchor and never be one; the anchors come from the configuration.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustgate.evidence.certificate_path import PathRefused, extension, is_authority, path_to_anchor
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.timestamp_token import (
    MAX_TOKEN_BYTES,
    MAX_TOKEN_CERTIFICATES,
    SignerName,
    TimestampRefused,
    Token,
    read_token,
    token_of_response,
)

__all__ = [
    "MAX_TOKEN_BYTES",
    "MAX_TOKEN_CERTIFICATES",
    "Timestamp",
    "TimestampRefused",
    "Token",
    "read_token",
    "token_of_response",
    "verify_timestamp",
]

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_CERTIFICATE_HASHES: Final = frozenset({"sha1", *_HASHES})
"""ESSCertID (version 1) knows SHA-1 alone; it names a certificate that the signature is verified with."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A proven time: the bytes existed at ``moment``, give or take ``accuracy``."""

    moment: datetime
    accuracy: timedelta
    chain: tuple[x509.Certificate, ...] = field(repr=False)
    """The signer's certificate, its issuers, the anchor."""

    @property
    def earliest(self) -> datetime:
        return self.moment - self.accuracy

    @property
    def latest(self) -> datetime:
        return self.moment + self.accuracy


def verify_timestamp(
    token: Token,
    *,
    over: bytes,
    anchors: Sequence[x509.Certificate],
    intermediates: Sequence[x509.Certificate] = (),
) -> Timestamp:
    """The time that ``token`` proves for the bytes ``over``. Raises ``TimestampRefused``.

    ``intermediates`` are further certificates that may be the signer's or lie on its path.
    """
    # 1. the imprint is of these bytes
    if not _is_hash(token.imprint_algorithm, over, token.imprint):
        raise TimestampRefused("the timestamp is over other bytes")
    # 2. what is signed is this content (RFC 5652, section 5.6)
    if not _is_hash(token.digest_algorithm, token.content, token.message_digest):
        raise TimestampRefused("the timestamp's content is not the one that was signed")
    # 3. the signer's certificate, named twice: by the signature, and inside what is signed
    known = (*token.certificates, *intermediates, *anchors)
    signer = _signer(token, known)
    # 4. the signature
    if not _is_signed(token, signer):
        raise TimestampRefused("the timestamp's signature is not by the certificate that it names")
    # 5. the certificate is for timestamps alone, and leads to an anchor at that time
    _check_signer(signer)
    _check_span(token)
    try:
        chain = path_to_anchor(
            signer,
            anchors=anchors,
            intermediates=(*intermediates, *token.certificates),
            moment=token.moment,
            purpose=ExtendedKeyUsageOID.TIME_STAMPING,
        )
    except PathRefused as exc:
        raise TimestampRefused(f"the timestamp authority is not trusted: {exc}") from exc
    return Timestamp(token.moment, token.accuracy, chain)


def _check_span(token: Token) -> None:
    try:
        _ = token.moment - token.accuracy, token.moment + token.accuracy
    except OverflowError as exc:
        raise TimestampRefused("the timestamp's accuracy is out of range") from exc


def _is_hash(algorithm: str, content: bytes, value: bytes) -> bool:
    if algorithm not in _HASHES:
        raise TimestampRefused(f"the timestamp uses {algorithm[:40]!a}; sha256, sha384, sha512 are accepted")
    return hmac.compare_digest(hashlib.new(algorithm, content).digest(), value)


def _signer(token: Token, known: Sequence[x509.Certificate]) -> x509.Certificate:
    named = [one for one in known if _is_named(token.signer, one)]
    for certificate in named:
        if all(_is_own(one.algorithm, one.value, certificate) for one in token.own_hashes):
            return certificate
    if named:
        raise TimestampRefused("the timestamp's signing-certificate attribute names another certificate")
    raise TimestampRefused("the certificate that signed the timestamp is neither embedded nor known")


def _is_named(name: SignerName, certificate: x509.Certificate) -> bool:
    if name.key_identifier:
        identifier = extension(certificate, x509.SubjectKeyIdentifier)
        return identifier is not None and identifier.digest == name.key_identifier
    return (
        certificate.serial_number == name.serial_number and certificate.issuer.public_bytes() == name.issuer
    )


def _is_own(algorithm: str, value: bytes, certificate: x509.Certificate) -> bool:
    if algorithm not in _CERTIFICATE_HASHES:
        return False
    found = hashes.SHA1() if algorithm == "sha1" else _HASHES[algorithm]  # noqa: S303  # ESSCertID is SHA-1
    return hmac.compare_digest(certificate.fingerprint(found), value)


def _is_signed(token: Token, signer: x509.Certificate) -> bool:
    algorithm = token.algorithm
    # the digest algorithm was checked with the content
    if algorithm.hash != token.digest_algorithm:
        raise TimestampRefused(f"the timestamp's signature uses {str(algorithm.hash)[:40]!a}")
    digest = _HASHES[algorithm.hash]
    try:
        match signer.public_key(), algorithm.kind:
            case (rsa.RSAPublicKey() as key, "rsassa_pkcs1v15"):
                key.verify(token.signature, token.signed, padding.PKCS1v15(), digest)
            case (rsa.RSAPublicKey() as key, "rsassa_pss"):
                scheme = padding.PSS(padding.MGF1(digest), algorithm.salt_length)
                key.verify(token.signature, token.signed, scheme, digest)
            case (ec.EllipticCurvePublicKey() as key, "ecdsa"):
                key.verify(token.signature, token.signed, ec.ECDSA(digest))
            case (ed25519.Ed25519PublicKey() as key, "ed25519"):
                key.verify(token.signature, token.signed)
            case _:
                return False
    except (InvalidSignature, *MALFORMED):  # a salt length may be any number
        return False
    return True


def _check_signer(signer: x509.Certificate) -> None:
    """RFC 3161, section 2.3: one extended key usage, timeStamping, critical."""
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound as exc:
        raise TimestampRefused("the timestamp's certificate is not for timestamps") from exc
    if list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise TimestampRefused("the timestamp's certificate is not for timestamps alone")
    if not usage.critical:
        raise TimestampRefused("the timestamp's certificate does not mark its purpose as critical")
    keys = extension(signer, x509.KeyUsage)
    if keys is not None and not (keys.digital_signature or keys.content_commitment):
        raise TimestampRefused("the timestamp's key is not for signatures")
    if is_authority(signer):
        raise TimestampRefused("the timestamp's certificate is an authority's")
