"""What the gate remembers, and what it must not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.gate.conftest import ROOT, SIGNED, Gated
from tests.unit.policy import scenes
from trustgate.errors import StorageUnavailable
from trustgate.flows.gather import Gatherer
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.store.attached import SqlAttachedEvidence
from trustgate.store.manifests import SqlManifests

WEB = "/v2/shop/web"


def cached(gated: Gated) -> float:
    """Decisions that were answered from memory so far."""
    lines = gated.server.metrics.text().decode().splitlines()
    (line,) = [line for line in lines if line.startswith("trustgate_decisions_cached_total ")]
    return float(line.split()[1])


def token(gated: Gated, who: str) -> str:
    answer = gated.ask(who, "GET", "/token?scope=repository:shop/web:pull")
    return f"Bearer {json.loads(answer.body)['token']}"


def test_another_credential_of_the_same_caller_is_answered_from_memory(gated: Gated) -> None:
    digest = gated.push("shop/web", "1", "web")
    gated.sign("shop/web", digest)
    assert gated.ask("prod", "GET", f"{WEB}/manifests/1").status == 200
    layer = json.loads(gated.ask("prod", "GET", f"{WEB}/manifests/1").body)["layers"][0]["digest"]
    assert gated.ask("prod", "GET", f"{WEB}/blobs/{layer}").status == 200
    gated.settle()
    assert gated.ask("prod", "GET", f"{WEB}/manifests/1").status == 200
    for path in (f"{WEB}/manifests/1", f"{WEB}/blobs/{layer}"):
        before = cached(gated)
        assert gated.request("GET", path, {"authorization": token(gated, "prod")}).status == 200
        after = cached(gated)
        assert after > before or "blobs" in path


def test_refusals_are_remembered_with_their_record(gated: Gated) -> None:
    gated.push("shop/web", "1", "web")
    first, second = (gated.ask("prod", "GET", f"{WEB}/manifests/1") for _ in range(2))
    assert first.headers["trustgate-decision"] == second.headers["trustgate-decision"]


def test_unknown_is_never_remembered(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that lets unknown pass does so while it is unknown, and no moment longer."""
    digest = gated.push("shop/web", "1", "web")
    layer = json.loads(gated.ask("ci", "GET", f"{WEB}/manifests/{digest}").body)["layers"][0]["digest"]
    gated.set_policy(
        {
            "trustgate.yaml": ROOT.replace("onError: deny", "onError: allow"),
            "policies/prod.yaml": SIGNED.replace("mode: enforce", "mode: enforce\nonError: allow"),
        }
    )
    paths = (f"{WEB}/manifests/1", f"{WEB}/manifests/{digest}", f"{WEB}/blobs/{layer}")
    assert [gated.ask("prod", "GET", path).status for path in paths] == [403, 403, 403]

    def broken(*_: object, **__: object) -> None:
        raise StorageUnavailable("the database does not answer")

    gated.set_policy({"policies/prod.yaml": SIGNED.replace("mode: enforce", "onError: allow\nmode: enforce")})
    with monkeypatch.context() as patch:
        patch.setattr(SqlAttachedEvidence, "about", broken)
        assert [gated.ask("prod", "GET", path).status for path in paths] == [200, 200, 200]
    assert [gated.ask("prod", "GET", path).status for path in paths] == [403, 403, 403]


UNSCANNED_PASSES = """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: prod}
mode: enforce
scope: {actions: [pull], repositories: ["shop/**"]}
rules:
  - {id: severity, severity: {thresholds: [{severity: critical}], onUnscanned: allow, onUnscannable: allow}}
"""


@pytest.mark.parametrize("failing", [2, 3, 4])
def test_an_index_that_can_not_be_read_is_not_an_empty_one(
    gated: Gated, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """What it contains is what has to be judged: a look-up that fails once is no yes, then or later."""
    gated.set_policy({"policies/prod.yaml": UNSCANNED_PASSES})
    monkeypatch.setattr(
        Gatherer, "reports_of", lambda *_: (scenes.scan_report(scenes.finding(severity="critical")),)
    )
    index = gated.push_index("shop/web", "1", "web")
    gated.settle()
    calls: list[object] = []
    find = SqlManifests.find

    def flaky(self: SqlManifests, *asked: Any) -> Any:
        calls.append(asked)
        if len(calls) == failing:
            raise StorageUnavailable("the database is locked")
        return find(self, *asked)

    with monkeypatch.context() as patch:
        patch.setattr(SqlManifests, "find", flaky)
        during = gated.ask("prod", "GET", f"{WEB}/manifests/{index}").status
    assert (during, len(calls) >= failing) == (503, True)
    assert gated.ask("prod", "GET", f"{WEB}/manifests/{index}").status == 403


def test_indexes_above_that_can_not_be_asked_for(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    """They can only help: a signature of its own is enough, without one it is not known, and denied."""
    gated.push_index("shop/web", "1", "web")
    raw = json.loads(gated.ask("ci", "GET", f"{WEB}/manifests/1").body)
    signed, unsigned = (Digest(one["digest"]) for one in raw["manifests"])
    gated.sign("shop/web", signed)

    def broken(*_: object, **__: object) -> None:
        raise StorageUnavailable("the database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(SqlManifests, "containing", broken)
        during = [gated.ask("prod", "GET", f"{WEB}/manifests/{one}") for one in (signed, unsigned)]
    assert [answer.status for answer in during] == [200, 403]
    assert "which indexes contain it" in during[1].error["message"]
    with gated.client("ci", "shop/web") as client:
        gated.sign("shop/web", client.manifest(Tag("1")).digest)
    assert gated.ask("prod", "GET", f"{WEB}/manifests/{unsigned}").status == 200, "unknown is not kept"


def test_a_decision_page_shows_what_was_decided(gated: Gated) -> None:
    digest = gated.push("shop/web", "1", "web")
    refused = gated.ask("prod", "GET", f"{WEB}/manifests/1")
    decision = refused.headers["trustgate-decision"]
    page = gated.ask("", "GET", f"/d/{decision}")
    assert page.status == 200
    assert "script" not in page.body.decode()
    assert "default-src 'none'" in page.headers["content-security-policy"]
    document = json.loads(gated.ask("", "GET", f"/d/{decision}.json").body)
    assert (document["verdict"], document["digest"], document["caller"]) == ("deny", digest, "robot$prod")
    (rule,) = document["rules"]
    assert rule["where"].startswith("policies/prod.yaml:")
    assert str(Digest(digest)) in rule["fix"]
    assert gated.ask("", "GET", "/d/NOSUCHDECISION").status == 404


def test_health_and_api(gated: Gated) -> None:
    assert gated.ask("", "GET", "/livez").status == 200
    ready = gated.ask("", "GET", "/readyz?verbose")
    assert (ready.status, b"in force" in ready.body) == (200, True)
    assert gated.ask("", "GET", "/api/v1/users").status == 401
    assert gated.ask("prod", "GET", "/api/v1/users").status == 403
    assert json.loads(gated.ask("prod", "GET", "/api/v1/me").body)["name"] == "robot$prod"
    wrong = gated.request("POST", "/api/v1/users", {"content-type": "application/json"}, b"{")
    assert wrong.headers["content-type"] == "application/problem+json"
    gated.push("shop/web", "1", "web")
    why = gated.ask("prod", "GET", "/api/v1/why?ref=shop/web:1")
    assert json.loads(why.body)["verdict"] == "deny"
    assert gated.ask("prod", "GET", "/api/v1/why?ref=shop/web:1&as=robot:ci").status == 403
    assert gated.ask("thief", "GET", "/api/v1/why?ref=secret/x:1").status == 404


def test_a_broken_policy_changes_nothing_and_says_so(gated: Gated) -> None:
    gated.push("shop/web", "1", "web")
    (gated.folder / "policy" / "policies" / "prod.yaml").write_text("rules: [&a *a]")
    assert not gated.server.reload.run_once(gated.server.reload.status.loaded_at)  # type: ignore[arg-type]  # it is loaded
    assert gated.ask("prod", "GET", f"{WEB}/manifests/1").status == 403
    assert b"DEGRADED" in gated.ask("", "GET", "/readyz?verbose").body
