"""Commands that talk to a running server; and the server's own start, when something is in its way."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Call
from tests.unit.gate.conftest import Gated

NOBODY = 65534


def test_login_and_logout(call: Call, served: Gated, tmp_path: Path) -> None:
    secret = served.secrets["ci"]
    wrong = call("login", served.host, "-u", "robot$ci", "--password-stdin", stdin="wrong\n")
    assert (wrong.code, wrong.out) == (3, "")
    done = call("login", served.host, "-u", "robot$ci", "--password-stdin", stdin=f"{secret}\n")
    assert (done.code, done.out) == (0, "")
    assert secret not in done.err
    kept = tmp_path / "home/.docker/config.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert served.host in kept.read_text()
    assert call("logout", served.host).code == 0
    assert served.host not in kept.read_text()


def test_accounts(as_admin: Call) -> None:
    made = as_admin("robot", "create", "builder", "--grant", "shop=pull,push", "--days", "7")
    assert made.code == 0
    assert made.out.startswith("tg_")
    assert made.out.strip() not in made.err
    listed = as_admin("robot", "ls", "-o", "json")
    assert "robot$builder" in {item["name"] for item in listed.json["items"]}
    assert "tg_" not in listed.out, "a secret is shown once"
    assert as_admin("robot", "create", "builder").code != 0
    assert as_admin("robot", "create", "bad", "--grant", "shop=fly").code == 2
    assert as_admin("user", "create", "alice", "--password-stdin", stdin="a long password\n").code == 0
    assert "alice" in as_admin("user", "ls").out
    assert as_admin("user", "delete", "alice").code == 0
    assert as_admin("user", "delete", "alice").code == 3
    assert as_admin("project", "ls").code == 0


def test_policy_status_tells_what_is_in_force_and_what_is_not(as_admin: Call, served: Gated) -> None:
    good = as_admin("policy", "status", "-o", "json")
    assert (good.code, good.json["degraded"]) == (0, False)
    root = served.folder / "policy" / "trustgate.yaml"
    kept = root.read_text()
    root.write_text("kind: [")
    try:
        broken = as_admin("policy", "reload")
        assert broken.code == 1
        assert "DEGRADED" in broken.out
        assert "trustgate.yaml:2:1" in broken.out
    finally:
        root.write_text(kept)
    assert as_admin("policy", "reload").code == 0


def test_why_by_reference_and_by_id(as_admin: Call, served: Gated) -> None:
    served.push("shop/web", "1", "web")
    asked = (f"{served.host}/shop/web:1", "--as", "robot:prod")
    done = as_admin("why", *asked, "-o", "json")
    assert (done.code, done.json["verdict"]) == (1, "deny")
    text = as_admin("why", *asked).out
    assert text.startswith("DENIED")
    assert "fix: sign it" in text
    same = as_admin("why", done.json["id"], "-o", "json")
    assert (same.code, same.json["rules"]) == (1, done.json["rules"])
    assert as_admin("why", f"{served.host}/shop/web:none").code == 3
    assert as_admin("ls", f"{served.host}/shop/web").out.split() == ["1"]
    assert as_admin("doctor", "--quick").code == 0


def test_why_as_somebody_else_is_for_administrators(call: Call, served: Gated) -> None:
    call("login", served.host, "-u", "robot$prod", "--password-stdin", stdin=f"{served.secrets['prod']}\n")
    done = call("why", f"{served.host}/shop/web:1", "--as", "robot:ci")
    assert done.code in {1, 3}
    assert "administrator" in done.err


# --- starting ----------------------------------------------------------------------------------------


def serve(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """A start that is expected to fail."""
    command = [sys.executable, "-m", "trustgate", "serve", *arguments]
    known = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    paths = [os.environ.get("PYTHONPATH", ""), str(Path(__file__).resolve().parents[3])]
    known["PYTHONPATH"] = ":".join(filter(None, paths))
    done = subprocess.run(
        command, cwd=folder, env=known, capture_output=True, text=True, timeout=30, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        code, said = serve(tmp_path, "--port", str(port))
    assert code != 0
    assert str(port) in said
    assert "hint" in said


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path, served: Gated) -> None:
    code, said = serve(tmp_path, "--port", "0", "--data", str(served.folder / "data"))
    assert code == 3
    assert str(served.folder / "data") in said


def test_a_read_only_data_directory_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import_module("trustgate.api.listen")
    import_module("trustgate.wiring")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        monkeypatch.chdir(name)
        was = os.geteuid()
        if was == 0:
            os.seteuid(NOBODY)  # root may write everywhere
        try:
            done = call("serve", "--port", "0", "--data", name)
        finally:
            os.seteuid(was)
    assert done.code == 3
    assert name in done.err


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TRUSTGATE_PORT": "70000"}, ("environment", "70000 is not a port")),
        ({"TRUSTGATE_PORT": "x", "TRUSTGATE_MAX_BLOB_BYTES": "much"}, ("port", "max-blob-bytes")),
        ({"TRUSTGATE_PUBLIC_URL": "registry.example.com"}, ("public-url", "https://registry.example.com")),
        ({"TRUSTGATE_TLS_CERT": "/nothing"}, ("tls-cert and tls-key go together",)),
        ({"TRUSTGATE_SCANNERS": "trivvy"}, ("trivvy", "installed are: embedded")),
        ({"TRUSTGATE_POLICY": "/nothing"}, ("/nothing",)),
    ],
)
def test_settings_that_make_no_sense_are_told_together(
    tmp_path: Path, environment: dict[str, str], said: tuple[str, ...]
) -> None:
    code, error = serve(tmp_path, "--data", str(tmp_path / "data"), **{"TRUSTGATE_PORT": "0", **environment})
    assert code in {2, 3}
    assert all(word in error for word in said), error


def test_a_setting_that_is_none_gets_a_suggestion(tmp_path: Path) -> None:
    (tmp_path / "trustgate.toml").write_text("prot = 5080\n")
    code, error = serve(tmp_path)
    assert (code, "did you mean 'port'?" in error) == (2, True)
