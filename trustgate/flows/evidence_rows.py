"""Evidence as a decision record shows it: a row for each signature, each attestation and each scan report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.model import Absent, Known, Outcome, Role, SignatureFact, Unreachable
from trustgate.flows.gather import NOT_ASKED
from trustgate.policy.model import Arriving, Evidence, F, Facts, Partly, SubjectEvidence, facts_of

MAX_ROWS: Final = 256
"""That a decision record keeps: whoever may push decides how much evidence there is."""


def rows(evidence: Evidence) -> tuple[Mapping[str, str], ...]:
    """Rows for what arrives, the subject, its children, and the indexes that contain it.

    Where there are too many, what was verified goes before what was not, and the last row counts the others.
    """
    subjects = (evidence.subject, *evidence.subject.children, *evidence.parents)
    found = [*_arriving_rows(evidence.subject, evidence.arriving)]
    found += [row for subject in subjects for row in _rows(subject)]
    if len(found) <= MAX_ROWS:
        return tuple(found)
    found.sort(key=lambda row: row["outcome"] != str(Outcome.VERIFIED))
    rest = f"{len(found) - MAX_ROWS + 1} more pieces of evidence are not shown"
    return (*found[: MAX_ROWS - 1], _plain_row("evidence", evidence.subject, "not-shown", rest))


def _arriving_rows(subject: SubjectEvidence, found: Arriving) -> Iterable[Mapping[str, str]]:
    """What a request brings, if it is evidence at all and a rule asks about it."""
    for fact in facts_of(found):
        row = _signature_row if isinstance(fact, SignatureFact) else _attestation_row
        yield row(subject, fact)  # type: ignore[arg-type]  # each with its own kind of fact
    if isinstance(found, Unreachable | Partly) and found is not NOT_ASKED:
        yield _plain_row("signature", subject, "unreachable", found.why)


def _rows(subject: SubjectEvidence) -> Iterable[Mapping[str, str]]:
    yield from _fact_rows("signature", subject, subject.signatures, partial(_signature_row, subject))
    yield from _fact_rows("attestation", subject, subject.attestations, partial(_attestation_row, subject))
    yield from _scan_rows(subject)


def _fact_rows(
    kind: str, subject: SubjectEvidence, found: Facts[F], row: Callable[[F], Mapping[str, str]]
) -> Iterable[Mapping[str, str]]:
    match found:
        case Known(facts):
            yield from map(row, facts)
        case Partly(facts, why):
            yield from map(row, facts)
            yield _plain_row(kind, subject, "unreachable", why)
        case Absent(why):
            yield _plain_row(kind, subject, "absent", why)
        case Unreachable(why):
            if found is not NOT_ASKED:
                yield _plain_row(kind, subject, "unreachable", why)


def _signature_row(subject: SubjectEvidence, fact: SignatureFact) -> Mapping[str, str]:
    return {
        "kind": str(fact.kind),
        "subject": str(subject.digest),
        "digest": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": fact.reason,
        "attestors": ", ".join(fact.attestors),
    }


def _attestation_row(subject: SubjectEvidence, fact: AttestationFact) -> Mapping[str, str]:
    reason = f"{fact.predicate_type}: {fact.reason}" if fact.predicate_type else fact.reason
    return {
        "kind": "attestation",
        "subject": str(subject.digest),
        "digest": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": reason,
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
