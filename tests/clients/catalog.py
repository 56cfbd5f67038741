"""Which clients are here, and in which exact version.

python3 -m tests.clients.catalog
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

BIN = Path(__file__).resolve().parents[2] / ".clients" / "bin"
SYSTEM_PATH = "/usr/bin:/usr/sbin:/usr/local/bin:/bin:/sbin"
REQUIRE = "TRUSTGATE_REQUIRE_CLIENTS"
_NUMBER = re.compile(r"v?\d+\.\d+[\w.+~-]*")

VERSION_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "docker": ("--version",),
    "dockerd": ("--version",),
    "podman": ("--version",),
    "skopeo": ("--version",),
    "crane": ("version",),
    "oras": ("version",),
    "regctl": ("version",),
    "helm": ("version", "--short"),
    "helm4": ("version", "--short"),
    "cosign": ("version",),
    "notation": ("version",),
    "ctr": ("--version",),
    "containerd": ("--version",),
    "registry": ("--version",),
    "cosign2": ("version",),
    "debootstrap": ("--version",),
    "docker-compose": ("--version",),
    "git": ("--version",),
    "gpg": ("--version",),
    "notary": ("--version",),
    "notary-server": ("--version",),
    "pkcs11-tool": ("--module", "/nowhere", "--show-info"),  # it does not say its own version
    "psql": ("--version",),
    "softhsm2-util": ("--version",),
}

PINNED: dict[str, tuple[str, str]] = {
    "conformance": ("conformance", "github.com/opencontainers/distribution-spec/conformance"),
    "ct_server": ("ct-server", "github.com/google/certificate-transparency-go"),
    "containers-image": ("containers-image", "go.podman.io/image/v5"),
    "createtree": ("trillian", "github.com/google/trillian"),
    "fulcio": ("fulcio", "github.com/sigstore/fulcio"),
    "helm-cm-push": ("helm-cm-push", "github.com/chartmuseum/helm-push"),
    "rekor-server": ("rekor", "github.com/sigstore/rekor"),
    "rekor-tiles": ("rekor-tiles", "github.com/sigstore/rekor-tiles/v2"),
    "timestamp-server": ("timestamp-server", "github.com/sigstore/timestamp-authority/v2"),
    "trillian_log_server": ("trillian", "github.com/google/trillian"),
    "trillian_log_signer": ("trillian", "github.com/google/trillian"),
}
"""Programs that do not say their version: the folder whose ``go.mod`` pins them, and their module."""


@dataclass(frozen=True, slots=True)
class Client:
    """A program that nobody here wrote."""

    name: str
    path: Path
    version: str


@cache
def find(name: str) -> Client | None:
    """The client, built or installed; ``None`` when it is not here."""
    # Debian's docker goes with Debian's dockerd, whatever else is on the machine.
    found = shutil.which(name, path=str(BIN)) or shutil.which(name, path=SYSTEM_PATH) or shutil.which(name)
    return Client(name, Path(found), _version(name, found)) if found else None


def require(name: str) -> Client:
    """The client; the test is skipped without it, or fails when clients are required."""
    client = find(name)
    if client is None:
        text = f"{name} is not installed: run 'make clients'"
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(text)
        pytest.skip(text)
    return client


def _version(name: str, path: str) -> str:
    if name in PINNED:
        folder, module = PINNED[name]
        text = (Path(__file__).parent / folder / "go.mod").read_text("utf-8")
        pinned = re.search(rf"{re.escape(module)} (v\S+)", text)
        return pinned[1] if pinned else "unknown"
    done = subprocess.run(
        [path, *VERSION_ARGUMENTS[name]], capture_output=True, text=True, check=False, timeout=30
    )
    found = _NUMBER.search(done.stdout + done.stderr)
    return found[0] if found else "unknown"


def main() -> None:
    for name in (*VERSION_ARGUMENTS, *PINNED):
        client = find(name)
        print(f"{name:<16} {client.version if client else 'missing':<40} {client.path if client else ''}")


if __name__ == "__main__":
    main()
