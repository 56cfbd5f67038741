"""The commands of README, of the first page of the documentation, and of the pages about signing, run as
they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import images as content
from tests.clients.catalog import require
from tests.interop.daemons import DockerDaemon
from tests.interop.softhsm import MODULES, make_softhsm
from tests.interop.world import ROOT, Server, add_image, run, start_server
from tests.shared_files import shared
from tests.simulators.sigstore.server import SigstoreServer
from trustgate.remote.layout import LayoutSource

pytestmark = pytest.mark.interop

FIVE_MINUTES = ROOT / "docs" / "five-minutes.md"
HOW_TO = ROOT / "docs" / "how-to"
HOSTS = ("localhost:5080", "registry.example.com")
ADVISORIES = {
    "PyPI.zip": "PyPI-2024-10.zip",
    "Go.zip": "Go-2026-08.zip",
    "known_exploited_vulnerabilities.json": "kev-2025-08.json",
}
MADE = {"make demo", "make test"}
"""Run by test_readme.py, and by whoever runs this; test_compose.py runs what begins with docker-compose."""
JOBS = {
    ".github/workflows/release.yml": lambda job: [
        step["run"] for step in job["jobs"]["release"]["steps"] if "run" in step
    ],
    ".gitlab-ci.yml": lambda job: [*job["release"]["before_script"], *job["release"]["script"]],
}
"""Files of a CI, and the lines that it would type."""
_BLOCK = re.compile(r"^```(console|yaml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Reader:
    """Somebody who types what a page says, in an empty folder."""

    def __init__(self, folder: Path, docker: DockerDaemon | None = None) -> None:
        self.folder = folder
        self.server: Server | None = None
        self.instead: dict[str, str] = {}
        """What stands in a page, and what is meant here."""
        self.extra: dict[str, str] = {}
        self._docker = docker
        self._bin = folder / "bin"
        self._bin.mkdir()
        (folder / "home").mkdir()
        self._command("trustgate", f'exec {shlex.quote(sys.executable)} -m trustgate "$@"')
        if docker is not None:
            self._command("docker", f'exec {docker.client} "$@"')
        # no transparency log can be reached from here
        self.cosign("--use-signing-config=false --tlog-upload=false -y")

    def cosign(self, signing: str, verifying: str = "") -> None:
        """With options that the page leaves to the world outside."""
        real = f'exec {require("cosign").path} "$@" --allow-http-registry'
        case = f'case "$1" in sign|attest) {real} {signing};; *) {real} {verifying};; esac'
        self._command("cosign", case)

    def client(self, name: str, *, options: str = "", of: str = "*") -> None:
        """A real client; ``options`` go to its commands that match ``of``."""
        real = f'exec {require(name).path} "$@"'
        self._command(name, f'case "$1" in {of}) {real} {options};; *) {real};; esac')

    def _command(self, name: str, line: str) -> None:
        path = self._bin / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def read(self, page: Path, until: str = "") -> None:
        """Write its files and type its commands, in its order; ``until`` a heading that is not for here."""
        text = page.read_text("utf-8")
        assert until in text, "a heading was renamed: name it anew here"
        for kind, body in _BLOCK.findall(text.partition(until)[0] if until else text):
            if kind == "yaml":
                self._write(body)
            else:
                for line in body.splitlines():
                    self.type(line.removeprefix("$ "))

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
        first, _, rest = body.partition("\n")
        if not first.startswith("# "):
            return  # a part of a file, shown for itself
        name = first.removeprefix("# ").replace("~", "home", 1)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._meant(rest if name.endswith(".json") else body))
        if name in JOBS:
            for line in JOBS[name](yaml.safe_load(rest)):
                self.type(line)

    def _meant(self, text: str) -> str:
        for written, meant in self.instead.items():
            text = text.replace(written, meant)
        return text

    def type(self, line: str) -> None:
        command, _, remark = line.partition("   #")
        command = command.strip()
        if command in MADE or command.startswith("docker-compose "):
            return
        if command == "make serve" or command.startswith("trustgate serve"):
            self._serve(shlex.split(command)[2:] if command.startswith("trustgate") else [])
            return
        refused = re.fullmatch(r" *exit ([123])(?:: (.+))?", remark)
        done = self.shell(command)
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == (int(refused[1]) if refused else 0), f"$ {command}\n{said}"
        assert not refused or (refused[2] or "") in " ".join(said.split()), f"$ {command}\n{said}"

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        assert self.server is not None
        environment = {
            "PATH": f"{self._bin}:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "COSIGN_PASSWORD": "a password",
            "TRUSTGATE_SERVER": self.server.url,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'scanners'}",
            "TRUSTGATE_DATA": str(self.folder / "trustgate-data"),
            "NO_COLOR": "1",
            **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
            **({"DOCKER_HOST": self._docker.host} if self._docker is not None else {}),
            **self.extra,
        }
        real = self._meant(command)
        for host in HOSTS:
            real = real.replace(host, self.server.host)
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
    for name, real in ADVISORIES.items():
        shutil.copy(shared("advisories", real), tmp_path / name)
    yield made
    if made.server is not None:
        made.server.stop()


def test_five_minutes(reader: Reader) -> None:
    reader._serve([])
    for name in ("web", "old"):
        reader.build_image(f"{HOSTS[0]}/shop/{name}:1")
    reader.read(FIVE_MINUTES)


def test_readme(reader: Reader) -> None:
    """After five minutes: README shows the same commands, shorter."""
    reader._serve([])
    reader.build_image(f"{HOSTS[0]}/shop/web:1")
    reader.write_policy_of(FIVE_MINUTES)
    reader.read(ROOT / "README.md")


# --- the pages about signing -----------------------------------------------------------------------


class Signatory(Reader):
    """Reads a page of ``how-to``: with a server whose policy repository is in force as it is committed."""

    def begin(self) -> None:
        layout = LayoutSource(self.folder / "image", create=True)
        for tag in ("1", "2"):
            add_image(layout, tag, f"version {tag}")
        self._serve([])
        for name, options, of in CLIENTS:
            self.client(name, options=options, of=of)
        self.read(HOW_TO / "README.md")

    def _meant(self, text: str) -> str:
        if NOBODY in text:
            listed = self.shell("gpg --with-colons --list-keys charts@example.com").stdout
            text = text.replace(
                NOBODY, next(re.finditer("^fpr:.*:([0-9A-F]{40}):$", listed, re.MULTILINE))[1]
            )
        return super()._meant(text)

    def type(self, line: str) -> None:
        if line.startswith(("docker login ", "docker build ", "apk add ", 'echo "$')):
            return  # no docker here: an image is there, and a login
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self.extra[name] = value
            return
        if line.startswith("docker push "):
            line = line.replace("docker push", "trustgate push oci-layout:./image:1")
        super().type(line)
        if "git -C policy commit" in line:
            self._serve(["--policy", "./policy"])  # sooner than every 30 seconds


GITHUB = "https://github.com/example/web/.github/workflows/release.yml@refs/heads/main"
GITHUB_SAYS = {12: "https://github.com/example/web", 20: "push"}
GITLAB = "https://gitlab.com/example/web//.gitlab-ci.yml@refs/heads/main"
GITLAB_SAYS = {14: "refs/heads/main"}
PUBLIC_GOOD = """\
apiVersion: trustgate.dev/v1
kind: TrustStore
trustRoots: {public-good: {type: file, path: public-good.json}}
attestors: {nobody: {type: cosign-key, key: nobody.pub}}
"""
NOBODY = "0" * 40
IN_A_TOKEN = "## A key in a token"
CLIENTS = (
    ("oras", "", "*"),
    ("notation", "--insecure-registry", "sign|verify"),
    ("helm", "--plain-http", "push|pull"),
)


@pytest.fixture
def signatory(tmp_path: Path) -> Iterator[Signatory]:
    made = Signatory(tmp_path)
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as gnupg:  # sockets have short paths
        made.extra["GNUPGHOME"] = gnupg
        made.begin()
        yield made
        made.shell("gpgconf --kill all")
    if made.server is not None:
        made.server.stop()


@pytest.mark.parametrize("name", ["notation", "helm", "attestations", "ask-the-policy"])
def test_how_to(signatory: Signatory, name: str) -> None:
    signatory.read(HOW_TO / f"{name}.md")


def test_how_to_with_a_key(signatory: Signatory) -> None:
    signatory.read(HOW_TO / "with-a-key.md", until=IN_A_TOKEN)


def test_how_to_with_a_key_in_a_token(signatory: Signatory, tmp_path: Path) -> None:
    """The same page to its end, with a place of its own for SoftHSM's tokens."""
    hsm = make_softhsm(tmp_path / "hsm", token=False)
    signatory.instead[MODULES[0]] = hsm.module
    signatory.extra.update(hsm.environment)
    signatory.read(HOW_TO / "with-a-key.md")


ISSUERS = {
    "github-actions": ("https://token.actions.githubusercontent.com", GITHUB, GITHUB_SAYS),
    "gitlab": ("https://gitlab.com", GITLAB, GITLAB_SAYS),
}


@pytest.mark.parametrize("name", ISSUERS)
def test_how_to_sign_in_a_ci(signatory: Signatory, name: str) -> None:
    """Issuer and sigstore.dev are those of a private Sigstore; the job's lines are typed as they stand."""
    issuer, subject, says = ISSUERS[name]
    with SigstoreServer() as sigstore:
        signatory.instead[issuer + "\n"] = sigstore.issuer + "\n"
        signatory.instead[issuer + " "] = sigstore.issuer + " "
        for file, content_of in (
            ("trusted_root.json", sigstore.trusted_root()),
            ("policy/trust/public-good.json", sigstore.trusted_root()),
            ("policy/trust/public-good.yaml", PUBLIC_GOOD.encode()),
            ("signing_config.json", sigstore.signing_config(rekor=2)),
        ):
            place = signatory.folder / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content_of)
        signatory.cosign(
            "--signing-config signing_config.json --trusted-root trusted_root.json", "--offline=true"
        )
        signatory.extra["SIGSTORE_ID_TOKEN"] = sigstore.token(subject.replace("main", "fork"), fulcio=says)
        signatory.type("trustgate key generate --output policy/trust/nobody && rm policy/trust/nobody.key")
        signatory.type("trustgate push oci-layout:./image:2 registry.example.com/shop/fork:1")
        signatory.type("cosign sign --yes registry.example.com/shop/fork:1")
        signatory.extra["SIGSTORE_ID_TOKEN"] = sigstore.token(subject, fulcio=says)
        signatory.read(HOW_TO / f"{name}.md")
