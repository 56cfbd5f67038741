"""What clients show of a verdict: one line of printable ASCII, written so that its link is never cut off."""

from __future__ import annotations

from typing import Final

from trustgate.policy.checks.answer import HOST
from trustgate.policy.escape import ELLIPSIS, printable
from trustgate.policy.model import RuleResult, Verdict, VerdictKind

MAX_LINE_CHARACTERS: Final = 300
"""Kubernetes cuts events at 1024, and other clients put their own words around ours."""
MAX_REASON_PHRASE_CHARACTERS: Final = 120
MAX_REFERENCE_CHARACTERS: Final = 100
MAX_LINK_CHARACTERS: Final = 160
MAX_RULE_CHARACTERS: Final = 48
SHOWN_RULES: Final = 2
_DIGEST_HEX: Final = 64
_SHORT_HEX: Final = 12


def refusal_line(verdict: Verdict, *, decision: str, url: str, reference: str) -> str:
    """Why a request was refused: what was asked, the rules, the worst reasons, the fix, the link."""
    asked = f"{verdict.request.action} of {_short(reference)}"
    return _line(f"trustgate: {asked} denied by ", verdict, decision, url, reference)


def warning_line(verdict: Verdict, *, decision: str, url: str) -> str:
    """The text of a ``Warning`` header; it holds no quotes and no backslashes, so it needs no escaping."""
    request = verdict.request
    name = f"{request.repository}:{request.tag}" if request.tag else f"{request.repository}@{request.digest}"
    line = _line(f"trustgate: {request.action} of {_short(name)} warned by ", verdict, decision, url, "")
    return line.replace('"', "'").replace("\\", "/")


def reason_phrase(verdict: Verdict, decision: str) -> str:
    """For HTTP's status line, which is all that some clients show."""
    tail = printable(f" decision {decision}", MAX_REASON_PHRASE_CHARACTERS // 2)
    worst = verdict.worst[:1]
    rule = worst[0].rule if worst else "policy"
    code = f" {_headline(worst[0])}" if worst else ""
    room = MAX_REASON_PHRASE_CHARACTERS - len(tail)
    return printable(f"Forbidden: trustgate {rule}{code}", room) + tail


def _headline(result: RuleResult) -> str:
    return (
        result.violations[0].subject
        if result.kind == "severity" and result.violations
        else result.reason_code
    )


def _line(head: str, verdict: Verdict, decision: str, url: str, reference: str) -> str:
    tail = _tail(decision, url)
    against = _speaking(verdict)
    rules = ", ".join(printable(result.rule, MAX_RULE_CHARACTERS) for result in against[:SHOWN_RULES])
    more = len(against) - SHOWN_RULES
    start = f"{head}{rules or 'policy'}{f' and {more} more' if more > 0 else ''}"
    room = MAX_LINE_CHARACTERS - len(tail)
    fix = f"; fix: {_at(against[0].fix, reference)}" if against and against[0].fix else ""
    # The fix is whole or absent: half a command would be worse than the page behind the link.
    messages = list(dict.fromkeys(result.message for result in against[:SHOWN_RULES]))
    for parts, closing in _layouts(messages, fix):
        line = printable(f"{start}{parts}{closing}", MAX_LINE_CHARACTERS * 2)
        if len(line) <= room:
            return line + tail
    reasons = "; ".join(result.message for result in against[:1])
    return printable(f"{start}: {reasons}" if reasons else start, room) + tail


def _speaking(verdict: Verdict) -> list[RuleResult]:
    """Only what refuses is named in a refusal: a rule that warns has not denied anything."""
    modes = ("enforce",) if verdict.kind is VerdictKind.DENY else ("enforce", "warn")
    return [result for result in verdict.worst if result.mode in modes]


def _layouts(messages: list[str], fix: str) -> list[tuple[str, str]]:
    """From the fullest to the barest."""
    every = ": " + "; ".join(messages) if messages else ""
    first = f": {messages[0]}" if messages else ""
    return [(every, fix), (first, fix), (every, ""), (first, "")]


def _tail(decision: str, url: str) -> str:
    shown = printable(url, MAX_LINK_CHARACTERS)
    if url and not shown.endswith(ELLIPSIS):
        return f" - {shown}"
    return printable(f" - decision {decision}, see: trustgate why {decision}", MAX_LINK_CHARACTERS)


def _at(fix: str, reference: str) -> str:
    host, slash, _ = reference.partition("/")
    return fix.replace(HOST, f"{host}/") if slash else fix


def _short(reference: str) -> str:
    """A digest is shown by its first 12 digits, a long name by its beginning and end."""
    name, at, digest = reference.partition("@")
    algorithm, _, encoded = digest.partition(":")
    if at and len(encoded) >= _DIGEST_HEX:
        reference = f"{name}@{algorithm}:{encoded[:_SHORT_HEX]}"
    text = printable(reference, len(reference) * 10)
    if len(text) <= MAX_REFERENCE_CHARACTERS:
        return text
    half = (MAX_REFERENCE_CHARACTERS - len(ELLIPSIS)) // 2
    return f"{text[:half]}{ELLIPSIS}{text[-half:]}"
