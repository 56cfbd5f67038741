"""The commands of README and of the first page of the documentation, run as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import images as content
from tests.clients.catalog import require
from tests.interop.daemons import DockerDaemon
from tests.interop.world import ROOT, Server, run, start_server
from tests.shared_files import shared

pytestmark = pytest.mark.interop

FIVE_MINUTES = ROOT / "docs" / "five-minutes.md"
HOST = "localhost:5080"
ADVISORIES = {
    "PyPI.zip": "PyPI-2024-10.zip",
    "Go.zip": "Go-2026-08.zip",
    "known_exploited_vulnerabilities.json": "kev-2025-08.json",
}
MADE = {"make demo", "make test"}
"""Run by test_readme.py, and by whoever runs this; test_compose.py runs what begins with docker-compose."""
_BLOCK = re.compile(r"^```(console|yaml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Reader:
    """Somebody who types what a page says, in an empty folder."""

    def __init__(self, folder: Path, docker: DockerDaemon) -> None:
        self.folder = folder
        self.server: Server | None = None
        self._docker = docker
        self._bin = folder / "bin"
        self._bin.mkdir()
        (folder / "home").mkdir()
        self._command("trustgate", f'exec {shlex.quote(sys.executable)} -m trustgate "$@"')
        self._command("docker", f'exec {docker.client} "$@"')
        # no transparency log can be reached from here
        quiet = "--use-signing-config=false --tlog-upload=false --allow-http-registry -y"
        self._command("cosign", f'exec {require("cosign").path} "$@" {quiet}')
        for name, real in ADVISORIES.items():
            shutil.copy(shared("advisories", real), folder / name)

    def _command(self, name: str, line: str) -> None:
        path = self._bin / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def read(self, page: Path) -> None:
        """Write its files and type its commands, in its order."""
        for kind, body in _BLOCK.findall(page.read_text("utf-8")):
            if kind == "yaml":
                self._write(body)
            else:
                for line in body.splitlines():
                    self._type(line.removeprefix("$ "))

    def write_policy_of(self, page: Path) -> None:
        """The page's files alone, committed."""
        for kind, body in _BLOCK.findall(page.read_text("utf-8")):
            if kind == "yaml":
                self._write(body)
        for command in (
            "trustgate key generate --output release",
            "mkdir policy/trust/keys && cp release.pub policy/trust/keys/",
            "git -C policy init && git -C policy add . && git -C policy commit -m First",
        ):
            done = self.shell(command)
            assert done.returncode == 0, done.stderr

    def _write(self, body: str) -> None:
        name = body.splitlines()[0].removeprefix("# ")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body)

    def _type(self, line: str) -> None:
        command, _, remark = line.partition("   #")
        command = command.strip()
        if command in MADE or command.startswith("docker-compose "):
            return
        if command == "make serve" or command.startswith("trustgate serve"):
            self._serve(shlex.split(command)[2:] if command.startswith("trustgate") else [])
            return
        wanted = 1 if "exit 1" in remark else 0
        done = self.shell(command)
        assert done.returncode == wanted, f"$ {command}\n{done.stdout}\n{done.stderr}"

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        assert self.server is not None
        environment = {
            "PATH": f"{self._bin}:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "DOCKER_HOST": self._docker.host,
            "COSIGN_PASSWORD": "a password",
            "TRUSTGATE_SERVER": self.server.url,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'scanners'}",
            "TRUSTGATE_DATA": str(self.folder / "trustgate-data"),
            "NO_COLOR": "1",
            **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        real = command.replace(HOST, self.server.host)
        return run(["/bin/bash", "-c", real], environment, self.folder, check=False)

    def _serve(self, arguments: list[str]) -> None:
        port = 0
        if self.server is not None:
            port = int(self.server.url.rpartition(":")[2])
            self.server.stop()
        self.server = start_server(self.folder / "trustgate-data", *arguments, port=port)

    def build_image(self, name: str) -> None:
        """As ``docker build`` would, from a tar archive: with a package that the advisories cover."""
        assert self.server is not None
        archive = self.folder / "image.tar"
        archive.write_bytes(content.tar({**content.python_package("acme", "1.0"), "name": name}))
        done = self.shell(f"docker import {archive} {name}")
        assert done.returncode == 0, done.stderr


@pytest.fixture
def reader(tmp_path: Path, docker: DockerDaemon) -> Iterator[Reader]:
    made = Reader(tmp_path, docker)
    yield made
    if made.server is not None:
        made.server.stop()


def test_five_minutes(reader: Reader) -> None:
    reader._serve([])
    for name in ("web", "old"):
        reader.build_image(f"{HOST}/shop/{name}:1")
    reader.read(FIVE_MINUTES)


def test_readme(reader: Reader) -> None:
    """After five minutes: README shows the same commands, shorter."""
    reader._serve([])
    reader.build_image(f"{HOST}/shop/web:1")
    reader.write_policy_of(FIVE_MINUTES)
    reader.read(ROOT / "README.md")
