"""Each answer of ``immutability``: moving tags, pushing again, deleting, and lists of referrers."""

from __future__ import annotations

import pytest

from tests.unit.policy import scenes
from tests.unit.policy.scenes import (
    DIGEST,
    LOST,
    OTHER,
    evidence,
    judge,
    only,
    policy,
    policy_set,
    pull,
    subject,
    tags,
)
from trustgate.evidence.model import Role
from trustgate.policy.document import PolicySet
from trustgate.policy.model import Action, RuleOutcome, VerdictKind

ALLOW, DENY = VerdictKind.ALLOW, VerdictKind.DENY
SCOPE = 'actions: [push, tag, delete], repositories: ["**"]'
V_TAGS = f'{SCOPE}, tags: {{include: ["v*"]}}'


def frozen(body: str = "overwrite: deny", scope: str = SCOPE) -> PolicySet:
    return policy_set(policy(f"- id: once\n  immutability: {{{body}}}", scope=scope))


@pytest.mark.parametrize("action", [Action.PUSH, Action.TAG])
@pytest.mark.parametrize(
    ("body", "state", "expected", "code"),
    [
        ("overwrite: deny", tags(None), ALLOW, "new-tag"),
        ("overwrite: deny", tags(OTHER), DENY, "tag-immutable"),
        ("overwrite: deny", tags(DIGEST), ALLOW, "same-digest"),
        ("overwrite: deny, sameDigest: deny", tags(DIGEST), DENY, "same-digest"),
        ("overwrite: allow", tags(OTHER), ALLOW, "overwrite-allowed"),
        ("overwrite: deny", LOST, DENY, "tag-unreachable"),
    ],
)
def test_moving_a_tag(action: Action, body: str, state: object, expected: VerdictKind, code: str) -> None:
    verdict = judge(frozen(body), evidence(tag=state), pull(action=action))  # type: ignore[arg-type]
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


def test_unreachable_is_unknown() -> None:
    verdict = judge(frozen(), evidence(tag=LOST), pull(action=Action.TAG))
    assert only(verdict).outcome is RuleOutcome.UNKNOWN
    assert not verdict.cacheable


def test_a_push_by_digest_moves_nothing() -> None:
    verdict = judge(frozen(), evidence(tag=tags(OTHER)), pull(action=Action.PUSH, tag=None))
    assert (verdict.kind, only(verdict).reason_code) == (ALLOW, "not-a-tag")


HEX = "a" * 64


@pytest.mark.parametrize(
    ("tag", "role", "body", "expected"),
    [
        (f"sha256-{HEX}", Role.INDEX, "overwrite: deny", ALLOW),
        (f"sha256-{HEX}", Role.IMAGE, "overwrite: deny", DENY),
        (f"sha256-{HEX}", Role.SIGNATURE, "overwrite: deny", DENY),
        (f"sha256-{HEX}.sig", Role.SIGNATURE, "overwrite: deny", ALLOW),
        (f"sha256-{HEX}.sig", Role.IMAGE, "overwrite: deny", DENY),
        (f"sha256-{HEX}.sig", Role.INDEX, "overwrite: deny", DENY),
        (f"sha256-{HEX}.att", Role.INDEX, "overwrite: deny", DENY),
        (f"sha256-{HEX}.sig", Role.SIGNATURE, "overwrite: deny, exemptReferrers: false", DENY),
        ("v1", Role.SIGNATURE, "overwrite: deny", DENY),
        ("v1", Role.INDEX, "overwrite: deny", DENY),
    ],
)
def test_lists_of_referrers_grow_by_shape(tag: str, role: Role, body: str, expected: VerdictKind) -> None:
    whole = evidence(subject(role=role), tag=tags(OTHER))
    assert judge(frozen(body), whole, pull(action=Action.PUSH, tag=tag)).kind is expected


@pytest.mark.parametrize(
    ("body", "tag", "state", "expected", "code"),
    [
        ("overwrite: deny", "v1", tags(DIGEST), DENY, "tag-protected"),
        ("overwrite: deny, delete: allow", "v1", tags(DIGEST), ALLOW, "delete-allowed"),
        ("overwrite: deny, delete: {tag: allow}", "v1", tags(DIGEST), ALLOW, "delete-allowed"),
        ("overwrite: deny", "v1", tags(None), ALLOW, "no-such-tag"),
        ("overwrite: deny", "v1", LOST, DENY, "tag-unreachable"),
        ("overwrite: deny", None, tags(of_digest=("v1", "v2")), DENY, "digest-protected"),
        ("overwrite: deny", None, tags(of_digest=("latest",)), ALLOW, "no-protected-tag"),
        ("overwrite: deny", None, tags(of_parents=("v1",)), DENY, "digest-protected"),
        (
            "overwrite: deny, delete: {artifact: allow}",
            None,
            tags(of_digest=("v1",)),
            ALLOW,
            "delete-allowed",
        ),
        ("overwrite: deny", None, LOST, DENY, "tag-unreachable"),
    ],
)
@pytest.mark.parametrize("untagged", ["include", "exclude"])
def test_deleting(
    *, body: str, tag: str | None, state: object, expected: VerdictKind, code: str, untagged: str
) -> None:
    scope = f'{SCOPE}, tags: {{include: ["v*"], untagged: {untagged}}}'
    whole = evidence(tag=state)  # type: ignore[arg-type]
    verdict = judge(frozen(body, scope), whole, pull(action=Action.DELETE, tag=tag))
    assert (verdict.kind, only(verdict).reason_code) == (expected, code)


def test_other_tags_are_free() -> None:
    request = pull(action=Action.TAG, tag="latest")
    verdict = judge(frozen(scope=V_TAGS), evidence(tag=tags(OTHER)), request)
    assert (verdict.kind, only(verdict).rule) == (ALLOW, "root/no-match")
    assert judge(frozen(scope=V_TAGS), evidence(tag=tags(OTHER)), pull(action=Action.TAG)).kind is DENY


def test_pulls_are_none_of_its_business() -> None:
    policies = frozen(scope='actions: [pull, tag], repositories: ["**"]')
    assert only(judge(policies, scenes.evidence())).rule == "root/no-match"
