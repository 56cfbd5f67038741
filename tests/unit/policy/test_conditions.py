"""What ``contentTrust`` asks of a signature beside its signer: age, log, timestamp, revocation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.policy.scenes import (
    INDEX,
    NOW,
    evidence,
    fact,
    judge,
    only,
    policy,
    policy_set,
    signed,
    subject,
)
from trustgate.evidence.model import Known, Outcome, Role, SignatureKind
from trustgate.policy.document import PolicySet
from trustgate.policy.model import Verdict, VerdictKind

ALLOW, DENY = VerdictKind.ALLOW, VerdictKind.DENY
NOTATION = SignatureKind.NOTATION
DAY = timedelta(days=1)
LOG: Any = frozenset({"log"})
STAMP: Any = frozenset({"timestamp"})


def asking(condition: str) -> PolicySet:
    return policy_set(policy(signed("{attestor: ci}", rest=f", {condition}")), attestors=("ci", "bob"))


def verdict(condition: str, **known: Any) -> Verdict:
    return judge(asking(condition), subject(signatures=Known((replace(fact("ci"), **known),))))


@pytest.mark.parametrize(
    ("condition", "known", "expected"),
    [
        ("signatureMaxAge: 30d", {"signed_at": NOW - 29 * DAY}, ALLOW),
        ("signatureMaxAge: 30d", {"signed_at": NOW - 30 * DAY}, DENY),
        ("signatureMaxAge: 720h", {"signed_at": NOW - 30 * DAY + timedelta(seconds=1)}, ALLOW),
        ("signatureMaxAge: 30d", {}, DENY),
        ("transparencyLog: required", {"logs": 1}, ALLOW),
        ("transparencyLog: required", {}, DENY),
        ("transparencyLog: required", {"unproven": LOG}, DENY),
        ("transparencyLog: ifPresent", {}, ALLOW),
        ("transparencyLog: ifPresent", {"unproven": STAMP}, ALLOW),
        ("transparencyLog: ifPresent", {"unproven": LOG}, DENY),
        ("transparencyLog: ignore", {"unproven": LOG}, ALLOW),
        ("timestamp: always", {"timestamps": 1}, ALLOW),
        ("timestamp: always", {"unproven": STAMP}, DENY),
        ("timestamp: ifCertExpired", {}, ALLOW),
        ("timestamp: ifCertExpired", {"kind": NOTATION, "revocation": "unknown"}, ALLOW),
        ("revocation: enforce", {}, ALLOW),
        ("revocation: enforce", {"kind": NOTATION, "revocation": "good"}, ALLOW),
        ("revocation: enforce", {"kind": NOTATION, "revocation": "not-asked"}, DENY),
        ("revocation: enforce", {"kind": NOTATION, "revocation": "unknown"}, DENY),
        ("revocation: enforce", {"kind": NOTATION, "revocation": "revoked"}, DENY),
    ],
)
def test_a_signature_counts_when_it_meets_the_condition(
    condition: str, known: dict[str, Any], expected: VerdictKind
) -> None:
    assert verdict(condition, **known).kind is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("registry.example:5000/prod/api", ALLOW),
        ("another.example/prod/api:v1", ALLOW),
        ("registry.example/dev/api", DENY),
        ("registry.example/prod/api/more", DENY),
        ("prod/api", DENY),
        ("", DENY),
    ],
)
def test_a_signature_of_another_repository_is_no_signature_here(said: str, expected: VerdictKind) -> None:
    assert verdict("reference: same-repository", signed_repository=said).kind is expected
    assert verdict("reference: any", signed_repository=said).kind is ALLOW


def test_why_it_does_not_count_is_told_with_the_condition() -> None:
    result = only(verdict("signatureMaxAge: 30d", signed_at=NOW - 31 * DAY))
    assert result.reason_code == "signature-does-not-count"
    assert result.message == "signed by ci, but it was made on 2026-12-10, longer ago than signatureMaxAge"
    assert "no transparency log proves it" in only(verdict("transparencyLog: required")).message


def test_conditions_make_nothing_count_that_was_not_verified() -> None:
    proven = {"logs": 3, "timestamps": 3, "signed_at": NOW, "revocation": "good"}
    for outcome in (Outcome.BROKEN, Outcome.UNTRUSTED, Outcome.NOT_UNDERSTOOD):
        assert verdict("transparencyLog: required", outcome=outcome, **proven).kind is DENY


def test_one_signature_has_to_meet_all_of_them() -> None:
    halves = Known((replace(fact("ci"), logs=1), replace(fact("ci"), timestamps=1)))
    both = "transparencyLog: required, timestamp: always"
    assert judge(asking(both), subject(signatures=halves)).kind is DENY
    whole = Known((replace(fact("ci"), logs=1, timestamps=1),))
    assert judge(asking(both), subject(signatures=whole)).kind is ALLOW


def test_a_verdict_ends_when_a_signature_grows_too_old_or_turns_by_itself() -> None:
    made = NOW - 29 * DAY
    assert verdict("signatureMaxAge: 30d", signed_at=made).valid_until == NOW + DAY
    assert verdict("signatureMaxAge: 30d", signed_at=NOW - 31 * DAY).valid_until is None
    turning = replace(fact("bob"), valid_until=NOW + timedelta(hours=1))
    index = subject(digest=INDEX, role=Role.INDEX, signatures=Known((turning,)))
    found = judge(asking("timestamp: ifCertExpired"), evidence(subject(), parents=(index,)))
    assert found.valid_until == NOW + timedelta(hours=1)
