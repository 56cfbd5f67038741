"""The library of podman, skopeo and CRI-O: it accepts what we sign, and the gate admits what it signs.

It reads ``sha256-….sig`` tags alone (containers-policy.json, ``sigstoreSigned``), where registries.d says so.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.world import World

ANYTHING = {"default": [{"type": "insecureAcceptAnything"}]}


@dataclass(frozen=True, slots=True)
class Copier:
    """``containers-image`` as one of the accounts."""

    images: World
    folder: Path

    def copy(
        self, who: str, policy: object, source: str, target: str, *signing: Path
    ) -> subprocess.CompletedProcess[str]:
        client = require("containers-image")
        place = self.folder / "policy.json"
        place.write_text(json.dumps(policy))
        files = [client.path, place, self.folder / "registries.d"]
        return self.images.run(who, *files, source, target, *signing, check=False)

    def pull(self, name: str, key: Path) -> subprocess.CompletedProcess[str]:
        """As who only pulls, from where every image must be signed by ``key``."""
        signed = {
            "type": "sigstoreSigned",
            "keyPath": str(key),
            "signedIdentity": {"type": "matchRepository"},
        }
        policy = {"default": [{"type": "reject"}], "transports": {"docker": {self.images.host: [signed]}}}
        return self.copy("prod", policy, f"docker://{name}", f"oci:{self.folder / 'pulled'}:1")


@pytest.fixture
def copier(images: World, tmp_path: Path) -> Copier:
    folder = tmp_path / "registries.d"
    folder.mkdir()
    (folder / "default.yaml").write_text(f"docker:\n  {images.host}:\n    use-sigstore-attachments: true\n")
    return Copier(images, tmp_path)


@pytest.mark.parametrize("kind", ["p256", "rsa", "ed25519"])
def test_what_we_sign_it_accepts(images: World, layout: Path, copier: Copier, kind: str) -> None:
    name = f"{images.host}/open/containers-{kind}:1"
    images.trustgate("ci", "push", f"oci-layout:{layout}:bare", name)
    unsigned = copier.pull(name, images.key(kind, "pub"))
    assert "A signature was required, but no signature exists" in unsigned.stderr
    images.trustgate("ci", "sign", "--legacy", "--key", images.key(kind), name)
    found = copier.pull(name, images.key(kind, "pub"))
    assert found.returncode == 0, found.stderr
    assert copier.pull(name, images.public_key_file).returncode == 1, "by another key"


def test_what_it_signs_is_admitted(images: World, layout: Path, copier: Copier, tmp_path: Path) -> None:
    name = f"{images.host}/by/p256:containers"
    copied = copier.copy("ci", ANYTHING, f"oci:{layout}:bare", f"docker://{name}")
    assert copied.returncode == 0, copied.stderr
    pull = ["pull", name, f"oci-layout:{tmp_path / 'ours'}:1"]
    assert images.trustgate("prod", *pull, check=False).returncode == 1
    signed = copier.copy("ci", ANYTHING, f"oci:{layout}:bare", f"docker://{name}", images.key("p256"))
    assert signed.returncode == 0, signed.stderr
    images.trustgate("prod", *pull)
    images.trustgate("prod", "verify", "--key", images.key("p256", "pub"), name)
    assert copier.pull(name, images.key("p256", "pub")).returncode == 0
