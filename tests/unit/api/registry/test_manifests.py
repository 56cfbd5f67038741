"""Manifests in and out: what is refused at the door, and what stands in the headers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.api.registry.rig import REPOSITORY, Wire, descriptor, manifest
from trustgate.oci import media
from trustgate.oci.digest import Digest

CONFIG = b'{"architecture": "amd64", "os": "linux"}'
LAYER = b"a layer"
MANIFESTS = f"/v2/{REPOSITORY}/manifests"


@pytest.fixture(autouse=True)
def _blobs(wire: Wire) -> None:
    wire.blob(CONFIG)
    wire.blob(LAYER)


def _document(**more: Any) -> dict[str, Any]:
    return {**json.loads(manifest(CONFIG, LAYER)), **more}


def _nested(depth: int) -> bytes:
    return manifest(CONFIG, LAYER)[:-1] + b', "x": ' + b"[" * depth + b"]" * depth + b"}"


BAD = {
    "not JSON": b"{",
    "an array": b"[]",
    "not UTF-8": manifest(CONFIG, LAYER)[:-1] + b', "x": "\xff"}',
    "NaN": manifest(CONFIG, LAYER)[:-1] + b', "x": NaN}',
    "duplicate keys": manifest(CONFIG, LAYER)[:-1] + b', "schemaVersion": 2}',
    "depth 10,000": _nested(10_000),
    "schema 1": json.dumps(_document(schemaVersion=1)).encode(),
    "two natures": json.dumps(_document(manifests=[])).encode(),
    "an unknown type": json.dumps(_document(mediaType="application/x-strange")).encode(),
    "100,000 descriptors": json.dumps(
        {"schemaVersion": 2, "config": {}, "layers": [{"size": 1}] * 100_000}
    ).encode(),
    "a wrong size": json.dumps(
        _document(layers=[{**descriptor(LAYER, media.OCI_LAYER_TAR_GZIP), "size": 3}])
    ).encode(),
    "a negative size": json.dumps(
        _document(layers=[{**descriptor(LAYER, media.OCI_LAYER_TAR_GZIP), "size": -1}])
    ).encode(),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_manifest_is_refused(wire: Wire, what: str) -> None:
    answer = wire.put("bad", BAD[what], kind="")
    assert (answer.status, answer.error["code"]) == (400, "MANIFEST_INVALID")
    assert wire.ask("GET", f"{MANIFESTS}/bad").status == 404


def test_a_type_that_contradicts_the_body_is_refused(wire: Wire) -> None:
    answer = wire.put("bad", manifest(CONFIG, LAYER), kind=media.OCI_INDEX)
    assert (answer.status, answer.error["code"]) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("announced", [True, False])
def test_five_mebibytes_are_not_read_on(wire: Wire, announced: bool) -> None:
    large = b" " * (5 * 1024 * 1024)
    body = large if announced else iter([large])
    try:
        answer = wire.ask("PUT", f"{MANIFESTS}/large", body=body)
    except (BrokenPipeError, ConnectionResetError):
        return  # the server has answered and hung up while the rest was still being sent
    assert (answer.status, answer.error["code"]) == (413, "MANIFEST_INVALID")
    assert answer.headers["connection"] == "close"


def test_a_manifest_without_an_end_is_answered_before_it_ends(wire: Wire) -> None:
    head = (
        f"PUT {MANIFESTS}/endless HTTP/1.1\r\nhost: {wire.host}\r\nauthorization: Basic pusher\r\n"
        "transfer-encoding: chunked\r\n\r\n"
    )
    piece = b"%x\r\n" % (1024 * 1024) + b" " * (1024 * 1024) + b"\r\n"
    got = wire.raw(head.encode() + piece * 4 + b"1\r\n \r\n", end=False)
    assert got.startswith(b"HTTP/1.1 413")


def test_what_it_points_to_must_be_here(wire: Wire) -> None:
    answer = wire.put("gap", manifest(CONFIG, b"never pushed"))
    assert (answer.status, answer.error["code"]) == (404, "MANIFEST_BLOB_UNKNOWN")
    index = {
        "schemaVersion": 2,
        "mediaType": media.OCI_INDEX,
        "manifests": [descriptor(b"no", media.OCI_MANIFEST)],
    }
    answer = wire.put("gap", json.dumps(index).encode(), kind=media.OCI_INDEX)
    assert (answer.status, answer.error["code"]) == (404, "MANIFEST_BLOB_UNKNOWN")


def test_a_digest_in_the_address_must_be_the_bodys(wire: Wire) -> None:
    answer = wire.put(Digest.of(b"something else"), manifest(CONFIG, LAYER))
    assert (answer.status, answer.error["code"]) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_by_digest_with_tags(wire: Wire, algorithm: str) -> None:
    raw = manifest(CONFIG, LAYER, annotations={"made-by": algorithm})
    digest = Digest.of(raw, algorithm)
    answer = wire.put(f"{digest}?tag={algorithm}-a&tag={algorithm}-b", raw)
    assert answer.status == 201
    assert answer.headers["docker-content-digest"] == digest
    for tag in ("a", "b"):
        got = wire.ask("GET", f"{MANIFESTS}/{algorithm}-{tag}")
        assert (got.body, got.headers["docker-content-digest"]) == (raw, digest)


def test_too_many_tags_and_tags_that_are_none(wire: Wire) -> None:
    raw = manifest(CONFIG, LAYER)
    many = "&".join(f"tag=t{number}" for number in range(40))
    assert wire.put(f"{Digest.of(raw)}?{many}", raw).error["code"] == "MANIFEST_INVALID"
    assert wire.put(f"{Digest.of(raw)}?tag=-", raw).error["code"] == "MANIFEST_INVALID"


def test_head_and_get_have_the_same_headers(wire: Wire) -> None:
    digest = wire.image("same")
    for target in ("same", digest):
        get, head = (wire.ask(method, f"{MANIFESTS}/{target}") for method in ("GET", "HEAD"))
        assert head.body == b""
        drop = {"date"}
        assert {k: v for k, v in get.headers.items() if k not in drop} == {
            k: v for k, v in head.headers.items() if k not in drop
        }
        assert get.headers["cache-control"] == "no-store"
        assert get.headers["content-type"] == media.OCI_MANIFEST
        assert int(head.headers["content-length"]) == len(get.body)


def test_what_the_client_has_is_not_sent_again(wire: Wire) -> None:
    digest = wire.image("kept")
    for condition in (f'"{digest}"', f'W/"x", W/"{digest}"', "*"):
        answer = wire.ask("GET", f"{MANIFESTS}/kept", headers={"if-none-match": condition})
        assert (answer.status, answer.body) == (304, b"")
    assert wire.ask("GET", f"{MANIFESTS}/kept", headers={"if-none-match": '"x"'}).status == 200


def test_a_tag_and_then_the_manifest_are_deleted(wire: Wire) -> None:
    digest = wire.image("short-lived", layer=b"short-lived")
    assert wire.ask("DELETE", f"{MANIFESTS}/short-lived").status == 202
    assert wire.ask("GET", f"{MANIFESTS}/short-lived").error["code"] == "MANIFEST_UNKNOWN"
    assert wire.ask("GET", f"{MANIFESTS}/{digest}").status == 200
    blob = f"/v2/{REPOSITORY}/blobs/{Digest.of(b'short-lived')}"
    assert wire.ask("DELETE", blob).status == 409
    assert wire.ask("DELETE", f"{MANIFESTS}/{digest}").status == 202
    assert wire.ask("DELETE", f"{MANIFESTS}/{digest}").error["code"] == "MANIFEST_UNKNOWN"
    assert wire.ask("DELETE", blob).status == 202
    assert wire.ask("DELETE", blob).error["code"] == "BLOB_UNKNOWN"


def test_referrers_are_listed_filtered_and_named_at_push(wire: Wire) -> None:
    subject = wire.image("subject", layer=b"subject")
    pointer = {"mediaType": media.OCI_MANIFEST, "digest": subject, "size": len(_raw(wire, subject))}
    for kind in ("application/x-one", "application/x-two"):
        raw = manifest(CONFIG, LAYER, subject=pointer, artifactType=kind, annotations={"k": kind})
        answer = wire.put(Digest.of(raw), raw)
        assert answer.headers["oci-subject"] == subject
    path = f"/v2/{REPOSITORY}/referrers/{subject}"
    every = wire.ask("GET", path)
    assert every.headers["content-type"] == media.OCI_INDEX
    assert "oci-filters-applied" not in every.headers
    assert len(json.loads(every.body)["manifests"]) == 2
    one = wire.ask("GET", f"{path}?artifactType=application/x-two")
    assert one.headers["oci-filters-applied"] == "artifactType"
    (only,) = json.loads(one.body)["manifests"]
    assert only["artifactType"] == "application/x-two"
    assert only["annotations"] == {"k": "application/x-two"}
    nothing = wire.ask("GET", f"/v2/{REPOSITORY}/referrers/{Digest.of(b'?')}")
    assert (nothing.status, json.loads(nothing.body)["manifests"]) == (200, [])


@pytest.mark.parametrize(("limit", "most"), [("MAX_REFERRERS", 2), ("MAX_REFERRERS_BYTES", 900)])
def test_many_referrers_come_in_pages(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """A page ends with a number, or with the bytes that its manifests have: some are large."""
    monkeypatch.setattr(f"trustgate.flows.pull.{limit}", most)
    subject = wire.image("popular", layer=limit.encode())
    pointer = {"mediaType": media.OCI_MANIFEST, "digest": subject, "size": len(_raw(wire, subject))}
    pushed = set()
    for number in range(5):
        raw = manifest(CONFIG, LAYER, subject=pointer, annotations={"n": str(number)})
        assert wire.put(Digest.of(raw), raw).status == 201
        pushed.add(Digest.of(raw))
    seen: list[str] = []
    path = f"/v2/{REPOSITORY}/referrers/{subject}?artifactType={media.OCI_CONFIG}"
    for _ in range(3):
        answer = wire.ask("GET", path)
        page = [item["digest"] for item in json.loads(answer.body)["manifests"]]
        assert len(page) <= 2
        seen += page
        path = answer.headers.get("link", "<>").partition("<")[2].partition(">")[0]
    assert path == ""
    assert sorted(seen) == sorted(pushed)


def _raw(wire: Wire, target: str) -> bytes:
    return wire.ask("GET", f"{MANIFESTS}/{target}").body
