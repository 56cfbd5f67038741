"""The path from a certificate to an anchor (RFC 5280, section 6), as signatures on artifacts need it.

Names and extensions that this room does not judge (name constraints, unknown critical extensions) end a
path: what is not understood does not count. An anchor is trusted by configuration, so its own signature is
not looked at; its validity and its being an authority are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from trustgate.evidence.malformed import MALFORMED

E = TypeVar("E", bound=x509.ExtensionType)

MAX_PATH_CERTIFICATES: Final = 6
MAX_ISSUER_TRIALS: Final = 32
"""Signatures of certificates that are tried for one path: many authorities of one name cost time."""
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_JUDGED: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)


class PathRefused(ValueError):
    """There is no valid path. The message says what the nearest one lacks."""


def load_certificate(der: bytes) -> x509.Certificate:
    """A certificate whose names, key and extensions can be read. Raises ``PathRefused``."""
    try:
        found = x509.load_der_x509_certificate(der)
        _ = found.extensions, found.subject, found.issuer, found.public_key(), found.signature_hash_algorithm
        _ = found.not_valid_before_utc, found.not_valid_after_utc, found.serial_number
    except MALFORMED as exc:
        raise PathRefused(f"the certificate can't be read ({type(exc).__name__})") from exc
    if found.serial_number <= 0:
        raise PathRefused("the certificate's serial number is not positive")
    return found


def path_to_anchor(
    leaf: x509.Certificate,
    *,
    anchors: Sequence[x509.Certificate],
    intermediates: Sequence[x509.Certificate],
    moment: datetime,
    purpose: x509.ObjectIdentifier,
) -> tuple[x509.Certificate, ...]:
    """Leaf, issuers, anchor: a path of which every certificate is valid at ``moment``.

    ``purpose`` is the extended key usage that no authority on the path may exclude. ``intermediates`` may
    come from anyone, ``anchors`` only from the configuration. Raises ``PathRefused``.
    """
    search = _Search(frozenset(anchors), (*anchors, *intermediates), moment, purpose)
    search.check_end(leaf)
    found = search.extend((leaf,))
    if found is None:
        raise PathRefused(search.reason)
    return found


@dataclass(slots=True)
class _Search:
    """One bounded depth-first search."""

    anchors: frozenset[x509.Certificate]
    issuers: tuple[x509.Certificate, ...]
    moment: datetime
    purpose: x509.ObjectIdentifier
    trials: int = field(default=0)
    reason: str = field(default="no certificate on its path is an anchor")

    def check_end(self, leaf: x509.Certificate) -> None:
        check_valid_at(leaf, self.moment)
        check_key(leaf)
        check_critical(leaf)

    def extend(self, path: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...] | None:
        if path[-1] in self.anchors:
            return path
        if len(path) == MAX_PATH_CERTIFICATES:
            return None
        for issuer in self._issuers_of(path):
            found = self.extend((*path, issuer))
            if found is not None:
                return found
        return None

    def _issuers_of(self, path: tuple[x509.Certificate, ...]) -> Iterator[x509.Certificate]:
        child = path[-1]
        for candidate in dict.fromkeys(self.issuers):
            if candidate.subject != child.issuer or candidate in path:
                continue
            self.trials += 1
            if self.trials > MAX_ISSUER_TRIALS:
                raise PathRefused(f"more than {MAX_ISSUER_TRIALS} certificates claim to be on its path")
            try:
                self._check_authority(candidate, below=len(path) - 1)
            except PathRefused as exc:
                self.reason = f"its issuer: {exc}"
                continue
            if _issued(child, candidate):
                yield candidate

    def _check_authority(self, certificate: x509.Certificate, *, below: int) -> None:
        check_valid_at(certificate, self.moment)
        check_key(certificate)
        check_critical(certificate)
        constraints = extension(certificate, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            raise PathRefused("the certificate is not an authority's")
        if constraints.path_length is not None and below > constraints.path_length:
            raise PathRefused("the path is longer than the authority's certificate allows")
        usage = extension(certificate, x509.KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            raise PathRefused("the certificate's key may not sign certificates")
        purposes = extension(certificate, x509.ExtendedKeyUsage)
        if purposes is not None and not {self.purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(
            purposes
        ):
            raise PathRefused("the authority's certificate is for another purpose")


def check_valid_at(certificate: x509.Certificate, moment: datetime) -> None:
    """Both ends are inside. Raises ``PathRefused``."""
    if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
        raise PathRefused(
            f"a certificate is valid from {_shown(certificate.not_valid_before_utc)} to "
            f"{_shown(certificate.not_valid_after_utc)}, not at {_shown(moment)}"
        )


def check_key(certificate: x509.Certificate) -> None:
    """Keys that are too weak, or of a kind not judged, prove nothing. Raises ``PathRefused``."""
    match certificate.public_key():
        case rsa.RSAPublicKey() as key if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            return
        case ec.EllipticCurvePublicKey() as key if isinstance(key.curve, _CURVES):
            return
        case ed25519.Ed25519PublicKey():
            return
        case _:
            raise PathRefused(
                "a certificate's key is none of RSA from 2048 to 8192 bits, P-256, P-384, P-521, Ed25519"
            )


def check_critical(certificate: x509.Certificate) -> None:
    """Raises ``PathRefused`` when a critical extension, or any name constraint, is not judged here."""
    for one in certificate.extensions:
        if (one.critical and one.oid not in _JUDGED) or one.oid == ExtensionOID.NAME_CONSTRAINTS:
            raise PathRefused(f"extension {one.oid.dotted_string} of a certificate is not judged here")


def extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """The extension's value, or ``None`` when the certificate has none."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether the certificate says that it may issue others."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


@lru_cache(maxsize=512)
def _issued(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether ``issuer`` signed ``child``: a pure question about bytes, so its answers may be kept."""
    algorithm = child.signature_hash_algorithm
    if algorithm is not None and not isinstance(algorithm, _HASHES):
        return False
    try:
        child.verify_directly_issued_by(issuer)
    except (InvalidSignature, *MALFORMED):
        return False
    return True


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
