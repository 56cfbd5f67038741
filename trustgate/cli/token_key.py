"""Keys in PKCS#11 tokens on the command line: cosign's URIs, and its variables for module and PIN."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trustgate.cli.output import printable

if TYPE_CHECKING:
    from trustgate.evidence.keys import PublicKey
    from trustgate.evidence.pkcs11.uri import Pkcs11Uri
    from trustgate.ports.signing import SigningKey

MODULE_VARIABLE: Final = "COSIGN_PKCS11_MODULE_PATH"
PIN_VARIABLE: Final = "COSIGN_PKCS11_PIN"
MAX_PIN_BYTES: Final = 1024
"""More than any token takes: the wrong file was named."""


def open_token_key(text: str) -> SigningKey:
    """Log in, once; logged out again when the command ends.

    The PIN is that of the URI, or ``COSIGN_PKCS11_PIN``, or asked for. Raises ``InvalidInput``,
    ``ConfigInvalid``, ``KeyUnreadable``, ``SigningKeyUnavailable``.
    """
    from trustgate.evidence.pkcs11.uri import read_pkcs11_uri
    from trustgate.remote import pkcs11

    uri = read_pkcs11_uri(text)
    given = _pin_of(uri) or os.environ.get(PIN_VARIABLE)
    key = pkcs11.open_token_key(uri, _module(uri), lambda label: given or _ask(label))
    click.get_current_context().call_on_close(key.close)
    return key


def read_token_key(text: str) -> PublicKey:
    """The public half; as with cosign nobody is asked for a PIN, but one in the URI is used.

    Raises as ``open_token_key`` does.
    """
    from trustgate.evidence.pkcs11.uri import read_pkcs11_uri
    from trustgate.remote import pkcs11

    uri = read_pkcs11_uri(text)
    return pkcs11.read_token_key(uri, _module(uri), _pin_of(uri))


def _module(uri: Pkcs11Uri) -> str:
    from trustgate.errors import ConfigInvalid

    path = uri.module_path or os.environ.get(MODULE_VARIABLE, "")
    if not path:
        raise ConfigInvalid(
            f"nothing says which PKCS#11 module to load for {uri}",
            hint=f"add ?module-path=/the/module.so to the URI, or set {MODULE_VARIABLE}",
        )
    if not path.startswith("/"):
        raise ConfigInvalid(f"{MODULE_VARIABLE} is not absolute", hint="give the module's whole path")
    return path


def _pin_of(uri: Pkcs11Uri) -> str | None:
    from trustgate.cli.signing_options import read_up_to
    from trustgate.errors import ConfigInvalid

    if uri.pin_file is None:
        return uri.pin_value
    raw = read_up_to(Path(uri.pin_file), MAX_PIN_BYTES, "pin-source names the file that holds the PIN")
    try:
        pin = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        pin = ""
    if not pin or not pin.isprintable():
        raise ConfigInvalid(f"{uri.pin_file} holds no PIN", hint="one line, and nothing else")
    return pin


def _ask(label: str) -> str:
    from trustgate.cli.secret import ask_secret

    return ask_secret(
        f"PIN of the token {printable(label)!a}", instead=f"set {PIN_VARIABLE}, or give pin-source in the URI"
    )
