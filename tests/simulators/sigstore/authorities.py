"""The keys and certificates of the authorities."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.simulators.sigstore.faults import Faults

YEAR = timedelta(days=365)
ORGANISATION = "sigstore.test"


@lru_cache
def authority_key(role: str, kind: str = "p256") -> Any:
    """The private key of a role: the same for the whole run."""
    match kind:
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def spki(key: Any) -> bytes:
    """SubjectPublicKeyInfo, of a private or public key or of a certificate."""
    public = key.public_key() if hasattr(key, "public_key") else key
    der: bytes = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return der


def pem_of(thing: Any) -> bytes:
    """A certificate, or the public half of a key."""
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(serialization.Encoding.PEM)
    pem: bytes = thing.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True)
class PrivateSigstore:
    """All authorities at one moment. ``at`` is when they sign; they stand since a year before.

    ``host`` names the logs; real verifiers take the origin of Rekor 2 checkpoints from it.
    """

    faults: Faults = field(default_factory=Faults)
    at: datetime = datetime(2027, 1, 10, 12, tzinfo=UTC)
    host: str = "rekor.sigstore.test"
    host_v2: str = "rekor2.sigstore.test"

    # --- Fulcio ---

    @property
    def ca_root(self) -> x509.Certificate:
        return _authority("fulcio root", "fulcio root", self.at - YEAR, self.at + 9 * YEAR)

    @property
    def ca_intermediate(self) -> x509.Certificate:
        expired = self.faults.intermediate_expired
        return _authority(
            "fulcio intermediate",
            "fulcio root",
            self.at - YEAR,
            self.at - timedelta(days=1) if expired else self.at + 9 * YEAR,
            eku=ExtendedKeyUsageOID.CODE_SIGNING,
            is_ca=not self.faults.intermediate_is_no_ca,
        )

    @property
    def ca_key(self) -> Any:
        """Signs leaves."""
        foreign = self.faults.leaf_by_foreign_ca
        return authority_key("foreign intermediate" if foreign else "fulcio intermediate", "p384")

    # --- logs ---

    @property
    def ct_key(self) -> Any:
        return authority_key("unknown ct" if self.faults.sct_by_unknown_log else "ct")

    @property
    def rekor_key(self) -> Any:
        return authority_key("unknown rekor" if self.faults.unknown_log else "rekor")

    @property
    def rekor_v2_key(self) -> Any:
        return authority_key("unknown rekor2" if self.faults.unknown_log else "rekor2", "ed25519")

    # --- timestamps ---

    @property
    def tsa_key(self) -> Any:
        return authority_key("unknown tsa" if self.faults.tsa_unknown else "tsa")

    @property
    def tsa_root(self) -> x509.Certificate:
        return _authority("tsa root", "tsa root", self.at - YEAR, self.at + 9 * YEAR)

    @property
    def tsa_leaf(self) -> x509.Certificate:
        """By a foreign root with ``tsa_unknown``."""
        faults = self.faults
        usages = () if faults.tsa_without_eku else (ExtendedKeyUsageOID.TIME_STAMPING,)
        usages += (ExtendedKeyUsageOID.CODE_SIGNING,) if faults.tsa_with_second_eku else ()
        end = self.at - timedelta(days=1) if faults.tsa_expired else self.at + 9 * YEAR
        role = "unknown tsa" if faults.tsa_unknown else "tsa"
        return _timestamper(role, self.at - YEAR, end, usages, not faults.tsa_eku_not_critical)

    # --- tokens ---

    @property
    def issuer_key(self) -> Any:
        return authority_key("issuer", "rsa")


@cache
def _timestamper(
    role: str, start: datetime, end: datetime, usages: tuple[x509.ObjectIdentifier, ...], critical: bool
) -> x509.Certificate:
    builder = _started("tsa", "tsa root", authority_key(role), start, end, serial=77)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=critical)
    issuer = "tsa root" if role == "tsa" else "foreign tsa root"
    return builder.sign(authority_key(issuer, "p384"), hashes.SHA384())


@cache
def _authority(
    role: str,
    by: str,
    start: datetime,
    end: datetime,
    eku: x509.ObjectIdentifier | None = None,
    is_ca: bool = True,
) -> x509.Certificate:
    key = authority_key(role, "p384")
    builder = _started(role, by, key, start, end)
    length = 0 if role != by and is_ca else None
    builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=length), critical=True)
    builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    if eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage([eku]), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return builder.sign(authority_key(by, "p384"), hashes.SHA384())


def _started(
    role: str, by: str, key: Any, start: datetime, end: datetime, serial: int | None = None
) -> x509.CertificateBuilder:
    number = serial or int.from_bytes(hashlib.sha256(f"{role}{end}".encode()).digest()[:16], "big")
    return (
        x509.CertificateBuilder()
        .subject_name(name_of(role))
        .issuer_name(name_of(by))
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(start)
        .not_valid_after(end)
    )


def name_of(role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, role),
        ]
    )


def _usage(**on: bool) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: on.get(name, False) for name in names})
