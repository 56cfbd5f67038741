"""Rules as they are judged: checked, frozen, each with the scope it applies to and the line it stands in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.predicate_query import PredicateQuery
from trustgate.evidence.scan_report import Severity
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.globs import Glob, matches_any
from trustgate.policy.model import Action, Caller, Mode, Need, Request

ActionWord: TypeAlias = Literal["pull", "push", "tag", "delete", "mount"]
Answer: TypeAlias = Literal["deny", "warn", "allow"]

ANONYMOUS: Final = "anonymous"
STRICTNESS: Final[dict[Mode, int]] = {"enforce": 3, "warn": 2, "audit": 1, "off": 0}
MODE_OF: Final[dict[Answer, Mode]] = {"deny": "enforce", "warn": "warn"}


def milder(one: Mode, other: Mode) -> Mode:
    """The mode that does less."""
    return min(one, other, key=lambda mode: STRICTNESS[mode])


def words_of(request: Request) -> frozenset[ActionWord]:
    """The words under which policies may speak about a request.

    A mount reads what it takes, so what is said of pulls holds for it; a push by tag moves that tag.
    """
    match request.action:
        case Action.PULL:
            return frozenset({"pull"})
        case Action.MOUNT:
            return frozenset({"pull", "mount"})
        case Action.TAG:
            return frozenset({"push", "tag"})
        case Action.PUSH:
            return frozenset({"push", "tag"}) if request.tag else frozenset({"push"})
        case Action.DELETE:
            return frozenset({"delete"})


@dataclass(frozen=True, slots=True)
class TagScope:
    """``include`` is ``None`` for every tag; ``untagged`` says whether requests by digest are in scope."""

    include: tuple[Glob, ...] | None = None
    exclude: tuple[Glob, ...] = ()
    untagged: bool = True

    def covers(self, tag: Tag) -> bool:
        included = self.include is None or matches_any(self.include, tag)
        return included and not matches_any(self.exclude, tag)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a policy speaks."""

    actions: frozenset[ActionWord]
    repositories: tuple[Glob, ...]
    exclude: tuple[Glob, ...] = ()
    tags: TagScope = TagScope()

    def holds(self, repository: RepositoryName) -> bool:
        return matches_any(self.repositories, repository) and not matches_any(self.exclude, repository)


# --- what a rule asks ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedBy:
    """A verified signature by this attestor."""

    attestor: Attestor


@dataclass(frozen=True, slots=True)
class AnyOf:
    items: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    items: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """``count`` of these, told apart by their keys: one key under two names counts once."""

    count: int
    attestors: tuple[Attestor, ...]


Requirement: TypeAlias = SignedBy | AnyOf | AllOf | AtLeast


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a signature or attestation needs beside its signer to count; the plain value asks nothing more."""

    max_age: timedelta | None = None
    """Since its proven time: one whose time nothing proves is too old."""
    max_age_key: Literal["signatureMaxAge", "maxAge"] = "signatureMaxAge"
    """How the policy calls it."""
    log: Literal["required", "ifPresent", "ignore"] = "ignore"
    timestamp: bool = False
    revocation: bool = False
    repository: RepositoryName | None = None
    """What the signer must have said that it signs, so that a signature is good in one place only."""


@dataclass(frozen=True, slots=True)
class ContentTrust:
    """``inherits``: a containing index may speak for it. ``each``: an index needs its children to pass."""

    require: Requirement
    subject: Literal["index", "manifest", "index-or-manifest"]
    inherits: bool
    each: bool
    same_repository: bool = False
    """Whether a signature counts only where the signer said that the image is."""
    conditions: Conditions = Conditions()

    kind: Literal["contentTrust"] = field(default="contentTrust", init=False)
    need: Need = field(default=Need.SIGNATURES, init=False)
    speaks_on: frozenset[ActionWord] = field(
        default=frozenset({"pull", "push", "tag", "mount"}), init=False, repr=False
    )


@dataclass(frozen=True, slots=True)
class Attestation:
    """Attestations of one of these types, by whom ``by`` says: both have to hold for the same one.

    ``at_least`` counts statements that differ. ``inherits`` and ``each`` as in ``ContentTrust``. With a
    ``query`` only those count that hold it; ``message`` is what its author says where none does.
    """

    predicate_types: tuple[str, ...]
    by: Requirement
    at_least: int
    inherits: bool
    each: bool
    conditions: Conditions = Conditions(max_age_key="maxAge")
    query: PredicateQuery | None = None
    message: str = ""

    kind: Literal["attestation"] = field(default="attestation", init=False)
    need: Need = field(default=Need.ATTESTATIONS, init=False)
    speaks_on: frozenset[ActionWord] = field(
        default=frozenset({"pull", "push", "tag", "mount"}), init=False, repr=False
    )


@dataclass(frozen=True, slots=True)
class Threshold:
    """``least`` is ``None`` for any severity, ``fixable`` for either."""

    least: Severity | None
    fixable: bool | None
    known_exploited: bool


@dataclass(frozen=True, slots=True)
class SeverityLimit:
    """``unranked`` is how to count what the scanner could not rank; ``None`` for not at all."""

    thresholds: tuple[Threshold, ...]
    on_unscanned: Answer
    on_unscannable: Answer
    unranked: Severity | None

    kind: Literal["severity"] = field(default="severity", init=False)
    need: Need = field(default=Need.SCAN, init=False)
    speaks_on: frozenset[ActionWord] = field(
        default=frozenset({"pull", "push", "tag", "mount"}), init=False, repr=False
    )


@dataclass(frozen=True, slots=True)
class Immutability:
    """True is "denied" throughout."""

    overwrite: bool
    same_digest: bool
    delete_tag: bool
    delete_artifact: bool
    exempt_referrers: bool

    kind: Literal["immutability"] = field(default="immutability", init=False)
    need: Need = field(default=Need.TAG, init=False)
    speaks_on: frozenset[ActionWord] = field(
        default=frozenset({"push", "tag", "delete"}), init=False, repr=False
    )


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose signatures and attestations may arrive here: exactly one of the two names anybody.

    It speaks on ``push`` alone, which every push is, with a tag or without.
    """

    only: tuple[Attestor, ...] = ()
    deny: tuple[Attestor, ...] = ()

    kind: Literal["signers"] = field(default="signers", init=False)
    need: Need = field(default=Need.ARRIVING, init=False)
    speaks_on: frozenset[ActionWord] = field(default=frozenset({"push"}), init=False, repr=False)


Check: TypeAlias = ContentTrust | Attestation | SeverityLimit | Immutability | Signers


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of one policy. ``id`` is ``policy/rule`` and permanent."""

    id: str
    file: str
    line: int
    mode: Mode
    allow_on_error: bool
    scope: Scope
    check: Check

    def applies_to(self, request: Request, words: frozenset[ActionWord]) -> bool:
        """Whether the rule speaks about this request; ``words`` are its ``words_of``."""
        if self.mode == "off" or not words & self.scope.actions & self.check.speaks_on:
            return False
        if not self.scope.holds(request.repository):
            return False
        if request.tag is not None:
            return self.scope.tags.covers(request.tag)
        # Deleting by digest takes the tags along, whatever ``untagged`` says.
        return self.scope.tags.untagged or request.action is Action.DELETE


# --- what stands above the rules -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exemption:
    """Who is let past which rules, in writing."""

    robots: tuple[Glob, ...]
    users: tuple[Glob, ...]
    groups: tuple[Glob, ...]
    actions: frozenset[ActionWord]
    rules: tuple[Glob, ...]
    repositories: tuple[Glob, ...] | None
    why: str
    file: str
    line: int

    def covers(self, request: Request, rule: str) -> bool:
        if not words_of(request) & self.actions or not matches_any(self.rules, rule):
            return False
        if self.repositories is not None and not matches_any(self.repositories, request.repository):
            return False
        return self._names(request.caller)

    def _names(self, caller: Caller) -> bool:
        if caller.name == ANONYMOUS:  # nobody has proven to be anyone
            return False
        names = self.robots if caller.is_robot else self.users
        return matches_any(names, caller.name) or any(
            matches_any(self.groups, name) for name in caller.groups
        )


@dataclass(frozen=True, slots=True)
class NoMatch:
    """The answers where no rule speaks, and where they are written down."""

    pull: Answer
    push: Answer
    delete: Answer
    file: str
    line: int

    def answer(self, request: Request) -> Answer:
        match request.action:
            case Action.PULL | Action.MOUNT:
                return self.pull
            case Action.PUSH | Action.TAG:
                return self.push
            case Action.DELETE:
                return self.delete
