"""``trustgate login`` and ``logout``: the same files and helpers as docker's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from trustgate.cli.output import note


@click.command()
@click.argument("host")
@click.option("-u", "--username", help="Account; robots are called robot$NAME.")
@click.option("-p", "--password", help="Better: --password-stdin.", envvar="TRUSTGATE_PASSWORD")
@click.option("--password-stdin", is_flag=True, help="Read the password or secret from stdin.")
@click.option("--plain-http", is_flag=True, help="Speak HTTP to a host that is not this machine.")
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

    username = username or click.prompt("Username")
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    password = password or click.prompt("Password", hide_input=True)
    credential = Credential(username, password, "command line")
    with RegistryClient(host, RepositoryName("login"), credential, plain_http=plain_http) as client:
        client.check_login()
    where = DockerConfig(os.environ, Path.home()).login(host, username, password)
    note(f"logged in to {host} as {username}; kept in {where}")


@click.command()
@click.argument("host")
def logout(host: str) -> None:
    """Forget a login.

    \b
      trustgate logout localhost:5080
    """
    from trustgate.remote.docker_config import DockerConfig

    known = DockerConfig(os.environ, Path.home()).logout(host)
    note(f"logged out of {host}" if known else f"there was no login for {host}")
