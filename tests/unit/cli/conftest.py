"""Commands, called in this process as a shell would call them."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gate.conftest import Gated, serve_gated
from trustgate.cli.main import main
from trustgate.evidence import cosign_key


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Done]
FOREIGN = (
    "TRUSTGATE_",
    "COSIGN_",
    "SIGSTORE_",
    "XDG_",
    "REGISTRY_",
    "GITHUB_",
    "ACTIONS_",
    "GITLAB_",
    "CIRCLE",
)
"""A CI that runs these tests has identity tokens to give."""


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of key files: what is really written is tested in evidence/test_cosign_key.py."""
    monkeypatch.setitem(cosign_key._WRITTEN, "N", cosign_key.MIN_SCRYPT_N)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """``call("verify", "--key", …, stdin="…", NAME="value")`` in an empty folder with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    for name, value in {"HOME": home, "DOCKER_CONFIG": home / ".docker", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, str(value))

    def run(*arguments: object, stdin: str = "", **environment: str) -> Done:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["trustgate", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        said = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        assert "Traceback" not in said.err
        return Done(code, said.out, said.err)

    return run


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    with serve_gated(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.fixture
def as_admin(call: Call, served: Gated) -> Call:
    """Logged in as the administrator of a running server, which is the default one."""
    password = served.server.password_file.read_text().strip()
    done = call("login", served.host, "-u", "admin", "--password-stdin", stdin=f"{password}\n")
    assert (done.code, done.out) == (0, "")

    def run(*arguments: object, stdin: str = "", **environment: str) -> Done:
        return call(*arguments, stdin=stdin, **{"TRUSTGATE_SERVER": f"http://{served.host}", **environment})

    return run
