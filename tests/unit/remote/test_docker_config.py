"""Credentials from docker's files and helpers: found, kept, and an error that names what is broken."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from trustgate.errors import ConfigInvalid
from trustgate.remote import docker_config
from trustgate.remote.docker_config import Credential, DockerConfig

HOST = "registry.test"
HELPER = """#!/bin/sh
read question
echo "$1 $question" >> {log}
case "$1 $question" in
  "get registry.test") echo '{{"ServerURL":"registry.test","Username":"alice","Secret":"from-helper"}}';;
  "get token.test") echo '{{"Username":"<token>","Secret":"refresh"}}';;
  "store "*|"erase registry.test") ;;
  *) echo "credentials not found in native keychain"; exit 1;;
esac
"""
WriteHelper = Callable[[str], None]


@pytest.fixture
def write_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteHelper:
    """Installs ``docker-credential-sim`` on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def write(script: str = HELPER) -> None:
        path = folder / "docker-credential-sim"
        path.write_text(script.format(log=tmp_path / "asked") if script is HELPER else script)
        path.chmod(0o755)

    return write


@pytest.fixture
def config(tmp_path: Path) -> DockerConfig:
    return DockerConfig({}, tmp_path)


def auth(name: str = "alice", code: str = "secret") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{code}".encode()).decode()}


def write(config: DockerConfig, document: object) -> None:
    config.path.parent.mkdir(parents=True, exist_ok=True)
    config.path.write_text(document if isinstance(document, str) else json.dumps(document))


def broken(ask: Callable[[], object], named: str) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as caught:
        ask()
    assert named in caught.value.message
    assert caught.value.hint
    return caught.value


# --- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [HOST, f"https://{HOST}", f"http://{HOST}", f"https://{HOST}/v2/", f"https://{HOST}/v1/"]
)
def test_auths(config: DockerConfig, name: str) -> None:
    write(config, {"auths": {name: auth()}})
    assert config.find(HOST) == Credential("alice", "secret", str(config.path))


@pytest.mark.parametrize(
    "other",
    [
        "evil.test",
        "test",
        "registry.test.evil.test",
        "xregistry.test",
        "registry.test:5000",
        "https://registry.testx",
        "",
    ],
)
def test_another_hosts_entry_is_never_taken(config: DockerConfig, other: str) -> None:
    write(config, {"auths": {other: auth()}, "credHelpers": {other: "sim"}})
    assert config.find(HOST) is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (auth("a:b", "c"), ("a", "b:c")),
        (auth("a", "s\0\0"), ("a", "s")),
        (auth("\u00e4", "\u20ac"), ("\u00e4", "\u20ac")),
        ({"username": "a", "password": "b"}, ("a", "b")),
        ({"identitytoken": "t", **auth()}, ("<token>", "t")),
    ],
)
def test_forms_of_an_entry(config: DockerConfig, entry: object, expected: tuple[str, str]) -> None:
    write(config, {"auths": {HOST: entry}})
    found = config.find(HOST)
    assert found is not None
    assert (found.username, found.secret) == expected
    assert found.is_identity_token is (expected[0] == "<token>")
    assert "secret=" not in repr(found)


@pytest.mark.parametrize("entry", [{}, None, 7, {"auth": ""}, {"username": "a"}, {"email": "x"}])
def test_an_entry_that_holds_nothing(config: DockerConfig, entry: object) -> None:
    write(config, {"auths": {HOST: entry}})
    assert config.find(HOST) is None


def test_the_order_of_files(tmp_path: Path) -> None:
    places = {
        "DOCKER_CONFIG": tmp_path / "docker" / "config.json",
        "REGISTRY_AUTH_FILE": tmp_path / "auth.json",
        "XDG_RUNTIME_DIR": tmp_path / "run" / "containers" / "auth.json",
    }
    environment = {
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }
    config = DockerConfig(environment, tmp_path)
    for number, path in enumerate(reversed(places.values())):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"auths": {HOST: auth(f"user{number}")}}))
        found = config.find(HOST)
        assert found is not None
        assert (found.username, found.origin) == (f"user{number}", str(path))


@pytest.mark.parametrize(
    "text", ["", "  \n", "{}", '{"auths": null}', '{"credHelpers": null, "credsStore": ""}']
)
def test_files_that_hold_nothing(config: DockerConfig, text: str) -> None:
    assert config.find(HOST) is None
    write(config, text)
    assert config.find(HOST) is None
    assert config.logout(HOST) is False
    config.login(HOST, "alice", "secret")
    assert config.find(HOST) == Credential("alice", "secret", str(config.path))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "7",
        "\u00e4{",
        "[" * 100_000,
        '{"auths": [1]}',
        '{"auths": "x"}',
        json.dumps({"auths": {HOST: {"auth": "!!!"}}}),
        json.dumps({"auths": {HOST: {"auth": "YWxpY2U="}}}),
        json.dumps({"auths": {HOST: {"auth": "//79"}}}),
        json.dumps({"auths": {HOST: auth()}, "padding": "x" * docker_config.MAX_CONFIG_BYTES}),
    ],
)
def test_a_broken_file_is_named_and_left_as_it_is(config: DockerConfig, text: str) -> None:
    write(config, text)
    error = broken(lambda: config.find(HOST), str(config.path))
    assert "YWxpY2U=" not in error.message
    if '"auth"' not in text or "padding" in text:
        broken(lambda: config.login(HOST, "bob", "secret"), str(config.path))
        broken(lambda: config.logout(HOST), str(config.path))
        assert config.path.read_text() == text


def test_a_folder_in_the_files_place(config: DockerConfig) -> None:
    config.path.mkdir(parents=True)
    broken(lambda: config.find(HOST), str(config.path))


def test_login_keeps_what_others_wrote(config: DockerConfig) -> None:
    write(config, {"auths": {"other.test": auth("bob")}, "psFormat": "x"})
    assert config.login(HOST, "alice", "s:e:c") == str(config.path)
    assert config.find(HOST) == Credential("alice", "s:e:c", str(config.path))
    assert json.loads(config.path.read_text())["psFormat"] == "x"
    assert stat.S_IMODE(config.path.stat().st_mode) == 0o600
    assert config.logout(HOST) is True
    assert config.logout(HOST) is False
    assert config.find("other.test") is not None
    assert [path.name for path in config.path.parent.iterdir()] == ["config.json"]


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = DockerConfig({"DOCKER_CONFIG": str(tmp_path / "file")}, tmp_path)
    assert config.find(HOST) is None
    broken(lambda: config.login(HOST, "alice", "secret"), str(config.path))


# --- helpers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [{"credsStore": "sim"}, {"credHelpers": {HOST: "sim"}}])
def test_a_helper_is_asked_first(
    config: DockerConfig, write_helper: WriteHelper, document: dict[str, object], tmp_path: Path
) -> None:
    write_helper(HELPER)
    write(config, {**document, "auths": {HOST: auth("from-file")}})
    assert config.find(HOST) == Credential("alice", "from-helper", "helper sim")
    assert (tmp_path / "asked").read_text() == f"get {HOST}\n"


def test_a_helper_for_one_host_is_not_asked_for_another(
    config: DockerConfig, write_helper: WriteHelper, tmp_path: Path
) -> None:
    write_helper(HELPER)
    write(config, {"credHelpers": {HOST: "sim"}})
    assert config.find("other.test") is None
    assert not (tmp_path / "asked").exists()


def test_what_a_helper_does_not_hold_may_stand_in_the_file(
    config: DockerConfig, write_helper: WriteHelper
) -> None:
    write_helper(HELPER)
    write(config, {"credsStore": "sim", "auths": {"other.test": auth()}})
    assert config.find("other.test") == Credential("alice", "secret", str(config.path))
    assert config.find("third.test") is None


def test_an_identity_token_from_a_helper(config: DockerConfig, write_helper: WriteHelper) -> None:
    write_helper(HELPER)
    write(config, {"credsStore": "sim"})
    found = config.find("token.test")
    assert found is not None
    assert (found.is_identity_token, found.secret) == (True, "refresh")


def test_login_and_logout_by_a_helper(
    config: DockerConfig, write_helper: WriteHelper, tmp_path: Path
) -> None:
    write_helper(HELPER)
    write(config, {"credsStore": "sim"})
    before = config.path.read_bytes()
    assert config.login(HOST, "alice", "secret") == "docker-credential-sim"
    assert config.logout(HOST) is True
    first, second = (tmp_path / "asked").read_text().splitlines()
    assert json.loads(first.removeprefix("store ")) == {
        "ServerURL": HOST,
        "Username": "alice",
        "Secret": "secret",
    }
    assert second == f"erase {HOST}"
    assert config.path.read_bytes() == before


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\necho keychain is locked >&2; exit 1\n",
        "#!/bin/sh\nkill -9 $$\n",
        "#!/bin/sh\necho hunter2\n",
        "#!/bin/sh\n",
        "#!/bin/sh\necho '[\"hunter2\"]'\n",
        '#!/bin/sh\necho \'{"Username": 7, "Secret": "hunter2"}\'\n',
        '#!/bin/sh\necho \'{"Secret": "hunter2"}\'\n',
        "#!/nowhere/at/all\n",
        "not a program",
    ],
)
def test_a_broken_helper_is_named(config: DockerConfig, write_helper: WriteHelper, script: str) -> None:
    """It is no "not found": going on without a credential would hide what is wrong."""
    write_helper(script)
    write(config, {"credsStore": "sim"})
    error = broken(lambda: config.find(HOST), "docker-credential-sim")
    assert "hunter2" not in error.message + error.detail + error.hint


def test_a_helper_that_can_not_be_run(
    config: DockerConfig, write_helper: WriteHelper, tmp_path: Path
) -> None:
    write(config, {"credsStore": "sim"})
    broken(lambda: config.find(HOST), "docker-credential-sim is not installed")
    write_helper(HELPER)
    (tmp_path / "bin/docker-credential-sim").chmod(0o644)
    broken(lambda: config.find(HOST), "docker-credential-sim")


def test_a_helper_that_hangs(
    config: DockerConfig, write_helper: WriteHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_config, "HELPER_TIMEOUT_S", 0.2)
    write_helper("#!/bin/sh\nexec sleep 20\n")
    write(config, {"credsStore": "sim"})
    broken(lambda: config.find(HOST), "did not answer")


@pytest.mark.parametrize("name", ["../sim", "a/b", "-x", "sim;ls", ["sim"], {"a": 1}])
def test_a_name_that_is_no_helpers(config: DockerConfig, name: object) -> None:
    write(config, {"credHelpers": {HOST: name}})
    broken(lambda: config.find(HOST), "is not a credential helper's name")


def test_a_helper_that_keeps_nothing(config: DockerConfig, write_helper: WriteHelper) -> None:
    write_helper("#!/bin/sh\nexit 3\n")
    write(config, {"credsStore": "sim"})
    broken(lambda: config.login(HOST, "alice", "secret"), "store failed with 3")
    broken(lambda: config.logout(HOST), "erase failed with 3")
