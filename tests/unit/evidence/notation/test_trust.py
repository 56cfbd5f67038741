"""Whose signatures count: trust stores, identities, levels, and what is wrong with the values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests import notation_world as world
from tests.notation_world import DAY, NOW, SIGNED_AT, authority, issue, key
from trustgate.evidence.model import Outcome
from trustgate.evidence.notation.envelope import COSE, JWS
from trustgate.evidence.notation.identity import IdentityInvalid, read_identity
from trustgate.evidence.notation.refusal import Refused
from trustgate.evidence.notation.trust import (
    MAX_IDENTITIES,
    MAX_STORE_FILE_BYTES,
    Action,
    NotationTrustInvalid,
    Validation,
    attestor_trust,
)
from trustgate.evidence.notation.verification import verify_notation

OTHER = authority(private=key("p256", "other root"), common_name="other root")


def refused(**changes: Any) -> str:
    fact = world.judge(world.signed(changes.pop("parts", None) or world.parts()), **changes)
    assert fact.outcome is Outcome.UNTRUSTED, fact
    assert fact.signers == ()
    return fact.reason


# --- anchors -------------------------------------------------------------------------------------


def test_any_certificate_of_the_chain_may_be_the_anchor() -> None:
    root, middle = world.root().pem, world.signer().issuers[0].public_bytes(Encoding.PEM)
    for pem in (root, middle, root + middle, world.root().certificate.public_bytes(Encoding.DER)):
        fact = world.judge(world.signed(world.parts()), trust=world.trust(roots=[pem]))
        assert fact.outcome is Outcome.VERIFIED


def test_another_root_is_not_trusted() -> None:
    assert "in no ca store" in refused(trust=world.trust(roots=[OTHER.pem]))
    lookalike = authority(private=key("p256", "lookalike"), common_name="root")
    assert "in no ca store" in refused(trust=world.trust(roots=[lookalike.pem]))


def test_each_scheme_has_its_own_stores() -> None:
    stores = {"signingAuthority": [world.root().pem]}
    assert "in no ca store" in refused(trust=world.trust(trust_stores=stores))
    by_authority = world.authority_header(world.parts())
    fact = world.judge(world.signed(by_authority), trust=world.trust(trust_stores=stores))
    assert fact.outcome is Outcome.VERIFIED
    assert fact.signed_at == SIGNED_AT
    assert "in no signingAuthority store" in refused(parts=world.authority_header(world.parts()))


def test_nobody_asked_and_nobody_in_time() -> None:
    assert "no attestor of the trust store is of type notation" in refused(trusts={})
    assert "outside the time" in refused(window=(NOW + DAY, None))
    assert "outside the time" in refused(window=(None, NOW))
    fact = world.judge(world.signed(world.parts()), window=(NOW, NOW + DAY))
    assert fact.outcome is Outcome.VERIFIED


def test_each_attestor_is_weighed() -> None:
    trusts = {
        "release": world.trust(),
        "anyone": world.trust(trusted_identities=["*"]),
        "other": world.trust(roots=[OTHER.pem]),
    }
    fact = world.judge(world.signed(world.parts()), trusts=trusts)
    assert fact.attestors == ("release", "anyone")
    assert len(fact.identities) == 1
    del trusts["release"], trusts["anyone"]
    trusts["third"] = world.trust(trusted_identities=["x509.subject: C=FR, ST=BE, O=tg"])
    reason = refused(trusts=trusts)
    assert "other: its chain leads to" in reason
    assert "third: signed by CN=signer" in reason


# --- identities ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ("x509.subject: C=DE, ST=BE, O=tg", True),
        ("x509.subject:C=DE,S=BE,O=tg", True),
        ("x509.subject: CN=signer, O=tg, ST=BE, C=DE", True),
        (r"x509.subject: CN=\73igner, O=t\g, ST=BE, C=DE", True),
        ("x509.subject: C=DE, ST=BE, O=TG", False),
        ("x509.subject: C=DE, ST=BE, O=tg, OU=release", False),
        ("x509.subject: C=DE, ST=BE, O=tg, CN=sign", False),
        ("x509.subject: C=DE, ST=BE, O=t", False),
    ],
)
def test_identities(identity: str, expected: bool) -> None:
    fact = world.judge(world.signed(world.parts()), trust=world.trust(trusted_identities=[identity]))
    assert (fact.outcome is Outcome.VERIFIED) is expected


def test_escapes() -> None:
    read = read_identity
    assert read(r"x509.subject: C=DE, ST=BE, O=a\, b\; c\\ d")["O"] == r"a, b; c\ d"
    assert read(r"x509.subject: C=DE, ST=BE, O=\ a\ , CN= b ")["O"] == " a "
    assert read(r"x509.subject: C=DE, ST=BE, O=\ a\ , CN= b ")["CN"] == "b"
    assert read(r"x509.subject: C=DE, ST=BE, O=M\C3\BCller")["O"] == "Müller"
    assert read("x509.subject: C=DE, ST=BE, O=a=b")["O"] == "a=b"


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        ("", "does not begin"),
        ("C=DE, ST=BE, O=tg", "does not begin"),
        ("x509.san: x", "does not begin"),
        ("x509.subject:", "is not TYPE=value"),
        ("x509.subject: C=DE, ST=BE", "lacks O"),
        ("x509.subject: O=tg", "lacks C, ST"),
        ("x509.subject: c=DE, ST=BE, O=tg", "is not TYPE=value"),
        ("x509.subject: C=DE, ST=BE, O=tg, E=a@b", "is not TYPE=value"),
        ("x509.subject: C=DE, ST=BE, O=tg, O=tg", "names O twice"),
        ("x509.subject: C=DE, ST=BE, S=BE, O=tg", "names ST twice"),
        ("x509.subject: C=DE, ST=BE, O=", "no value"),
        ("x509.subject: C=DE, ST=BE, O=#0401", "no value"),
        ("x509.subject: C=DE, ST=BE, O=a+OU=b", "has to be written as"),
        ("x509.subject: C=DE; ST=BE, O=tg", "has to be written as"),
        ('x509.subject: C=DE, ST=BE, O="tg"', "has to be written as"),
        ("x509.subject: C=DE, ST=BE, O=tg\\", "ends with a backslash"),
        ("x509.subject: C=DE, ST=BE, O=\\FF", "not UTF-8"),
        ("x509.subject: C=DE, ST=BE, O=" + "x" * 2000, "more than"),
        ("x509.subject: C=DE, ST=BE, O=tg,", "is not TYPE=value"),
    ],
)
def test_identities_that_name_nobody(identity: str, reason: str) -> None:
    with pytest.raises(IdentityInvalid, match=reason):
        read_identity(identity)


@pytest.mark.parametrize(
    "subject",
    [
        [("C", "DE"), ("ST", "BE"), ("O", "tg"), ("E", "a@b.c")],
        [("C", "DE"), ("ST", "BE"), ("O", "tg"), ("DC", "example")],
        [("C", "DE"), ("ST", "BE"), ("O", "tg"), ("O", "tg")],
        [("C", "DE"), ("O", "tg")],
        [("C", "DE"), ("ST", "BE"), ("O", "tg"), ("CN", "a=#b")],
        x509.Name(
            [
                x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")]),
                x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "BE")]),
                x509.RelativeDistinguishedName(
                    [
                        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tg"),
                        x509.NameAttribute(NameOID.COMMON_NAME, "x"),
                    ]
                ),
            ]
        ),
    ],
)
def test_subjects_that_no_identity_names(subject: Any) -> None:
    issued = issue(world.root(), private=key("p256", "notation"), subject=subject)
    assert "the signing certificate's subject" in refused(parts=world.parts(issued))
    anyone = world.judge(world.signed(world.parts(issued)), trust=world.trust(trusted_identities=["*"]))
    assert anyone.outcome is Outcome.VERIFIED


# --- time ----------------------------------------------------------------------------------------


def test_expiry() -> None:
    made = world.expiring(world.parts(), NOW + DAY)
    assert world.judge(world.signed(made)).outcome is Outcome.VERIFIED
    assert world.judge(world.signed(made)).valid_until == NOW + DAY
    assert "the signature expired" in refused(parts=made, now=NOW + DAY)
    soft = world.trust(override={"expiry": "log"})
    fact = world.judge(world.signed(made), now=NOW + DAY, trust=soft)
    assert fact.outcome is Outcome.VERIFIED
    assert "only logged: the signature expired" in fact.reason


def test_without_a_timestamp_every_certificate_is_valid_now() -> None:
    after = NOW + 366 * DAY
    assert "is valid from" in refused(now=after)
    assert "could prove its time" in refused(now=after)
    soft = world.judge(world.signed(world.parts()), now=after, trust=world.trust(level="permissive"))
    assert soft.outcome is Outcome.VERIFIED
    assert "only logged" in soft.reason
    assert world.judge(world.signed(world.parts())).valid_until == NOW + 365 * DAY + timedelta(seconds=1)


def test_times_at_the_ends_of_all_time() -> None:
    """Certificates without an end have this one (RFC 5280, 4.1.2.5): one second later there is no time."""
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    stranger = issue(None, private=key("p256", "stranger"), not_after=end)
    assert world.judge(world.signed(world.parts(stranger))).outcome is Outcome.UNTRUSTED
    endless = authority(common_name="endless", not_after=end)
    leaf = issue(endless, private=key("p256", "leaf"), not_after=end)
    trusted = world.trust(roots=[endless.pem])
    assert world.judge(world.signed(world.parts(leaf)), trust=trusted).outcome is Outcome.VERIFIED
    made = world.parts()
    made.header[world.TIME] = datetime(1, 1, 1, tzinfo=UTC)
    for media_type in (JWS, COSE):
        assert world.judge(world.signed(made, media_type)).outcome is not Outcome.VERIFIED


def test_a_signing_authority_vouches_for_its_time() -> None:
    trust = world.trust(trust_stores={"signingAuthority": [world.root().pem]})
    made = world.authority_header(world.parts())
    fact = world.judge(world.signed(made), now=NOW + 366 * DAY, trust=trust)
    assert fact.outcome is Outcome.VERIFIED


@pytest.mark.parametrize("by_authority", [False, True])
def test_signed_in_the_future(by_authority: bool) -> None:
    trust = world.trust(trust_stores={"ca": [world.root().pem], "signingAuthority": [world.root().pem]})
    for ahead, outcome in (
        (timedelta(minutes=5), Outcome.VERIFIED),
        (timedelta(minutes=6), Outcome.UNTRUSTED),
    ):
        made = world.parts()
        made.header[world.TIME] = NOW + ahead
        if by_authority:
            made = world.authority_header(made, NOW + ahead)
        fact = world.judge(world.signed(made), trust=trust)
        assert fact.outcome is outcome
        assert ("is in the future" in fact.reason) is (outcome is Outcome.UNTRUSTED)


# --- levels --------------------------------------------------------------------------------------


def test_no_level_forgives_integrity_and_none_of_an_attestor_s_forgives_authenticity() -> None:
    for level in ("strict", "permissive"):
        trust = world.trust(level=level, roots=[OTHER.pem])
        assert trust.actions[Validation.INTEGRITY] is Action.ENFORCE
        assert trust.actions[Validation.AUTHENTICITY] is Action.ENFORCE
        assert "in no ca store" in refused(trust=trust)
    made = world.parts(sign=lambda k, c: b"\0" * 64)
    with pytest.raises(Refused):
        verify_notation(
            world.signed(made), subject=world.SUBJECT, trust=world.trust(level="permissive"), now=NOW
        )


def problems(**changes: Any) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(NotationTrustInvalid) as caught:
        world.trust(**changes)
    return {one.place: one.message for one in caught.value.problems}


LEAF = world.signer().pem
KEY_PEM = world.signer().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"level": "audit"}, ("level",), "signatures by anyone"),
        ({"level": "skip"}, ("level",), "signatures by anyone"),
        ({"level": "none"}, ("level",), "is no level"),
        ({"override": {"authenticity": "log"}}, ("override", "authenticity"), "can't be overridden"),
        ({"override": {"integrity": "log"}}, ("override", "integrity"), "can't be overridden"),
        ({"override": {"expiry": "skip"}}, ("override", "expiry"), "enforce or log"),
        ({"override": {"expiry": "off"}}, ("override", "expiry"), "enforce or log"),
        ({"override": {"age": "log"}}, ("override", "age"), "can't be overridden"),
        ({"revocation": "off"}, ("override", "revocation"), "enforce, log or skip"),
        ({"revocation": "log", "override": {"revocation": "skip"}}, ("revocation",), "one place"),
        ({"verify_timestamp": "never"}, ("verifyTimestamp",), "neither always nor"),
        ({"trusted_identities": []}, ("trustedIdentities",), "identities"),
        ({"trusted_identities": ["*", world.IDENTITY]}, ("trustedIdentities", 0), "stands alone"),
        ({"trusted_identities": ["CN=x"]}, ("trustedIdentities", 0), "does not begin"),
        (
            {"trusted_identities": [world.IDENTITY, world.IDENTITY + ", CN=x"]},
            ("trustedIdentities", 1),
            "overlaps with identity 1",
        ),
        ({"trusted_identities": [world.IDENTITY] * (MAX_IDENTITIES + 1)}, ("trustedIdentities",), "1 to"),
        ({"trust_stores": {}}, ("trustStores",), "no root to trust"),
        ({"trust_stores": {"tsa": [OTHER.pem]}}, ("trustStores",), "no root to trust"),
        ({"trust_stores": {"CA": [OTHER.pem]}}, ("trustStores", "CA"), "no kind of store"),
        ({"trust_stores": {"ca": [b"x"]}}, ("trustStores", "ca", 0), "can't be read"),
        ({"trust_stores": {"ca": [b"-----BEGIN CERTIFICATE-----\n"]}}, ("trustStores", "ca", 0), "PEM"),
        ({"trust_stores": {"ca": [KEY_PEM]}}, ("trustStores", "ca", 0), "certificates only"),
        ({"trust_stores": {"ca": [b"x" * (MAX_STORE_FILE_BYTES + 1)]}}, ("trustStores", "ca", 0), "are read"),
        ({"trust_stores": {"ca": [OTHER.pem, LEAF]}}, ("trustStores", "ca", 1), "neither an authority's"),
        (
            {"trust_stores": {"ca": [OTHER.pem], "tsa": [world.signer().chain_pem]}},
            ("trustStores", "tsa", 0),
            "is no root",
        ),
    ],
)
def test_values_that_make_no_trust(changes: Any, place: Any, message: str) -> None:
    found = problems(**changes)
    assert message in found[place]


def test_all_problems_are_told_together() -> None:
    found = problems(level="x", trusted_identities=["y"], trust_stores={"ca": [b"z"]})
    assert len(found) == 3


def test_too_many_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trustgate.evidence.notation.trust.MAX_STORE_CERTIFICATES", 1)
    assert "more than 1" in problems(roots=[world.root().pem, OTHER.pem])[("trustStores",)]


def test_values_that_do() -> None:
    trust = attestor_trust(
        trust_stores={"ca": [world.root().pem, world.root().pem], "tsa": [OTHER.pem]},
        trusted_identities=["*"],
        level="permissive",
        override={"expiry": "enforce"},
        revocation="skip",
        verify_timestamp="afterCertExpiry",
    )
    assert len(trust.ca) == 1
    assert trust.actions[Validation.EXPIRY] is Action.ENFORCE
    assert trust.actions[Validation.REVOCATION] is Action.SKIP
    assert trust.actions[Validation.AUTHENTIC_TIMESTAMP] is Action.LOG
    assert not trust.always_timestamp


def test_reasons_are_printable_and_short() -> None:
    subject = [("C", "DE"), ("ST", "BE"), ("O", "tg"), ("CN", "\x1b[31m" + "x" * 58)]
    issued = issue(world.root(), private=key("p256", "notation"), subject=subject)
    trust = world.trust(trusted_identities=["x509.subject: C=DE, ST=BE, O=other"])
    reason = refused(parts=world.parts(issued), trust=trust)
    assert reason.isascii()
    assert reason.isprintable()


def test_moments_are_aware() -> None:
    assert isinstance(world.judge(world.signed(world.parts())).valid_until, datetime)
