"""Verdicts as JSON and back: what the store keeps, what ``-o json`` prints, what ``GET /d/<id>`` answers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, cast

from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.oci.strict_json import Json
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

SCHEMA: Final = 1


def verdict_to_json(verdict: Verdict) -> dict[str, Json]:
    """Plain JSON values only; ``verdict_from_json`` gives back an equal verdict."""
    request = verdict.request
    return {
        "schema": SCHEMA,
        "kind": str(verdict.kind),
        "request": {
            "action": str(request.action),
            "repository": str(request.repository),
            "digest": str(request.digest),
            "tag": str(request.tag) if request.tag is not None else None,
            "caller": {"name": request.caller.name, "groups": cast("list[Json]", _sorted(request.caller))},
        },
        "policy_revision": verdict.policy_revision,
        "results": [_result_to_json(result) for result in verdict.results],
        "at": verdict.at.isoformat(),
        "valid_until": verdict.valid_until.isoformat() if verdict.valid_until else None,
        "cacheable": verdict.cacheable,
        "facts": dict(verdict.facts),
    }


def verdict_from_json(document: dict[str, Any]) -> Verdict:
    """What ``verdict_to_json`` wrote. Else ``ValueError``, ``KeyError`` or ``TypeError``."""
    if document["schema"] != SCHEMA:
        raise ValueError(f"verdict of schema {document['schema']!r}, expected {SCHEMA}")
    until = document["valid_until"]
    return Verdict(
        kind=VerdictKind(document["kind"]),
        request=_request_from_json(document["request"]),
        policy_revision=document["policy_revision"],
        results=tuple(_result_from_json(item) for item in document["results"]),
        at=datetime.fromisoformat(document["at"]),
        valid_until=datetime.fromisoformat(until) if until is not None else None,
        cacheable=document["cacheable"],
        facts=dict(document["facts"]),
    )


def _sorted(caller: Caller) -> list[str]:
    return sorted(caller.groups)


def _result_to_json(result: RuleResult) -> dict[str, Json]:
    document = asdict(result)
    document["outcome"] = str(result.outcome)
    document["violations"] = list(document["violations"])
    return document


def _request_from_json(document: dict[str, Any]) -> Request:
    tag = document["tag"]
    caller = document["caller"]
    return Request(
        action=Action(document["action"]),
        repository=RepositoryName(document["repository"]),
        digest=Digest(document["digest"]),
        caller=Caller(caller["name"], frozenset(caller["groups"])),
        tag=Tag(tag) if tag is not None else None,
    )


def _result_from_json(document: dict[str, Any]) -> RuleResult:
    fields = dict(document)
    fields["outcome"] = RuleOutcome(fields["outcome"])
    fields["violations"] = tuple(Violation(**item) for item in fields["violations"])
    return RuleResult(**fields)
