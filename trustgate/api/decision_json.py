"""A decision as JSON: the same facts for the page, the API and ``trustgate why``."""

from __future__ import annotations

from typing import Any

from trustgate.policy.checks.answer import HOST
from trustgate.policy.model import RuleResult
from trustgate.ports import DecisionRecord

SCHEMA = "trustgate.decision/1"


def decision_to_json(record: DecisionRecord, *, host: str) -> dict[str, Any]:
    """Plain JSON values; ``host`` is how the reader names this registry in a command."""
    verdict = record.verdict
    request = verdict.request
    return {
        "schema": SCHEMA,
        "id": record.id,
        "verdict": str(verdict.kind),
        "at": verdict.at.isoformat(),
        "action": str(request.action),
        "repository": str(request.repository),
        "tag": str(request.tag) if request.tag else None,
        "digest": str(request.digest),
        "caller": request.caller.name,
        "policy_revision": verdict.policy_revision,
        "rules": [_rule(result, host) for result in verdict.results],
        "evidence": [dict(row) for row in record.evidence],
        "valid_until": verdict.valid_until.isoformat() if verdict.valid_until else None,
        "duration_ms": round(record.duration_ms, 3),
    }


def _rule(result: RuleResult, host: str) -> dict[str, Any]:
    return {
        "rule": result.rule,
        "kind": result.kind,
        "where": f"{result.file}:{result.line}" if result.file else "",
        "mode": result.mode,
        "outcome": str(result.outcome),
        "reason": result.reason_code,
        "message": result.message,
        "fix": result.fix.replace(HOST, f"{host}/"),
        "violations": [
            {
                "subject": violation.subject,
                "package": violation.package,
                "installed": violation.installed,
                "fixed": violation.fixed,
                "severity": violation.severity,
                "where": violation.where,
            }
            for violation in result.violations
        ],
        "more_violations": result.more_violations,
    }
