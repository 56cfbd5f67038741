"""``trustgate ls``."""

from __future__ import annotations

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option, plain_http_option
from trustgate.cli.output import emit_json


@click.command(epilog=EXIT_CODES)
@click.argument("repository", metavar="HOST/REPOSITORY|oci-layout:DIR")
@plain_http_option
@output_option
def ls(repository: str, plain_http: bool, output: str) -> None:
    """List the tags of a repository, one a line.

    \b
      trustgate ls localhost:5080/shop/web
      trustgate ls oci-layout:./image
    """
    from pathlib import Path

    from trustgate.cli.images import open_registry
    from trustgate.oci.names import Reference
    from trustgate.remote.layout import PREFIX, LayoutSource

    if repository.startswith(PREFIX):
        tags = LayoutSource(Path(repository.removeprefix(PREFIX))).tags()
    else:
        tags = open_registry(Reference.parse(repository), plain_http=plain_http).tags()
    if output == "json":
        emit_json("ls/1", {"repository": repository, "tags": [str(tag) for tag in tags]})
        return
    for tag in tags:
        click.echo(tag)
