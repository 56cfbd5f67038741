"""``trustgate serve``: what it announces the first time, and what it says when something is in its way."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from importlib import import_module
from pathlib import Path

import pytest

from tests.conformance.server import serving
from tests.unit.cli.conftest import Call
from tests.unit.gate.conftest import Gated
from trustgate.cli.serve import announce
from trustgate.errors import ConfigInvalid
from trustgate.settings import Settings
from trustgate.wiring import build

NOBODY = 65534
CHOSEN = "a password that I chose"


def _redeem(host: str, code: str) -> int:
    body = urllib.parse.urlencode({"password": CHOSEN}).encode()
    try:
        with urllib.request.urlopen(f"http://{host}/setup/{code}", data=body, timeout=10) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code


def test_the_first_start_has_a_link_that_works_once_and_a_file_for_its_owner(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data=tmp_path / "data", policy="starter")
    server = build(settings)
    announce(server, 0.1)
    said = capsys.readouterr()
    file = tmp_path / "data/initial-admin-password"
    assert said.out == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (str(file) in said.err, file.read_text().strip() in said.err) == (True, False)
    code = str(server.setup_code)
    assert f"{settings.base_url}/setup/{code}" in said.err
    with serving(server.app) as host:
        tried = [_redeem(host, text) for text in ("AAAAA-AAAAA-AAAAA-AAAAA", code, code)]
        assert tried == [400, 200, 400]
        assert not file.exists()
        done = call("login", host, "-u", "admin", "--password-stdin", stdin=f"{CHOSEN}\n")
        assert done.code == 0, done.err
    server.close()
    again = build(settings)
    announce(again, 0.1)
    again.close()
    assert "/setup/" not in capsys.readouterr().err


def test_a_busy_port_is_named_and_a_free_one_suggested(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        assert any(_suggests_a_free_one(call, port) for _ in range(3))


def _suggests_a_free_one(call: Call, port: int) -> bool:
    """Whether the port it suggests can be had; another process may have taken it since."""
    done = call("serve", "--port", port)
    assert (done.code, done.out) == (2, "")
    assert f"port {port} on 127.0.0.1 is in use" in done.err
    suggested = done.err.partition("hint: try --port ")[2].strip()
    try:
        socket.create_server(("127.0.0.1", int(suggested))).close()
    except OSError:
        return False
    return True


def test_a_port_that_is_bound_and_silent_is_not_suggested() -> None:
    bind = import_module("trustgate.api.listen").bind
    with socket.create_server(("127.0.0.1", 0)) as busy, socket.socket() as silent:
        port = busy.getsockname()[1]
        with contextlib.suppress(OSError):  # somebody else's by now, which is as good
            silent.bind(("127.0.0.1", port + 1))
        with pytest.raises(ConfigInvalid) as found:
            bind("127.0.0.1", port)
        assert found.value.hint not in ("", f"try --port {port + 1}")


def test_a_host_that_is_not_mine_is_named(call: Call) -> None:
    done = call("serve", "--host", "192.0.2.1")
    assert (done.code, "192.0.2.1:5080" in done.err) == (2, True)
    assert "check --host and --port" in done.err


def test_a_second_server_on_the_same_data_is_refused(call: Call, served: Gated) -> None:
    data = served.folder / "data"
    done = call("serve", "--port", "0", "--data", data)
    assert (done.code, done.out) == (3, "")
    assert f"{data} is in use by process {os.getpid()}" in done.err


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
    assert f"{name} can't be written: Permission denied" in done.err
    assert "choose another with --data" in done.err


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TRUSTGATE_PORT": "70000"}, ("TRUSTGATE_PORT: 70000 is not a port",)),
        ({"TRUSTGATE_PORT": "x", "TRUSTGATE_MAX_BLOB_BYTES": "much"}, ("TRUSTGATE_PORT", "_MAX_BLOB_BYTES")),
        ({"TRUSTGATE_PORT": "tcp://10.0.0.1:5080"}, ("TRUSTGATE_PORT", "enableServiceLinks")),
        ({"TRUSTGATE_DECISION_DAYS": "0"}, ("TRUSTGATE_DECISION_DAYS: '0'", "1 to 36500")),
        ({"TRUSTGATE_THREADS": "many"}, ("TRUSTGATE_THREADS: 'many'", "1 to 1024")),
        ({"TRUSTGATE_SPARSE_INDEXES": "perhaps"}, ("TRUSTGATE_SPARSE_INDEXES: 'perhaps'",)),
        ({"TRUSTGATE_PUBLIC_URL": "registry.example.com"}, ("TRUSTGATE_PUBLIC_URL", "https://registry")),
        ({"TRUSTGATE_TLS_CERT": "/nothing"}, ("tls-cert and tls-key go together", "/nothing")),
        ({"TRUSTGATE_POLCY": "./policy"}, ("TRUSTGATE_POLCY is no setting; did you mean TRUSTGATE_POLICY?",)),
        ({"TRUSTGATE_SCANNERS": "trivvy"}, ("trivvy", "installed are: embedded")),
    ],
)
def test_settings_that_make_no_sense_are_told_together_by_name(
    call: Call, environment: dict[str, str], said: tuple[str, ...]
) -> None:
    done = call("serve", "--data", "data", **{"TRUSTGATE_PORT": "0", **environment})
    assert (done.code, done.out) == (2, "")
    assert all(word in done.err for word in said), done.err
    assert "hint: " in done.err


@pytest.mark.parametrize("source", ["/nothing", "dir:/nothing"])
def test_policies_that_are_not_there_could_not_be_read(call: Call, source: str) -> None:
    done = call("serve", "--port", "0", "--data", "data", TRUSTGATE_POLICY=source)
    assert (done.code, "/nothing" in done.err) == (3, True)
    assert "hint: " in done.err


def test_options_and_files_are_named_as_they_were_written(call: Call, tmp_path: Path) -> None:
    assert "--metrics-port: 70000" in call("serve", "--metrics-port", "70000").err
    (tmp_path / "trustgate.toml").write_text("prot = 5080\nport = 'x'\n")
    done = call("serve")
    assert (done.code, "did you mean 'port'?" in done.err) == (2, True)
    assert "trustgate.toml: port: 'x' is not a port" in done.err
    (tmp_path / "broken.toml").write_text("port = \n")
    assert "broken.toml: Invalid value (at line 1" in call("serve", "--config", "broken.toml").err
    assert "nothing.toml: there is no such file" in call("serve", "--config", "nothing.toml").err


def test_variables_of_other_makers_are_left_alone(call: Call) -> None:
    kubernetes = {"TRUSTGATE_SERVICE_HOST": "10.0.0.1", "TRUSTGATE_PORT_5080_TCP_ADDR": "10.0.0.1"}
    done = call("serve", "--metrics-port", "70000", TRUSTGATE_SERVER="http://localhost:5080", **kubernetes)
    assert "is no setting" not in done.err
