"""README's transcripts are what the demo prints, and what docker prints after it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.daemons import DockerDaemon
from tests.interop.world import run

README = Path(__file__).resolve().parents[2] / "README.md"
_VARIABLE = (
    (re.compile(r"localhost:\d+"), "localhost:PORT"),
    (re.compile(r"\d+\.\d s"), "N s"),
    (re.compile(r"/d/[0-9A-Z]{26}"), "/d/DECISION"),
    (re.compile(r"[ ]+\n"), "\n"),
)


def _settled(text: str) -> list[str]:
    for pattern, replacement in _VARIABLE:
        text = pattern.sub(replacement, text)
    return [" ".join(line.split()) for line in text.strip().splitlines()]


@pytest.mark.interop
def test_the_demo_prints_what_readme_says(tmp_path: Path) -> None:
    done = run(
        [sys.executable, "-m", "trustgate", "demo", "--once"],
        {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        tmp_path,
    )
    blocks = re.findall(r"```text\n(1/6 .*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 1
    assert _settled(done.stdout) == _settled(blocks[0])


@contextmanager
def _demo(folder: Path) -> Iterator[str]:
    """The demo after its walk, still serving; yields its host."""
    command = [sys.executable, "-m", "trustgate", "demo"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        try:
            assert demo.stdout is not None
            said = ""
            for line in demo.stdout:
                said += line
                if line.startswith("the registry is running"):
                    break
            found = re.search(r"docker pull (localhost:\d+)/shop/old:1", said)
            assert found is not None, said
            yield found[1]
        finally:
            demo.terminate()


@pytest.mark.interop
def test_docker_prints_what_readme_says(tmp_path: Path, docker: DockerDaemon) -> None:
    (block,) = re.findall(r"```text\n\$ docker pull \S+\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    with _demo(tmp_path) as host:
        environment = {"DOCKER_HOST": docker.host, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        secret = (tmp_path / "trustgate-demo" / "prod-robot-secret").read_text()
        login = f"{docker.client} login {host} -u 'robot$prod' --password-stdin"
        subprocess.run(
            ["/bin/sh", "-c", login],
            env=environment,
            input=secret,
            text=True,
            check=True,
            capture_output=True,
        )
        done = run([str(docker.client), "pull", f"{host}/shop/old:1"], environment, tmp_path, check=False)
    assert done.returncode == 1
    assert " ".join(_settled(done.stderr)) == " ".join(_settled(block))
