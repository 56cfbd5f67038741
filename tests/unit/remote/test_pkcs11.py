"""Keys in tokens: which token, which key, one try with a PIN, and what every answer that is no means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from pkcs11 import Attribute, CertificateType, KeyType, ObjectClass, TokenFlag

from tests import notation_world
from tests.signing_world import key
from tests.simulators.tokens import (
    ALWAYS,
    PIN,
    SimulatedModule,
    SimulatedObject,
    SimulatedSlot,
    SimulatedToken,
)
from trustgate.errors import KeyUnreadable, SigningKeyUnavailable, TrustgateError
from trustgate.evidence import signature_bytes
from trustgate.evidence.notation import algorithms
from trustgate.evidence.pkcs11.uri import read_pkcs11_uri
from trustgate.evidence.signing_algorithm import cosign_algorithm
from trustgate.remote.pkcs11 import TokenKey, open_token_key, read_token_key

KEY = "pkcs11:token=release;object=web"
COSIGN_KINDS = ("p256", "p384", "ed25519", "rsa2048")


class World:
    """A module with one token, that holds one key pair."""

    def __init__(self, path: Path) -> None:
        self.path = path / "module.so"
        self.path.write_bytes(b"")
        self.module = SimulatedModule()
        self.token = SimulatedToken()
        self.module.put(self.token)
        self.private = self.token.add(key("p256"))
        self.asked: list[str] = []
        self.pin = PIN

    def open(self, text: str = KEY) -> TokenKey:
        return open_token_key(read_pkcs11_uri(text), str(self.path), self.ask)

    def read(self, text: str = KEY, pin: str | None = None) -> Any:
        return read_token_key(read_pkcs11_uri(text), str(self.path), pin)

    def ask(self, label: str) -> str:
        self.asked.append(label)
        return self.pin

    def replace(self, private: Any, **more: Any) -> SimulatedObject:
        self.token.objects.clear()
        return self.token.add(private, **more)

    @property
    def public(self) -> SimulatedObject:
        (found,) = (one for one in self.token.objects if one[Attribute.CLASS] == ObjectClass.PUBLIC_KEY)
        return found

    def refusal(self, *, text: str = KEY) -> TrustgateError:
        with pytest.raises((KeyUnreadable, SigningKeyUnavailable)) as caught:
            self.open(text)
        assert all(one.closed for one in self.token.sessions[-1:])
        assert self.pin not in f"{caught.value.message} {caught.value.detail} {caught.value.hint}"
        return caught.value


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(pkcs11, "lib", made.module)
    return made


# --- a key that signs ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", COSIGN_KINDS)
def test_it_signs_as_cosign_does(world: World, kind: str) -> None:
    world.replace(key(kind))
    held = world.open()
    public = held.public_key()
    assert public == key(kind).public_key() == world.read()
    assert signature_bytes.verifies(public, held.sign(b"content", cosign_algorithm(public)), b"content")
    assert (world.asked, world.token.pins, str(held)) == (["release"], [PIN], KEY)
    assert not world.token.sessions[0].closed
    held.close()
    assert world.token.sessions[0].closed


@pytest.mark.parametrize("kind", notation_world.KINDS)
def test_it_signs_as_notation_does(world: World, kind: str) -> None:
    world.replace(key(kind))
    held = world.open()
    public: Any = held.public_key()
    signature = held.sign(b"content", algorithms.signing_algorithm(public))
    assert algorithms.verifies(public, algorithms.side_by_side(public, signature), b"content")


def test_a_key_that_wants_its_pin_before_every_signature(world: World) -> None:
    private = world.replace(key("p256"))
    private.attributes[Attribute.ALWAYS_AUTHENTICATE] = True
    private.pin = PIN
    held = world.open()
    for _ in range(2):
        held.sign(b"x", cosign_algorithm(held.public_key()))
    assert (private.told, world.asked) == ([PIN, PIN], ["release"])


def test_other_keys_are_told_no_pin_again(world: World) -> None:
    held = world.open()
    held.sign(b"x", cosign_algorithm(held.public_key()))
    assert world.private.told == [None]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (pkcs11.MechanismInvalid(), SigningKeyUnavailable, "does not do ECDSA with SHA-256"),
        (pkcs11.DeviceRemoved(), SigningKeyUnavailable, "did not sign: the token answers DeviceRemoved"),
        (pkcs11.PKCS11Error("Unmapped error code 68"), SigningKeyUnavailable, "Unmapped error code 68"),
    ],
)
def test_a_token_that_does_not_sign(
    world: World, error: Exception, kind: type[TrustgateError], said: str
) -> None:
    held = world.open()
    world.private.error = error
    with pytest.raises(kind, match=said):
        held.sign(b"x", cosign_algorithm(held.public_key()))


def test_a_token_that_answers_nonsense(world: World) -> None:
    held = world.open()
    world.private.answer = b"x" * 7
    with pytest.raises(SigningKeyUnavailable, match="7 bytes, which are no ECDSA"):
        held.sign(b"x", cosign_algorithm(held.public_key()))


def test_leaving_a_token_that_is_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = world.open()

    def gone() -> None:
        raise pkcs11.DeviceRemoved

    monkeypatch.setattr(world.token.sessions[0], "close", gone)
    held.close()


# --- which token -----------------------------------------------------------------------------------


def test_there_is_no_such_module(world: World) -> None:
    world.path.unlink()
    assert "there is no PKCS#11 module" in world.refusal().message


@pytest.mark.parametrize("error", [pkcs11.GeneralError(), pkcs11.PKCS11Error("undefined symbol: C_Get")])
def test_a_module_that_does_not_load(world: World, error: Exception) -> None:
    world.module.error = error
    said = world.refusal()
    assert isinstance(said, SigningKeyUnavailable)
    assert "can't be used" in said.message
    assert (str(error) or "GeneralError") in said.message


def test_the_library_is_not_installed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    with pytest.raises(SigningKeyUnavailable, match="python-pkcs11, which is not installed") as caught:
        world.open()
    assert "trustgate[pkcs11]" in caught.value.hint


def test_no_token_fits(world: World) -> None:
    world.module.put(pkcs11.TokenNotRecognised())
    said = world.refusal(text="pkcs11:token=other;object=web")
    assert isinstance(said, SigningKeyUnavailable)
    assert "no token fits pkcs11:token=other;object=web; there are: 'release' (serial '0001'" in said.message
    world.module.slots.clear()
    assert "there are: none" in world.refusal().message
    world.module.slots.append(SimulatedSlot(1, pkcs11.DeviceError()))
    assert "did not list its tokens" in world.refusal().message


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("pkcs11:token=release;serial=0001;object=web", True),
        ("pkcs11:token=release;serial=0002;object=web", False),
        ("pkcs11:serial=0001;manufacturer=simulators;model=one;object=web", True),
        ("pkcs11:serial=0001;manufacturer=others;object=web", False),
        ("pkcs11:serial=0001;model=two;object=web", False),
        ("pkcs11:slot-id=70;object=web", True),
        ("pkcs11:slot-id=71;object=web", False),
        ("pkcs11:token=release;slot-id=71;object=web", False),
        ("pkcs11:slot-id=70;slot-description=a%20slot;slot-manufacturer=simulators;object=web", True),
        ("pkcs11:slot-id=70;slot-description=another;object=web", False),
        ("pkcs11:slot-id=70;slot-manufacturer=others;object=web", False),
    ],
)
def test_every_attribute_narrows(world: World, text: str, fits: bool) -> None:
    if fits:
        assert world.open(text).public_key() == key("p256").public_key()
    else:
        assert "no token fits" in world.refusal(text=text).message


def test_two_tokens_fit(world: World) -> None:
    world.module.put(SimulatedToken(serial=b"0002"))
    said = world.refusal()
    assert isinstance(said, KeyUnreadable)
    assert "2 tokens fit" in said.message
    assert "0001" in said.message
    assert "0002" in said.message
    assert world.token.pins == []
    assert world.open("pkcs11:serial=0001;object=web").public_key() == key("p256").public_key()


# --- one try ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (TokenFlag(0), "does not say how many tries are left"),
        (TokenFlag.USER_PIN_COUNT_LOW, "fewer tries left than before"),
        (TokenFlag.USER_PIN_COUNT_LOW | TokenFlag.USER_PIN_FINAL_TRY, "one try is left, and then"),
        (TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_LOCKED, "it is locked now"),
    ],
)
def test_a_wrong_pin_is_told_once(world: World, flags: TokenFlag, said: str) -> None:
    world.token.after_wrong = flags
    world.pin = "wrong-pin"
    refusal = world.refusal()
    assert isinstance(refusal, KeyUnreadable)
    assert "'release' does not take the PIN" in refusal.message
    assert said in refusal.message
    assert world.token.pins == ["wrong-pin"]


@pytest.mark.parametrize("error", [pkcs11.PinInvalid(), pkcs11.PinLenRange()])
def test_a_pin_of_no_form(world: World, error: Exception) -> None:
    world.token.refuses, world.pin = error, "bad-pin"
    assert "does not take the PIN" in world.refusal().message


def test_a_locked_token_is_given_no_pin(world: World) -> None:
    world.token.flags |= TokenFlag.USER_PIN_LOCKED
    assert "is locked" in world.refusal().message
    assert (world.asked, world.token.pins) == ([], [])
    world.token.flags = ALWAYS
    world.token.refuses, world.pin = pkcs11.PinLocked(), "bad-pin"
    assert "is locked" in world.refusal().message


def test_a_token_that_does_not_open(world: World) -> None:
    world.token.refuses, world.pin = pkcs11.UserPinNotInitialized(), "bad-pin"
    said = world.refusal()
    assert isinstance(said, SigningKeyUnavailable)
    assert "UserPinNotInitialized" in said.message


def test_a_token_without_login_and_one_with_a_pin_pad(world: World) -> None:
    world.private.attributes[Attribute.PRIVATE] = False
    world.token.flags = TokenFlag.TOKEN_INITIALIZED
    world.open()
    assert (world.asked, world.token.pins) == ([], [])
    world.token.flags = ALWAYS | TokenFlag.PROTECTED_AUTHENTICATION_PATH
    world.open()
    assert (world.asked, world.token.pins) == ([], [pkcs11.PROTECTED_AUTH])


# --- which key -------------------------------------------------------------------------------------


def test_no_such_key(world: World) -> None:
    for text in ("pkcs11:token=release;object=other", f"{KEY};id=%02", "pkcs11:token=release;id=%01%00"):
        said = world.refusal(text=text)
        assert isinstance(said, KeyUnreadable)
        assert f"there is no private key {text.replace('%01%00', '%01%00')}" in said.message


def test_two_keys_fit_and_both_are_named(world: World) -> None:
    world.token.add(key("p256", "mallory"), identifier=b"\x02")
    said = world.refusal()
    assert isinstance(said, KeyUnreadable)
    assert "2 keys fit" in said.message
    assert "'web' (id 01), 'web' (id 02)" in said.message
    assert world.open(f"{KEY};id=%02").public_key() == key("p256", "mallory").public_key()
    with pytest.raises(KeyUnreadable, match=r"2 keys fit .*id 01.*id 02"):
        world.read()
    assert world.read(f"{KEY};id=%01") == key("p256").public_key()


def test_many_keys_fit(world: World) -> None:
    for number in range(2, 30):
        world.token.add(key("p256"), identifier=bytes([number]))
    assert "10 or more keys fit" in world.refusal().message


def test_a_key_that_may_not_sign(world: World) -> None:
    world.private.attributes[Attribute.SIGN] = False
    assert "may not sign" in world.refusal().message
    del world.private.attributes[Attribute.SIGN]
    assert "may not sign" in world.refusal().message
    assert world.private.told == []


def test_a_public_key_does_not_sign(world: World) -> None:
    assert "is a public key" in world.refusal(text=f"{KEY};type=public").message
    assert world.read(f"{KEY};type=public") == key("p256").public_key()
    assert world.open(f"{KEY};type=private").public_key() == key("p256").public_key()


# --- its public half -------------------------------------------------------------------------------


def certificate(world: World, kind: str = "p256") -> SimulatedObject:
    issued = notation_world.issue(notation_world.root(), private=key(kind))
    made = SimulatedObject(
        {
            Attribute.CLASS: ObjectClass.CERTIFICATE,
            Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
            Attribute.LABEL: "web",
            Attribute.ID: b"\x01",
            Attribute.VALUE: issued.certificate.public_bytes(Encoding.DER),
        }
    )
    world.token.objects.append(made)
    return made


def test_a_certificate_stands_for_the_public_key(world: World) -> None:
    world.token.objects.remove(world.public)
    certificate(world)
    assert world.open().public_key() == key("p256").public_key() == world.read()


def test_a_certificate_of_another_kind_stands_for_nothing(world: World) -> None:
    world.token.objects.remove(world.public)
    certificate(world).attributes[Attribute.CERTIFICATE_TYPE] = CertificateType.WTLS
    assert "neither a public key nor a certificate" in world.refusal().message


def test_an_rsa_key_knows_its_public_half(world: World) -> None:
    world.replace(key("rsa2048"))
    world.token.objects.remove(world.public)
    assert world.open().public_key() == key("rsa2048").public_key()
    with pytest.raises(KeyUnreadable, match="there is no public key"):
        world.read()


def test_no_public_half(world: World) -> None:
    world.token.objects.remove(world.public)
    assert "neither a public key nor a certificate" in world.refusal().message
    with pytest.raises(KeyUnreadable, match="there is no public key") as caught:
        world.read()
    assert "pin-source" in caught.value.hint
    assert world.token.pins == [PIN]


def test_the_public_half_is_found_by_id_then_by_label(world: World) -> None:
    world.public.attributes[Attribute.LABEL] = "another name"
    assert world.open().public_key() == key("p256").public_key()
    world.public.attributes[Attribute.LABEL] = "web"
    world.token.add(key("p256", "bob"), "bob", b"\x01")
    assert world.open().public_key() == key("p256").public_key()
    for one in world.token.objects:
        one.attributes[Attribute.LABEL] = "web"
    world.private.attributes[Attribute.ID] = b""
    world.token.objects = [one for one in world.token.objects if one is world.private or one.key is None]
    assert "has 2 public keys" in world.refusal().message


def spoilt(*, remove: Attribute | None = None, **values: Any) -> Callable[[World], None]:
    def spoil(world: World) -> None:
        if remove is not None:
            del world.public.attributes[remove]
        world.public.attributes |= {Attribute[name]: value for name, value in values.items()}

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoilt(remove=Attribute.EC_POINT), "does not say its CKA_EC_POINT"),
        (spoilt(EC_POINT=b"x"), "not a point"),
        (spoilt(EC_PARAMS=b"x"), "curve that is not known"),
        (spoilt(KEY_TYPE=KeyType.DSA), "neither an RSA nor an EC"),
        (spoilt(KEY_TYPE=KeyType.RSA), "does not say its CKA_MODULUS"),
        (spoilt(remove=Attribute.KEY_TYPE), "neither an RSA nor an EC"),
    ],
)
def test_a_public_half_that_is_no_key(world: World, spoil: Callable[[World], None], said: str) -> None:
    spoil(world)
    assert said in world.refusal().message
    with pytest.raises(KeyUnreadable, match=said):
        world.read()


def test_a_certificate_that_is_none(world: World) -> None:
    world.token.objects.remove(world.public)
    certificate(world).attributes[Attribute.VALUE] = b"x"
    assert "certificate can't be read" in world.refusal().message


def test_a_token_that_fails_while_it_is_searched(world: World) -> None:
    world.token.error = pkcs11.DeviceError()
    said = world.refusal()
    assert isinstance(said, SigningKeyUnavailable)
    assert "could not be read: the token answers DeviceError" in said.message


def test_reading_the_public_half_tells_no_pin_unless_there_is_one(world: World) -> None:
    world.read()
    assert world.token.pins == []
    world.public.attributes[Attribute.PRIVATE] = True
    with pytest.raises(KeyUnreadable, match="there is no public key"):
        world.read()
    assert world.read(pin=PIN) == key("p256").public_key()
    assert world.token.pins == [PIN]
    assert all(one.closed for one in world.token.sessions)
