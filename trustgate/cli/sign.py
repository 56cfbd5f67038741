"""``trustgate sign``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option, plain_http_option
from trustgate.cli.output import emit_json, note
from trustgate.cli.signing_options import (
    SigningOptions,
    key_password,
    open_signatory,
    read_file,
    signing_options,
)

__all__ = ["key_password", "read_file", "sign", "tell_signed"]


@click.command(epilog=EXIT_CODES)
@click.argument("image")
@signing_options
@click.option("-a", "annotations", multiple=True, metavar="K=V", help="Signed along with the digest.")
@click.option("--legacy", is_flag=True, help="A .sig tag, as cosign 2 writes it, and not a bundle.")
@plain_http_option
@output_option
def sign(
    image: str, annotations: tuple[str, ...], legacy: bool, plain_http: bool, output: str, **signing: Any
) -> None:
    """Sign an image, so that cosign verify accepts it: with a key, or with the identity of a CI job.

    \b
      trustgate sign --key cosign.key localhost:5080/shop/web:1
      trustgate sign --key cosign.key oci-layout:./image:1 -a commit=4f2a91c
      trustgate sign --yes registry.example/shop/web@sha256:…        in GitHub Actions or GitLab
      trustgate sign --signing-config own.json --identity-token token.jwt localhost:5080/shop/web:1

    The password of an encrypted key is taken from COSIGN_PASSWORD, or asked for. Without a key and without
    services of one's own it is signed with sigstore.dev.
    """
    from trustgate.cli.images import open_place
    from trustgate.flows.sign import sign_image, sign_image_legacy

    by = open_signatory(SigningOptions(**signing))
    given = dict(_pair(text) for text in annotations)
    place = open_place(image, plain_http=plain_http)
    if legacy:
        done = sign_image_legacy(
            place.source, place.target, by, docker_reference=place.name, annotations=given
        )
    else:
        done = sign_image(place.source, place.target, by, annotations=given, now=datetime.now(UTC))
    tell_signed(place, done, "sign/1", "signed", output)


def tell_signed(place: Any, done: Any, schema: str, word: str, output: str) -> None:
    """What was signed and where it is kept; a warning when a tag was named."""
    from trustgate.cli.images import warn_about_tag

    warning = warn_about_tag(place, done.subject)
    if warning:
        note(f"warning: {warning}; signed that digest")
    if output == "json":
        document = {"subject": str(done.subject), "signature": str(done.signature), "stored": done.stored}
        emit_json(schema, document)
    else:
        click.echo(f"{word} {place.at(done.subject)}  ({done.stored} {done.signature})")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not K=V", param_hint="-a")
    return name, value
