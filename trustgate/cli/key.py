"""``trustgate key``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.output import note

RSA_BITS = 3072
INSTEAD_OF_ASKING = "set COSIGN_PASSWORD (empty for a key without a password)"


@click.group(epilog=EXIT_CODES)
def key() -> None:
    """Make a signing key.

    \b
      trustgate key generate --output cosign
    """


@key.command(epilog=EXIT_CODES)
@click.option("--output", "prefix", default="cosign", show_default=True, help="PREFIX.key and PREFIX.pub.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["p256", "ed25519", "rsa"]),
    default="p256",
    show_default=True,
    help="What kind of key; every cosign reads p256.",
)
def generate(prefix: str, kind: str) -> None:
    """Make a key pair as cosign generate-key-pair does; the private half is encrypted.

    \b
      trustgate key generate
      COSIGN_PASSWORD=… trustgate key generate --output release --type ed25519
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    from trustgate.cli.secret import ask_secret
    from trustgate.errors import ConfigInvalid
    from trustgate.evidence.cosign_key import public_pem, write_private_key
    from trustgate.evidence.signature_bytes import PrivateKey

    private, public = Path(f"{prefix}.key"), Path(f"{prefix}.pub")
    for path in (private, public):
        if path.exists():
            raise ConfigInvalid(f"{path} exists", hint="move it away, or choose another --output")
    password = os.environ.get("COSIGN_PASSWORD")
    if password is None:
        password = ask_secret(
            "Password of the new key", instead=INSTEAD_OF_ASKING, confirm=True, may_be_empty=True
        )
    made: PrivateKey
    if kind == "p256":
        made = ec.generate_private_key(ec.SECP256R1())
    elif kind == "ed25519":
        made = ed25519.Ed25519PrivateKey.generate()
    else:
        made = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    try:
        _write(private, write_private_key(made, password.encode()), mode=0o600)
        _write(public, public_pem(made), mode=0o644)
    except OSError as exc:
        raise ConfigInvalid(
            f"{exc.filename} can't be written: {exc.strerror}", hint="choose another --output"
        ) from exc
    note(f"wrote {private} and {public}")


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """A new file, never one that is there already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
