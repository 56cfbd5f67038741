"""A judge that fails on one piece of evidence: that is broken, hides and opens nothing, and is not kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests import signing_world, sigstore_world
from tests.unit.gate.conftest import Answer, Gated
from trustgate.evidence import cosign
from trustgate.evidence.cosign_claim import Claim
from trustgate.evidence.model import SignatureCandidate
from trustgate.evidence.shape import legacy_signature_tag
from trustgate.flows import signatures
from trustgate.flows.defects import DEFECT
from trustgate.oci import media
from trustgate.oci.digest import Digest

STRANGER = ec.generate_private_key(ec.SECP256R1())


class Bug(Exception):
    """What no judge is expected to raise."""


def failing(judge: Callable[..., Any], *, times: int) -> Callable[..., Any]:
    """``judge``, which fails so many times first."""
    left = [times]

    def judged(*given: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise Bug("a secret")
        return judge(*given, **named)

    return judged


def rows(gated: Gated, answer: Answer) -> list[dict[str, str]]:
    page = gated.ask("ci", "GET", f"/d/{answer.headers['trustgate-decision']}", accept="application/json")
    found: list[dict[str, str]] = json.loads(page.body)["evidence"]
    return found


@pytest.mark.parametrize("name", ["candidates_in", "questions_about", "judge_attached"])
def test_one_bad_signature_takes_no_good_one_along(
    gated: Gated, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    digest = gated.push("shop/web", "1", "hello")
    monkeypatch.setattr(signatures, name, failing(getattr(signatures, name), times=2))
    with caplog.at_level(logging.ERROR, "trustgate.evidence"):
        bad = gated.sign("shop/web", digest, STRANGER)  # its push judges it: the first failure
        refused = gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}")
    assert refused.status == 403
    assert "a secret" not in refused.body.decode()
    assert [(row["outcome"], row["reason"]) for row in rows(gated, refused) if row["digest"] == bad] == [
        ("broken", DEFECT)
    ]
    assert "Bug: a secret" in caplog.text
    monkeypatch.setattr(signatures, name, failing(getattr(signatures, name), times=1))
    gated.sign("shop/web", digest)  # … fails, and is judged again by the pull
    assert gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}").status == 200


def layers(gated: Gated, digest: Digest, *annotations: dict[str, str]) -> None:
    """One layer for each under the tag of the digest's signatures, all with one payload."""
    payload = signing_world.simple_signing(digest)
    layer = {
        "mediaType": media.COSIGN_SIMPLE_SIGNING,
        "digest": str(Digest.of(payload)),
        "size": len(payload),
    }
    signed = {signing_world.SIGNATURE: signing_world.b64(signing_world.signature(gated.key, payload))}
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": {"mediaType": media.OCI_CONFIG, "digest": str(Digest.of(b"{}")), "size": 2},
        "layers": [{**layer, "annotations": signed | more} for more in annotations],
    }
    with gated.client("ci", "shop/web") as client:
        for blob in (payload, b"{}"):
            client.put_blob(Digest.of(blob), iter([blob]), len(blob))
        client.put_manifest(json.dumps(document).encode(), media.OCI_MANIFEST, legacy_signature_tag(digest))


def test_nor_one_of_the_same_manifest(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a tag all signatures lie in one manifest, and whoever may push may add to it."""
    real = cosign.legacy_claim

    def claim(candidate: SignatureCandidate, subject: Digest) -> Claim:
        if "hostile" in candidate.annotations:
            raise Bug("a secret")
        return real(candidate, subject)

    monkeypatch.setattr(cosign, "legacy_claim", claim)
    digest = gated.push("shop/web", "1", "hello")
    layers(gated, digest, {})
    assert gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}").status == 200
    layers(gated, digest, {}, {"hostile": "x"})
    assert gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}").status == 200


def test_a_certificate_that_makes_its_reader_fail(gated: Gated, caplog: pytest.LogCaptureFixture) -> None:
    digest = gated.push("shop/web", "1", "hello")
    certificate = sigstore_world.instance().certificate(gated.key.public_key())
    pem = sigstore_world.pem_of(sigstore_world.der_of_version_4(certificate))
    layers(gated, digest, {})
    with caplog.at_level(logging.ERROR, "trustgate.evidence"):
        layers(gated, digest, {}, {"dev.sigstore.cosign/certificate": pem})
        assert gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}").status == 200
    assert caplog.text == ""
