"""What is signed here verifies here, and reads as notation writes it; signers that would be refused are."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests import notation_world as world
from tests import signing_world
from tests.notation_world import COSE, DAY, JWS, NOW, SIGNED_AT
from tests.simulators.places import KINDS as PLACES
from tests.simulators.places import place, put
from trustgate.errors import InvalidInput, KeyUnreadable
from trustgate.evidence.model import Outcome, Role
from trustgate.evidence.notation.cose import read_cose
from trustgate.evidence.notation.jws import read_jws
from trustgate.evidence.notation.manifest import candidate_of
from trustgate.evidence.notation.payload import read_payload
from trustgate.evidence.notation.signing import (
    NotationSigner,
    ToSign,
    read_signer,
    sign_envelope,
    signature_artifact,
    signer_of,
)
from trustgate.evidence.shape import role_of, signature_blobs
from trustgate.flows.sign import sign_image_notation
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import Tag

FORMATS = (JWS, COSE)
READERS = {JWS: read_jws, COSE: read_cose}


def signer(kind: str = "p256") -> NotationSigner:
    issued = world.signer(kind)
    return signer_of(issued.key, issued.chain)


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize("kind", world.KINDS)
def test_all_twelve(kind: str, media_type: str) -> None:
    what = ToSign(world.SUBJECT, SIGNED_AT, NOW + DAY, {"build": "7"})
    envelope = sign_envelope(what, signer(kind), media_type)
    artifact = signature_artifact(world.SUBJECT, signer(kind).chain, media_type, envelope, SIGNED_AT)
    found = candidate_of(parse_manifest(artifact.manifest), artifact.blobs)
    assert found is not None
    fact = world.judge(found)
    assert fact.outcome is Outcome.VERIFIED, fact.reason
    assert fact.valid_until == NOW + DAY
    read = READERS[media_type](envelope)
    assert read.attributes.signing_time == SIGNED_AT
    assert read_payload(read.payload).annotations == {"build": "7"}


@pytest.mark.parametrize("media_type", FORMATS)
def test_times_lose_their_fractions(media_type: str) -> None:
    what = ToSign(world.SUBJECT, SIGNED_AT + timedelta(microseconds=7))
    assert READERS[media_type](sign_envelope(what, signer(), media_type)).attributes.signing_time == SIGNED_AT


@pytest.mark.parametrize("media_type", FORMATS)
def test_a_timestamp_is_over_the_signature(media_type: str) -> None:
    asked: list[bytes] = []

    def countersign(signature: bytes) -> bytes:
        asked.append(signature)
        return b"a token"

    what = ToSign(world.SUBJECT, SIGNED_AT)
    read = READERS[media_type](sign_envelope(what, signer(), media_type, countersign=countersign))
    assert (read.timestamp, asked) == (b"a token", [read.signature])


def test_reading_keys() -> None:
    issued = world.signer("p384")
    read = read_signer(signing_world.private_pem(issued.key), issued.chain_pem)
    assert read.chain.certificates == issued.chain
    for key_pem, chain_pem, reason in (
        (b"x", issued.chain_pem, "not an unencrypted private key"),
        (b"x" * 100_000, issued.chain_pem, "are read"),
        (signing_world.private_pem(world.key("ed25519", "x")), issued.chain_pem, "neither RSA nor EC"),
        (signing_world.private_pem(world.key("p384", "x")), issued.chain_pem, "not that of the key"),
        (signing_world.private_pem(issued.key), b"", "can't be read"),
        (signing_world.private_pem(issued.key), issued.pem, "self-signed root"),
        (
            issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            issued.chain_pem,
            "unencrypted",
        ),
    ):
        with pytest.raises(KeyUnreadable, match=reason):
            read_signer(key_pem, chain_pem)


def test_a_chain_that_verifiers_refuse() -> None:
    bad = world.issue(world.root(), usages=("digital_signature", "key_agreement"))
    with pytest.raises(KeyUnreadable, match="digital signature alone"):
        signer_of(bad.key, bad.chain)


@pytest.mark.parametrize(
    ("changes", "media_type", "reason"),
    [
        ({"signed_at": NOW + 400 * DAY}, JWS, "is valid from"),
        ({"expiry": SIGNED_AT}, JWS, "expire before"),
        ({"metadata": {"io.cncf.notary.x": "1"}}, COSE, "reserved"),
        ({}, "application/json", "no envelope format"),
    ],
)
def test_what_is_not_signed(changes: dict[str, Any], media_type: str, reason: str) -> None:
    given: dict[str, Any] = {"subject": world.SUBJECT, "signed_at": SIGNED_AT, **changes}
    with pytest.raises(InvalidInput, match=reason):
        sign_envelope(ToSign(**given), signer(), media_type)


@pytest.mark.parametrize("kind", PLACES)
def test_it_is_stored_where_clients_look(kind: str, tmp_path: Path) -> None:
    with place(kind, tmp_path) as source:
        put(source, world.IMAGE, "v1")
        for media_type in FORMATS:
            done = sign_image_notation(
                source, Tag("v1"), signer(), media_type=media_type, metadata={}, now=SIGNED_AT
            )
            assert done.subject == world.SUBJECT.digest
            found = source.manifest(done.signature)
            manifest = parse_manifest(found.raw)
            contents = {
                one.digest: source.blob(one.digest, max_bytes=one.size) for one in signature_blobs(manifest)
            }
            assert role_of(manifest, contents) is Role.SIGNATURE
            candidate = candidate_of(manifest, contents)
            assert candidate is not None
            assert world.judge(candidate).outcome is Outcome.VERIFIED
        assert len(source.referrers(world.SUBJECT.digest, limit=10)) == 2


def test_the_manifest_is_notation_s() -> None:
    envelope = sign_envelope(ToSign(world.SUBJECT, SIGNED_AT), signer(), JWS)
    raw = signature_artifact(world.SUBJECT, signer().chain, JWS, envelope, SIGNED_AT).manifest
    document = json.loads(raw)
    assert document["artifactType"] == world.NOTARY
    assert document["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert json.loads(document["annotations"][world.THUMBPRINTS]) == list(signer().chain.thumbprints)
    assert isinstance(world.signer().certificate, x509.Certificate)
