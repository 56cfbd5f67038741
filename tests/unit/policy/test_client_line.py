"""What clients show: one printable line, whole commands or none, and a link that is never cut."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.policy import scenes
from tests.unit.policy.scenes import (
    DIGEST,
    finding,
    judge,
    policy,
    policy_set,
    pull,
    report,
    root,
    severe,
    signed,
    subject,
)
from trustgate.policy.client_line import reason_phrase, refusal_line, warning_line
from trustgate.policy.escape import printable
from trustgate.policy.model import Action, Caller, Request, RuleOutcome, RuleResult, Verdict, VerdictKind

ID = "01JDC7ABCDEFGHJKMNPQRSTVWX"
URL = f"https://registry.example.com/d/{ID}"
REFERENCE = "registry.example.com/prod/api:v1"


def refused(verdict: Verdict, reference: str = REFERENCE, url: str = URL) -> str:
    return refusal_line(verdict, decision=ID, url=url, reference=reference)


def test_unsigned() -> None:
    policies = policy_set(policy(signed("{attestor: ci}")), attestors=("ci",))
    line = refused(judge(policies, subject()), "localhost:5080/prod/api:v1", "http://localhost:5080/d/1")
    assert line == (
        "trustgate: pull of localhost:5080/prod/api:v1 denied by prod/signed: it is not signed; "
        f"fix: sign it: cosign sign --key KEY localhost:5080/prod/api@{DIGEST} (attestor ci)"
        " - http://localhost:5080/d/1"
    )


def test_two_rules() -> None:
    policies = policy_set(policy(f"{signed('{attestor: ci}')}\n{severe()}"), attestors=("ci",))
    line = refused(judge(policies, subject(scan=report(finding(), finding("CVE-2")))))
    assert line == (
        "trustgate: pull of registry.example.com/prod/api:v1 denied by prod/signed, prod/severity: "
        "it is not signed; CVE-2 critical in openssl 3.0.11 (fixed in 3.0.14) and 1 more"
        f" - {URL}"
    )


def test_by_digest_and_for_long_names() -> None:
    policies = policy_set(root_file=root(pull="deny"))
    line = refused(judge(policies, subject()), f"registry.example.com/prod/api@{DIGEST}")
    assert f"api@{DIGEST.short} denied by root/no-match: no policy speaks about it" in line
    long = refused(judge(policies, subject()), "registry.example.com/" + "a" * 255 + ":v1")
    assert "aaa...aaa" in long
    assert long.endswith(f" - {URL}")


def test_more_rules_than_are_shown() -> None:
    policies = policy_set(*(policy(severe(), name=f"p{number}") for number in range(4)))
    assert "denied by p0/severity, p1/severity and 2 more" in refused(judge(policies, subject()))


def test_rules_that_are_only_recorded_are_not_blamed() -> None:
    policies = policy_set(policy(severe(), name="seen", top="mode: audit\n"), policy(severe(), name="real"))
    assert "denied by real/severity:" in refused(judge(policies, subject()))


def test_rules_that_warn_are_not_blamed_for_a_refusal() -> None:
    warning = policy(severe(), name="soon", top="mode: warn\n")
    policies = policy_set(warning, policy(signed("{attestor: ci}"), name="real"), attestors=("ci",))
    line = refused(judge(policies, subject(scan=report(finding()))), "localhost/prod/api:v1", "http://d/1")
    assert "denied by real/signed: it is not signed; fix: " in line
    assert "soon" not in line


def test_without_a_usable_link() -> None:
    verdict = judge(policy_set(policy(severe())), subject())
    assert refused(verdict, url="").endswith(f" - decision {ID}, see: trustgate why {ID}")
    assert refused(verdict, url="https://x/" + "y" * 300).endswith(f"trustgate why {ID}")
    assert "fix: scan it: trustgate scan HOST/" in refused(verdict, reference="odd", url="")


def test_warning() -> None:
    policies = policy_set(policy(severe(), top="mode: warn\n"))
    quoted = finding(name='a"b\\c')
    verdict = judge(policies, subject(scan=report(quoted)))
    line = warning_line(verdict, decision=ID, url=URL)
    assert line.startswith("trustgate: pull of prod/api:v1 warned by prod/severity: CVE-2026-1234")
    assert line.endswith(URL)
    assert '"' not in line
    assert "\\" not in line
    by_digest = judge(policies, subject(), pull(tag=None))
    assert f"prod/api@{DIGEST.short} warned" in warning_line(by_digest, decision=ID, url=URL)


def test_reason_phrase() -> None:
    verdict = judge(policy_set(policy(severe())), subject(scan=report(finding())))
    assert reason_phrase(verdict, ID) == f"Forbidden: trustgate prod/severity CVE-2026-1234 decision {ID}"
    verdict = judge(policy_set(policy(severe())), subject())
    assert reason_phrase(verdict, ID) == f"Forbidden: trustgate prod/severity unscanned decision {ID}"
    fine = judge(policy_set(), subject())
    assert reason_phrase(fine, ID) == f"Forbidden: trustgate policy decision {ID}"
    assert refused(fine).endswith(URL)


results = st.builds(
    RuleResult,
    rule=st.text(max_size=200),
    kind=st.just("severity"),
    file=st.just("f"),
    line=st.just(1),
    mode=st.sampled_from(["enforce", "warn", "audit"]),
    outcome=st.sampled_from(RuleOutcome),
    reason_code=st.text(max_size=100),
    message=st.text(max_size=300),
    fix=st.text(max_size=300),
)


@given(st.lists(results, max_size=4), st.text(max_size=400), st.integers(0, 120), st.sampled_from(Action))
def test_always_one_printable_line_with_its_link(
    found: list[RuleResult], reference: str, length: int, action: Action
) -> None:
    request = Request(action, scenes.RepositoryName("a" * 255), DIGEST, Caller("x"))
    verdict = Verdict(
        kind=VerdictKind.DENY,
        request=request,
        policy_revision="r",
        results=tuple(found),
        at=datetime(2027, 1, 1, tzinfo=UTC),
        valid_until=None,
        cacheable=True,
    )
    url = "https://h/" + "u" * length
    for line in (refused(verdict, reference, url), warning_line(verdict, decision=ID, url=url)):
        assert len(line) <= 300
        assert all(" " <= character <= "~" for character in line)
        assert line.endswith(url)
    phrase = reason_phrase(verdict, ID)
    assert len(phrase) <= 120
    assert phrase.endswith(ID)
    assert all(" " <= character <= "~" for character in phrase)


@given(st.text(), st.integers(0, 50))
def test_printable(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert all(" " <= character <= "~" for character in shown)
    assert printable(shown, limit) == shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"), [("abcdef", 5, "ab..."), ("abcdef", 2, ".."), ("é", 9, "\\xe9")]
)
def test_printable_examples(text: str, limit: int, shown: str) -> None:
    assert printable(text, limit) == shown
