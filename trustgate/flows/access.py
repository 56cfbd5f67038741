"""Who may do what: grants of an account, narrowed by the scope of the token that was presented.

This is authentication's half and speaks before policy does: whoever may not see a repository learns
nothing about it. It never says that content is good, see ``flows/admit.py`` for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from trustgate.policy.model import Caller
from trustgate.ports import Grant, Permission

ANONYMOUS = "anonymous"
ALL_PERMISSIONS: frozenset[Permission] = frozenset({"pull", "push", "delete", "admin"})


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of one request, and what the credential that was presented allows.

    ``scope`` is the token's, exactly as granted; ``None`` for Basic credentials and for nobody, where
    the account's grants and the public projects count.
    """

    caller: Caller
    is_admin: bool = False
    grants: tuple[Grant, ...] = ()
    public_projects: frozenset[str] = frozenset()
    scope: Mapping[str, frozenset[Permission]] | None = None
    may_list_catalog: bool = False
    valid_until: datetime | None = None
    """When the credential that was presented expires."""

    @property
    def is_anonymous(self) -> bool:
        return self.caller.name == ANONYMOUS

    def may(self, permission: Permission, repository: str) -> bool:
        """Whether this credential allows it on ``repository``."""
        if self.scope is not None and permission not in self.scope.get(repository, frozenset()):
            return False
        return permission in permissions_on(self, repository)  # a token never outlives its account's right

    def may_below(self, permission: Permission, project: str) -> bool:
        """Whether it might allow it on some repository of ``project``: asked before a name is known.

        A yes is no permission; a no spares reading what could not be stored anyway.
        """
        if self.scope is not None:
            names = [name for name in self.scope if name.partition("/")[0] == project]
            return any(self.may(permission, name) for name in names)
        if self.is_admin:
            return True
        wanted = {permission, "admin"}
        return any(wanted & grant.permissions and _may_reach(grant.pattern, project) for grant in self.grants)


def permissions_on(actor: Actor, repository: str) -> frozenset[Permission]:
    """All that the account itself may do on ``repository``, whatever the token says."""
    if actor.is_admin:
        return ALL_PERMISSIONS
    allowed: set[Permission] = set()
    for grant in actor.grants:
        if grant_matches(grant.pattern, repository):
            allowed |= grant.permissions
    if "admin" in allowed:
        allowed |= ALL_PERMISSIONS
    if repository.partition("/")[0] in actor.public_projects:
        allowed.add("pull")
    return frozenset(allowed)


def grant_matches(pattern: str, repository: str) -> bool:
    """``shop`` is the whole project; otherwise a glob: ``*`` inside a segment, ``**`` across segments."""
    if "/" not in pattern and "*" not in pattern:
        return repository.partition("/")[0] == pattern
    return bool(_compiled(pattern).fullmatch(repository))


def _may_reach(pattern: str, project: str) -> bool:
    """Whether the glob could match something in the project: ``**`` may stand for slashes too."""
    first = pattern.partition("/")[0]
    head, across, _ = first.partition("**")
    return grant_matches(f"{head}**" if across else first, project)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    translated = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(translated.get(part, re.escape(part)) for part in parts))
