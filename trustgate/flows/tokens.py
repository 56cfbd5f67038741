"""Short-lived tokens of the registry: ES256, scoped to exactly what was asked and is allowed.

Docker's token authentication specification; RFC 7519. Keys are made at the first start and rotate: a
retired key verifies until the last token that it signed has expired.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trustgate.errors import InvalidInput, Unauthorized
from trustgate.flows.access import Actor
from trustgate.oci.names import RepositoryName
from trustgate.ports import Clock, Permission, SigningKey, SigningKeys

LIFETIME_S: Final = 300
NOT_BEFORE_SKEW_S: Final = 5
MAX_SCOPES: Final = 64
MAX_SCOPE_CHARACTERS: Final = 512
MAX_TOKEN_CHARACTERS: Final = 16 * 1024
ISSUER: Final = "trustgate"
_ALGORITHM = "ES256"
_SCOPE = re.compile(r"(?P<type>[a-z]+):(?P<name>[^:]+(?::[0-9]+/[^:]+)?):(?P<actions>[a-z*,]*)")
REPOSITORY_ACTIONS: Mapping[str, Permission] = {"pull": "pull", "push": "push", "delete": "delete"}


@dataclass(frozen=True, slots=True)
class Access:
    """One entry of a token's ``access`` claim."""

    type: str
    name: str
    actions: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"type": self.type, "name": self.name, "actions": list(self.actions)}


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a verified token says."""

    subject: str
    access: tuple[Access, ...]
    expires_at: datetime


def read_scopes(texts: Sequence[str], *, own_hosts: frozenset[str] = frozenset()) -> tuple[Access, ...]:
    """What a client asks for, as it asks. Raises ``InvalidInput``.

    Notary's clients name a repository with its host: one of ``own_hosts`` is taken off.
    """
    words = [word for text in texts for word in text.split()]
    if len(words) > MAX_SCOPES or any(len(word) > MAX_SCOPE_CHARACTERS for word in words):
        raise InvalidInput(
            f"at most {MAX_SCOPES} scopes of {MAX_SCOPE_CHARACTERS} characters may be asked for"
        )
    found = (_SCOPE.fullmatch(word) for word in words)
    return tuple(
        Access(
            match["type"],
            _without_host(match["name"], own_hosts),
            tuple(dict.fromkeys(filter(None, match["actions"].split(",")))),
        )
        for match in found
        if match is not None
    )


def _without_host(name: str, own_hosts: frozenset[str]) -> str:
    host, slash, repository = name.partition("/")
    return repository if slash and host in own_hosts else name


def grant(asked: Iterable[Access], actor: Actor) -> tuple[Access, ...]:
    """Asked ∩ allowed: nothing that was not asked for, nothing that the account may not do."""
    return tuple(Access(item.type, item.name, _allowed(item, actor)) for item in asked)


def _allowed(item: Access, actor: Actor) -> tuple[str, ...]:
    if item.type == "registry":
        return tuple(
            a for a in item.actions if a == "*" and item.name == "catalog" and actor.may_list_catalog
        )
    if item.type != "repository":
        return ()
    try:
        name = RepositoryName(item.name)
    except InvalidInput:
        return ()
    asked = tuple(REPOSITORY_ACTIONS) if "*" in item.actions else item.actions
    return tuple(a for a in asked if a in REPOSITORY_ACTIONS and actor.may(REPOSITORY_ACTIONS[a], name))


class Tokens:
    """Issue and verify. Keys come from, and go to, the store."""

    def __init__(self, keys: SigningKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._lock = Lock()
        self._public: dict[str, ec.EllipticCurvePublicKey] = {}
        self._current: tuple[str, ec.EllipticCurvePrivateKey] | None = None

    def load(self) -> None:
        """Read the keys; make one at the first start."""
        if not any(key.retired_at is None for key in self._keys.all()):
            self._keys.add(_new_key(self._clock.now()), retire_others_at=self._clock.now())
        self._read()

    def rotate(self) -> str:
        """Sign with a new key from now on; returns its id."""
        now = self._clock.now()
        key = _new_key(now)
        self._keys.add(key, retire_others_at=now)
        self._keys.remove_retired(before=now - timedelta(seconds=LIFETIME_S + NOT_BEFORE_SKEW_S))
        self._read()
        return key.id

    def issue(self, subject: str, access: tuple[Access, ...], *, service: str) -> tuple[str, datetime]:
        """A token, and when it expires."""
        if self._current is None:
            raise Unauthorized("the token service has no key yet")
        now = self._clock.now()
        expires = now + timedelta(seconds=LIFETIME_S)
        claims = {
            "iss": ISSUER,
            "sub": subject,
            "aud": service,
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()) - NOT_BEFORE_SKEW_S,
            "exp": int(expires.timestamp()),
            "jti": secrets.token_hex(8),
            "access": [item.as_json() for item in access],
        }
        key_id, key = self._current
        return jwt.encode(claims, key, algorithm=_ALGORITHM, headers={"kid": key_id}), expires

    def verify(self, token: str, *, service: str) -> TokenClaims:
        """Raises ``Unauthorized`` for a token that is foreign, expired, early, or for someone else."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Unauthorized("the token is too long")
        try:
            key = self._public.get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                raise Unauthorized("the token was not signed by this registry", hint="log in again")
            claims = jwt.decode(
                token, key, algorithms=[_ALGORITHM], audience=service, issuer=ISSUER, options=_OPTIONS
            )
        except jwt.PyJWTError as exc:
            raise Unauthorized(f"the token is not valid: {type(exc).__name__}", hint="log in again") from exc
        self._check_times(claims)
        return _read_claims(claims)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        """By the house's clock, and not the library's."""
        now = self._clock.now().timestamp()
        if not all(isinstance(claims[name], int) for name in ("nbf", "exp", "iat")):
            raise Unauthorized("the token has no sound times")
        if now >= claims["exp"]:
            raise Unauthorized("the token has expired", hint="log in again")
        if now < claims["nbf"]:
            raise Unauthorized(
                "the token is from the future",
                hint="the server's clock was set back, or differs between hosts",
            )

    def _read(self) -> None:
        keys = self._keys.all()
        public: dict[str, ec.EllipticCurvePublicKey] = {}
        current: tuple[str, ec.EllipticCurvePrivateKey] | None = None
        for stored in keys:
            key = serialization.load_pem_private_key(stored.private_pem, password=None)
            if isinstance(key, ec.EllipticCurvePrivateKey):
                public[stored.id] = key.public_key()
                current = (stored.id, key) if stored.retired_at is None else current
        with self._lock:
            self._public, self._current = public, current


_OPTIONS: Any = {
    "verify_exp": False,  # checked by our own clock
    "verify_nbf": False,
    "verify_iat": False,
    "require": ["exp", "nbf", "iat", "sub", "aud", "iss", "access"],
}


def _read_claims(claims: Mapping[str, Any]) -> TokenClaims:
    try:
        access = tuple(
            Access(str(item["type"]), str(item["name"]), tuple(map(str, item["actions"])))
            for item in claims["access"]
        )
    except (KeyError, TypeError) as exc:
        raise Unauthorized("the token's access claim can't be read") from exc
    return TokenClaims(str(claims["sub"]), access, datetime.fromtimestamp(claims["exp"], UTC))


def _new_key(now: datetime) -> SigningKey:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SigningKey(id=secrets.token_hex(8), private_pem=pem, created_at=now)
