"""A PKCS#11 module with tokens, to be broken: what the library ``pkcs11`` gives of one, as far as it is used.

``tests/interop/test_pkcs11.py`` puts the same questions to SoftHSM.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, TokenFlag

PIN = "4321"
HASHES = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
CURVES = {
    "secp256r1": "06082a8648ce3d030107",
    "secp384r1": "06052b81040022",
    "secp521r1": "06052b81040023",
    "secp256k1": "06052b8104000a",
}
NONE = TokenFlag(0)
ALWAYS = TokenFlag.LOGIN_REQUIRED | TokenFlag.USER_PIN_INITIALIZED | TokenFlag.TOKEN_INITIALIZED


@dataclass(eq=False)
class SimulatedObject:
    """An object of a token, by its attributes; a private key signs with ``key``."""

    attributes: dict[Attribute, Any]
    key: Any = None
    pin: str | None = None
    """What it wants to be told before each signature."""
    error: Exception | None = None
    answer: bytes | None = None
    told: list[str | None] = field(default_factory=list)

    def __getitem__(self, name: Attribute) -> Any:
        if name not in self.attributes:
            raise pkcs11.AttributeTypeInvalid
        return self.attributes[name]

    def sign(self, data: bytes, *, mechanism: Mechanism, mechanism_param: Any, pin: str | None) -> bytes:
        self.told.append(pin)
        if self.error is not None:
            raise self.error
        assert pin == self.pin
        return (
            raw_signature(self.key, data, mechanism, mechanism_param) if self.answer is None else self.answer
        )


def raw_signature(key: Any, data: bytes, mechanism: Mechanism, param: Any) -> bytes:
    """As PKCS #11 3.1 has it for the mechanism."""
    signature: bytes
    assert param is None or mechanism is Mechanism.RSA_PKCS_PSS
    match mechanism:
        case Mechanism.EDDSA:
            assert isinstance(key, ed25519.Ed25519PrivateKey)
            return key.sign(data)
        case Mechanism.ECDSA:
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(Prehashed(HASHES[len(data)]))))
            width = (key.curve.key_size + 7) // 8
            return r.to_bytes(width) + s.to_bytes(width)
        case Mechanism.RSA_PKCS:
            assert data.startswith(DIGEST_INFO)
            digest = data[len(DIGEST_INFO) :]
            signature = key.sign(digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
            return signature
        case Mechanism.RSA_PKCS_PSS:
            chosen = HASHES[len(data)]
            name = f"SHA{len(data) * 8}"
            assert param == (Mechanism[name], pkcs11.MGF[name], len(data))
            signature = key.sign(data, padding.PSS(padding.MGF1(chosen), len(data)), Prehashed(chosen))
            return signature
    raise pkcs11.MechanismInvalid


@dataclass(eq=False)
class SimulatedSession:
    token: SimulatedToken
    logged_in: bool
    closed: bool = False

    def get_objects(self, wanted: dict[Attribute, Any]) -> Iterator[SimulatedObject]:
        if self.token.error is not None:
            raise self.token.error
        for one in self.token.objects:
            hidden = one.attributes.get(Attribute.PRIVATE, False) and not self.logged_in
            if not hidden and wanted.items() <= one.attributes.items():
                yield one

    def close(self) -> None:
        self.closed = True


@dataclass(eq=False)
class SimulatedToken:
    """Its PIN is ``PIN``; ``after_wrong`` are the flags that it shows once it was given another."""

    label: str = "release"
    serial: bytes = b"0001"
    manufacturer_id: str = "simulators"
    model: str = "one"
    flags: TokenFlag = ALWAYS
    after_wrong: TokenFlag = NONE
    refuses: Exception = field(default_factory=pkcs11.PinIncorrect)
    objects: list[SimulatedObject] = field(default_factory=list)
    error: Exception | None = None
    pins: list[object] = field(default_factory=list)
    sessions: list[SimulatedSession] = field(default_factory=list)
    slot: Any = None

    def open(self, *, user_pin: object) -> SimulatedSession:
        if user_pin is not None:
            self.pins.append(user_pin)
            if user_pin not in {PIN, pkcs11.PROTECTED_AUTH}:
                self.flags |= self.after_wrong
                raise self.refuses
        session = SimulatedSession(self, user_pin is not None)
        self.sessions.append(session)
        return session

    def add(self, key: Any, label: str = "web", identifier: bytes = b"\x01", **more: Any) -> SimulatedObject:
        """A key pair; gives the private half."""
        private, public = objects_of(key, label, identifier)
        private.attributes |= more
        self.objects += [private, public]
        return private


@dataclass(eq=False)
class SimulatedSlot:
    slot_id: int
    token: SimulatedToken | Exception
    slot_description: str = "a slot"
    manufacturer_id: str = "simulators"

    def get_token(self) -> SimulatedToken:
        if isinstance(self.token, Exception):
            raise self.token
        return self.token


@dataclass(eq=False)
class SimulatedModule:
    """What ``pkcs11.lib`` gives for a path."""

    slots: list[SimulatedSlot] = field(default_factory=list)
    error: Exception | None = None

    def __call__(self, _path: str) -> SimulatedModule:
        if self.error is not None:
            raise self.error
        return self

    def get_slots(self, *, token_present: bool) -> list[SimulatedSlot]:
        assert token_present
        return self.slots

    def put(self, token: SimulatedToken | Exception) -> None:
        slot = SimulatedSlot(70 + len(self.slots), token)
        if isinstance(token, SimulatedToken):
            token.slot = slot
        self.slots.append(slot)


def objects_of(key: Any, label: str, identifier: bytes) -> tuple[SimulatedObject, SimulatedObject]:
    named = {Attribute.LABEL: label, Attribute.ID: identifier}
    public = {**named, Attribute.CLASS: ObjectClass.PUBLIC_KEY, **public_attributes(key)}
    private = {
        **named,
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: public[Attribute.KEY_TYPE],
        Attribute.SIGN: True,
        Attribute.PRIVATE: True,
    }
    if isinstance(key, rsa.RSAPrivateKey):
        private |= {name: public[name] for name in (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT)}
    return SimulatedObject(private, key), SimulatedObject(public)


def public_attributes(key: Any) -> dict[Attribute, Any]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {
            Attribute.KEY_TYPE: KeyType.RSA,
            Attribute.MODULUS: numbers.n.to_bytes(public.key_size // 8),
            Attribute.PUBLIC_EXPONENT: numbers.e.to_bytes(3),
        }
    if isinstance(public, ed25519.Ed25519PublicKey):
        point, params, kind = public.public_bytes_raw(), "06032b6570", KeyType.EC_EDWARDS
    else:
        point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        params, kind = CURVES[public.curve.name], KeyType.EC
    return {
        Attribute.KEY_TYPE: kind,
        Attribute.EC_PARAMS: bytes.fromhex(params),
        Attribute.EC_POINT: octet_string(point),
    }


def octet_string(content: bytes) -> bytes:
    length = bytes([len(content)]) if len(content) < 0x80 else bytes([0x81, len(content)])
    return b"\x04" + length + content
