"""A whole server in this process, as ``trustgate serve`` builds it, on a loopback socket."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from unittest.mock import patch

import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import ec

from tests.conformance.server import serving
from tests.data_folders import begun
from tests.interop.world import add_image, add_index
from trustgate.evidence.cosign_key import PrivateKey, public_pem
from trustgate.flows import passwords
from trustgate.flows.sign import sign_image, sign_image_legacy
from trustgate.flows.transfer import copy_image
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import Grant, Permission
from trustgate.remote.docker_config import Credential
from trustgate.remote.layout import LayoutSource
from trustgate.remote.registry import RegistryClient
from trustgate.settings import Settings
from trustgate.wiring import Server, build

ROOT = """\
apiVersion: trustgate.dev/v1
kind: Root
defaults: {noMatch: {pull: allow, push: allow, delete: allow}, onError: deny}
exempt:
  - {robots: ["robot$ci"], actions: [pull], rules: ["*/signed"], why: who signs reads what is unsigned}
"""
TRUST = """\
apiVersion: trustgate.dev/v1
kind: TrustStore
attestors:
  release: {type: cosign-key, key: keys/release.pub}
"""
SIGNED = """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: prod}
mode: enforce
scope: {actions: [pull], repositories: ["shop/**"]}
rules:
  - id: signed
    contentTrust: {require: {attestor: release}}
"""


QUICK_HASHES = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
"""Of the administrator's password: what is really used is tested in flows/test_passwords.py."""


@dataclass(slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, str]:
        """The one error of the answer."""
        (only,) = json.loads(self.body)["errors"]
        found: dict[str, str] = only
        return found


@dataclass(slots=True)
class Gated:
    """The server with its policy, the trusted key, and three robots."""

    server: Server
    host: str
    folder: Path
    key: PrivateKey
    secrets: dict[str, str]

    def ask(self, who: str, method: str, path: str, **headers: str) -> Answer:
        """One request as a robot (Basic), or as nobody."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            sent["authorization"] = self.authorization(who)
        return self.request(method, path, sent)

    def authorization(self, who: str) -> str:
        """The header of a robot that logs in with its secret."""
        login = f"robot${who}:{self.secrets[who]}".encode()
        return f"Basic {base64.b64encode(login).decode()}"

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        connection.request(method, path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        found = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def client(self, who: str, repository: str) -> RegistryClient:
        credential = Credential(f"robot${who}", self.secrets[who], "test")
        return RegistryClient(self.host, RepositoryName(repository), credential)

    def push(self, repository: str, tag: str, text: str, who: str = "ci") -> Digest:
        """A small image; returns its digest."""
        layout = LayoutSource(self.folder / "layout", create=True)
        name = f"image-{abs(hash(text))}"
        digest, _size = add_image(layout, name, text)
        with self.client(who, repository) as client:
            copy_image(layout, Tag(name), client, Tag(tag), progress=lambda *_: None)
        return digest

    def push_index(self, repository: str, tag: str, text: str) -> Digest:
        layout = LayoutSource(self.folder / "layout", create=True)
        digest = add_index(layout, f"index-{abs(hash(text))}", text)
        with self.client("ci", repository) as client:
            copy_image(layout, digest, client, Tag(tag), progress=lambda *_: None)
        return digest

    def sign(
        self, repository: str, target: Digest, key: PrivateKey | None = None, *, legacy: bool = False
    ) -> Digest:
        """Sign as ``ci``; returns the digest of the manifest with the signature."""
        with self.client("ci", repository) as client:
            if legacy:
                reference = f"{self.host}/{repository}"
                signer = key or self.key
                return sign_image_legacy(
                    client, target, signer, docker_reference=reference, annotations={}
                ).signature
            return sign_image(
                client, target, key or self.key, annotations={}, now=datetime.now(UTC)
            ).signature

    def settle(self) -> None:
        """Wait for the scans that the pushes caused: their reports make verdicts stale."""
        deadline = monotonic() + 20
        while any(state in {"ready", "running"} for _, state in self.server.store.jobs.counts()):
            assert monotonic() < deadline, "the scans do not end"
            sleep(0.02)

    def set_policy(self, files: Mapping[str, str]) -> None:
        """Write files and load them."""
        write(self.folder / "policy", files)
        assert self.server.reload.run_once(datetime.now(UTC)), self.server.reload.status.last_error


def write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


@contextmanager
def serve_gated(folder: Path, *, sparse: bool = False) -> Iterator[Gated]:
    """A server on a data directory with nothing in its tables, with policy, key and robots."""
    key = ec.generate_private_key(ec.SECP256R1())
    files = {
        "trustgate.yaml": ROOT,
        "trust/attestors.yaml": TRUST,
        "trust/keys/release.pub": public_pem(key).decode(),
        "policies/prod.yaml": SIGNED,
    }
    write(folder / "policy", files)
    policy = f"dir:{folder / 'policy'}"
    settings = Settings(data=begun(folder / "data"), policy=policy, scanners=(), sparse_indexes=sparse)
    with patch.object(passwords, "PasswordHasher", QUICK_HASHES):
        server = build(settings)
    try:
        wanted: dict[str, tuple[str, frozenset[Permission]]] = {
            "ci": ("shop", frozenset({"pull", "push", "delete"})),
            "prod": ("shop", frozenset({"pull"})),
        }
        both: frozenset[Permission] = frozenset({"pull", "push"})
        secrets = {
            name: server.accounts.create_robot(name, grants=[Grant(project, allowed)])[1]
            for name, (project, allowed) in wanted.items()
        }
        thief = [Grant("shop", frozenset({"pull"})), Grant("den", both)]
        secrets["thief"] = server.accounts.create_robot("thief", grants=thief)[1]
        with serving(server.app) as host:
            yield Gated(server, host, folder, key, secrets)
    finally:
        server.close()


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    with serve_gated(tmp_path) as made:
        yield made
