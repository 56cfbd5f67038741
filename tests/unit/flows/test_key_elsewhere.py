"""Keys that live elsewhere sign as keys that are here do; what they answer wrongly is stored nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tests import notation_world
from tests.notation_world import COSE, JWS
from tests.signing_world import NOW, image, key, trusted
from tests.simulators.places import place, put
from tests.simulators.signing_keys import SimulatedKey
from trustgate.errors import KeyUnreadable, SigningKeyUnavailable
from trustgate.evidence import signature_bytes
from trustgate.evidence.attesting import Predicate
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Outcome
from trustgate.evidence.notation import algorithms
from trustgate.evidence.notation.signing import signer_of
from trustgate.evidence.signing_algorithm import SigningAlgorithm
from trustgate.flows.sign import (
    Signed,
    attest_image,
    attest_image_legacy,
    sign_image,
    sign_image_legacy,
    sign_image_notation,
)
from trustgate.flows.signatory import Signatory
from trustgate.flows.signed_bytes import cosign_signature, notation_signature
from trustgate.flows.verify import verify_attestations, verify_image
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource

IMAGE = image()
TAG = Tag("1")
PREDICATE = Predicate("https://example.com/built", {"by": "ci"})
Way = Callable[[ImageSource, SimulatedKey], Signed]
COSIGN: dict[str, Way] = {
    "sign": lambda source, held: sign_image(source, TAG, Signatory(held), annotations={}, now=NOW),
    "sign --legacy": lambda source, held: sign_image_legacy(
        source, TAG, Signatory(held), docker_reference="a/b", annotations={}
    ),
    "attest": lambda source, held: attest_image(source, TAG, Signatory(held), PREDICATE, name="a/b", now=NOW),
    "attest --legacy": lambda source, held: attest_image_legacy(
        source, TAG, Signatory(held), PREDICATE, name="a/b"
    ),
}


@pytest.fixture
def source(tmp_path: Path) -> Iterator[ImageSource]:
    with place("layout", tmp_path / "image") as made:
        put(made, IMAGE, "1")
        yield made


def verified(source: ImageSource, way: str, attestor: Attestor) -> bool:
    if way.startswith("sign"):
        return bool(verify_image(source, TAG, [attestor], now=NOW).good)
    said = verify_attestations(source, TAG, [attestor], now=NOW)
    return any(fact.outcome is Outcome.VERIFIED for fact in said.facts)


@pytest.mark.parametrize("way", COSIGN)
@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("p256", SigningAlgorithm.ECDSA_SHA256),
        ("p384", SigningAlgorithm.ECDSA_SHA256),
        ("ed25519", SigningAlgorithm.ED25519),
        ("rsa2048", SigningAlgorithm.RSA_PKCS1_SHA256),
    ],
)
def test_what_is_signed_elsewhere_verifies(
    source: ImageSource, way: str, kind: str, algorithm: SigningAlgorithm
) -> None:
    held = SimulatedKey(key(kind))
    COSIGN[way](source, held)
    assert held.asked == [algorithm]
    assert verified(source, way, trusted(key(kind)))
    assert not verified(source, way, trusted(key(kind, "mallory")))


NOTATION = dict(zip(notation_world.KINDS, (256, 384, 512, 256, 384, 512), strict=True))


@pytest.mark.parametrize("media_type", [JWS, COSE])
@pytest.mark.parametrize("kind", NOTATION)
def test_notation_elsewhere(source: ImageSource, kind: str, media_type: str) -> None:
    issued = notation_world.signer(kind)
    held = SimulatedKey(issued.key)
    sign_notation(source, held, issued, media_type)
    assert [one.hash.digest_size * 8 for one in held.asked if one.hash] == [NOTATION[kind]]
    found = verify_image(source, TAG, [Attestor("alice", notation_world.trust())], now=notation_world.NOW)
    assert len(found.good) == 1, found.facts


def sign_notation(source: ImageSource, held: SimulatedKey, issued: Any, media_type: str = JWS) -> Signed:
    return sign_image_notation(
        source,
        TAG,
        signer_of(held, issued.chain),
        media_type=media_type,
        metadata={},
        now=notation_world.SIGNED_AT,
    )


def stored(source: ImageSource) -> int:
    found = source.manifest(TAG)
    tags = [one for one in source.tags() if str(one) != "1"]
    return len(source.referrers(found.digest, limit=10)) + len(tags)


def of_another(private: Any) -> bytes:
    return SimulatedKey(private).sign(b"something else", SigningAlgorithm.ECDSA_SHA256)


FAULTS: dict[str, dict[str, Any]] = {
    "a bit is wrong": {"change": lambda good: good[:-1] + bytes([good[-1] ^ 1])},
    "nothing": {"change": lambda _: b""},
    "no DER": {"change": lambda _: b"\x30\x03nop"},
    "of something else": {"change": lambda _: of_another(key("p256"))},
    "the public key of another": {"says": key("p256", "mallory")},
    "too long for the curve": {"change": lambda _: encode_dss_signature(2**600, 2**600)},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", [*COSIGN, "notation"])
def test_what_does_not_verify_is_not_stored(source: ImageSource, way: str, fault: str) -> None:
    issued = notation_world.issue(
        notation_world.root(), private=FAULTS[fault].get("says", key("p256")), usages=("digital_signature",)
    )
    held = SimulatedKey(key("p256"), **FAULTS[fault])
    with pytest.raises(SigningKeyUnavailable, match="its own public key does not verify") as caught:
        _ = sign_notation(source, held, issued) if way == "notation" else COSIGN[way](source, held)
    assert "pkcs11:token=simulated" in caught.value.message
    assert stored(source) == 0


@pytest.mark.parametrize("way", COSIGN)
def test_a_token_that_is_gone(source: ImageSource, way: str) -> None:
    with pytest.raises(SigningKeyUnavailable, match="pulled out"):
        COSIGN[way](source, SimulatedKey(key("p256"), broken=True))
    assert stored(source) == 0


@pytest.mark.parametrize("kind", ["p521", "rsa1024"])
def test_kinds_that_cosign_does_not_verify_are_not_asked(source: ImageSource, kind: str) -> None:
    held = SimulatedKey(key(kind))
    with pytest.raises(KeyUnreadable, match="can't be used to sign"):
        COSIGN["sign"](source, held)
    assert held.asked == []
    assert stored(source) == 0


def test_notation_knows_no_ed25519_and_no_foreign_certificate(source: ImageSource) -> None:
    issued = notation_world.signer("p256")
    for private, reason in ((key("ed25519"), "Ed25519"), (key("p256", "mallory"), "not that of the key")):
        with pytest.raises(KeyUnreadable, match=reason):
            sign_notation(source, SimulatedKey(private), issued)


def test_ed25519_is_not_asked_for_notation() -> None:
    held = SimulatedKey(key("ed25519"))
    with pytest.raises(KeyUnreadable, match="neither RSA nor EC"):
        notation_signature(held, b"x")
    assert held.asked == []


@pytest.mark.parametrize("kind", ["p256", "rsa2048", "ed25519"])
def test_a_key_that_is_here_signs_as_well(kind: str) -> None:
    public = key(kind).public_key()
    assert signature_bytes.verifies(public, cosign_signature(key(kind), b"x"), b"x")
    if kind != "ed25519":
        assert algorithms.verifies(public, notation_signature(key(kind), b"x"), b"x")


def test_high_and_low_s_are_both_signatures(source: ImageSource) -> None:
    """Tokens give either; verifiers take either."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

    def turned(good: bytes) -> bytes:
        r, s = decode_dss_signature(good)
        return encode_dss_signature(r, order - s)

    COSIGN["sign"](source, SimulatedKey(key("p256"), change=turned))
    assert verified(source, "sign", trusted(key("p256")))
