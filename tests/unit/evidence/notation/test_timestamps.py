"""The authentic timestamp: a signature outlives its certificates, when someone trusted dates it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import notation_world as world
from tests import timestamp_world
from tests.notation_world import COSE, DAY, JWS, NOW, SIGNED_AT, Issued, Parts, authority, issue, key
from tests.revocation_world import OCSP_URL, access, leaf
from trustgate.evidence.model import Outcome, SignatureFact
from trustgate.evidence.notation.judge import revocation_questions
from trustgate.evidence.notation.revocation import RevocationAnswer, RevocationStatus, questions_of, unknown

LATER = NOW + 366 * DAY
"""After the signer's certificate, before the authorities'."""


@lru_cache
def stamper(**changes: Any) -> Issued:
    tsa_root = authority(private=key("p256", "tsa root"), common_name="tsa root")
    given: dict[str, Any] = {
        "private": key("p256", "tsa"),
        "subject": {"CN": "tsa"},
        "purposes": (ExtendedKeyUsageOID.TIME_STAMPING,),
        "purposes_critical": True,
        "not_after": NOW + 3000 * DAY,
    }
    return issue(tsa_root, **{**given, **changes})


def stamped(made: Parts, moment: datetime = SIGNED_AT, by: Issued | None = None, **changes: Any) -> Parts:
    """With a countersignature over the signature; it has to be made before, so signing is made repeatable."""
    who = by or stamper()
    known: dict[bytes, bytes] = {}
    sign = made.sign

    def once(private: Any, content: bytes) -> bytes:
        found = known.setdefault(content, sign(private, content))
        holder = timestamp_world.Holder(who.certificate, who.key)
        over = changes.get("over", found)
        made.timestamp = timestamp_world.token(
            over,
            holder,
            moment=moment,
            certificates=who.chain[:-1],
            **{name: value for name, value in changes.items() if name != "over"},
        )
        return found

    made.sign = once
    return made


def trust(**changes: Any) -> Any:
    stores = {"ca": [world.root().pem], "tsa": [stamper().root_pem]}
    return world.trust(**{"trust_stores": stores, **changes})


def judged(made: Parts, media_type: str = JWS, **changes: Any) -> SignatureFact:
    given = {"trust": trust(), "now": LATER, **changes}
    return world.judge(world.signed(made, media_type), **given)


@pytest.mark.parametrize("media_type", [JWS, COSE])
def test_a_timestamp_outlives_the_certificate(media_type: str) -> None:
    fact = judged(stamped(world.parts()), media_type)
    assert fact.outcome is Outcome.VERIFIED, fact.reason
    assert (fact.signed_at, fact.timestamps, fact.unproven) == (SIGNED_AT, 1, frozenset())


def test_without_one_it_does_not() -> None:
    fact = judged(world.parts())
    assert fact.outcome is Outcome.UNTRUSTED
    assert "it has no timestamp" in fact.reason
    assert judged(world.parts(), now=NOW).outcome is Outcome.UNTRUSTED
    lenient = trust(verify_timestamp="afterCertExpiry")
    assert judged(world.parts(), now=NOW, trust=lenient).outcome is Outcome.VERIFIED
    assert judged(world.parts(), trust=lenient).outcome is Outcome.UNTRUSTED
    assert judged(stamped(world.parts()), trust=lenient).outcome is Outcome.VERIFIED


def test_one_that_nobody_verified_proves_nothing() -> None:
    fact = judged(stamped(world.parts()), now=NOW, trust=world.trust())
    assert (fact.outcome, fact.signed_at, fact.timestamps) == (Outcome.VERIFIED, None, 0)
    assert fact.unproven == frozenset({"timestamp"})
    assert judged(stamped(world.parts()), trust=world.trust()).outcome is Outcome.UNTRUSTED


def test_a_timestamp_that_tells_no_accuracy_has_one_of_a_second() -> None:
    def inaccurate(said: dict[str, Any]) -> None:
        said.pop("accuracy", None)

    end = NOW + 365 * DAY
    for before, expected in ((0.5, Outcome.UNTRUSTED), (1.5, Outcome.VERIFIED)):
        moment = end - timedelta(seconds=before)
        assert judged(stamped(world.parts(), moment, edit_info=inaccurate)).outcome is expected


def test_nobody_is_helped_by_an_authority_that_another_attestor_trusts() -> None:
    for trusts in ({"a": trust(), "b": world.trust()}, {"a": world.trust(), "b": trust()}):
        found = world.signed(stamped(world.parts()), JWS)
        fact = world.judge(found, trusts=trusts, now=NOW)
        assert (fact.attestors, fact.signed_at, fact.timestamps) == (("a", "b"), None, 0)
        assert fact.unproven == frozenset({"timestamp"})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: stamped(world.parts(), over=b"another signature"), "over other bytes"),
        (lambda: stamped(world.parts(), NOW + 365 * DAY + timedelta(seconds=1)), "outside its certificates"),
        (lambda: stamped(world.parts(), NOW + 365 * DAY), "outside its certificates"),
        (lambda: stamped(world.parts(), NOW - 30 * DAY), "outside its certificates"),
        (lambda: stamped(world.parts(), by=stamper(usages=None)), "has no key usage"),
        (lambda: world.parts(timestamp=b"0"), "can't be read"),
        (lambda: world.parts(timestamp=b"0" * 70_000), "its timestamp"),
    ],
)
def test_timestamps_that_prove_nothing(make: Any, reason: str) -> None:
    fact = judged(make())
    assert fact.outcome is Outcome.UNTRUSTED
    assert reason in fact.reason, fact.reason
    soft = judged(make(), trust=trust(level="permissive"))
    assert (soft.outcome, soft.timestamps) == (Outcome.VERIFIED, 0)


def test_an_authority_that_nobody_trusts() -> None:
    other = authority(private=key("p256", "other tsa"), common_name="other tsa")
    stores = {"ca": [world.root().pem], "tsa": [other.pem]}
    fact = judged(stamped(world.parts()), trust=trust(trust_stores=stores))
    assert fact.outcome is Outcome.UNTRUSTED
    assert "not trusted" in fact.reason


def test_the_second_version_of_the_attribute_is_required() -> None:
    """signing-certificate (SHA-1) is not signing-certificate-v2."""

    def only_sha1(found: list[dict[str, Any]]) -> None:
        import hashlib

        from asn1crypto import tsp

        der = timestamp_world.der(stamper().certificate)
        own = {"cert_hash": hashlib.sha1(der).digest()}  # noqa: S324
        found[2] = {
            "type": "signing_certificate",
            "values": [tsp.SigningCertificate({"certs": [tsp.ESSCertID(own)]})],
        }

    fact = judged(stamped(world.parts(), edit_attributes=only_sha1))
    assert fact.outcome is Outcome.UNTRUSTED
    assert "signing-certificate-v2" in fact.reason


def test_the_authority_s_certificates_must_not_be_revoked() -> None:
    by = stamper(extensions=(access(OCSP_URL),))
    made = world.signed(stamped(world.parts(), by=by))
    (question,) = questions_of(by.chain)
    bench = world.Bench(trusts={"release": trust(revocation="skip")}, now=LATER)
    asked = revocation_questions(made, subject=world.SUBJECT, attestors=bench.attestors(), now=LATER)
    assert [one.thumbprint for one in asked] == [question.thumbprint]
    for answer, outcome in (
        (RevocationAnswer(RevocationStatus.GOOD), Outcome.VERIFIED),
        (RevocationAnswer(RevocationStatus.REVOKED), Outcome.UNTRUSTED),
        (unknown("x"), Outcome.UNTRUSTED),
        (None, Outcome.UNTRUSTED),
    ):
        bench.answers = {question.thumbprint: answer} if answer else {}
        fact = bench.judge(made)
        assert (fact.outcome, fact.revocation) == (outcome, answer.status if answer else "unknown")


def test_a_broken_timestamp_asks_nobody() -> None:
    bench = world.Bench(trusts={"release": trust()}, now=LATER)
    made = world.signed(stamped(world.parts(), over=b"x"))
    assert revocation_questions(made, subject=world.SUBJECT, attestors=bench.attestors(), now=LATER) == ()


def test_a_signing_authority_is_asked_about_all_the_same() -> None:
    stores = {"signingAuthority": [world.root().pem], "tsa": [stamper().root_pem]}
    bench = world.Bench(trusts={"release": trust(trust_stores=stores)})
    made = world.signed(world.authority_header(world.parts(leaf(access(OCSP_URL)))))
    assert len(revocation_questions(made, subject=world.SUBJECT, attestors=bench.attestors(), now=NOW)) == 1


def test_a_signing_authority_s_impossible_time_proves_nothing() -> None:
    stores = {"signingAuthority": [world.root().pem]}
    made = world.authority_header(world.parts(), NOW + DAY)
    fact = judged(made, now=NOW, trust=trust(trust_stores=stores, level="permissive"))
    assert (fact.outcome, fact.signed_at) == (Outcome.VERIFIED, None)
    assert "only logged: its signing time" in fact.reason


def test_a_signing_authority_needs_none() -> None:
    stores = {"signingAuthority": [world.root().pem], "tsa": [stamper().root_pem]}
    fact = judged(world.authority_header(world.parts()), trust=trust(trust_stores=stores))
    assert (fact.outcome, fact.signed_at) == (Outcome.VERIFIED, SIGNED_AT)
