"""Tags of signatures may grow; who may only push hides nobody's signature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.gate.conftest import Answer, Gated, serve_gated
from trustgate.evidence.model import Role
from trustgate.evidence.shape import fallback_tag, legacy_signature_tag
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import MAX_DESCRIPTORS, Manifest, parse_manifest
from trustgate.oci.names import Tag
from trustgate.policy.signature_tags import why_not
from trustgate.ports import Grant

WEB = "shop/web"
HEX = "a" * 64
SIG, ATT, LISTED = f"sha256-{HEX}.sig", f"sha256-{HEX}.att", f"sha256-{HEX}"


def layer(media_type: str, name: bytes, **annotations: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": Digest.of(name), "size": 1, "annotations": annotations}


def image(*layers: dict[str, Any], subject: bool = False) -> Manifest:
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": {"mediaType": media.OCI_CONFIG, "digest": Digest.of(b"{}"), "size": 2},
        "layers": list(layers),
    }
    if subject:
        document["subject"] = {"mediaType": media.OCI_MANIFEST, "digest": Digest.of(b"s"), "size": 1}
    return parse_manifest(json.dumps(document).encode())


def index(*children: bytes) -> Manifest:
    entries = [{"mediaType": media.OCI_MANIFEST, "digest": Digest.of(one), "size": 1} for one in children]
    return parse_manifest(
        json.dumps({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}).encode()
    )


A = layer(media.COSIGN_SIMPLE_SIGNING, b"a", signature="A")
B = layer(media.COSIGN_SIMPLE_SIGNING, b"a", signature="B")
P, Q = layer(media.DSSE_ENVELOPE, b"p"), layer(media.DSSE_ENVELOPE, b"q")
S, M, X = Role.SIGNATURE, Role.IMAGE, Role.INDEX


@pytest.mark.parametrize(
    ("tag", "current", "new", "role", "code"),
    [
        (SIG, None, image(A), S, ""),
        (SIG, image(A), image(A, B), S, ""),
        (SIG, image(A), image(A), S, ""),
        (SIG, image(A, B), image(A), S, "signatures-lost"),
        (SIG, image(A), image(B), S, "signatures-lost"),
        (SIG, None, image(A), M, "not-a-signature"),
        (SIG, None, image(A, subject=True), S, "not-a-signature"),
        (SIG, image(A), index(b"x"), X, "not-a-signature"),
        (SIG, index(b"x"), image(A), S, ""),
        (SIG, image(A), image(*[A] * 65), M, "signatures-full"),
        (SIG, image(A), image(*[A] * 65, P), M, "not-a-signature"),
        (ATT, image(P), image(P, Q), M, ""),
        (ATT, image(P, Q), image(Q), M, "signatures-lost"),
        (ATT, None, image(P, A), M, "not-a-signature"),
        (ATT, None, image(), M, "not-a-signature"),
        (LISTED, index(b"x"), index(b"x", b"y"), X, ""),
        (LISTED, index(b"x", b"y"), index(b"y"), X, "signatures-lost"),
        (LISTED, index(b"x"), image(A), M, ""),
        ("1", index(b"x"), index(b"y"), X, ""),
        (f"sha256-{HEX}.sbom", image(A), image(B), M, ""),
        ("sha256-abc.sig", image(A), image(B), M, ""),
    ],
)
def test_what_may_follow_what(
    tag: str, current: Manifest | None, new: Manifest, role: Role, code: str
) -> None:
    assert why_not(tag, current=current, held_as=M, new=new, role=role)[0] == code


@pytest.mark.parametrize(("tag", "layers", "more"), [(ATT, (P,), (P, Q)), (SIG, (A,), (A, B))])
def test_what_is_read_stays_readable(tag: str, layers: Any, more: Any) -> None:
    """A manifest that grows out of what is judged as attestations takes away all that it held."""
    old, new = image(*layers), image(*more)
    assert why_not(tag, current=old, held_as=S, new=new, role=S)[0] == ""
    assert why_not(tag, current=old, held_as=S, new=new, role=M)[0] != ""


@pytest.mark.timeout(10)
def test_many_entries_are_compared_in_no_time() -> None:
    many = [layer(media.DSSE_ENVELOPE, b"p", **{f"a{n}": "x" for n in range(9)})] * MAX_DESCRIPTORS
    last = layer(media.DSSE_ENVELOPE, b"q")
    current, new = image(*many[1:], last), image(*many)
    assert why_not(ATT, current=current, held_as=M, new=new, role=M)[0] == "signatures-lost"
    assert why_not(ATT, current=new, held_as=M, new=new, role=M) == ("", "")


# --- in a whole server ---------------------------------------------------------------------------


def put(
    gated: Gated, who: str, tag: str | Tag | Digest, raw: bytes, content_type: str = media.OCI_MANIFEST
) -> Answer:
    headers = {"authorization": gated.authorization(who), "content-type": content_type}
    return gated.request("PUT", f"/v2/{WEB}/manifests/{tag}", headers, raw)


@pytest.fixture
def pusher(gated: Gated) -> str:
    """Who may push and not delete."""
    grant = Grant("shop", frozenset({"pull", "push"}))
    gated.secrets["pusher"] = gated.server.accounts.create_robot("pusher", grants=[grant])[1]
    return "pusher"


def test_nobody_hides_a_signature_by_pushing_over_it(gated: Gated, pusher: str) -> None:
    digest = gated.push(WEB, "1", "hello")
    tag = legacy_signature_tag(digest)
    assert tag is not None
    gated.sign(WEB, digest, ec.generate_private_key(ec.SECP256R1()), legacy=True)
    with gated.client("ci", WEB) as client:
        strangers = client.manifest(tag).raw
    gated.sign(WEB, digest, legacy=True)
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 200
    refused = put(gated, pusher, tag, strangers)
    assert (refused.status, refused.error["code"]) == (403, "DENIED")
    assert (
        "registry/signature-tags: 1 of those that stand under the tag would be lost"
        in refused.error["message"]
    )
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 200
    assert put(gated, "ci", tag, strangers).status == 201, "ci may delete, so it may replace"
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 403


def test_a_strangers_bundle_hides_no_signature_under_the_tag(gated: Gated) -> None:
    """cosign 3 looks at the tag only where there is no bundle."""
    digest = gated.push(WEB, "1", "hello")
    gated.sign(WEB, digest, ec.generate_private_key(ec.SECP256R1()))
    gated.sign(WEB, digest, legacy=True)
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 200


def test_nobody_hides_a_signature_by_calling_it_something_else_first(gated: Gated, pusher: str) -> None:
    digest = gated.push(WEB, "1", "hello")
    tag = legacy_signature_tag(digest)
    assert tag is not None
    gated.sign(WEB, digest, legacy=True)
    with gated.client("ci", WEB) as client:
        document = json.loads(client.manifest(tag).raw)
    del document["mediaType"]
    raw = json.dumps(document).encode()
    assert put(gated, pusher, Digest.of(raw), raw, media.DOCKER_MANIFEST).status == 400
    assert put(gated, pusher, tag, raw).status == 201
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 200


def test_a_signature_whose_layers_came_later_is_pushed_anew(tmp_path: Path) -> None:
    with serve_gated(tmp_path, sparse=True) as gated:
        digest = gated.push(WEB, "1", "hello")
        tag = legacy_signature_tag(digest)
        assert tag is not None
        gated.sign(WEB, digest, legacy=True)
        with gated.client("ci", WEB) as client:
            raw = client.manifest(tag).raw
            (layer,) = parse_manifest(raw).layers
            payload = client.blob(layer.digest, max_bytes=layer.size)
            for gone in (f"manifests/{Digest.of(raw)}", f"blobs/{layer.digest}"):
                assert gated.ask("ci", "DELETE", f"/v2/{WEB}/{gone}").status == 202
            assert put(gated, "ci", Digest.of(raw), raw).status == 201
            client.put_blob(layer.digest, iter([payload]), layer.size)
        assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 403
        refused = put(gated, "ci", tag, raw)
        assert (refused.status, "stored here as image" in refused.error["message"]) == (400, True)
        assert gated.ask("ci", "DELETE", f"/v2/{WEB}/manifests/{Digest.of(raw)}").status == 202
        assert put(gated, "ci", tag, raw).status == 201
        assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1").status == 200


def test_an_image_does_not_get_a_signatures_name(gated: Gated, pusher: str) -> None:
    digest = gated.push(WEB, "1", "hello")
    with gated.client("ci", WEB) as client:
        raw = client.manifest(digest).raw
    for who in (pusher, "ci"):
        refused = put(gated, who, f"sha256-{digest.hex}.sig", raw)
        assert refused.status == 403
        assert (
            "only signatures may stand under such a tag; fix: push it under another tag"
            in refused.error["message"]
        )
    assert put(gated, pusher, fallback_tag(digest), raw).status == 201


def test_the_refusal_has_a_decision_page(gated: Gated, pusher: str) -> None:
    digest = gated.push(WEB, "1", "hello")
    with gated.client("ci", WEB) as client:
        raw = client.manifest(digest).raw
    refused = put(gated, pusher, f"sha256-{digest.hex}.sig", raw)
    link = refused.error["message"].rpartition(" - ")[2]
    page = gated.request("GET", "/d/" + link.rpartition("/")[2], {"accept": "application/json"})
    assert page.status == 200
    assert b"not-a-signature" in page.body
