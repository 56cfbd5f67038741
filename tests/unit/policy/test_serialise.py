"""Verdicts survive JSON, and nothing else is taken for one."""

from __future__ import annotations

import json
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy.scenes import finding, judge, policy, policy_set, report, severe, subject
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import (
    Action,
    Caller,
    Request,
    RuleOutcome,
    RuleResult,
    Verdict,
    VerdictKind,
    Violation,
)
from trustgate.policy.serialise import verdict_from_json, verdict_to_json

texts = st.text(max_size=20)
requests = st.builds(
    Request,
    action=st.sampled_from(Action),
    repository=st.sampled_from(["a", "a/b"]).map(RepositoryName),
    digest=st.binary(max_size=4).map(Digest.of)
    | st.binary(max_size=4).map(lambda raw: Digest.of(raw, "sha512")),
    caller=st.builds(Caller, name=texts, groups=st.frozensets(texts, max_size=3)),
    tag=st.none() | st.just(Tag("v1")),
)
violations = st.builds(Violation, texts, texts, texts, texts, texts, texts)
results = st.builds(
    RuleResult,
    rule=texts,
    kind=texts,
    file=texts,
    line=st.integers(0, 10**6),
    mode=st.sampled_from(["enforce", "warn", "audit", "off"]),
    outcome=st.sampled_from(RuleOutcome),
    reason_code=texts,
    message=texts,
    fix=texts,
    violations=st.lists(violations, max_size=3).map(tuple),
    more_violations=st.integers(0, 10**6),
)
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))]))
verdicts = st.builds(
    Verdict,
    kind=st.sampled_from(VerdictKind),
    request=requests,
    policy_revision=texts,
    results=st.lists(results, max_size=3).map(tuple),
    at=moments,
    valid_until=st.none() | moments,
    cacheable=st.booleans(),
    facts=st.dictionaries(texts, texts, max_size=3),
)


@given(verdicts)
def test_round_trip(verdict: Verdict) -> None:
    text = json.dumps(verdict_to_json(verdict))
    assert verdict_from_json(json.loads(text)) == verdict


def test_a_real_verdict() -> None:
    verdict = judge(policy_set(policy(severe())), subject(scan=report(finding())))
    document = verdict_to_json(verdict)
    assert document["schema"] == 1
    assert document["kind"] == "deny"
    assert verdict_from_json(json.loads(json.dumps(document))) == verdict


def test_other_documents_are_refused() -> None:
    document = verdict_to_json(judge(policy_set(), subject()))
    with pytest.raises(ValueError, match="schema 2"):
        verdict_from_json({**document, "schema": 2})
    with pytest.raises(KeyError):
        verdict_from_json({})
    with pytest.raises(TypeError):
        verdict_from_json({**document, "results": [{**document["results"][0], "odd": 1}]})  # type: ignore[index,dict-item]
