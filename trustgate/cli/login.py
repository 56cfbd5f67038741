"""``trustgate login`` and ``logout``: the same files and helpers as docker's."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.core import ParameterSource

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import password_stdin_option, plain_http_option
from trustgate.cli.output import note


@click.command(epilog=EXIT_CODES)
@click.argument("host")
@click.option("-u", "--username", help="Account; robots are called robot$NAME.")
@click.option(
    "-p",
    "--password",
    envvar="TRUSTGATE_PASSWORD",
    show_envvar=True,
    help="Others on this machine can read it; better: --password-stdin.",
)
@password_stdin_option
@plain_http_option
def login(
    host: str, username: str | None, password: str | None, password_stdin: bool, plain_http: bool
) -> None:
    """Log in to a registry; docker, helm, cosign and oras are then logged in too.

    \b
      trustgate login localhost:5080 -u admin
      echo "$SECRET" | trustgate login registry.example.com -u 'robot$ci' --password-stdin
    """
    from trustgate.oci.names import RepositoryName
    from trustgate.remote.docker_config import Credential, DockerConfig
    from trustgate.remote.registry import RegistryClient

    username, password = _who(username, password, password_stdin)
    credential = Credential(username, password, "command line")
    with RegistryClient(host, RepositoryName("login"), credential, plain_http=plain_http) as client:
        client.check_login()
    where = DockerConfig(os.environ, Path.home()).login(host, username, password)
    note(f"logged in to {host} as {username}; kept in {where}")


def _who(username: str | None, password: str | None, from_stdin: bool) -> tuple[str, str]:
    """Name and secret, from wherever they were given."""
    from trustgate.cli.secret import ask_secret, secret_from_stdin

    given = click.get_current_context().get_parameter_source("password")
    if given is ParameterSource.COMMANDLINE:
        if from_stdin:
            raise click.UsageError("--password and --password-stdin: give one of them")
        note("warning: --password shows the secret to others on this machine; use --password-stdin")
    if not username:
        if from_stdin:
            raise click.UsageError("--password-stdin needs --username, nobody can be asked")
        username = str(click.prompt("Username", err=True))
    if from_stdin:
        return username, secret_from_stdin()
    return username, password or ask_secret("Password", instead="--password-stdin")


@click.command(epilog=EXIT_CODES)
@click.argument("host")
def logout(host: str) -> None:
    """Forget a login.

    \b
      trustgate logout localhost:5080
    """
    from trustgate.remote.docker_config import DockerConfig

    known = DockerConfig(os.environ, Path.home()).logout(host)
    note(f"logged out of {host}" if known else f"there was no login for {host}")
