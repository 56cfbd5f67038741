"""Signing a tag: what stands is kept when it is proven, and nothing is signed when it is not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import pem as asn1_pem
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.signing_world import private_pem
from tests.unit.evidence.notary import scene as sc
from trustgate.errors import InvalidInput, KeyUnreadable
from trustgate.evidence.model import Outcome
from trustgate.evidence.notary.judge import MetadataSet
from trustgate.evidence.notary.keys import certificate_key
from trustgate.evidence.notary.metadata import Delegation, RoleKeys, read_targets
from trustgate.evidence.notary.private_key import MAX_ITERATIONS, read_delegation_key
from trustgate.evidence.notary.signing import MetadataSigner, targets_document
from trustgate.evidence.notary.tag_signing import delegation_name, files_for_tag
from trustgate.evidence.notary.trust import RELEASES, NotaryTrust
from trustgate.evidence.signature_bytes import PrivateKey

ROLE = "targets/alice"
DOCKERS = b"""\
-----BEGIN ENCRYPTED PRIVATE KEY-----
role: carol

MIHuMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAiYjebNIfBWMQICCAAw
HQYJYIZIAWUDBAEqBBAP1Ny4UEgDKEBxfpIGrISeBIGgkCPygP9m1wzTFo5kuKBH
p/Y5dcDsprZhq2lx97MMkO2m4/7RALE8GmXAtDEGslBDFT2k60HP1BwAbGWvn/cc
NPx58q/jsY/vbPTZAAKuhiXFtpW7OVciJjgzXAPLdYH56x6qPSU9ZqE2UqBlJxPn
Wt+H6TXFtq/oAqPJSrpaLfh6MSjX2vanu26sjw8eJG+4ymAG0k+HXHIGtZhAsozh
Lw==
-----END ENCRYPTED PRIVATE KEY-----
"""
DOCKERS_PUBLIC = (
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004bb8b6d3e159f1210a85cac8ecf29d57c53e3"
    "2683e075a0fab59bb0d691c6359a379af5df770f21e4e21cb48dc039ce6a8119272ada269474cda2229686b0d0b2"
)
NEW = b'{"schemaVersion": 2, "new": true}'


def world(*delegations: Delegation) -> sc.Scene:
    """``targets/alice`` and ``targets/releases`` of alice, the second with ``v1`` in it."""
    made = sc.scene()
    alice = sc.signer("alice")
    given = delegations or (sc.delegation(ROLE, alice), sc.delegation(RELEASES, alice))
    made.documents["targets"] = targets_document({}, given, version=3, expires=sc.LATER)
    return made


def signed(
    made: sc.Scene,
    *,
    tag: str = "v2",
    role: str = ROLE,
    private: PrivateKey | None = None,
    trust: NotaryTrust | None = None,
    metadata: MetadataSet | None = None,
) -> dict[str, bytes]:
    return files_for_tag(
        metadata or made.build(),
        gun=made.gun,
        tag=tag,
        meta=sc.meta(NEW),
        role=role,
        private=private or sc.private("alice"),
        trust=trust or sc.trust(),
        now=made.now,
    )


def test_the_tag_is_added_and_everything_else_stays() -> None:
    made = world()
    files = signed(made)
    assert set(files) == {ROLE, RELEASES}
    own, releases = read_targets(ROLE, files[ROLE]), read_targets(RELEASES, files[RELEASES])
    assert (own.signed.version, set(own.targets)) == (1, {"v2"})
    assert (releases.signed.version, set(releases.targets)) == (4, {"v1", "v2"})
    assert releases.targets["v1"] == sc.meta()
    # and our own judge takes it
    made.resealed = {RELEASES: lambda _raw: files[RELEASES]}
    made.tag, made.subject = "v2", replace(sc.OTHER, digest=sc.Digest.of(NEW), size=len(NEW))
    assert made.weigh().fact.outcome is Outcome.VERIFIED


def test_the_bytes_are_what_go_would_write() -> None:
    """notary-server signs the hash of its own encoding."""
    raw = signed(world())[ROLE]
    document = json.loads(raw)
    assert list(document) == ["signed", "signatures"]
    again = {"signed": document["signed"], "signatures": document["signatures"]}
    assert json.dumps(again, separators=(",", ":")).encode() == raw


def test_a_tag_that_stands_is_moved() -> None:
    files = signed(world(), tag="v1")
    assert read_targets(RELEASES, files[RELEASES]).targets == {"v1": sc.meta(NEW)}


def test_the_role_of_releases_alone() -> None:
    assert set(signed(world(), role=RELEASES)) == {RELEASES}


def test_a_delegation_to_a_certificate_of_the_key() -> None:
    private = sc.private("alice")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), 1, sc.NOW - timedelta(days=1), sc.LATER)
    ).sign(private, hashes.SHA256())  # type: ignore[arg-type]  # the scene's is EC
    key = certificate_key(certificate)
    keys = RoleKeys((key,), 1)
    made = world(Delegation(ROLE, keys, ("",)), Delegation(RELEASES, keys, ("",)))
    made.signers[RELEASES] = [MetadataSigner(key, private)]
    files = signed(made)
    assert [one.key_id for one in read_targets(ROLE, files[ROLE]).signed.signatures] == [key.id]
    # in two forms docker would not find it in both
    mixed = world(sc.delegation(ROLE, sc.signer("alice")), Delegation(RELEASES, keys, ("",)))
    mixed.signers[RELEASES] = [MetadataSigner(key, private)]
    with pytest.raises(InvalidInput, match="another form"):
        signed(mixed)


def test_a_foreign_root_is_never_built_on() -> None:
    with pytest.raises(InvalidInput, match="not signed by a root key that you pinned"):
        signed(world(), trust=sc.trust(sc.root("another")))


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda made: made.swapped.update({RELEASES: sc.replaced('"v1"', '"v9"')}), "does not match"),
        (lambda made: made.signers.update({RELEASES: [sc.signer("mallory")]}), "0 valid signatures"),
        (lambda made: made.signers.update({"targets": [sc.signer("mallory")]}), "0 valid signatures"),
        (lambda made: made.signers.update({"timestamp": [sc.signer("mallory")]}), "0 valid signatures"),
        (lambda made: setattr(made, "now", sc.LATER), "expired"),
    ],
)
def test_what_is_not_proven_is_not_signed_anew(break_it: Callable[[sc.Scene], None], reason: str) -> None:
    made = world()
    break_it(made)
    with pytest.raises(InvalidInput, match=reason):
        signed(made)


def test_a_role_that_the_server_hides_is_no_empty_one() -> None:
    made = world()
    whole = made.build()
    without = {role: raw for role, raw in whole.targets.items() if role != RELEASES}
    with pytest.raises(InvalidInput, match="which is missing"):
        signed(made, metadata=replace(whole, targets=without))


@pytest.mark.parametrize(
    ("delegations", "reason"),
    [
        ([sc.delegation(RELEASES, sc.signer("alice"))], f"no role {ROLE}"),
        ([sc.delegation(ROLE, sc.signer("alice"))], f"no role {RELEASES}"),
        (
            [sc.delegation(ROLE, sc.signer("bob")), sc.delegation(RELEASES, sc.signer("alice"))],
            "name this key",
        ),
        (
            [sc.delegation(ROLE, sc.signer("alice")), sc.delegation(RELEASES, sc.signer("bob"))],
            "name this key",
        ),
        (
            [
                sc.delegation(ROLE, sc.signer("alice"), paths=["a"]),
                sc.delegation(RELEASES, sc.signer("alice")),
            ],
            "may not name v2",
        ),
        (
            [
                Delegation(ROLE, sc.role_keys(sc.signer("alice"), sc.signer("bob"), threshold=2), ("",)),
                sc.delegation(RELEASES, sc.signer("alice")),
            ],
            "needs 2 signatures",
        ),
    ],
)
def test_a_key_that_may_not_speak(delegations: list[Delegation], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        signed(world(*delegations))


@pytest.mark.parametrize("role", ["targets", "root", "alice", "targets/a/b", "targets/../x", "targets/", ""])
def test_what_is_no_role_of_a_signer(role: str) -> None:
    with pytest.raises(InvalidInput, match="not a signer's role"):
        delegation_name(role)
    with pytest.raises(InvalidInput, match="not a signer's role"):
        signed(world(), role=role)


@given(st.binary(max_size=60))
def test_foreign_bytes_raise_nothing_else(raw: bytes) -> None:
    made = world()
    whole = made.build()
    for changed in (
        replace(whole, timestamp=raw),
        replace(whole, snapshot=raw),
        replace(whole, roots=(raw,)),
        replace(whole, targets={**whole.targets, RELEASES: raw}),
    ):
        with pytest.raises(InvalidInput):
            signed(made, metadata=changed)


# --- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ec", "p384", "rsa", "ed25519"])
def test_keys_of_docker_and_openssl(kind: str) -> None:
    private = sc.private("alice", kind)
    plain = private_pem(private)
    sealed = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    first, _, rest = sealed.partition(b"\n")
    headed = b"\n".join((first, b"role: alice", b"", rest))
    for pem in (plain, sealed, headed):
        read = read_delegation_key(pem, b"secret")
        assert read.public_key() == private.public_key()


def test_a_key_as_openssl_ec_writes_it() -> None:
    private = sc.private("alice")
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    assert read_delegation_key(pem, b"").public_key() == private.public_key()


def test_a_key_that_docker_made() -> None:
    """PKCS#8 of version 2 without a public key, as docker 20.10 wrote it; made for this test."""
    read = read_delegation_key(DOCKERS, b"repository-passphrase")
    der = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert der.hex() == DOCKERS_PUBLIC
    with pytest.raises(KeyUnreadable, match="passphrase"):
        read_delegation_key(DOCKERS, b"another")


@given(st.binary(max_size=200), st.booleans())
def test_no_key_file_raises_anything_else(der: bytes, sealed: bool) -> None:
    kind = "ENCRYPTED PRIVATE KEY" if sealed else "PRIVATE KEY"
    body = base64.encodebytes(der).decode()
    with pytest.raises(KeyUnreadable):
        read_delegation_key(f"-----BEGIN {kind}-----\n{body}-----END {kind}-----\n".encode(), b"x")


@pytest.mark.parametrize(
    ("pem", "password", "reason"),
    [
        (b"x", b"", "not a private key"),
        (b"x" * 100_000, b"", "are read"),
        ("sealed", b"wrong", "the passphrase is wrong"),
        ("sealed", b"", "the passphrase is wrong"),
        ("p521", b"", "can't be used"),
    ],
)
def test_keys_that_are_none(pem: bytes | str, password: bytes, reason: str) -> None:
    private = sc.private("alice")
    if pem == "sealed":
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    elif pem == "p521":
        made = ec.generate_private_key(ec.SECP521R1())
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption())
    assert isinstance(pem, bytes)
    with pytest.raises(KeyUnreadable, match=reason):
        read_delegation_key(pem, password)


@pytest.mark.parametrize("wrong", ["iterations", "cipher"])
def test_a_key_that_would_take_for_ever_or_is_sealed_otherwise(wrong: str) -> None:
    _name, _headers, der = asn1_pem.unarmor(DOCKERS)
    sealed = asn1_keys.EncryptedPrivateKeyInfo.load(der)
    parameters = sealed["encryption_algorithm"]["parameters"]
    if wrong == "iterations":
        parameters["key_derivation_func"]["parameters"]["iteration_count"] = MAX_ITERATIONS + 1
    else:
        parameters["encryption_scheme"]["algorithm"] = "tripledes_3key"
    changed = asn1_pem.armor("ENCRYPTED PRIVATE KEY", sealed.dump(force=True))
    began = time.monotonic()
    with pytest.raises(KeyUnreadable, match="can't be read"):
        read_delegation_key(changed, b"repository-passphrase")
    assert time.monotonic() - began < 1


def test_a_key_of_a_kind_that_signs_nothing() -> None:
    pem = x448.X448PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(KeyUnreadable, match=r"can't (sign tags|be read)"):
        read_delegation_key(pem, b"")
