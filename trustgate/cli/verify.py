"""``trustgate verify``: who signed an image or a chart; cosign's, notation's and helm's option names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from trustgate.cli.cosign_options import CosignCommand, CosignOptions, attestors_of, cosign_options
from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option
from trustgate.cli.output import note, question

_FILE = click.Path(path_type=Path)


@click.command(cls=CosignCommand, epilog=EXIT_CODES)
@click.argument("image")
@cosign_options
@click.option("--policy", "policy_source", metavar="SOURCE", help="Policies: a git repository, or dir:PATH.")
@click.option("--as", "caller", default="anonymous", show_default=True, help="Whose pull, with --policy.")
@click.option("--notation-trust-policy", type=_FILE, help="notation's trustpolicy.json.")
@click.option(
    "--notation-trust-store", type=_FILE, help="The folder that holds x509/; notation's truststore."
)
@click.option("--scope", default="", metavar="HOST/REPO", help="What notation's policy is asked about.")
@click.option("--keyring", type=_FILE, help="OpenPGP keyring, for a chart with its .prov beside it.")
@click.option(
    "--allow-http-registry",
    "--plain-http",
    "plain_http",
    is_flag=True,
    help="Speak HTTP to a host that is not this machine.",
)
@output_option
def verify(
    image: str,
    policy_source: str | None,
    caller: str,
    notation_trust_policy: Path | None,
    notation_trust_store: Path | None,
    scope: str,
    keyring: Path | None,
    plain_http: bool,
    output: str,
    **cosign: Any,
) -> None:
    """Verify who signed an image; all candidates are judged, one good one is enough.

    \b
      trustgate verify --key cosign.pub localhost:5080/shop/web:1
      trustgate verify --certificate-identity ci@example.com --certificate-oidc-issuer https://id.example …
      trustgate verify --policy ./policy oci-layout:./image:1
      trustgate verify --notation-trust-policy trustpolicy.json --notation-trust-store truststore IMAGE
      trustgate verify --keyring charts.gpg web-1.0.0.tgz

    Patterns (-regexp) must match the whole text, and identities are never read from the clock's grace: a
    keyless signature needs a proven time.
    """
    options = CosignOptions(**cosign)
    modes = [
        bool(options.keys) or options.keyless,
        bool(policy_source),
        bool(notation_trust_policy),
        bool(keyring),
    ]
    if sum(modes) != 1:
        raise click.UsageError(
            "give one of --key, --certificate-identity, --policy, --notation-trust-policy, --keyring"
        )
    if options.at is not None:
        note(f"note: judged as of {options.now:%Y-%m-%dT%H:%M:%SZ}")
    if keyring is not None:
        from trustgate.cli.verify_chart import verify_chart

        raise click.exceptions.Exit(verify_chart(image, keyring, options.now, output))
    from trustgate.cli import verify_image
    from trustgate.cli.images import open_place

    place = open_place(image, plain_http=plain_http)
    with question():
        if policy_source is not None:
            code = verify_image.by_policy(place, policy_source, caller, options.now, output)
        elif notation_trust_policy is not None:
            from trustgate.cli.verify_notation import verify_notation

            code = verify_notation(
                place, notation_trust_policy, notation_trust_store, scope, options.now, output
            )
        else:
            code = verify_image.by_attestors(place, attestors_of(options), options, output)
    raise click.exceptions.Exit(code)
