"""Whose evidence speaks for a digest: its own, that of an index which contains it, or each platform's own.

One digest carries everything that is required; several never add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from trustgate.evidence.model import Absent, Known, Role, Unreachable
from trustgate.oci.digest import Digest
from trustgate.policy.checks.answer import Answer, passed, unknown
from trustgate.policy.model import (
    Evidence,
    F,
    Facts,
    Partly,
    Request,
    RuleOutcome,
    SubjectEvidence,
    Violation,
)

_RANK: Final = {RuleOutcome.PASS: 0, RuleOutcome.UNKNOWN: 1, RuleOutcome.FAIL: 2}


@dataclass(frozen=True, slots=True)
class Found:
    """What one digest's own evidence says, and for people what is missing."""

    satisfied: bool
    missing: tuple[str, ...]
    reason_code: str
    message: str
    known: bool = True
    waits: bool = False
    """Not known yet, for there is so much of it: see ``Partly``."""
    beyond: bool = False
    """Not known, for there is more than one request looks at: see ``Unreachable``."""
    violations: tuple[Violation, ...] = ()
    """What it fails on, where that is not who is missing."""
    more_violations: int = 0


@dataclass(frozen=True, slots=True)
class Words:
    """How a kind of rule speaks about its evidence: ``signature``, ``signed``."""

    noun: str
    participle: str

    @property
    def article(self) -> str:
        return f"an {self.noun}" if self.noun[0] in "aeiou" else f"a {self.noun}"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each digest; ``subject``, ``inherits`` and ``each`` as in the rule."""

    words: Words
    judge: Callable[[SubjectEvidence], Found]
    refuse: Callable[[Found, Request], Answer]
    inherits: bool
    each: bool
    subject: Literal["index", "manifest", "index-or-manifest"] = "index-or-manifest"


def ask(question: Question, request: Request, evidence: Evidence) -> Answer:
    """Pass when the digest, or an index that may speak for it, carries all that is required."""
    return _ask(question, request, evidence, set())


def _ask(question: Question, request: Request, evidence: Evidence, seen: set[Digest]) -> Answer:
    """``seen`` were asked about already, wherever they are listed: their answers count there."""
    subject = evidence.subject
    if subject.role is Role.SIGNATURE:
        words = question.words
        return passed("is-signature", f"{words.article} is not asked to be {words.participle} itself")
    answer = _own_or_inherited(question, request, evidence)
    if subject.role is not Role.INDEX or not question.each:
        return answer
    children = _children(question, request, subject, seen)
    # With subject: manifest the index itself needs none, its children all do.
    return children if question.subject == "manifest" else _worst(answer, children)


def _own_or_inherited(question: Question, request: Request, evidence: Evidence) -> Answer:
    words = question.words
    subject = evidence.subject
    own = question.judge(subject)
    own_counts = question.subject != "index" or subject.role is Role.INDEX
    tried = [own] if own_counts else []
    tried += [question.judge(parent) for parent in evidence.parents if question.inherits]
    if own_counts and own.satisfied:
        return passed(words.participle, own.message)
    if any(one.satisfied for one in tried):
        message = f"an index that contains it carries the required {words.noun}s"
        return passed(f"{words.participle}-by-index", message)
    # What whoever may push brings about goes first: ``onError`` does not speak of it.
    unknowns = (one for one in tried if not one.known)
    lost = min(unknowns, key=lambda one: (not one.beyond, not one.waits), default=None)
    if lost is not None and lost.beyond:
        code, fix = f"{words.noun}s-beyond", f"get {words.article} on the digest itself"
        return unknown(code, lost.message, fix, is_error=False)
    if lost is not None:
        code = f"{words.noun}s-waiting" if lost.waits else f"{words.noun}s-unreachable"
        fix = "try again" if lost.waits else "try again; see the registry's log"
        return unknown(code, lost.message, fix, is_error=not lost.waits)
    if not own_counts:
        message = f"no {words.participle} index of this repository contains it"
        own = replace(own, reason_code=f"index-not-{words.participle}", message=message)
    return question.refuse(own, request)


def _children(question: Question, request: Request, index: SubjectEvidence, seen: set[Digest]) -> Answer:
    """Every platform manifest has to carry its own."""
    if not index.complete or not index.children:
        participle = question.words.participle
        message = f"not every manifest of the index is held here, so not each can be shown to be {participle}"
        return Answer(RuleOutcome.FAIL, "incomplete-index", message, "push every platform of the index")
    answers = [passed(question.words.participle, "each was asked about where it is listed first")]
    for child in index.children:
        if child.digest not in seen:
            seen.add(child.digest)
            answers.append(_ask(question, _about(request, child), Evidence(subject=child), seen))
    return _worst(*answers[1:] or answers)


def _about(request: Request, child: SubjectEvidence) -> Request:
    return Request(request.action, request.repository, child.digest, request.caller)


def _worst(*answers: Answer) -> Answer:
    return max(answers, key=lambda answer: (_RANK[answer.outcome], not answer.is_error))


def found_in(facts: Facts[F], weigh: Callable[[tuple[F, ...]], Found], words: Words) -> Found:
    """What is known, weighed. What could not be asked never passes for what is not there."""
    match facts:
        case Unreachable(why, beyond):
            how = "are not all known" if beyond else "can't be read"
            return Found(False, (), "", f"{words.noun}s {how}: {why}", known=False, beyond=beyond)
        case Absent():
            return weigh(())
        case Known(known):
            return weigh(known)
        case Partly(known, why, waits):
            found = weigh(known)
            lost = f"not all {words.noun}s can be judged: {why}"
            return found if found.satisfied else replace(found, message=lost, known=False, waits=waits)
