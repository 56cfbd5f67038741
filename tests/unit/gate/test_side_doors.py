"""How would I get an unsigned image past this? A test a way."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.signing_world import simple_signing
from tests.unit.evidence.test_shape import both
from tests.unit.gate.conftest import SIGNED, TRUST, Gated
from trustgate.errors import UpstreamRefused
from trustgate.evidence.cosign_key import public_pem
from trustgate.evidence.shape import legacy_signature_tag
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.ports import Grant

WEB = "shop/web"


@pytest.fixture
def unsigned(gated: Gated) -> Digest:
    return gated.push(WEB, "1", "unsigned")


def manifest_path(target: str, repository: str = WEB) -> str:
    return f"/v2/{repository}/manifests/{target}"


def layer_of(gated: Gated, digest: Digest, repository: str = WEB) -> Digest:
    answer = gated.ask("ci", "GET", manifest_path(digest, repository))
    return Digest(json.loads(answer.body)["layers"][0]["digest"])


def test_by_tag(gated: Gated, unsigned: Digest) -> None:
    answer = gated.ask("prod", "GET", manifest_path("1"))
    assert answer.status == 403
    assert answer.error["code"] == "DENIED"
    assert set(answer.error) == {"code", "message"}
    assert answer.headers["content-type"] == "application/json"
    assert unsigned.encode() not in answer.body or b"schemaVersion" not in answer.body


def test_by_digest(gated: Gated, unsigned: Digest) -> None:
    assert gated.ask("prod", "GET", manifest_path(unsigned)).status == 403


def test_by_sha512_digest(gated: Gated, unsigned: Digest) -> None:
    raw = gated.ask("ci", "GET", manifest_path(unsigned)).body
    other = Digest.of(raw, "sha512")
    login = base64.b64encode(f"robot$ci:{gated.secrets['ci']}".encode()).decode()
    headers = {"authorization": f"Basic {login}", "content-type": media.OCI_MANIFEST}
    assert gated.request("PUT", manifest_path(other), headers, raw).status == 201
    assert gated.ask("prod", "GET", manifest_path(other)).status == 403


def test_by_blob(gated: Gated, unsigned: Digest) -> None:
    layer = layer_of(gated, unsigned)
    answer = gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}")
    assert answer.status == 403
    assert answer.error["code"] == "DENIED"
    assert gated.ask("prod", "HEAD", f"/v2/{WEB}/blobs/{layer}").status == 403


def test_by_the_range_of_a_blob(gated: Gated, unsigned: Digest) -> None:
    layer = layer_of(gated, unsigned)
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}", range="bytes=0-10").status == 403


def test_by_mount_into_an_own_repository(gated: Gated, unsigned: Digest) -> None:
    layer = layer_of(gated, unsigned)
    for query in (f"mount={layer}&from={WEB}", f"mount={layer}"):
        answer = gated.ask("thief", "POST", f"/v2/den/loot/blobs/uploads/?{query}")
        assert answer.status == 202, "the blob has to be uploaded: it is not given"
        assert gated.ask("thief", "GET", f"/v2/den/loot/blobs/{layer}").status == 404


def test_by_head_and_cached_content(gated: Gated, unsigned: Digest) -> None:
    answer = gated.ask("prod", "HEAD", manifest_path("1"))
    assert answer.status == 403
    assert "docker-content-digest" not in answer.headers
    for target in ("1", unsigned):
        answer = gated.ask("prod", "GET", manifest_path(target), if_none_match=f'"{unsigned}"')
        assert answer.status == 403


def test_head_is_for_those_who_push_and_yields_no_content(gated: Gated, unsigned: Digest) -> None:
    answer = gated.ask("ci", "HEAD", manifest_path("1"))
    assert (answer.status, answer.headers["docker-content-digest"]) == (200, unsigned)
    assert answer.body == b""


@pytest.mark.parametrize("client", ["cosign/v3.1.2", "notation/1.3.2", "trustgate/0.1.0", "docker/28.2.2"])
def test_by_another_name_of_the_client(gated: Gated, unsigned: Digest, client: str) -> None:
    assert gated.ask("prod", "GET", manifest_path("1"), user_agent=client).status == 403


def test_by_an_image_under_a_signatures_tag(gated: Gated, unsigned: Digest) -> None:
    """Being a signature is told from content: an image called ``sha256-….sig`` is an image."""
    tag = legacy_signature_tag(unsigned)
    assert tag is not None
    with pytest.raises(UpstreamRefused, match="registry/signature-tags"):
        gated.push(WEB, tag, "loot")
    for name in (f"{tag}nature", tag.replace(".sig", ".sbom"), tag.removesuffix(".sig")):
        gated.push(WEB, name, "loot")
        assert gated.ask("prod", "GET", manifest_path(name)).status == 403
    assert gated.ask("prod", "GET", manifest_path("1")).status == 403


def test_by_a_signature_that_is_a_layer_too(gated: Gated) -> None:
    """JSON to a registry, a tar archive to podman: it parses as a signature, and is judged as an image."""
    payload = both(b'{"x":"', b'",' + simple_signing(Digest.of(b"whatever"))[1:])
    config = b'{"architecture": "amd64", "os": "linux"}'
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": {"mediaType": media.OCI_CONFIG, "digest": Digest.of(config), "size": len(config)},
        "layers": [
            {
                "mediaType": media.COSIGN_SIMPLE_SIGNING,
                "digest": Digest.of(payload),
                "size": len(payload),
            }
        ],
    }
    with gated.client("ci", WEB) as client:
        for blob in (config, payload):
            client.put_blob(Digest.of(blob), iter([blob]), len(blob))
        client.put_manifest(json.dumps(document).encode(), media.OCI_MANIFEST, Tag("loot"))
    assert gated.ask("prod", "GET", manifest_path("loot")).status == 403
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{Digest.of(payload)}").status == 403


def test_by_a_forged_signature(gated: Gated, unsigned: Digest) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    for legacy in (False, True):
        gated.sign(WEB, unsigned, stranger, legacy=legacy)
        assert gated.ask("prod", "GET", manifest_path("1")).status == 403


def test_by_another_images_good_signature(gated: Gated, unsigned: Digest) -> None:
    """The signature of a signed image, pushed again as if it were about this one."""
    signed = gated.push(WEB, "good", "signed")
    gated.sign(WEB, signed, legacy=True)
    with gated.client("ci", WEB) as client:
        other = legacy_signature_tag(signed)
        mine = legacy_signature_tag(unsigned)
        assert other is not None
        found = client.manifest(other)
        client.put_manifest(found.raw, found.media_type, mine)
        bundle = client.manifest(gated.sign(WEB, signed))
        document = json.loads(bundle.raw)
        document["subject"]["digest"] = str(unsigned)
        client.put_manifest(json.dumps(document).encode(), media.OCI_MANIFEST, None)
    assert gated.ask("prod", "GET", manifest_path("good")).status == 200
    assert gated.ask("prod", "GET", manifest_path("1")).status == 403


def test_by_a_signature_in_another_repository(gated: Gated, unsigned: Digest) -> None:
    """What is signed elsewhere is not signed here: evidence belongs to its repository."""
    copy = gated.push("shop/other", "1", "unsigned")
    assert copy == unsigned
    gated.sign("shop/other", copy)
    assert gated.ask("prod", "GET", manifest_path("1", "shop/other")).status == 200
    assert gated.ask("prod", "GET", manifest_path("1")).status == 403


def test_by_a_subject_that_is_signed(gated: Gated) -> None:
    """An artifact that refers to a signed image is not signed by that."""
    signed = gated.push(WEB, "good", "signed")
    gated.sign(WEB, signed)
    loot = json.loads(gated.ask("ci", "GET", manifest_path(gated.push(WEB, "loot", "loot"))).body)
    loot["subject"] = {"mediaType": media.OCI_MANIFEST, "digest": str(signed), "size": 1}
    with gated.client("ci", WEB) as client:
        digest = client.put_manifest(json.dumps(loot).encode(), media.OCI_MANIFEST, None)
    assert gated.ask("prod", "GET", manifest_path(digest)).status == 403
    listed = gated.ask("prod", "GET", f"/v2/{WEB}/referrers/{signed}")
    assert [entry["artifactType"] for entry in json.loads(listed.body)["manifests"]] == [
        media.SIGSTORE_BUNDLE_V03
    ]
    assert "withheld" in listed.headers["warning"]


def test_by_an_unsigned_index_around_a_signed_image(gated: Gated) -> None:
    """A signature covers downwards, never upwards."""
    signed = gated.push(WEB, "good", "signed")
    gated.sign(WEB, signed)
    size = len(gated.ask("ci", "GET", manifest_path(signed)).body)
    index = {
        "schemaVersion": 2,
        "mediaType": media.OCI_INDEX,
        "manifests": [{"mediaType": media.OCI_MANIFEST, "digest": str(signed), "size": size}],
    }
    with gated.client("ci", WEB) as client:
        client.put_manifest(json.dumps(index).encode(), media.OCI_INDEX, Tag("index"))
    assert gated.ask("prod", "GET", manifest_path("index")).status == 403


def test_a_signed_index_covers_its_platforms_and_their_layers(gated: Gated) -> None:
    digest = gated.push_index(WEB, "multi", "multi")
    children = [
        c["digest"] for c in json.loads(gated.ask("ci", "GET", manifest_path(digest)).body)["manifests"]
    ]
    assert [gated.ask("prod", "GET", manifest_path(child)).status for child in children] == [403, 403]
    gated.sign(WEB, digest)
    assert [gated.ask("prod", "GET", manifest_path(child)).status for child in children] == [200, 200]
    layer = layer_of(gated, Digest(children[0]))
    assert gated.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer}").status == 200


def test_without_a_login_nothing_is_said(gated: Gated, unsigned: Digest) -> None:
    there = gated.ask("", "GET", manifest_path("1"))
    nothing = gated.ask("", "GET", manifest_path("1", "shop/none"))
    assert there.status == nothing.status == 401
    assert there.body == nothing.body
    assert gated.ask("thief", "GET", manifest_path("1", "secret/none")).status == 403


# --- what was allowed once ----------------------------------------------------------------------


def test_an_answer_from_memory_ends_with_its_policy(gated: Gated, unsigned: Digest) -> None:
    gated.sign(WEB, unsigned)
    for _ in range(3):
        assert gated.ask("prod", "GET", manifest_path("1")).status == 200
    gated.set_policy(
        {
            "trust/attestors.yaml": TRUST.replace("release:", "other:").replace("release.pub", "other.pub"),
            "trust/keys/other.pub": public_pem(ec.generate_private_key(ec.SECP256R1())).decode(),
            "policies/prod.yaml": SIGNED.replace("release", "other"),
        }
    )
    assert gated.ask("prod", "GET", manifest_path("1")).status == 403


def test_an_answer_from_memory_ends_with_its_signature(gated: Gated, unsigned: Digest) -> None:
    signature = gated.sign(WEB, unsigned)
    for _ in range(3):
        assert gated.ask("prod", "GET", manifest_path("1")).status == 200
    assert gated.ask("ci", "DELETE", manifest_path(signature)).status == 202
    assert gated.ask("prod", "GET", manifest_path("1")).status == 403


def test_an_answer_from_memory_ends_with_its_blob(gated: Gated) -> None:
    grants = [Grant("own", frozenset({"pull", "push", "delete"}))]
    gated.secrets["own"] = gated.server.accounts.create_robot("own", grants=grants)[1]
    digest = Digest.of(b"a blob")
    with gated.client("own", "own/loot") as client:
        client.put_blob(digest, iter([b"a blob"]), 6)
    path = f"/v2/own/loot/blobs/{digest}"
    for _ in range(3):
        assert gated.ask("own", "GET", path).status == 200
    assert gated.ask("own", "DELETE", path).status == 202
    assert gated.ask("own", "GET", path).status == 404


def test_an_answer_from_memory_ends_with_its_account(gated: Gated, unsigned: Digest) -> None:
    gated.sign(WEB, unsigned)
    for _ in range(3):
        assert gated.ask("prod", "GET", manifest_path("1")).status == 200
    gated.server.accounts.delete("robot$prod")
    assert gated.ask("prod", "GET", manifest_path("1")).status == 401


def test_an_answer_from_memory_ends_with_its_tag(gated: Gated, unsigned: Digest) -> None:
    gated.sign(WEB, unsigned)
    for _ in range(3):
        assert gated.ask("prod", "GET", manifest_path("1")).status == 200
    gated.push(WEB, "1", "moved")
    assert gated.ask("prod", "GET", manifest_path("1")).status == 403


def test_nobody_gets_an_answer_that_was_given_to_somebody_else(gated: Gated, unsigned: Digest) -> None:
    for _ in range(3):
        assert gated.ask("ci", "GET", manifest_path("1")).status == 200, "exempt: it signs"
    assert gated.ask("prod", "GET", manifest_path("1")).status == 403
    assert gated.ask("", "GET", manifest_path("1")).status == 401
