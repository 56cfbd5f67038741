"""Make and change users, robots and projects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, get_args

from trustgate.errors import InvalidInput, NotFound
from trustgate.flows.access import ANONYMOUS
from trustgate.flows.identity import ROBOT_LOGIN_PREFIX
from trustgate.flows.passwords import Passwords, new_robot_secret, robot_hash
from trustgate.ports import Account, Accounts, Clock, Grant, Permission, Project, Projects

MAX_ROBOT_DAYS: Final = 400
DEFAULT_ROBOT_DAYS: Final = 90
MAX_GRANTS: Final = 200
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_PATTERN = re.compile(r"[a-z0-9*](?:[a-z0-9._/*-]{0,254})")
_PERMISSIONS: frozenset[str] = frozenset(get_args(Permission))


class AccountFlow:
    """Every method is called for an administrator."""

    def __init__(self, accounts: Accounts, projects: Projects, clock: Clock) -> None:
        self._accounts = accounts
        self._projects = projects
        self._clock = clock
        self._passwords = Passwords()

    def create_user(
        self,
        name: str,
        password: str,
        *,
        is_admin: bool = False,
        grants: Sequence[Grant] = (),
        groups: Sequence[str] = (),
    ) -> Account:
        """Raises ``InvalidInput`` or ``Conflict``."""
        account = Account(
            name=_checked_name(name),
            kind="user",
            secret_hash=self._passwords.hash(password),
            is_admin=is_admin,
            grants=_checked_grants(grants),
            groups=frozenset(map(_checked_name, groups)),
            created_at=self._clock.now(),
            expires_at=None,
        )
        self._accounts.create(account)
        return account

    def create_robot(
        self,
        name: str,
        *,
        grants: Sequence[Grant],
        days: int = DEFAULT_ROBOT_DAYS,
        groups: Sequence[str] = (),
        description: str = "",
    ) -> tuple[Account, str]:
        """The robot and its secret, which is shown this once. Raises ``InvalidInput`` or ``Conflict``."""
        if not 1 <= days <= MAX_ROBOT_DAYS:
            raise InvalidInput(
                f"a robot can't live for {days} days", hint=f"choose 1 to {MAX_ROBOT_DAYS}, and rotate it"
            )
        if not grants:
            raise InvalidInput("a robot without grants can do nothing", hint="--grant shop=pull")
        secret = new_robot_secret()
        now = self._clock.now()
        account = Account(
            name=ROBOT_LOGIN_PREFIX + _checked_name(name.removeprefix(ROBOT_LOGIN_PREFIX)),
            kind="robot",
            secret_hash=robot_hash(secret),
            is_admin=False,
            grants=_checked_grants(grants),
            groups=frozenset(map(_checked_name, groups)),
            created_at=now,
            expires_at=now + timedelta(days=days),
            description=description[:200],
        )
        self._accounts.create(account)
        return account, secret

    def set_password(self, name: str, password: str) -> None:
        """Raises ``NotFound`` or ``InvalidInput``."""
        account = self.find(name)
        if account.kind != "user":
            raise InvalidInput(f"{name} is a robot", hint="create a new robot and delete the old one")
        self._accounts.replace(replace(account, secret_hash=self._passwords.hash(password)))

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Raises ``NotFound``."""
        self._accounts.replace(replace(self.find(name), disabled=disabled))

    def set_grants(self, name: str, grants: Sequence[Grant]) -> None:
        """Raises ``NotFound`` or ``InvalidInput``."""
        self._accounts.replace(replace(self.find(name), grants=_checked_grants(grants)))

    def delete(self, name: str) -> None:
        """Raises ``NotFound``."""
        if not self._accounts.delete(name):
            raise NotFound(f"there is no account {name!a}")

    def find(self, name: str) -> Account:
        """Raises ``NotFound``."""
        account = self._accounts.find(name)
        if account is None:
            raise NotFound(f"there is no account {name!a}")
        return account

    def all(self, kind: str) -> tuple[Account, ...]:
        return tuple(account for account in self._accounts.all() if account.kind == kind)

    def put_project(self, name: str, *, public: bool) -> Project:
        """Create a project, or change whether it is public. Raises ``InvalidInput``."""
        found = self._projects.find(_checked_name(name))
        created: datetime = found.created_at if found else self._clock.now()
        project = Project(name, public, created)
        self._projects.put(project)
        return project

    def projects(self) -> tuple[Project, ...]:
        return self._projects.all()


def parse_grant(text: str) -> Grant:
    """``shop=pull,push`` or ``shop/web/**=pull``. Raises ``InvalidInput``."""
    pattern, equals, permissions = text.partition("=")
    if not equals:
        raise InvalidInput(f"{text!a} is not a grant", hint="PATTERN=PERMISSIONS, e.g. shop=pull,push")
    return _checked_grants([Grant(pattern, frozenset(permissions.split(",")))])[0]  # type: ignore[arg-type]  # checked there


def _checked_grants(grants: Sequence[Grant]) -> tuple[Grant, ...]:
    if len(grants) > MAX_GRANTS:
        raise InvalidInput(f"an account can have at most {MAX_GRANTS} grants")
    for grant in grants:
        if not _PATTERN.fullmatch(grant.pattern):
            raise InvalidInput(
                f"{grant.pattern!a} is not a project or pattern", hint="shop, shop/web, shop/*, shop/**"
            )
        if not grant.permissions or not grant.permissions <= _PERMISSIONS:
            wrong = ", ".join(sorted(grant.permissions - _PERMISSIONS)) or "nothing"
            raise InvalidInput(f"{wrong} is no permission", hint="pull, push, delete, admin")
    return tuple(grants)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name == ANONYMOUS:
        raise InvalidInput(
            f"{name[:80]!a} can't be a name", hint="1 to 64 lower-case letters, digits, '.', '_' and '-'"
        )
    return name
