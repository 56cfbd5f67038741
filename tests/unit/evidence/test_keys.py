"""Public keys are read strictly, and named by the hash of their SPKI."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import signing_world as world
from trustgate.errors import KeyUnreadable
from trustgate.evidence.attestor import key_attestor, next_turn
from trustgate.evidence.keys import MAX_KEY_FILE_BYTES, key_id, read_public_key

GOOD = world.public_pem(world.key())


def certificate() -> bytes:
    key = world.key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, world.NOW, world.NOW + timedelta(days=1))
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa2048", "rsa3072"])
def test_supported_keys_are_read_and_named_by_their_spki(kind: str) -> None:
    private = world.key(kind)
    der = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    known = key_attestor("ci", world.public_pem(private), not_before=world.NOW)
    assert (
        known.trust.key_id
        == hashlib.sha256(der).hexdigest()
        == key_id(read_public_key(world.public_pem(private)))
    )
    assert (known.name, known.not_before, known.not_after) == ("ci", world.NOW, None)


@pytest.mark.parametrize(("kind", "word"), [("p521", "secp521r1"), ("rsa1024", "1024 bits"), ("dsa", "DSA")])
def test_other_kinds_are_refused_by_name(kind: str, word: str) -> None:
    with pytest.raises(KeyUnreadable, match=word) as caught:
        read_public_key(world.public_pem(world.key(kind)))
    assert "P-256" in caught.value.hint


def test_rsa_above_the_limit_is_refused() -> None:
    huge = rsa.RSAPublicNumbers(65537, (1 << 16383) + 1).public_key()
    pem = huge.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(KeyUnreadable, match="16384 bits"):
        read_public_key(pem)


@pytest.mark.parametrize(
    ("pem", "word"),
    [
        (certificate(), "a certificate"),
        (world.private_pem(world.key()), "a private key"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "an OpenPGP key"),
        (b"", "no PEM public key"),
        (b"garbage", "no PEM public key"),
        (b"here could stand a PRIVATE KEY", "no PEM public key"),
        (GOOD + GOOD, "2 PEM blocks"),
        (GOOD + certificate(), "2 PEM blocks"),
        (world.private_pem(world.key()) + GOOD, "2 PEM blocks"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key"),
        (b"x" * (10 * 1024 * 1024), f"at most {MAX_KEY_FILE_BYTES}"),
        (GOOD + b"\n" * MAX_KEY_FILE_BYTES, f"at most {MAX_KEY_FILE_BYTES}"),
    ],
)
def test_what_is_not_one_public_key_is_refused_with_what_it_is(pem: bytes, word: str) -> None:
    with pytest.raises(KeyUnreadable, match=word):
        read_public_key(pem)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255))))
def test_foreign_bytes_raise_nothing_but_key_unreadable(change: bytes | tuple[int, int]) -> None:
    if isinstance(change, tuple):
        at, byte = change
        change = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    for pem in (change, b"-----BEGIN PUBLIC KEY-----\n" + change + b"\n-----END PUBLIC KEY-----\n"):
        with suppress(KeyUnreadable):
            read_public_key(pem)


def test_the_next_turn_is_the_nearest_one_that_is_still_to_come() -> None:
    now = world.NOW
    hours = {name: now + timedelta(hours=number) for name, number in (("past", -1), ("soon", 1), ("late", 2))}
    ended = key_attestor("ended", GOOD, not_before=hours["past"], not_after=hours["past"])
    begins = key_attestor("begins", GOOD, not_before=hours["soon"], not_after=hours["late"])
    assert next_turn([], now) is None
    assert next_turn([ended, key_attestor("always", GOOD)], now) is None
    assert next_turn([key_attestor("now", GOOD, not_after=now)], now) is None
    assert next_turn([ended, begins], now) == hours["soon"]
