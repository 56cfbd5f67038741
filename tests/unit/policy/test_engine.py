"""How rules, scopes, modes, exemptions and the root's defaults come together in one verdict."""

from __future__ import annotations

import pytest

from tests.unit.policy import scenes
from tests.unit.policy.scenes import (
    LOST,
    by,
    evidence,
    finding,
    judge,
    only,
    policy,
    policy_set,
    pull,
    report,
    root,
    severe,
    signed,
    subject,
    tags,
)
from trustgate.oci.names import RepositoryName
from trustgate.policy.document import PolicySet
from trustgate.policy.model import Action, Need, RuleOutcome, VerdictKind

ALLOW, WARN, DENY = VerdictKind.ALLOW, VerdictKind.WARN, VerdictKind.DENY
SIGNED = signed("{attestor: ci}")


def scoped(scope: str, top: str = "", root_file: bytes | None = None) -> PolicySet:
    return policy_set(policy(SIGNED, scope=scope, top=top), attestors=("ci",), root_file=root_file)


# --- scope ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "request_", "speaks"),
    [
        ('repositories: ["prod/**"]', pull(), True),
        ('repositories: ["prod/*"]', pull(), True),
        ('repositories: ["prod/*"]', pull(repository="prod/a/b"), False),
        ('repositories: ["prod/**"]', pull(repository="prod/a/b"), True),
        ('repositories: ["prod/**"]', pull(repository="prod"), True),
        ('repositories: ["prod/**"]', pull(repository="product/a"), False),
        ('repositories: ["**"], exclude: {repositories: ["prod/api"]}', pull(), False),
        ('repositories: ["**"]', pull(action=Action.MOUNT), True),
        ('repositories: ["**"]', pull(action=Action.PUSH), False),
        ('repositories: ["**"], actions: [mount]', pull(), False),
        ('repositories: ["**"], actions: [mount]', pull(action=Action.MOUNT), True),
        ('repositories: ["**"], actions: [push]', pull(action=Action.TAG), True),
        ('repositories: ["**"], actions: [tag]', pull(action=Action.PUSH), True),
        ('repositories: ["**"], actions: [tag]', pull(action=Action.PUSH, tag=None), False),
        ('repositories: ["**"], actions: [push]', pull(action=Action.PUSH, tag=None), True),
        ('repositories: ["**"], tags: {include: ["v*"]}', pull(tag="v1"), True),
        ('repositories: ["**"], tags: {include: ["v*"]}', pull(tag="latest"), False),
        ('repositories: ["**"], tags: {include: ["v*"]}', pull(tag=None), True),
        ('repositories: ["**"], tags: {include: ["v*"], untagged: exclude}', pull(tag=None), False),
        ('repositories: ["**"], tags: {exclude: ["*-debug"]}', pull(tag="v1-debug"), False),
        ('repositories: ["**"], tags: {exclude: ["*-debug"]}', pull(tag="v1"), True),
    ],
)
def test_scope(scope: str, request_: scenes.Request, speaks: bool) -> None:
    policies = scoped(scope)
    assert bool(policies.rules_for(request_)) is speaks
    assert policies.needs(request_) == ({Need.SIGNATURES} if speaks else frozenset())
    assert judge(policies, subject(), request_).kind is (DENY if speaks else ALLOW)


def test_a_rule_is_silent_on_actions_that_it_does_not_know() -> None:
    policies = scoped('repositories: ["**"], actions: [pull, delete]')
    assert only(judge(policies, subject(), pull(action=Action.DELETE))).rule == "root/no-match"


# --- modes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "kind"), [("enforce", DENY), ("warn", WARN), ("audit", ALLOW), ("off", ALLOW)]
)
@pytest.mark.parametrize("signatures", [scenes.UNSIGNED, LOST])
def test_modes(mode: str, kind: VerdictKind, signatures: object) -> None:
    verdict = judge(scoped('repositories: ["**"]', f"mode: {mode}\n"), subject(signatures=signatures))
    assert verdict.kind is kind
    rules = [result.rule for result in verdict.results]
    assert ("prod/signed" in rules) is (mode != "off")
    assert ("root/no-match" in rules) is (mode in ("audit", "off"))


def test_a_rule_has_the_last_word_on_its_mode() -> None:
    rules = SIGNED.replace("- id: signed", "- id: signed\n  mode: warn") + "\n" + severe()
    policies = policy_set(policy(rules), attestors=("ci",))
    verdict = judge(policies, subject(scan=report()))
    assert verdict.kind is WARN
    verdict = judge(policies, subject(scan=report(finding())))
    assert verdict.kind is DENY
    assert [result.rule for result in verdict.worst] == ["prod/severity", "prod/signed"]
    assert [result.line for result in verdict.results] == [6, 9]
    assert {result.file for result in verdict.results} == {"policies/p0.yaml"}


def test_every_matching_policy_is_asked() -> None:
    policies = policy_set(
        policy(SIGNED, name="a"), policy(severe(), name="b", top="mode: warn\n"), attestors=("ci",)
    )
    verdict = judge(policies, subject(signatures=by("ci"), scan=report(finding())))
    assert verdict.kind is WARN
    assert [(r.rule, r.outcome) for r in verdict.results] == [
        ("a/signed", RuleOutcome.PASS),
        ("b/severity", RuleOutcome.FAIL),
    ]
    assert verdict.policy_revision == scenes.REVISION
    assert judge(policies, subject(scan=report())).kind is DENY
    assert policies.needs(pull()) == {Need.SIGNATURES, Need.SCAN}


def test_on_unscanned_warn_never_makes_a_milder_rule_stricter() -> None:
    policies = policy_set(policy(severe(rest=", onUnscanned: warn"), top="mode: audit\n"))
    assert judge(policies, subject()).kind is ALLOW


# --- where no policy speaks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "key"),
    [
        (Action.PULL, "pull"),
        (Action.MOUNT, "pull"),
        (Action.PUSH, "push"),
        (Action.TAG, "push"),
        (Action.DELETE, "delete"),
    ],
)
@pytest.mark.parametrize(("said", "kind"), [("allow", ALLOW), ("warn", WARN), ("deny", DENY)])
def test_no_match(action: Action, key: str, said: str, kind: VerdictKind) -> None:
    policies = scoped('repositories: ["elsewhere"]', root_file=root(**{key: said}))
    verdict = judge(policies, subject(), pull(action=action))
    assert verdict.kind is kind
    assert (only(verdict).kind, only(verdict).rule) == ("default", "root/no-match")
    assert (only(verdict).file, only(verdict).line) == ("trustgate.yaml", 4)
    audit = scoped('repositories: ["**"]', "mode: audit\n", root(**{key: said}))
    assert judge(audit, subject(), pull(action=action)).kind is kind


# --- exemptions ----------------------------------------------------------------------------------


def exempt(line: str, **defaults: str) -> PolicySet:
    text = f"exempt:\n  - {{{line}, why: the scanner must read}}\n"
    return scoped('repositories: ["prod/**"]', root_file=root(rest=text, **defaults))


ALL = 'actions: [pull], rules: ["*"]'


@pytest.mark.parametrize(
    ("line", "request_", "passes"),
    [
        (f'robots: ["robot$scan-*"], {ALL}', pull(caller="robot$scan-1"), True),
        (f'robots: ["robot$scan-*"], {ALL}', pull(caller="robot$other"), False),
        (f'robots: ["*"], {ALL}', pull(caller="alice"), False),
        (f'users: ["*"], {ALL}', pull(caller="robot$scan-1"), False),
        (f'users: ["*"], {ALL}', pull(caller="anonymous"), False),
        (f"users: [alice], {ALL}", pull(caller="alice"), True),
        (f"groups: [signers], {ALL}", pull(caller="bob", groups=("signers",)), True),
        (f"groups: [signers], {ALL}", pull(caller="anonymous", groups=("signers",)), False),
        (f"groups: [signers], {ALL}", pull(caller="bob", groups=("others",)), False),
        ('users: [alice], actions: [pull], rules: ["*/signed"]', pull(caller="alice"), True),
        ('users: [alice], actions: [pull], rules: ["prod/*"]', pull(caller="alice"), True),
        ('users: [alice], actions: [pull], rules: ["other/*"]', pull(caller="alice"), False),
        ('users: [alice], actions: [push], rules: ["*"]', pull(caller="alice"), False),
        (f'users: [alice], repositories: ["prod/api"], {ALL}', pull(caller="alice"), True),
        (f'users: [alice], repositories: ["prod/web"], {ALL}', pull(caller="alice"), False),
    ],
)
def test_exempt(line: str, request_: scenes.Request, passes: bool) -> None:
    policies = exempt(line)
    verdict = judge(policies, subject(signatures=LOST), request_)
    assert verdict.kind is (ALLOW if passes else DENY)
    assert policies.needs(request_) == (frozenset() if passes else {Need.SIGNATURES})
    if passes:
        assert only(verdict).outcome is RuleOutcome.EXEMPT
        assert only(verdict).message == "exempt by trustgate.yaml:6: the scanner must read"


def test_exempt_from_the_default() -> None:
    policies = exempt(f"users: [alice], {ALL}", pull="deny")
    elsewhere = pull(repository="other", caller="alice")
    assert only(judge(policies, subject(), elsewhere)).outcome is RuleOutcome.EXEMPT
    assert judge(policies, subject(), pull(repository="other", caller="bob")).kind is DENY


# --- the set -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "top", "gates"),
    [
        ('repositories: ["prod/**"]', "", True),
        ('repositories: ["dev/**"]', "", False),
        ('repositories: ["prod/**"]', "mode: warn\n", False),
        ('repositories: ["prod/**"]', "mode: off\n", False),
        ('repositories: ["prod/**"], actions: [push]', "", False),
        ('repositories: ["prod/**"], actions: [mount]', "", True),
    ],
)
def test_gates_pulls_of(scope: str, top: str, gates: bool) -> None:
    assert scoped(scope, top).gates_pulls_of(RepositoryName("prod/api")) is gates
    assert scoped(scope, top, root(pull="deny")).gates_pulls_of(RepositoryName("prod/api"))


def test_immutability_needs_tags_and_gates_no_pull() -> None:
    rules = "- id: once\n  immutability: {overwrite: deny}"
    policies = policy_set(policy(rules, scope='actions: [pull, tag], repositories: ["**"]'))
    assert policies.needs(pull(action=Action.PUSH)) == {Need.TAG}
    assert policies.needs(pull()) == frozenset()
    assert not policies.gates_pulls_of(RepositoryName("prod/api"))
    assert judge(policies, evidence(tag=tags()), pull(action=Action.PUSH)).kind is ALLOW


def test_summary() -> None:
    policies = policy_set(policy(SIGNED), policy(severe(), name="b", top="mode: warn\n"), attestors=("ci",))
    assert policies.summary == "2 policies, 2 rules (1 enforced, 1 warn), 1 attestor"
    assert policy_set().summary == "0 policies, 0 rules (none), 0 attestors"


def test_foreign_text_is_escaped() -> None:
    nasty = finding("CVE-1\x1b[2J\n", name="p\u202e\U0001f600\x00" + "x" * 300)
    result = only(judge(policy_set(policy(severe())), subject(scan=report(nasty))))
    for text in (result.message, result.fix, result.violations[0].subject, result.violations[0].package):
        assert all(" " <= character <= "~" for character in text)
    assert len(result.message) <= 200
    assert result.violations[0].subject == "CVE-1\\x1b[2J\\x0a"
    assert "\\u202e\\U0001f600\\x00" in result.violations[0].package
