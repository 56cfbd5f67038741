"""PKCS#11 URIs (RFC 7512) as names of one key: what cosign writes, read strictly.

Every attribute narrows, as section 2.5 asks: an unknown one is refused, since leaving it out would name more
than was meant. cosign reads ``+`` as a space where the RFC means a plus, so neither is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

from trustgate.errors import InvalidInput

SCHEME: Final = "pkcs11:"
MAX_URI_CHARACTERS: Final = 4096
MAX_SLOT_ID: Final = 2**64 - 1
"""``CK_ULONG`` where it is longest."""
_WHERE: Final = ("token", "serial", "slot-id")
_WHICH: Final = ("object", "id")
_PATH: Final = (
    "token",
    "manufacturer",
    "serial",
    "model",
    "slot-id",
    "slot-description",
    "slot-manufacturer",
    "object",
    "id",
    "type",
)
_QUERY: Final = ("module-path", "pin-value", "pin-source")
_TYPES: Final = ("private", "public")
_CHARACTERS: Final = r"[A-Za-z0-9._~:\[\]@!$'()*,={}-]|%[0-9A-Fa-f]{{2}}"
_PATH_VALUE: Final = re.compile(f"(?:{_CHARACTERS.format('&')})*")
_QUERY_VALUE: Final = re.compile(f"(?:{_CHARACTERS.format('/?|')})*")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,19}")
_EXAMPLE: Final = "pkcs11:token=NAME;object=KEY?module-path=/usr/lib/softhsm/libsofthsm2.so"
_HINTS: Final = {
    "pin-value": "pin-value stands behind the ?, where it is kept out of messages",
    "pin-source": "pin-source stands behind the ?",
    "module-path": "module-path stands behind the ?",
    "module-name": "give module-path, or COSIGN_PKCS11_MODULE_PATH",
    "library-manufacturer": "module-path says which library",
    "library-description": "module-path says which library",
    "library-version": "module-path says which library",
}


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """Where a key is, and how to get at it. As text it has no query, so no PIN can be told by mistake."""

    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    slot_id: int | None = None
    slot_description: str | None = None
    slot_manufacturer: str | None = None
    object: str | None = None
    id: bytes | None = None
    type: str | None = None
    module_path: str | None = None
    pin_value: str | None = field(default=None, repr=False)
    pin_file: str | None = None
    """The file that ``pin-source`` names."""

    def __str__(self) -> str:
        given = {name: getattr(self, name.replace("-", "_")) for name in _PATH}
        parts = (f"{name}={_quoted(value)}" for name, value in given.items() if value is not None)
        return SCHEME + ";".join(parts)


def is_pkcs11_uri(text: str) -> bool:
    """Whether ``text`` is meant as one: its query may hold a PIN, and is not for messages."""
    return text[: len(SCHEME)].lower() == SCHEME


def read_pkcs11_uri(text: str) -> Pkcs11Uri:
    """Raises ``InvalidInput``, without a word of what the attributes' values are."""
    if not is_pkcs11_uri(text):
        raise InvalidInput("this is not a PKCS#11 URI", hint=_EXAMPLE)
    if len(text) > MAX_URI_CHARACTERS:
        raise InvalidInput(
            f"the PKCS#11 URI has {len(text)} characters, at most {MAX_URI_CHARACTERS} are read"
        )
    path, asked, query = text[len(SCHEME) :].partition("?")
    found = {
        **_attributes(path, ";", _PATH, _PATH_VALUE),
        **(_attributes(query, "&", _QUERY, _QUERY_VALUE) if asked else {}),
    }
    _check_complete(found)
    source = found.pop("pin-source", None)
    values: dict[str, object] = {
        "pin_file": None if source is None else _pin_file(_text("pin-source", source))
    }
    for name, raw in found.items():
        values[name.replace("-", "_")] = raw if name == "id" else _value(name, _text(name, raw))
    return Pkcs11Uri(**values)  # type: ignore[arg-type]  # names and kinds are those of _value


def _attributes(
    text: str, separator: str, known: tuple[str, ...], allowed: re.Pattern[str]
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if not equals or not _NAME.fullmatch(name):
            # what has no name may be a PIN
            raise InvalidInput("a part of the PKCS#11 URI is not NAME=VALUE", hint=_EXAMPLE)
        if name not in known:
            hint = _HINTS.get(name, f"known are {', '.join(known)} here")
            raise InvalidInput(f"the PKCS#11 URI has an attribute {name!a}, which is not read", hint=hint)
        if name in found:
            raise InvalidInput(f"the PKCS#11 URI says {name} twice", hint="say it once")
        if not allowed.fullmatch(value):
            raise InvalidInput(
                f"{name} of the PKCS#11 URI holds a character that has to be written as %XX",
                hint="a space is %20, and a plus %2B: cosign reads + as a space, RFC 7512 does not",
            )
        found[name] = unquote_to_bytes(value)
    return found


def _check_complete(found: dict[str, bytes]) -> None:
    for wanted in (_WHERE, _WHICH):
        if not any(found.get(name) for name in wanted):
            raise InvalidInput(f"the PKCS#11 URI has no {' or '.join(wanted)}", hint=_EXAMPLE)
    empty = sorted(name for name, value in found.items() if not value)
    if empty:
        raise InvalidInput(f"{empty[0]} of the PKCS#11 URI is empty", hint="leave it out")
    if "pin-value" in found and "pin-source" in found:
        raise InvalidInput("the PKCS#11 URI has a pin-value and a pin-source", hint="give one of them")


def _text(name: str, raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    if not text.isprintable():
        raise InvalidInput(f"{name} of the PKCS#11 URI is not printable UTF-8", hint="only id is bytes")
    return text


def _value(name: str, text: str) -> object:
    if name == "slot-id":
        if not _NUMBER.fullmatch(text) or int(text) > MAX_SLOT_ID:
            raise InvalidInput(
                "slot-id of the PKCS#11 URI is not a number", hint="softhsm2-util --show-slots"
            )
        return int(text)
    if name == "type" and text not in _TYPES:
        raise InvalidInput("the PKCS#11 URI is not that of a key", hint="leave type out, or say type=private")
    if name == "module-path" and not text.startswith("/"):
        raise InvalidInput(f"module-path {text[:200]!a} is not absolute", hint="give the module's whole path")
    return text


def _pin_file(source: str) -> str:
    """Section 2.4: a file, by its path or as ``file:`` URI; programs (``|…``) are not run."""
    if source.startswith("|"):
        raise InvalidInput(
            "pin-source names a program, and programs are not run",
            hint="run it yourself, and put what it says into COSIGN_PKCS11_PIN",
        )
    path = source if source.startswith("/") else _path_of(source)
    if not path.startswith("/") or not path.isprintable():
        raise InvalidInput("pin-source is not an absolute file", hint="pin-source=file:/run/secrets/pin")
    return path


def _path_of(uri: str) -> str:
    """Empty for a URI that is not that of a file on this machine."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    if parts.scheme != "file" or parts.netloc or parts.query or parts.fragment:
        return ""
    return unquote_to_bytes(parts.path).decode(errors="replace")


def _quoted(value: str | int | bytes) -> str:
    return str(value) if isinstance(value, int) else quote(value, safe="")
