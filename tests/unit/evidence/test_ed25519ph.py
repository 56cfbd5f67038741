"""Ed25519ph: only where the trust store says so, and never in place of plain Ed25519."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from nacl.bindings import (
    crypto_sign_ed25519ph_final_create,
    crypto_sign_ed25519ph_state,
    crypto_sign_ed25519ph_update,
)

from trustgate.errors import KeyUnreadable
from trustgate.evidence.attestor import key_attestor
from trustgate.evidence.cosign_key import public_pem
from trustgate.evidence.keys import KeyTrust
from trustgate.evidence.signature_bytes import sign, verifies

CONTENT = b"what is signed"


@pytest.fixture
def key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def prehashed(key: ed25519.Ed25519PrivateKey, content: bytes) -> bytes:
    seed = key.private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    state = crypto_sign_ed25519ph_state()
    crypto_sign_ed25519ph_update(state, content)
    made: bytes = crypto_sign_ed25519ph_final_create(state, seed + key.public_key().public_bytes_raw())
    return made


def test_each_form_verifies_as_itself_only(key: ed25519.Ed25519PrivateKey) -> None:
    public = key.public_key()
    assert verifies(public, prehashed(key, CONTENT), CONTENT, prehashed=True)
    assert not verifies(public, prehashed(key, CONTENT), CONTENT)
    assert verifies(public, sign(key, CONTENT), CONTENT)
    assert not verifies(public, sign(key, CONTENT), CONTENT, prehashed=True)


@pytest.mark.parametrize("signature", [b"", b"x" * 63, b"x" * 64, b"x" * 65])
def test_junk(key: ed25519.Ed25519PrivateKey, signature: bytes) -> None:
    assert not verifies(key.public_key(), signature, CONTENT, prehashed=True)


def test_other_content_and_other_keys(key: ed25519.Ed25519PrivateKey) -> None:
    signature = prehashed(key, CONTENT)
    assert not verifies(key.public_key(), signature, b"other", prehashed=True)
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    assert not verifies(other, signature, CONTENT, prehashed=True)


def test_it_is_for_ed25519_keys() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    assert not verifies(other.public_key(), b"x" * 64, CONTENT, prehashed=True)
    with pytest.raises(KeyUnreadable):
        key_attestor("x", public_pem(other), prehashed=True)
    own = key_attestor("x", public_pem(ed25519.Ed25519PrivateKey.generate()), prehashed=True)
    assert isinstance(own.trust, KeyTrust)
    assert own.trust.prehashed
