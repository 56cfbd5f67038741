"""Keyrings: binary and armored, and only fingerprints of strong primary keys that are in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import openpgp_world as world
from trustgate.errors import KeyUnreadable
from trustgate.evidence.helm.armor import crc24
from trustgate.evidence.helm.packets import KeyPacket, key_packets
from trustgate.evidence.helm.trust import (
    MAX_FINGERPRINTS,
    MAX_KEYRING_BYTES,
    gpg_trust,
    weakness,
    whole_keyring_trust,
)

KEY, RSA, OTHER = world.pgp_key("ed25519"), world.pgp_key("rsa2048"), world.pgp_key("ed25519", "other")
RING = KEY.public() + RSA.public()
few = settings(max_examples=300, deadline=None)


def refusal(keyring: bytes, *fingerprints: str) -> str:
    with pytest.raises(KeyUnreadable) as caught:
        gpg_trust(keyring, fingerprints or [KEY.fingerprint])
    return f"{caught.value.message} {caught.value.hint}"


def armored(content: bytes, **more: str) -> bytes:
    return world.armor(content, "PUBLIC KEY BLOCK", checksum=world.crc24(content), **more).encode()


def test_a_keyring_in_every_form_is_one() -> None:
    binary = gpg_trust(RING, [KEY.fingerprint])
    assert binary.identities == {f"gpg:{KEY.fingerprint}"}
    assert set(binary.keys) == {KEY.fingerprint, RSA.fingerprint}
    assert binary.keys[RSA.fingerprint].bits == 2048
    assert binary.keys[KEY.fingerprint].created == world.MADE
    for form in (
        armored(RING),
        armored(RING).replace(b"\n", b"\r\n"),
        armored(KEY.public()) + b"\nbetween\n" + armored(RSA.public(), headers="Comment: second\n"),
    ):
        again = gpg_trust(form, [KEY.fingerprint])
        assert (again.keyring, again.keyring_digest) == (RING, binary.keyring_digest)


def test_fingerprints_are_read_as_gpg_prints_them() -> None:
    spaced = " ".join(KEY.fingerprint[at : at + 4] for at in range(0, 40, 4)).lower()
    assert gpg_trust(RING, [spaced, f"0x{RSA.fingerprint}"]).fingerprints == {
        KEY.fingerprint,
        RSA.fingerprint,
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (KEY.fingerprint[-16:], "key ids can be forged"),
        ("A" * 64, "not a fingerprint"),
        ("", "not a fingerprint"),
        (OTHER.fingerprint, "the keyring has no key"),
    ],
    ids=["short", "long", "empty", "absent"],
)
def test_other_fingerprints_are_refused(text: str, why: str) -> None:
    assert why in refusal(RING, text)


def test_no_fingerprint_and_too_many() -> None:
    with pytest.raises(KeyUnreadable, match="0 fingerprints"):
        gpg_trust(RING, [])
    many = [f"{number:040X}" for number in range(MAX_FINGERPRINTS + 1)]
    assert "fingerprints are given" in refusal(RING, *many)


def test_weak_keys_and_subkeys_are_refused() -> None:
    weak = world.pgp_key("rsa1024")
    assert "RSA with 1024 bits" in refusal(weak.public(), weak.fingerprint)
    below = world.packet(14, OTHER.body)
    assert f"name its primary key: {KEY.fingerprint}" in refusal(KEY.public() + below, OTHER.fingerprint)
    for algorithm, word in ((17, "DSA"), (16, "of algorithm 16")):
        assert word in weakness(KeyPacket("F", algorithm, 4096, world.MADE, "F"))
    assert "20000 bits" in weakness(KeyPacket("F", 1, 20000, world.MADE, "F"))


@pytest.mark.parametrize(
    ("keyring", "why"),
    [
        (b"", "is empty"),
        (b"x" * (MAX_KEYRING_BYTES + 1), "at most"),
        (b"hello", "holds no public key block"),
        (b"\0\0\0\x20\1\1\0\2KBXf", "is a keybox"),
        (b"\x7f\xff", "neither binary nor armored"),
        (armored(RING).replace(b"\n=", b"\n=A"), "checksum"),
        (armored(RING)[:-60], "without an end"),
        (armored(RING).replace(b"PUBLIC", b"PRIVATE"), "makes no sense"),
        (armored(RING) + armored(RING)[:40], "without an end"),
        (world.packet(5, b"secret") + RING, "holds a secret key"),
        (world.packet(7, b"secret") + RING, "holds a secret key"),
        (RING[:-3], "cut off"),
        (world.packet(6, b"\x04\0"), "cut off"),
        (world.packet(6, b"\x04" + bytes(70_000)), "more than 65535"),
        (world.packet(6, b"\x06" + bytes(50)), "has no key"),
        (world.packet(13, b"a") * 10_001, "more than 10000 packets"),
    ],
    ids=lambda value: value if isinstance(value, str) else "keyring",
)
def test_other_keyrings_are_refused(keyring: bytes, why: str) -> None:
    assert why in refusal(keyring)


def test_a_whole_keyring_as_helm_means_it() -> None:
    weak = world.pgp_key("rsa1024")
    trust = whole_keyring_trust(RING + weak.public() + world.packet(14, OTHER.body))
    assert trust.fingerprints == {KEY.fingerprint, RSA.fingerprint, weak.fingerprint}
    with pytest.raises(KeyUnreadable, match="no key that is read here"):
        whole_keyring_trust(world.packet(6, b"\x06" + bytes(50)))
    with pytest.raises(KeyUnreadable, match="is empty"):
        whole_keyring_trust(b"")


def test_subkeys_stand_below_their_primary_key() -> None:
    first, second = key_packets(KEY.public() + world.packet(14, RSA.body))
    assert (first.primary, second.primary) == (KEY.fingerprint, KEY.fingerprint)
    old = world.packet(6, b"\x06" + bytes(50)) + world.packet(14, RSA.body)
    assert [key.primary for key in key_packets(old)] == [RSA.fingerprint]


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc24(b"") == 0xB704CE
    assert crc24(b"123456789") == 0x21CF02


@few
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for keyring in (raw, b"\x99" + raw, b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + raw):
        with pytest.raises(KeyUnreadable):
            gpg_trust(keyring, [KEY.fingerprint])
