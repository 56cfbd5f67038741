"""A timestamp authority that tests can edit and break, part by part: tokens put together by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests import signing_world as world

MOMENT = datetime(2027, 1, 10, 12, tzinfo=UTC)
BORN = datetime(2026, 1, 1, tzinfo=UTC)
DEAD = datetime(2028, 1, 1, tzinfo=UTC)
Edit = Callable[[dict[str, Any]], object]


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True, slots=True)
class Holder:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Any = field(repr=False)


def hash_for(private: Any) -> hashes.HashAlgorithm | None:
    return None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def certificate(
    subject: str,
    public: Any,
    issuer: Holder | None,
    signing_key: Any,
    *,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...],
    born: datetime = BORN,
    dead: datetime = DEAD,
    digest: hashes.HashAlgorithm | None = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer.certificate.subject if issuer else name(subject))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(born)
        .not_valid_after(dead)
    )
    if issuer is not None:
        named = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.certificate.public_key())
        builder = builder.add_extension(named, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signing_key, digest or hash_for(signing_key))


CERTIFYING = (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)


def authority(
    subject: str,
    issuer: Holder | None = None,
    *,
    key: Any = None,
    path_length: int | None = None,
    usage: bool = True,
    more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    **changes: Any,
) -> Holder:
    """A certificate authority; ``more`` extensions come on top of its basic constraints."""
    private = key or ec.generate_private_key(ec.SECP256R1())
    extensions = (
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False),
        *([CERTIFYING] if usage else []),
        *more,
    )
    signed_by = issuer.key if issuer else private
    made = certificate(subject, private.public_key(), issuer, signed_by, extensions=extensions, **changes)
    return Holder(made, private)


STAMPING = ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),)


def signer(
    issuer: Holder,
    *,
    key: Any = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = STAMPING,
    **changes: Any,
) -> Holder:
    private = key or ec.generate_private_key(ec.SECP256R1())
    identifier = (x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False)
    made = certificate(
        "a timestamp signer",
        private.public_key(),
        issuer,
        issuer.key,
        extensions=(*extensions, identifier),
        **changes,
    )
    return Holder(made, private)


@dataclass(frozen=True, slots=True)
class Stamps:
    """Root, intermediate, signer."""

    root: Holder
    between: Holder
    signer: Holder

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        return self.signer.certificate, self.between.certificate, self.root.certificate


def stamps(which: str = "one") -> Stamps:
    """The same ``which`` gives the same authority for the whole run."""
    return _stamps(which)


@lru_cache
def _stamps(which: str) -> Stamps:
    root = authority(f"timestamp root {which}")
    between = authority(f"timestamp intermediate {which}", root)
    return Stamps(root, between, signer(between))


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def info(over: bytes, moment: datetime = MOMENT, digest: str = "sha256") -> dict[str, Any]:
    return {
        "version": "v1",
        "policy": "1.3.6.1.4.1.57264.2",
        "message_imprint": {
            "hash_algorithm": {"algorithm": digest},
            "hashed_message": hashlib.new(digest, over).digest(),
        },
        "serial_number": 7,
        "gen_time": moment,
        "accuracy": {"seconds": 1},
    }


def attributes(content: bytes, holder: Holder, digest: str = "sha256") -> list[dict[str, Any]]:
    own = {"cert_hash": hashlib.sha256(der(holder.certificate)).digest()}
    return [
        {"type": "content_type", "values": ["tst_info"]},
        {"type": "message_digest", "values": [hashlib.new(digest, content).digest()]},
        {
            "type": "signing_certificate_v2",
            "values": [tsp.SigningCertificateV2({"certs": [tsp.ESSCertIDv2(own)]})],
        },
    ]


def _signature(private: Any, content: bytes, digest: str, pss: bool) -> tuple[bytes, Any]:
    algorithm = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384}[digest]()
    if isinstance(private, rsa.RSAPrivateKey):
        if pss:
            scheme = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            parameters = algos.RSASSAPSSParams(
                {
                    "hash_algorithm": {"algorithm": digest},
                    "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": digest}},
                    "salt_length": algorithm.digest_size,
                }
            )
            return private.sign(content, scheme, algorithm), {
                "algorithm": "rsassa_pss",
                "parameters": parameters,
            }
        return private.sign(content, padding.PKCS1v15(), algorithm), {"algorithm": "rsassa_pkcs1v15"}
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(content), {"algorithm": "ed25519"}
    return private.sign(content, ec.ECDSA(algorithm)), {"algorithm": f"{digest}_ecdsa"}


def token(
    over: bytes,
    holder: Holder | None = None,
    *,
    moment: datetime = MOMENT,
    digest: str = "sha256",
    imprint: str = "sha256",
    pss: bool = False,
    by_key_identifier: bool = False,
    certificates: tuple[x509.Certificate, ...] | None = None,
    edit_info: Edit = world.unchanged,
    edit_attributes: Callable[[list[dict[str, Any]]], object] = lambda found: found,
    edit: Edit = world.unchanged,
) -> bytes:
    """A TimeStampToken. ``edit_info`` and ``edit_attributes`` come before signing, ``edit`` after it."""
    who = holder or stamps().signer
    embedded = (who.certificate, stamps().between.certificate) if certificates is None else certificates
    said = info(over, moment, imprint)
    edit_info(said)
    content = tsp.TSTInfo(said).dump()
    signed = attributes(content, who, digest)
    edit_attributes(signed)
    signed_attrs = cms.CMSAttributes(signed)
    signature, algorithm = _signature(who.key, signed_attrs.dump(), digest, pss)
    own = asn1_x509.Certificate.load(der(who.certificate))
    sid = (
        cms.SignerIdentifier("subject_key_identifier", own.key_identifier)
        if by_key_identifier
        else cms.SignerIdentifier(
            "issuer_and_serial_number", {"issuer": own.issuer, "serial_number": own.serial_number}
        )
    )
    signer_info = {
        "version": "v3" if by_key_identifier else "v1",
        "sid": sid,
        "digest_algorithm": {"algorithm": digest},
        "signed_attrs": signed_attrs,
        "signature_algorithm": algorithm,
        "signature": signature,
    }
    document: dict[str, Any] = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": digest}],
        "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
        "certificates": [asn1_x509.Certificate.load(der(one)) for one in embedded],
        "signer_infos": [signer_info],
    }
    edit(document)
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(document)}).dump()


def response(raw: bytes, status: str = "granted") -> bytes:
    """A TimeStampResp around a token."""
    document = {"status": {"status": status}, "time_stamp_token": cms.ContentInfo.load(raw)}
    return tsp.TimeStampResp(document).dump()


EMPTY_GRANT = bytes.fromhex("30053003020100")
"""A TimeStampResp that grants, and brings no token."""


SECOND = timedelta(seconds=1)
