"""``trustgate sign``."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option, plain_http_option
from trustgate.cli.output import emit_json, note


@click.command(epilog=EXIT_CODES)
@click.argument("image")
@click.option("--key", "key_file", required=True, type=click.Path(path_type=Path), help="Private key.")
@click.option("-a", "annotations", multiple=True, metavar="K=V", help="Signed along with the digest.")
@click.option("--legacy", is_flag=True, help="A .sig tag, as cosign 2 writes it, and not a bundle.")
@plain_http_option
@output_option
def sign(
    image: str,
    key_file: Path,
    annotations: tuple[str, ...],
    legacy: bool,
    plain_http: bool,
    output: str,
) -> None:
    """Sign an image with a key, so that cosign verify --key accepts it.

    \b
      trustgate sign --key cosign.key localhost:5080/shop/web:1
      trustgate sign --key cosign.key oci-layout:./image:1 -a commit=4f2a91c

    The password of an encrypted key is taken from COSIGN_PASSWORD, or asked for.
    """
    from trustgate.cli.images import open_place, warn_about_tag
    from trustgate.evidence.cosign_key import read_private_key
    from trustgate.flows.sign import sign_image, sign_image_legacy

    pem = read_file(key_file)
    key = read_private_key(pem, key_password(pem))
    given = dict(_pair(text) for text in annotations)
    place = open_place(image, plain_http=plain_http)
    if legacy:
        done = sign_image_legacy(
            place.source, place.target, key, docker_reference=place.name, annotations=given
        )
    else:
        done = sign_image(place.source, place.target, key, annotations=given, now=datetime.now(UTC))
    warning = warn_about_tag(place, done.subject)
    if warning:
        note(f"warning: {warning}; signed that digest")
    if output == "json":
        emit_json(
            "sign/1",
            {"subject": str(done.subject), "signature": str(done.signature), "stored": done.stored},
        )
    else:
        click.echo(f"signed {place.at(done.subject)}  ({done.stored} {done.signature})")


def read_file(path: Path) -> bytes:
    """A small file that the user named. Raises ``ConfigInvalid``."""
    from trustgate.errors import ConfigInvalid

    try:
        with path.open("rb") as file:
            return file.read(1024 * 1024)
    except OSError as exc:
        raise ConfigInvalid(
            f"{path} can't be read: {exc.strerror}", hint="trustgate key generate makes a key pair"
        ) from exc


def key_password(pem: bytes) -> bytes:
    """Empty for a key that is not encrypted."""
    if b"ENCRYPTED" not in pem:
        return b""
    if "COSIGN_PASSWORD" in os.environ:
        return os.environ["COSIGN_PASSWORD"].encode()
    from trustgate.cli.secret import ask_secret

    return ask_secret("Password of the key", instead="set COSIGN_PASSWORD", may_be_empty=True).encode()


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not K=V", param_hint="-a")
    return name, value
