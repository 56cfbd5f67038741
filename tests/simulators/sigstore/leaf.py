"""Fulcio's leaf certificates, with the SCT of the CT log in them (RFC 6962, 3.2 and 3.3)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.simulators.sigstore.authorities import (
    PrivateSigstore,
    _usage,
    authority_key,
    name_of,
    spki,
)

LIFE = timedelta(minutes=10)
FULCIO = "1.3.6.1.4.1.57264"
SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
OTHER_NAME = x509.ObjectIdentifier(f"{FULCIO}.1.7")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the certificate is for. ``extensions`` maps the last number of Fulcio's OIDs to its text."""

    subject: str = "https://git.test/shop/web/.github/workflows/release.yml@refs/heads/main"
    issuer: str = "https://token.git.test"
    kind: str = "uri"
    """``uri``, ``email`` or ``othername``."""
    extensions: Mapping[int, str] = field(default_factory=dict)

    @property
    def name(self) -> x509.GeneralName:
        if self.kind == "email":
            return x509.RFC822Name(self.subject)
        if self.kind == "othername":
            return x509.OtherName(OTHER_NAME, utf8(self.subject))
        return x509.UniformResourceIdentifier(self.subject)


def utf8(text: str) -> bytes:
    """A DER UTF8String."""
    return der(0x0C, text.encode())


def der(tag: int, content: bytes) -> bytes:
    """Tag, shortest length, content."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    wide = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(wide)]) + wide + content


def leaf(
    sigstore: PrivateSigstore, public_key: Any, identity: Identity, at: datetime | None = None
) -> x509.Certificate:
    """A certificate for ``public_key``, from half a minute before ``at`` on."""
    start = (at or sigstore.at) - timedelta(seconds=30)
    builder = _unlogged(sigstore, public_key, identity, start)
    if sigstore.faults.no_sct:
        return builder.sign(sigstore.ca_key, hashes.SHA384())
    other = sigstore.faults.sct_over_other_certificate
    logged = _unlogged(sigstore, public_key, Identity("https://other.test"), start) if other else builder
    stamps = _sct_list(sigstore, logged.sign(sigstore.ca_key, hashes.SHA384()), start)
    extension = x509.UnrecognizedExtension(SCT_LIST, stamps)
    return builder.add_extension(extension, critical=False).sign(sigstore.ca_key, hashes.SHA384())


def _unlogged(
    sigstore: PrivateSigstore, public_key: Any, identity: Identity, start: datetime
) -> x509.CertificateBuilder:
    faults = sigstore.faults
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name_of("fulcio intermediate"))
        .public_key(public_key)
        .serial_number(int.from_bytes(hashlib.sha256(spki(public_key)).digest()[:16], "big") >> 1 | 1)
        .not_valid_before(start)
        .not_valid_after(start + LIFE)
    )
    if faults.leaf_is_ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = _usage(digital_signature=True, key_cert_sign=faults.leaf_is_ca)
    builder = builder.add_extension(usage, critical=True)
    eku = (
        ExtendedKeyUsageOID.CLIENT_AUTH
        if faults.leaf_without_code_signing
        else ExtendedKeyUsageOID.CODE_SIGNING
    )
    builder = builder.add_extension(x509.ExtendedKeyUsage([eku]), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(sigstore.ca_key.public_key())
    builder = builder.add_extension(above, critical=False)
    names = [identity.name, identity.name] if faults.leaf_with_two_sans else [identity.name]
    if not faults.leaf_without_san:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return _fulcio_extensions(builder, identity, with_issuer=not faults.leaf_without_issuer)


def _fulcio_extensions(
    builder: x509.CertificateBuilder, identity: Identity, *, with_issuer: bool
) -> x509.CertificateBuilder:
    """fulcio docs/oid-info.md: .1 to .6 are bare text, .8 and above DER UTF8Strings."""
    texts = dict(identity.extensions)
    if with_issuer:
        texts |= {1: identity.issuer, 8: identity.issuer}
    for number, text in sorted(texts.items()):
        value = text.encode() if number < 7 else utf8(text)
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{FULCIO}.1.{number}"), value)
        builder = builder.add_extension(extension, critical=False)
    return builder


def _sct_list(sigstore: PrivateSigstore, unlogged: x509.Certificate, moment: datetime) -> bytes:
    """The extension's value: an OCTET STRING around a TLS list of one SCT."""
    time = struct.pack(">Q", int(moment.timestamp() * 1000))
    tbs = unlogged.tbs_certificate_bytes
    issuer = hashlib.sha256(spki(sigstore.ca_key)).digest()
    entry = b"\x00\x01" + issuer + len(tbs).to_bytes(3, "big") + tbs
    signed = b"\x00\x00" + time + entry + b"\x00\x00"
    broken = sigstore.faults.sct_signature_broken
    signer = authority_key("not the ct log") if broken else sigstore.ct_key
    signature = signer.sign(signed, ec.ECDSA(hashes.SHA256()))
    log_id = hashlib.sha256(spki(sigstore.ct_key)).digest()
    sct = b"\x00" + log_id + time + b"\x00\x00" + b"\x04\x03" + _two(signature)
    return der(0x04, _two(_two(sct)))


def _two(raw: bytes) -> bytes:
    return struct.pack(">H", len(raw)) + raw
