"""Commands that talk to a running server."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Call
from tests.unit.gate.conftest import Gated


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


def test_why_asks_the_server_of_the_image_and_no_other(as_admin: Call, served: Gated) -> None:
    """A variable that names a server must not let that one speak for another one's images."""
    served.push("shop/web", "1", "web")
    elsewhere = as_admin("why", "localhost:1/shop/web:1", "--as", "robot:prod")
    assert (elsewhere.code, elsewhere.out) == (3, "")
    assert "localhost:1" in elsewhere.err
    here = as_admin("why", f"{served.host}/shop/web:1", TRUSTGATE_SERVER="http://localhost:1")
    assert here.code == 1
    named = as_admin("why", "localhost:1/shop/web:1", "--server", f"http://{served.host}")
    assert named.code == 1


@pytest.fixture
def as_prod(call: Call, served: Gated) -> Call:
    """Logged in as a robot that may pull what policy lets it, which is nothing unsigned."""
    served.push("shop/web", "1", "web")
    secret = served.secrets["prod"]
    assert call("login", served.host, "-u", "robot$prod", "--password-stdin", stdin=f"{secret}\n").code == 0
    return call


def test_a_refused_read_is_no_answer_and_a_refused_copy_is_one(as_prod: Call, served: Gated) -> None:
    image = f"{served.host}/shop/web:1"
    assert as_prod("key", "generate", "--output", "a", COSIGN_PASSWORD="").code == 0
    for question in (("verify", "--key", "a.pub", image), ("scan", image)):
        done = as_prod(*question)
        assert (done.code, done.out) == (3, ""), question
        assert "denied by prod/signed" in done.err
    pulled = as_prod("pull", image, "oci-layout:copy:1")
    assert (pulled.code, pulled.out) == (1, "")
    assert "denied by prod/signed" in pulled.err
    signed = as_prod("sign", "--key", "a.key", image, COSIGN_PASSWORD="")
    assert (signed.code, signed.out) == (1, "")


def test_administration_is_for_administrators(as_prod: Call, served: Gated) -> None:
    server = {"TRUSTGATE_SERVER": f"http://{served.host}"}
    for asked in (("user", "ls"), ("robot", "create", "x"), ("project", "ls"), ("policy", "reload")):
        done = as_prod(*asked, **server)
        assert (done.code, done.out) == (1, ""), asked
        assert "administrators" in done.err


def test_without_a_login_the_way_to_one_is_told(call: Call, served: Gated) -> None:
    done = call("user", "ls", TRUSTGATE_SERVER=f"http://{served.host}")
    assert (done.code, done.out) == (3, "")
    assert f"trustgate login {served.host}" in done.err


def test_why_as_somebody_else_is_for_administrators(call: Call, served: Gated) -> None:
    call("login", served.host, "-u", "robot$prod", "--password-stdin", stdin=f"{served.secrets['prod']}\n")
    done = call("why", f"{served.host}/shop/web:1", "--as", "robot:ci")
    assert (done.code, done.out) == (3, "")
    assert "administrator" in done.err
