"""``trustgate attest``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option, plain_http_option
from trustgate.cli.sign import tell_signed
from trustgate.cli.signing_options import SigningOptions, open_signatory, signing_options


@click.command(epilog=EXIT_CODES)
@click.argument("image")
@click.option(
    "--predicate",
    "predicate_file",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="What to say: an SBOM, a provenance, a report; - for stdin.",
)
@click.option(
    "--type",
    "kind",
    default="custom",
    show_default=True,
    help="cyclonedx, spdx, spdxjson, slsaprovenance, slsaprovenance1, vuln, openvex, link, custom, or a URI.",
)
@signing_options
@click.option("--legacy", is_flag=True, help="An .att tag, as cosign 2 writes it, and not a bundle.")
@plain_http_option
@output_option
def attest(
    image: str,
    predicate_file: Path,
    kind: str,
    legacy: bool,
    plain_http: bool,
    output: str,
    **signing: Any,
) -> None:
    """Say something about an image and sign it, so that cosign verify-attestation accepts it.

    \b
      trustgate attest --key cosign.key --predicate sbom.json --type cyclonedx localhost:5080/shop/web:1
      trustgate attest --yes --predicate provenance.json --type slsaprovenance1 registry.example/shop/web:1

    An attestation is no signature: no rule that asks for one is content with it.
    """
    from trustgate.cli.images import open_place
    from trustgate.evidence.attesting import predicate_type, read_predicate
    from trustgate.flows.sign import attest_image, attest_image_legacy

    predicate_type(kind)  # before a password is asked for, or a file read
    now = datetime.now(UTC)
    predicate = read_predicate(kind, _content(predicate_file), now)
    by = open_signatory(SigningOptions(**signing))
    place = open_place(image, plain_http=plain_http)
    if legacy:
        done = attest_image_legacy(place.source, place.target, by, predicate, name=place.name)
    else:
        done = attest_image(place.source, place.target, by, predicate, name=place.name, now=now)
    tell_signed(place, done, "attest/1", f"attested {predicate.type} for", output)


def _content(path: Path) -> bytes:
    """Raises ``ConfigInvalid``; what is too much is refused by whoever reads it."""
    from trustgate.errors import ConfigInvalid
    from trustgate.evidence.attesting import MAX_PREDICATE_BYTES

    if str(path) == "-":
        return sys.stdin.buffer.read(MAX_PREDICATE_BYTES + 1)
    try:
        with path.open("rb") as file:
            return file.read(MAX_PREDICATE_BYTES + 1)
    except OSError as exc:
        raise ConfigInvalid(f"{path} can't be read: {exc.strerror}", hint="check --predicate") from exc
