"""Pushes, tags and deletions at the gate; and what is not looked at when no rule asks."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.gate.conftest import Gated
from trustgate.errors import StorageUnavailable
from trustgate.evidence.shape import legacy_signature_tag
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import DecisionId

WEB = RepositoryName("shop/web")
FIXED = """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: fixed}
mode: enforce
scope: {actions: [push, delete], repositories: ["shop/**"]}
rules:
  - id: tags
    immutability: {overwrite: deny}
"""
SCANNED = """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: prod}
mode: enforce
scope: {actions: [pull], repositories: ["shop/**"]}
rules:
  - id: clean
    severity: {thresholds: [{severity: critical}], onUnscanned: deny}
"""


@pytest.fixture
def fixed(gated: Gated) -> Gated:
    gated.set_policy({"policies/fixed.yaml": FIXED})
    return gated


def test_a_signature_tag_may_grow_and_carry_nothing_else(fixed: Gated) -> None:
    """cosign adds a second signature by pushing the tag again."""
    digest = fixed.push(WEB, "1", "web")
    fixed.sign(WEB, digest, legacy=True)
    fixed.sign(WEB, digest, ec.generate_private_key(ec.SECP256R1()), legacy=True)
    assert fixed.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 200
    tag = legacy_signature_tag(digest)
    assert tag is not None
    image = json.loads(fixed.ask("ci", "GET", f"/v2/{WEB}/manifests/1").body)
    raw = json.dumps(image | {"annotations": {"an": "image"}}).encode()
    login = fixed.authorization("ci")
    headers = {"authorization": login, "content-type": image["mediaType"]}
    answer = fixed.request("PUT", f"/v2/{WEB}/manifests/{tag}", headers, raw)
    assert (answer.status, answer.error["code"]) == (403, "DENIED")


def test_a_fixed_tag_stays(fixed: Gated) -> None:
    digest = fixed.push(WEB, "1", "web")
    image = json.loads(fixed.ask("ci", "GET", f"/v2/{WEB}/manifests/1").body)
    raw = json.dumps(image | {"annotations": {"an": "other"}}).encode()
    headers = {"authorization": fixed.authorization("ci"), "content-type": image["mediaType"]}
    for method, target in (("PUT", "1"), ("DELETE", "1"), ("DELETE", str(digest))):
        body = raw if method == "PUT" else None
        answer = fixed.request(method, f"/v2/{WEB}/manifests/{target}", headers, body)
        assert (answer.status, answer.error["code"]) == (403, "DENIED"), (method, target)
    stored = fixed.server.store.manifests.find(WEB, Tag("1"))
    assert stored is not None
    assert stored.digest == digest


@pytest.mark.parametrize(("push", "role"), [(Gated.push, "image"), (Gated.push_index, "index")])
def test_what_is_deleted_is_named_as_what_it_is(
    fixed: Gated, push: Callable[[Gated, str, str, str], Digest], role: str
) -> None:
    digest = push(fixed, WEB, "1", "web")
    refused = fixed.ask("ci", "DELETE", f"/v2/{WEB}/manifests/{digest}")
    assert refused.status == 403
    record = fixed.server.store.decisions.find(DecisionId(refused.headers["trustgate-decision"]))
    assert record is not None
    assert record.verdict.facts == {"role": role}


def test_what_no_rule_asks_for_is_not_looked_at(gated: Gated) -> None:
    gated.sign(WEB, gated.push(WEB, "1", "web"))
    gated.set_policy({"policies/prod.yaml": SCANNED})
    refused = gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1")
    page = gated.ask("ci", "GET", f"/d/{refused.headers['trustgate-decision']}", accept="application/json")
    kinds = {row["kind"] for row in json.loads(page.body)["evidence"]}
    assert kinds == {"scan"}


@pytest.mark.parametrize("lost", [False, True])
def test_a_refusal_is_recorded_once(gated: Gated, monkeypatch: pytest.MonkeyPatch, lost: bool) -> None:
    """Also one that is judged anew each time, since something could not be asked."""
    gated.push(WEB, "1", "web")
    gated.settle()
    if lost:
        monkeypatch.setattr(gated.server.store.judgements, "find", gone)
        gated.sign(WEB, gated.push(WEB, "1", "web"))
    decisions, saved = gated.server.store.decisions, list[object]()
    real = decisions.save

    def counted(records: list[object]) -> None:
        saved.extend(records)
        real(records)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(decisions, "save", counted)
    answers = [gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1") for _ in range(3)]
    assert {answer.status for answer in answers} == {403}
    assert len({answer.headers["trustgate-decision"] for answer in answers}) == 1
    assert len(saved) == 1


def gone(*_args: object, **_named: object) -> None:
    raise StorageUnavailable("the disk is gone")
