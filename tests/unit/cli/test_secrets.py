"""Secrets are not printed, not asked of nobody, and not taken where others can read them."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.unit.cli.conftest import Call
from tests.unit.cli.test_manners import commands
from tests.unit.gate.conftest import Gated
from trustgate.remote.docker_config import Credential

SECRET = "Tr0ub4dor-and-3"
SECRET_WORDS = re.compile("password|secret|token")


def test_one_option_takes_a_secret_and_warns_of_itself(call: Call) -> None:
    taking = {
        (words, option.name)
        for words, command in commands()
        for option in command.params
        if isinstance(option, click.Option)
        and SECRET_WORDS.search(" ".join(option.opts))
        and not option.is_flag
    }
    # cosign's name for a token that lives for minutes; a file's path is taken too
    of_minutes = {((name,), "identity_token") for name in ("sign", "attest")}
    assert taking == {(("login",), "password"), *of_minutes}
    done = call("login", "localhost:1", "-u", "me", "-p", SECRET)
    assert (done.code, SECRET in done.err) == (3, False)
    assert "use --password-stdin" in done.err
    assert "warning" not in call("login", "localhost:1", "-u", "me", TRUSTGATE_PASSWORD=SECRET).err


@pytest.mark.parametrize(
    ("arguments", "way_out"),
    [
        (("login", "localhost:1", "-u", "me"), "--password-stdin"),
        (("login", "localhost:1", "--password-stdin"), "--username"),
        (("login", "localhost:1", "-u", "me", "-p", SECRET, "--password-stdin"), "give one of them"),
        (("login", "localhost:1", "-u", "me", "--password-stdin"), "nothing on stdin"),
        (("user", "create", "alice"), "--password-stdin"),
        (("user", "create", "alice", "--password-stdin"), "nothing on stdin"),
        (("user", "password", "alice"), "--password-stdin"),
        (("key", "generate"), "set COSIGN_PASSWORD"),
    ],
)
def test_without_a_terminal_nobody_is_asked(call: Call, arguments: tuple[str, ...], way_out: str) -> None:
    done = call(*arguments)
    assert (done.code, done.out) == (2, "")
    assert way_out in done.err
    assert SECRET not in done.err


def test_an_encrypted_key_needs_its_password_from_somewhere(call: Call) -> None:
    assert call("key", "generate", "--output", "a", COSIGN_PASSWORD=SECRET).code == 0
    done = call("sign", "--key", "a.key", "oci-layout:image:1")
    assert (done.code, "set COSIGN_PASSWORD" in done.err) == (2, True)


@pytest.mark.parametrize("command", [("user", "ls"), ("policy", "status"), ("doctor", "--quick")])
@pytest.mark.parametrize("scheme", ["http://", "https://", ""])
def test_a_password_in_the_servers_url_is_refused_and_not_repeated(
    call: Call, command: tuple[str, ...], scheme: str
) -> None:
    done = call(*command, "--server", f"{scheme}admin:{SECRET}@localhost:1")
    assert done.code == (1 if "doctor" in command else 2)
    assert SECRET not in done.out + done.err
    assert "trustgate login keeps those" in done.out + done.err


def test_a_password_in_the_policys_url_is_not_repeated(call: Call) -> None:
    done = call("policy", "lint", f"https://me:{SECRET}@localhost:1/policy.git")
    assert (done.code, done.out) == (3, "")
    assert (SECRET in done.err, "localhost:1/policy.git" in done.err) == (False, True)


def test_a_login_that_fails_repeats_no_secret(call: Call, served: Gated) -> None:
    done = call("login", served.host, "-u", "robot$ci", "--password-stdin", stdin=f"{SECRET}\n")
    assert (done.code, done.out, SECRET in done.err) == (3, "", False)
    assert SECRET not in repr(Credential("me", SECRET, "test"))


def test_a_login_that_can_not_be_kept_says_so(call: Call, served: Gated, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    asked = ("login", served.host, "-u", "robot$ci", "--password-stdin")
    done = call(*asked, stdin=f"{served.secrets['ci']}\n", DOCKER_CONFIG="file")
    assert (done.code, done.out, served.secrets["ci"] in done.err) == (2, "", False)
    assert "file" in done.err
