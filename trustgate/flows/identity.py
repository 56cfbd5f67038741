"""From an ``Authorization`` header to an actor. What it never does: tell why a login was wrong.

Basic credentials and tokens are verified once and remembered, under a keyed hash, until they expire or any
account changes. Anonymous callers get what public projects give.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Final

from trustgate.errors import Unauthorized
from trustgate.flows.access import ANONYMOUS, Actor
from trustgate.flows.passwords import Passwords, looks_like_robot_secret, robot_matches
from trustgate.flows.throttle import Throttle
from trustgate.flows.tokens import REPOSITORY_ACTIONS, TokenClaims, Tokens
from trustgate.policy.model import Caller
from trustgate.ports import Account, Accounts, Clock, Freshness, Permission, Projects

MAX_REMEMBERED: Final = 10_000
REMEMBERED_S: Final = 60.0
MAX_HEADER_CHARACTERS: Final = 20 * 1024
MAX_LOGIN_CHARACTERS: Final = 128
FREE_ATTEMPTS_OF_SOURCE: Final = 100
"""People's failed logins from one address, whatever names are tried; then one a second. Checking a password
is slow on purpose, and whoever makes up names must not keep the machine busy with it."""
ROBOT_LOGIN_PREFIX: Final = "robot$"


class Identity:
    """Authenticates. ``service`` is the audience of tokens: the registry's own name."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        projects: Projects,
        tokens: Tokens,
        freshness: Freshness,
        clock: Clock,
        service: str,
    ) -> None:
        self._accounts = accounts
        self._projects = projects
        self._tokens = tokens
        self._freshness = freshness
        self._clock = clock
        self._service = service
        self._passwords = Passwords()
        self._throttle = Throttle(clock)
        self._crowd = Throttle(clock, free_attempts=FREE_ATTEMPTS_OF_SOURCE, longest_wait_s=1.0)
        self._memory = _Memory()

    @property
    def service(self) -> str:
        return self._service

    def remembered(self, authorization: str | None) -> Actor | None:
        """The actor, if this very header was verified a moment ago and no account changed since: no IO."""
        found = self._memory.get(authorization or "", self._revision(), self._clock)
        if found is None or (found.valid_until is not None and self._clock.now() >= found.valid_until):
            return None
        return found

    def authenticate(self, authorization: str | None, source: str) -> Actor:
        """Raises ``Unauthorized`` or ``TooManyAttempts``. May block: argon2id, the database."""
        found = self.remembered(authorization)
        if found is not None:
            return found
        revision = self._revision()  # before the look-ups: a change in between makes the memory stale
        actor = self._verify(authorization, source)
        self._memory.put(authorization or "", revision, self._clock, actor)
        return actor

    def log_in(self, name: str, secret: str, source: str) -> Actor:
        """Name and secret to an actor. Raises ``Unauthorized`` or ``TooManyAttempts``."""
        name = name[:MAX_LOGIN_CHARACTERS]  # failed ones are remembered; no account has such a name
        self._throttle.check(name, source)
        if _is_person(name):
            self._crowd.check("", source)
        account = self._accounts.find(name)
        if not self._secret_fits(name, account, secret) or account is None or not self._in_force(account):
            self._throttle.failed(name, source)
            if _is_person(name):
                self._crowd.failed("", source)
            raise Unauthorized(
                "wrong user name or password", hint="robots log in as robot$NAME with their secret"
            )
        self._throttle.succeeded(name, source)
        return self.actor_of(account)

    def actor_of(self, account: Account) -> Actor:
        """All that an account may do, unscoped."""
        return Actor(
            caller=Caller(account.name, account.groups),
            is_admin=account.is_admin,
            grants=account.grants,
            public_projects=self._public(),
            may_list_catalog=account.is_admin,
            valid_until=account.expires_at,
        )

    def anonymous(self) -> Actor:
        return Actor(caller=Caller(ANONYMOUS), public_projects=self._public())

    def _verify(self, authorization: str | None, source: str) -> Actor:
        if not authorization:
            return self.anonymous()
        kind, _space, value = authorization.partition(" ")
        if len(authorization) > MAX_HEADER_CHARACTERS:
            raise Unauthorized("the Authorization header is too long")
        if kind.lower() == "basic":
            return self.log_in(*_basic(value), source)
        if kind.lower() == "bearer":
            return self._bearer(self._tokens.verify(value.strip(), service=self._service))
        raise Unauthorized("the Authorization header is neither Basic nor Bearer")

    def _bearer(self, claims: TokenClaims) -> Actor:
        scope, catalog = _scope(claims)
        if claims.subject == ANONYMOUS:
            return replace(self.anonymous(), scope=scope, valid_until=claims.expires_at)
        account = self._accounts.find(claims.subject)
        if account is None or not self._in_force(account):
            raise Unauthorized("the token's account is not in force any more", hint="log in again")
        actor = self.actor_of(account)
        return replace(
            actor,
            scope=scope,
            may_list_catalog=catalog and actor.may_list_catalog,
            valid_until=min(filter(None, (claims.expires_at, account.expires_at))),
        )

    def _secret_fits(self, name: str, account: Account | None, secret: str) -> bool:
        if not _is_person(name):
            if not looks_like_robot_secret(secret):
                return False
            return account is not None and robot_matches(account.secret_hash, secret)
        return self._passwords.matches(account.secret_hash if account else None, secret)

    def _in_force(self, account: Account) -> bool:
        expired = account.expires_at is not None and account.expires_at <= self._clock.now()
        return not account.disabled and not expired

    def _public(self) -> frozenset[str]:
        return frozenset(project.name for project in self._projects.all() if project.public)

    def _revision(self) -> int:
        return self._freshness.vector("").accounts


def _is_person(name: str) -> bool:
    return not name.startswith(ROBOT_LOGIN_PREFIX)


class _Memory:
    """Verified headers, under a hash with a key of this process: a dump of memory holds no credentials."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._entries: OrderedDict[bytes, tuple[int, float, Actor]] = OrderedDict()
        self._lock = Lock()

    def get(self, header: str, revision: int, clock: Clock) -> Actor | None:
        entry = self._entries.get(self._name(header))
        if entry is None or entry[0] != revision or clock.monotonic() - entry[1] > REMEMBERED_S:
            return None
        return entry[2]

    def put(self, header: str, revision: int, clock: Clock, actor: Actor) -> None:
        with self._lock:
            self._entries[self._name(header)] = (revision, clock.monotonic(), actor)
            while len(self._entries) > MAX_REMEMBERED:
                self._entries.popitem(last=False)

    def _name(self, header: str) -> bytes:
        return hmac.digest(self._key, header.encode("utf-8", "surrogateescape"), hashlib.sha256)


def _basic(value: str) -> tuple[str, str]:
    try:
        name, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as exc:
        raise Unauthorized("the Basic credentials can't be read") from exc
    if not colon or not name:
        raise Unauthorized("the Basic credentials have no user name")
    return name, secret


def _scope(claims: TokenClaims) -> tuple[Mapping[str, frozenset[Permission]], bool]:
    """(repository to permissions, whether the catalog may be listed)."""
    scope: dict[str, frozenset[Permission]] = {}
    catalog = False
    for item in claims.access:
        if item.type == "repository":
            held = frozenset(REPOSITORY_ACTIONS[a] for a in item.actions if a in REPOSITORY_ACTIONS)
            scope[item.name] = scope.get(item.name, frozenset()) | held
        elif item.type == "registry" and item.name == "catalog" and "*" in item.actions:
            catalog = True
    return scope, catalog
