"""What every command has in common: help with examples, exit codes, streams, nothing loaded in vain."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from tests.unit.cli.conftest import Call
from trustgate.cli.main import COMMANDS, LazyGroup, cli
from trustgate.cli.output import exit_code_of, printable
from trustgate.errors import (
    ConfigInvalid,
    NotFound,
    TrustgateError,
    Unauthorized,
    UpstreamFailed,
    UpstreamRefused,
)

HEAVY = ("fastapi", "sqlalchemy", "sqlmodel", "pydantic", "sigstore", "httpx", "cryptography", "dulwich")


def _leaves() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    context = click.Context(cli)
    for name in COMMANDS:
        command = LazyGroup.get_command(cli, context, name)  # type: ignore[arg-type]  # cli is a LazyGroup
        if isinstance(command, click.Group):
            found += [(name, sub) for sub in command.list_commands(context)]
        found.append((name,))
    return found


@pytest.mark.parametrize("words", _leaves(), ids=" ".join)
def test_help_has_an_example(call: Call, words: tuple[str, ...]) -> None:
    done = call(*words, "--help")
    assert (done.code, done.err) == (0, "")
    _usage, _, rest = done.out.partition("\n")
    assert f"trustgate {' '.join(words)}" in rest
    assert done.out == call(*words, "-h").out


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_and_version_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom trustgate.cli.main import main\n"
        f"sys.argv = ['trustgate', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as ended:\n"
        f"    sys.exit(' '.join(n for n in {HEAVY!r} if n in sys.modules) or ended.code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verfy",), "Did you mean 'verify'?"),
        (("nothing-like-it",), "there is no command"),
        (("verify", "--kye", "x", "h/r:1"), "No such option"),
        (("verify", "localhost/r:1"), "give --key"),
        (("sign", "localhost/r:1"), "Missing option '--key'"),
        (("verify", "--key", "x", "--certificate-identity", "me", "h/r:1"), "not supported by this version"),
        (("verify", "--key", "x", "--insecure-ignore-tlog=false", "h/r:1"), "not supported yet"),
        (("ls", "localhost:5080/UPPER"), "UPPER"),
    ],
)
def test_asked_wrongly_is_2_and_says_what(call: Call, arguments: tuple[str, ...], said: str) -> None:
    done = call(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize("arguments", [("ls", "localhost:1/shop/web"), ("why", "localhost:1/shop/web:1")])
def test_what_cannot_be_reached_is_3(call: Call, arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert (done.code, done.out) == (3, "")
    assert "localhost:1" in done.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamRefused("x"), 1),
        (ConfigInvalid("x"), 2),
        (NotFound("x"), 3),
        (Unauthorized("x"), 3),
        (UpstreamFailed("x"), 3),
    ],
)
def test_exit_codes(error: TrustgateError, code: int) -> None:
    assert exit_code_of(error) == code


def test_foreign_words_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\r\n\u202ec") == "a?[2Jb???c"
