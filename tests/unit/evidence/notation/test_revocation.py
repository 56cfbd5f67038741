"""Revocation: what is asked, what OCSP and CRLs prove, and what the judge makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import notation_world as world
from tests import revocation_world as authority
from tests.notation_world import DAY, NOW, SIGNED_AT
from tests.revocation_world import CRL_URL, OCSP_URL, access, crl, leaf, points, question, response, revoked
from trustgate.evidence.model import Outcome
from trustgate.evidence.notation import crl as crl_module
from trustgate.evidence.notation import ocsp as ocsp_module
from trustgate.evidence.notation.crl import MAX_CRL_BYTES, judge_crl
from trustgate.evidence.notation.judge import ASK_AGAIN, revocation_questions
from trustgate.evidence.notation.ocsp import MAX_RESPONSE_BYTES, judge_response, request_for
from trustgate.evidence.notation.revocation import (
    MAX_URLS,
    RevocationAnswer,
    RevocationStatus,
    of_crls,
    questions_of,
    unknown,
)

GOOD, REVOKED, UNKNOWN = RevocationStatus.GOOD, RevocationStatus.REVOKED, RevocationStatus.UNKNOWN
BOTH = leaf(access(OCSP_URL), points(CRL_URL))
ASKED = question(BOTH)
OTHER = world.authority(private=world.key("p256", "other root"), common_name="other root")


# --- questions -----------------------------------------------------------------------------------


def test_what_is_asked() -> None:
    assert (ASKED.ocsp_urls, ASKED.crl_urls, ASKED.incomplete) == ((OCSP_URL,), (CRL_URL,), False)
    assert questions_of(world.signer().chain) == ()
    assert questions_of(world.root().chain) == ()
    assert ocsp.load_der_ocsp_request(request_for(ASKED)).serial_number == BOTH.certificate.serial_number


def test_addresses_that_are_not_asked_leave_a_gap() -> None:
    many = [f"http://crl.test/{n}" for n in range(MAX_URLS + 1)]
    for point in (
        points(*many),
        points("http://crl.test/" + "x" * 3000),
        x509.CRLDistributionPoints(
            [x509.DistributionPoint([x509.DirectoryName(world.root().certificate.subject)], None, None, None)]
        ),
        x509.CRLDistributionPoints(
            [
                x509.DistributionPoint(
                    None,
                    x509.RelativeDistinguishedName(list(world.root().certificate.subject)[:1]),
                    None,
                    None,
                )
            ]
        ),
    ):
        found = question(leaf(point))
        assert found.incomplete
        assert len(found.crl_urls) <= MAX_URLS
        assert of_crls(found, [RevocationAnswer(GOOD)] * len(found.crl_urls)).status is UNKNOWN


def test_only_for_chains_that_someone_trusts() -> None:
    """A certificate's addresses are whatever its author wrote (SSRF)."""

    def asked(**changes: Any) -> int:
        made = changes.pop("parts", world.parts(BOTH))
        bench = world.Bench(**changes)
        return len(
            revocation_questions(
                world.signed(made), subject=world.SUBJECT, attestors=bench.attestors(), now=NOW
            )
        )

    assert asked() == 1
    assert asked(parts=world.parts(BOTH, sign=lambda k, c: b"\0" * 64)) == 0
    assert asked(trusts={}) == 0
    assert asked(trusts={"other": world.trust(roots=[OTHER.pem])}) == 0
    assert asked(trusts={"else": world.trust(trusted_identities=["x509.subject: C=FR, ST=BE, O=x"])}) == 0
    assert asked(trusts={"skip": world.trust(revocation="skip")}) == 0
    assert asked(trusts={"log": world.trust(revocation="log"), "strict": world.trust()}) == 1


# --- OCSP ----------------------------------------------------------------------------------------


def by_ocsp(raw: bytes) -> RevocationAnswer:
    return judge_response(ASKED, raw, NOW)


@pytest.mark.parametrize("cert_id_hash", [hashes.SHA1(), hashes.SHA256()])  # noqa: S303
def test_ocsp_by_the_issuer(cert_id_hash: hashes.HashAlgorithm) -> None:
    answer = by_ocsp(response(BOTH, cert_id_hash=cert_id_hash))
    assert (answer.status, answer.valid_until) == (GOOD, NOW + DAY)


def test_ocsp_by_a_responder() -> None:
    assert by_ocsp(response(BOTH, by=authority.responder())).status is GOOD


def test_ocsp_by_an_rsa_issuer() -> None:
    rsa = world.authority(private=world.key("rsa2048", "ca"), common_name="rsa")
    issued = leaf(access(OCSP_URL), by=rsa)
    assert judge_response(question(issued), response(issued, by=rsa, embed=[]), NOW).status is GOOD


@pytest.mark.parametrize("private", ["ed25519", "p384"])
def test_ocsp_of_other_issuers(private: str) -> None:
    """An Ed25519 issuer answers through a responder: its own OCSP signatures are not judged."""
    ca = world.authority(private=world.key(private, "ca"), common_name=private)
    issued = leaf(access(OCSP_URL), by=ca)
    asked = question(issued)
    assert judge_response(asked, response(issued, by=authority.responder(ca)), NOW).status is GOOD
    own = judge_response(asked, response(issued, by=ca, embed=[]), NOW)
    assert own.status is (UNKNOWN if private == "ed25519" else GOOD)


def test_ocsp_says_revoked() -> None:
    answer = by_ocsp(response(BOTH, status=ocsp.OCSPCertStatus.REVOKED))
    assert answer.status is REVOKED
    assert "revoked on 2027-01-09" in answer.why


def impostor(kind: str) -> world.Issued:
    """The issuer's name and another key."""
    return world.authority(private=world.key(kind, "impostor"), common_name="root")


TWIN = leaf(access(OCSP_URL), serial_number=BOTH.certificate.serial_number, by=OTHER)
OCSP_GAPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "status unknown": (lambda: response(BOTH, status=ocsp.OCSPCertStatus.UNKNOWN), "does not know"),
    "stale": (lambda: response(BOTH, next_update=NOW - DAY / 2), "held until"),
    "without an end": (lambda: response(BOTH, next_update=None), "does not say until when"),
    "of tomorrow": (lambda: response(BOTH, this_update=NOW + DAY / 2), "from the future"),
    "about another": (lambda: response(leaf(access(OCSP_URL))), "about other certificates"),
    "about a twin of another issuer": (
        lambda: response(TWIN, issuer=OTHER.certificate),
        "about other certificates",
    ),
    "by another key": (lambda: response(BOTH, by=impostor("p256"), embed=[]), "not signed by the issuer"),
    "by another issuer's responder": (
        lambda: response(BOTH, by=authority.responder(OTHER)),
        "did not issue",
    ),
    "by a certificate for something else": (
        lambda: response(BOTH, by=authority.responder(purposes=[ExtendedKeyUsageOID.CODE_SIGNING])),
        "not for that purpose",
    ),
    "by a certificate without a purpose": (
        lambda: response(BOTH, by=authority.responder(purposes=[])),
        "not for that purpose",
    ),
    "by an expired responder": (
        lambda: response(BOTH, by=authority.responder(not_after=NOW - DAY)),
        "not valid now",
    ),
    "by a responder that could be revoked": (
        lambda: response(BOTH, by=authority.responder(extensions=[])),
        "could be revoked",
    ),
    "responder not embedded": (
        lambda: response(BOTH, by=authority.responder(), embed=[]),
        "not signed by the issuer",
    ),
    "with Ed25519": (lambda: response(BOTH, by=impostor("ed25519"), embed=[]), "not signed by the issuer"),
    "try later": (
        lambda: ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
            authority.Encoding.DER
        ),
        "try_later",
    ),
    "huge": (lambda: b"0" * (MAX_RESPONSE_BYTES + 1), "are read"),
    "garbage": (lambda: b"\x30\x03\x0a\x01\x00", "can't be read|about other|not signed"),
}


@pytest.mark.parametrize("case", OCSP_GAPS)
def test_ocsp_that_proves_nothing(case: str) -> None:
    make, reason = OCSP_GAPS[case]
    answer = by_ocsp(make())
    assert answer.status is UNKNOWN
    assert any(part in answer.why for part in reason.split("|")), answer.why


def test_ocsp_of_the_future_by_production() -> None:
    """``producedAt`` is the clock of the machine that made it, which these tests do not set."""
    raw = response(BOTH, this_update=NOW - 2000 * DAY, next_update=NOW + DAY)
    answer = judge_response(ASKED, raw, NOW - 1500 * DAY)
    assert answer.status is UNKNOWN
    assert "from the future" in answer.why


def test_ocsp_invalidity_date() -> None:
    date = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.24"), b"\x18\x0f20270109120000Z")
    assert ocsp_module.date_of(date) == SIGNED_AT
    assert ocsp_module.date_of(x509.InvalidityDate(SIGNED_AT.replace(tzinfo=None))) == SIGNED_AT
    assert ocsp_module.date_of(x509.OCSPNoCheck()) is None


SHA256_RSA, SHA1_RSA, PSS_RSA = (bytes.fromhex("2a864886f70d0101" + end) for end in ("0b", "05", "0a"))


def test_sha1_and_pss_prove_nothing() -> None:
    """``cryptography`` signs with SHA-1 no more, so the algorithm's number is turned."""
    rsa = world.authority(private=world.key("rsa2048", "ca"), common_name="rsa")
    issued = leaf(access(OCSP_URL), points(CRL_URL), by=rsa)
    raw, listed = response(issued, by=rsa, embed=[]), crl(by=rsa)
    assert judge_crl(question(issued), listed, CRL_URL, NOW).status is GOOD
    resigned = judge_crl(question(issued), world.with_sha1(listed, rsa.key), CRL_URL, NOW)
    assert (resigned.status, "not signed with SHA-2" in resigned.why) == (UNKNOWN, True)
    for other in (SHA1_RSA, PSS_RSA):
        assert judge_response(question(issued), raw.replace(SHA256_RSA, other), NOW).status is UNKNOWN
        assert judge_crl(question(issued), listed.replace(SHA256_RSA, other), CRL_URL, NOW).status is UNKNOWN


def test_an_issuer_with_a_weird_key() -> None:
    weird = world.authority(private=world.key("dsa", "ca"), common_name="dsa")
    issued = leaf(access(OCSP_URL), by=weird)
    raw = response(issued, by=authority.responder(weird))
    assert judge_response(question(issued), raw, NOW).status is UNKNOWN


# --- CRL -----------------------------------------------------------------------------------------


def by_crl(raw: bytes, url: str = CRL_URL) -> RevocationAnswer:
    return judge_crl(ASKED, raw, url, NOW)


def scope(**changes: Any) -> tuple[x509.IssuingDistributionPoint, bool]:
    given: dict[str, Any] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**given, **changes}), True


HERE = [x509.UniformResourceIdentifier(CRL_URL)]


def test_crl() -> None:
    assert by_crl(crl()) == RevocationAnswer(GOOD, "not in the CRL", NOW + DAY)
    assert by_crl(crl(revoked(leaf()))).status is GOOD
    found = by_crl(crl(revoked(BOTH, x509.ReasonFlags.key_compromise, SIGNED_AT)))
    assert found.status is REVOKED
    assert (found.why, found.invalid_since) == ("revoked on 2027-01-09 (keyCompromise)", SIGNED_AT)
    assert by_crl(crl(revoked(BOTH))).status is REVOKED
    assert by_crl(crl(revoked(BOTH, x509.ReasonFlags.certificate_hold))).status is REVOKED
    assert by_crl(crl(extensions=[scope(full_name=HERE, only_contains_user_certs=True)])).status is GOOD


CRL_GAPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "stale": (lambda: crl(next_update=NOW - DAY / 2), "held until"),
    "of tomorrow": (lambda: crl(last_update=NOW + DAY / 2), "from the future"),
    "by another key": (lambda: crl(sign_with=OTHER.key), "not signed by the issuer"),
    "by another": (lambda: crl(by=OTHER), "by another issuer"),
    "removed": (lambda: crl(revoked(BOTH, x509.ReasonFlags.remove_from_crl)), "removeFromCRL"),
    "has a delta": (lambda: crl(extensions=[(x509.FreshestCRL(list(points(CRL_URL))), False)]), "delta"),
    "is a delta": (lambda: crl(extensions=[(x509.DeltaCRLIndicator(1), True)]), "delta"),
    "unknown critical": (
        lambda: crl(
            extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\0"), True)]
        ),
        "critical extension",
    ),
    "indirect": (lambda: crl(extensions=[scope(full_name=HERE, indirect_crl=True)]), "indirect"),
    "some reasons": (
        lambda: crl(
            extensions=[scope(full_name=HERE, only_some_reasons=frozenset([x509.ReasonFlags.superseded]))]
        ),
        "some reasons only",
    ),
    "for authorities": (
        lambda: crl(extensions=[scope(full_name=HERE, only_contains_ca_certs=True)]),
        "for authorities only",
    ),
    "for another point": (
        lambda: crl(extensions=[scope(full_name=[x509.UniformResourceIdentifier("http://crl.test/2")])]),
        "another distribution point",
    ),
    "huge": (lambda: b"0" * (MAX_CRL_BYTES + 1), "are read"),
    "garbage": (lambda: b"0\0", "can't be read"),
}


@pytest.mark.parametrize("case", CRL_GAPS)
def test_crl_that_proves_nothing(case: str) -> None:
    make, reason = CRL_GAPS[case]
    answer = by_crl(make())
    assert answer.status is UNKNOWN
    assert reason in answer.why


def test_crl_of_authorities_and_deltas_that_the_certificate_names() -> None:
    middle = world.authority(
        world.root(), common_name="middle", extensions=[points(CRL_URL)], usages=("key_cert_sign",)
    )
    asked = question(middle)
    for_users = crl(extensions=[scope(full_name=HERE, only_contains_user_certs=True)])
    assert "end certificates only" in judge_crl(asked, for_users, CRL_URL, NOW).why
    for_authorities = crl(extensions=[scope(full_name=HERE, only_contains_ca_certs=True)])
    assert judge_crl(asked, for_authorities, CRL_URL, NOW).status is GOOD
    with_delta = leaf(points(CRL_URL), x509.FreshestCRL(list(points(CRL_URL))))
    assert "delta" in judge_crl(question(with_delta), crl(), CRL_URL, NOW).why


def test_crl_of_issuers_that_may_not_sign_one() -> None:
    for usages in (("key_cert_sign",), None):
        ca = world.authority(private=world.key("p256", "no crl"), common_name="no crl", usages=usages)
        asked = question(leaf(points(CRL_URL), by=ca))
        assert "key usage" in judge_crl(asked, crl(by=ca), CRL_URL, NOW).why


def test_every_crl_has_to_be_good() -> None:
    good, bad = RevocationAnswer(GOOD, valid_until=NOW), RevocationAnswer(REVOKED)
    assert of_crls(ASKED, [good, good]).status is GOOD
    assert of_crls(ASKED, [good, good]).valid_until == NOW
    assert of_crls(ASKED, [good, unknown("x"), bad]).status is REVOKED
    assert of_crls(ASKED, [good, unknown("x")]).status is UNKNOWN
    assert of_crls(ASKED, []).status is UNKNOWN


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2000), st.binary(max_size=4))
def test_no_bytes_raise(garbage: bytes, place: int, patch: bytes) -> None:
    for genuine, judge in (
        (RESPONSE, lambda raw: judge_response(ASKED, raw, NOW)),
        (LIST, lambda raw: judge_crl(ASKED, raw, CRL_URL, NOW)),
    ):
        at = place % len(genuine)
        turned = genuine[:at] + patch + genuine[at + len(patch) :]
        for raw in (garbage, turned, genuine[:at], genuine + garbage):
            answer = judge(raw)
            assert answer.status is not REVOKED
            if raw != genuine:
                assert answer.status is UNKNOWN


RESPONSE, LIST = response(BOTH), crl()


# --- in the judge --------------------------------------------------------------------------------


def verdict(answer: RevocationAnswer | None, made: Any = None, **changes: Any) -> tuple[Outcome, str, str]:
    answers = {ASKED.thumbprint: answer} if answer else {}
    fact = world.judge(world.signed(made or world.parts(BOTH)), answers=answers, **changes)
    return fact.outcome, fact.reason, fact.revocation


def test_no_answer_is_unknown_and_unknown_is_no() -> None:
    assert verdict(RevocationAnswer(GOOD))[0] is Outcome.VERIFIED
    for answer in (None, unknown("no network")):
        outcome, reason, state = verdict(answer)
        assert outcome is Outcome.UNTRUSTED
        assert "is unknown" in reason
        assert state == "unknown"
    outcome, reason, state = verdict(RevocationAnswer(REVOKED, "revoked on 2027-01-09"))
    assert (outcome, state) == (Outcome.UNTRUSTED, "revoked")
    assert "was revoked: revoked on 2027-01-09" in reason


@pytest.mark.parametrize("level", [{"level": "permissive"}, {"revocation": "log"}])
def test_where_it_is_only_logged(level: dict[str, str]) -> None:
    for answer, state in ((unknown("x"), "unknown"), (RevocationAnswer(REVOKED), "revoked")):
        outcome, reason, found = verdict(answer, trust=world.trust(**level))
        assert (outcome, found) == (Outcome.VERIFIED, state)
        assert "only logged" in reason
    assert verdict(RevocationAnswer(GOOD), trust=world.trust(**level))[2] == "good"
    assert verdict(None, trust=world.trust(revocation="skip"))[2] == "not-asked"


def test_an_outcome_without_an_answer_does_not_last() -> None:
    fact = world.judge(world.signed(world.parts(BOTH)))
    assert (fact.revocation, fact.valid_until) == ("unknown", NOW + ASK_AGAIN)
    soft = world.judge(world.signed(world.parts(BOTH)), trust=world.trust(revocation="log"))
    assert (soft.outcome, soft.valid_until) == (Outcome.VERIFIED, NOW + ASK_AGAIN)
    stranger = world.judge(world.signed(world.parts(BOTH)), trust=world.trust(roots=[OTHER.pem]))
    assert stranger.revocation == "not-asked"
    assert stranger.valid_until is not None
    assert stranger.valid_until > NOW + DAY
    both = {"enforces": world.trust(), "skips": world.trust(revocation="skip")}
    fact = world.judge(world.signed(world.parts(BOTH)), trusts=both)
    assert (fact.attestors, fact.revocation) == (("skips",), "unknown")


def test_the_answer_s_end_is_the_fact_s() -> None:
    answers = {ASKED.thumbprint: RevocationAnswer(GOOD, valid_until=NOW + DAY)}
    assert world.judge(world.signed(world.parts(BOTH)), answers=answers).valid_until == NOW + DAY


def test_a_signing_authority_s_earlier_signatures_outlive_its_key() -> None:
    trust = world.trust(trust_stores={"ca": [world.root().pem], "signingAuthority": [world.root().pem]})
    later = RevocationAnswer(REVOKED, invalid_since=SIGNED_AT + DAY / 2)
    earlier = RevocationAnswer(REVOKED, invalid_since=SIGNED_AT)
    by_authority = world.authority_header(world.parts(BOTH))
    assert verdict(later, by_authority, trust=trust)[0] is Outcome.VERIFIED
    assert verdict(earlier, by_authority, trust=trust)[0] is Outcome.UNTRUSTED
    assert verdict(RevocationAnswer(REVOKED), by_authority, trust=trust)[0] is Outcome.UNTRUSTED
    assert verdict(later, trust=trust)[0] is Outcome.UNTRUSTED  # a claimed time proves nothing


def test_modules_have_their_limits() -> None:
    assert crl_module.MAX_CRL_BYTES > ocsp_module.MAX_RESPONSE_BYTES
