"""What policy says, on the wire: refusals, warnings, and the one way around for those who push."""

from __future__ import annotations

import json

import pytest

from tests.unit.api.registry.conftest import Open
from tests.unit.api.registry.rig import (
    PULLER,
    PUSHER,
    REPOSITORY,
    STRANGER,
    WARN_UNSCANNED,
    Wire,
    manifest,
    policies,
)
from trustgate.oci import media
from trustgate.oci.digest import Digest

MANIFESTS = f"/v2/{REPOSITORY}/manifests"


@pytest.fixture(scope="module")
def shut(opened: Open) -> Wire:
    """Every pull is refused, every push is allowed."""
    set_of_rules = policies("deny")
    wire = opened(policies=lambda: set_of_rules)
    wire.image("1")
    return wire


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("by_digest", [False, True])
def test_a_refused_pull(shut: Wire, method: str, by_digest: bool) -> None:
    target = shut.ask("HEAD", f"{MANIFESTS}/1").headers["docker-content-digest"] if by_digest else "1"
    answer = shut.ask(method, f"{MANIFESTS}/{target}", by=PULLER)
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    decision = answer.headers["trustgate-decision"]
    assert answer.headers["link"] == f'<http://registry.test/d/{decision}>; rel="describedby"'
    assert "docker-content-digest" not in answer.headers
    if method == "GET":
        assert answer.error["code"] == "DENIED"
        message = answer.error["message"]
        assert message.isascii()
        assert message.isprintable()
        assert len(message) <= 300
        assert decision in message
    else:
        assert answer.body == b""
        assert int(answer.headers["content-length"]) > 0


def test_a_pusher_may_look_before_pushing_over_it(shut: Wire) -> None:
    assert shut.ask("HEAD", f"{MANIFESTS}/1", by=PUSHER).status == 200
    assert shut.ask("GET", f"{MANIFESTS}/1", by=PUSHER).status == 403
    shut.image("1", layer=b"repaired")
    assert shut.ask("GET", f"{MANIFESTS}/1", by=PULLER).status == 403


def test_the_second_fence(shut: Wire) -> None:
    blob = f"/v2/{REPOSITORY}/blobs/{Digest.of(b'layer')}"
    refused = shut.ask("GET", blob, by=PULLER)
    assert (refused.status, refused.error["code"]) == (403, "DENIED")
    assert shut.ask("GET", blob, by=PULLER, headers={"range": "bytes=0-0"}).status == 403
    assert shut.ask("HEAD", blob, by=PULLER).status == 403
    assert shut.ask("HEAD", blob, by=PUSHER).status == 200
    assert shut.ask("GET", blob, by=PULLER, headers={"user-agent": "trivy"}).status == 403


def test_a_refused_blob_is_not_mounted(shut: Wire) -> None:
    digest = Digest.of(b"layer")
    for source in (f"&from={REPOSITORY}", ""):
        answer = shut.ask("POST", f"/v2/other/thief/blobs/uploads/?mount={digest}{source}")
        assert answer.status == 202
    assert shut.ask("HEAD", f"/v2/other/thief/blobs/{digest}").status == 404


def test_conditions_do_not_go_around(shut: Wire) -> None:
    digest = shut.ask("HEAD", f"{MANIFESTS}/1").headers["docker-content-digest"]
    answer = shut.ask("GET", f"{MANIFESTS}/1", by=PULLER, headers={"if-none-match": f'"{digest}"'})
    assert answer.status == 403


def test_authentication_speaks_before_policy(shut: Wire) -> None:
    assert shut.ask("GET", f"{MANIFESTS}/1", by=None).status == 401
    answer = shut.ask("GET", f"{MANIFESTS}/1", by=STRANGER)
    assert "trustgate-decision" not in answer.headers


def test_withheld_referrers_are_counted(shut: Wire) -> None:
    subject = shut.ask("HEAD", f"{MANIFESTS}/1").headers["docker-content-digest"]
    pointer = {"mediaType": media.OCI_MANIFEST, "digest": subject, "size": 1}
    raw = manifest(b'{"architecture": "amd64", "os": "linux"}', subject=pointer)
    assert shut.put(Digest.of(raw), raw).status == 201
    answer = shut.ask("GET", f"/v2/{REPOSITORY}/referrers/{subject}", by=PULLER)
    assert json.loads(answer.body)["manifests"] == []
    assert answer.headers["warning"].startswith('299 - "1 referrers are withheld')


def test_warn_mode_answers_with_a_warning(opened: Open) -> None:
    set_of_rules = policies(more=WARN_UNSCANNED)
    wire = opened(policies=lambda: set_of_rules)
    wire.image("1")
    for method in ("GET", "HEAD"):
        answer = wire.ask(method, f"{MANIFESTS}/1", by=PULLER)
        assert answer.status == 200
        assert answer.headers["warning"].startswith('299 - "trustgate: ')
        assert answer.headers["trustgate-decision"] in answer.headers["link"]


@pytest.mark.parametrize(("push", "delete"), [("deny", "allow"), ("allow", "deny")])
def test_pushes_and_deletes_pass_the_gate(opened: Open, push: str, delete: str) -> None:
    now = [policies()]
    wire = opened(policies=lambda: now[0])
    digest = wire.image("1")
    now[0] = policies(push=push, delete=delete)
    raw = wire.ask("GET", f"{MANIFESTS}/1").body
    assert wire.put("2", raw).status == (403 if push == "deny" else 201)
    for target in ("1", digest):
        answer = wire.ask("DELETE", f"{MANIFESTS}/{target}")
        assert answer.status == (403 if delete == "deny" else 202)
