"""What every command has in common: help with examples, exit codes, streams, nothing loaded in vain."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

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

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("fastapi", "sqlalchemy", "sqlmodel", "pydantic", "sigstore", "httpx", "cryptography", "dulwich")


def commands() -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command and group, by the words that call it."""
    found: list[tuple[tuple[str, ...], click.Command]] = []
    context = click.Context(cli)
    for name in COMMANDS:
        command = LazyGroup.get_command(cli, context, name)  # type: ignore[arg-type]  # cli is a LazyGroup
        assert command is not None
        found.append(((name,), command))
        if isinstance(command, click.Group):
            found += [((name, sub), command.commands[sub]) for sub in command.list_commands(context)]
    return found


@pytest.mark.parametrize(
    ("words", "command"), commands(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_help_has_an_example_exit_codes_and_a_word_on_every_option(
    call: Call, words: tuple[str, ...], command: click.Command
) -> None:
    done = call(*words, "--help")
    assert (done.code, done.err) == (0, "")
    _usage, _, rest = done.out.partition("\n")
    assert f"trustgate {' '.join(words)}" in rest
    assert "  3    could not decide" in rest
    assert done.out == call(*words, "-h").out == call("help", *words).out
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    assert [option.opts for option in options if not option.help] == []
    outputs = [option for option in options if option.name == "output"]
    assert all(option.opts == ["-o", "--output"] for option in outputs)


@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_an_option_that_is_none_is_2_with_a_hint(call: Call, words: tuple[str, ...]) -> None:
    done = call(*words, "--there-is-no-such-option")
    assert (done.code, done.out) == (2, "")
    assert "No such option" in done.err
    assert f"Try 'trustgate {' '.join(words)} --help'" in done.err


def test_help_tells_topics_and_what_was_meant(call: Call) -> None:
    done = call("help", "exit-codes")
    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()[2:]] == ["0", "1", "2", "3", "130"]
    assert call("help").out == call("--help").out
    assert "Did you mean 'policy'?" in call("help", "polcy").err
    assert "Did you mean 'lint'?" in call("help", "policy", "lnit").err
    wrong = call("help", "ls", "more")
    assert (wrong.code, "no commands of its own" in wrong.err) == (2, True)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_and_version_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom trustgate.cli.main import main\n"
        f"sys.argv = ['trustgate', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as ended:\n"
        f"    sys.exit(' '.join(n for n in {HEAVY!r} if n in sys.modules) or ended.code)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    print(f"trustgate {' '.join(arguments)}: {(time.monotonic() - began) * 1000:.0f} ms with the interpreter")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verfy",), "Did you mean 'verify'?"),
        (("nothing-like-it",), "there is no command"),
        (("verify", "--kye", "x", "h/r:1"), "No such option"),
        (("verify", "localhost/r:1"), "give one of --key"),
        (("sign", "localhost/r:1"), "neither a key nor an identity token"),
        (("verify", "--key", "x", "--certificate-identity", "me", "localhost/r:1"), "give --key, or"),
        (("verify-attestation", "--key", "x", "--type", "nonsense", "localhost/r:1"), "nonsense"),
        (("ls", "localhost:5080/UPPER"), "UPPER"),
        (("policy", "lnit"), "Did you mean 'lint'?"),
        (("why", "web"), "write the host out"),
        (("user", "ls", "--server", "ftp://x"), "'ftp://x' is not a server"),
        (("user", "ls", "--server", "http://x:y"), "'http://x:y' is not a server"),
        (("sign", "--key", "nothing.key", "localhost/r:1"), "nothing.key can't be read"),
        (("scan", "oci-layout:x:1", "--fail-on", "bad"), "'bad' is not one of"),
        (("robot", "create", "ci", "--days", "soon"), "'soon' is not a valid integer"),
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


def _start(*arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trustgate", *arguments]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def test_interrupted_is_130() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = _start("ls", f"localhost:{silent.getsockname()[1]}/shop/web")
        with silent.accept()[0]:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (130, "", "interrupted")


def test_a_reader_that_went_away_was_told_nothing_neither_yes_nor_no() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = _start("help", "exit-codes", stdout=writer)
    os.close(writer)
    _out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (3, "")


def test_colour_is_for_terminals_and_for_who_asks(call: Call) -> None:
    asked = ("doctor", "--quick", "--server", "http://localhost:1")
    assert "\x1b[" not in call(*asked, NO_COLOR="").out
    assert "\x1b[31mFAIL" in call(*asked, NO_COLOR="", FORCE_COLOR="1").out
    assert "\x1b[" not in call(*asked, NO_COLOR="1", FORCE_COLOR="1").out


def test_an_error_of_no_kind_is_a_defect_and_says_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "version", ("trustgate.cli.version:nothing", ""))
    done = call("version")
    assert (done.code, done.out) == (3, "")
    assert "internal error: AttributeError" in done.err
    assert "please report it" in done.err


def test_foreign_words_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\r\n\u202ec") == "a?[2Jb???c"
