"""What trust material holds: each kind of file, and how each thing in it stands at a moment."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests import notation_world, openpgp_world, sigstore_world
from tests.signing_world import key, private_pem, public_pem
from trustgate.errors import InvalidInput, KeyUnreadable
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.question import KeyLives
from trustgate.evidence.helm.trust import gpg_trust
from trustgate.evidence.keys import key_trust
from trustgate.evidence.notary.trust import notary_trust
from trustgate.evidence.notation.trust import attestor_trust
from trustgate.evidence.sigstore.pattern import anchored, exact
from trustgate.evidence.sigstore.trust import keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root
from trustgate.evidence.trust_contents import (
    SOON,
    Held,
    Standing,
    has_ended,
    held_by,
    identity_of,
    judge_held,
    read_store,
    read_trust_file,
    type_of,
    window_of,
    with_lives,
)

NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ROOT = sigstore_world.instance().trusted_root()
PGP = openpgp_world.pgp_key("ed25519")


def ended_at(end: datetime | None, group: str = "", start: datetime | None = None, **more: str) -> Held:
    return Held("certificate", "c", "sha256:1", start, end, group, **more)


# --- how things stand ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "standing", "warning"),
    [
        (ended_at(None), Standing.VALID, ""),
        (ended_at(NOW + SOON + SECOND), Standing.VALID, ""),
        (ended_at(NOW + SOON), Standing.ENDS_SOON, "ends on 2027-04-10, in 90 days"),
        (ended_at(NOW + SECOND), Standing.ENDS_SOON, "ends on 2027-01-10, in 0 days"),
        (ended_at(NOW), Standing.ENDED, "ended on 2027-01-10"),
        (ended_at(None, start=NOW), Standing.VALID, ""),
        (ended_at(None, start=NOW + SECOND), Standing.NOT_YET, ""),
        (ended_at(None, problem="it is weak"), Standing.REFUSED, "is refused: it is weak"),
    ],
)
def test_each_standing(held: Held, standing: Standing, warning: str) -> None:
    (judged,) = judge_held([held], NOW)
    assert (judged.standing, judged.warning) == (standing, warning)
    assert has_ended([judged]) == (standing in {Standing.ENDED, Standing.REFUSED})


def test_what_is_replaced_is_retired_and_what_is_not_has_ended() -> None:
    old, new = ended_at(NOW - SECOND, "log"), ended_at(None, "log")
    assert [one.standing for one in judge_held([old, new], NOW)] == [Standing.RETIRED, Standing.VALID]
    assert not has_ended(judge_held([old, new], NOW))
    for other in (
        ended_at(None, "other"),
        ended_at(None, "log", NOW + SECOND),
        ended_at(NOW, "log"),
        ended_at(None, "log", problem="bad"),
    ):
        assert has_ended(judge_held([old, other], NOW)), other
    bad = ended_at(None, "log", problem="bad")
    assert [one.standing for one in judge_held([bad, new], NOW)] == [Standing.RETIRED, Standing.VALID]


def test_no_warning_of_an_end_that_something_outlives() -> None:
    brief, lasting = ended_at(NOW + SECOND, "log"), ended_at(None, "log")
    assert [one.warning for one in judge_held([brief, lasting], NOW)] == ["", ""]
    assert all(one.warning for one in judge_held([brief, brief], NOW))


def test_the_end_of_time_is_a_moment_too() -> None:
    judged = judge_held([ended_at(None), ended_at(NOW)], datetime.max.replace(tzinfo=UTC))
    assert [one.standing for one in judged] == [Standing.VALID, Standing.ENDED]


# --- files -----------------------------------------------------------------------------------------


def test_a_trusted_root() -> None:
    found = read_trust_file(ROOT)
    assert found.kind == "trusted root"
    assert [one.kind for one in found.held] == [
        "transparency log",
        "transparency log",
        "certificate log",
        "certificate authority",
        "timestamp authority",
    ]
    assert [one.name for one in found.held[:3]] == [
        sigstore_world.V1_NAME,
        sigstore_world.V2_NAME,
        "ct.test",
    ]
    authority = found.held[3]
    chain = (sigstore_world.instance().between.certificate, sigstore_world.instance().root.certificate)
    assert authority.not_after == min(one.not_valid_after_utc for one in chain)


def test_an_authority_ends_with_its_window() -> None:
    def close(document: dict[str, Any]) -> None:
        document["certificateAuthorities"][0]["validFor"]["end"] = "2027-01-01T00:00:00Z"
        document["tlogs"][0]["publicKey"]["validFor"]["end"] = "2027-01-01T00:00:00Z"

    found = read_trust_file(sigstore_world.instance().trusted_root(close))
    judged = judge_held(found.held, NOW)
    by_kind = {one.held.name: one.standing for one in judged}
    assert by_kind[sigstore_world.V1_NAME] is Standing.RETIRED
    assert [one.held.kind for one in judged if one.standing is Standing.ENDED] == ["certificate authority"]


def test_certificates_in_pem_and_der() -> None:
    issued = notation_world.signer("p256")
    found = read_trust_file(issued.chain_pem)
    assert (found.kind, len(found.held)) == ("certificates", len(issued.chain))
    assert found.held[0].not_after == issued.certificate.not_valid_after_utc
    assert read_trust_file(issued.certificate.public_bytes(Encoding.DER)).held == found.held[:1]


def test_a_public_key() -> None:
    found = read_trust_file(public_pem(key("p256", "ci")))
    assert (found.kind, found.held[0].id) == ("public key", key_trust(public_pem(key("p256", "ci"))).identity)
    assert read_trust_file(public_pem(key("ed25519", "ci"))).held[0].name == "Ed25519"


@pytest.mark.parametrize("armored", [False, True])
def test_a_keyring(armored: bool) -> None:
    raw = PGP.public() + openpgp_world.pgp_key("rsa1024").public()
    given = openpgp_world.armor(raw, "PUBLIC KEY BLOCK").encode() if armored else raw
    found = read_trust_file(given)
    assert (found.kind, found.keyring) == ("OpenPGP keyring", raw)
    assert found.held[0].id == f"gpg:{PGP.fingerprint}"
    assert "1024 bits" in found.held[1].problem


def test_what_keys_say_of_themselves() -> None:
    held = (
        Held("OpenPGP key", "", "gpg:A"),
        Held("OpenPGP subkey", "of A", "gpg:B", group="gpg:A"),
        Held("OpenPGP key", "", "gpg:C"),
        Held("OpenPGP key", "", "gpg:D"),
        Held("OpenPGP key", "mine", "gpg:E", problem="weak"),
    )
    lives = KeyLives(frozenset("ABC"), {"B": NOW}, frozenset("C"), {"A": "a\x1b <a@b>", "E": "e"})
    named, sub, revoked, unknown, weak = with_lives(held, lives)
    assert (weak.name, weak.problem) == ("mine", "weak")
    assert named.name == "a  <a@b>"
    assert sub.not_after == NOW
    assert "revoked" in revoked.problem
    assert "does not take it up" in unknown.problem
    # a subkey is replaced by its primary key, and a primary key by nothing
    standings = [one.standing for one in judge_held([named, sub, revoked], NOW)]
    assert standings == [Standing.VALID, Standing.RETIRED, Standing.REFUSED]


def test_a_trust_store() -> None:
    issued = notation_world.signer("p256")
    leaf, root = issued.pem, issued.root_pem
    found = read_store(
        {
            "x509/ca/acme/root.pem": root,
            "x509/ca/acme/leaf.pem": leaf,
            "x509/tsa/acme/broken.pem": b"no certificate",
        }
    )
    good, refused, broken = found.held
    assert (good.kind, good.place, good.problem) == ("ca certificate", "x509/ca/acme/root.pem", "")
    assert "neither an authority's nor self-signed" in refused.problem
    assert broken.problem
    with pytest.raises(InvalidInput, match="nothing in it"):
        read_store({})


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{}", "media type"),
        (b"", "no trust material"),
        (b"hello", "no trust material"),
        (b"0\x82", "can't be read"),
        (private_pem(key("p256", "ci")), "private key"),
        (openpgp_world.packet(5, b"\x04" + b"a" * 20), "secret key"),
        (b"\0\0\0\x20\1\1\0\2KBXf" + bytes(20), "keybox"),
        (public_pem(key("p256", "ci")) * 2, "2 PEM blocks"),
        (b'{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}', "nothing in it"),
    ],
)
def test_what_holds_no_trust(raw: bytes, reason: str) -> None:
    with pytest.raises((InvalidInput, KeyUnreadable), match=reason):
        read_trust_file(raw)


@given(st.binary(max_size=300), st.sampled_from([b"", b"{", b"0", b"\x99", b"-----BEGIN CERTIFICATE-----\n"]))
def test_no_file_raises_anything_else(rest: bytes, start: bytes) -> None:
    with contextlib.suppress(InvalidInput, KeyUnreadable):
        assert read_trust_file(start + rest).held


# --- attestors -------------------------------------------------------------------------------------


def test_every_kind_of_attestor() -> None:
    root = read_trusted_root(ROOT)
    issued = notation_world.signer("p256")
    store = {"ca": [issued.root_pem]}
    named = attestor_trust(trust_stores=store, trusted_identities=[notation_world.IDENTITY])
    anyone = attestor_trust(trust_stores=store, trusted_identities=["*"])
    claims = {"source-repository-uri": "https://g.test/a"}
    cases = [
        (key_trust(public_pem(key("p256", "ci"))), "cosign-key", "key:", ["public key"]),
        (
            key_trust(public_pem(key("p256", "ci")), root=root, min_logs=1),
            "cosign-key",
            "key:",
            ["public key", *(one.kind for one in read_trust_file(ROOT).held)],
        ),
        (
            keyless_trust(root, issuer=exact("https://i"), identity=anchored("^a+$"), claims=claims),
            "keyless",
            "issuer https://i, identity /^a+$/, source-repository-uri https://g.test/a",
            [one.kind for one in read_trust_file(ROOT).held],
        ),
        (named, "notation", "C=DE, ST=BE, O=tg", ["ca certificate"]),
        (anyone, "notation", "anyone with a certificate of its roots", ["ca certificate"]),
        (
            notary_trust(root_key_ids=["a" * 64], gun="h.test/a"),
            "notary-v1",
            "targets/releases, targets of h.test/a",
            ["root key"],
        ),
        (
            notary_trust(root_key_ids=["a" * 64]),
            "notary-v1",
            "targets/releases, targets of any repository",
            ["root key"],
        ),
        (gpg_trust(PGP.public(), [PGP.fingerprint]), "gpg", f"gpg:{PGP.fingerprint}", ["OpenPGP key"]),
    ]
    for trust, word, identity, kinds in cases:
        assert type_of(trust) == word
        assert identity_of(trust).startswith(identity)
        assert [one.kind for one in held_by(trust)] == kinds
        window = window_of(Attestor("ci", trust, NOW, NOW + SECOND))
        assert (window.name, window.not_before, window.not_after) == ("ci", NOW, NOW + SECOND)


def test_keys_of_a_keyring_that_are_not_trusted_are_not_listed() -> None:
    ring = PGP.public() + openpgp_world.pgp_key("rsa2048").public()
    (only,) = held_by(gpg_trust(ring, [PGP.fingerprint]))
    assert only.id == f"gpg:{PGP.fingerprint}"
