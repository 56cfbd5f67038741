"""Policies, evidence and requests to put tests together from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trustgate.errors import PolicyInvalid
from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.keys import key_id
from trustgate.evidence.model import (
    Absent,
    Known,
    Outcome,
    Role,
    SignatureFact,
    SignatureKind,
    Signer,
    Unreachable,
)
from trustgate.evidence.scan_report import (
    Coverage,
    Finding,
    Package,
    ScanFindings,
    ScanReport,
    ScanStatus,
    Severity,
)
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.document import PolicySet, load
from trustgate.policy.engine import evaluate
from trustgate.policy.model import (
    Action,
    Caller,
    Evidence,
    Request,
    RuleResult,
    SubjectEvidence,
    TagState,
    Verdict,
)

NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)
DIGEST = Digest.of(b"subject")
OTHER = Digest.of(b"other")
CHILD = Digest.of(b"child")
INDEX = Digest.of(b"index")
REVISION = "1" * 40

HEAD = "apiVersion: trustgate.dev/v1\n"


@lru_cache
def public_key(name: str) -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def pem(name: str) -> bytes:
    return public_key(name).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def root(*, pull: str = "allow", push: str = "allow", delete: str = "allow", rest: str = "") -> bytes:
    return (
        f"{HEAD}kind: Root\ndefaults:\n  noMatch: {{pull: {pull}, push: {push}, delete: {delete}}}\n{rest}"
    ).encode()


def trust(*names: str, extra: str = "") -> bytes:
    lines = "".join(f"  {name}: {{type: cosign-key, key: keys/{name}.pub}}\n" for name in names)
    return f"{HEAD}kind: TrustStore\nattestors:\n{lines}{extra}".encode()


def policy(rules: str, *, name: str = "prod", scope: str = 'repositories: ["**"]', top: str = "") -> bytes:
    body = "".join(f"  {line}\n" for line in rules.strip("\n").splitlines())
    return f"{HEAD}kind: Policy\nmetadata: {{name: {name}}}\n{top}scope: {{{scope}}}\nrules:\n{body}".encode()


def tree(
    *policies: bytes, root_file: bytes | None = None, attestors: tuple[str, ...] = ()
) -> dict[str, bytes]:
    files = {"trustgate.yaml": root_file or root()}
    files |= {f"policies/p{at}.yaml": text for at, text in enumerate(policies)}
    if attestors:
        files["trust/attestors.yaml"] = trust(*attestors)
        files |= {f"trust/keys/{name}.pub": pem(name) for name in attestors}
    return files


def policy_set(
    *policies: bytes, root_file: bytes | None = None, attestors: tuple[str, ...] = ()
) -> PolicySet:
    return load(tree(*policies, root_file=root_file, attestors=attestors), revision=REVISION)


def signed(require: str, *, rest: str = "") -> str:
    return f"- id: signed\n  contentTrust: {{require: {require}{rest}}}"


def severe(thresholds: str = "{severity: critical}", *, rest: str = "") -> str:
    return f"- id: severity\n  severity: {{thresholds: [{thresholds}]{rest}}}"


def pull(
    *,
    action: Action = Action.PULL,
    repository: str = "prod/api",
    tag: str | None = "v1",
    digest: Digest = DIGEST,
    caller: str = "robot$prod",
    groups: tuple[str, ...] = (),
) -> Request:
    return Request(
        action=action,
        repository=RepositoryName(repository),
        digest=digest,
        caller=Caller(caller, frozenset(groups)),
        tag=Tag(tag) if tag else None,
    )


def fact(*names: str, outcome: Outcome = Outcome.VERIFIED, reason: str = "verified") -> SignatureFact:
    return SignatureFact(
        kind=SignatureKind.COSIGN_BUNDLE,
        evidence=OTHER,
        outcome=outcome,
        reason=reason,
        signers=tuple(Signer(name, f"key:{key_id(public_key(name))}") for name in names)
        if outcome is Outcome.VERIFIED
        else (),
    )


def by(*names: str) -> Known[tuple[SignatureFact, ...]]:
    """Signatures by each of these, one apiece."""
    return Known(tuple(fact(name) for name in names))


SLSA = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"


def attested(by: str, *, types: str = SLSA, rest: str = "") -> str:
    return f"- id: provenance\n  attestation: {{predicateType: {types}, by: {by}{rest}}}"


def said(
    *names: str,
    kind: str = SLSA,
    what: str = "made by make",
    outcome: Outcome = Outcome.VERIFIED,
    reason: str = "verified",
) -> AttestationFact:
    """An attestation by each of these: one envelope has one key, which may have several names."""
    signed_by = fact(*names, outcome=outcome)
    return AttestationFact(
        evidence=OTHER,
        content=Digest.of(f"{names} {kind} {what}".encode()),
        outcome=outcome,
        reason=reason,
        predicate_type=kind,
        statement=Digest.of(f"{kind} {what}".encode()),
        signers=signed_by.signers,
    )


def saying(*facts: AttestationFact) -> Known[tuple[AttestationFact, ...]]:
    return Known(facts)


UNATTESTED = Absent("no attestation is attached to it")
UNSIGNED = Absent("no signature is attached to it")
LOST = Unreachable("the disk is gone")
UNSCANNED = Absent("it has not been scanned yet")


def package(name: str = "openssl", version: str = "3.0.11") -> Package:
    return Package(name, version, "Debian:12", f"pkg:deb/debian/{name}@{version}")


def finding(
    cve: str = "CVE-2026-1234",
    severity: Severity = Severity.CRITICAL,
    *,
    fixed: tuple[str, ...] = ("3.0.14",),
    kev: bool = False,
    undetermined: bool = False,
    name: str = "openssl",
) -> Finding:
    return Finding(
        vulnerability=cve,
        aliases=(),
        package=package(name),
        severity=severity,
        score=None,
        fixed_versions=fixed,
        known_exploited=kev,
        undetermined=undetermined,
    )


def scan_report(
    *findings: Finding,
    status: ScanStatus = ScanStatus.OK,
    packages: tuple[Package, ...] | None = None,
    covered: bool = True,
    reason: str = "",
) -> ScanReport:
    return ScanReport(
        scanner="embedded",
        scanner_version="1",
        subject=DIGEST,
        scanned_at=NOW - timedelta(hours=1),
        status=status,
        reason=reason,
        database="g1",
        database_at=NOW,
        os="debian 12",
        packages=(package(),) if packages is None else packages,
        findings=findings,
        coverage=(Coverage("Debian:12", 1, covered),),
    )


def report(
    *findings: Finding,
    status: ScanStatus = ScanStatus.OK,
    packages: tuple[Package, ...] | None = None,
    covered: bool = True,
    reason: str = "",
) -> Known[ScanFindings]:
    """What a decision reads of such a report."""
    told = scan_report(*findings, status=status, packages=packages, covered=covered, reason=reason)
    return Known(told.reduced())


def subject(
    *,
    digest: Digest = DIGEST,
    role: Role = Role.IMAGE,
    signatures: object = UNSIGNED,
    scan: object = UNSCANNED,
    children: tuple[SubjectEvidence, ...] = (),
    complete: bool = True,
    platform: str = "",
    attestations: object = UNATTESTED,
) -> SubjectEvidence:
    return SubjectEvidence(
        digest=digest,
        role=role,
        media_type="application/vnd.example+json",
        signatures=signatures,  # type: ignore[arg-type]
        scan=scan,  # type: ignore[arg-type]
        children=children,
        complete=complete,
        platform=platform,
        attestations=attestations,  # type: ignore[arg-type]
    )


def evidence(
    what: SubjectEvidence | None = None,
    *,
    parents: tuple[SubjectEvidence, ...] = (),
    tag: Known[TagState] | Unreachable = LOST,
) -> Evidence:
    return Evidence(subject=what or subject(), parents=parents, tag=tag)


def tags(
    current: Digest | None = None, *, of_digest: tuple[str, ...] = (), of_parents: tuple[str, ...] = ()
) -> Known[TagState]:
    return Known(TagState(current, tuple(map(Tag, of_digest)), tuple(map(Tag, of_parents))))


def judge(
    policies: PolicySet, what: Evidence | SubjectEvidence, request: Request | None = None, now: datetime = NOW
) -> Verdict:
    whole = what if isinstance(what, Evidence) else evidence(what)
    return evaluate(policies, request or pull(), whole, now)


def only(verdict: Verdict) -> RuleResult:
    (result,) = verdict.results
    return result


def problems_of(files: Mapping[str, bytes]) -> list[str]:
    """``CODE line:column message`` of each problem."""
    try:
        load(files, revision=REVISION)
    except PolicyInvalid as exc:
        return [str(problem) for problem in exc.problems]
    return []
