"""The objects in a token: the one private key that is meant, and its public half."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from trustgate.errors import KeyUnreadable
from trustgate.evidence.keys import PublicKey
from trustgate.evidence.pkcs11.public_key import (
    certified_public_key,
    ec_public_key,
    ed25519_public_key,
    rsa_public_key,
)
from trustgate.evidence.pkcs11.uri import Pkcs11Uri

if TYPE_CHECKING:
    from pkcs11.types import PrivateKey, Session

MAX_OBJECTS: Final = 10
"""Objects that are looked at: two are too many already."""
_LIST: Final = "pkcs11-tool --list-objects shows what is there"


def find_private(session: Session, uri: Pkcs11Uri) -> PrivateKey:
    """The one key that signs. Raises ``KeyUnreadable`` for none, for several, and for one that may not."""
    import pkcs11

    if uri.type == "public":
        raise KeyUnreadable(
            f"{uri} is a public key, which can't sign", hint="say type=private, or leave it out"
        )
    found = _find(session, pkcs11.ObjectClass.PRIVATE_KEY, uri.object, uri.id)
    private: PrivateKey = _one(found, uri, "private key")
    if not _attribute(private, pkcs11.Attribute.SIGN):
        raise KeyUnreadable(f"the key {uri} may not sign (CKA_SIGN is false)", hint="name a signing key")
    return private


def find_public(session: Session, uri: Pkcs11Uri) -> PublicKey:
    """The public half of the one key that is meant. Raises ``KeyUnreadable``.

    A token that keeps no public key beside the private one often has its certificate, under the same id.
    """
    import pkcs11

    for kind in (pkcs11.ObjectClass.PUBLIC_KEY, pkcs11.ObjectClass.CERTIFICATE):
        found = _find(session, kind, uri.object, uri.id)
        if found:
            return _public_key(_one(found, uri, "public key"), str(uri))
    raise KeyUnreadable(
        f"there is no public key {uri}",
        hint=f"some tokens show it only to who has logged in: give pin-source; {_LIST}",
    )


def public_half(session: Session, private: PrivateKey, name: str) -> PublicKey:
    """The public key that belongs to ``private``. Raises ``KeyUnreadable``."""
    import pkcs11

    label, identifier = _attribute(private, pkcs11.Attribute.LABEL), _attribute(private, pkcs11.Attribute.ID)
    for kind in (pkcs11.ObjectClass.PUBLIC_KEY, pkcs11.ObjectClass.CERTIFICATE):
        found = _belonging(session, kind, label, identifier)
        if len(found) > 1:
            raise KeyUnreadable(
                f"{name} has {len(found)} public keys: {_names(found)}",
                hint="remove those that are not its own",
            )
        if found:
            return _public_key(found[0], name)
    if _attribute(private, pkcs11.Attribute.KEY_TYPE) == pkcs11.KeyType.RSA:
        return _rsa(private, name)
    raise KeyUnreadable(
        f"the token has neither a public key nor a certificate that belongs to {name}",
        hint="write one of them into the token, under the id of the private key",
    )


def _belonging(session: Session, kind: Any, label: str | None, identifier: bytes | None) -> list[Any]:
    """By id, which PKCS #11 says is one for both halves, and label; by one where there is only one."""
    by_both = _find(session, kind, label, identifier or None) if label else []
    return by_both or (_find(session, kind, None, identifier) if identifier else [])


def asks_every_time(private: PrivateKey) -> bool:
    """``CKA_ALWAYS_AUTHENTICATE``: the PIN is to be told before each signature."""
    import pkcs11

    return bool(_attribute(private, pkcs11.Attribute.ALWAYS_AUTHENTICATE))


def _find(session: Session, kind: Any, label: str | None, identifier: bytes | None) -> list[Any]:
    import pkcs11

    wanted: dict[pkcs11.Attribute, object] = {pkcs11.Attribute.CLASS: kind}
    if label is not None:
        wanted[pkcs11.Attribute.LABEL] = label
    if identifier is not None:
        wanted[pkcs11.Attribute.ID] = identifier
    if kind == pkcs11.ObjectClass.CERTIFICATE:
        wanted[pkcs11.Attribute.CERTIFICATE_TYPE] = pkcs11.CertificateType.X_509
    search: Any = session.get_objects(wanted)
    try:
        return list(islice(search, MAX_OBJECTS))
    finally:
        search.close()  # a search that is left open blocks the next one


def _one(found: Sequence[Any], uri: Pkcs11Uri, what: str) -> Any:
    if not found:
        raise KeyUnreadable(f"there is no {what} {uri}", hint=_LIST)
    if len(found) > 1:
        more = "or more " if len(found) == MAX_OBJECTS else ""
        raise KeyUnreadable(
            f"{len(found)} {more}keys fit {uri}: {_names(found)}", hint="say which one with object and id"
        )
    return found[0]


def _names(found: Iterable[Any]) -> str:
    import pkcs11

    pairs = [(_attribute(one, pkcs11.Attribute.LABEL), _attribute(one, pkcs11.Attribute.ID)) for one in found]
    return ", ".join(
        f"{label or ''!a} (id {(identifier or b'').hex() or 'none'})" for label, identifier in pairs
    )


def _public_key(found: Any, name: str) -> PublicKey:
    import pkcs11

    if _attribute(found, pkcs11.Attribute.CLASS) == pkcs11.ObjectClass.CERTIFICATE:
        return certified_public_key(_needed(found, pkcs11.Attribute.VALUE, name))
    kind = _attribute(found, pkcs11.Attribute.KEY_TYPE)
    if kind == pkcs11.KeyType.RSA:
        return _rsa(found, name)
    readers = {pkcs11.KeyType.EC: ec_public_key, pkcs11.KeyType.EC_EDWARDS: ed25519_public_key}
    if kind not in readers:
        raise KeyUnreadable(f"{name} is neither an RSA nor an EC nor an Ed25519 key", hint="name another key")
    return readers[kind](
        _needed(found, pkcs11.Attribute.EC_PARAMS, name), _needed(found, pkcs11.Attribute.EC_POINT, name)
    )


def _rsa(found: Any, name: str) -> PublicKey:
    import pkcs11

    return rsa_public_key(
        _needed(found, pkcs11.Attribute.MODULUS, name),
        _needed(found, pkcs11.Attribute.PUBLIC_EXPONENT, name),
    )


def _needed(found: Any, attribute: Any, name: str) -> bytes:
    value = _attribute(found, attribute)
    if not isinstance(value, bytes):
        raise KeyUnreadable(f"{name} does not say its CKA_{attribute.name}", hint="is it a public key?")
    return value


def _attribute(found: Any, attribute: Any) -> Any:
    """``None`` for one that the object does not have, or does not tell."""
    import pkcs11

    try:
        return found[attribute]
    except (pkcs11.AttributeTypeInvalid, pkcs11.AttributeSensitive):
        return None
