"""``trustgate sign --helm``: the provenance of a chart in a file, as ``helm package --sign`` writes it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from trustgate.cli.output import emit_json
from trustgate.cli.whole_file import write_whole

MAX_PASSPHRASE_BYTES: Final = 4096
PROVENANCE: Final = ".prov"
_FILE = click.Path(path_type=Path)

CHART_OPTIONS: Final = (
    click.option("--keyring", type=_FILE, help="Secret OpenPGP keyring; without one GnuPG's own keys."),
    click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, allow_dash=True),
        help="Its first line unlocks the OpenPGP key; - for stdin.",
    ),
    click.option("--force", is_flag=True, help="Overwrite a .prov that is there already."),
)


@dataclass(frozen=True, slots=True)
class ChartOptions:
    """What the user gave."""

    keyring: Path | None
    passphrase_file: Path | None
    force: bool


def sign_chart(chart: str, key: str, options: ChartOptions, output: str) -> None:
    """Raises ``ConfigInvalid``, ``InvalidInput``, ``KeyUnreadable``, ``OpenPgpUnavailable``."""
    from trustgate.cli.signing_options import read_up_to
    from trustgate.evidence.helm.chart import MAX_CHART_BYTES, read_chart
    from trustgate.evidence.helm.provenance_signing import check_signed, provenance_text
    from trustgate.evidence.helm.trust import MAX_KEYRING_BYTES
    from trustgate.remote.gpg import GpgSigner

    if not key:
        raise click.UsageError("--helm takes --key NAME: a fingerprint, or a part of the key's user id")
    path = Path(chart)
    written = path.with_name(path.name + PROVENANCE)
    _check_absent(written, force=options.force)
    package = read_up_to(path, MAX_CHART_BYTES, "helm package FOLDER makes charts")
    text = provenance_text(package)
    _check_name(path, read_chart(package).metadata.file_name)
    hint = "gpg --export-secret-keys KEY > FILE writes one"
    ring = read_up_to(options.keyring, MAX_KEYRING_BYTES, hint) if options.keyring else None
    passphrase = _passphrase(options.passphrase_file) if options.passphrase_file else None
    signed = GpgSigner(ring).clear_sign(text, key=key, passphrase=passphrase)
    _provenance, read = check_signed(signed, package)
    write_whole(written, signed, overwrite=options.force, hint="the .prov stands beside the chart")
    if output == "json":
        emit_json(
            "sign-chart/1", {"chart": str(path), "digest": str(read.digest), "provenance": str(written)}
        )
    else:
        click.echo(f"signed {path}  ({written})")


def _check_absent(path: Path, *, force: bool) -> None:
    """Before anyone is asked for a passphrase. Raises ``ConfigInvalid``."""
    from trustgate.errors import ConfigInvalid

    if path.exists() and not force:
        raise ConfigInvalid(f"{path} exists", hint="--force overwrites it")


def _check_name(path: Path, name: str) -> None:
    """What is signed names the file: under another name helm finds no digest for it."""
    from trustgate.errors import InvalidInput

    if path.name != name:
        raise InvalidInput(
            f"{path} holds the chart that helm calls {name}, and would not verify it under another name",
            hint=f"rename it to {name}",
        )


def _passphrase(path: Path) -> str:
    """The first line. Raises ``ConfigInvalid``."""
    from trustgate.cli.signing_options import read_up_to
    from trustgate.errors import ConfigInvalid

    if str(path) == "-":
        line = sys.stdin.readline(MAX_PASSPHRASE_BYTES)
    else:
        raw = read_up_to(path, MAX_PASSPHRASE_BYTES, "check --passphrase-file")
        line = raw.decode("utf-8", "surrogateescape")
    first = line.partition("\n")[0].rstrip("\r")
    if not first:
        raise ConfigInvalid(
            f"{path}: there is no passphrase in it",
            hint="its first line is taken; leave --passphrase-file out for a key without one",
        )
    return first
