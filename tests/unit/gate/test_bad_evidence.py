"""Evidence that is huge, endless or everywhere: an answer with a reason, in bounded time, and never a yes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, insert, select

from tests.unit.gate.conftest import Gated
from trustgate.errors import UpstreamRefused
from trustgate.evidence.model import Role
from trustgate.evidence.shape import legacy_signature_tag
from trustgate.flows.evidence_rows import MAX_ROWS
from trustgate.flows.stored_evidence import MAX_EVIDENCE_MANIFESTS
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.remote.registry import RegistryClient
from trustgate.store import tables

WEB = RepositoryName("shop/web")
HUGE_BYTES = 100 * 1024 * 1024
MANY = 10_000
IMAGE = f"/v2/{WEB}/manifests/1"


@pytest.fixture
def signed(gated: Gated) -> Digest:
    digest = gated.push(WEB, "1", "web")
    gated.sign(WEB, digest)
    assert gated.ask("prod", "GET", IMAGE).status == 200
    return digest


def _zeros() -> Iterator[bytes]:
    piece = bytes(1024 * 1024)
    return (piece for _ in range(HUGE_BYTES // len(piece)))


def _push_huge_blob(gated: Gated) -> Digest:
    digest = Digest.of(bytes(HUGE_BYTES))
    with gated.client("ci", WEB) as client:
        client.put_blob(digest, _zeros(), HUGE_BYTES)
    return digest


def _descriptor(kind: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest, "size": size}


EMPTY = _descriptor(media.OCI_EMPTY, media.EMPTY_JSON_DIGEST, len(media.EMPTY_JSON))


@pytest.mark.parametrize("shape", ["bundle", "legacy"])
def test_a_signature_of_100_mebibytes_is_none_and_hides_none(
    gated: Gated, signed: Digest, shape: str
) -> None:
    """It is never read into memory: the descriptor already rules it out."""
    huge = _push_huge_blob(gated)
    document: dict[str, object] = {"schemaVersion": 2, "mediaType": media.OCI_MANIFEST}
    if shape == "bundle":
        kind = f"{media.SIGSTORE_BUNDLE_PREFIX}.v0.3+json"
        document |= {"config": EMPTY, "layers": [_descriptor(kind, huge, HUGE_BYTES)]}
        document["subject"] = _descriptor(media.OCI_MANIFEST, signed, 1)
    else:
        config = _descriptor(media.OCI_CONFIG, media.EMPTY_JSON_DIGEST, len(media.EMPTY_JSON))
        document |= {"config": config, "layers": [_descriptor(media.COSIGN_SIMPLE_SIGNING, huge, HUGE_BYTES)]}
    raw = json.dumps(document).encode()
    tag = legacy_signature_tag(signed)
    tracemalloc.start()
    with gated.client("ci", WEB) as client:
        _put_empty(client)
        if shape == "legacy":
            with pytest.raises(UpstreamRefused, match="only signatures may stand under such a tag"):
                client.put_manifest(raw, media.OCI_MANIFEST, tag)
        client.put_manifest(raw, media.OCI_MANIFEST, None)
    stored = gated.server.store.manifests.find(WEB, Digest.of(raw))
    assert stored is not None
    assert stored.role is not Role.SIGNATURE
    assert gated.ask("prod", "GET", IMAGE).status == 200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < HUGE_BYTES // 2


def _flood(gated: Gated, like: Digest, role: Role, *, by: str = "") -> None:
    """Many manifests like one that is there, as rows: over HTTP each would wait for the disk.

    Pushed ``by`` someone, or by who pushed that one.
    """
    store = gated.server.store
    first = store.manifests.find(WEB, like)
    assert first is not None
    document = json.loads(first.raw)

    def put_all(connection: Connection) -> None:
        same = tables.manifest.c.digest == str(like)
        kept = dict(connection.execute(select(tables.manifest).where(same)).mappings().one())
        bodies = [json.dumps(document | {"annotations": {"n": str(n)}}).encode() for n in range(MANY)]
        contents = [{"digest": str(Digest.of(body)), "body": body} for body in bodies]
        connection.execute(insert(tables.content), contents)
        rows = [
            kept
            | {"id": kept["id"] + 1 + n, "digest": each["digest"], "role": str(role)}
            | ({"pushed_by": by} if by else {})
            for n, each in enumerate(contents)
        ]
        connection.execute(insert(tables.manifest), rows)

    store.manifests._database.write(put_all)
    store.freshness.repositories_changed([str(WEB)])


def _push_junk(gated: Gated, subject: Digest) -> Digest:
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "artifactType": "application/vnd.example.junk",
        "config": EMPTY,
        "layers": [EMPTY],
        "subject": _descriptor(media.OCI_MANIFEST, subject, 1),
    }
    raw = json.dumps(document).encode()
    with gated.client("ci", WEB) as client:
        _put_empty(client)
        return client.put_manifest(raw, media.OCI_MANIFEST, None)


def _put_empty(client: RegistryClient) -> None:
    client.put_blob(Digest(media.EMPTY_JSON_DIGEST), iter([media.EMPTY_JSON]), len(media.EMPTY_JSON))


def test_10_000_referrers_hide_no_good_signature(gated: Gated) -> None:
    """They lie in front of it, and are read in pages."""
    digest = gated.push(WEB, "1", "web")
    _flood(gated, _push_junk(gated, digest), Role.ARTIFACT)
    gated.sign(WEB, digest)
    assert gated.ask("prod", "GET", IMAGE).status == 200
    path: str | None = f"/v2/{WEB}/referrers/{digest}?artifactType=application/vnd.example.junk"
    seen = 0
    while path:
        page = gated.ask("ci", "GET", path)
        assert page.status == 200
        listed = len(json.loads(page.body)["manifests"])
        assert listed <= 1000
        seen += listed
        path = page.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert seen == MANY + 1


def test_10_000_signatures_in_front_deny_and_say_why(gated: Gated) -> None:
    """Those that were there first are judged; the rest can only lose a yes, and the refusal tells of it."""
    digest = gated.push(WEB, "1", "web")
    foreign = ec.generate_private_key(ec.SECP256R1())
    _flood(gated, gated.sign(WEB, digest, foreign), Role.SIGNATURE)
    gated.sign(WEB, digest)
    refused = gated.ask("prod", "GET", IMAGE)
    assert refused.status == 403
    page = gated.ask("ci", "GET", f"/d/{refused.headers['trustgate-decision']}", accept="application/json")
    assert f"more than {MAX_EVIDENCE_MANIFESTS}" in page.body.decode()
    assert f"{MAX_EVIDENCE_MANIFESTS + 2 - MAX_ROWS} more pieces" in page.body.decode()


def test_10_000_signatures_by_someone_else_hide_no_good_one(gated: Gated) -> None:
    """Those who push take turns: nobody's flood pushes out what another one brings."""
    digest = gated.push(WEB, "1", "web")
    foreign = ec.generate_private_key(ec.SECP256R1())
    _flood(gated, gated.sign(WEB, digest, foreign), Role.SIGNATURE, by="mallory")
    gated.sign(WEB, digest)
    assert gated.ask("prod", "GET", IMAGE).status == 200
