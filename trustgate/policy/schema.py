"""The policy format as strict models, and the keys of the format that this version does not carry out.

A key in ``later`` is refused as "not supported by this version"; any other unknown key is a mistake. Neither
is ever ignored. Scalars arrive as the text that stands in the file and are read by the field they stand in.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from trustgate.policy.predicate_types import why_refused
from trustgate.policy.yaml_nodes import Scalar

API_VERSION: Final = "trustgate.dev/v1"
MAX_LIST: Final = 1000
_SPAN: Final = re.compile(r"([0-9]{1,5})([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
NOT_SUPPORTED: Final = "not_supported"
WRONG_VALUE: Final = "wrong_value"


def kind_of(value: object) -> str:
    """What stands there, for people."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Scalar):
        return "nothing" if value.is_null else f"{value.text[:60]!r}"
    return "nothing"


def _scalar(value: object, expected: str) -> Scalar:
    if isinstance(value, dict) and "regex" in value:
        raise PydanticCustomError(
            NOT_SUPPORTED, "a regex item is not supported by this version; write a glob"
        )
    if not isinstance(value, Scalar) or value.is_null:
        raise wrong(f"expected {expected}, found {kind_of(value)}")
    return value


def wrong(message: str) -> PydanticCustomError:
    """The error of a value that does not fit, for validators."""
    return PydanticCustomError(WRONG_VALUE, "{why}", {"why": message})


def _text(value: object) -> str:
    text = _scalar(value, "a text").text
    if not text.strip():
        raise wrong("expected a text, found an empty one")
    return text


def _flag(value: object) -> bool:
    scalar = _scalar(value, "true or false")
    if not scalar.plain or scalar.text not in ("true", "false"):
        raise wrong(f"expected true or false, found {scalar.text[:60]!r}")
    return scalar.text == "true"


def _count(value: object) -> int:
    scalar = _scalar(value, "a whole number")
    if not scalar.plain or not scalar.text.isascii() or not scalar.text.isdigit() or len(scalar.text) > 4:
        raise wrong(f"expected a whole number from 1 to 9999, found {scalar.text[:60]!r}")
    return int(scalar.text)


def _moment(value: object) -> datetime:
    """RFC 3339 with a time zone, or a date, which begins in UTC."""
    text = _scalar(value, "a date (2027-01-31) or a moment (2027-01-31T12:00:00Z)").text
    try:
        if len(text) == len("2027-01-31"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise wrong(f"{text[:60]!r} is no date (2027-01-31) and no moment (2027-01-31T12:00:00Z)") from exc
    if moment.tzinfo is None:
        raise wrong(f"{text[:60]!r} has no time zone; end it with Z or +01:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise wrong(f"{text[:60]!r} is out of range") from exc


def _span(value: object) -> timedelta:
    scalar = _scalar(value, "a time span like 90d or 12h")
    found = _SPAN.fullmatch(scalar.text)
    if found is None or not int(found[1]):
        raise wrong(f"expected a time span like 90d or 12h, found {scalar.text[:60]!r}")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def word(*known: str, later: tuple[str, ...] = ()) -> BeforeValidator:
    """One of a few words; those of ``later`` belong to the format, and not to this version."""
    choice = ", ".join(known)

    def read(value: object) -> str:
        text = _scalar(value, f"one of {choice}").text
        if text in later:
            raise PydanticCustomError(NOT_SUPPORTED, f"{text} is not supported by this version; use {choice}")
        if text not in known:
            raise wrong(f"expected one of {choice}, found {text[:60]!r}")
        return text

    return BeforeValidator(read)


def _predicate_type(value: object) -> str:
    text = _text(value)
    why = why_refused(text)
    if why:
        raise wrong(why)
    return text


def _expression(value: object) -> str:
    """May have lines; what it means is looked at where it is built."""
    text = _scalar(value, "an expression").text.strip()
    if not text:
        raise wrong("expected an expression, found nothing")
    return text


def _one_or_more(value: object) -> object:
    """A single text is short for a list of one."""
    return [value] if isinstance(value, Scalar) else value


Text: TypeAlias = Annotated[str, BeforeValidator(_text)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag)]
Count: TypeAlias = Annotated[int, BeforeValidator(_count), Field(ge=1)]
Span: TypeAlias = Annotated[timedelta, BeforeValidator(_span)]
Moment: TypeAlias = Annotated[datetime, BeforeValidator(_moment)]
Expression: TypeAlias = Annotated[str, BeforeValidator(_expression)]
Texts: TypeAlias = Annotated[list[Text], Field(min_length=1, max_length=MAX_LIST)]
PredicateTypes: TypeAlias = Annotated[
    list[Annotated[str, BeforeValidator(_predicate_type)]],
    BeforeValidator(_one_or_more),
    Field(min_length=1, max_length=MAX_LIST),
]
Children: TypeAlias = Annotated[Literal["inherit", "each"], word("inherit", "each")]
TransparencyLog: TypeAlias = Annotated[
    Literal["required", "ifPresent", "ignore"], word("required", "ifPresent", "ignore")
]
Timestamp: TypeAlias = Annotated[
    Literal["always", "ifCertExpired"], word("always", "ifCertExpired", later=("ignore",))
]
Answer: TypeAlias = Annotated[Literal["deny", "warn", "allow"], word("deny", "warn", "allow")]
YesNo: TypeAlias = Annotated[Literal["deny", "allow"], word("deny", "allow")]
OnError: TypeAlias = Annotated[Literal["deny", "allow"], word("deny", "allow", later=("stale",))]
PolicyMode: TypeAlias = Annotated[
    Literal["enforce", "warn", "audit", "off"], word("enforce", "warn", "audit", "off")
]
ActionWord: TypeAlias = Annotated[
    Literal["pull", "push", "tag", "delete", "mount"],
    word("pull", "push", "tag", "delete", "mount", later=("copy",)),
]
Actions: TypeAlias = Annotated[list[ActionWord], Field(min_length=1, max_length=5)]
Level: TypeAlias = Annotated[
    Literal["negligible", "low", "medium", "high", "critical"],
    word("negligible", "low", "medium", "high", "critical"),
]


class Strict(BaseModel):
    """A mapping of the format. ``parts`` says which model its inner mappings have."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, arbitrary_types_allowed=True
    )
    later: ClassVar[frozenset[str]] = frozenset()
    parts: ClassVar[dict[str, Any]] = {}  # type[Strict], or {"*": type[Strict]} for free names

    @classmethod
    def known_keys(cls) -> frozenset[str]:
        return frozenset(str(field.alias) for field in cls.model_fields.values())


class Metadata(Strict):
    name: Text
    owner: Text = ""
    description: Text = ""
    docs: Text = ""


class Tags(Strict):
    include: Texts | None = None
    exclude: Texts | None = None
    untagged: Annotated[Literal["include", "exclude"], word("include", "exclude")] = "include"


class Exclude(Strict):
    repositories: Texts
    later = frozenset({"actions", "tags", "clients", "annotations"})


class Scope(Strict):
    repositories: Texts
    actions: Actions = ["pull"]
    exclude: Exclude | None = None
    tags: Tags | None = None
    later = frozenset(
        {"platforms", "mediaTypes", "artifactTypes", "upstream", "annotations", "clients", "time", "projects"}
    )
    parts = {"exclude": Exclude, "tags": Tags}


class Requirement(Strict):
    """Exactly one of ``attestor``, ``anyOf``, ``allOf`` and ``atLeast`` (with ``of``)."""

    attestor: Text | None = None
    any_of: Annotated[list[Requirement], Field(min_length=1, max_length=MAX_LIST)] | None = None
    all_of: Annotated[list[Requirement], Field(min_length=1, max_length=MAX_LIST)] | None = None
    at_least: Count | None = None
    of: Texts | None = None
    distinct: Annotated[Literal["identity"], word("identity")] | None = None
    later = frozenset({"not", "keyless", "identity"})


Requirement.parts = {"anyOf": Requirement, "allOf": Requirement}


class ContentTrust(Strict):
    require: Requirement
    subject: Annotated[
        Literal["index", "manifest", "index-or-manifest"], word("index", "manifest", "index-or-manifest")
    ] = "index-or-manifest"
    children: Children | None = None
    signature_max_age: Span | None = None
    transparency_log: TransparencyLog = "ignore"
    timestamp: Timestamp = "ifCertExpired"
    reference: Annotated[Literal["any", "same-repository"], word("any", "same-repository")] = "any"
    revocation: Annotated[Literal["enforce"] | None, word("enforce", later=("log", "skip"))] = None
    parts = {"require": Requirement}


class Attestation(Strict):
    predicate_type: PredicateTypes
    by: Requirement
    at_least: Count = 1
    children: Children = "inherit"
    max_age: Span | None = None
    transparency_log: TransparencyLog = "ignore"
    timestamp: Timestamp = "ifCertExpired"
    cel: Expression = ""
    each: Text = ""
    deny_when: Expression = ""
    message: Text = ""
    parts = {"by": Requirement}


class Threshold(Strict):
    """A line that matches is a violation; what it does not mention does not matter."""

    severity: Level | None = None
    fixable: Flag | None = None
    kev: Flag | None = None
    later = frozenset({"graceFrom", "grace", "cvss", "vector", "epss", "packages"})


class Severity(Strict):
    thresholds: Annotated[list[Threshold], Field(min_length=1, max_length=MAX_LIST)]
    on_unscanned: Annotated[
        Literal["deny", "warn", "allow"], word("deny", "warn", "allow", later=("wait",))
    ] = "deny"
    on_unscannable: Answer = "deny"
    unknown_severity: Annotated[
        Literal["negligible", "low", "medium", "high", "critical", "allow"],
        word("negligible", "low", "medium", "high", "critical", "allow"),
    ] = "critical"
    later = frozenset(
        {"source", "waitMax", "reportMaxAge", "databaseMaxAge", "vex", "ignorePackages", "alreadyRunning"}
    )
    parts = {"thresholds": Threshold}


class Deletion(Strict):
    tag: Annotated[Literal["deny", "allow"], word("deny", "allow", later=("tombstone",))] = "deny"
    artifact: Annotated[Literal["deny", "allow"], word("deny", "allow", later=("tombstone",))] = "deny"
    later = frozenset({"retention"})


def _deletion(value: object) -> object:
    """``delete: deny`` is short for both."""
    return {"tag": value, "artifact": value} if isinstance(value, Scalar) else value


class Immutability(Strict):
    overwrite: YesNo
    same_digest: YesNo = "allow"
    delete: Annotated[Deletion, BeforeValidator(_deletion)] = Deletion()
    exempt_referrers: Flag = True
    later = frozenset({"mediaTypeChange"})
    parts = {"delete": Deletion}


class Signers(Strict):
    """Exactly one of ``only`` and ``deny``: names of attestors."""

    only: Texts | None = None
    deny: Texts | None = None
    later = frozenset({"keyless", "identity"})


class Rule(Strict):
    id: Text
    mode: PolicyMode | None = None
    content_trust: ContentTrust | None = None
    attestation: Attestation | None = None
    severity: Severity | None = None
    immutability: Immutability | None = None
    signers: Signers | None = None
    later = frozenset({"cel", "push", "retention", "message", "enforceAfter", "onError", "params"})
    parts = {
        "contentTrust": ContentTrust,
        "attestation": Attestation,
        "severity": Severity,
        "immutability": Immutability,
        "signers": Signers,
    }


class PolicyDocument(Strict):
    api_version: Text
    kind: Text
    metadata: Metadata
    scope: Scope
    rules: Annotated[list[Rule], Field(min_length=1, max_length=MAX_LIST)]
    mode: PolicyMode = "enforce"
    on_error: OnError | None = None
    later = frozenset({"enforceAfter", "staleMaxAge", "breakGlass", "exceptions", "projects", "requires"})
    parts = {"metadata": Metadata, "scope": Scope, "rules": Rule}


class NoMatch(Strict):
    """What happens where no policy speaks; all three have to be written down."""

    pull: Answer
    push: Answer
    delete: Answer


class Defaults(Strict):
    no_match: NoMatch
    on_error: OnError = "deny"
    later = frozenset({"decisionBudget", "staleMaxAge", "clientErrorCode"})
    parts = {"noMatch": NoMatch}


class Exempt(Strict):
    robots: Texts | None = None
    users: Texts | None = None
    groups: Texts | None = None
    actions: Actions
    rules: Texts
    repositories: Texts | None = None
    why: Text
    later = frozenset({"expires", "networks"})


class RootDocument(Strict):
    api_version: Text
    kind: Text
    defaults: Defaults
    exempt: Annotated[list[Exempt], Field(max_length=MAX_LIST)] = []
    later = frozenset({"projects", "exceptionsLimits", "breakGlass", "requires", "signers", "delegation"})
    parts = {"defaults": Defaults, "exempt": Exempt}
