"""``trustgate verify``: who signed an image or a chart; cosign's, notation's and helm's option names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from trustgate.cli.cosign_options import CosignCommand, CosignOptions, attestors_of, cosign_options
from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option
from trustgate.cli.output import note, question
from trustgate.cli.policy_options import (
    PolicyQuestion,
    caller_option,
    check_not_policys,
    check_only_policys,
    notary_server_option,
    only_option,
    policy_option,
    scan_report_option,
    scope_option,
)

if TYPE_CHECKING:
    from trustgate.cli.images import Place

_FILE = click.Path(path_type=Path)
_POLICYS: Final = ("policy_source", "caller", "scope", "notary_server", "scan_reports", "only")


@click.command(cls=CosignCommand, epilog=EXIT_CODES)
@click.argument("image")
@cosign_options
@policy_option
@caller_option
@only_option
@notary_server_option
@scan_report_option
@click.option("--notation-trust-policy", type=_FILE, help="notation's trustpolicy.json.")
@click.option(
    "--notation-trust-store", type=_FILE, help="The folder that holds x509/; notation's truststore."
)
@scope_option
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
    notation_trust_policy: Path | None,
    notation_trust_store: Path | None,
    keyring: Path | None,
    plain_http: bool,
    output: str,
    **given: Any,
) -> None:
    """Verify who signed an image; all candidates are judged, one good one is enough.

    \b
      trustgate verify --key cosign.pub localhost:5080/shop/web:1
      trustgate verify --certificate-identity ci@example.com --certificate-oidc-issuer https://id.example …
      trustgate verify --policy ./policy registry.example/shop/web:1
      trustgate verify --policy ./policy --scope registry.example/shop/web oci-layout:./image:1
      trustgate verify --policy ./policy --scope registry.example/charts/web web-1.0.0.tgz
      trustgate verify --notation-trust-policy trustpolicy.json --notation-trust-store truststore IMAGE
      trustgate verify --keyring charts.gpg web-1.0.0.tgz

    Patterns (-regexp) must match the whole text, and identities are never read from the clock's grace: a
    keyless signature needs a proven time.

    With --policy it is what a gate with these policies would say about a pull: every rule about pulls of that
    repository is judged, and yes means that every enforced one passed. One that could not be judged (no
    scan report, no Notary server, no network) is no yes: exit code 3, unless --only leaves it out. On
    layouts and files no network is touched, unless --offline=false or --notary-server asks for it.
    """
    options = CosignOptions(**{name: value for name, value in given.items() if name not in _POLICYS})
    policys = {name: given[name] for name in _POLICYS}
    by_key = bool(options.keys) or options.keyless
    if sum(map(bool, (by_key, policys["policy_source"], notation_trust_policy, keyring))) != 1:
        raise click.UsageError(
            "give one of --key, --certificate-identity, --policy, --notation-trust-policy, --keyring"
        )
    if options.at is not None:
        note(f"note: judged as of {options.now:%Y-%m-%dT%H:%M:%SZ}")
    if policys["policy_source"]:
        code = by_policy(
            image, PolicyQuestion(**policys, offline=options.offline), options, plain_http, output
        )
        raise click.exceptions.Exit(code)
    check_not_policys(("scope",) if notation_trust_policy else ())
    if keyring is not None:
        from trustgate.cli.verify_chart import verify_chart

        raise click.exceptions.Exit(verify_chart(image, keyring, options.now, output))
    from trustgate.cli.images import open_place

    place = open_place(image, plain_http=plain_http)
    files = (notation_trust_policy, notation_trust_store)
    with question():
        code = _of_place(place, *files, policys["scope"], options, output)
    raise click.exceptions.Exit(code)


def _of_place(
    place: Place,
    trust_policy: Path | None,
    trust_store: Path | None,
    scope: str,
    options: CosignOptions,
    output: str,
) -> int:
    if trust_policy is not None:
        from trustgate.cli.verify_notation import verify_notation

        offline = bool(options.offline)
        return verify_notation(place, trust_policy, trust_store, scope, options.now, output, offline=offline)
    from trustgate.cli.verify_image import by_attestors

    return by_attestors(place, attestors_of(options), options, output)


def by_policy(
    image: str, asked: PolicyQuestion, options: CosignOptions, plain_http: bool, output: str
) -> int:
    """The exit code; other ways to say what counts are refused beside a policy."""
    from trustgate.cli.verify_policy import verify_by_policy

    check_only_policys()
    with question():
        return verify_by_policy(image, asked, options.now, output, plain_http=plain_http)
