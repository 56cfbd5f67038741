"""Options of the commands that sign: a key, or an identity token and the services that take it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from trustgate.cli.output import note

if TYPE_CHECKING:
    from trustgate.evidence.signature_bytes import PrivateKey
    from trustgate.evidence.sigstore_signing.signing_config import SigningConfig
    from trustgate.flows.signatory import SelfCheck, Signatory
    from trustgate.ports.signing import SigningKey

MAX_FILE_BYTES = 1024 * 1024
F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--key",
        default="",
        metavar="FILE|pkcs11:…",
        help="Private key, or one in a token; without one it is signed keyless.",
    ),
    click.option(
        "--identity-token",
        metavar="TOKEN|FILE",
        default="",
        help="OIDC token for a keyless signature; else SIGSTORE_ID_TOKEN, or the CI's own.",
    ),
    click.option("--signing-config", type=_FILE, help="The services to ask, as a Sigstore signing config."),
    click.option("--fulcio-url", default="", help="The certificate authority to ask."),
    click.option("--rekor-url", default="", help="The log (Rekor 1) to write into."),
    click.option("--timestamp-server-url", default="", help="The RFC 3161 timestamp authority to ask."),
    click.option("--trusted-root", type=_FILE, help="Verify under this before anything is stored."),
    click.option("-y", "--yes", is_flag=True, help="Do not ask before a public log is written into."),
)


@dataclass(frozen=True, slots=True)
class SigningOptions:
    """What the user gave."""

    key: str
    identity_token: str
    signing_config: Path | None
    fulcio_url: str
    rekor_url: str
    timestamp_server_url: str
    trusted_root: Path | None
    yes: bool

    @property
    def urls(self) -> bool:
        return bool(self.fulcio_url or self.rekor_url or self.timestamp_server_url)


def signing_options(command: F) -> F:
    """Add the options; the command gets them as ``**signing``, for ``SigningOptions``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def open_signatory(options: SigningOptions) -> Signatory:
    """Raises ``ConfigInvalid``, ``InvalidInput``, ``KeyUnreadable`` and ``UpstreamFailed``."""
    from trustgate.evidence.sigstore_signing.identity_token import read_identity_token
    from trustgate.flows.signatory import Signatory, bearer
    from trustgate.remote.identity_tokens import find_identity_token
    from trustgate.remote.sigstore_services import open_services, signing_http

    if options.signing_config and options.urls:
        raise click.UsageError("give --signing-config or the URLs of the services, not both")
    if options.key and options.identity_token:
        raise click.UsageError("give --key or --identity-token, not both")
    http = signing_http()
    click.get_current_context().call_on_close(http.close)
    now = datetime.now(UTC)
    check = _self_check(options, now)
    if options.key:
        services = open_services(_config(options, now), http)
        return Signatory(_key(options.key), services, check=check)
    token = read_identity_token(find_identity_token(options.identity_token, os.environ), now)
    public = not (options.signing_config or options.urls)
    config = _public_good(now) if public else _config(options, now)
    if public:
        _agree(token.subject, options.yes)
    return bearer(token, open_services(config, http), check)


def _key(given: str) -> PrivateKey | SigningKey:
    from trustgate.cli.token_key import open_token_key
    from trustgate.evidence.cosign_key import read_private_key
    from trustgate.evidence.pkcs11.uri import is_pkcs11_uri
    from trustgate.evidence.signing_algorithm import cosign_algorithm

    if is_pkcs11_uri(given):
        key = open_token_key(given)
        cosign_algorithm(key.public_key())  # before anybody is asked for anything
        return key
    pem = read_file(Path(given))
    return read_private_key(pem, key_password(pem))


def _self_check(options: SigningOptions, now: datetime) -> SelfCheck | None:
    from trustgate.errors import ConfigInvalid
    from trustgate.evidence.dsse import Malformed
    from trustgate.evidence.sigstore.trusted_root import read_trusted_root
    from trustgate.flows.signatory import SelfCheck

    if options.trusted_root is None:
        return None
    try:
        return SelfCheck(read_trusted_root(read_file(options.trusted_root)), now)
    except Malformed as exc:
        raise ConfigInvalid(
            f"{options.trusted_root}: {exc}", hint="cosign trusted-root create writes such files"
        ) from exc


def _config(options: SigningOptions, now: datetime) -> SigningConfig:
    from trustgate.evidence.sigstore_signing.signing_config import (
        Service,
        SigningConfig,
        read_signing_config,
    )

    if options.signing_config:
        return read_signing_config(read_file(options.signing_config), now)
    return SigningConfig(
        fulcio=Service(options.fulcio_url) if options.fulcio_url else None,
        logs=(Service(options.rekor_url),) if options.rekor_url else (),
        timestamps=(Service(options.timestamp_server_url),) if options.timestamp_server_url else (),
    )


def _public_good(now: datetime) -> SigningConfig:
    from trustgate.evidence.sigstore_signing.signing_config import read_signing_config
    from trustgate.remote.sigstore_services import public_good_config

    return read_signing_config(public_good_config(), now)


def _agree(subject: str, yes: bool) -> None:
    """What stands in a public log stays there for ever, with the name of who signed."""
    text = f"{subject!a} and the image's digest will stand in the public log of sigstore.dev for ever"
    if yes:
        note(f"note: {text}")
    elif sys.stdin.isatty():
        click.confirm(f"{text}. Sign?", abort=True, err=True)
    else:
        raise click.UsageError(f"{text}: say --yes, or name your own services with --signing-config")


def read_file(path: Path) -> bytes:
    """A small file that the user named. Raises ``ConfigInvalid``."""
    return _read(path, MAX_FILE_BYTES, "trustgate key generate makes a key pair")


def read_up_to(path: Path, max_bytes: int, hint: str) -> bytes:
    """A whole file that the user named. Raises ``ConfigInvalid``, also for one that is larger."""
    from trustgate.errors import ConfigInvalid

    content = _read(path, max_bytes + 1, hint)
    if len(content) > max_bytes:
        raise ConfigInvalid(f"{path} has more than {max_bytes} bytes", hint="is it the right file?")
    return content


def _read(path: Path, most: int, hint: str) -> bytes:
    from trustgate.errors import ConfigInvalid
    from trustgate.evidence.pkcs11.uri import is_pkcs11_uri

    if is_pkcs11_uri(str(path)):  # which may hold a PIN: not a word of it
        raise ConfigInvalid(
            "a PKCS#11 URI stands where a file is wanted",
            hint="keys in tokens sign and verify images: sign, attest, verify, key public",
        )
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as exc:
        raise ConfigInvalid(f"{path} can't be read: {exc.strerror}", hint=hint) from exc


def key_password(pem: bytes) -> bytes:
    """Empty for a key that is not encrypted."""
    if b"ENCRYPTED" not in pem:
        return b""
    if "COSIGN_PASSWORD" in os.environ:
        return os.environ["COSIGN_PASSWORD"].encode()
    from trustgate.cli.secret import ask_secret

    return ask_secret("Password of the key", instead="set COSIGN_PASSWORD", may_be_empty=True).encode()
