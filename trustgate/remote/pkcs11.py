"""Keys in PKCS#11 tokens: a module is loaded, one token and one key are found in it, and the key signs.

A PIN is given to a token once: a wrong one uses up a try, and after a few the token is locked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trustgate.errors import KeyUnreadable, SigningKeyUnavailable
from trustgate.evidence.keys import PublicKey
from trustgate.evidence.pkcs11.signature import bytes_for_token, signature_from_token
from trustgate.evidence.pkcs11.uri import Pkcs11Uri
from trustgate.evidence.signing_algorithm import SigningAlgorithm
from trustgate.remote import pkcs11_objects as objects

if TYPE_CHECKING:
    from pkcs11.types import PrivateKey, Session, Token

MAX_TOKENS_SHOWN: Final = 10
AskPin = Callable[[str], str]
"""The token's label in, its PIN out."""
_MECHANISMS: Final = {
    SigningAlgorithm.ED25519: "EDDSA",
    SigningAlgorithm.ECDSA_SHA256: "ECDSA",
    SigningAlgorithm.ECDSA_SHA384: "ECDSA",
    SigningAlgorithm.ECDSA_SHA512: "ECDSA",
    SigningAlgorithm.RSA_PKCS1_SHA256: "RSA_PKCS",
    SigningAlgorithm.RSA_PSS_SHA256: "RSA_PKCS_PSS",
    SigningAlgorithm.RSA_PSS_SHA384: "RSA_PKCS_PSS",
    SigningAlgorithm.RSA_PSS_SHA512: "RSA_PKCS_PSS",
}
_INSTALL: Final = "pip install python-pkcs11, or trustgate with its extra: trustgate[pkcs11]"


class TokenKey:
    """A ``SigningKey`` in a token, with the session that it is used in."""

    def __init__(self, session: Session, private: PrivateKey, pin: str | None, name: str) -> None:
        """``pin`` is told before every signature when the key asks for that. Raises ``KeyUnreadable``."""
        self._session, self._name = session, name
        self._private: Any = private  # its type gets ``sign`` from what the key may do
        self._pin = pin if objects.asks_every_time(private) else None
        self._public = objects.public_half(session, private, name)

    def __str__(self) -> str:
        return self._name

    def public_key(self) -> PublicKey:
        return self._public

    def sign(self, content: bytes, algorithm: SigningAlgorithm) -> bytes:
        import pkcs11

        mechanism = pkcs11.Mechanism[_MECHANISMS[algorithm]]
        try:
            raw = self._private.sign(
                bytes_for_token(content, algorithm),
                mechanism=mechanism,
                mechanism_param=_parameters(algorithm),
                pin=self._pin,
            )
        except pkcs11.MechanismInvalid as exc:
            raise SigningKeyUnavailable(
                f"the token of {self._name} does not do {algorithm} (CKM_{mechanism.name})",
                hint="use a key of another kind, or the token's newer firmware",
            ) from exc
        except pkcs11.PKCS11Error as exc:
            raise _answered(f"{self._name} did not sign", exc) from exc
        return signature_from_token(raw, algorithm)

    def close(self) -> None:
        """Log out, and leave the token."""
        _leave(self._session)


def open_token_key(uri: Pkcs11Uri, module: str, ask_pin: AskPin) -> TokenKey:
    """Log in, and find the one key that ``uri`` names.

    Raises ``SigningKeyUnavailable`` when the module or the token can't be used, and ``KeyUnreadable`` for a
    wrong PIN, no such key, several, or one that may not sign.
    """
    token = _find_token(_load(module), uri)
    session, pin = _log_in(token, ask_pin)
    try:
        with _asked(f"{uri} could not be read"):
            return TokenKey(session, objects.find_private(session, uri), pin, str(uri))
    except BaseException:
        _leave(session)
        raise


def read_token_key(uri: Pkcs11Uri, module: str, pin: str | None) -> PublicKey:
    """The public half of the one key that ``uri`` names; without ``pin`` nobody logs in.

    Raises as ``open_token_key`` does.
    """
    token = _find_token(_load(module), uri)
    session = _open(token, None) if pin is None else _log_in(token, lambda _: pin)[0]
    try:
        with _asked(f"{uri} could not be read"):
            return objects.find_public(session, uri)
    finally:
        _leave(session)


def _load(module: str) -> Any:
    if not Path(module).is_file():
        raise SigningKeyUnavailable(
            f"there is no PKCS#11 module {module}", hint="give module-path, such as Debian's softhsm2 has it"
        )
    try:
        import pkcs11
    except ImportError as exc:
        raise SigningKeyUnavailable(
            "PKCS#11 tokens need the package python-pkcs11, which is not installed", hint=_INSTALL
        ) from exc
    try:
        return pkcs11.lib(module)
    except pkcs11.PKCS11Error as exc:
        raise SigningKeyUnavailable(
            f"the PKCS#11 module {module} can't be used: {str(exc) or type(exc).__name__}",
            hint="is it a module for this machine, and does its own configuration say where its tokens are?",
        ) from exc


def _find_token(lib: Any, uri: Pkcs11Uri) -> Token:
    tokens = _tokens(lib)
    found = [one for one in tokens if _fits(one, uri)]
    if len(found) == 1:
        return found[0]
    if found:
        raise KeyUnreadable(
            f"{len(found)} tokens fit {uri}: {_names(found)}", hint="say which one with serial or slot-id"
        )
    raise SigningKeyUnavailable(
        f"no token fits {uri}; there are: {_names([one for one in tokens if one.label]) or 'none'}",
        hint="is it plugged in, and can this user read it?",
    )


def _tokens(lib: Any) -> list[Token]:
    import pkcs11

    found = []
    with _asked("the PKCS#11 module did not list its tokens"):
        for slot in lib.get_slots(token_present=True):
            with suppress(
                pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised
            ):  # pulled out, or of another kind
                found.append(slot.get_token())
    return found


def _fits(token: Token, uri: Pkcs11Uri) -> bool:
    slot = token.slot
    asked = (
        (uri.token, token.label),
        (uri.serial, token.serial.decode("utf-8", "replace")),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
        (uri.slot_id, slot.slot_id),
        (uri.slot_description, slot.slot_description),
        (uri.slot_manufacturer, slot.manufacturer_id),
    )
    return all(wanted is None or wanted == found for wanted, found in asked)


def _names(tokens: Sequence[Token]) -> str:
    shown = [
        f"{one.label!a} (serial {one.serial.decode('utf-8', 'replace')!a}, slot-id {one.slot.slot_id})"
        for one in tokens[:MAX_TOKENS_SHOWN]
    ]
    return ", ".join([*shown, *(["…"] if len(tokens) > MAX_TOKENS_SHOWN else [])])


def _log_in(token: Token, ask_pin: AskPin) -> tuple[Session, str | None]:
    """Once, whatever comes of it."""
    from pkcs11 import PROTECTED_AUTH, TokenFlag

    if not token.flags & TokenFlag.LOGIN_REQUIRED:
        return _open(token, None), None
    if token.flags & TokenFlag.USER_PIN_LOCKED:
        raise _locked(token)
    if token.flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH:  # it has a PIN pad of its own
        return _open(token, PROTECTED_AUTH), None
    pin = ask_pin(token.label)
    return _open(token, pin), pin


def _open(token: Token, pin: object) -> Session:
    import pkcs11

    try:
        return token.open(user_pin=pin)
    except pkcs11.PinLocked as exc:
        raise _locked(token) from exc
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as exc:
        raise KeyUnreadable(
            f"the token {token.label!a} does not take the PIN; {_tries(token)}",
            hint="it was given once, and is not given again: look at it before the next try",
        ) from exc
    except pkcs11.PKCS11Error as exc:
        raise _answered(f"the token {token.label!a} can't be opened", exc) from exc


def _tries(token: Token) -> str:
    """What the token says of itself now: PKCS #11 has no number, only three flags."""
    import pkcs11

    try:
        flags = token.slot.get_token().flags
    except pkcs11.PKCS11Error:
        flags = pkcs11.TokenFlag(0)
    if flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
        return "it is locked now"
    if flags & pkcs11.TokenFlag.USER_PIN_FINAL_TRY:
        return "one try is left, and then it is locked"
    if flags & pkcs11.TokenFlag.USER_PIN_COUNT_LOW:
        return "there are fewer tries left than before, and it does not say how many"
    return "it does not say how many tries are left"


def _locked(token: Token) -> KeyUnreadable:
    return KeyUnreadable(
        f"the token {token.label!a} is locked: its PIN was given wrongly too often",
        hint="whoever holds the token's SO PIN can set a new one",
    )


def _parameters(algorithm: SigningAlgorithm) -> tuple[Any, Any, int] | None:
    """``CK_RSA_PKCS_PSS_PARAMS``, for PSS."""
    import pkcs11

    if _MECHANISMS[algorithm] != "RSA_PKCS_PSS" or algorithm.hash is None:
        return None
    name = f"SHA{algorithm.hash.digest_size * 8}"
    return pkcs11.Mechanism[name], pkcs11.MGF[name], algorithm.hash.digest_size


def _leave(session: Session) -> None:
    import pkcs11

    with suppress(pkcs11.PKCS11Error):  # the token is gone, and the session with it
        session.close()


@contextmanager
def _asked(what: str) -> Iterator[None]:
    import pkcs11

    try:
        yield
    except pkcs11.PKCS11Error as exc:
        raise _answered(what, exc) from exc


def _answered(what: str, error: Exception) -> SigningKeyUnavailable:
    said = f" ({error})" if str(error) else ""
    return SigningKeyUnavailable(
        f"{what}: the token answers {type(error).__name__}{said}",
        hint="the module's own log says more; is the token still there?",
    )
