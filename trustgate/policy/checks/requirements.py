"""Requirements: trees of attestors, and which signers meet them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Signer
from trustgate.policy.checks.counting import Signers, distinct, identities
from trustgate.policy.rules import AllOf, AnyOf, AtLeast, Requirement, SignedBy


def carriers(require: Requirement, signers: Signers, now: datetime) -> Signers:
    """Those of ``signers`` by whom ``require`` is met; nobody when it is not."""
    match require:
        case SignedBy(attestor):
            return _as(attestor, signers, now)
        case AnyOf(items):
            return frozenset().union(*(carriers(item, signers, now) for item in items))
        case AllOf(items):
            parts = [carriers(item, signers, now) for item in items]
            return frozenset().union(*parts) if all(parts) else frozenset()
        case AtLeast(count, attestors):
            enough = len(distinct(attestors, signers, now)) >= count > 0
            return frozenset().union(*(_as(one, signers, now) for one in attestors if enough))


def _as(attestor: Attestor, signers: Signers, now: datetime) -> Signers:
    return frozenset(Signer(attestor.name, identity) for identity in identities(attestor, signers, now))


def unmet(require: Requirement, signers: Signers, now: datetime) -> tuple[str, ...]:
    """The names whose signatures would help, each once, in the order of the policy."""
    return tuple(dict.fromkeys(_unmet(require, signers, now)))


def _unmet(require: Requirement, signers: Signers, now: datetime) -> Iterator[str]:
    match require:
        case _ if carriers(require, signers, now):
            return
        case SignedBy(attestor):
            yield attestor.name
        case AnyOf(items) | AllOf(items):
            for item in items:
                yield from _unmet(item, signers, now)
        case AtLeast(_, attestors):
            had = distinct(attestors, signers, now)
            yield from (one.name for one in attestors if not identities(one, signers, now) & had)


def attestors_of(require: Requirement) -> Iterator[Attestor]:
    """Everyone whom it names, in the order of the policy."""
    match require:
        case SignedBy(attestor):
            yield attestor
        case AnyOf(items) | AllOf(items):
            for item in items:
                yield from attestors_of(item)
        case AtLeast(_, attestors):
            yield from attestors


def windows(require: Requirement) -> Iterator[datetime]:
    """Moments at which someone whom it names begins or ceases to count."""
    for one in attestors_of(require):
        yield from (moment for moment in (one.not_before, one.not_after) if moment is not None)
