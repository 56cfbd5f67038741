"""Signatures of every format, at the door of a whole server: the right signer's is admitted, no other's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests import notation_world, openpgp_world
from tests.unit.evidence.notary import scene
from tests.unit.gate.conftest import Gated, serve_gated
from tests.unit.gate.test_defects import failing, rows
from trustgate.evidence.helm.chart import read_chart
from trustgate.evidence.helm.packaging import chart_artifact
from trustgate.evidence.notary.metadata import FileMeta
from trustgate.evidence.notary.signing import (
    MetadataSigner,
    new_repository,
    sign_metadata,
    targets_document,
)
from trustgate.evidence.notation.envelope import COSE, JWS
from trustgate.evidence.notation.signing import NotationSigner, signer_of
from trustgate.flows import chart_evidence, notary_evidence
from trustgate.flows.defects import DEFECT
from trustgate.flows.notary import TrustFlow
from trustgate.flows.sign import sign_image_notation
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.settings import Settings
from trustgate.wiring.clock import SystemClock

HEAD = "apiVersion: trustgate.dev/v1\n"
HOUR = timedelta(hours=1)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
CHARTS = openpgp_world.pgp_key("ed25519", "charts", made=LONG_AGO)
STRANGER = openpgp_world.pgp_key("ed25519", "stranger", made=LONG_AGO)
ATTESTORS = f"""\
{HEAD}kind: TrustStore
attestors:
  acme:
    type: notation
    trustStores: {{ca: [keys/acme.pem]}}
    trustedIdentities: ["*"]
  charts: {{type: gpg, keyring: keys/charts.gpg, fingerprints: ["{CHARTS.fingerprint}"]}}
  dct: {{type: notary-v1, rootKey: keys/dct.pub}}
"""


def policy(name: str) -> str:
    return f"""\
{HEAD}kind: Policy
metadata: {{name: {name}}}
mode: enforce
scope: {{actions: [pull], repositories: ["shop/{name}"]}}
rules:
  - id: signed
    contentTrust: {{require: {{attestor: {name}}}}}
"""


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    with serve_gated(tmp_path) as made:
        keys = tmp_path / "policy/trust/keys"
        (keys / "acme.pem").write_bytes(ROOT.pem)
        (keys / "charts.gpg").write_bytes(CHARTS.public())
        (keys / "dct.pub").write_bytes(
            scene.private("root")
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        made.set_policy(
            {
                "trust/attestors.yaml": ATTESTORS,
                "policies/prod.yaml": policy("acme"),
                "policies/charts.yaml": policy("charts"),
                "policies/dct.yaml": policy("dct"),
            }
        )
        yield made


def status(gated: Gated, repository: str, target: str) -> int:
    return gated.ask("prod", "GET", f"/v2/{repository}/manifests/{target}").status


def refusal(gated: Gated, repository: str, target: str) -> str:
    answer = gated.ask("prod", "GET", f"/v2/{repository}/manifests/{target}")
    assert answer.status == 403
    return answer.error["message"]


# --- Notation ------------------------------------------------------------------------------------


def leaf_of(root: notation_world.Issued) -> notation_world.Issued:
    return notation_world.issue(root, not_before=LONG_AGO)


ROOT = notation_world.root()
ACME = leaf_of(ROOT)


def notation_signer(issued: notation_world.Issued) -> NotationSigner:
    return signer_of(issued.key, list(issued.chain))


@pytest.mark.parametrize("media_type", [JWS, COSE])
def test_notation_signatures(gated: Gated, media_type: str) -> None:
    digest = gated.push("shop/acme", "1", "hello")
    assert f"notation sign localhost:5080/shop/acme@{digest}" in refusal(gated, "shop/acme", "1")
    for issued, wanted in ((leaf_of(notation_world.authority()), 403), (ACME, 200)):
        with gated.client("ci", "shop/acme") as client:
            sign_image_notation(
                client,
                digest,
                notation_signer(issued),
                media_type=media_type,
                metadata={},
                now=datetime.now(UTC),
            )
        assert status(gated, "shop/acme", "1") == wanted
    assert status(gated, "shop/acme", digest) == 200


# --- Helm ----------------------------------------------------------------------------------------


def push_chart(gated: Gated, key: openpgp_world.PgpKey | None) -> Digest:
    metadata = openpgp_world.CHART_YAML.replace("name: web", "name: charts")
    package = openpgp_world.package({"charts/Chart.yaml": metadata})
    body = openpgp_world.provenance_body(package, metadata=metadata, name="charts-1.2.3.tgz")
    signed_at = datetime.now(UTC) - HOUR
    provenance = openpgp_world.clear_signed(body, key, at=signed_at).encode() if key else None
    made = chart_artifact(package, read_chart(package), provenance, created=signed_at)
    with gated.client("ci", "shop/charts") as client:
        for digest, content in made.blobs.items():
            client.put_blob(digest, iter([content]), len(content))
        return client.put_manifest(made.manifest, media.OCI_MANIFEST, Tag("1.2.3"))


@pytest.mark.parametrize(
    ("key", "wanted", "why"),
    [(None, 403, "sign the chart: helm package --sign"), (STRANGER, 403, ""), (CHARTS, 200, "")],
    ids=["unsigned", "stranger", "charts"],
)
def test_helm_provenance(gated: Gated, key: openpgp_world.PgpKey | None, wanted: int, why: str) -> None:
    digest = push_chart(gated, key)
    assert status(gated, "shop/charts", "1.2.3") == wanted
    assert status(gated, "shop/charts", digest) == wanted
    if why:
        assert why in refusal(gated, "shop/charts", "1.2.3")


# --- Notary v1 -----------------------------------------------------------------------------------


@pytest.fixture
def trust(gated: Gated) -> TrustFlow:
    store = gated.server.store
    hosts = Settings().own_hosts
    return TrustFlow(files=store.trust_files, keys=store.trust_keys, clock=SystemClock(), hosts=hosts)


def publish(trust: TrustFlow, gun: str, root: MetadataSigner, targets: dict[str, FileMeta]) -> None:
    now = datetime.now(UTC)
    files = new_repository(
        root,
        scene.signer("targets"),
        snapshot=trust.key(gun, "snapshot"),
        timestamp=trust.key(gun, "timestamp"),
        now=now,
    )
    trust.publish(gun, tuple(files.items()), admit=lambda _: None)
    document = targets_document(targets, (), version=2, expires=now + timedelta(days=90))
    trust.publish(
        gun, [("targets", sign_metadata(document, [scene.signer("targets")]))], admit=lambda _: None
    )


@pytest.mark.parametrize(("root", "wanted"), [("root", 200), ("another", 403)])
def test_notary_tags(gated: Gated, trust: TrustFlow, root: str, wanted: int) -> None:
    digest = gated.push("shop/dct", "1", "hello")
    gated.push("shop/dct", "2", "not listed")
    assert "docker trust sign localhost:5080/shop/dct:1" in refusal(gated, "shop/dct", "1")
    with gated.client("ci", "shop/dct") as client:
        raw = client.manifest(digest).raw
    gun = "localhost:5080/shop/dct"
    publish(trust, gun, scene.root(root, gun), {"1": scene.meta(raw)})
    assert status(gated, "shop/dct", "1") == wanted
    assert status(gated, "shop/dct", digest) == wanted
    assert status(gated, "shop/dct", "2") == 403


def test_a_tag_that_was_signed_as_something_else_is_refused(gated: Gated, trust: TrustFlow) -> None:
    gated.push("shop/dct", "1", "hello")
    gun = "localhost:5080/shop/dct"
    publish(trust, gun, scene.root("root", gun), {"1": scene.meta(b"another manifest")})
    assert "not as this digest" in refusal(gated, "shop/dct", "1")


# --- defects of judges ---------------------------------------------------------------------------


def test_a_chart_that_its_judge_fails_on_is_refused(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_evidence, "helm_claim", failing(chart_evidence.helm_claim, times=1))
    push_chart(gated, CHARTS)
    refused = gated.ask("prod", "GET", "/v2/shop/charts/manifests/1.2.3")
    assert (refused.status, [row["reason"] for row in rows(gated, refused)][-1:]) == (403, [DEFECT])


def test_metadata_that_their_judge_fails_on_refuse(
    gated: Gated, trust: TrustFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = gated.push("shop/dct", "1", "hello")
    with gated.client("ci", "shop/dct") as client:
        raw = client.manifest(digest).raw
    gun = "localhost:5080/shop/dct"
    publish(trust, gun, scene.root("root", gun), {"1": scene.meta(raw)})
    monkeypatch.setattr(notary_evidence, "weigh", failing(notary_evidence.weigh, times=1))
    refused = gated.ask("prod", "GET", "/v2/shop/dct/manifests/1")
    assert (refused.status, [row["reason"] for row in rows(gated, refused)][-1:]) == (403, [DEFECT])
