"""RFC 3161 responses by the private timestamp authority."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import algos, cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.simulators.sigstore.authorities import PrivateSigstore, authority_key, der_of

POLICY = "1.3.6.1.4.1.57264.2"
GRANTED, REJECTION = 0, 2
_SHA256 = algos.DigestAlgorithm({"algorithm": "sha256"})


def timestamp(
    sigstore: PrivateSigstore, content: bytes, at: datetime | None = None, *, nonce: int | None = None
) -> bytes:
    """A DER ``TimeStampResp`` over ``content`` (for signatures: the raw signature bytes)."""
    return timestamp_digest(sigstore, hashlib.sha256(content).digest(), at, nonce=nonce)


def timestamp_digest(
    sigstore: PrivateSigstore,
    digest: bytes,
    at: datetime | None = None,
    *,
    algorithm: str = "sha256",
    nonce: int | None = None,
) -> bytes:
    faults = sigstore.faults
    if faults.timestamp_over_other_bytes:
        digest = hashlib.new(algorithm, b"other bytes").digest()
    moment = at or sigstore.at
    if faults.timestamp_before_leaf:
        moment -= timedelta(hours=1)
    if faults.timestamp_after_leaf:
        moment += timedelta(hours=1)
    info = tsp.TSTInfo(
        {
            "version": "v1",
            "policy": POLICY,
            "message_imprint": {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": digest},
            "serial_number": int.from_bytes(digest[:8], "big") >> 1,
            "gen_time": moment.replace(microsecond=0),
            **({"nonce": nonce} if nonce is not None else {}),
        }
    )
    status = REJECTION if faults.timestamp_refused else GRANTED
    response = tsp.TimeStampResp(
        {
            "status": {"status": status},
            "time_stamp_token": {"content_type": "signed_data", "content": _signed(sigstore, info)},
        }
    )
    raw: bytes = response.dump()
    return raw


def _signed(sigstore: PrivateSigstore, info: tsp.TSTInfo) -> cms.SignedData:
    leaf = der_of(sigstore.tsa_leaf)
    certificate = asn1_x509.Certificate.load(leaf)
    said = b"other content" if sigstore.faults.timestamp_of_other_content else info.dump()
    attributes = cms.CMSAttributes(
        [
            _attribute("content_type", "tst_info"),
            _attribute("message_digest", hashlib.sha256(said).digest()),
            _attribute(
                "signing_certificate_v2",
                tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(leaf).digest()}]}),
            ),
        ]
    )
    broken = sigstore.faults.timestamp_signature_broken
    key = authority_key("not the tsa") if broken else sigstore.tsa_key
    signer = {
        "version": "v1",
        "sid": cms.IssuerAndSerialNumber(
            {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
        ),
        "digest_algorithm": _SHA256,
        "signed_attrs": attributes,
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
    }
    return cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [_SHA256],
            "encap_content_info": {"content_type": "tst_info", "content": info},
            "certificates": [certificate],
            "signer_infos": [signer],
        }
    )


def _attribute(name: str, value: Any) -> cms.CMSAttribute:
    return cms.CMSAttribute({"type": name, "values": [value]})
