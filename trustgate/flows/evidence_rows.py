"""Evidence as a decision record shows it: a row for each signature, each attestation and each scan report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.model import Absent, Known, Outcome, Role, SignatureFact, Unreachable
from trustgate.evidence.scan_report import ScanFindings
from trustgate.flows.gather import NOT_ASKED
from trustgate.policy.model import Arriving, Evidence, F, Facts, Partly, SubjectEvidence, facts_of

MAX_ROWS: Final = 256
"""That a decision record keeps: whoever may push decides how much evidence there is."""
Row: TypeAlias = Mapping[str, str]


class _Piece(NamedTuple):
    """One piece of evidence; its row is made when it is known that it is shown."""

    verified: bool
    row: Callable[[], Row]


def rows(evidence: Evidence) -> tuple[Row, ...]:
    """Rows for what arrives, the subject, its children, and the indexes that contain it.

    Where there are too many, what was verified goes before what was not, and the last row counts the others.
    """
    count = 0
    first: list[_Piece] = []
    verified: list[_Piece] = []
    others: list[_Piece] = []
    for piece in _pieces(evidence):
        count += 1
        for kept in (first, verified if piece.verified else others):
            if len(kept) < MAX_ROWS:
                kept.append(piece)
    if count <= MAX_ROWS:
        return tuple(piece.row() for piece in first)
    shown = [piece.row() for piece in (verified + others)[: MAX_ROWS - 1]]
    rest = f"{count - len(shown)} more pieces of evidence are not shown"
    return (*shown, _plain_row("evidence", evidence.subject, "not-shown", rest))


def _pieces(evidence: Evidence) -> Iterable[_Piece]:
    subjects = (evidence.subject, *evidence.subject.children, *evidence.parents)
    yield from _arriving(evidence.subject, evidence.arriving)
    for subject in {one.digest: one for one in subjects}.values():
        yield from _of(subject)


def _arriving(subject: SubjectEvidence, found: Arriving) -> Iterable[_Piece]:
    """What a request brings, if it is evidence at all and a rule asks about it."""
    for fact in facts_of(found):
        row = _signature_row if isinstance(fact, SignatureFact) else _attestation_row
        yield _Piece(fact.outcome is Outcome.VERIFIED, partial(row, subject, fact))  # type: ignore[arg-type]  # each with its own kind of fact
    if isinstance(found, Unreachable | Partly) and found is not NOT_ASKED:
        yield _plain("signature", subject, "unreachable", found.why)


def _of(subject: SubjectEvidence) -> Iterable[_Piece]:
    yield from _facts("signature", subject, subject.signatures, _signature_row)
    yield from _facts("attestation", subject, subject.attestations, _attestation_row)
    yield from _scan(subject)


def _facts(
    kind: str, subject: SubjectEvidence, found: Facts[F], row: Callable[[SubjectEvidence, F], Row]
) -> Iterable[_Piece]:
    for fact in facts_of(found):
        yield _Piece(fact.outcome is Outcome.VERIFIED, partial(row, subject, fact))
    match found:
        case Absent(why):
            yield _plain(kind, subject, "absent", why)
        case Partly(_, why) | Unreachable(why):
            if found is not NOT_ASKED:
                yield _plain(kind, subject, "unreachable", why)


def _signature_row(subject: SubjectEvidence, fact: SignatureFact) -> Row:
    return {
        "kind": str(fact.kind),
        "subject": str(subject.digest),
        "digest": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": fact.reason,
        "attestors": ", ".join(fact.attestors),
    }


def _attestation_row(subject: SubjectEvidence, fact: AttestationFact) -> Row:
    reason = f"{fact.predicate_type}: {fact.reason}" if fact.predicate_type else fact.reason
    return {
        "kind": "attestation",
        "subject": str(subject.digest),
        "digest": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": reason,
        "attestors": ", ".join(fact.attestors),
    }


def _scan(subject: SubjectEvidence) -> Iterable[_Piece]:
    match subject.scan:
        case Known(report):
            yield _Piece(False, partial(_scan_row, subject, report))
        case Absent(why):
            if subject.role is Role.IMAGE:
                yield _plain("scan", subject, "absent", why)
        case Unreachable(why):
            if subject.scan is not NOT_ASKED:
                yield _plain("scan", subject, "unreachable", why)


def _scan_row(subject: SubjectEvidence, report: ScanFindings) -> Row:
    found = f"{report.packages} packages, {len(report.findings)} findings"
    return {
        "kind": "scan",
        "subject": str(subject.digest),
        "digest": "",
        "outcome": str(report.status),
        "reason": report.reason or found,
        "attestors": f"{report.scanner} {report.scanner_version}",
    }


def _plain(kind: str, subject: SubjectEvidence, outcome: str, why: str) -> _Piece:
    return _Piece(False, partial(_plain_row, kind, subject, outcome, why))


def _plain_row(kind: str, subject: SubjectEvidence, outcome: str, why: str) -> Row:
    return {
        "kind": kind,
        "subject": str(subject.digest),
        "digest": "",
        "outcome": outcome,
        "reason": why,
        "attestors": "",
    }
