"""What ``trustgate why`` prints: columns that line up, and who asked for what."""

from __future__ import annotations

from typing import Any

import pytest

from trustgate.cli.why import show

NONE: dict[str, Any] = {"outcome": "pass", "mode": "enforce", "where": "", "fix": "", "violations": []}
WHO = {"subject": "release", "package": "", "installed": "", "fixed": "", "severity": "", "where": ""}
FINDING = {**WHO, "subject": "CVE-1", "package": "acme", "installed": "1", "fixed": "2", "severity": "high"}
DOCUMENT: dict[str, Any] = {
    "verdict": "deny",
    "repository": "shop/web",
    "digest": "sha256:" + "a" * 64,
    "tag": "1",
    "caller": "robot$prod",
    "policy_revision": "f" * 64,
    "id": "01JDC7M3Q8Z4T5V6W7X8Y9ABCD",
    "evidence": [{"kind": "scan", "outcome": "ok", "reason": "2 packages"}],
    "rules": [
        {**NONE, "rule": "prod/a-name-longer-than-most", "kind": "immutability", "message": "it stays"},
        {
            **NONE,
            "rule": "prod/signed",
            "kind": "contentTrust",
            "outcome": "fail",
            "message": "it is not signed",
            "violations": [WHO, {**WHO, "subject": "ci"}],
        },
        {
            **NONE,
            "rule": "prod/high",
            "kind": "severity",
            "outcome": "fail",
            "mode": "warn",
            "where": "policies/prod.yaml:18",
            "message": "CVE-1",
            "violations": [FINDING],
        },
    ],
}


def test_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    show(DOCUMENT)
    assert capsys.readouterr().out == (
        "DENIED  shop/web@sha256:aaaaaaaaaaaa  (tag 1)   by robot$prod\n"
        "  ok  prod/a-name-longer-than-most it stays\n"
        "  no  prod/signed                  it is not signed\n"
        "        asked for: release, ci\n"
        "  no  prod/high                    CVE-1  [warn, policies/prod.yaml:18]\n"
        "        CVE-1 acme 1 -> 2 high\n"
        "  --  scan                         ok: 2 packages\n"
        "policy ffffffffffffffffffffffff   decision 01JDC7M3Q8Z4T5V6W7X8Y9ABCD\n"
    )
