"""``trustgate conformance sign-bundle``: the argument protocol of sigstore-conformance."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from trustgate.cli.main import EXIT_CODES

MAX_FILE_BYTES = 128 * 1024 * 1024


@click.command("sign-bundle", epilog=EXIT_CODES)
@click.option("--staging", is_flag=True, help="The services of sigstage.dev.")
@click.option(
    "--in-toto", is_flag=True, help="FILE is an in-toto statement, and is signed as a DSSE envelope."
)
@click.option("--identity-token", required=True, metavar="TOKEN", help="OIDC token.")
@click.option("--bundle", "bundle_file", required=True, type=click.Path(path_type=Path), help="Written.")
@click.option("--trusted-root", type=click.Path(path_type=Path), help="Taken, and not needed to sign.")
@click.option("--signing-config", type=click.Path(path_type=Path), help="The services to ask.")
@click.argument("file", type=click.Path(path_type=Path))
def sign_bundle(
    staging: bool,
    in_toto: bool,
    identity_token: str,
    bundle_file: Path,
    trusted_root: Path | None,  # noqa: ARG001 - part of the protocol
    signing_config: Path | None,
    file: Path,
) -> None:
    """Sign a file keyless, as sigstore-conformance asks its clients to.

    \b
      trustgate conformance sign-bundle --identity-token TOKEN --bundle a.sigstore.json a.txt
    """
    from trustgate.cli.signing_options import read_file
    from trustgate.evidence.sigstore_signing.identity_token import read_identity_token
    from trustgate.evidence.sigstore_signing.signing_config import read_signing_config
    from trustgate.flows.sign_file import sign_file
    from trustgate.flows.signatory import bearer
    from trustgate.remote.identity_tokens import find_identity_token
    from trustgate.remote.sigstore_services import open_services, public_good_config, signing_http

    now = datetime.now(UTC)
    raw = read_file(signing_config) if signing_config else public_good_config(staging=staging)
    token = read_identity_token(find_identity_token(identity_token, {}), now)
    http = signing_http()
    click.get_current_context().call_on_close(http.close)
    by = bearer(token, open_services(read_signing_config(raw, now), http))
    bundle = sign_file(by, _content(file), statement=in_toto)
    _write(bundle_file, bundle)


def _content(path: Path) -> bytes:
    from trustgate.errors import ConfigInvalid

    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigInvalid(f"{path} can't be read: {exc.strerror}", hint="check FILE") from exc
    if len(content) > MAX_FILE_BYTES:
        raise ConfigInvalid(f"{path} has more than {MAX_FILE_BYTES} bytes", hint="sign its digest instead")
    return content


def _write(path: Path, bundle: bytes) -> None:
    from trustgate.errors import ConfigInvalid

    try:
        path.write_bytes(bundle)
    except OSError as exc:
        raise ConfigInvalid(f"{path} can't be written: {exc.strerror}", hint="check --bundle") from exc
