"""Private daemons: their own folders and sockets, gone with the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import pytest

from tests.clients.catalog import REQUIRE

START_TIMEOUT_S = 40
HANDS_OFF = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")
"""docker0, the firewall and the routing of this machine may be another daemon's."""


class _Daemon:
    """A process that is ready when ``ready`` says so."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        folder.mkdir(parents=True)
        # sockets have short paths
        self.run_folder = Path(tempfile.mkdtemp(prefix=f"tg-{name}-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    def _start(self, command: Sequence[str], ready: Callable[[], bool]) -> None:
        if os.geteuid() != 0:
            _unavailable(f"{self.name} needs root")
        log = self.folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                _unavailable(f"{self.name} did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
        shutil.rmtree(self.run_folder, ignore_errors=True)


class DockerDaemon(_Daemon):
    """Debian's dockerd, with plain files as its storage; ``""`` lets it take the fastest that works here."""

    def __init__(self, folder: Path, client: Path, daemon: Path, *, storage: str = "vfs") -> None:
        super().__init__(folder, "dockerd")
        self.client = client
        self._daemon = daemon
        self._storage = [f"--storage-driver={storage}"] if storage else []

    def __enter__(self) -> Self:
        command = [
            str(self._daemon),
            *HANDS_OFF,
            *self._storage,
            f"--data-root={self.folder / 'data'}",
            f"--exec-root={self.run_folder / 'exec'}",
            f"--pidfile={self.run_folder / 'pid'}",
            f"--host={self.host}",
        ]
        self._start(command, self._answers)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop()
        # dockerd leaves this mounted once a container has had the host's network
        mounted = self.run_folder / "exec" / "netns" / "default"
        subprocess.run(["umount", "--quiet", mounted], capture_output=True, check=False)
        for folder in (self.run_folder, self.folder / "data"):
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def host(self) -> str:
        return f"unix://{self.run_folder / 'sock'}"

    def _answers(self) -> bool:
        done = subprocess.run(
            [self.client, "version"], env={"DOCKER_HOST": self.host}, capture_output=True, check=False
        )
        return done.returncode == 0


class Containerd(_Daemon):
    """containerd with its own root, state and socket."""

    def __init__(self, folder: Path, client: Path, daemon: Path) -> None:
        super().__init__(folder, "containerd")
        self.client = client
        self._daemon = daemon

    def __enter__(self) -> Self:
        config = self.folder / "config.toml"
        config.write_text(
            "version = 3\n"
            'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", '
            '"io.containerd.cri.v1.runtime"]\n'
            f'root = "{self.folder / "root"}"\nstate = "{self.run_folder / "state"}"\n'
            f'[grpc]\naddress = "{self.socket}"\n'
        )
        self._start([str(self._daemon), "--config", str(config)], self._answers)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop()

    @property
    def socket(self) -> Path:
        return self.run_folder / "sock"

    def command(self, *arguments: str) -> list[str]:
        return [str(self.client), "--address", str(self.socket), "--namespace", "test", *arguments]

    def _answers(self) -> bool:
        return subprocess.run(self.command("version"), capture_output=True, check=False).returncode == 0


def _unavailable(why: str) -> None:
    if os.environ.get(REQUIRE) == "1":
        pytest.fail(why)
    pytest.skip(why)
