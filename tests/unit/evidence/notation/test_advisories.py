"""Ways in which verifiers of Notary Project signatures were fooled, one named test each."""

from __future__ import annotations

import json
import time

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import notation_world as world
from tests.notation_world import COSE, DAY, JWS, NOW, authority, issue, key
from tests.revocation_world import CRL_URL, access, crl, leaf, points, question
from trustgate.evidence.model import Outcome, Subject
from trustgate.evidence.notation.cbor import CborRefused, loads
from trustgate.evidence.notation.crl import judge_crl
from trustgate.evidence.notation.envelope import MAX_CHAIN_CERTIFICATES, MAX_ENVELOPE_BYTES
from trustgate.evidence.notation.judge import revocation_questions
from trustgate.evidence.notation.manifest import envelope_blobs
from trustgate.evidence.notation.revocation import RevocationStatus
from trustgate.oci.digest import Digest

FORMATS = (JWS, COSE)


@pytest.mark.parametrize("media_type", FORMATS)
def test_cve_2023_33959_a_signature_of_another_artifact(media_type: str) -> None:
    """GHSA-xhg5-42rf-296r: what the signature is over has to be what is asked about."""
    found = world.signed(world.parts(), media_type, subject=None)
    other = Subject(Digest.of(b"other"), world.SUBJECT.media_type, world.SUBJECT.size)
    assert world.Bench().judge(found, other).outcome is Outcome.BROKEN
    moved = world.signed(world.parts(), media_type, subject=other)  # listed under the other one
    assert world.Bench().judge(moved, other).outcome is Outcome.BROKEN


def test_cve_2023_33957_and_33958_endless_signatures() -> None:
    """Nothing is read that is larger than a signature, and a chain has an end."""
    huge = world.carrier(world.jws(world.parts()), edit=lambda d: d["layers"][0].update(size=2**40))
    assert envelope_blobs(huge.manifest) == ()
    many = world.parts()
    many.chain = [many.chain[0]] * 10_000
    for media_type in FORMATS:
        raw = world.WRITERS[media_type](many)
        found = world.candidate(world.carrier(raw, media_type))
        assert world.judge(found).outcome is Outcome.BROKEN
        assert len(raw) > MAX_ENVELOPE_BYTES
    some = world.parts()
    some.chain = [some.chain[0]] * (MAX_CHAIN_CERTIFICATES + 1)
    assert "are read" in world.judge(world.signed(some)).reason


def test_cve_2023_25656_memory() -> None:
    """Lengths and counts that the bytes can't hold are refused before anything is made for them."""
    began = time.monotonic()
    for raw in (b"\x5b" + b"\x7f" * 8, b"\x9b" + b"\x7f" * 8, b"\xbb" + b"\x7f" * 8, b"\x9a\xff\xff\xff\xff"):
        with pytest.raises(CborRefused):
            loads(raw, max_bytes=MAX_ENVELOPE_BYTES)
    deep = b'{"header":' + b"[" * 200_000
    assert world.judge(world.candidate(world.carrier(deep))).outcome is Outcome.BROKEN
    assert time.monotonic() - began < 2


def test_cve_2024_23332_an_outdated_artifact_is_expired_by_default() -> None:
    """GHSA-57wx-m636-g3g8: a registry may serve what was signed long ago; its expiry is enforced."""
    made = world.expiring(world.parts(), NOW)
    assert world.judge(world.signed(made)).outcome is Outcome.UNTRUSTED


def test_cve_2024_51491_a_crl_that_fails_once_does_not_stay() -> None:
    """What can't be read is unknown at that moment; the judge keeps no state that a failure could spoil."""
    asked = question(leaf(points(CRL_URL)))
    assert judge_crl(asked, b"broken", CRL_URL, NOW).status is RevocationStatus.UNKNOWN
    assert judge_crl(asked, crl(), CRL_URL, NOW).status is RevocationStatus.GOOD


# CVE-2024-56138 (the timestamp authority's revocation): test_timestamps.py


def test_c3_annotations_and_types_prove_nothing() -> None:
    """The unsigned manifest can take a yes away, and never give one."""
    stranger = authority(private=key("p256", "c3"), common_name="c3")
    forged = world.parts(issue(stranger, private=key("p256", "notation")))
    trusted = world.signer().chain
    assert world.judge(world.signed(forged, chain=trusted)).outcome is not Outcome.VERIFIED


def test_c7_one_document_has_one_meaning() -> None:
    payload = json.dumps(world.target()).encode()
    for text in (b'"Digest": "sha256:0", "digest"', b'"digest": "sha256:0", "digest"'):
        made = world.parts(payload=payload.replace(b'"digest"', text))
        assert world.judge(world.signed(made)).outcome is Outcome.BROKEN


@pytest.mark.parametrize("stated", ["none", "HS256", "RS256", "PS256", "ES512"])
def test_c9_the_key_fixes_the_algorithm(stated: str) -> None:
    made = world.parts()
    made.header["alg"] = stated
    assert world.judge(world.signed(made)).outcome is Outcome.BROKEN


def test_c11_addresses_of_strangers_are_not_asked() -> None:
    inside = leaf(access("http://169.254.169.254/latest"), by=authority(private=key("p256", "c11")))
    found = world.signed(world.parts(inside))
    asked = revocation_questions(found, subject=world.SUBJECT, attestors=world.Bench().attestors(), now=NOW)
    assert asked == ()


def test_c13_expired_certificates_and_keys_of_former_attestors() -> None:
    assert world.judge(world.signed(world.parts()), now=NOW + 366 * DAY).outcome is Outcome.UNTRUSTED
    assert world.judge(world.signed(world.parts()), window=(None, NOW - DAY)).outcome is Outcome.UNTRUSTED


def test_c15_no_signature_and_no_trust_are_no() -> None:
    assert world.judge(world.signed(world.parts()), trusts={}).outcome is Outcome.UNTRUSTED


@pytest.mark.parametrize("off", [-1, 1])
def test_c19_the_size_counts(off: int) -> None:
    document = world.target()
    document["targetArtifact"]["size"] += off
    made = world.parts(payload=world.as_json(document))
    assert world.judge(world.signed(made)).outcome is Outcome.BROKEN


def test_purposes_are_kept_apart() -> None:
    """A timestamp authority's or a web server's certificate by the same root signs nothing."""
    for purpose in (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH):
        issued = issue(world.root(), private=key("p256", "notation"), purposes=[purpose])
        assert world.judge(world.signed(world.parts(issued))).outcome is Outcome.BROKEN


def test_many_names_and_an_empty_subject() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName(f"h{n}.example") for n in range(10_000)])
    began = time.monotonic()
    issued = issue(world.root(), private=key("p256", "notation"), extensions=[names], subject=x509.Name([]))
    assert world.judge(world.signed(world.parts(issued))).outcome is Outcome.BROKEN
    assert time.monotonic() - began < 5


def test_taking_any_part_away_never_makes_a_yes() -> None:
    """Each member, header and certificate in turn."""
    for name in ("payload", "protected", "header", "signature"):
        raw = world.jws(world.parts(), lambda d, name=name: d.pop(name))
        assert world.judge(world.candidate(world.carrier(raw))).outcome is not Outcome.VERIFIED
    for name in list(world.parts().header):
        made = world.parts()
        del made.header[name]
        for media_type in FORMATS:
            assert world.judge(world.signed(made, media_type)).outcome is not Outcome.VERIFIED
    for index in range(3):
        made = world.parts()
        del made.chain[index]
        assert world.judge(world.signed(made)).outcome is not Outcome.VERIFIED


def test_a_foreign_signature_never_takes_a_yes_away() -> None:
    """Each candidate is judged by itself: the good one stays good whatever lies beside it."""
    good = world.signed(world.parts())
    before = world.judge(good)
    world.judge(world.signed(world.parts(sign=lambda k, c: b"\0" * 64)))
    world.judge(world.candidate(world.carrier(b"junk")))
    assert world.judge(good) == before
