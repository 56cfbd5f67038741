"""notation's own trust policy and trust store: what is read, what is refused, and which statement applies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import notation_world as world
from tests.notation_world import NOW, authority, key
from trustgate.evidence.model import Outcome
from trustgate.evidence.notation.trust import NotationTrustInvalid, Validation
from trustgate.evidence.notation.trust_policy import (
    MAX_POLICY_BYTES,
    Statement,
    is_scope,
    read_trust_policy,
    statement_trust,
)
from trustgate.evidence.notation.verification import questions_under, verify_notation

OTHER = authority(private=key("p256", "other root"), common_name="other root")
STORE = {
    "x509/ca/acme/root.crt": world.root().pem,
    "x509/ca/acme/sub/ignored.crt": b"not read",
    "x509/ca/other/root.pem": OTHER.pem,
    "x509/ca/junk/readme.txt": b"hello",
    "x509/signingAuthority/sa/root.crt": OTHER.pem,
    "x509/tsa/time/root.crt": OTHER.pem,
    "x509/tsa/leaf/leaf.crt": world.signer().pem,
}


def statement(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": "release",
        "registryScopes": ["*"],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:acme"],
        "trustedIdentities": [world.IDENTITY],
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def skipping(**changes: Any) -> dict[str, Any]:
    given = {
        "registryScopes": ["reg.test/skip"],
        "signatureVerification": {"level": "skip"},
        "trustStores": None,
        "trustedIdentities": None,
    }
    return statement(**{**given, **changes})


def document(*statements: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"version": "1.0", "trustPolicies": list(statements), **changes}).encode()


def read(*statements: dict[str, Any]) -> tuple[Statement, ...]:
    return read_trust_policy(document(*statements)).statements


def test_the_exact_scope_beats_the_global_one() -> None:
    found = read_trust_policy(
        document(
            statement(),
            statement(name="named", registryScopes=["reg.test/shop/web", "reg.test:5000/a"]),
            skipping(name="skips"),
        )
    )
    assert [one.name for one in found.statements] == ["release", "named", "skips"]
    for repository, name in (
        ("reg.test/shop/web", "named"),
        ("reg.test:5000/a", "named"),
        ("reg.test/shop", "release"),
        ("reg.test/shop/web/x", "release"),
        ("reg.test/skip", "skips"),
    ):
        chosen = found.for_scope(repository)
        assert chosen is not None
        assert chosen.name == name
        assert chosen.skips is (name == "skips")


def test_nothing_applies_where_nothing_is_said() -> None:
    found = read_trust_policy(document(statement(registryScopes=["reg.test/a"])))
    assert found.for_scope("reg.test/b") is None


@pytest.mark.parametrize(
    ("raw", "place", "message"),
    [
        (b"{", (), "JSON"),
        (b"x" * (MAX_POLICY_BYTES + 1), (), "are read"),
        (b"[]", (), "object"),
        (document(statement(), version="2.0"), ("version",), "is not"),
        (document(statement(), extra=1), ("extra",), "no field here"),
        (document(), ("trustPolicies",), "a list of 1"),
        (document("x"), ("trustPolicies", 0), "object"),  # type: ignore[arg-type]
        (document(statement(Name="x")), (), "twice"),
        (document(statement(registryscopes=["*"])), (), "twice"),
        (document(statement(name="")), ("trustPolicies", 0, "name"), "missing"),
        (
            document(statement(), statement(registryScopes=["reg.test/a"])),
            ("trustPolicies", 1, "name"),
            "twice",
        ),
        (
            document(statement(registryScopes=[])),
            ("trustPolicies", 0, "registryScopes"),
            "scopes are expected",
        ),
        (document(statement(registryScopes="*")), ("trustPolicies", 0, "registryScopes"), "not a list"),
        (document(statement(registryScopes=[1])), ("trustPolicies", 0, "registryScopes"), "not text"),
        (
            document(statement(registryScopes=["*", "reg.test/a"])),
            ("trustPolicies", 0, "registryScopes"),
            "stands alone",
        ),
        (
            document(statement(), statement(name="b")),
            ("trustPolicies", 1, "registryScopes"),
            "more than one trust policy",
        ),
        (
            document(statement(registryScopes=["reg.test/a", "reg.test/a"])),
            ("trustPolicies", 0, "registryScopes"),
            "more than one trust policy",
        ),
        (
            document(statement(registryScopes=["reg.test/*"])),
            ("trustPolicies", 0, "registryScopes"),
            "HOST/REPOSITORY",
        ),
        (
            document(statement(signatureVerification={"level": "hard"})),
            ("trustPolicies", 0, "signatureVerification", "level"),
            "levels are strict, permissive, audit, skip",
        ),
        (
            document(statement(signatureVerification={})),
            ("trustPolicies", 0, "signatureVerification", "level"),
            "missing",
        ),
        (
            document(statement(signatureVerification={"level": "strict", "override": {"integrity": "log"}})),
            ("trustPolicies", 0, "signatureVerification", "override", "integrity"),
            "can't be overridden",
        ),
        (
            document(statement(signatureVerification={"level": "strict", "override": []})),
            ("trustPolicies", 0, "signatureVerification", "override"),
            "object",
        ),
        (
            document(skipping(signatureVerification={"level": "skip", "override": {"expiry": "log"}})),
            ("trustPolicies", 0, "signatureVerification", "override"),
            "can't be overridden",
        ),
        (
            document(skipping(registryScopes=["*"])),
            ("trustPolicies", 0, "signatureVerification"),
            "global scope",
        ),
        (
            document(skipping(trustStores=["ca:acme"])),
            ("trustPolicies", 0, "signatureVerification"),
            "verifies nothing",
        ),
    ],
)
def test_policies_that_are_refused(raw: bytes, place: Any, message: str) -> None:
    with pytest.raises(NotationTrustInvalid) as caught:
        read_trust_policy(raw)
    found = {one.place: one.message for one in caught.value.problems}
    assert message in found[place]


def test_what_a_statement_trusts() -> None:
    (one,) = read(
        statement(
            trustStores=["ca:acme", "ca:other", "ca:other", "signingAuthority:sa", "tsa:time"],
            signatureVerification={
                "level": "strict",
                "override": {"expiry": "log"},
                "verifyTimestamp": "afterCertExpiry",
            },
        )
    )
    trust = statement_trust(one, STORE)
    assert (len(trust.ca), len(trust.signing_authority), len(trust.tsa)) == (2, 1, 1)
    assert trust.actions[Validation.EXPIRY] == "log"
    assert not trust.always_timestamp


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trustStores": ["ca:none"]}, "has no certificates under"),
        ({"trustStores": ["ca:junk"]}, "can't be read"),
        ({"trustStores": ["ca:acme", "tsa:leaf"]}, "is no root"),
        ({"trustStores": ["ca:../ca/acme"]}, "is not KIND:NAME"),
        ({"trustStores": ["ca:.."]}, "is not KIND:NAME"),
        ({"trustStores": ["acme"]}, "is not KIND:NAME"),
        ({"trustStores": ["CA:acme"]}, "is not KIND:NAME"),
        ({"trustStores": ["tsa:time"]}, "no root to trust"),
        ({"trustStores": None}, "no root to trust"),
        ({"trustedIdentities": None}, "identities"),
        ({"trustedIdentities": ["*", "*"]}, "stands alone"),
        ({"trustedIdentities": ["x509.subject: C=DE"]}, "lacks"),
        (
            {"signatureVerification": {"level": "strict", "verifyTimestamp": "x"}},
            "neither always nor",
        ),
    ],
)
def test_statements_that_trust_nobody(changes: dict[str, Any], message: str) -> None:
    (one,) = read(statement(**changes))
    with pytest.raises(NotationTrustInvalid, match=message):
        statement_trust(one, STORE)


def test_levels_of_a_statement() -> None:
    """``audit`` accepts anyone, as notation does, and is still no verification."""
    stranger = [{"trustStores": ["ca:other"]}, {"trustedIdentities": ["x509.subject: C=FR, ST=X, O=y"]}]
    for level, accepted in (("strict", False), ("permissive", False), ("audit", True)):
        for changes in stranger:
            (one,) = read(statement(signatureVerification={"level": level}, **changes))
            result = verify_notation(
                world.signed(world.parts()), subject=world.SUBJECT, trust=statement_trust(one, STORE), now=NOW
            )
            assert (not result.refusal) is accepted
            assert not result.verified
            assert bool(result.logged) is accepted
    (one,) = read(statement())
    trust = statement_trust(one, STORE)
    result = verify_notation(world.signed(world.parts()), subject=world.SUBJECT, trust=trust, now=NOW)
    assert result.verified
    assert questions_under(world.signed(world.parts()), subject=world.SUBJECT, trusts=[trust], now=NOW) == ()


def test_level_audit_proves_neither_a_signer_nor_a_time() -> None:
    audit = {"level": "audit"}
    (one,) = read(statement(signatureVerification=audit, trustStores=["ca:other", "tsa:time"]))
    trust = statement_trust(one, STORE)
    made = world.signed(world.authority_header(world.parts()))
    result = verify_notation(made, subject=world.SUBJECT, trust=trust, now=NOW)
    assert (result.refusal, result.signed_at) == ("", None)
    fact = world.judge(made, trust=trust)
    assert fact.outcome is Outcome.UNTRUSTED
    assert "in no signingAuthority store" in fact.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("reg.test/a", True),
        ("localhost:5000/a/b-c__d.e", True),
        ("local/layout", True),
        ("reg.test", False),
        ("reg.test/", False),
        ("/a", False),
        ("reg.test/A", False),
        ("reg.test/a:1", False),
        ("reg.test/a@sha256:0", False),
        ("https://reg.test/a", False),
        ("reg.test/a//b", False),
        ("-reg/a", False),
        ("a/" + "b" * 600, False),
    ],
)
def test_scopes(text: str, expected: bool) -> None:
    assert is_scope(text) is expected


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    with pytest.raises(NotationTrustInvalid):
        read_trust_policy(raw)
