"""Each answer of ``attestation``: the right type by the right people, in the same attestation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import sigstore_world
from tests.unit.policy import scenes
from tests.unit.policy.scenes import (
    CHILD,
    INDEX,
    LOST,
    NOW,
    SLSA,
    SPDX,
    UNATTESTED,
    attested,
    by,
    evidence,
    judge,
    only,
    policy,
    policy_set,
    problems_of,
    pull,
    said,
    saying,
    signed,
    subject,
)
from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.model import Outcome, Role, Signer
from trustgate.evidence.predicate_query import Said, read_query
from trustgate.oci.digest import Digest
from trustgate.policy.document import PolicySet, load
from trustgate.policy.model import Need, Partly, RuleOutcome, SubjectEvidence, Verdict, VerdictKind

NAMES = ("ci", "alice", "bob")
ALLOW, DENY = VerdictKind.ALLOW, VerdictKind.DENY
CI = "{attestor: ci}"
EITHER = "{anyOf: [{attestor: ci}, {attestor: bob}]}"
BOTH = "{allOf: [{attestor: ci}, {attestor: bob}]}"
CI_OR_PAIR = "{anyOf: [{attestor: ci}, {allOf: [{attestor: alice}, {attestor: bob}]}]}"
TWO = "{atLeast: 2, of: [ci, alice, bob]}"
PARTLY_CI = Partly((said("ci"),), "2 are still to be judged")
PARTLY_ALICE = Partly((said("alice"),), "2 are still to be judged")


def asking(require: str = CI, rest: str = "", types: str = SLSA) -> PolicySet:
    return policy_set(policy(attested(require, types=types, rest=rest)), attestors=NAMES)


@pytest.mark.parametrize(
    ("require", "attestations", "expected", "code"),
    [
        (CI, saying(said("ci")), ALLOW, "attested"),
        (CI, saying(said("alice"), said("ci")), ALLOW, "attested"),
        (CI, saying(said("alice")), DENY, "signer-missing"),
        (CI, saying(said("ci", kind=SPDX)), DENY, "no-attestation"),
        (CI, saying(said("ci", kind=SPDX), said("alice")), DENY, "signer-missing"),
        (CI, saying(said("ci", kind=f"{SLSA}/")), DENY, "no-attestation"),
        (CI, saying(said("ci", kind=SLSA.upper())), DENY, "no-attestation"),
        (CI, saying(said("ci", kind="https://slsa.dev/provenance/v0.2")), DENY, "no-attestation"),
        (CI, saying(said("ci", kind="")), DENY, "no-attestation"),
        (CI, saying(), DENY, "no-attestation"),
        (CI, UNATTESTED, DENY, "no-attestation"),
        (CI, LOST, DENY, "attestations-unreachable"),
        (CI, PARTLY_CI, ALLOW, "attested"),
        (CI, PARTLY_ALICE, DENY, "attestations-unreachable"),
        (CI, saying(said("ci", outcome=Outcome.UNTRUSTED)), DENY, "signer-not-trusted"),
        (CI, saying(said("ci", outcome=Outcome.BROKEN)), DENY, "attestation-broken"),
        (CI, saying(said("ci", outcome=Outcome.NOT_UNDERSTOOD)), DENY, "attestation-not-understood"),
        (CI, saying(said("x", outcome=Outcome.BROKEN), said("ci")), ALLOW, "attested"),
        (EITHER, saying(said("bob")), ALLOW, "attested"),
        (EITHER, saying(said("alice")), DENY, "signer-missing"),
        (BOTH, saying(said("ci"), said("bob")), ALLOW, "attested"),
        (BOTH, saying(said("ci"), said("bob", kind=SPDX)), DENY, "signer-missing"),
        (TWO, saying(said("ci"), said("bob")), ALLOW, "attested"),
        (TWO, saying(said("ci"), said("ci", what="more")), DENY, "too-few-signers"),
    ],
)
def test_table(require: str, attestations: object, expected: VerdictKind, code: str) -> None:
    verdict = judge(asking(require), subject(attestations=attestations))
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


@pytest.mark.parametrize("attestations", [LOST, PARTLY_ALICE, Partly((), "all are still to be judged")])
def test_what_could_not_be_asked_is_unknown_and_not_kept(attestations: object) -> None:
    verdict = judge(asking(), subject(attestations=attestations))
    assert (only(verdict).outcome, verdict.cacheable) == (RuleOutcome.UNKNOWN, False)


def test_what_was_not_gathered_is_unknown() -> None:
    bare = SubjectEvidence(CHILD, Role.IMAGE, "", scenes.UNSIGNED, scenes.UNSCANNED)
    assert only(judge(asking(), bare)).outcome is RuleOutcome.UNKNOWN


def test_type_and_signer_have_to_hold_for_the_same_attestation() -> None:
    """A stranger's provenance beside an SBOM by CI is no provenance by CI."""
    stranger = replace(said("ci"), signers=(Signer("ci", f"key:{'f' * 64}"),))
    verdict = judge(asking(), subject(attestations=saying(stranger, said("ci", kind=SPDX))))
    assert (verdict.kind, only(verdict).reason_code) == (DENY, "signer-missing")


def test_any_of_several_types() -> None:
    policies = asking(types=f"[{SLSA}, {SPDX}]")
    for kind in (SLSA, SPDX):
        assert judge(policies, subject(attestations=saying(said("ci", kind=kind)))).kind is ALLOW
    result = only(judge(policies, subject()))
    assert result.message == f"no attestation of type {SLSA} or {SPDX}"


def test_signatures_are_no_attestations_and_the_other_way_round() -> None:
    assert judge(asking(), subject(signatures=by("ci"))).kind is DENY
    signed_only = policy_set(policy(signed(CI)), attestors=NAMES)
    assert judge(signed_only, subject(attestations=saying(said("ci")))).kind is DENY


# --- how many ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("require", "facts", "expected"),
    [
        (CI, (said("ci"), said("ci", what="more")), ALLOW),
        (CI, (said("ci"),), DENY),
        (CI, (said("ci"), said("ci")), DENY),
        (CI, (said("ci"), said("alice", what="more")), DENY),
        (CI, (said("ci"), said("ci", kind=SPDX)), DENY),
        (EITHER, (said("ci"), said("bob", what="more")), ALLOW),
        (EITHER, (said("ci"), said("alice", what="more")), DENY),
        # half of an "all of" carries nothing
        (CI_OR_PAIR, (said("ci"), said("bob", what="b")), DENY),
        (CI_OR_PAIR, (said("alice"), said("bob", what="b")), ALLOW),
        (f"{{anyOf: [{CI}, {{atLeast: 2, of: [alice, bob]}}]}}", (said("ci"), said("bob", what="b")), DENY),
    ],
)  # fmt: skip
def test_at_least_two(require: str, facts: Any, expected: VerdictKind) -> None:
    assert judge(asking(require, ", atLeast: 2"), subject(attestations=saying(*facts))).kind is expected


def test_one_statement_in_two_wrappings_counts_once() -> None:
    """Whoever may push can wrap a statement anew; only its signer can make another."""
    again = replace(said("ci"), content=scenes.DIGEST, evidence=scenes.DIGEST)
    verdict = judge(asking(CI, ", atLeast: 2"), subject(attestations=saying(said("ci"), again)))
    assert (verdict.kind, only(verdict).reason_code) == (DENY, "too-few-attestations")
    assert only(verdict).message == f"1 of 2 required attestations of {SLSA} that differ"
    assert [one.subject for one in only(verdict).violations] == ["ci"]


def test_several_digests_never_add_up() -> None:
    index = subject(digest=INDEX, role=Role.INDEX, attestations=saying(said("bob")))
    verdict = judge(asking(BOTH), evidence(subject(attestations=saying(said("ci"))), parents=(index,)))
    assert verdict.kind is DENY


# --- what is told --------------------------------------------------------------------------------


def test_what_is_missing_and_how_to_fix_it() -> None:
    result = only(judge(asking(BOTH), subject(attestations=saying(said("ci")))))
    assert result.kind == "attestation"
    assert [violation.subject for violation in result.violations] == ["bob"]
    assert result.message == "attested by ci, which is not enough"
    assert f"cosign attest --key KEY --type {SLSA} --predicate FILE" in result.fix
    assert f"HOST/prod/api@{scenes.DIGEST} (attestor bob)" in result.fix
    passed = only(judge(asking(), subject(attestations=saying(said("ci")))))
    assert passed.message == f"{SLSA} attested by ci"


def test_without_a_key_the_identity_attests() -> None:
    files = scenes.tree(policy(attested("{attestor: gh}")), attestors=("ci",))
    who = "issuer: https://token.example, identity: https://ci.example/release"
    files["trust/attestors.yaml"] += f"  gh: {{type: keyless, {who}, trustRoot: own}}\n".encode()
    policies = load(files, revision="r", known_roots={"own": sigstore_world.instance().trusted_root()})
    result = only(judge(policies, subject()))
    assert result.fix.startswith("attest it with the identity that is trusted: cosign attest --type https:")


def test_what_is_there_instead_is_told() -> None:
    other = only(judge(asking(), subject(attestations=saying(said("ci", kind=SPDX)))))
    assert other.message == f"no attestation of type {SLSA}; it has {SPDX}"
    broken = said("ci", kind="", outcome=Outcome.BROKEN, reason="it is cut off")
    found = only(judge(asking(), subject(attestations=saying(broken))))
    assert found.message == f"no attestation of type {SLSA}; one can't be read: it is cut off"
    foreign = said("ci", kind=SPDX, outcome=Outcome.UNTRUSTED)
    assert only(judge(asking(), subject(attestations=saying(foreign)))).message.endswith(SLSA)


# --- conditions and time -------------------------------------------------------------------------

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("condition", "known", "expected"),
    [
        ("maxAge: 30d", {"signed_at": NOW - 29 * DAY}, ALLOW),
        ("maxAge: 30d", {"signed_at": NOW - 30 * DAY}, DENY),
        ("maxAge: 30d", {}, DENY),
        ("transparencyLog: required", {"logs": 1}, ALLOW),
        ("transparencyLog: required", {}, DENY),
        ("transparencyLog: ifPresent", {}, ALLOW),
        ("transparencyLog: ifPresent", {"unproven": frozenset({"log"})}, DENY),
        ("timestamp: always", {"timestamps": 1}, ALLOW),
        ("timestamp: always", {"logs": 1}, DENY),
        ("timestamp: ifCertExpired", {}, ALLOW),
    ],
)
def test_conditions(condition: str, known: dict[str, Any], expected: VerdictKind) -> None:
    verdict = judge(asking(CI, f", {condition}"), subject(attestations=saying(replace(said("ci"), **known))))
    assert verdict.kind is expected
    if expected is DENY:
        assert only(verdict).reason_code == "attestation-does-not-count"


def test_what_is_broken_is_told_as_broken_whoever_it_names() -> None:
    claims = replace(said("ci"), outcome=Outcome.BROKEN)
    verdict = judge(asking(CI, ", transparencyLog: required"), subject(attestations=saying(claims)))
    assert only(verdict).reason_code == "attestation-broken"


def test_an_old_one_is_told_with_the_key_of_the_policy() -> None:
    old = replace(said("ci"), signed_at=NOW - 31 * DAY)
    verdict = judge(asking(CI, ", maxAge: 30d"), subject(attestations=saying(old)))
    assert only(verdict).message == "attested by ci, but it was made on 2026-12-10, longer ago than maxAge"


def test_one_attestation_has_to_meet_all_of_it() -> None:
    halves = saying(replace(said("ci"), logs=1), replace(said("ci", what="b"), timestamps=1))
    policies = asking(CI, ", transparencyLog: required, timestamp: always")
    assert judge(policies, subject(attestations=halves)).kind is DENY


def test_a_verdict_ends_when_an_attestation_turns() -> None:
    def until(rest: str, **known: Any) -> datetime | None:
        return verdict_on(asking(CI, rest), replace(said("ci"), **known)).valid_until

    assert until(", maxAge: 30d", signed_at=NOW - 29 * DAY) == NOW + DAY
    assert until(", maxAge: 30d", signed_at=NOW - 31 * DAY) is None
    assert until("", valid_until=NOW + DAY) == NOW + DAY
    assert until("") is None
    assert until("", signed_at=NOW - DAY) is None
    assert until(", maxAge: 30d", signed_at=NOW - DAY, outcome=Outcome.BROKEN) is None
    index = subject(
        digest=INDEX, role=Role.INDEX, attestations=saying(replace(said("bob"), valid_until=NOW + DAY))
    )
    assert judge(asking(), evidence(subject(), parents=(index,))).valid_until == NOW + DAY  # fmt: skip


def verdict_on(policies: PolicySet, *facts: Any) -> Verdict:
    return judge(policies, subject(attestations=saying(*facts)))


def test_an_attestor_counts_in_its_time_only() -> None:
    files = scenes.tree(policy(attested(CI)), attestors=NAMES)
    limits = "notBefore: 2027-01-01, notAfter: 2027-02-01"
    text = files["trust/attestors.yaml"].decode().replace("keys/ci.pub}", f"keys/ci.pub, {limits}}}")
    policies = load(files | {"trust/attestors.yaml": text.encode()}, revision="r")
    end = datetime(2027, 2, 1, tzinfo=UTC)
    given = subject(attestations=saying(said("ci")))
    assert verdict_on(policies, said("ci")).valid_until == end
    assert judge(policies, given, now=end).kind is DENY
    assert judge(policies, given, now=end - timedelta(seconds=1)).kind is ALLOW


# --- indexes and their children ------------------------------------------------------------------

GOOD, NONE = saying(said("ci")), UNATTESTED


def child(attestations: object = NONE, role: Role = Role.IMAGE) -> SubjectEvidence:
    return subject(digest=CHILD, role=role, attestations=attestations)


def index(attestations: object = NONE, *children: SubjectEvidence, complete: bool = True) -> SubjectEvidence:
    parts = tuple(replace(one, digest=Digest.of(b"child %d" % number)) for number, one in enumerate(children))
    return subject(
        digest=INDEX, role=Role.INDEX, attestations=attestations, children=parts, complete=complete
    )


@pytest.mark.parametrize(
    ("rest", "what", "parents", "expected", "code"),
    [
        ("", child(), (index(GOOD),), ALLOW, "attested-by-index"),
        ("", child(), (index(),), DENY, "no-attestation"),
        ("", child(), (index(LOST),), DENY, "attestations-unreachable"),
        ("", child(GOOD), (index(LOST),), ALLOW, "attested"),
        ("", index(GOOD, child()), (), ALLOW, "attested"),
        ("", index(NONE, child(GOOD)), (), DENY, "no-attestation"),
        (", children: inherit", child(), (index(GOOD),), ALLOW, "attested-by-index"),
        (", children: each", child(), (index(GOOD),), DENY, "no-attestation"),
        (", children: each", child(GOOD), (), ALLOW, "attested"),
        (", children: each", index(GOOD, child(GOOD), child(GOOD)), (), ALLOW, "attested"),
        (", children: each", index(GOOD, child(GOOD), child()), (), DENY, "no-attestation"),
        (", children: each", index(GOOD, child(LOST)), (), DENY, "attestations-unreachable"),
        (", children: each", index(NONE, child(GOOD)), (), DENY, "no-attestation"),
        (", children: each", index(GOOD), (), DENY, "incomplete-index"),
        (", children: each", index(GOOD, child(GOOD), complete=False), (), DENY, "incomplete-index"),
        ("", child(role=Role.SIGNATURE), (), ALLOW, "is-signature"),
        ("", child(role=Role.ARTIFACT), (), DENY, "no-attestation"),
        (", children: each", index(GOOD, child(role=Role.SIGNATURE)), (), ALLOW, "attested"),
    ],
)
def test_children(rest: str, what: SubjectEvidence, parents: Any, expected: VerdictKind, code: str) -> None:
    verdict = judge(asking(CI, rest), evidence(what, parents=parents))
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


# --- what is gathered, and what does not load ----------------------------------------------------


def test_only_such_rules_ask_for_attestations() -> None:
    assert asking().needs(pull()) == {Need.ATTESTATIONS}
    assert asking().asks_for(Need.ATTESTATIONS)
    assert not asking().asks_for(Need.SIGNATURES)
    off = policy_set(policy(attested(CI), top="mode: off\n"), attestors=NAMES)
    assert not off.asks_for(Need.ATTESTATIONS)


def test_who_can_attest_nothing_is_refused_at_load() -> None:
    files = scenes.tree(policy(attested("{anyOf: [{attestor: ci}, {attestor: old}]}")), attestors=("ci",))
    files["trust/attestors.yaml"] += b"  old: {type: notary-v1, rootKey: keys/ci.pub}\n"
    (found,) = problems_of(files)
    assert 'TG2012 attestor "old" can attest nothing: attestations are signed by cosign-key or key' in found


# --- what they say -------------------------------------------------------------------------------

CEL = "predicate.builder == 'ci'"
WITH_CEL = f', cel: "{CEL}"'
QUERY = read_query(cel_text=CEL, each="", deny_when="")
HOLDS, FAILS = Said(QUERY.id, True), Said(QUERY.id, False, "it is false", ("a 1", "b 2"), 7)


def told(name: str, *answers: Said, what: str = "made by make") -> AttestationFact:
    return replace(said(name, what=what), said=answers)


@pytest.mark.parametrize(
    ("facts", "expected", "code"),
    [
        ([told("ci", HOLDS)], ALLOW, "attested"),
        ([told("ci", FAILS)], DENY, "attestation-content"),
        ([told("ci")], DENY, "attestation-content"),
        ([told("ci", Said("another", True))], DENY, "attestation-content"),
        ([told("ci", FAILS), told("ci", HOLDS, what="anew")], ALLOW, "attested"),
        ([told("alice", HOLDS)], DENY, "signer-missing"),
        ([told("alice", HOLDS), told("ci", FAILS)], DENY, "attestation-content"),
        ([replace(told("ci", HOLDS), outcome=Outcome.BROKEN)], DENY, "attestation-broken"),
        ([], DENY, "no-attestation"),
    ],
)
def test_what_they_say_counts(facts: list[AttestationFact], expected: VerdictKind, code: str) -> None:
    verdict = judge(asking(rest=WITH_CEL), subject(attestations=saying(*facts)))
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


def test_what_is_denied_is_named() -> None:
    rest = f"{WITH_CEL}, message: built outside our CI"
    result = only(judge(asking(rest=rest), subject(attestations=saying(told("ci", FAILS)))))
    assert result.message == "built outside our CI: it is false"
    assert [(one.subject, one.package) for one in result.violations] == [(SLSA, "a 1"), (SLSA, "b 2")]
    assert result.more_violations == 7
    plain = only(judge(asking(rest=WITH_CEL), subject(attestations=saying(told("ci", FAILS)))))
    assert plain.message == f"{SLSA}: it is false"


def test_enough_of_them_have_to_say_it() -> None:
    policies = asking(rest=f"{WITH_CEL}, atLeast: 2")
    one, two = told("ci", HOLDS), told("ci", HOLDS, what="anew")
    for facts, kind in (([one, two], ALLOW), ([one, told("ci", FAILS, what="anew")], DENY)):
        assert judge(policies, subject(attestations=saying(*facts))).kind is kind


def test_a_policy_set_knows_what_it_asks() -> None:
    plain, asked = asking(), asking(rest=WITH_CEL)
    assert (plain.queries, asked.queries) == ((), (((SLSA,), QUERY),))
    assert (
        len(
            {
                plain.query_revision,
                asked.query_revision,
                asking(rest=", cel: 'has(predicate.a)'").query_revision,
            }
        )
        == 3
    )
    assert asking(rest=WITH_CEL, types=SPDX).query_revision != asked.query_revision
