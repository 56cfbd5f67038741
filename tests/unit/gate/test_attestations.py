"""The ``attestation`` rule with real pushes: who says what about an image, and what opens the gate."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.gate.conftest import ROOT, TRUST, Answer, Gated
from tests.unit.gate.test_bad_evidence import EMPTY, _put_empty
from tests.unit.gate.test_defects import failing
from trustgate.errors import StorageFull, StorageUnavailable
from trustgate.evidence.attesting import Predicate
from trustgate.evidence.cosign_key import PrivateKey, public_pem
from trustgate.evidence.model import Role
from trustgate.evidence.shape import legacy_attestation_tag
from trustgate.flows import attestations, stored_evidence
from trustgate.flows.defects import DEFECT
from trustgate.flows.sign import attest_image, attest_image_legacy
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag

WEB = RepositoryName("shop/web")
SLSA = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"
HEAD = """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: prod}
scope: {actions: [pull], repositories: ["shop/**"]}
rules:
"""
RULE = f"""\
  - id: provenance
    attestation: {{predicateType: {SLSA}, by: {{attestor: release}}}}
"""
WITH_SCAN = """\
  - {id: signed, contentTrust: {require: {attestor: release}}}
  - {id: severity, severity: {thresholds: [{severity: critical}], onUnscanned: deny, onUnscannable: deny}}
"""
EXEMPT = ROOT.replace('rules: ["*/signed"]', 'rules: ["*"]')
TEAM = TRUST + "  stranger: {type: cosign-key, key: keys/stranger.pub}\n"
STRANGER = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def asked(gated: Gated) -> Gated:
    """The server, with a rule that asks for provenance by ``release``; CI is exempt from it."""
    gated.set_policy(
        {
            "trustgate.yaml": EXEMPT,
            "trust/attestors.yaml": TEAM,
            "trust/keys/stranger.pub": public_pem(STRANGER).decode(),
            "policies/prod.yaml": HEAD + RULE,
        }
    )
    return gated


def attest(
    gated: Gated,
    target: Digest,
    kind: str = SLSA,
    by: PrivateKey | None = None,
    *,
    legacy: bool = False,
    says: Any = "made by make",
) -> Digest:
    """Attest as CI; returns the digest of the manifest that carries it."""
    predicate, key = Predicate(kind, {"said": says}), by or gated.key
    with gated.client("ci", WEB) as client:
        if legacy:
            return attest_image_legacy(client, target, key, predicate, name=str(WEB)).signature
        return attest_image(client, target, key, predicate, name=str(WEB), now=datetime.now(UTC)).signature


def pull(gated: Gated, target: Digest | str) -> Answer:
    return gated.ask("prod", "GET", f"/v2/{WEB}/manifests/{target}")


def evidence(gated: Gated, refused: Answer) -> list[dict[str, str]]:
    page = gated.ask("ci", "GET", f"/d/{refused.headers['trustgate-decision']}", accept="application/json")
    rows: list[dict[str, str]] = json.loads(page.body)["evidence"]
    return rows


@pytest.mark.parametrize("legacy", [False, True])
def test_provenance_by_the_right_key_opens_the_gate(asked: Gated, legacy: bool) -> None:
    digest = asked.push(WEB, "1", "web")
    refused = pull(asked, digest)
    assert refused.status == 403
    assert f"no attestation of type {SLSA}" in refused.error["message"]
    attest(asked, digest, legacy=legacy)
    assert pull(asked, digest).status == 200
    other = asked.push(WEB, "2", "another")
    assert pull(asked, other).status == 403


@pytest.mark.parametrize("legacy", [False, True])
def test_another_type_and_another_signer_do_not_add_up(asked: Gated, legacy: bool) -> None:
    """A stranger's SLSA beside CI's SPDX is no "SLSA by CI"."""
    digest = asked.push(WEB, "1", "web")
    attest(asked, digest, SPDX, legacy=legacy)
    refused = pull(asked, digest)
    assert (refused.status, f"it has {SPDX}" in refused.error["message"]) == (403, True)
    attest(asked, digest, SLSA, STRANGER, legacy=legacy)
    refused = pull(asked, digest)
    assert (refused.status, "attested by stranger" in refused.error["message"]) == (403, True)
    rows = [row for row in evidence(asked, refused) if row["kind"] == "attestation"]
    assert {(row["reason"].partition(": ")[0], row["attestors"]) for row in rows} == {
        (SPDX, "release"),
        (SLSA, "stranger"),
    }
    page = asked.ask("ci", "GET", f"/d/{refused.headers['trustgate-decision']}")
    assert b"Asked for: release" in page.body
    attest(asked, digest, legacy=legacy)
    assert pull(asked, digest).status == 200


def test_a_key_that_nobody_knows_attests_nothing(asked: Gated) -> None:
    digest = asked.push(WEB, "1", "web")
    attest(asked, digest, by=ec.generate_private_key(ec.SECP256R1()))
    refused = pull(asked, digest)
    assert refused.status == 403
    assert {row["outcome"] for row in evidence(asked, refused)} == {"untrusted"}


def test_a_signature_is_no_attestation(asked: Gated) -> None:
    digest = asked.push(WEB, "1", "web")
    asked.sign(WEB, digest)
    refused = pull(asked, digest)
    assert refused.status == 403
    assert [row["outcome"] for row in evidence(asked, refused)] == ["absent"]


def test_what_is_said_of_another_image_does_not_count(asked: Gated) -> None:
    """The ``.att`` manifest of one image, put beside another."""
    good, bad = asked.push(WEB, "1", "web"), asked.push(WEB, "2", "bad")
    attest(asked, good, legacy=True)
    tag, stolen = legacy_attestation_tag(good), legacy_attestation_tag(bad)
    assert tag is not None
    with asked.client("ci", WEB) as client:
        client.put_manifest(client.manifest(tag).raw, media.OCI_MANIFEST, stolen)
    refused = pull(asked, bad)
    assert (refused.status, "is not about this digest" in refused.error["message"]) == (403, True)


@pytest.mark.parametrize("legacy", [False, True])
def test_an_index_speaks_for_its_platforms(asked: Gated, legacy: bool) -> None:
    index = asked.push_index(WEB, "1", "web")
    document = json.loads(asked.ask("ci", "GET", f"/v2/{WEB}/manifests/{index}").body)
    children = [Digest(child["digest"]) for child in document["manifests"]]
    assert {pull(asked, one).status for one in (index, *children)} == {403}
    attest(asked, index, legacy=legacy)
    assert {pull(asked, one).status for one in (index, *children)} == {200}
    asked.set_policy({"policies/prod.yaml": HEAD + RULE.replace("release}}", "release}, children: each}")})
    assert {pull(asked, one).status for one in (index, *children)} == {403}
    for one in children:
        attest(asked, one, legacy=legacy)
    assert {pull(asked, one).status for one in (index, *children)} == {200}


@pytest.mark.parametrize("legacy", [False, True])
def test_attestations_can_be_pulled_to_be_verified(asked: Gated, legacy: bool) -> None:
    """They hold no image: rules about images do not keep them from who asks."""
    digest = asked.push(WEB, "1", "web")
    asked.set_policy({"policies/prod.yaml": HEAD + WITH_SCAN + RULE})
    made = attest(asked, digest, legacy=legacy)
    stored = asked.server.store.manifests.find(WEB, made)
    assert (stored is not None and stored.role) is Role.SIGNATURE
    answer = pull(asked, made)
    assert answer.status == 200
    (layer,) = json.loads(answer.body)["layers"]
    assert asked.ask("prod", "GET", f"/v2/{WEB}/blobs/{layer['digest']}").status == 200
    assert pull(asked, digest).status == 403


def test_an_image_does_not_pass_as_an_attestation(asked: Gated) -> None:
    """Whatever its layers call themselves: what is no envelope is an image, and is judged as one."""
    asked.set_policy({"policies/prod.yaml": HEAD + WITH_SCAN + RULE})
    content, config = b"#!/bin/sh\n", b'{"architecture": "amd64", "os": "linux"}'
    layer = {"mediaType": media.DSSE_ENVELOPE, "digest": Digest.of(content), "size": len(content)}
    configured = {"mediaType": media.OCI_CONFIG, "digest": Digest.of(config), "size": len(config)}
    document = {"schemaVersion": 2, "mediaType": media.OCI_MANIFEST, "config": configured, "layers": [layer]}
    raw = json.dumps(document).encode()
    with asked.client("ci", WEB) as client:
        for blob in (content, config):
            client.put_blob(Digest.of(blob), iter([blob]), len(blob))
        digest = client.put_manifest(raw, media.OCI_MANIFEST, None)
        client.put_manifest(raw, media.OCI_MANIFEST, legacy_attestation_tag(Digest.of(b"x")))
    stored = asked.server.store.manifests.find(WEB, digest)
    assert (stored is not None and stored.role) is Role.IMAGE
    assert pull(asked, digest).status == 403


def test_a_large_attestation_is_judged_and_is_no_signature(asked: Gated) -> None:
    digest = asked.push(WEB, "1", "web")
    attest(asked, digest, says="x" * (2 * 1024 * 1024))
    assert pull(asked, digest).status == 200
    asked.set_policy({"policies/prod.yaml": HEAD + WITH_SCAN.splitlines(keepends=True)[0]})
    refused = pull(asked, digest)
    assert refused.status == 403
    asked.sign(WEB, digest)
    assert pull(asked, digest).status == 200


# --- judged once, in bounded steps ---------------------------------------------------------------


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Digest]:
    """About what the judge was asked, a subject a call."""
    calls: list[Digest] = []
    judge = attestations.judge_attestations

    def counting(*args: Any, subject: Digest, **named: Any) -> Any:
        calls.append(subject)
        return judge(*args, subject=subject, **named)

    monkeypatch.setattr(attestations, "judge_attestations", counting)
    return calls


@pytest.mark.parametrize("legacy", [False, True])
def test_judged_when_it_arrives_and_never_again(asked: Gated, judged: list[Digest], legacy: bool) -> None:
    digest = asked.push(WEB, "1", "web")
    attest(asked, digest, legacy=legacy)
    assert judged == [digest]
    asked.set_policy({"policies/prod.yaml": HEAD + RULE + "  # another revision\n"})
    assert pull(asked, digest).status == 200
    if not legacy:
        attest(asked, digest, SPDX)
        assert judged == [digest] * 2, "the first is not read again"
    asked.set_policy(
        {"trust/attestors.yaml": TEAM.replace("release.pub}", "release.pub, notAfter: 2020-01-01}")}
    )
    assert pull(asked, digest).status == 403  # fmt: skip


def test_nothing_is_judged_that_no_rule_asks_for(asked: Gated, judged: list[Digest]) -> None:
    asked.set_policy({"policies/prod.yaml": HEAD + WITH_SCAN})
    digest = asked.push(WEB, "1", "web")
    attest(asked, digest)
    pull(asked, digest)
    assert judged == []


def test_what_does_not_fit_one_request_is_unknown_until_the_next(
    asked: Gated, judged: list[Digest], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = asked.push(WEB, "1", "web")
    asked.set_policy({"policies/prod.yaml": HEAD + WITH_SCAN})  # so that nothing is judged on arrival
    attest(asked, digest, SPDX, says="x" * 3000)
    attest(asked, digest, says="y" * 3000)
    asked.set_policy({"policies/prod.yaml": HEAD + RULE})
    monkeypatch.setattr(stored_evidence.Allowance.__init__, "__defaults__", (6000, 2048))
    first = pull(asked, digest)
    assert (first.status, "still to be judged" in first.error["message"]) == (403, True)
    assert len(judged) == 1
    assert pull(asked, digest).status == 200
    assert len(judged) == 2


def test_more_than_are_judged_is_told(asked: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attestations, "MAX_EVIDENCE_MANIFESTS", 2)
    monkeypatch.setattr(stored_evidence, "MAX_EVIDENCE_MANIFESTS", 2)
    digest = asked.push(WEB, "1", "web")
    for says in ("a", "b"):
        attest(asked, digest, by=STRANGER, says=says)
    attest(asked, digest)
    refused = pull(asked, digest)
    assert refused.status == 403
    assert any("more than 2 candidates" in row["reason"] for row in evidence(asked, refused))


def test_a_pull_goes_on_when_judgements_cannot_be_kept(asked: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = asked.push(WEB, "1", "web")

    def full(*_args: Any, **_named: Any) -> None:
        raise StorageFull("the disk is full")

    monkeypatch.setattr(asked.server.store.attestations, "save", full)
    attest(asked, digest)
    assert pull(asked, digest).status == 200


def test_a_memory_that_cannot_be_read_is_no_answer(asked: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = asked.push(WEB, "1", "web")
    attest(asked, digest)

    def broken(*_args: Any, **_named: Any) -> None:
        raise StorageUnavailable("the disk is broken")

    monkeypatch.setattr(asked.server.store.attestations, "find", broken)
    refused = pull(asked, digest)
    assert (refused.status, "the disk is broken" in refused.error["message"]) == (403, True)


def test_one_that_its_judge_fails_on_takes_no_other_along(
    asked: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = asked.push(WEB, "1", "web")
    monkeypatch.setattr(attestations, "judge_attestations", failing(attestations.judge_attestations, times=3))
    attest(asked, digest, by=STRANGER)
    refused = pull(asked, digest)
    assert refused.status == 403
    assert [row["reason"] for row in evidence(asked, refused)] == [DEFECT]
    attest(asked, digest)
    assert pull(asked, digest).status == 200


def test_bytes_that_are_gone_are_told_and_not_remembered(
    asked: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = asked.push(WEB, "1", "web")
    asked.set_policy({"policies/prod.yaml": HEAD + WITH_SCAN})
    attest(asked, digest)
    asked.set_policy({"policies/prod.yaml": HEAD + RULE})
    with monkeypatch.context() as lost:
        lost.setattr(asked.server.store.blobs, "find", lambda *_: None)
        refused = pull(asked, digest)
    assert refused.status == 403
    assert any("is not in the repository" in row["reason"] for row in evidence(asked, refused))
    asked.set_policy({"policies/prod.yaml": HEAD + RULE + "  # another revision\n"})
    assert pull(asked, digest).status == 200


def test_a_bundle_that_is_junk_helps_nobody(asked: Gated) -> None:
    digest = asked.push(WEB, "1", "web")
    junk = b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}'
    layer = {"mediaType": media.SIGSTORE_BUNDLE_V03, "digest": Digest.of(junk), "size": len(junk)}
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": EMPTY,
        "layers": [layer],
        "subject": {"mediaType": media.OCI_MANIFEST, "digest": digest, "size": 1},
    }
    with asked.client("ci", WEB) as client:
        _put_empty(client)
        client.put_blob(Digest.of(junk), iter([junk]), len(junk))
        client.put_manifest(json.dumps(document).encode(), media.OCI_MANIFEST, Tag("junk"))
    assert pull(asked, digest).status == 403
    attest(asked, digest)
    assert pull(asked, digest).status == 200


# --- what they say -------------------------------------------------------------------------------

ASKING = f"""\
  - id: provenance
    attestation:
      predicateType: {SLSA}
      by: {{attestor: release}}
      cel: predicate.said.builder == 'ci'
      message: built outside our CI
"""
SBOM = f"""\
  - id: sbom
    attestation:
      predicateType: {SPDX}
      by: {{attestor: release}}
      each: predicate.said.packages
      denyWhen: >-
        item.name == 'log4j-core'
        && item.versionInfo.matches('^2\\\\.(0|1[0-6])\\\\.')
"""


def test_the_content_opens_the_gate(asked: Gated, judged: list[Digest]) -> None:
    asked.set_policy({"policies/prod.yaml": HEAD + ASKING})
    digest = asked.push(WEB, "1", "web")
    attest(asked, digest, says={"builder": "a laptop"})
    refused = pull(asked, digest)
    assert (refused.status, "built outside our CI" in refused.error["message"]) == (403, True)
    attest(asked, digest, by=STRANGER, says={"builder": "ci"})
    assert pull(asked, digest).status == 403
    attest(asked, digest, says={"builder": "ci"})
    assert pull(asked, digest).status == 200
    assert len(judged) == 3, "answers are kept"
    asked.set_policy({"policies/prod.yaml": HEAD + ASKING.replace("== 'ci'", "== 'another'")})
    assert pull(asked, digest).status == 403, "another question is asked anew"
    assert len(judged) == 6


def test_items_of_an_sbom_close_it(asked: Gated) -> None:
    asked.set_policy({"policies/prod.yaml": HEAD + SBOM})
    digest = asked.push(WEB, "1", "web")
    old, new = ({"name": "log4j-core", "versionInfo": version} for version in ("2.14.1", "2.17.1"))
    attest(asked, digest, SPDX, says={"packages": [new, old]})
    refused = pull(asked, digest)
    assert refused.status == 403
    page = asked.ask("ci", "GET", f"/d/{refused.headers['trustgate-decision']}", accept="application/json")
    assert "log4j-core 2.14.1" in page.body.decode()
    assert "log4j-core 2.17.1" not in page.body.decode()
    attest(asked, digest, SPDX, says={"packages": []})
    assert pull(asked, digest).status == 403
    attest(asked, digest, SPDX, says={"packages": [new]})
    assert pull(asked, digest).status == 200
