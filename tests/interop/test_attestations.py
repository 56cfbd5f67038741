"""What cosign attests opens the gate for those who may say so, and cosign still verifies what lies here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.world import World

pytestmark = pytest.mark.interop
SHAPES = {"bundle": [], "tag": ["--new-bundle-format=false"]}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_cosign_attests_opens_the_gate(images: World, layout: Path, tmp_path: Path, shape: str) -> None:
    cosign, crane = require("cosign").path, require("crane").path
    image = f"{images.host}/by/attested:{shape}"
    images.trustgate("ci", "push", f"oci-layout:{layout}:{'web' if shape == 'tag' else 'bare'}", image)
    predicate = tmp_path / "provenance.json"
    predicate.write_text(json.dumps({"buildDefinition": {"buildType": "make"}, "runDetails": {}}))
    attest = [cosign, "attest", "--yes", "--allow-http-registry", "--tlog-upload=false"]
    attest += ["--use-signing-config=false", "--predicate", predicate, *SHAPES[shape]]
    manifest = [crane, "manifest", "--insecure", image]

    def attested(key: str, kind: str) -> None:
        images.run("ci", *attest, "--key", images.key(key), "--type", kind, image)

    refused = images.run("prod", *manifest, check=False)
    assert "no attestation of type https://slsa.dev/provenance/v1" in refused.stderr
    attested("p256", "slsaprovenance1")
    attested("release", "https://example.com/other/v1")
    assert images.run("prod", *manifest, check=False).returncode != 0
    attested("release", "slsaprovenance1")
    images.run("prod", *manifest)
    verify = [cosign, "verify-attestation", "--allow-http-registry", "--insecure-ignore-tlog=true"]
    verify += ["--key", images.public_key_file, "--type", "slsaprovenance1", *SHAPES[shape]]
    images.run("prod", *verify, image)
