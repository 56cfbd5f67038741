"""``trustgate version``."""

from __future__ import annotations

import platform

import click

from trustgate import __version__
from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option
from trustgate.cli.output import emit_json


@click.command(epilog=EXIT_CODES)
@output_option
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
