"""The container image and docker-compose.yml, as README shows them, on a real daemon with a real bridge."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.base_image import build_base
from tests.interop.daemons import DockerDaemon
from tests.interop.world import ROOT, free_port, run

pytestmark = pytest.mark.interop

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


@dataclass
class Composed:
    """The service, brought up from a copy of the checkout on a free port."""

    folder: Path
    docker: DockerDaemon
    host: str

    def run(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.docker.client.parent}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "DOCKER_HOST": self.docker.host,
            "COMPOSE_PROJECT_NAME": "trustgate-test",
            "DOCKER_BUILDKIT": "0",
        }
        return run(shlex.split(command), environment, self.folder, check=check)

    def inspect(self) -> dict[str, object]:
        (container,) = self.run("docker-compose ps -q").stdout.split()
        (found,) = json.loads(self.run(f"docker inspect {container}").stdout)
        assert isinstance(found, dict)
        return found

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while True:
            state = self.inspect()["State"]
            assert isinstance(state, dict)
            if state["Health"]["Status"] == "healthy":
                return
            assert time.monotonic() < deadline, self.run("docker-compose logs").stdout
            time.sleep(0.3)


def readme_lines() -> list[str]:
    """What README tells to type."""
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(r"^\$ (docker-compose [^#\n]*?)\s*(?:#.*)?$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    require("docker-compose")
    folder = tmp_path_factory.mktemp("compose")
    checkout = folder / "checkout"
    checkout.mkdir()
    for name in CONTEXT:
        shutil.copy(ROOT / name, checkout / name)
    for name in ("trustgate", "scanners"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    port = free_port()
    published = checkout / "docker-compose.yml"
    text = published.read_text().replace("127.0.0.1:5080:", f"127.0.0.1:{port}:")
    published.write_text(text.replace("localhost:5080", f"localhost:{port}"))
    client, daemon = require("docker"), require("dockerd")
    with DockerDaemon(folder / "daemon", client.path, daemon.path, bridged=True) as docker:
        made = Composed(checkout, docker, f"localhost:{port}")
        build_base(client.path, {"DOCKER_HOST": docker.host, "PATH": "/usr/bin:/bin"}, BASE, folder)
        made.run(f"docker-compose build --build-arg BASE={BASE}")
        up, *_ = readme_lines()
        made.run(up)
        made.wait_until_healthy()
        yield made
        made.run("docker-compose down --volumes")


def test_it_is_shut_as_tightly_as_it_says(composed: Composed) -> None:
    found = composed.inspect()
    config, host = found["Config"], found["HostConfig"]
    assert isinstance(config, dict)
    assert isinstance(host, dict)
    assert config["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    inside = "docker-compose exec -T trustgate"
    assert composed.run(f"{inside} id -u").stdout.strip() == "10001"
    assert composed.run(f"{inside} touch /opt/trustgate/x", check=False).returncode != 0
    assert composed.run(f"{inside} git --version").stdout.startswith("git version")


def test_what_readme_says_gives_a_registry_that_keeps_its_data(composed: Composed, tmp_path: Path) -> None:
    up, password = readme_lines()
    secret = composed.run(password.replace("exec ", "exec -T ")).stdout.strip()
    docker = f"docker --config {tmp_path}"
    composed.run(f"{docker} login {composed.host} -u admin -p {secret}")
    name = f"{composed.host}/hello/world:1"
    composed.run(f"docker tag {BASE} {name}")
    composed.run(f"{docker} push {name}")
    composed.run("docker-compose restart")
    composed.wait_until_healthy()
    composed.run(f"docker rmi {name}")
    composed.run(f"{docker} pull {name}")
    assert up == "docker-compose up -d"
