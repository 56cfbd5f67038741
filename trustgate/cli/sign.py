"""``trustgate sign``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import Pair, output_option, plain_http_option
from trustgate.cli.output import emit_json, note
from trustgate.cli.sign_chart import CHART_OPTIONS, ChartOptions
from trustgate.cli.sign_notation import NOTATION_OPTIONS, NotationOptions
from trustgate.cli.sign_tag import TAG_OPTIONS, TagOptions
from trustgate.cli.signing_options import (
    SigningOptions,
    key_password,
    open_signatory,
    read_file,
    signing_options,
)

__all__ = ["key_password", "read_file", "sign", "tell_signed"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def _names(options: type) -> frozenset[str]:
    return frozenset(one.name for one in fields(options))


_OF_MODE: Final[Mapping[str, frozenset[str]]] = {
    "": (_names(SigningOptions) - {"key"}) | {"annotations", "legacy", "plain_http"},
    "--notation": _names(NotationOptions) | {"plain_http"},
    "--helm": _names(ChartOptions),
    "--notary-v1": _names(TagOptions) | {"plain_http"},
}
"""What only makes sense for some forms of signature, by the option that asks for the form."""


def _further_options(command: F) -> F:
    for option in reversed((*NOTATION_OPTIONS, *CHART_OPTIONS, *TAG_OPTIONS)):
        command = option(command)
    return command


@click.command(epilog=EXIT_CODES)
@click.argument("image")
@signing_options
@click.option("-a", "annotations", multiple=True, type=Pair(), help="Signed along with the digest.")
@click.option("--legacy", is_flag=True, help="A .sig tag, as cosign 2 writes it, and not a bundle.")
@click.option("--notation", is_flag=True, help="A Notary Project signature, with --key and --cert.")
@click.option("--helm", is_flag=True, help="A chart's .prov: IMAGE is a .tgz, --key an OpenPGP key's name.")
@click.option(
    "--notary-v1", is_flag=True, help="A tag in docker's trust data, with --key, --role, --root-key."
)
@_further_options
@plain_http_option
@output_option
def sign(
    image: str,
    key: str,
    notation: bool,
    helm: bool,
    notary_v1: bool,
    plain_http: bool,
    output: str,
    **given: Any,
) -> None:
    """Sign an image, so that cosign verify accepts it: with a key, or with the identity of a CI job.

    \b
      trustgate sign --key cosign.key localhost:5080/shop/web:1
      trustgate sign --key cosign.key oci-layout:./image:1 -a commit=4f2a91c
      trustgate sign --yes registry.example/shop/web@sha256:…        in GitHub Actions or GitLab
      trustgate sign --signing-config own.json --identity-token token.jwt localhost:5080/shop/web:1
      trustgate sign --notation --key web.key --cert chain.pem localhost:5080/shop/web:1
      trustgate sign --key 'pkcs11:token=release;object=web' localhost:5080/shop/web:1
      trustgate sign --helm --key charts@example.com web-1.0.0.tgz
      trustgate sign --notary-v1 --key alice.key --role targets/alice --root-key ID localhost:5080/shop/web:1

    The password of an encrypted key is taken from COSIGN_PASSWORD, or asked for. Without a key and without
    services of one's own it is signed with sigstore.dev.

    A key in a PKCS#11 token is named by its URI (RFC 7512), as cosign takes it. Its module is module-path in
    the URI, or COSIGN_PKCS11_MODULE_PATH; its PIN is pin-value or pin-source there, or COSIGN_PKCS11_PIN, or
    asked for.

    With --notation it is signed so that notation verify accepts it. With --helm WEB.tgz.prov is written
    beside the chart WEB.tgz, so that helm verify accepts it. With --notary-v1 the tag is signed as docker
    trust sign does it, in a role that docker trust signer add has made; what stands there already is kept
    when a root that --root-key names stands behind it, and nothing is signed otherwise.
    """
    asked = {"--notation": notation, "--helm": helm, "--notary-v1": notary_v1}
    modes = [name for name, wanted in asked.items() if wanted]
    if len(modes) > 1:
        raise click.UsageError(f"give {' or '.join(modes)}, not both")
    mode = modes[0] if modes else ""
    _check_options(mode)
    _check_key(key, mode)
    if mode == "--helm":
        from trustgate.cli.sign_chart import sign_chart

        sign_chart(image, key, _picked(ChartOptions, given), output)
        return
    place, done = _SIGN[mode](image, plain_http, {**given, "key": key})
    tell_signed(place, done, "sign/1", "signed", output, by_digest=mode != "--notary-v1")


def _sign_notation(image: str, plain_http: bool, given: Mapping[str, Any]) -> tuple[Any, Any]:
    from trustgate.cli.images import open_place
    from trustgate.cli.sign_notation import sign_notation

    place = open_place(image, plain_http=plain_http)
    return place, sign_notation(place, given["key"], _picked(NotationOptions, given))


def _sign_tag(image: str, plain_http: bool, given: Mapping[str, Any]) -> tuple[Any, Any]:
    from trustgate.cli.images import open_place
    from trustgate.cli.sign_tag import sign_tag

    place = open_place(image, plain_http=plain_http)
    return place, sign_tag(place, given["key"], _picked(TagOptions, given))


def _sign_cosign(image: str, plain_http: bool, given: Mapping[str, Any]) -> tuple[Any, Any]:
    from trustgate.cli.images import open_place
    from trustgate.flows.sign import sign_image, sign_image_legacy

    by = open_signatory(_picked(SigningOptions, given))
    annotations = dict(given["annotations"])
    place = open_place(image, plain_http=plain_http)
    if given["legacy"]:
        return place, sign_image_legacy(
            place.source, place.target, by, docker_reference=place.name, annotations=annotations
        )
    return place, sign_image(place.source, place.target, by, annotations=annotations, now=datetime.now(UTC))


_SIGN: Final[Mapping[str, Callable[[str, bool, Mapping[str, Any]], tuple[Any, Any]]]] = {
    "": _sign_cosign,
    "--notation": _sign_notation,
    "--notary-v1": _sign_tag,
}


def _picked(kind: type[T], given: Mapping[str, Any]) -> T:
    return kind(**{name: given[name] for name in _names(kind)})


def _check_options(mode: str) -> None:
    """An option that would be ignored is a mistake: who gave it believes that it did something."""
    ctx = click.get_current_context()
    foreign = frozenset().union(*_OF_MODE.values()) - _OF_MODE[mode]
    for param in ctx.command.params:
        if param.name in foreign and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
            homes = [other or "cosign's signatures" for other in _OF_MODE if param.name in _OF_MODE[other]]
            raise click.UsageError(f"{param.opts[-1]} is for {' and '.join(homes)}")


def _check_key(key: str, mode: str) -> None:
    from trustgate.evidence.pkcs11.uri import is_pkcs11_uri

    if is_pkcs11_uri(key) and mode in {"--helm", "--notary-v1"}:
        raise click.UsageError(f"a key in a PKCS#11 token signs images, and nothing with {mode}")


def tell_signed(
    place: Any, done: Any, schema: str, word: str, output: str, *, by_digest: bool = True
) -> None:
    """What was signed and where it is kept; a warning when a tag was named and a digest is signed."""
    from trustgate.cli.images import warn_about_tag

    warning = warn_about_tag(place, done.subject) if by_digest else ""
    if warning:
        note(f"warning: {warning}; signed that digest")
    if output == "json":
        document = {"subject": str(done.subject), "signature": str(done.signature), "stored": done.stored}
        emit_json(schema, document)
    else:
        click.echo(f"{word} {place.at(done.subject)}  ({done.stored} {done.signature})")
