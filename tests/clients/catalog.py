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
    "helm-cm-push": (),
    "cosign": ("version",),
    "ctr": ("--version",),
    "containerd": ("--version",),
    "registry": ("--version",),
    "conformance": (),
    "debootstrap": ("--version",),
    "docker-compose": ("--version",),
    "git": ("--version",),
    "gpg": ("--version",),
    "notary": ("--version",),
}

_FROM_MODULE = {"conformance": "distribution-spec/conformance", "helm-cm-push": "chartmuseum/helm-push"}


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
    if name in _FROM_MODULE:  # programs that do not know their version
        module = (Path(__file__).parent / name / "go.mod").read_text("utf-8")
        found = re.search(rf"{_FROM_MODULE[name]} (v\S+)", module)
        return found[1] if found else "unknown"
    done = subprocess.run(
        [path, *VERSION_ARGUMENTS[name]], capture_output=True, text=True, check=False, timeout=30
    )
    found = _NUMBER.search(done.stdout + done.stderr)
    return found[0] if found else "unknown"


def main() -> None:
    for name in VERSION_ARGUMENTS:
        client = find(name)
        print(f"{name:<16} {client.version if client else 'missing':<40} {client.path if client else ''}")


if __name__ == "__main__":
    main()
