"""Texts that a trust store names: exactly, by a glob, or by an anchored pattern matched in linear time.

Patterns are the part of RE2's syntax that identities need, run as a set of states over the text (Thompson):
no input makes them slow. Groups, alternatives, classes, ``.``, ``* + ? {m,n}``, ``\\d \\w \\s`` and ``^ $``;
no flags, no back-references, no look-around. The whole text has to match, whatever the pattern says.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

MAX_PATTERN_CHARACTERS: Final = 512
MAX_TEXT_CHARACTERS: Final = 1024
"""Longer texts match nothing: real identities have less than 500 characters."""
MAX_STATES: Final = 1024
MAX_NESTING: Final = 16
MAX_REPEAT: Final = 256

Test = Callable[[str], bool]
_DIGITS: Final = frozenset(string.digits)
_WORD: Final = frozenset(string.ascii_letters + string.digits + "_")
_SPACE: Final = frozenset("\t\n\f\r ")
_ESCAPES: Final[dict[str, frozenset[str]]] = {"d": _DIGITS, "w": _WORD, "s": _SPACE}


class PatternRefused(ValueError):
    """The pattern can't be used. The message says why, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Exact:
    """One text, and no other: letter case counts, and so does a slash at the end."""

    text: str

    def matches(self, text: str) -> bool:
        return text == self.text


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that the whole text must match."""

    source: str
    _program: _Program = field(repr=False, compare=False)

    def matches(self, text: str) -> bool:
        return len(text) <= MAX_TEXT_CHARACTERS and self._program.accepts(text)


Text = Exact | Pattern


def exact(text: str) -> Exact:
    """Raises ``PatternRefused`` for the empty text: it would match what is not there."""
    if not text:
        raise PatternRefused("the text is empty; write the exact value, or a pattern")
    return Exact(text)


def anchored(source: str) -> Pattern:
    """A pattern that says itself that it is of the whole text: ``^…$``. Raises ``PatternRefused``."""
    pattern = whole(source)
    for alternative in _Parser(source).alternatives():
        if not (alternative.startswith("^") and _ends_anchored(alternative)):
            raise PatternRefused(
                f"the pattern {source[:80]!a} is not anchored: it would also match within longer texts; "
                "write ^...$, and group alternatives as ^(...|...)$"
            )
    if pattern.matches(""):
        raise PatternRefused(f"the pattern {source[:80]!a} matches the empty text, which names nobody")
    return pattern


def whole(source: str) -> Pattern:
    """A pattern that is matched against the whole text, anchored or not. Raises ``PatternRefused``."""
    if not source or len(source) > MAX_PATTERN_CHARACTERS:
        raise PatternRefused(f"a pattern has 1 to {MAX_PATTERN_CHARACTERS} characters")
    return Pattern(source, _Program(_Parser(source).tree()))


def glob(source: str) -> Pattern:
    """``*`` is any run of characters without ``/``, ``**`` any run at all. Raises ``PatternRefused``."""
    if not source or len(source) > MAX_PATTERN_CHARACTERS:
        raise PatternRefused(f"a glob has 1 to {MAX_PATTERN_CHARACTERS} characters")
    parts: list[_Node] = []
    position = 0
    while position < len(source):
        if source.startswith("**", position):
            parts.append(_Repeat(_One(_any), 0, None))
            position += 2
            continue
        star = source[position] == "*"
        parts.append(_Repeat(_One(_no_slash), 0, None) if star else _One(_is(source[position])))
        position += 1
    program = _Program(_All(tuple(parts)))
    if program.accepts(""):
        raise PatternRefused(f"the glob {source[:80]!a} matches the empty text; leave the claim out instead")
    return Pattern(source, program)


def _ends_anchored(source: str) -> bool:
    body = source[:-1]
    slashes = len(body) - len(body.rstrip("\\"))
    return source.endswith("$") and slashes % 2 == 0


# --- the syntax ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _One:
    test: Test


@dataclass(frozen=True, slots=True)
class _Edge:
    """``^`` or ``$``."""

    start: bool


@dataclass(frozen=True, slots=True)
class _All:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _AnyOf:
    choices: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    item: _Node
    least: int
    most: int | None


_Node = _One | _Edge | _All | _AnyOf | _Repeat


def _any(_character: str) -> bool:
    return True


def _not_newline(character: str) -> bool:
    return character != "\n"


def _no_slash(character: str) -> bool:
    return character != "/"


def _is(wanted: str) -> Test:
    return wanted.__eq__


_SIMPLE: Final[dict[str, _Node]] = {
    ".": _One(_not_newline),
    "^": _Edge(start=True),
    "$": _Edge(start=False),
}


def _among(characters: frozenset[str], *, negated: bool = False) -> Test:
    return (lambda one: one not in characters) if negated else characters.__contains__


@dataclass(slots=True)
class _Parser:
    source: str
    at: int = 0
    depth: int = 0

    def tree(self) -> _Node:
        found = self._choices()
        if self.at < len(self.source):
            raise self._refused("has a ')' without '('")
        return found

    def alternatives(self) -> list[str]:
        """The source of each alternative at the top."""
        found, start = [], 0
        while self.at < len(self.source):
            self._sequence()
            found.append(self.source[start : self.at])
            self.at += 1
            start = self.at
        return found

    def _refused(self, why: str) -> PatternRefused:
        return PatternRefused(f"the pattern {self.source[:80]!a} {why}, at character {self.at + 1}")

    def _peek(self) -> str:
        return self.source[self.at] if self.at < len(self.source) else ""

    def _next(self) -> str:
        found = self._peek()
        if not found:
            raise self._refused("ends too early")
        self.at += 1
        return found

    def _choices(self) -> _Node:
        found = [self._sequence()]
        while self._peek() == "|":
            self.at += 1
            found.append(self._sequence())
        return found[0] if len(found) == 1 else _AnyOf(tuple(found))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in {"", "|", ")"}:
            parts.append(self._repeated(self._item()))
        return _All(tuple(parts))

    def _repeated(self, item: _Node) -> _Node:
        sign = self._peek()
        if sign not in {"*", "+", "?", "{"}:
            return item
        if isinstance(item, _Edge):
            raise self._refused("has a quantifier with nothing before it")
        self.at += 1
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign) or self._bounds()
        if self._peek() in {"*", "+", "?", "{"}:
            raise self._refused("has a quantifier after a quantifier")
        return _Repeat(item, least, most)

    def _bounds(self) -> tuple[int, int | None]:
        end = self.source.find("}", self.at)
        low, comma, high = self.source[self.at : max(end, self.at)].partition(",")
        if end < 0 or not _is_count(low) or (high and not _is_count(high)):
            raise self._refused(f"has a '{{' that is no count of at most {MAX_REPEAT}")
        self.at = end + 1
        least = int(low)
        most = None if comma and not high else int(high or low)
        if most is not None and most < least:
            raise self._refused("has a count whose end lies before its start")
        return least, most

    def _item(self) -> _Node:
        found = self._next()
        if found in {"*", "+", "?", "{"}:
            raise self._refused("has a quantifier with nothing before it")
        if found == "(":
            return self._group()
        if found == "[":
            return self._class()
        return _SIMPLE.get(found) or _One(self._escape() if found == "\\" else _is(found))

    def _group(self) -> _Node:
        if self._peek() == "?":
            if self.source[self.at : self.at + 2] != "?:":
                raise self._refused("has a flag, a name or a look-around, which are not read")
            self.at += 2
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self._refused(f"is nested deeper than {MAX_NESTING} groups")
        found = self._choices()
        if self._peek() != ")":
            raise self._refused("has a '(' without ')'")
        self.at += 1
        self.depth -= 1
        return found

    def _escape(self) -> Test:
        return _among(self._escaped(self._next()))

    def _escaped(self, character: str) -> frozenset[str]:
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character in string.ascii_letters or character in string.digits or not character.isascii():
            raise self._refused(f"has the escape \\{character!a}, which is not read")
        return frozenset(character)

    def _class(self) -> _Node:
        negated = self._peek() == "^"
        self.at += negated
        members: set[str] = set()
        first = True
        while first or self._peek() != "]":
            members |= self._members()
            first = False
        self.at += 1
        return _One(_among(frozenset(members), negated=negated))

    def _members(self) -> AbstractSet[str]:
        low = self._next()
        if low == "[" and self._peek() == ":":
            raise self._refused("has a named class, which is not read")
        if low == "\\":
            found = self._escaped(self._next())
            if len(found) > 1:
                return found
            (low,) = found
        if self._peek() != "-" or self.source[self.at + 1 : self.at + 2] in {"]", ""}:
            return {low}
        self.at += 1
        high = self._next()
        if high == "\\":
            ends = self._escaped(self._next())
            high = next(iter(ends)) if len(ends) == 1 else ""
        if not (low.isascii() and high.isascii() and low <= high):
            raise self._refused("has a range that is none of ASCII characters in order")
        return {chr(code) for code in range(ord(low), ord(high) + 1)}


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= MAX_REPEAT


# --- the machine ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _State:
    """``test`` reads one character and goes on to ``then``; without a test, all of ``then`` are free."""

    then: list[int] = field(default_factory=list)
    test: Test | None = None
    edge: bool | None = None
    """``True``: only at the start; ``False``: only at the end."""


class _Program:
    """States numbered by position; the last one accepts."""

    __slots__ = ("_first", "_last", "_states")

    def __init__(self, tree: _Node) -> None:
        self._states: list[_State] = []
        self._last = self._new()
        self._first = self._compile(tree, self._last)

    def accepts(self, text: str) -> bool:
        active = self._closure({self._first}, at_start=True, at_end=not text)
        for position, character in enumerate(text, 1):
            moved: set[int] = set()
            for number in active:
                state = self._states[number]
                if state.test is not None and state.test(character):
                    moved.update(state.then)
            if not moved:
                return False
            active = self._closure(moved, at_start=False, at_end=position == len(text))
        return self._last in active

    def _closure(self, numbers: set[int], *, at_start: bool, at_end: bool) -> set[int]:
        found, waiting = set(numbers), list(numbers)
        while waiting:
            state = self._states[waiting.pop()]
            if state.test is not None:
                continue
            if state.edge is not None and not (at_start if state.edge else at_end):
                continue
            fresh = [number for number in state.then if number not in found]
            found.update(fresh)
            waiting.extend(fresh)
        return found

    def _new(self, then: Iterable[int] = (), test: Test | None = None, edge: bool | None = None) -> int:
        if len(self._states) >= MAX_STATES:
            raise PatternRefused(f"the pattern needs more than {MAX_STATES} states; use smaller counts")
        self._states.append(_State(list(then), test, edge))
        return len(self._states) - 1

    def _compile(self, node: _Node, then: int) -> int:
        """The state that begins ``node`` and goes on to ``then``."""
        match node:
            case _One(test):
                return self._new([then], test)
            case _Edge(start):
                return self._new([then], edge=start)
            case _All(parts):
                for part in reversed(parts):
                    then = self._compile(part, then)
                return then
            case _AnyOf(choices):
                return self._new([self._compile(choice, then) for choice in choices])
            case _Repeat(item, least, most):
                return self._repeat(item, least, most, then)

    def _repeat(self, item: _Node, least: int, most: int | None, then: int) -> int:
        if most is None:
            loop = self._new([then])
            self._states[loop].then.append(self._compile(item, loop))
            then = loop
        else:
            end = then
            for _ in range(most - least):
                then = self._new([end, self._compile(item, then)])
        for _ in range(least):
            then = self._compile(item, then)
        return then
