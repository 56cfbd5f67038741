"""cosign's encrypted private keys: read, written, and bounded."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.secret import SecretBox

from tests import signing_world as world
from tests.shared_files import shared
from trustgate.errors import KeyUnreadable
from trustgate.evidence.cosign_key import public_pem, read_private_key, write_private_key
from trustgate.evidence.keys import MAX_KEY_FILE_BYTES

KEY = world.key()


@cache
def written() -> bytes:
    return write_private_key(KEY, b"secret")


def pem_of(document: object, label: str = "SIGSTORE") -> bytes:
    body = base64.encodebytes(json.dumps(document).encode()).decode()
    name = f"ENCRYPTED {label} PRIVATE KEY"
    return f"-----BEGIN {name}-----\n{body}-----END {name}-----\n".encode()


def document_of(pem: bytes) -> Any:
    return json.loads(base64.b64decode(b"".join(pem.splitlines()[1:-1])))


def changed(change: Callable[[Any], object]) -> bytes:
    document = document_of(written())
    change(document)
    return pem_of(document)


def test_the_key_that_cosign_wrote_is_read() -> None:
    folder = shared("fixtures", "cosign-3.1.2-signed")
    key = read_private_key((folder / "cosign.key").read_bytes(), b"")
    assert public_pem(key) == (folder / "cosign.pub").read_bytes()


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa2048"])
def test_what_is_written_is_read_again(kind: str) -> None:
    key = world.key(kind)
    again = read_private_key(write_private_key(key, b"secret"), b"secret")
    assert public_pem(again) == public_pem(key) == world.public_pem(key)


def test_it_is_written_as_cosign_writes_it() -> None:
    assert written().startswith(b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    document = document_of(written())
    assert document["kdf"]["params"] == {"N": 65536, "r": 8, "p": 1}
    salt, nonce = (base64.b64decode(text) for text in (document["kdf"]["salt"], document["cipher"]["nonce"]))
    secret = hashlib.scrypt(b"secret", salt=salt, n=65536, r=8, p=1, dklen=32, maxmem=2**28)
    der = SecretBox(secret).decrypt(base64.b64decode(document["ciphertext"]), nonce)
    assert serialization.load_der_private_key(der, None).private_numbers() == KEY.private_numbers()  # type: ignore[union-attr]
    assert document_of(write_private_key(KEY, b"secret"))["kdf"]["salt"] != document["kdf"]["salt"]


def test_the_older_label_and_windows_line_ends_are_read() -> None:
    made = written()
    for pem in (made.replace(b"SIGSTORE", b"COSIGN"), made.replace(b"\n", b"\r\n"), b"\n" + made):
        assert public_pem(read_private_key(pem, b"secret")) == public_pem(KEY)


@pytest.mark.parametrize(
    ("kind", "form"), [("p256", "PKCS8"), ("p256", "TraditionalOpenSSL"), ("ed25519", "PKCS8")]
)
def test_plain_pem_is_read(kind: str, form: str) -> None:
    key = world.key(kind)
    assert public_pem(read_private_key(world.private_pem(key, form), b"")) == public_pem(key)


def test_a_wrong_password_names_the_variable() -> None:
    with pytest.raises(KeyUnreadable, match="password") as caught:
        read_private_key(written(), b"wrong")
    assert "COSIGN_PASSWORD" in caught.value.hint


@pytest.mark.parametrize(
    "parameters",
    [
        {"N": 2**25},
        {"N": 2**18},
        {"N": 2**9},
        {"N": 65537},
        {"N": 0},
        {"N": -65536},
        {"N": 65536.0},
        {"N": "65536"},
        {"r": 17},
        {"r": 0},
        {"r": True},
        {"p": 5},
        {"p": 0},
    ],
)
def test_a_file_that_asks_for_too_much_is_refused_at_once(parameters: dict[str, object]) -> None:
    pem = changed(lambda document: document["kdf"]["params"].update(parameters))
    begun = time.monotonic()
    with pytest.raises(KeyUnreadable, match="asks for scrypt"):
        read_private_key(pem, b"secret")
    assert time.monotonic() - begun < 0.05


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: d["kdf"].update(name="pbkdf2"), "encrypted with"),
        (lambda d: d["cipher"].update(name="aes"), "encrypted with"),
        (lambda d: d["cipher"].update(nonce="AAAA"), "nonce of 3 bytes"),
        (lambda d: d["kdf"].update(salt="*"), "damaged"),
        (lambda d: d["kdf"].update(salt=7), "damaged"),
        (lambda d: d.update(kdf="scrypt"), "damaged"),
        (lambda d: d.pop("ciphertext"), "damaged"),
        (lambda d: d.update(ciphertext="AAAA"), "password"),
    ],
)
def test_a_damaged_file_is_told_apart(change: Callable[[Any], object], word: str) -> None:
    with pytest.raises(KeyUnreadable, match=word):
        read_private_key(changed(change), b"secret")


def test_an_array_in_place_of_the_document_is_damage() -> None:
    with pytest.raises(KeyUnreadable, match="damaged"):
        read_private_key(pem_of([1]), b"")


def test_a_key_that_signs_nothing_is_told_by_name() -> None:
    with pytest.raises(KeyUnreadable, match="X25519PrivateKey can't sign images"):
        read_private_key(world.private_pem(x25519.X25519PrivateKey.generate()), b"")


@pytest.mark.parametrize("kind", ["p521", "rsa1024", "dsa"])
def test_a_key_that_could_not_be_verified_is_not_used_to_sign(kind: str) -> None:
    with pytest.raises(KeyUnreadable):
        read_private_key(world.private_pem(world.key(kind)), b"")


def test_other_files_are_refused() -> None:
    encrypted = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    for pem in (b"", b"garbage", world.public_pem(KEY), encrypted):
        with pytest.raises(KeyUnreadable, match="not a private key"):
            read_private_key(pem, b"")
    with pytest.raises(KeyUnreadable, match=f"at most {MAX_KEY_FILE_BYTES}"):
        read_private_key(b"x" * (MAX_KEY_FILE_BYTES + 1), b"")


def test_blank_lines_without_end_cost_no_time() -> None:
    begun = time.monotonic()
    with pytest.raises(KeyUnreadable):
        read_private_key(b"-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----" + b"\n" * 60_000 + b"x", b"")
    assert time.monotonic() - begun < 2


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_foreign_bytes_raise_nothing_but_key_unreadable(body: bytes) -> None:
    wrapped = base64.encodebytes(body).decode()
    pem = (
        f"-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n{wrapped}-----END ENCRYPTED COSIGN PRIVATE KEY-----\n"
    )
    for raw in (body, pem.encode()):
        with pytest.raises(KeyUnreadable):
            read_private_key(raw, b"")
