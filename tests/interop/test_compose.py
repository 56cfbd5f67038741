"""The container image and docker-compose.yml, as README shows them, on a real daemon with a real bridge."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from packaging.utils import canonicalize_name

from tests.clients.catalog import require
from tests.interop.base_image import build_base
from tests.interop.daemons import DockerDaemon
from tests.interop.world import POLICY, ROOT, free_port, run, write_policy

# the base is made once, which takes a minute or two
pytestmark = [pytest.mark.interop, pytest.mark.timeout(1200)]

BASE = "trustgate-base:bookworm"
HEALTHY_WITHIN_S = 60
CONTEXT = (
    "Dockerfile",
    ".dockerignore",
    "docker-compose.yml",
    "pyproject.toml",
    "uv.lock",
    "README.md",
    "LICENSE",
)
OF_THIS_TEST = """\
version: "3.7"
services:
  trustgate:
    # the daemon of this test leaves the firewall alone, so only the host's network leads outside
    build: {context: ., network: host}
    environment: {TRUSTGATE_POLICY: /policy}
    volumes: ["./policy:/policy:ro"]
"""
TRUST = {
    "trustgate.yaml": POLICY["trustgate.yaml"],
    "policies/prod.yaml": POLICY["policies/prod.yaml"],
    "trust/attestors.yaml": """\
apiVersion: trustgate.dev/v1
kind: TrustStore
attestors:
  release: {type: cosign-key, key: keys/release.pub}
""",
}


@dataclass
class Composed:
    """The service, brought up from a copy of the checkout on a free port."""

    folder: Path
    docker: DockerDaemon
    host: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.docker.client.parent}:/usr/bin:/bin",
            "HOME": str(self.folder.parent),
            "DOCKER_HOST": self.docker.host,
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_PROJECT_NAME": "trustgate-test",
            "COMPOSE_FILE": "docker-compose.yml:of-this-test.yml",
        }

    def run(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(shlex.split(command), self.environment, self.folder, check=check)

    def inside(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(f"docker-compose exec -T trustgate {command}", check=check)

    def inspect(self) -> dict[str, Any]:
        (container,) = self.run("docker-compose ps -q").stdout.split()
        (found,) = json.loads(self.run(f"docker inspect {container}").stdout)
        assert isinstance(found, dict)
        return found

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while self.inspect()["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < deadline, self.run("docker-compose logs").stdout
            time.sleep(0.3)

    def import_image(self, name: str) -> str:
        """An image that shares no layer with any other; returns its id."""
        archive = self.folder.parent / "image.tar"
        with tarfile.open(archive, "w") as tar:
            info = tarfile.TarInfo("random")
            info.size = 1 << 16
            tar.addfile(info, io.BytesIO(os.urandom(info.size)))
        self.run(f"docker import {archive} {name}")
        return self.image_id(name)

    def image_id(self, name: str) -> str:
        return self.run(f"docker image inspect --format '{{{{.Id}}}}' {name}").stdout.strip()


def readme_lines() -> list[str]:
    """What README tells to type."""
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(r"^\$ (docker-compose [^#\n]*?)\s*(?:#.*)?$", text, re.MULTILINE)


def copy_checkout(folder: Path, port: int) -> Path:
    """What the image is built from, with something beside it that must stay out, published on ``port``."""
    checkout = folder / "checkout"
    checkout.mkdir()
    for name in CONTEXT:
        shutil.copy(ROOT / name, checkout / name)
    for name in ("trustgate", "scanners"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("trustgate-data/initial-admin-password", ".git/HEAD", "trustgate/__pycache__/x.pyc"):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text("stays out")
    published = checkout / "docker-compose.yml"
    text = published.read_text().replace("127.0.0.1:5080:", f"127.0.0.1:{port}:")
    published.write_text(text.replace("localhost:5080", f"localhost:{port}"))
    (checkout / "of-this-test.yml").write_text(OF_THIS_TEST)
    return checkout


def commit_policy(folder: Path) -> None:
    """A work tree of somebody else's, as a mounted folder is."""
    write_policy(folder, {"release": ec.generate_private_key(ec.SECP256R1())}, TRUST)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "Policy"]):
        run([*git, *command], {"PATH": "/usr/bin:/bin", "HOME": str(folder)}, folder)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    client, daemon, _ = require("docker"), require("dockerd"), require("docker-compose")
    folder = tmp_path_factory.mktemp("compose")
    port = free_port()
    checkout = copy_checkout(folder, port)
    commit_policy(checkout / "policy")
    with DockerDaemon(folder / "daemon", client.path, daemon.path, storage="") as docker:
        made = Composed(checkout, docker, f"localhost:{port}")
        build_base(client.path, made.environment, BASE, folder)
        made.run(f"docker-compose build --build-arg BASE={BASE}")
        up, *_ = readme_lines()
        try:
            made.run(up)
            made.wait_until_healthy()
            yield made
        finally:
            made.run("docker-compose down --volumes")


@pytest.fixture(scope="module")
def logged_in(composed: Composed) -> str:
    """The docker command of the administrator, who read the password as README says."""
    _up, show = readme_lines()
    secret = composed.run(show.replace("exec ", "exec -T ")).stdout.strip()
    docker = f"docker --config {composed.folder.parent}"
    composed.run(f"{docker} login {composed.host} -u admin -p {secret}")
    return docker


def test_it_is_shut_as_tightly_as_it_says(composed: Composed) -> None:
    found = composed.inspect()
    host = found["HostConfig"]
    assert found["Config"]["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    status = composed.inside("cat /proc/1/status").stdout
    assert re.search(r"^Uid:\s+10001\s+10001\s+10001\s+10001$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert "Read-only file system" in composed.inside("touch /opt/trustgate/x", check=False).stderr


def test_policies_can_be_fetched_by_git_and_ssh(composed: Composed) -> None:
    assert composed.inside("git --version").stdout.startswith("git version")
    # without an account of that number ssh ends at once
    assert "hostname example.com" in composed.inside("ssh -G example.com").stdout


def test_nothing_is_installed_but_what_the_lock_pins(composed: Composed) -> None:
    script = "import importlib.metadata as m; print(*(d.name + '=' + d.version for d in m.distributions()))"
    installed = composed.inside(f'python -I -c "{script}"').stdout.split()
    found = dict(entry.split("=", 1) for entry in installed)
    found = {canonicalize_name(name): version for name, version in found.items()}
    assert found.pop("trustgate")
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    assert len(found) > 20
    assert found.items() <= {(package["name"], package.get("version")) for package in lock["package"]}
    assert not found.keys() & {"pip", "setuptools", "pytest", "mypy", "sphinx"}
    assert composed.inside("find /src /opt/uv", check=False).stdout == ""


def test_the_image_is_made_by_the_uv_that_make_uses() -> None:
    pins = {
        re.findall(r"UV_VERSION ?:?= ?(\S+)", (ROOT / name).read_text())[0]
        for name in ("Dockerfile", "Makefile")
    }
    assert len(pins) == 1


def test_the_build_sees_only_what_it_needs(composed: Composed) -> None:
    (composed.folder.parent / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . /context\n")
    composed.run("docker build -t context -f ../Dockerfile .")
    listed = composed.run("docker run --rm --network none context find /context -type f").stdout.split()
    top = {line.split("/")[2] for line in listed}
    assert top == {"LICENSE", "README.md", "pyproject.toml", "scanners", "trustgate", "uv.lock"}
    assert not [line for line in listed if line.endswith(".pyc")]


def test_a_pushed_image_outlives_the_container(composed: Composed, logged_in: str) -> None:
    name = f"{composed.host}/hello/world:1"
    pushed = composed.import_image(name)
    composed.run(f"{logged_in} push {name}")
    composed.run(f"docker rmi {name}")
    composed.run("docker-compose stop")
    assert composed.inspect()["State"]["ExitCode"] == 0
    composed.run("docker-compose down")
    composed.run("docker-compose up -d")
    composed.wait_until_healthy()
    composed.run(f"{logged_in} pull {name}")
    assert composed.image_id(name) == pushed


def test_a_mounted_policy_refuses_what_is_not_signed(composed: Composed, logged_in: str) -> None:
    name = f"{composed.host}/shop/web:1"
    composed.import_image(name)
    composed.run(f"{logged_in} push {name}")
    composed.run(f"docker rmi {name}")
    refused = composed.run(f"{logged_in} pull {name}", check=False)
    assert refused.returncode != 0
    assert f"pull of {composed.host}/shop/web:1 denied by prod/signed: it is not signed" in refused.stderr
