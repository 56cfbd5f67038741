"""Public keys as tokens hold them, and the bytes that go to a token and come back."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import Attribute, KeyType

from tests import notation_world
from tests.signing_world import key
from tests.simulators.tokens import CURVES, octet_string, public_attributes
from trustgate.errors import KeyUnreadable, SigningKeyUnavailable
from trustgate.evidence.pkcs11.public_key import (
    MAX_ATTRIBUTE_BYTES,
    MAX_CERTIFICATE_BYTES,
    certified_public_key,
    ec_public_key,
    ed25519_public_key,
    rsa_public_key,
)
from trustgate.evidence.pkcs11.signature import bytes_for_token, signature_from_token
from trustgate.evidence.signing_algorithm import SigningAlgorithm, cosign_algorithm

P256 = bytes.fromhex(CURVES["secp256r1"])


def read(attributes: dict[Attribute, Any]) -> Any:
    if attributes[Attribute.KEY_TYPE] == KeyType.RSA:
        return rsa_public_key(attributes[Attribute.MODULUS], attributes[Attribute.PUBLIC_EXPONENT])
    reader = ec_public_key if attributes[Attribute.KEY_TYPE] == KeyType.EC else ed25519_public_key
    return reader(attributes[Attribute.EC_PARAMS], attributes[Attribute.EC_POINT])


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519", "rsa2048"])
def test_every_kind_is_read(kind: str) -> None:
    assert read(public_attributes(key(kind))) == key(kind).public_key()


@pytest.mark.parametrize("kind", ["p256", "p521", "ed25519"])
def test_a_point_without_its_wrapping(kind: str) -> None:
    attributes = public_attributes(key(kind))
    attributes[Attribute.EC_POINT] = attributes[Attribute.EC_POINT][2 + (kind == "p521") :]
    assert read(attributes) == key(kind).public_key()


@pytest.mark.parametrize("params", ["06032b6570", "06092b06010401da470f01", "130c656477617264733235353139"])
def test_ed25519_has_three_names(params: str) -> None:
    point = key("ed25519").public_key().public_bytes_raw()
    assert ed25519_public_key(bytes.fromhex(params), octet_string(point)) == key("ed25519").public_key()


POINT = key("p256").public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
SHORT = key("p256").public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


@pytest.mark.parametrize(
    ("params", "point", "reason"),
    [
        (P256, b"", "no attributes"),
        (b"", POINT, "no attributes"),
        (P256, b"\4" * (MAX_ATTRIBUTE_BYTES + 1), "too long"),
        (bytes.fromhex(CURVES["secp256k1"]), octet_string(POINT), "curve that is not known"),
        (P256, octet_string(POINT[:-1]), "not a point"),
        (P256, octet_string(POINT) + b"\0", "not a point"),
        (P256, b"\x03" + octet_string(POINT)[1:], "not a point"),
        (P256, octet_string(SHORT), "not a point"),
        (P256, octet_string(b"\4" + b"\1" * 64), "not a point"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # the keys are others in every process
)
def test_what_is_no_ec_key(params: bytes, point: bytes, reason: str) -> None:
    with pytest.raises(KeyUnreadable, match=reason):
        ec_public_key(params, point)


def test_what_is_no_other_key() -> None:
    for reader, given_, reason in (
        (ed25519_public_key, (P256, b"\1" * 32), "curve that is not known"),
        (ed25519_public_key, (bytes.fromhex("06032b6570"), b"\1" * 31), "can't be read"),
        (rsa_public_key, (b"\0", b"\3"), "make no key"),
        (rsa_public_key, (b"\xff" * 256, b"\2"), "make no key"),
        (rsa_public_key, (b"\xff" * 256, b"\0"), "make no key"),
        (certified_public_key, (b"x",), "can't be read"),
        (certified_public_key, (b"x" * (MAX_CERTIFICATE_BYTES + 1),), "are read"),
    ):
        with pytest.raises(KeyUnreadable, match=reason):
            reader(*given_)  # type: ignore[operator]  # one table for readers of one and of two attributes


def test_a_certificate_of_a_key_that_signs_nothing_here() -> None:
    private = ed448.Ed448PrivateKey.generate()
    issued = notation_world.issue(notation_world.root(), private=private)
    with pytest.raises(KeyUnreadable, match="is for a Ed448PublicKey"):
        certified_public_key(issued.certificate.public_bytes(Encoding.DER))


def test_a_certificate_has_a_key() -> None:
    issued = notation_world.signer("p384")
    der = issued.certificate.public_bytes(Encoding.DER)
    assert certified_public_key(der) == issued.key.public_key()


@given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from(sorted(CURVES.values())))
def test_any_attributes_are_read_or_refused(one: bytes, two: bytes, curve: str) -> None:
    for reader, params in (
        (ec_public_key, bytes.fromhex(curve)),
        (ed25519_public_key, bytes.fromhex("06032b6570")),
        (ec_public_key, one),
        (rsa_public_key, one),
    ):
        with suppress(KeyUnreadable):
            reader(params, two)
    with suppress(KeyUnreadable):
        certified_public_key(one)


def test_what_goes_to_the_token() -> None:
    lengths = {algorithm: len(bytes_for_token(b"x" * 1000, algorithm)) for algorithm in SigningAlgorithm}
    assert lengths == {
        SigningAlgorithm.ED25519: 1000,
        SigningAlgorithm.ECDSA_SHA256: 32,
        SigningAlgorithm.ECDSA_SHA384: 48,
        SigningAlgorithm.ECDSA_SHA512: 64,
        SigningAlgorithm.RSA_PKCS1_SHA256: 51,
        SigningAlgorithm.RSA_PSS_SHA256: 32,
        SigningAlgorithm.RSA_PSS_SHA384: 48,
        SigningAlgorithm.RSA_PSS_SHA512: 64,
    }


@pytest.mark.parametrize("raw", [b"", b"\1", b"\1" * 63, b"\1" * 134])
def test_an_answer_that_is_no_ecdsa_signature(raw: bytes) -> None:
    with pytest.raises(SigningKeyUnavailable, match="no ECDSA signature"):
        signature_from_token(raw, SigningAlgorithm.ECDSA_SHA256)


def test_which_algorithm_cosign_verifies() -> None:
    kinds = {
        kind: cosign_algorithm(key(kind).public_key()) for kind in ("p256", "p384", "ed25519", "rsa2048")
    }
    assert kinds == {
        "p256": SigningAlgorithm.ECDSA_SHA256,
        "p384": SigningAlgorithm.ECDSA_SHA256,
        "ed25519": SigningAlgorithm.ED25519,
        "rsa2048": SigningAlgorithm.RSA_PKCS1_SHA256,
    }
    with pytest.raises(KeyUnreadable, match="secp521r1"):
        cosign_algorithm(key("p521").public_key())
