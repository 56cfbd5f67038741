"""Bundles over artifacts: what the shared conformance cases do not reach."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests import signing_world
from tests import sigstore_world as world
from trustgate.evidence.dsse import Malformed
from trustgate.evidence.keys import KeyTrust, key_trust
from trustgate.evidence.sigstore.artifact import Artifact, artifact_of, verify_artifact
from trustgate.evidence.sigstore.content import Content
from trustgate.evidence.sigstore.log_signature import is_signed_by
from trustgate.evidence.sigstore.pattern import exact
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.evidence.sigstore.trust import KeylessTrust, keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root
from trustgate.oci.digest import Digest

CONTENT = b"an artifact"
FILE = artifact_of(CONTENT)
DIGEST = Artifact(hashlib.sha256(CONTENT).digest())
ROOT = read_trusted_root(world.instance().trusted_root())
ALICE = signing_world.key()
CI = keyless_trust(ROOT, issuer=exact(world.ISSUER), identity=exact(world.SUBJECT))


def alice(private: Any = ALICE, **more: Any) -> KeyTrust:
    return key_trust(signing_world.public_pem(private), **{"root": ROOT, "min_logs": 1, **more})


def message(
    private: Any, *, keyless: bool = False, entry: bool = True, edit: world.Edit = signing_world.unchanged
) -> bytes:
    """A bundle with a message signature."""
    sigstore = world.instance()
    holder = sigstore.certificate(private.public_key()) if keyless else private.public_key()
    signature = signing_world.signature(private, CONTENT)
    made = world.Signature(sigstore, private, holder, CONTENT, CONTENT, signature)

    def whole(document: dict[str, Any]) -> None:
        del document["dsseEnvelope"]
        digest = {"algorithm": "SHA2_256", "digest": signing_world.b64(DIGEST.sha256)}
        document["messageSignature"] = {"messageDigest": digest, "signature": signing_world.b64(signature)}
        edit(document)

    return world.bundle_of(made, entries=[made.entry("hashedrekord")] if entry else [], edit=whole)


def refused(raw: bytes, trust: KeyTrust | KeylessTrust, word: str, artifact: Artifact = FILE) -> None:
    with pytest.raises(Malformed, match=word):
        verify_artifact(raw, artifact, trust, now=world.NOW)


@pytest.mark.parametrize("artifact", [FILE, DIGEST])
@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_a_file_or_its_digest_by_key_or_certificate(kind: str, artifact: Artifact) -> None:
    private = signing_world.key(kind, "artifact")
    for raw, trust in ((message(private), alice(private)), (message(private, keyless=True), CI)):
        found = verify_artifact(raw, artifact, trust, now=world.NOW)
        assert (len(found.logs), found.signed_at) == (1, world.SIGNED)


def test_some_keys_need_the_whole_file() -> None:
    for private in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        raw = message(private, keyless=True)
        refused(raw, CI, "can't be verified with the digest alone", DIGEST)
    raw = message(ed25519.Ed25519PrivateKey.generate(), keyless=True)
    assert verify_artifact(raw, FILE, CI, now=world.NOW)


def test_a_key_without_a_root_proves_the_signature_alone() -> None:
    found = verify_artifact(message(ALICE), FILE, alice(root=None, min_logs=0), now=world.NOW)
    assert (found.logs, found.times) == (frozenset(), ())


def test_what_is_asked_for_must_be_there() -> None:
    refused(message(ALICE, entry=False), alice(), "0 of 1 needed transparency logs")
    for more in ({"root": None, "min_logs": 0}, {}):
        refused(message(ALICE), alice(signing_world.key(name="mallory"), **more), "not by the trusted key")
    refused(message(ALICE), alice(min_timestamps=1), "timestamp authorities")


def test_by_someone_else() -> None:
    other = keyless_trust(ROOT, issuer=exact(world.ISSUER), identity=exact("x"))
    refused(message(ALICE, keyless=True), other, "not for the trusted identity")


def test_key_and_certificate_are_not_taken_for_each_other() -> None:
    refused(message(ALICE), CI, "signed with a key")
    refused(message(ALICE, keyless=True), alice(), "signed with a certificate")


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda d: d["messageSignature"]["messageDigest"].update(digest="AAAA"), "another artifact"),
        (lambda d: d["messageSignature"].update(x=1), "does not name"),
        (lambda d: d["messageSignature"].update(signature="AAAA" * 1000), "more than"),
        (lambda d: d["messageSignature"]["messageDigest"].update(algorithm=7), "not a string"),
        (lambda d: d["messageSignature"].update(messageDigest=7), "not an object"),
    ],
)
def test_the_message(edit: world.Edit, word: str) -> None:
    refused(message(ALICE, edit=edit), alice(), word)


def older(document: dict[str, Any]) -> None:
    document["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"


def test_the_oldest_bundles_may_bring_a_promise_alone_but_not_nothing() -> None:
    def without(*names: str) -> world.Edit:
        def edit(document: dict[str, Any]) -> None:
            older(document)
            for name in names:
                del document["verificationMaterial"]["tlogEntries"][0][name]

        return edit

    assert verify_artifact(message(ALICE, edit=without("inclusionProof")), FILE, alice(), now=world.NOW).logs
    bare = message(ALICE, edit=without("inclusionProof", "inclusionPromise", "integratedTime"))
    refused(bare, alice(), "no inclusion proof")


def test_an_entry_of_an_envelope_is_not_of_a_message() -> None:
    made = world.sign_statement(Digest(f"sha256:{DIGEST.sha256.hex()}"), key=ALICE, holder=ALICE.public_key())
    entry = made.entry("dsse")

    def edit(document: dict[str, Any]) -> None:
        document["verificationMaterial"]["tlogEntries"] = [entry]

    refused(message(ALICE, edit=edit), alice(), "is of a DSSE envelope")


def test_another_file() -> None:
    refused(message(ALICE), alice(), "another artifact", artifact_of(b"x"))


@pytest.mark.parametrize(
    ("edit", "payload_type", "word"),
    [
        (signing_world.unchanged, "text/plain", "no in-toto statement"),
        (lambda s: s.update(_type="https://in-toto.io/Statement/v9"), signing_world.IN_TOTO, "of a type"),
        (lambda s: s.update(subject=[{"digest": {"sha256": "00"}}]), signing_world.IN_TOTO, "not about"),
    ],
)
def test_statements(edit: world.Edit, payload_type: str, word: str) -> None:
    subject = Digest(f"sha256:{DIGEST.sha256.hex()}")
    good = world.sign_statement(subject)
    assert verify_artifact(world.bundle_of(good), DIGEST, CI, now=world.NOW)
    made = world.sign_statement(subject, edit_statement=edit, payload_type=payload_type)
    refused(world.bundle_of(made, payload_type=payload_type), CI, word)


def test_a_hash_that_can_t_be_known_from_the_digest() -> None:
    content = Content(b"", None, DIGEST.sha256)
    assert content.hash("sha256") == DIGEST.sha256
    for algorithm, word in (("sha512", "only the artifact's SHA-256"), ("md5", "uses the hash")):
        with pytest.raises(Refusal, match=word):
            content.hash(algorithm)
    assert not content.is_signed_by(ALICE.public_key())


def test_logs_with_rsa_keys_and_keys_of_no_log() -> None:
    private = signing_world.key("rsa2048", "artifact")
    signature = signing_world.signature(private, b"x")
    assert is_signed_by(private.public_key(), signature, b"x")
    assert not is_signed_by(private.public_key(), signature, b"y")
    assert not is_signed_by(signing_world.key("dsa").public_key(), b"", b"x")
