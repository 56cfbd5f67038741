"""The words of a decision: who asks for what, what is known, and the verdict with every rule's answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.model import (
    Absent,
    Known,
    Outcome,
    Role,
    SignatureFact,
    Signer,
    TimeEvidence,
    Unreachable,
)
from trustgate.evidence.scan_report import ScanFindings
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag


class Action(StrEnum):
    """What is asked for: ``TAG`` moves a name, ``PUSH`` adds content, ``MOUNT`` reads another repository."""

    PULL = "pull"
    PUSH = "push"
    TAG = "tag"
    DELETE = "delete"
    MOUNT = "mount"


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated principal: ``alice``, ``robot$prod`` or ``anonymous``."""

    name: str
    groups: frozenset[str] = frozenset()

    @property
    def is_robot(self) -> bool:
        return self.name.startswith("robot$")


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the policy. ``digest`` is what the tag was resolved to, once."""

    action: Action
    repository: RepositoryName
    digest: Digest
    caller: Caller
    tag: Tag | None = None


class Fact(Protocol):
    """What a judge found in one signature or attestation: what rules count has these."""

    @property
    def outcome(self) -> Outcome: ...

    @property
    def reason(self) -> str: ...

    @property
    def signers(self) -> tuple[Signer, ...]: ...

    @property
    def attestors(self) -> tuple[str, ...]: ...

    @property
    def signed_at(self) -> datetime | None: ...

    @property
    def logs(self) -> int: ...

    @property
    def timestamps(self) -> int: ...

    @property
    def unproven(self) -> frozenset[TimeEvidence]: ...

    @property
    def valid_until(self) -> datetime | None: ...


F = TypeVar("F", bound=Fact)


@dataclass(frozen=True, slots=True)
class Partly(Generic[F]):
    """Facts about some of them; others could not be read or judged, and ``why``.

    ``waits``: nothing is wrong with the others, there are many and the next request goes on. Whoever may push
    can bring that about, so ``onError: allow`` does not speak of it.
    """

    facts: tuple[F, ...]
    why: str
    waits: bool = False


Facts: TypeAlias = Known[tuple[F, ...]] | Partly[F] | Absent | Unreachable
Signatures: TypeAlias = Facts[SignatureFact]
Attestations: TypeAlias = Facts[AttestationFact]
Arriving: TypeAlias = Facts[SignatureFact | AttestationFact]
"""What a push brings that signs or attests something; ``Absent`` when it brings nothing of the kind."""


def facts_of(found: Facts[F]) -> tuple[F, ...]:
    """All that is known, whole or not."""
    match found:
        case Known(facts) | Partly(facts):
            return facts
        case Absent() | Unreachable():
            return ()


Scan: TypeAlias = Known[ScanFindings] | Absent | Unreachable
_NOT_GATHERED = Unreachable("not gathered")


@dataclass(frozen=True, slots=True)
class SubjectEvidence:
    """What is known of one manifest. ``children`` are the platform manifests of an index, in order;
    ``complete`` is false when some child that the index names is not held here (a sparse index)."""

    digest: Digest
    role: Role
    media_type: str
    signatures: Signatures
    scan: Scan
    children: tuple[SubjectEvidence, ...] = ()
    complete: bool = True
    platform: str = ""
    attestations: Attestations = _NOT_GATHERED


@dataclass(frozen=True, slots=True)
class TagState:
    """For immutability: where the tag points now, and which tags would lose their digest, or a part of
    the index that they point to."""

    current: Digest | None
    tags_of_digest: tuple[Tag, ...] = ()
    tags_of_parents: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a verdict may depend on. ``parents`` are indexes of the same repository that
    contain the subject, nearest first: a signature on one of them covers its children. ``arriving`` is what
    the request itself would add."""

    subject: SubjectEvidence
    parents: tuple[SubjectEvidence, ...] = ()
    tag: Known[TagState] | Unreachable = _NOT_GATHERED
    arriving: Arriving = _NOT_GATHERED


def manifests_of(evidence: Evidence) -> Iterator[SubjectEvidence]:
    """All that were looked at, nested ones included; each once, however often indexes list it."""
    seen: set[Digest] = set()
    waiting = deque((evidence.subject, *evidence.parents))
    while waiting:
        subject = waiting.popleft()
        if subject.digest not in seen:
            seen.add(subject.digest)
            yield subject
            waiting.extend(subject.children)


class Need(StrEnum):
    """Kinds of evidence that the matching rules ask for: a flow gathers these and no others."""

    SIGNATURES = "signatures"
    ATTESTATIONS = "attestations"
    SCAN = "scan"
    TAG = "tag"
    ARRIVING = "arriving"


class RuleOutcome(StrEnum):
    """What one rule answered. Permanent words: they stand in records."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    EXEMPT = "exempt"


Mode = Literal["enforce", "warn", "audit", "off"]


@dataclass(frozen=True, slots=True)
class Violation:
    """One concrete thing that is wrong: a vulnerability in a package, or a missing signer."""

    subject: str
    """``CVE-2026-1234``, or the attestor that is missing."""
    package: str = ""
    installed: str = ""
    fixed: str = ""
    severity: str = ""
    where: str = ""
    """Which child of an index, by platform; empty for the subject itself."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule's answer: its permanent id (``prod/signed``), where it stands, why, and what to do."""

    rule: str
    kind: str
    """``contentTrust``, ``attestation`` …; ``default`` for the root's noMatch."""
    file: str
    line: int
    mode: Mode
    outcome: RuleOutcome
    reason_code: str
    """Permanent, kebab-case: ``unsigned``, ``signer-not-trusted``, ``unscanned`` …"""
    message: str
    fix: str = ""
    violations: tuple[Violation, ...] = ()
    more_violations: int = 0


class VerdictKind(StrEnum):
    ALLOW = "allow"
    WARN = "warn"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one ``Request``: the worst of all rules that apply, every rule's result kept.

    ``valid_until`` is the earliest moment at which a rule that depends on time could turn;
    ``cacheable`` is false when any rule was Unknown.
    """

    kind: VerdictKind
    request: Request
    policy_revision: str
    results: tuple[RuleResult, ...]
    at: datetime
    valid_until: datetime | None
    cacheable: bool
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def allowed(self) -> bool:
        return self.kind is not VerdictKind.DENY

    @property
    def worst(self) -> tuple[RuleResult, ...]:
        """The results that speak against it, those that deny first."""
        against = [r for r in self.results if r.outcome in (RuleOutcome.FAIL, RuleOutcome.UNKNOWN)]
        return tuple(sorted(against, key=lambda r: (r.mode != "enforce", r.mode != "warn")))
