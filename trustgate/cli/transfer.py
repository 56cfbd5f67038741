"""``trustgate push`` and ``pull``: between OCI layouts and registries."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option, plain_http_option
from trustgate.cli.output import emit_json, note

PROGRESS_EVERY_S = 10.0
_progress = click.option(
    "--progress",
    type=click.Choice(["auto", "plain", "none"]),
    default="auto",
    show_default=True,
    help="A moving line (auto, on a terminal), a line every ten seconds, or nothing; on stderr.",
)


@click.command(epilog=EXIT_CODES)
@click.argument("layout", metavar="oci-layout:DIR:TAG")
@click.argument("image", metavar="HOST/REPOSITORY:TAG")
@plain_http_option
@_progress
@output_option
def push(layout: str, image: str, plain_http: bool, progress: str, output: str) -> None:
    """Copy an image from an OCI layout to a registry.

    \b
      trustgate push oci-layout:./image:1 localhost:5080/shop/web:1
    """
    _copy(layout, image, plain_http, progress, output, create=False)


@click.command(epilog=EXIT_CODES)
@click.argument("image", metavar="HOST/REPOSITORY:TAG")
@click.argument("layout", metavar="oci-layout:DIR:TAG")
@plain_http_option
@_progress
@output_option
def pull(image: str, layout: str, plain_http: bool, progress: str, output: str) -> None:
    """Copy an image from a registry to an OCI layout.

    \b
      trustgate pull localhost:5080/shop/web:1 oci-layout:./image:1
    """
    _copy(image, layout, plain_http, progress, output, create=True)


def _copy(start: str, end: str, plain_http: bool, progress: str, output: str, *, create: bool) -> None:
    from trustgate.cli.images import open_place
    from trustgate.flows.transfer import copy_image
    from trustgate.oci.names import Tag

    began = time.monotonic()
    here = open_place(start, plain_http=plain_http)
    there = open_place(end, plain_http=plain_http, create=create)
    tag = there.target if isinstance(there.target, Tag) else None
    done = copy_image(here.source, here.target, there.source, tag, progress=_Meter(progress))
    took = time.monotonic() - began
    if output == "json":
        emit_json(
            "copy/1",
            {
                "digest": str(done.digest),
                "manifests": done.manifests,
                "blobs": done.blobs,
                "bytes": done.bytes,
            },
        )
    else:
        click.echo(f"{end}  {done.digest}")
    note(f"{done.manifests} manifests, {done.blobs} blobs, {done.bytes / 1e6:.1f} MB in {took:.1f} s")


class _Meter:
    """A moving line on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, kind: str) -> None:
        self._kind = "bar" if kind == "auto" and sys.stderr.isatty() else kind
        self._last = time.monotonic()

    def __call__(self, descriptor: Any, so_far: int) -> None:
        if self._kind == "none":
            return
        now = time.monotonic()
        line = f"{descriptor.digest.short}  {so_far / 1e6:.1f} of {descriptor.size / 1e6:.1f} MB"
        if self._kind == "bar":
            click.echo(f"\r{line}\x1b[K", err=True, nl=so_far >= descriptor.size)
        elif now - self._last > PROGRESS_EVERY_S:
            self._last = now
            note(line)
