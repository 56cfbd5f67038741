"""``trustgate tree``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option, plain_http_option
from trustgate.cli.output import emit_json, note, printable, question

if TYPE_CHECKING:
    from trustgate.flows.tree import Attached

SHORT_DIGEST = 19


@click.command(epilog=EXIT_CODES)
@click.argument("image")
@plain_http_option
@output_option
def tree(image: str, plain_http: bool, output: str) -> None:
    """Show what is attached to an image: signatures, attestations, SBOMs, and all else that refers to it.

    \b
      trustgate tree localhost:5080/shop/web:1
      trustgate tree oci-layout:./image:1 -o json

    It shows what things say they are. Whether a signature is good is what trustgate verify answers.
    """
    from trustgate.cli.images import open_place, warn_about_tag
    from trustgate.flows.tree import tree_of

    place = open_place(image, plain_http=plain_http)
    with question():
        found = tree_of(place.source, place.target)
    if not found.complete:
        note("warning: there is more than is shown")
    if output == "json":
        emit_json(
            "tree/1",
            {
                "subject": str(found.subject),
                "mediaType": found.media_type,
                "complete": found.complete,
                "attached": [_document(one) for one in found.attached],
            },
        )
        return
    click.echo(f"{place.at(found.subject)}  {'' if found.attached else '(nothing is attached)'}".rstrip())
    for line in _lines(found.attached, ""):
        click.echo(line)
    warning = warn_about_tag(place, found.subject)
    if warning:
        note(f"note: {warning}")


def _document(one: Attached) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "digest": str(one.digest),
        "says": one.says,
        "foundBy": one.found_by,
        "attached": [_document(below) for below in one.attached],
    }


def _lines(attached: Sequence[Attached], indent: str) -> Iterator[str]:
    for number, one in enumerate(attached, start=1):
        last = number == len(attached)
        branch, below = ("└── ", "    ") if last else ("├── ", "│   ")
        digest = str(one.digest)[:SHORT_DIGEST]
        yield f"{indent}{branch}{one.kind:<11} {digest}  {printable(one.says)}  ({one.found_by})"
        yield from _lines(one.attached, indent + below)
