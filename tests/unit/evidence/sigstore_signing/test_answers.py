"""What Fulcio, Rekor and timestamp authorities answer: read strictly, and held against what was asked."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from tests.signing_world import key
from tests.simulators.sigstore import Faults, Identity, PrivateSigstore
from tests.simulators.sigstore.authorities import pem_of
from tests.simulators.sigstore.entries import Said, body
from tests.simulators.sigstore.leaf import leaf
from tests.simulators.sigstore.logs import entry_v1, entry_v2
from tests.simulators.sigstore.minting import sign_bytes
from tests.simulators.sigstore.timestamps import timestamp
from trustgate.errors import InvalidInput
from trustgate.evidence.dsse import Malformed
from trustgate.evidence.sigstore_signing import fulcio, rekor, timestamping
from trustgate.evidence.sigstore_signing.material import Material, for_bundle, for_layer

SIGSTORE = PrivateSigstore()
MINE: ec.EllipticCurvePrivateKey = key("p256", "mine")
CONTENT = b"what is signed"
SIGNATURE = sign_bytes(MINE, CONTENT)
ABOUT = rekor.Loggable(SIGNATURE, CONTENT, MINE.public_key())
SAID = Said(SIGNATURE, MINE, CONTENT)
V1 = entry_v1(SIGSTORE, "hashedrekord/0.0.1", body("hashedrekord/0.0.1", SAID))
V2 = entry_v2(SIGSTORE, "hashedrekord/0.0.2", body("hashedrekord/0.0.2", SAID))


def edited(document: Any, edit: Callable[[Any], object]) -> bytes:
    copy = json.loads(json.dumps(document))
    edit(copy)
    return json.dumps(copy).encode()


def nothing(_document: Any) -> None:
    """No edit."""


# --- Fulcio ------------------------------------------------------------------------------------------


def chain(*certificates: Any) -> dict[str, Any]:
    pems = [pem_of(one).decode() for one in certificates]
    return {"signedCertificateEmbeddedSct": {"chain": {"certificates": pems}}}


LEAF = leaf(SIGSTORE, MINE.public_key(), Identity())
ANSWER = chain(LEAF, SIGSTORE.ca_intermediate, SIGSTORE.ca_root)


def test_a_chain_for_our_key() -> None:
    found = fulcio.read_chain(json.dumps(ANSWER).encode(), MINE.public_key())
    assert found.leaf == LEAF
    assert found.above == (SIGSTORE.ca_intermediate, SIGSTORE.ca_root)
    assert found.above_pem == pem_of(SIGSTORE.ca_intermediate) + pem_of(SIGSTORE.ca_root)


def test_a_certificate_for_another_key_is_refused() -> None:
    with pytest.raises(Malformed, match="another key"):
        fulcio.read_chain(json.dumps(ANSWER).encode(), key("p256", "other").public_key())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"signedCertificateEmbeddedSct": []}',
        b'{"signedCertificateEmbeddedSct": {"chain": {}}}',
        b'{"signedCertificateEmbeddedSct": {"chain": {"certificates": []}}}',
        b'{"signedCertificateEmbeddedSct": {"chain": {"certificates": ["x"]}}}',
        json.dumps(chain(*[LEAF] * (fulcio.MAX_CHAIN + 1))).encode(),
        b" " * (fulcio.MAX_ANSWER_BYTES + 1),
    ],
)
def test_what_is_no_chain(answer: bytes) -> None:
    with pytest.raises(Malformed):
        fulcio.read_chain(answer, MINE.public_key())


# --- Rekor -------------------------------------------------------------------------------------------


def test_an_entry_of_rekor_1() -> None:
    found = rekor.read_entry_v1(json.dumps({V1.uuid: V1.as_rekor_v1()}).encode())
    rekor.check_entry(found, ABOUT)
    assert V1.proof is not None
    assert found.proof is not None
    assert (found.kind, found.version) == ("hashedrekord", "0.0.1")
    assert (found.index, found.integrated_time, found.promise) == (V1.log_index, V1.integrated_time, V1.set)
    assert (found.proof.root, found.proof.hashes) == (V1.proof.root, V1.proof.hashes)
    assert for_bundle(Material(entries=(found,)))["tlogEntries"] == [V1.as_json()]
    annotation = for_layer(Material(entries=(found,)))["dev.sigstore.cosign/bundle"]
    assert json.loads(annotation) == V1.as_annotation()


def test_an_entry_of_rekor_2() -> None:
    found = rekor.read_entry_v2(json.dumps(V2.as_json()).encode())
    rekor.check_entry(found, ABOUT)
    assert (found.integrated_time, found.promise) == (None, b"")
    assert for_bundle(Material(entries=(found,)))["tlogEntries"] == [V2.as_json()]


def test_the_first_entry_of_a_log_has_the_index_that_protobuf_leaves_out() -> None:
    first = entry_v2(SIGSTORE, "hashedrekord/0.0.2", V2.body, before=()).as_json()
    assert not {"logIndex", "hashes"} & {*first, *first["inclusionProof"]}
    found = rekor.read_entry_v2(json.dumps(first).encode())
    assert found.proof is not None
    assert (found.index, found.proof.index, found.proof.hashes) == (0, 0, ())


def test_an_entry_about_another_signature_is_refused() -> None:
    other = rekor.Loggable(sign_bytes(MINE, b"other"), b"other", MINE.public_key())
    for found in (
        rekor.read_entry_v1(json.dumps({"a": V1.as_rekor_v1()}).encode()),
        rekor.read_entry_v2(json.dumps(V2.as_json()).encode()),
    ):
        with pytest.raises(Malformed, match="another signature"):
            rekor.check_entry(found, other)


def _v1(edit: Callable[[Any], object]) -> bytes:
    return edited({"u": V1.as_rekor_v1()}, lambda document: edit(document["u"]))


def _v2(edit: Callable[[Any], object]) -> bytes:
    return edited(V2.as_json(), edit)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        edited({"a": V1.as_rekor_v1(), "b": V1.as_rekor_v1()}, nothing),
        edited({"a": []}, nothing),
        _v1(lambda e: e.pop("verification")),
        _v1(lambda e: e.update(body="?")),
        _v1(lambda e: e.update(body=base64.b64encode(b"[]").decode())),
        _v1(lambda e: e.update(body=base64.b64encode(b"{}").decode())),
        _v1(lambda e: e.update(logID="zz")),
        _v1(lambda e: e.update(logIndex=-1)),
        _v1(lambda e: e.update(logIndex=True)),
        _v1(lambda e: e.update(logIndex="1e3")),
        _v1(lambda e: e.update(integratedTime=2**63)),
        _v1(lambda e: e["verification"].update(signedEntryTimestamp="?")),
        _v1(lambda e: e["verification"].update(inclusionProof=[])),
        _v1(lambda e: e["verification"]["inclusionProof"].update(hashes="x")),
        _v1(lambda e: e["verification"]["inclusionProof"].update(hashes=["00"] * (rekor.MAX_HASHES + 1))),
        _v1(lambda e: e["verification"]["inclusionProof"].pop("checkpoint")),
        _v1(lambda e: e["verification"]["inclusionProof"].update(rootHash="x")),
    ],
)
def test_what_is_no_entry_of_rekor_1(answer: bytes) -> None:
    with pytest.raises(Malformed):
        rekor.read_entry_v1(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        _v2(lambda e: e.pop("canonicalizedBody")),
        _v2(lambda e: e.pop("inclusionProof")),
        _v2(lambda e: e.pop("logId")),
        _v2(lambda e: e["inclusionProof"].update(rootHash="?")),
        _v2(lambda e: e["inclusionProof"]["checkpoint"].update(envelope="")),
        _v2(lambda e: e["inclusionProof"].update(treeSize="-1")),
    ],
)
def test_what_is_no_entry_of_rekor_2(answer: bytes) -> None:
    with pytest.raises(Malformed):
        rekor.read_entry_v2(answer)


def test_rekor_1_without_a_proof_is_taken_since_its_promise_is_there() -> None:
    found = rekor.read_entry_v1(_v1(lambda e: e["verification"].pop("inclusionProof")))
    assert found.proof is None
    assert found.promise


def test_keys_that_a_log_does_not_take() -> None:
    ed25519 = rekor.Loggable(b"s", b"c", key("ed25519").public_key())
    with pytest.raises(InvalidInput, match="digests only"):
        rekor.entry_request_v1(ed25519)
    assert rekor.entry_request_v1(rekor.Loggable(b"s", b"c", ed25519.signer, b"{}"))
    for kind in ("ed25519", "p384"):
        with pytest.raises(InvalidInput, match="Rekor 2 takes no"):
            rekor.entry_request_v2(rekor.Loggable(b"s", b"c", key(kind).public_key()))
    request = json.loads(rekor.entry_request_v2(rekor.Loggable(b"s", b"c", key("rsa2048").public_key())))
    verifier = request["hashedRekordRequestV002"]["signature"]["verifier"]
    assert verifier["keyDetails"] == "PKIX_RSA_PKCS1V15_2048_SHA256"


# --- timestamps --------------------------------------------------------------------------------------


def test_a_timestamp_for_this_request() -> None:
    timestamping.check_answer(timestamp(SIGSTORE, CONTENT, nonce=7), CONTENT, 7)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (timestamp(SIGSTORE, CONTENT, nonce=8), "another request"),
        (timestamp(SIGSTORE, CONTENT), "another request"),
        (timestamp(SIGSTORE, b"other", nonce=7), "other bytes"),
        (timestamp(PrivateSigstore(Faults(timestamp_refused=True)), CONTENT, nonce=7), "rejection"),
        (b"", "not an RFC 3161"),
        (b"\x30\x00", "not an RFC 3161"),
        (b"\x30\x05\x30\x03\x02\x01\x02", "rejection"),
        (timestamp(SIGSTORE, CONTENT, nonce=7) + b"\x00", "not an RFC 3161"),
        (timestamp(SIGSTORE, CONTENT, nonce=7)[:-40], "not an RFC 3161"),
    ],
)
def test_what_is_no_timestamp_for_this_request(answer: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        timestamping.check_answer(answer, CONTENT, 7)


GOOD_STAMP = timestamp(SIGSTORE, CONTENT, nonce=7)


@given(st.integers(0, len(GOOD_STAMP) - 1), st.integers(1, 255))
def test_one_byte_changed_raises_nothing_else(place: int, by: int) -> None:
    changed = bytearray(GOOD_STAMP)
    changed[place] ^= by
    with contextlib.suppress(Malformed):
        timestamping.check_answer(bytes(changed), CONTENT, 7)


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for reader in (
        lambda: fulcio.read_chain(raw, MINE.public_key()),
        lambda: rekor.read_entry_v1(raw),
        lambda: rekor.read_entry_v2(raw),
        lambda: timestamping.check_answer(raw, CONTENT, 7),
    ):
        with pytest.raises(Malformed):
            reader()
