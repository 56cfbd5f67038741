"""The second fence: a blob is served when a manifest that the caller may have reaches it."""

from __future__ import annotations

import json

import pytest

from tests.unit.gate.conftest import ROOT, SIGNED, Gated
from trustgate.flows import admit
from trustgate.flows.gather import Gatherer
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag

WEB = RepositoryName("shop/web")


def layer_of(gated: Gated, digest: Digest) -> Digest:
    document = json.loads(gated.ask("ci", "GET", f"/v2/{WEB}/manifests/{digest}").body)
    return Digest(document["layers"][0]["digest"])


def rewrapped(gated: Gated, digest: Digest, tag: str) -> Digest:
    """Another manifest around the same blobs."""
    document = json.loads(gated.ask("ci", "GET", f"/v2/{WEB}/manifests/{digest}").body)
    raw = json.dumps(document | {"annotations": {"wrapped": "again"}}).encode()
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
    assert asked.count(f"containing {layer}") == 0, "it is of what they were just admitted to"
    assert len(asked) <= 4, asked


def builds(gated: Gated, count: int, *tags: str) -> tuple[Digest, list[Digest]]:
    """A layer, and as many images around it, the oldest first; each has these tags, with its number."""
    first = gated.push(WEB, "1", "shared")
    document = json.loads(gated.ask("ci", "GET", f"/v2/{WEB}/manifests/{first}").body)
    made = [first]
    headers = {"authorization": gated.authorization("ci"), "content-type": document["mediaType"]}
    for number in range(1, count):
        raw = json.dumps(document | {"annotations": {"build": str(number)}}).encode()
        path = f"/v2/{WEB}/manifests/{Digest.of(raw)}?" + "&".join(f"tag={tag}{number}" for tag in tags)
        assert gated.request("PUT", path, headers, raw).status == 201
        made.append(Digest.of(raw))
    gated.settle()
    return Digest(document["layers"][0]["digest"]), made


def test_a_layer_is_looked_for_in_the_newest_images_first(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admit, "MAX_MANIFESTS_OF_BLOB", 2)
    layer, made = builds(gated, 5)
    gated.sign(WEB, made[-1])
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 200


@pytest.mark.parametrize("limit", ["MAX_MANIFESTS_OF_BLOB", "MAX_JUDGED_OF_BLOB"])
def test_a_layer_of_what_was_just_admitted_is_served_however_many_share_it(
    gated: Gated, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(admit, limit, 2)
    layer, made = builds(gated, 5)
    gated.sign(WEB, made[1])
    refused = gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}")
    assert refused.status == 403
    for said in ("and more were not judged", "fix: pull the image first"):
        assert said in refused.error["message"]
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/{made[1]}").status == 200
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 200


def test_a_walk_that_judged_so_much_goes_on_with_the_next_request(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admit, "MAX_JUDGED_OF_BLOB", 2)
    layer, made = builds(gated, 5)
    gated.sign(WEB, made[0])
    asked = [gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status for _ in range(5)]
    assert (asked[0], asked[-1]) == (403, 200)


def test_a_refusal_that_is_whole_is_remembered(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, made = builds(gated, 3, "a", "b")
    asked: list[str] = []
    monkeypatch.setattr(gated.server.store.manifests, "containing", _Counted(gated, asked))
    for _ in range(3):
        assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 403
    assert asked.count(f"containing {layer}") == 1
    gated.sign(WEB, made[1])
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 200


class _Counted:
    """Looks for the manifests of a blob, and counts them."""

    def __init__(self, gated: Gated, asked: list[str]) -> None:
        self._real = gated.server.store.manifests.containing
        self._asked = asked

    def __call__(self, repository: RepositoryName, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        self._asked.append(f"containing {digest}")
        return self._real(repository, digest, limit=limit)


def test_other_tags_of_an_admitted_image_are_in_nobodys_way(gated: Gated) -> None:
    """Where only some tags may be pulled, a client has shown by which it came."""
    digest = gated.push(str(WEB), "v1", "web")
    gated.sign(str(WEB), digest)
    only_versions = SIGNED.replace("scope: {", "scope: {tags: {include: ['v*'], untagged: exclude}, ")
    closed = ROOT.replace("pull: allow", "pull: deny")
    gated.set_policy({"trustgate.yaml": closed, "policies/prod.yaml": only_versions})
    raw = gated.ask("prod", "GET", f"/v2/{WEB}/manifests/v1").body
    with gated.client("ci", str(WEB)) as client:
        for number in range(admit.MAX_TAGS_OF_MANIFEST + 1):
            client.put_manifest(raw, json.loads(raw)["mediaType"], Tag(f"a{number}"))
    layer = json.loads(raw)["layers"][0]["digest"]
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/v1").status == 200
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 200
