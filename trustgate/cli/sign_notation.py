"""``trustgate sign --notation``: Notary Project signatures, with notation's option names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from trustgate.cli.options import Pair

if TYPE_CHECKING:
    from trustgate.cli.images import Place
    from trustgate.evidence.notation.algorithms import PrivateKey
    from trustgate.evidence.notation.signing import Countersign, NotationSigner
    from trustgate.flows.sign import Signed
    from trustgate.ports.signing import SigningKey

MAX_EXPIRY: Final = timedelta(days=100 * 365)
_DURATION: Final = re.compile(r"(?=.)(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?", re.ASCII)
_FILE = click.Path(path_type=Path)


class Duration(click.ParamType[timedelta]):
    """``90d``, ``12h``, ``3h20m``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = _DURATION.fullmatch(str(value))
        days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
        span = timedelta(days=days, hours=hours, minutes=minutes)
        if not timedelta(0) < span <= MAX_EXPIRY:
            self.fail(f"{value!r} is not a duration such as 90d, 12h or 3h20m", param, ctx)
        return span


NOTATION_OPTIONS: Final = (
    click.option("--cert", type=_FILE, help="PEM: the key's certificate, its issuers, the root."),
    click.option(
        "--signature-format",
        type=click.Choice(["jws", "cose"]),
        default="jws",
        show_default=True,
        help="notation's envelope.",
    ),
    click.option("-e", "--expiry", type=Duration(), help="notation's best-by time: 90d, 12h, 3h20m."),
    click.option(
        "-m", "--user-metadata", multiple=True, type=Pair(), help="notation's word for what is signed along."
    ),
    click.option("--timestamp-url", default="", help="An RFC 3161 authority that proves when."),
    click.option("--timestamp-root-cert", type=_FILE, help="The root that its timestamp is verified under."),
)


@dataclass(frozen=True, slots=True)
class NotationOptions:
    """What the user gave."""

    cert: Path | None
    signature_format: str
    expiry: timedelta | None
    user_metadata: Sequence[tuple[str, str]]
    timestamp_url: str
    timestamp_root_cert: Path | None


def sign_notation(place: Place, key: str, options: NotationOptions) -> Signed:
    """Raises ``ConfigInvalid``, ``InvalidInput``, ``KeyUnreadable``, and what places and services raise."""
    from trustgate.cli.signing_options import read_file
    from trustgate.evidence.notation.envelope import COSE, JWS
    from trustgate.flows.sign import sign_image_notation

    if not key or options.cert is None:
        raise click.UsageError("--notation takes --key FILE and --cert FILE, the key's certificate chain")
    signer = _signer(key, read_file(options.cert))
    now = datetime.now(UTC)
    return sign_image_notation(
        place.source,
        place.target,
        signer,
        media_type={"jws": JWS, "cose": COSE}[options.signature_format],
        metadata=dict(options.user_metadata),
        now=now,
        expiry=now + options.expiry if options.expiry else None,
        countersign=_countersign(options),
    )


def _signer(key: str, chain_pem: bytes) -> NotationSigner[PrivateKey | SigningKey]:
    from trustgate.cli.signing_options import read_file
    from trustgate.cli.token_key import open_token_key
    from trustgate.evidence.notation.signing import read_chain, read_signer, signer_of
    from trustgate.evidence.pkcs11.uri import is_pkcs11_uri

    if not is_pkcs11_uri(key):
        return read_signer(read_file(Path(key)), chain_pem)
    chain = read_chain(chain_pem)  # before a PIN is asked for
    return signer_of(open_token_key(key), chain)


def _countersign(options: NotationOptions) -> Countersign | None:
    from trustgate.cli.signing_options import read_file
    from trustgate.evidence.notation.countersigning import countersignature, read_timestamp_roots
    from trustgate.remote.sigstore_services import TimestampClient, signing_http

    if not options.timestamp_url and options.timestamp_root_cert is None:
        return None
    if not options.timestamp_url or options.timestamp_root_cert is None:
        raise click.UsageError("--timestamp-url and --timestamp-root-cert go together")
    roots = read_timestamp_roots(read_file(options.timestamp_root_cert))
    http = signing_http()
    click.get_current_context().call_on_close(http.close)
    authority = TimestampClient(options.timestamp_url, http, plain_http=True)
    return lambda signature: countersignature(authority.timestamp(signature), signature, roots)
