"""The second fence: a blob is served when a manifest that the caller may have reaches it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.unit.gate.conftest import ROOT, SIGNED, Gated
from tests.unit.policy.scenes import pull
from trustgate.flows import admit, admitted
from trustgate.flows.admitted import Admitted
from trustgate.flows.gather import Gatherer
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag

WEB = RepositoryName("shop/web")


def layer_of(gated: Gated, digest: Digest) -> Digest:
    document = json.loads(gated.ask("ci", "GET", f"/v2/{WEB}/manifests/{digest}").body)
    return Digest(document["layers"][0]["digest"])


def rewrapped(gated: Gated, digest: Digest, tag: str, wrapped: str = "again") -> Digest:
    """Another manifest around the same blobs."""
    document = json.loads(gated.ask("ci", "GET", f"/v2/{WEB}/manifests/{digest}").body)
    raw = json.dumps(document | {"annotations": {"wrapped": wrapped}}).encode()
    with gated.client("ci", WEB) as client:
        return client.put_manifest(raw, document["mediaType"], Tag(tag))


@pytest.mark.parametrize("signed_first", [True, False])
def test_a_layer_of_a_refused_and_an_admitted_image_is_served(gated: Gated, signed_first: bool) -> None:
    first = gated.push(WEB, "1", "shared")
    second = rewrapped(gated, first, "2")
    layer = layer_of(gated, first)
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 403
    gated.sign(WEB, first if signed_first else second)
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 200


def test_a_refusal_names_the_rule_that_the_image_failed(gated: Gated) -> None:
    layer = layer_of(gated, gated.push(WEB, "1", "web"))
    answer = gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}")
    assert "denied by prod/signed" in answer.error["message"]


def test_a_blob_that_no_manifest_reaches_is_refused_with_its_reason(gated: Gated) -> None:
    content = b"nobody points to this"
    with gated.client("ci", WEB) as client:
        client.put_blob(Digest.of(content), iter([content]), len(content))
    decisions = set()
    for method in ("GET", "HEAD"):
        answer = gated.ask("prod", method, f"/v2/{WEB}/blobs/{Digest.of(content)}")
        assert answer.status == 403
        decisions.add(answer.headers["trustgate-decision"])
    assert len(decisions) == 1, "the same refusal is recorded once, however often it is asked for"
    digest = gated.push(WEB, "1", "web")
    gated.sign(WEB, digest)
    gated.settle()
    document = json.loads(gated.ask("ci", "GET", f"/v2/{WEB}/manifests/{digest}").body)
    document["layers"].append({"mediaType": "x/y", "digest": Digest.of(content), "size": len(content)})
    raw = json.dumps(document).encode()
    with gated.client("ci", WEB) as client:
        gated.sign(WEB, client.put_manifest(raw, document["mediaType"], Tag("2")))
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{Digest.of(content)}").status == 200


def test_evidence_is_gathered_once_for_an_image_and_its_blobs(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = gated.push(WEB, "1", "web")
    gated.sign(WEB, digest)
    layer = layer_of(gated, digest)
    gated.settle()
    asked: list[str] = []
    real = Gatherer.evidence

    def counted(self: Gatherer, request: object, *rest: object, **more: object) -> object:
        asked.append(str(request))
        return real(self, request, *rest, **more)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(Gatherer, "evidence", counted)
    monkeypatch.setattr(gated.server.store.manifests, "containing", _Counted(gated, asked))
    for _ in range(3):  # with a new token each: what is kept under a token is another memory
        for path in (f"/v2/{WEB}/manifests/{digest}", f"/v2/{WEB}/blobs/{layer}"):
            scope = gated.ask("prod", "GET", f"/token?scope=repository:{WEB}:pull")
            bearer = f"Bearer {json.loads(scope.body)['token']}"
            assert gated.request("GET", path, {"authorization": bearer}).status == 200
    assert asked.count(f"containing {layer}") == 1, asked
    assert len(asked) <= 4, asked


class _Counted:
    """Looks for the manifests of a blob, and counts them."""

    def __init__(self, gated: Gated, asked: list[str]) -> None:
        self._real = gated.server.store.manifests.containing
        self._asked = asked

    def __call__(self, repository: RepositoryName, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        self._asked.append(f"containing {digest}")
        return self._real(repository, digest, limit=limit)


def test_what_was_just_admitted_is_looked_at_first(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may push names a common layer in as many manifests as they like: that is in nobody's way."""
    monkeypatch.setattr(admit, "MAX_WAYS_TO_BLOB", 4)
    first = gated.push(WEB, "1", "shared")
    gated.sign(WEB, first)
    layer = layer_of(gated, first)
    for number in range(5):
        rewrapped(gated, first, f"decoy-{number}", str(number))
    gated.settle()
    refused = gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}")
    assert refused.status == 403
    assert (
        "4 manifests and tags with this blob may not be pulled, and there are more"
        in refused.error["message"]
    )
    assert "pull the image's manifest first" in refused.error["message"]
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 200
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 200
    assert gated.ask("thief", "GET", f"/v2/{WEB}/blobs/{layer}").status == 403, "each caller for itself"


def test_the_newest_image_with_a_layer_is_looked_at_first(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admit, "MAX_WAYS_TO_BLOB", 2)
    first = gated.push(WEB, "1", "shared")
    for number in range(5):
        rewrapped(gated, first, f"old-{number}", str(number))
    gated.sign(WEB, rewrapped(gated, first, "new", "new"))
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer_of(gated, first)}").status == 200


def test_other_tags_of_an_admitted_image_are_in_nobodys_way(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only some tags may be pulled, a client says by which it came."""
    monkeypatch.setattr(admit, "MAX_WAYS_TO_BLOB", 4)
    digest = gated.push(WEB, "v1", "web")
    gated.sign(WEB, digest)
    gated.set_policy(
        {
            "trustgate.yaml": ROOT.replace("pull: allow", "pull: deny"),
            "policies/prod.yaml": SIGNED.replace(
                "scope: {", "scope: {tags: {include: ['v*'], untagged: exclude}, "
            ),
        }
    )
    raw = gated.ask("prod", "GET", f"/v2/{WEB}/manifests/v1").body
    document = json.loads(raw)
    with gated.client("ci", WEB) as client:
        for number in range(6):
            client.put_manifest(raw, document["mediaType"], Tag(f"a{number}"))
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/v1").status == 200
    layer = document["layers"][0]["digest"]
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 200


def test_what_is_remembered_of_callers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admitted, "MAX_CALLERS", 2)
    monkeypatch.setattr(admitted, "MAX_MANIFESTS", 2)
    kept = Admitted()
    requests = [replace(pull(), digest=Digest.of(b"%d" % number)) for number in range(3)]
    for request in requests:
        kept.note(request)
    digests = {request.digest for request in requests}
    asked = requests[0]
    assert kept.among(asked.repository, asked.caller, digests) == (requests[2], requests[1])
    assert kept.among(asked.repository, asked.caller, {requests[1].digest}) == (requests[1],)
    for name in ("a/b", "c/d"):
        kept.note(replace(asked, repository=RepositoryName(name)))
    assert kept.among(asked.repository, asked.caller, digests) == ()
