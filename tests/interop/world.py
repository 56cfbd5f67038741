"""A real server, its accounts and policy, and images to send around."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustgate.evidence.cosign_key import PrivateKey, public_pem, write_private_key
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.remote.layout import LayoutSource

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 300

POLICY = {
    "trustgate.yaml": """\
apiVersion: trustgate.dev/v1
kind: Root
defaults:
  noMatch: {pull: allow, push: allow, delete: allow}
  onError: deny
exempt:
  - robots: ["robot$ci"]
    actions: [pull]
    rules: ["*/signed", "*/provenance"]
    why: who signs must read what is not signed yet
""",
    "trust/attestors.yaml": """\
apiVersion: trustgate.dev/v1
kind: TrustStore
attestors:
  release: {type: cosign-key, key: keys/release.pub}
  by-p256: {type: cosign-key, key: keys/p256.pub}
  by-rsa: {type: cosign-key, key: keys/rsa.pub}
  by-ed25519: {type: cosign-key, key: keys/ed25519.pub, algorithm: ed25519ph}
""",
    **{
        f"policies/{kind}.yaml": f"""\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {{name: only-{kind}}}
mode: enforce
scope: {{actions: [pull], repositories: ["by/{kind}"]}}
rules:
  - id: signed
    contentTrust: {{require: {{attestor: by-{kind}}}}}
"""
        for kind in ("p256", "rsa", "ed25519")
    },
    "policies/attested.yaml": """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: attested}
mode: enforce
scope: {actions: [pull], repositories: ["by/attested"]}
rules:
  - id: provenance
    attestation: {predicateType: https://slsa.dev/provenance/v1, by: {attestor: release}}
""",
    "policies/prod.yaml": """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: prod}
mode: enforce
scope: {actions: [pull], repositories: ["shop/**"]}
rules:
  - id: signed
    contentTrust: {require: {attestor: release}}
""",
}


@dataclass(slots=True)
class Server:
    """``trustgate serve`` in a process of its own."""

    url: str
    data: Path
    process: subprocess.Popen[bytes]
    log: Path
    admin_password: str

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_server(data: Path, *arguments: str, port: int = 0, ca: Path | None = None) -> Server:
    """Start on a free port and wait until it is ready; with ``ca``, over TLS that this CA vouches for."""
    port = port or free_port()
    log = data.parent / f"{data.name}.log"
    command = [
        sys.executable,
        "-m",
        "trustgate",
        "serve",
        "--data",
        str(data),
        "--port",
        str(port),
        *arguments,
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=data.parent)
    url = f"{'https' if ca else 'http'}://localhost:{port}"
    trusted = ssl.create_default_context(cafile=ca) if ca else None
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2, context=trusted) as answer:
                if answer.status == 200:
                    break
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the server did not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.05)
    password = data / "initial-admin-password"
    return Server(url, data, process, log, password.read_text().strip() if password.exists() else "")


def write_policy(folder: Path, keys: Mapping[str, PrivateKey], files: Mapping[str, str] = POLICY) -> Path:
    """A policy folder with the public halves of ``keys`` by name."""
    pems = {f"trust/keys/{name}.pub": public_pem(key).decode() for name, key in keys.items()}
    for path, text in {**files, **pems}.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder


@dataclass(slots=True)
class World:
    """The server, a signing key, and the credential folders of two robots and the administrator."""

    server: Server
    folder: Path
    configs: dict[str, Path] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.server.host

    def key(self, name: str, suffix: str = "key") -> Path:
        return self.folder / f"{name}.{suffix}"

    @property
    def key_file(self) -> Path:
        return self.folder / "release.key"

    @property
    def public_key_file(self) -> Path:
        return self.folder / "release.pub"

    def environment(self, who: str) -> dict[str, str]:
        """What a client needs to be ``who``, and to touch nothing of the machine's own."""
        config = self.configs[who]
        home = self.folder / f"home-{who}"
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DOCKER_CONFIG": str(config),
            "REGISTRY_AUTH_FILE": str(config / "config.json"),
            "HELM_REGISTRY_CONFIG": str(config / "config.json"),
            "COSIGN_PASSWORD": "",
            "NO_COLOR": "1",
        }

    def run(
        self, who: str, *command: object, check: bool = True, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a client as ``who``."""
        return run(
            [str(part) for part in command], {**self.environment(who), **extra}, self.folder, check=check
        )

    def trustgate(self, who: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        extra = {"TRUSTGATE_SERVER": self.server.url}
        return self.run(who, sys.executable, "-m", "trustgate", *arguments, check=check, **extra)


def run(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """A command with its output kept; a failure shows it."""
    done = subprocess.run(
        command,
        env=dict(environment),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done


def make_world(folder: Path) -> World:
    """Server, policy, key, and the accounts ``admin``, ``ci`` (pushes and signs) and ``prod`` (pulls)."""
    keys: dict[str, PrivateKey] = {
        "release": ec.generate_private_key(ec.SECP256R1()),
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    for name, key in keys.items():
        (folder / f"{name}.key").write_bytes(write_private_key(key, b""))
        (folder / f"{name}.pub").write_bytes(public_pem(key))
    policy = write_policy(folder / "policy", keys)
    server = start_server(folder / "data", "--policy", f"dir:{policy}")
    world = World(server, folder)
    add_login(world, "admin", "admin", server.admin_password)
    for name, grants in (("ci", "pull,push,delete"), ("prod", "pull")):
        made = world.trustgate(
            "admin",
            "robot",
            "create",
            name,
            "--grant",
            f"shop={grants}",
            "--grant",
            f"open={grants}",
            "--grant",
            f"by={grants}",
        )
        add_login(world, name, f"robot${name}", made.stdout.strip())
    return world


def add_login(world: World, who: str, username: str, secret: str) -> None:
    """Log in with our own command; every client then reads what it wrote."""
    world.configs[who] = world.folder / f"config-{who}"
    world.configs[who].mkdir()
    world.trustgate(who, "login", world.host, "-u", username, "-p", secret)


# --- images --------------------------------------------------------------------------------------


def add_image(
    layout: LayoutSource, tag: str | None, text: str, architecture: str = "amd64"
) -> tuple[Digest, int]:
    """A small image with one layer; returns digest and size of its manifest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        content = text.encode()
        info = tarfile.TarInfo("hello")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    plain = buffer.getvalue()
    packed = gzip.compress(plain, mtime=0)
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/hello"]},
            "rootfs": {"type": "layers", "diff_ids": [Digest.of(plain)]},
            "history": [{"created_by": "test"}],
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media.OCI_MANIFEST,
            "config": {"mediaType": media.OCI_CONFIG, "digest": Digest.of(config), "size": len(config)},
            "layers": [
                {"mediaType": media.OCI_LAYER_TAR_GZIP, "digest": Digest.of(packed), "size": len(packed)}
            ],
        }
    ).encode()
    for blob in (packed, config):
        layout.put_blob(Digest.of(blob), iter([blob]), len(blob))
    return layout.put_manifest(manifest, media.OCI_MANIFEST, Tag(tag) if tag else None), len(manifest)


def add_index(layout: LayoutSource, tag: str, text: str) -> Digest:
    """A multi-platform index of two images."""
    entries = []
    for architecture in ("amd64", "arm64"):
        digest, size = add_image(layout, None, f"{text} {architecture}", architecture)
        entries.append(
            {
                "mediaType": media.OCI_MANIFEST,
                "digest": digest,
                "size": size,
                "platform": {"os": "linux", "architecture": architecture},
            }
        )
    index = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}
    return layout.put_manifest(json.dumps(index).encode(), media.OCI_INDEX, Tag(tag))


# --- golden files --------------------------------------------------------------------------------

GOLDEN = Path(__file__).parent / "golden"
_DECISION = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{12,64}")
_TIME = re.compile(r"time=(?:\"[^\"]*\"|\S+)")
_SPACE = re.compile(r"[ \t]+\n")


def check_golden(name: str, text: str, host: str) -> None:
    """Compare with ``golden/NAME.txt``; ``UPDATE_GOLDEN=1`` writes it."""
    text = text.replace(host, "HOST:PORT")
    for pattern, replacement in ((_DECISION, "DECISION"), (_DIGEST, "sha256:DIGEST"), (_TIME, 'time="…"')):
        text = pattern.sub(replacement, text)
    text = _SPACE.sub("\n", text).strip() + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{name} prints something else now; look at it, then UPDATE_GOLDEN=1"
