"""``trustgate key``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.output import note

if TYPE_CHECKING:
    from trustgate.evidence.signature_bytes import PrivateKey

RSA_BITS = 3072
OLD_KEY_VARIABLE = "TRUSTGATE_OLD_PASSWORD"
INSTEAD_OF_ASKING = "set COSIGN_PASSWORD (empty for a key without a password)"


@click.group(epilog=EXIT_CODES)
def key() -> None:
    """Make a signing key, bring one along, or see its public half.

    \b
      trustgate key generate --output cosign
      trustgate key import release.pem --output release
      trustgate key public release.key > release.pub
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

    password = _new_password(prefix)
    made: PrivateKey
    if kind == "p256":
        made = ec.generate_private_key(ec.SECP256R1())
    elif kind == "ed25519":
        made = ed25519.Ed25519PrivateKey.generate()
    else:
        made = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    _write_pair(prefix, made, password)


@key.command("import", epilog=EXIT_CODES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--output", "prefix", default="cosign", show_default=True, help="PREFIX.key and PREFIX.pub.")
def import_key(file: Path, prefix: str) -> None:
    """Encrypt a private key that is there already, as cosign import-key-pair does.

    \b
      openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out release.pem
      trustgate key import release.pem --output release

    FILE is a PEM with an unencrypted PKCS#8, PKCS#1 or SEC 1 key, or cosign's own form, whose password is
    taken from TRUSTGATE_OLD_PASSWORD or asked for. The new password is taken from COSIGN_PASSWORD.
    """
    from trustgate.cli.secret import ask_secret
    from trustgate.cli.signing_options import read_file
    from trustgate.evidence.cosign_key import read_private_key

    pem = read_file(file)
    old = os.environ.get(OLD_KEY_VARIABLE, "")
    if b"ENCRYPTED" in pem and OLD_KEY_VARIABLE not in os.environ:
        old = ask_secret("Password of the old key", instead=f"set {OLD_KEY_VARIABLE}", may_be_empty=True)
    made = read_private_key(pem, old.encode())
    _write_pair(prefix, made, _new_password(prefix))


@key.command(epilog=EXIT_CODES)
@click.argument("given", metavar="FILE|pkcs11:…")
def public(given: str) -> None:
    """Print the public half of a key, as the PEM that a policy names.

    \b
      trustgate key public release.key > release.pub
      trustgate key public 'pkcs11:token=release;object=web?module-path=/usr/lib/softhsm/libsofthsm2.so'

    The password of an encrypted key is taken from COSIGN_PASSWORD, or asked for. From a token the public key
    is read as everybody may read it; with pin-value or pin-source in the URI, after logging in.
    """
    from trustgate.cli.signing_options import key_password, read_file
    from trustgate.cli.token_key import read_token_key
    from trustgate.errors import KeyUnreadable
    from trustgate.evidence.cosign_key import public_pem, read_private_key
    from trustgate.evidence.keys import pem_of, supported
    from trustgate.evidence.pkcs11.uri import is_pkcs11_uri

    if not is_pkcs11_uri(given):
        pem = read_file(Path(given))
        click.echo(public_pem(read_private_key(pem, key_password(pem))), nl=False)
        return
    found = read_token_key(given)
    click.echo(pem_of(found), nl=False)
    try:
        supported(found)
    except KeyUnreadable as exc:
        note(f"note: {exc.message}; with a certificate it may sign for notation")


def _new_password(prefix: str) -> bytes:
    """From COSIGN_PASSWORD, or asked for; but first a look at whether the files could be written at all."""
    from trustgate.cli.secret import ask_secret
    from trustgate.errors import ConfigInvalid

    for path in _pair(prefix):
        if path.exists():
            raise ConfigInvalid(f"{path} exists", hint="move it away, or choose another --output")
    password = os.environ.get("COSIGN_PASSWORD")
    if password is None:
        password = ask_secret(
            "Password of the new key", instead=INSTEAD_OF_ASKING, confirm=True, may_be_empty=True
        )
    return password.encode()


def _pair(prefix: str) -> tuple[Path, Path]:
    return Path(f"{prefix}.key"), Path(f"{prefix}.pub")


def _write_pair(prefix: str, made: PrivateKey, password: bytes) -> None:
    from trustgate.errors import ConfigInvalid
    from trustgate.evidence.cosign_key import public_pem, write_private_key

    private, public = _pair(prefix)
    try:
        _write(private, write_private_key(made, password), mode=0o600)
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
