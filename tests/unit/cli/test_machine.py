"""A machine that is not as it should be: what can't be written, a clock set back, and what doctor says."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import images
from tests.interop.world import add_image
from tests.unit.cli.conftest import Call, Done
from trustgate.cli.db import scanner
from trustgate.cli.demo import own_command
from trustgate.remote.layout import LayoutSource


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file, where a directory would be needed."""
    path = tmp_path / "file"
    path.write_text("")
    return path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("key", "generate", "--output", "file/a"), 2),
        (("key", "generate", "--output", "nothing/a"), 2),
        (("demo", "--once", "--directory", "file/demo"), 2),
        (("demo", "--once", "--directory", "file"), 2),
        (("serve", "--port", "0", "--data", "file/data"), 3),
        (("serve", "--port", "0", "--data", "file"), 3),
        (("pull", "localhost:1/shop/web:1", "oci-layout:file/x:1"), 3),
        (("push", "oci-layout:file:1", "localhost:1/shop/web:1"), 3),
        (("db", "status", "--data", "file"), 1),
        (("db", "import", "file", "--data", "data"), 2),
        (("sign", "--key", "file", "oci-layout:image:1"), 2),
        (("verify", "--key", "file", "oci-layout:image:1"), 2),
        (("verify", "--policy", "dir:file", "oci-layout:image:1"), 3),
    ],
)
def test_a_file_in_the_way_is_named(call: Call, file: Path, arguments: tuple[str, ...], code: int) -> None:
    add_image(LayoutSource(Path("image"), create=True), "1", "hello")
    done = call(*arguments, COSIGN_PASSWORD="", DOCKER_CONFIG="file")
    assert "internal error" not in done.err
    assert done.code == code, done.err
    if code != 1:
        assert done.out == ""
        assert "file" in done.err or "nothing" in done.err
        assert "hint: " in done.err


def test_a_docker_config_that_is_no_json_is_named(call: Call, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    for arguments in (("logout", "localhost:1"), ("ls", "localhost:1/shop/web"), ("user", "ls")):
        done = call(*arguments, DOCKER_CONFIG=str(tmp_path))
        assert (done.code, done.out) == (2, "")
        assert str(tmp_path / "config.json") in done.err


# --- doctor --------------------------------------------------------------------------------------


def states(done: Done) -> dict[str, tuple[str, str]]:
    return {check["name"]: (check["state"], check["text"]) for check in done.json["checks"]}


def test_doctor_without_anything(call: Call) -> None:
    done = call("doctor", "--server", "http://localhost:1", "-o", "json")
    found = states(done)
    assert done.code == 1
    assert found["data"][0] in {"ok", "warn"}
    assert (found["clock"][0], found["advisories"][0], found["credentials"][0]) == ("ok", "warn", "warn")
    assert found["server"][0] == "FAIL"
    assert "is the server running" in found["server"][1]
    assert list(Path().glob(".doctor-*")) == []
    plain = call("doctor", "--server", "http://localhost:1")
    assert [line.split()[1] for line in plain.out.splitlines()] == list(found)


def test_doctor_names_a_directory_that_is_not_there(call: Call) -> None:
    state, text = states(call("doctor", "--data", "nothing/deeper/data", "-o", "json"))["data"]
    assert (state, text.startswith("nothing/deeper does not exist")) == ("FAIL", True)


def test_doctor_tries_the_policy(call: Call, tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    state, text = states(call("doctor", "--policy", "dir:policy", "-o", "json"))["policy"]
    assert (state, "TG2013" in text) == ("FAIL", True)


def test_a_clock_that_was_set_back_is_told(call: Call, tmp_path: Path) -> None:
    """Seen from the files, the machine's clock is a day behind."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    images.write_osv_zip(
        tmp_path / "a.zip", [images.advisory("CVE-2026-1", "PyPI", "acme", images.until("2"))]
    )
    scanner(tmp_path / "data").import_advisories([tmp_path / "a.zip"], now=tomorrow, progress=lambda *_: None)
    database = tmp_path / "data" / "trustgate.db"
    database.touch()
    os.utime(database, (tomorrow.timestamp(), tomorrow.timestamp()))
    found = states(call("doctor", "--data", "data", "-o", "json"))
    assert found["clock"][0] == found["advisories"][0] == "FAIL"
    assert tomorrow.isoformat(timespec="seconds") in found["clock"][1]
    assert all("set the clock" in found[name][1] for name in ("clock", "advisories"))


def test_advisories_that_are_old_are_told(call: Call, tmp_path: Path) -> None:
    images.write_osv_zip(
        tmp_path / "a.zip", [images.advisory("CVE-2026-1", "PyPI", "acme", images.until("2"))]
    )
    old = datetime.now(UTC) - timedelta(days=4)
    scanner(tmp_path / "data").import_advisories([tmp_path / "a.zip"], now=old, progress=lambda *_: None)
    state, text = states(call("doctor", "--data", "data", "-o", "json"))["advisories"]
    assert (state, "96 h ago" in text, "trustgate db import" in text) == ("warn", True, True)


def test_the_demo_names_commands_as_they_can_be_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``make demo`` leaves the program in a virtual environment that nobody activated."""
    program = tmp_path / ".venv" / "bin" / "trustgate"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program.with_name("python")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert own_command() == ".venv/bin/trustgate"
    monkeypatch.chdir("/")
    assert own_command() in {str(program), str(program).removeprefix("/")}
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_command() == "trustgate"
