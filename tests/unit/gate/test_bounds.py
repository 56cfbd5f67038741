"""What one request costs: whoever may push decides how much there is, and not how much is looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.unit.gate.conftest import ROOT, SIGNED, Gated
from tests.unit.gate.test_changes import FIXED, SCANNED
from tests.unit.policy import scenes
from trustgate.evidence.scan_report import ScanReport, Severity
from trustgate.flows import gather, stored_evidence
from trustgate.flows.signatures import SignatureReader
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.store.reports import SqlReports

WEB = RepositoryName("shop/web")
SIGNED_EACH = """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: each}
mode: enforce
scope: {actions: [pull], repositories: ["shop/**"]}
rules:
  - id: each
    contentTrust: {require: {attestor: release}, subject: manifest, children: each}
"""


def put(gated: Gated, target: str, raw: bytes, media_type: str) -> None:
    headers = {"authorization": gated.authorization("ci"), "content-type": media_type}
    assert gated.request("PUT", f"/v2/{WEB}/manifests/{target}", headers, raw).status == 201


def index_of(gated: Gated, entries: Sequence[tuple[Digest, str]], number: int = 0) -> bytes:
    """An index of images that are stored, each with the operating system that it is listed for."""
    stored = {one: gated.server.store.manifests.find(WEB, one) for one, _ in entries}
    sizes = {digest: len(one.raw) for digest, one in stored.items() if one is not None}
    manifests: list[dict[str, object]] = [
        {
            "mediaType": media.OCI_MANIFEST,
            "digest": str(digest),
            "size": sizes[digest],
            "platform": {"os": system, "architecture": system},
        }
        for digest, system in entries
    ]
    document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": manifests}
    return json.dumps(document | {"annotations": {"number": str(number)}}).encode()


def scanned(gated: Gated, digest: Digest, *severities: Severity, packages: int = 1) -> None:
    found = [scenes.finding(f"CVE-2026-{n}", severity) for n, severity in enumerate(severities)]
    several = tuple(scenes.package(f"package-{number}") for number in range(packages))
    report = scenes.scan_report(*found, packages=several)
    gated.server.store.reports.save(replace(report, subject=digest), finishing=None)


def test_an_image_that_is_listed_many_times_is_judged_once(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = gated.push(WEB, "1", "web")
    gated.sign(WEB, digest)
    gated.set_policy({"policies/prod.yaml": SCANNED, "policies/signed.yaml": SIGNED_EACH})
    scanned(gated, digest)
    many = [(digest, "linux")] * 300 + [(digest, f"os{number}") for number in range(200)]
    put(gated, "many", index_of(gated, many), media.OCI_INDEX)
    read: list[Digest] = []
    signed: list[object] = []
    find, signatures = SqlReports.find, SignatureReader.signatures

    def counted(self: SqlReports, about: Digest) -> tuple[ScanReport, ...]:
        read.append(about)
        return find(self, about)

    def noted(self: SignatureReader, repository: RepositoryName, subject: object, *rest: object) -> object:
        signed.append(subject)
        return signatures(self, repository, subject, *rest)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(SqlReports, "find", counted)
    monkeypatch.setattr(SignatureReader, "signatures", noted)
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/many").status == 200
    assert read == [digest]
    assert len(signed) == 2, "the index and the image"


def test_what_is_listed_as_an_attestation_first_is_judged_as_a_platform(gated: Gated) -> None:
    gated.set_policy({"policies/prod.yaml": SCANNED})
    good, bad = gated.push(WEB, "1", "good"), gated.push(WEB, "2", "bad")
    scanned(gated, good)
    scanned(gated, bad, Severity.CRITICAL)
    put(gated, "i", index_of(gated, [(bad, "unknown"), (good, "linux"), (bad, "linux")]), media.OCI_INDEX)
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/i").status == 403


@pytest.mark.parametrize("limit", ["MAX_PACKAGES", "MAX_FINDINGS"])
def test_more_in_reports_than_one_request_reads(
    gated: Gated, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Not even where errors pass: who pushes decides how much there is."""
    gated.set_policy(
        {
            "trustgate.yaml": ROOT.replace("onError: deny", "onError: allow"),
            "policies/prod.yaml": SCANNED.replace("mode: enforce", "onError: allow\nmode: enforce"),
        }
    )
    images = [gated.push(WEB, f"v{number}", f"web {number}") for number in range(4)]
    for digest in images:
        scanned(gated, digest, Severity.LOW, Severity.LOW, packages=2)
    put(gated, "i", index_of(gated, [(one, "linux") for one in images]), media.OCI_INDEX)
    monkeypatch.setattr(stored_evidence, limit, 4)
    read: list[Digest] = []
    find = SqlReports.find

    def counted(self: SqlReports, about: Digest) -> tuple[ScanReport, ...]:
        read.append(about)
        return find(self, about)

    monkeypatch.setattr(SqlReports, "find", counted)
    refused = gated.ask("prod", "GET", f"/v2/{WEB}/manifests/i")
    assert (refused.status, read) == (403, images[:3]), "one too many is read, and none after it"
    assert "too much for one request" in refused.error["message"]
    monkeypatch.setattr(stored_evidence, limit, 8)
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/i").status == 200


def test_indexes_are_not_hidden_by_images_that_name_an_image_as_a_layer(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "MAX_PARENTS", 2)
    digest = gated.push(WEB, "1", "web")
    raw = gated.ask("ci", "GET", f"/v2/{WEB}/manifests/1").body
    with gated.client("ci", WEB) as client:
        client.put_blob(digest, iter([raw]), len(raw))
    image = json.loads(raw)
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": str(digest), "size": len(raw)}
    for number in range(3):
        decoy = image | {"layers": [layer], "annotations": {"number": str(number)}}
        put(gated, f"decoy{number}", json.dumps(decoy).encode(), media.OCI_MANIFEST)
    refused = gated.ask("prod", "GET", f"/v2/{WEB}/manifests/{digest}")
    assert "more indexes contain it than are looked at" in refused.error["message"]


@pytest.mark.parametrize(("limit", "decoys", "said"), [(1024, 70, "v1"), (64, 70, "not known")])
def test_a_protected_tag_is_found_behind_many_indexes(
    gated: Gated, monkeypatch: pytest.MonkeyPatch, limit: int, decoys: int, said: str
) -> None:
    """Where it can't be found nothing is deleted, not even where errors pass."""
    monkeypatch.setattr(gather, "MAX_INDEXES_ABOVE", limit)
    digest = gated.push(WEB, "child", "web")
    assert gated.ask("ci", "DELETE", f"/v2/{WEB}/manifests/child").status == 202
    for number in range(decoys):
        raw = index_of(gated, [(digest, "linux")], number)
        put(gated, str(Digest.of(raw)), raw, media.OCI_INDEX)
    put(gated, "v1", index_of(gated, [(digest, "linux")], decoys), media.OCI_INDEX)
    lenient = FIXED.replace("mode: enforce", "onError: allow\nmode: enforce")
    gated.set_policy({"policies/fixed.yaml": lenient})
    refused = gated.ask("ci", "DELETE", f"/v2/{WEB}/manifests/{digest}")
    assert (refused.status, said in refused.error["message"]) == (403, True)


def test_a_protected_tag_is_found_at_any_height(gated: Gated) -> None:
    child = gated.push(WEB, "child", "web")
    assert gated.ask("ci", "DELETE", f"/v2/{WEB}/manifests/child").status == 202
    raw = index_of(gated, [(child, "linux")])
    for _ in range(6):
        put(gated, str(Digest.of(raw)), raw, media.OCI_INDEX)
        raw = index_of(gated, [(Digest.of(raw), "linux")]).replace(
            media.OCI_MANIFEST.encode(), media.OCI_INDEX.encode()
        )
    put(gated, "v1", raw, media.OCI_INDEX)
    gated.set_policy({"policies/fixed.yaml": FIXED})
    assert gated.ask("ci", "DELETE", f"/v2/{WEB}/manifests/{child}").status == 403


def test_an_image_in_more_indexes_than_are_looked_at(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether one of them is signed is not known; errors that pass are none of this."""
    monkeypatch.setattr(gather, "MAX_PARENTS", 2)
    gated.set_policy({"policies/prod.yaml": SIGNED.replace("mode: enforce", "onError: allow\nmode: enforce")})
    digest = gated.push(WEB, "1", "web")
    for number in range(3):
        put(gated, f"i{number}", index_of(gated, [(digest, "linux")], number), media.OCI_INDEX)
    refused = gated.ask("prod", "GET", f"/v2/{WEB}/manifests/{digest}")
    assert refused.status == 403
    assert "more indexes contain it than are looked at" in refused.error["message"]
    gated.sign(WEB, digest)
    assert gated.ask("prod", "GET", f"/v2/{WEB}/manifests/{digest}").status == 200
