"""Evidence as a decision record shows it: a row for each signature candidate and each scan report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from trustgate.evidence.model import Absent, Known, Role, SignatureFact, Unreachable
from trustgate.flows.gather import NOT_ASKED
from trustgate.policy.model import Evidence, Partly, SubjectEvidence


def rows(evidence: Evidence) -> tuple[Mapping[str, str], ...]:
    """Rows for the subject, then its children, then the indexes that contain it."""
    subjects = (evidence.subject, *evidence.subject.children, *evidence.parents)
    return tuple(row for subject in subjects for row in (*_signature_rows(subject), *_scan_rows(subject)))


def _signature_rows(subject: SubjectEvidence) -> Iterable[Mapping[str, str]]:
    match subject.signatures:
        case Known(facts):
            yield from map(partial(_fact_row, subject), facts)
        case Partly(facts, why):
            yield from map(partial(_fact_row, subject), facts)
            yield _plain_row("signature", subject, "unreachable", why)
        case Absent(why):
            yield _plain_row("signature", subject, "absent", why)
        case Unreachable(why):
            if subject.signatures is not NOT_ASKED:
                yield _plain_row("signature", subject, "unreachable", why)


def _fact_row(subject: SubjectEvidence, fact: SignatureFact) -> Mapping[str, str]:
    return {
        "kind": str(fact.kind),
        "subject": str(subject.digest),
        "digest": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": fact.reason,
        "attestors": ", ".join(fact.attestors),
    }


def _scan_rows(subject: SubjectEvidence) -> Iterable[Mapping[str, str]]:
    match subject.scan:
        case Known(report):
            found = f"{len(report.packages)} packages, {len(report.findings)} findings"
            yield {
                "kind": "scan",
                "subject": str(subject.digest),
                "digest": "",
                "outcome": str(report.status),
                "reason": report.reason or found,
                "attestors": f"{report.scanner} {report.scanner_version}",
            }
        case Absent(why):
            if subject.role is Role.IMAGE:
                yield _plain_row("scan", subject, "absent", why)
        case Unreachable(why):
            if subject.scan is not NOT_ASKED:
                yield _plain_row("scan", subject, "unreachable", why)


def _plain_row(kind: str, subject: SubjectEvidence, outcome: str, why: str) -> Mapping[str, str]:
    return {
        "kind": kind,
        "subject": str(subject.digest),
        "digest": "",
        "outcome": outcome,
        "reason": why,
        "attestors": "",
    }
