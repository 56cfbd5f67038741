"""Certificate chains (signature-specification.md, "Certificate Requirements").

Of extensions only basic constraints, key usage and extended key usage are honoured, as the specification
asks. The validity of a chain is judged elsewhere: it depends on the time that is proven.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.notation.algorithms import PublicKey, algorithm_of
from trustgate.evidence.notation.refusal import Broken

MAX_CERTIFICATE_BYTES: Final = 32 * 1024
MIN_CA_RSA_BITS: Final = 2048
MAX_CA_RSA_BITS: Final = 8192
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_FOREIGN_PURPOSES: Final = {
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "any purpose",
    ExtendedKeyUsageOID.SERVER_AUTH: "servers",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clients",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "mail",
    ExtendedKeyUsageOID.TIME_STAMPING: "timestamps",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSP answers",
}
E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that keeps every rule: the signing certificate, its issuers, a self-signed root."""

    certificates: tuple[x509.Certificate, ...] = field(repr=False)

    @property
    def leaf(self) -> x509.Certificate:
        return self.certificates[0]

    @property
    def thumbprints(self) -> tuple[str, ...]:
        return tuple(map(thumbprint, self.certificates))

    def why_not_valid(self, earliest: datetime, latest: datetime) -> str:
        """Why a certificate of the chain is not valid in that whole span; empty when all are."""
        for one in self.certificates:
            if not (one.not_valid_before_utc <= earliest and latest <= one.not_valid_after_utc):
                return (
                    f"the certificate of {subject_of(one)} is valid from {_moment(one.not_valid_before_utc)} "
                    f"to {_moment(one.not_valid_after_utc)}, not at {_moment(earliest)}"
                )
        return ""


@lru_cache(maxsize=256)
def load_certificate(der: bytes) -> x509.Certificate:
    """One whose names, key, times and extensions can be read. Raises ``Broken``."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise Broken(f"a certificate has {len(der)} bytes, at most {MAX_CERTIFICATE_BYTES} are read")
    try:
        found = x509.load_der_x509_certificate(der)
        _ = found.extensions, found.subject, found.issuer, found.public_key(), found.serial_number
        _ = found.not_valid_before_utc, found.not_valid_after_utc, found.version
        _ = found.signature_hash_algorithm
    except MALFORMED as exc:
        raise Broken(f"a certificate can't be read ({type(exc).__name__})") from exc
    return found


def thumbprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def spki_sha256(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate's SubjectPublicKeyInfo, hex."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def subject_of(certificate: x509.Certificate) -> str:
    """The subject for people: escaped and cut."""
    return ascii(certificate.subject.rfc4514_string()[:120])[1:-1] or "an empty subject"


def code_signing_chain(certificates: Sequence[x509.Certificate]) -> Chain:
    """The chain of a signature. Raises ``Broken``."""
    _check_order(certificates)
    leaf, *authorities = certificates
    usage = _usage(leaf, critical=True)
    _check_leaf(leaf, usage)
    for purpose in _purposes(leaf):
        if purpose in _FOREIGN_PURPOSES:
            raise Broken(
                f"the signing certificate is also for {_FOREIGN_PURPOSES[purpose]} (extended key usage)"
            )
    for below, authority in enumerate(authorities):
        _check_authority(authority, _usage(authority, critical=True), below)
    return Chain(tuple(certificates))


def time_stamping_chain(certificates: Sequence[x509.Certificate]) -> Chain:
    """The chain of a timestamp: its key usage need not be critical, its purpose must. Raises ``Broken``."""
    _check_order(certificates)
    leaf, *authorities = certificates
    _check_leaf(leaf, _usage(leaf, critical=False))
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if extended is None or not extended.critical or _purposes(leaf) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise Broken("the timestamp's certificate is not for timestamps alone (critical extended key usage)")
    for below, authority in enumerate(authorities):
        _check_authority(authority, _usage(authority, critical=False), below)
    return Chain(tuple(certificates))


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Issued by itself, with a signature that is judged here."""
    return is_issued_by(certificate, certificate)


@lru_cache(maxsize=512)
def is_issued_by(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    """By name and by a signature with SHA-2 or Ed25519: SHA-1 and MD5 prove nothing.

    A pure question about bytes, so its answers may be kept: issuers are the same for many signatures.
    """
    try:
        fit = isinstance(child.signature_hash_algorithm, _HASHES) or (
            child.signature_algorithm_oid == SignatureAlgorithmOID.ED25519
        )
        if not fit or not _is_judged(issuer):
            return False
        child.verify_directly_issued_by(issuer)
    except (InvalidSignature, *MALFORMED):
        return False
    return True


def _is_judged(issuer: x509.Certificate) -> bool:
    match issuer.public_key():
        case rsa.RSAPublicKey() as key:
            return MIN_CA_RSA_BITS <= key.key_size <= MAX_CA_RSA_BITS
        case ec.EllipticCurvePublicKey() as key:
            return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1)
        case ed25519.Ed25519PublicKey():
            return True
        case _:
            return False


def _check_order(certificates: Sequence[x509.Certificate]) -> None:
    """Leaf to root, each issued by the next, and one root alone, at the end."""
    for index, (child, issuer) in enumerate(pairwise(certificates)):
        if is_self_signed(child):
            raise Broken(
                f"certificate {index + 1} of the chain is self-signed; only the last, the root, may be"
            )
        if not is_issued_by(child, issuer):
            raise Broken(
                f"certificate {index + 1} of the chain is not issued by the next one, with RSA from "
                f"{MIN_CA_RSA_BITS} bits, EC P-256 to P-521 or Ed25519, and SHA-2"
            )
    if not is_self_signed(certificates[-1]):
        raise Broken("the chain does not end with a self-signed root (signed with SHA-2)")


def _extension(certificate: x509.Certificate, kind: type[E]) -> x509.Extension[E] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _usage(certificate: x509.Certificate, *, critical: bool) -> x509.KeyUsage:
    found = _extension(certificate, x509.KeyUsage)
    if found is None:
        raise Broken(f"the certificate of {subject_of(certificate)} has no key usage")
    if critical and not found.critical:
        raise Broken(f"the certificate of {subject_of(certificate)} does not mark its key usage critical")
    return found.value


def _check_leaf(leaf: x509.Certificate, usage: x509.KeyUsage) -> None:
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise Broken("the signing certificate is an authority's (basic constraints)")
    others = (
        usage.key_encipherment,
        usage.data_encipherment,
        usage.key_agreement,
        usage.key_cert_sign,
        usage.crl_sign,
    )
    if not usage.digital_signature or any(others):
        raise Broken("the signing certificate's key usage is not digital signature alone")
    algorithm_of(leaf.public_key())


def _purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    found = _extension(certificate, x509.ExtendedKeyUsage)
    return list(found.value) if found is not None else []


def _check_authority(authority: x509.Certificate, usage: x509.KeyUsage, below: int) -> None:
    """``below`` counts the authorities between it and the leaf (RFC 5280, section 4.2.1.9)."""
    name = subject_of(authority)
    found = _extension(authority, x509.BasicConstraints)
    if found is None or not found.critical:
        raise Broken(f"the certificate of {name} has no critical basic constraints")
    constraints = found.value
    if not constraints.ca:
        raise Broken(f"the certificate of {name} stands in the chain and is no authority's")
    if constraints.path_length is not None and constraints.path_length < below:
        raise Broken(f"the chain is longer than the certificate of {name} allows (path length)")
    if not usage.key_cert_sign:
        raise Broken(f"the certificate of {name} may not sign certificates (key usage)")


def signing_key(chain: Chain) -> PublicKey:
    """The leaf's key. Raises ``Broken`` when it is of a kind that signs nothing here."""
    key = chain.leaf.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise Broken("the signing key is neither RSA nor EC")
    algorithm_of(key)
    return key


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
