"""Keys and certificates of the real stack, as files in the forms that its programs read."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.simulators.sigstore.authorities import YEAR, _usage, name_of, pem_of, spki

KEY_PASSWORD = "stack"


def write_keys(folder: Path) -> None:
    """Everything that does not change while the stack runs."""
    _fulcio(folder)
    _tsa(folder)
    ct, rekor_1, rekor_2 = _p256(), _p256(), ed25519.Ed25519PrivateKey.generate()
    (folder / "ct.der").write_bytes(_private(ct, serialization.Encoding.DER))
    (folder / "ct.pub.der").write_bytes(spki(ct))
    for name, key in (("ct", ct), ("rekor1", rekor_1), ("rekor2", rekor_2)):
        (folder / f"{name}.pub").write_bytes(pem_of(key))
        (folder / f"{name}.key").write_bytes(_private(key))
    issuer = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "issuer.pem").write_bytes(_private(issuer))
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(issuer.public_key()))
    jwks = {"keys": [jwk | {"kid": "1", "alg": "RS256", "use": "sig"}]}
    (folder / "issuer.jwks").write_text(json.dumps(jwks))


def _fulcio(folder: Path) -> None:
    root, intermediate = _p384(), _p384()
    top = _certificate("fulcio root", root, "fulcio root", root, ca=True)
    middle = _certificate(
        "fulcio intermediate",
        intermediate,
        "fulcio root",
        root,
        ca=True,
        eku=ExtendedKeyUsageOID.CODE_SIGNING,
    )
    (folder / "fulcio-root.pem").write_bytes(pem_of(top))
    (folder / "fulcio-chain.pem").write_bytes(pem_of(middle) + pem_of(top))
    (folder / "fulcio.key").write_bytes(_encrypted(intermediate))


def _tsa(folder: Path) -> None:
    root, intermediate, leaf = _p384(), _p384(), _p256()
    usage = ExtendedKeyUsageOID.TIME_STAMPING
    top = _certificate("tsa root", root, "tsa root", root, ca=True)
    middle = _certificate("tsa intermediate", intermediate, "tsa root", root, ca=True, eku=usage)
    end = _certificate("tsa", leaf, "tsa intermediate", intermediate, ca=False, eku=usage, critical=True)
    (folder / "tsa-chain.pem").write_bytes(pem_of(end) + pem_of(middle) + pem_of(top))
    (folder / "tsa.key").write_bytes(_encrypted(leaf))


def _certificate(
    role: str,
    key: Any,
    issuer: str,
    issuer_key: Any,
    *,
    ca: bool,
    eku: x509.ObjectIdentifier | None = None,
    critical: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(role))
        .issuer_name(name_of(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + YEAR)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    usage = _usage(key_cert_sign=True, crl_sign=True) if ca else _usage(digital_signature=True)
    builder = builder.add_extension(usage, critical=True)
    if eku is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([eku]), critical=critical)
    return builder.sign(issuer_key, hashes.SHA384())


def _p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _p384() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def _private(key: Any, encoding: serialization.Encoding = serialization.Encoding.PEM) -> bytes:
    raw: bytes = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return raw


def _encrypted(key: Any) -> bytes:
    raw: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(KEY_PASSWORD.encode()),
    )
    return raw
