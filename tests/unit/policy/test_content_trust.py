"""Each answer of ``contentTrust``, for single manifests, indexes and their children."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.unit.policy import scenes
from tests.unit.policy.scenes import (
    CHILD,
    INDEX,
    LOST,
    NOW,
    UNSIGNED,
    by,
    evidence,
    fact,
    judge,
    only,
    policy,
    policy_set,
    signed,
    subject,
)
from trustgate.evidence.model import Known, Outcome, Role, Signer
from trustgate.oci.digest import Digest
from trustgate.policy.document import PolicySet, load
from trustgate.policy.model import Partly, RuleOutcome, VerdictKind

NAMES = ("ci", "alice", "bob", "carol")
ALLOW, DENY = VerdictKind.ALLOW, VerdictKind.DENY


def requiring(require: str, rest: str = "") -> PolicySet:
    return policy_set(policy(signed(require, rest=rest)), attestors=NAMES)


CI = "{attestor: ci}"
TWO = "{atLeast: 2, of: [alice, bob, carol], distinct: identity}"


@pytest.mark.parametrize(
    ("require", "signatures", "expected", "code"),
    [
        (CI, by("ci"), ALLOW, "signed"),
        (CI, by("alice"), DENY, "signer-missing"),
        (CI, by(), DENY, "unsigned"),
        (CI, UNSIGNED, DENY, "unsigned"),
        (CI, LOST, DENY, "signatures-unreachable"),
        (CI, Known((fact("ci", outcome=Outcome.UNTRUSTED),)), DENY, "signer-not-trusted"),
        (CI, Known((fact("ci", outcome=Outcome.BROKEN),)), DENY, "signature-broken"),
        (CI, Known((fact("ci", outcome=Outcome.NOT_UNDERSTOOD),)), DENY, "signature-not-understood"),
        (CI, Known((fact("x", outcome=Outcome.BROKEN), fact("ci"))), ALLOW, "signed"),
        ("{anyOf: [{attestor: ci}, {attestor: bob}]}", by("bob"), ALLOW, "signed"),
        ("{anyOf: [{attestor: ci}, {attestor: bob}]}", by("alice"), DENY, "signer-missing"),
        ("{allOf: [{attestor: ci}, {attestor: bob}]}", by("ci", "bob"), ALLOW, "signed"),
        ("{allOf: [{attestor: ci}, {attestor: bob}]}", by("ci"), DENY, "signer-missing"),
        (TWO, by("alice", "carol"), ALLOW, "signed"),
        (TWO, by("alice"), DENY, "too-few-signers"),
        (TWO, by("alice", "alice"), DENY, "too-few-signers"),
        (f"{{allOf: [{CI}, {TWO}]}}", by("ci", "alice", "bob"), ALLOW, "signed"),
        (f"{{allOf: [{CI}, {TWO}]}}", by("alice", "bob"), DENY, "signer-missing"),
    ],
)
def test_requirement(require: str, signatures: object, expected: VerdictKind, code: str) -> None:
    verdict = judge(requiring(require), subject(signatures=signatures))
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


def test_unreachable_is_unknown_and_not_kept() -> None:
    verdict = judge(requiring(CI), subject(signatures=LOST))
    assert only(verdict).outcome is RuleOutcome.UNKNOWN
    assert not verdict.cacheable


def test_on_error_allow_is_recorded_only() -> None:
    policies = policy_set(policy(signed(CI), top="onError: allow\n"), attestors=NAMES)
    verdict = judge(policies, subject(signatures=LOST))
    assert (verdict.kind, only(verdict).outcome, only(verdict).mode) == (ALLOW, RuleOutcome.UNKNOWN, "audit")
    assert not verdict.cacheable
    assert judge(policies, subject(signatures=UNSIGNED)).kind is DENY


WAITING = Partly((), "2000 are still to be judged", waits=True)
LENIENT = policy_set(policy(signed(CI), top="onError: allow\n"), attestors=NAMES)
LENIENT_EACH = policy_set(
    policy(signed(CI, rest=", children: each"), top="onError: allow\n"), attestors=NAMES
)
BROKEN_OFF = Partly((), "the disk is broken")


def test_on_error_does_not_speak_of_what_only_waits() -> None:
    """Whoever may push can bring it about, and must not open the gate with it."""
    policies = policy_set(
        policy(signed(CI, rest=", children: each"), top="onError: allow\n"), attestors=NAMES
    )
    verdict = judge(policies, subject(signatures=WAITING))
    assert (verdict.kind, only(verdict).reason_code, verdict.cacheable) == (DENY, "signatures-waiting", False)
    assert judge(LENIENT, subject(signatures=BROKEN_OFF)).kind is ALLOW
    assert judge(LENIENT, subject(signatures=replace(WAITING, facts=by("ci").value))).kind is ALLOW


@pytest.mark.parametrize("turn", [1, -1])
def test_what_waits_is_not_hidden_by_what_is_lost(turn: int) -> None:
    both = ((CHILD, LOST), (scenes.OTHER, WAITING))
    found = [subject(digest=digest, signatures=some) for digest, some in both][::turn]
    children = subject(digest=INDEX, role=Role.INDEX, signatures=by("ci"), children=tuple(found))
    assert judge(LENIENT_EACH, children).kind is DENY
    parents = [subject(digest=INDEX, role=Role.INDEX, signatures=some) for some in (LOST, WAITING)][::turn]
    assert judge(LENIENT, evidence(subject(), parents=tuple(parents))).kind is DENY
    assert judge(LENIENT, evidence(subject(), parents=(parents[turn == -1],))).kind is ALLOW


def test_what_is_missing_and_how_to_fix_it() -> None:
    result = only(judge(requiring(TWO), subject(signatures=by("bob"))))
    assert [violation.subject for violation in result.violations] == ["alice", "carol"]
    assert result.message == "1 of 2 required signers"
    assert f"cosign sign --key KEY HOST/prod/api@{scenes.DIGEST}" in result.fix
    assert "alice, carol" in result.fix
    missing = only(judge(requiring(f"{{allOf: [{CI}, {{attestor: bob}}]}}"), subject(signatures=by("ci"))))
    assert [violation.subject for violation in missing.violations] == ["bob"]
    many = "{allOf: [{attestor: ci}, {attestor: alice}, {attestor: bob}, {attestor: carol}]}"
    assert "ci, alice, bob and 1 more" in only(judge(requiring(many), subject())).fix


def test_two_names_with_one_key_are_one_signer() -> None:
    files = scenes.tree(
        policy(signed("{atLeast: 2, of: [alice, twin, bob]}")), attestors=("alice", "twin", "bob")
    )
    files["trust/keys/twin.pub"] = scenes.pem("alice")
    policies = load(files, revision="r")
    both = scenes.fact("alice")
    (alice,) = both.signers
    twin = Known((both, replace(both, signers=(Signer("twin", alice.identity),))))
    assert judge(policies, subject(signatures=twin)).kind is DENY
    assert judge(policies, subject(signatures=by("alice", "bob"))).kind is ALLOW


def test_a_name_without_its_key_does_not_count() -> None:
    """A fact from another trust store may carry the name and another key."""
    stranger = replace(scenes.fact("ci"), signers=(Signer("ci", f"key:{'0' * 64}"),))
    assert judge(requiring(CI), subject(signatures=Known((stranger,)))).kind is DENY


# --- time ----------------------------------------------------------------------------------------


def timed(limits: str) -> PolicySet:
    files = scenes.tree(policy(signed(CI)), attestors=NAMES)
    files["trust/attestors.yaml"] = scenes.trust(
        *NAMES[1:], extra=f"  ci: {{type: cosign-key, key: keys/ci.pub, {limits}}}\n"
    )
    return load(files, revision="r")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("notAfter: 2027-01-10T12:00:00Z", DENY),
        ("notAfter: 2027-01-10T13:00:00+01:00", DENY),
        ("notAfter: 2027-01-10T12:00:01Z", ALLOW),
        ("notBefore: 2027-01-10T12:00:00Z", ALLOW),
        ("notBefore: 2027-01-11", DENY),
    ],
)
def test_attestor_counts_within_its_time(limits: str, expected: VerdictKind) -> None:
    assert judge(timed(limits), subject(signatures=by("ci"))).kind is expected


def test_valid_until_is_the_next_turn() -> None:
    limits = "notBefore: 2027-01-01, notAfter: 2027-02-01"
    assert judge(timed(limits), subject()).valid_until == datetime(2027, 2, 1, tzinfo=UTC)
    assert judge(timed(limits), subject(), now=datetime(2027, 2, 1, tzinfo=UTC)).valid_until is None
    assert judge(requiring(f"{{anyOf: [{CI}, {TWO}]}}"), subject(), now=NOW).valid_until is None


# --- indexes -------------------------------------------------------------------------------------


def parent(signatures: object) -> scenes.SubjectEvidence:
    return subject(digest=INDEX, role=Role.INDEX, signatures=signatures)


@pytest.mark.parametrize(
    ("rest", "own", "of_parents", "expected", "code"),
    [
        ("", UNSIGNED, [by("ci")], ALLOW, "signed-by-index"),
        ("", UNSIGNED, [UNSIGNED, by("ci")], ALLOW, "signed-by-index"),
        ("", UNSIGNED, [UNSIGNED], DENY, "unsigned"),
        ("", UNSIGNED, [LOST], DENY, "signatures-unreachable"),
        ("", LOST, [by("ci")], ALLOW, "signed-by-index"),
        ("", by("ci"), [LOST], ALLOW, "signed"),
        (", children: each", UNSIGNED, [by("ci")], DENY, "unsigned"),
        (", subject: manifest", UNSIGNED, [by("ci")], DENY, "unsigned"),
        (", subject: manifest", by("ci"), [], ALLOW, "signed"),
        (", subject: index", by("ci"), [], DENY, "index-not-signed"),
        (", subject: index", by("ci"), [UNSIGNED], DENY, "index-not-signed"),
        (", subject: index", UNSIGNED, [by("ci")], ALLOW, "signed-by-index"),
    ],
)
def test_children_of_indexes(
    rest: str, own: object, of_parents: list[object], expected: VerdictKind, code: str
) -> None:
    whole = evidence(subject(signatures=own), parents=tuple(map(parent, of_parents)))
    verdict = judge(requiring(CI, rest), whole)
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


def test_two_half_signed_digests_do_not_add_up() -> None:
    policies = requiring("{allOf: [{attestor: ci}, {attestor: bob}]}")
    halves = evidence(subject(signatures=by("ci")), parents=(parent(by("bob")), parent(by("ci"))))
    assert judge(policies, halves).kind is DENY
    whole = evidence(subject(signatures=by("ci")), parents=(parent(by("bob", "ci")),))
    assert judge(policies, whole).kind is ALLOW


def index(own: object, *children: object, complete: bool = True) -> scenes.SubjectEvidence:
    parts = tuple(
        subject(digest=Digest.of(b"child %d" % number), signatures=one) for number, one in enumerate(children)
    )
    return subject(digest=INDEX, role=Role.INDEX, signatures=own, children=parts, complete=complete)


@pytest.mark.parametrize(
    ("rest", "what", "expected", "code"),
    [
        ("", index(by("ci"), UNSIGNED), ALLOW, "signed"),
        ("", index(UNSIGNED, by("ci")), DENY, "unsigned"),
        (", children: each", index(by("ci"), by("ci")), ALLOW, "signed"),
        (", children: each", index(by("ci"), by("ci"), UNSIGNED), DENY, "unsigned"),
        (", children: each", index(by("ci"), by("ci"), LOST), DENY, "signatures-unreachable"),
        (", children: each", index(UNSIGNED, by("ci")), DENY, "unsigned"),
        (", children: each", index(by("ci"), by("ci"), complete=False), DENY, "incomplete-index"),
        (", children: each", index(by("ci")), DENY, "incomplete-index"),
        (", subject: manifest", index(UNSIGNED, by("ci"), by("ci")), ALLOW, "signed"),
        (", subject: manifest", index(by("ci"), by("ci"), UNSIGNED), DENY, "unsigned"),
        (", subject: index", index(by("ci"), UNSIGNED), ALLOW, "signed"),
    ],
)
def test_indexes(rest: str, what: scenes.SubjectEvidence, expected: VerdictKind, code: str) -> None:
    verdict = judge(requiring(CI, rest), what)
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


def test_signatures_stay_pullable_and_artifacts_are_judged() -> None:
    assert only(judge(requiring(CI), subject(role=Role.SIGNATURE))).reason_code == "is-signature"
    assert judge(requiring(CI), subject(role=Role.ARTIFACT)).kind is DENY
    assert judge(requiring(CI), subject(role=Role.ARTIFACT, signatures=by("ci"))).kind is ALLOW


@pytest.mark.parametrize("outcome", [Outcome.UNTRUSTED, Outcome.BROKEN, Outcome.NOT_UNDERSTOOD])
def test_only_what_was_verified_counts_whatever_names_it_carries(outcome: Outcome) -> None:
    claimed = replace(fact("ci"), outcome=outcome)
    assert judge(requiring(CI), subject(signatures=Known((claimed,)))).kind is DENY
