"""``trustgate version``."""

from __future__ import annotations

import platform

import click

from trustgate import __version__
from trustgate.cli.output import emit_json


@click.command()
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text")
def version(output: str) -> None:
    """Print the version.

    \b
      trustgate version
      trustgate version -o json
    """
    if output == "json":
        emit_json("version/1", {"version": __version__, "python": platform.python_version()})
    else:
        click.echo(f"trustgate {__version__}")
