"""``-o json``: one document, its schema's name first, and keys that scripts can rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import images
from tests.interop.world import add_image
from tests.unit.cli.conftest import Call, Done
from tests.unit.gate.conftest import Gated
from trustgate.remote.layout import LayoutSource

ACCOUNT = {
    "admin",
    "created_at",
    "description",
    "disabled",
    "expires_at",
    "grants",
    "groups",
    "kind",
    "name",
}
SHAPES: dict[str, set[str]] = {
    "version/1": {"version", "python"},
    "ls/1": {"repository", "tags"},
    "sign/1": {"subject", "signature", "stored"},
    "sign-chart/1": {"chart", "digest", "provenance"},
    "trust/1": {"source", "kind", "holds", "warnings"},
    "attestors/1": {"source", "attestors", "warnings"},
    "verify/1": {"image", "digest", "candidates", "verified", "unread"},
    "scan/1": {"image", "reports"},
    "db/1": {"generation", "updated_at", "records", "known_exploited"},
    "lint/1": {"source", "problems"},
    "doctor/1": {"checks"},
    "copy/1": {"digest", "manifests", "blobs", "bytes"},
    "policy-status/1": {
        "degraded",
        "desired_revision",
        "origin",
        "last_error",
        "last_fetch",
        "loaded_at",
        "loaded_origin",
        "loaded_revision",
        "summary",
    },
    "users/1": {"items"},
    "robots/1": {"items"},
    "robot/1": {*ACCOUNT, "secret"},
    "projects/1": {"items"},
}
WHY = {"id", "verdict", "repository", "tag", "digest", "caller", "rules", "evidence", "policy_revision"}


def check(done: Done, schema: str, code: int = 0) -> Any:
    """Stdout is the document and nothing else; removing or renaming a key is a new number."""
    assert done.code == code, done.err
    document = json.loads(done.out)
    assert next(iter(document)) == "schema"
    assert document["schema"] == f"trustgate.{schema}"
    assert set(document) - {"schema"} == SHAPES[schema]
    return document


@pytest.fixture
def image(tmp_path: Path) -> str:
    layout = LayoutSource(tmp_path / "image", create=True)
    add_image(layout, "1", "hello")
    return "oci-layout:image:1"


def test_without_a_server(call: Call, image: str, tmp_path: Path) -> None:
    check(call("version", "-o", "json"), "version/1")
    assert check(call("ls", "oci-layout:image", "-o", "json"), "ls/1")["tags"] == ["1"]
    assert call("key", "generate", "--output", "a", COSIGN_PASSWORD="").out == ""
    signed = call("sign", "--key", "a.key", image, "-o", "json", COSIGN_PASSWORD="")
    subject = check(signed, "sign/1")["subject"]
    assert "warning: you named the tag 1" in signed.err
    found = check(call("verify", "--key", "a.pub", image, "-o", "json"), "verify/1")
    assert (found["digest"], len(found["candidates"])) == (subject, 1)
    keys = {"kind", "evidence", "outcome", "reason", "attestors", "identities"}
    keys |= {"annotations", "signedAt", "logs", "timestamps"}
    assert all(set(item) == keys for item in found["candidates"])
    check(call("trust", "inspect", "a.pub", "-o", "json"), "trust/1")
    check(call("db", "status", "-o", "json"), "db/1", code=1)
    (tmp_path / "policy").mkdir()
    (problem,) = check(call("policy", "lint", "dir:policy", "-o", "json"), "lint/1", code=1)["problems"]
    assert set(problem) == {"path", "line", "column", "code", "message"}
    doctor = check(call("doctor", "--server", "http://localhost:1", "-o", "json"), "doctor/1", code=1)
    assert all(set(item) == {"name", "state", "text"} for item in doctor["checks"])


def test_a_scan(call: Call, image: str, tmp_path: Path) -> None:
    images.write_osv_zip(tmp_path / "a.zip", [images.advisory("CVE-2026-1", "PyPI", "x", images.until("2"))])
    assert call("db", "import", "a.zip").code == 0
    check(call("db", "status", "--output", "json"), "db/1")
    (report,) = check(call("scan", image, "-o", "json"), "scan/1", code=3)["reports"]
    assert {"subject", "status", "packages", "findings", "coverage"} <= set(report)


def test_with_a_server(as_admin: Call, served: Gated, image: str) -> None:
    place = f"{served.host}/open/json:1"
    pushed = check(as_admin("push", image, place, "-o", "json"), "copy/1")
    pulled = check(as_admin("pull", place, "oci-layout:copy:1", "-o", "json"), "copy/1")
    assert pulled["digest"] == pushed["digest"]
    why = as_admin("why", place, "-o", "json")
    assert (why.code, why.json["schema"], why.json["digest"]) == (0, "trustgate.why/1", pushed["digest"])
    assert set(why.json) >= WHY


def test_accounts_and_policy(as_admin: Call) -> None:
    check(as_admin("policy", "status", "-o", "json"), "policy-status/1")
    check(as_admin("policy", "reload", "-o", "json"), "policy-status/1")
    made = as_admin("robot", "create", "json", "--grant", "shop=pull", "-o", "json")
    assert check(made, "robot/1")["secret"].startswith("tg_")
    for kind in ("user", "robot", "project"):
        assert as_admin("project", "create", "json", "--private").out == ""
        items = check(as_admin(kind, "ls", "-o", "json"), f"{kind}s/1")["items"]
        assert items
        keys = ACCOUNT if kind != "project" else {"name", "public"}
        assert all(set(item) >= keys for item in items)
        assert "secret" not in json.dumps(items)
