"""The entry: a table of commands, each loaded when it is called. Imports Click and nothing heavier."""

from __future__ import annotations

import difflib
import os
import sys
from importlib import import_module
from typing import Any, Final

import click

from trustgate import __version__

EXIT_CODES: Final = """Exit codes, the same for every command:

\b
  0    yes, clean, done
  1    the answer is no: refused, not verified, findings, problems
  2    asked wrongly: options, syntax, configuration
  3    could not decide: network, login, scanner, database
  130  interrupted
"""

HELP_WIDTH: Final = 100

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("trustgate.cli.serve:serve", "Run the registry."),
    "demo": ("trustgate.cli.demo:demo", "See it work: three images, one of them refused."),
    "login": ("trustgate.cli.login:login", "Log in to a registry; docker, helm and cosign are too."),
    "logout": ("trustgate.cli.login:logout", "Forget a login."),
    "push": ("trustgate.cli.transfer:push", "Copy an image from an OCI layout to a registry."),
    "pull": ("trustgate.cli.transfer:pull", "Copy an image from a registry to an OCI layout."),
    "ls": ("trustgate.cli.ls:ls", "List the tags of a repository."),
    "sign": ("trustgate.cli.sign:sign", "Sign an image, with a key or keyless."),
    "attest": ("trustgate.cli.attest:attest", "Say something about an image, and sign it."),
    "verify": ("trustgate.cli.verify:verify", "Verify who signed an image or a chart."),
    "verify-attestation": (
        "trustgate.cli.verify_attestation:verify_attestation",
        "Verify what is attested of an image.",
    ),
    "tree": ("trustgate.cli.tree:tree", "Show what is attached to an image."),
    "scan": ("trustgate.cli.scan:scan", "Find known vulnerabilities in an image."),
    "why": ("trustgate.cli.why:why", "Explain a decision, or how a pull would be decided."),
    "policy": ("trustgate.cli.policy:policy", "Check policies, and see which is in force."),
    "db": ("trustgate.cli.db:db", "Import advisories, and see which are loaded."),
    "trust": ("trustgate.cli.trust:trust", "See what is trusted, and what of it ends."),
    "key": ("trustgate.cli.key:key", "Make a signing key, or bring one along."),
    "user": ("trustgate.cli.accounts:user", "Manage users."),
    "robot": ("trustgate.cli.accounts:robot", "Manage robots: accounts for machines."),
    "project": ("trustgate.cli.accounts:project", "Manage projects."),
    "doctor": ("trustgate.cli.doctor:doctor", "Check this machine, or a running server."),
    "version": ("trustgate.cli.version:version", "Print the version."),
    "help": ("trustgate.cli.help:show_help", "Show a command's help, or the exit codes."),
}

HIDDEN: Final[dict[str, str]] = {
    "conformance": "trustgate.cli.conformance:conformance",
}
"""Commands for test suites: they work, and are not listed."""


class LazyGroup(click.Group):
    """Knows names and one line each; imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - as above
        target = HIDDEN.get(name) or COMMANDS.get(name, ("", ""))[0]
        if not target:
            return None
        module, _colon, attribute = target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_target, text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in (COMMANDS | HIDDEN) and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": HELP_WIDTH},
)
@click.version_option(__version__, prog_name="trustgate")
def cli() -> None:
    """A container registry that really verifies.

    \b
      trustgate demo                              see a refused pull within seconds
      trustgate serve                             a registry on http://localhost:5080
    """


def main() -> None:
    """Run, and turn every error into a message and an exit code."""
    try:
        code = cli.main(prog_name="trustgate", standalone_mode=False, color=_forced_colour())
    except click.exceptions.Exit as exc:
        code = exc.exit_code
    except click.ClickException as exc:
        exc.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    except SystemExit:
        code = 3  # Click ends so when whoever read the result is gone: it was not told, whatever it was
    except Exception as exc:  # noqa: BLE001 - the top of a command
        code = _failed(exc)
    sys.exit(code if isinstance(code, int) else 0)


def _forced_colour() -> bool | None:
    """Click would take colours out of what is piped, although they were asked for."""
    return True if os.environ.get("FORCE_COLOR") and not os.environ.get("NO_COLOR") else None


def _failed(error: Exception) -> int:
    """The house's own errors are told; anything else is a defect, and says so."""
    from trustgate.cli.output import exit_code_of, tell_error
    from trustgate.errors import TrustgateError

    if not isinstance(error, TrustgateError):
        if os.environ.get("TRUSTGATE_TRACEBACK"):
            raise error
        click.echo(f"internal error: {type(error).__name__}: {error}", err=True)
        click.echo("hint: TRUSTGATE_TRACEBACK=1 shows where; please report it", err=True)
        return 3
    tell_error(error)
    return exit_code_of(error)
