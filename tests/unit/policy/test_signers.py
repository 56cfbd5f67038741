"""Each answer of ``signers``: pass, fail and unknown, for both of its words, and what does not load."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.scenes import (
    NOW,
    evidence,
    fact,
    judge,
    only,
    policy,
    policy_set,
    problems_of,
    pull,
    root,
    said,
    tree,
)
from trustgate.evidence.model import Absent, Known, Outcome, SignatureFact, Unreachable
from trustgate.policy.model import (
    Action,
    Arriving,
    Need,
    Partly,
    Request,
    RuleOutcome,
    RuleResult,
    VerdictKind,
)

PASS, FAIL, UNKNOWN = RuleOutcome.PASS, RuleOutcome.FAIL, RuleOutcome.UNKNOWN
PUSH = 'repositories: ["**"], actions: [push]'
NAMES = ("good", "bad", "other")
STRANGER = fact(outcome=Outcome.UNTRUSTED, reason="signed by a key that the trust store does not name")
BROKEN = fact(outcome=Outcome.BROKEN, reason="its signature does not verify")
ODD = fact(outcome=Outcome.NOT_UNDERSTOOD, reason="bundles of version 0.9 are not judged")
OPEN = replace(STRANGER, revocation="unknown", reason="whether it was revoked is unknown")
EARLY = replace(BROKEN, early=True, reason="it is signed in the future")
HELD = replace(STRANGER, revocation="revoked", reason="its certificate was revoked")
TWINS = fact("good", "bad")


def rule(signers: str) -> str:
    return f"- id: signers\n  signers: {{{signers}}}"


def asked(signers: str, arriving: Arriving, **request: Any) -> RuleResult:
    policies = policy_set(policy(rule(signers), scope=PUSH), attestors=NAMES)
    return only(
        judge(
            policies,
            replace(evidence(), arriving=arriving),
            pull(**{"action": Action.PUSH, "tag": None, **request}),
        )
    )


@pytest.mark.parametrize(
    ("facts", "deny", "allow"),
    [
        ([fact("good")], (PASS, "signers-allowed"), (PASS, "signers-allowed")),
        ([fact("bad")], (FAIL, "signer-denied"), (FAIL, "signer-not-allowed")),
        ([fact("other")], (PASS, "signers-allowed"), (FAIL, "signer-not-allowed")),
        ([STRANGER], (PASS, "signers-allowed"), (FAIL, "signer-not-trusted")),
        ([BROKEN], (PASS, "signers-allowed"), (FAIL, "signature-broken")),
        ([ODD], (PASS, "signers-allowed"), (FAIL, "signature-not-understood")),
        ([OPEN], (UNKNOWN, "evidence-unreachable"), (UNKNOWN, "evidence-unreachable")),
        # time alone may turn these
        ([EARLY], (UNKNOWN, "evidence-unreachable"), (UNKNOWN, "evidence-unreachable")),
        (
            [replace(fact("good"), early=True)],
            (UNKNOWN, "evidence-unreachable"),
            (PASS, "signers-allowed"),
        ),
        # and an authority that holds a certificate may let it go
        ([HELD], (FAIL, "signature-revoked"), (FAIL, "signature-revoked")),
        ([replace(fact("good"), revocation="revoked")], (PASS, "signers-allowed"), (PASS, "signers-allowed")),
        # one key under two names: the denied one wins, and the named one is enough
        ([TWINS], (FAIL, "signer-denied"), (PASS, "signers-allowed")),
        # a signature that counts for someone already may count for the denied one, too
        (
            [replace(fact("other"), revocation="unknown")],
            (UNKNOWN, "evidence-unreachable"),
            (UNKNOWN, "evidence-unreachable"),
        ),
        (
            [replace(fact("good"), revocation="unknown")],
            (UNKNOWN, "evidence-unreachable"),
            (PASS, "signers-allowed"),
        ),
        # nothing hides behind another
        ([fact("good"), fact("bad")], (FAIL, "signer-denied"), (FAIL, "signer-not-allowed")),
        ([fact("good"), STRANGER], (PASS, "signers-allowed"), (FAIL, "signer-not-trusted")),
        ([OPEN, fact("bad")], (FAIL, "signer-denied"), (FAIL, "signer-not-allowed")),
        ([OPEN, fact("good")], (UNKNOWN, "evidence-unreachable"), (UNKNOWN, "evidence-unreachable")),
        ([], (UNKNOWN, "evidence-unreachable"), (UNKNOWN, "evidence-unreachable")),
    ],
)
def test_answers(
    facts: list[SignatureFact], deny: tuple[RuleOutcome, str], allow: tuple[RuleOutcome, str]
) -> None:
    for signers, wanted in (("deny: [bad]", deny), ("only: [good]", allow)):
        found = asked(signers, Known(tuple(facts)))
        assert (found.outcome, found.reason_code) == wanted, signers


@pytest.mark.parametrize("signers", ["deny: [bad]", "only: [good]"])
def test_what_is_not_there_and_what_cannot_be_read(signers: str) -> None:
    assert asked(signers, Absent("it is no signature")).outcome is PASS
    assert asked(signers, Unreachable("the disk is gone")).outcome is UNKNOWN
    assert asked(signers, Partly((fact("good"),), "the disk is gone")).outcome is UNKNOWN
    assert asked(signers, Partly((fact("bad"),), "the disk is gone")).outcome is FAIL
    policies = policy_set(policy(rule(signers), scope=PUSH), attestors=NAMES)
    verdict = judge(policies, evidence(), pull(action=Action.PUSH))
    assert (verdict.kind, only(verdict).outcome) == (VerdictKind.DENY, UNKNOWN), "nobody looked"


def test_words() -> None:
    assert asked("deny: [bad]", Known((fact("bad"),))).message == "signed by bad, who must not sign here"
    assert asked("deny: [bad]", Known((said("bad"),))).message == "attested by bad, who must not sign here"
    by_another = asked("only: [good, other]", Known((fact("bad"),)))
    assert by_another.message == "only good, other may sign here: it is signed by bad"
    assert [one.subject for one in by_another.violations] == ["good", "other"]
    assert asked("only: [good]", Known((STRANGER,))).message.endswith(STRANGER.reason)


def test_a_key_of_who_is_denied_under_another_name() -> None:
    """The name that verified is not all: whose key it is counts."""
    renamed = replace(
        fact("bad"), signers=tuple(replace(one, attestor="twin") for one in fact("bad").signers)
    )
    assert asked("deny: [bad]", Known((renamed,))).reason_code == "signer-denied"


def test_it_speaks_on_pushes_alone() -> None:
    policies = policy_set(policy(rule("deny: [bad]"), scope=PUSH), attestors=NAMES)
    for action, speaks in (
        (Action.PUSH, True),
        (Action.TAG, True),
        (Action.PULL, False),
        (Action.DELETE, False),
    ):
        for tag in ("v1", None):
            request = pull(action=action, tag=tag)
            assert (Need.ARRIVING in policies.needs(request)) is speaks
    assert not policies.gates_pulls_of(pull().repository)


def _loads(signers: str, scope: str = PUSH) -> list[str]:
    return problems_of(tree(policy(rule(signers), scope=scope), attestors=NAMES))


@pytest.mark.parametrize(
    ("signers", "scope", "why"),
    [
        ("", PUSH, "expected exactly one of only, deny; found 0"),
        ("only: [good], deny: [bad]", PUSH, "expected exactly one of only, deny; found 2"),
        ("only: []", PUSH, "is empty"),
        ("deny: [bade]", PUSH, 'no attestor "bade" in any TrustStore (did you mean "bad"?)'),
        ("deny: bad", PUSH, "expected a list"),
        ("denied: [bad]", PUSH, 'unknown key "denied"'),
        ("deny: [bad]", 'repositories: ["**"]', "signers rules speak on push"),
        ("deny: [bad]", 'repositories: ["**"], actions: [tag]', "signers rules speak on push"),
        ("deny: [bad]", PUSH + ", tags: {include: [v*]}", "can't be narrowed by tags"),
        ("deny: [bad]", PUSH + ", tags: {untagged: exclude}", "can't be narrowed by tags"),
    ],
)
def test_what_does_not_load(signers: str, scope: str, why: str) -> None:
    assert any(why in problem for problem in _loads(signers, scope)), _loads(signers, scope)


def test_what_loads() -> None:
    assert _loads("deny: [bad, other]") == _loads("only: [good]") == []


def test_what_other_rules_deny_is_not_asked_of_trust_data() -> None:
    policies = policy_set(
        policy("- id: signed\n  contentTrust: {require: {attestor: good}}", scope=PUSH),
        root_file=root(push="deny"),
        attestors=NAMES,
    )
    request = pull(action=Action.PUSH)
    assert policies.needs(request)
    assert not policies.about_signers().needs(request)
    assert judge(policies.about_signers(), evidence(), request).kind is VerdictKind.ALLOW


def test_who_is_denied_has_no_window() -> None:
    timed = "  {name}: {{type: cosign-key, key: keys/{name}.pub, notAfter: 2020-01-01}}\n"
    files = tree(policy(rule("deny: [bad]"), scope=PUSH), attestors=NAMES)
    store = files["trust/attestors.yaml"].decode()
    line = "  bad: {type: cosign-key, key: keys/bad.pub}\n"
    assert line in store
    files["trust/attestors.yaml"] = store.replace(line, timed.format(name="bad")).encode()
    from trustgate.policy.document import load

    policies = load(files, revision="r")
    request: Request = pull(action=Action.PUSH)
    lifted = policies.at_any_time(policies.denied(request), NOW)
    assert [one.name for one in lifted.attestors if not one.in_time(NOW)] == []
    assert lifted.trust_revision != policies.trust_revision, "judgements of the two are kept apart"
    assert policies.at_any_time({"good"}, NOW) is policies


FACTS = st.sampled_from(
    [fact("good"), fact("bad"), fact("other"), TWINS, STRANGER, BROKEN, ODD, OPEN, EARLY, HELD]
)


@given(st.lists(FACTS, max_size=4), FACTS, st.sampled_from(["deny: [bad]", "only: [good]"]))
def test_more_evidence_never_makes_a_yes(
    facts: list[SignatureFact], one: SignatureFact, signers: str
) -> None:
    if facts and asked(signers, Known(tuple(facts))).outcome is not PASS:
        assert asked(signers, Known((*facts, one))).outcome is not PASS
        assert asked(signers, Known((one, *facts))).outcome is not PASS
