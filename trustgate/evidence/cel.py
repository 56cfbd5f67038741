"""Expressions over what an attestation says: CEL with fewer words, by Google's C++ implementation.

What could grow (``+`` on texts, ``map``, lists of what is not constant) is left out, since the library bounds
loops and not memory. Its traps (decision 24): a mistake at run time is a value of type ERROR, whose text is
true, or an exception; values are converted whole. So only what an expression names is handed over, in bounds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal, TypeAlias

from cel_expr_python import cel

from trustgate.evidence.printable import printable
from trustgate.oci.strict_json import Json

Root: TypeAlias = Literal["predicate", "item"]
MAX_EXPRESSION_CHARACTERS: Final = 4096
MAX_PATTERN_CHARACTERS: Final = 256
MAX_PATTERN_REPEATS: Final = 100
"""One counted repetition a pattern, of at most so many: the automaton grows with them."""
MAX_TEXT_CHARACTERS: Final = 4096
"""Of one text that is handed to an expression; names, versions, digests and addresses are shorter."""
MAX_CHARACTERS: Final = 1024 * 1024
"""Of all texts that one evaluation gets."""
MAX_VALUES: Final = 20_000
"""One evaluation gets; the library walks 10,000 steps of all loops together."""
MAX_DEPTH: Final = 64
MAX_WHY_CHARACTERS: Final = 160
_FUNCTIONS: Final = (
    "!_", "-_", "_-_", "_&&_", "_||_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_[_]",
    "@in", "@not_strictly_false", "__not_strictly_false__", "size", "contains", "startsWith", "endsWith",
    "matches", "int", "double",
)  # fmt: skip
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>(?:[bB]?[rR]|[rR][bB])(?:'{3}.*?'{3}|"{3}.*?"{3}|'[^'\n]*'|"[^"\n]*")
      |[bB]?(?:'{3}(?:\\.|[^\\])*?'{3}|"{3}(?:\\.|[^\\])*?"{3}|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>\.?[0-9][0-9A-Za-z.]*)
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
_CONSTANTS: Final = frozenset({"true", "false", "null", ",", "-"})
_MISTAKE: Final = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_REPEAT: Final = re.compile(r"\{(\d*),?(\d*)\}")


class CelRefused(ValueError):
    """The text is no expression that is carried out here. The message says why."""


class _Unreadable(ValueError):
    """What would be handed over is larger than one evaluation gets, or has no meaning for an expression."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``is_true`` is ``None`` when there is none, and ``why``."""

    is_true: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled question about ``root``. ``fields``: those of the first level, if it names only such."""

    text: str
    root: Root
    fields: frozenset[str] | None
    compiled: Any = field(repr=False, compare=False)

    def ask(self, value: Json) -> Answer:
        """Whether it is true of ``value``. Never raises; an error is no answer."""
        try:
            handed = _Room().fit(self._part(value))
        except _Unreadable as exc:
            return Answer(None, str(exc))
        try:
            result = self.compiled.eval(data={self.root: handed})
            kind, answer = result.type().name(), result.value()
        except (RuntimeError, TypeError, ValueError, ArithmeticError) as exc:
            return Answer(None, _short(str(exc)))
        if kind == "BOOL" and isinstance(answer, bool):
            return Answer(answer)
        return Answer(None, _short(str(answer)))

    def _part(self, value: Json) -> Json:
        if self.fields is None or not isinstance(value, dict):
            return value
        return {name: value[name] for name in self.fields if name in value}


class _Room:
    """What is left for one evaluation, and a copy that fits."""

    def __init__(self) -> None:
        self._values = MAX_VALUES
        self._characters = MAX_CHARACTERS

    def fit(self, value: Json, depth: int = 0) -> Json:
        """Numbers beyond 64 bits become floating point, as in CEL's own JSON."""
        self._values -= 1
        if self._values < 0:
            raise _Unreadable(f"it would read more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise _Unreadable(f"it would read values nested deeper than {MAX_DEPTH} levels")
        match value:
            case str():
                return self._text(value)
            case dict():
                return {self._text(key): self.fit(inner, depth + 1) for key, inner in value.items()}
            case list():
                return [self.fit(inner, depth + 1) for inner in value]
            case bool() | float() | None:
                return value
            case int():
                return value if -(2**63) <= value < 2**63 else _as_double(value)

    def _text(self, text: str) -> str:
        self._characters -= len(text)
        if len(text) > MAX_TEXT_CHARACTERS or self._characters < 0:
            raise _Unreadable(
                f"it reads a text of more than {MAX_TEXT_CHARACTERS} characters, or {MAX_CHARACTERS} of all"
            )
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise _Unreadable("it would read a text that is not Unicode") from exc
        return text


def _as_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError as exc:
        raise _Unreadable("it would read a number that is too large") from exc


def compile_expression(text: str, root: Root) -> Expression:
    """Raises ``CelRefused`` for whatever could not give true or false."""
    if len(text) > MAX_EXPRESSION_CHARACTERS:
        raise CelRefused(f"has {len(text)} characters, at most {MAX_EXPRESSION_CHARACTERS} are read")
    _check_words(text)
    compiled = _compiled(text, root)
    kind = compiled.return_type().name()
    if kind != "BOOL":
        raise CelRefused(
            f"has to be true or false (BOOL), and is {kind}: compare it, with == true if need be"
        )
    if _try(text) is not None:
        raise CelRefused(f"does not mention {root}, so it says nothing about it")
    return Expression(text, root, _fields(text, root), compiled)


def _compiled(text: str, root: Root) -> Any:
    try:
        return _environment(root).compile(text)
    except (RuntimeError, ValueError, TypeError) as exc:
        raise CelRefused(_mistake(str(exc), root)) from exc


def _try(text: str) -> Any:
    """Compiled where nothing is known."""
    try:
        return _environment().compile(text)
    except (RuntimeError, ValueError, TypeError):
        return None


@cache
def _environment(*names: str) -> Any:
    lines = ["stdlib:", "  include_macros: [has, all, exists]", "  include_functions:"]
    lines += [f'    - name: "{name}"' for name in _FUNCTIONS]
    lines += ["variables:", *(f"  - name: {name}\n    type: dyn" for name in names)] if names else []
    return cel.NewEnv(config=cel.NewEnvConfigFromYaml("\n".join(lines) + "\n"))


def _mistake(said: str, root: Root) -> str:
    found = _MISTAKE.search(said)
    if found is None:
        return f"is not understood: {_short(said)}"
    line, column, what = found.groups()
    what = what.replace(" (in container '')", "")[:MAX_WHY_CHARACTERS]
    return f"can't be compiled at its line {line}, column {column}: {what}; it knows {root}"


def _short(said: str) -> str:
    """The library puts whole documents into its errors."""
    return printable(said[:MAX_WHY_CHARACTERS])


def _fields(text: str, root: Root) -> frozenset[str] | None:
    """Read from the bare text, so that it can only be too many: texts and comments count as well."""
    every = re.findall(rf"\b{root}\b(\s*\.\s*([A-Za-z_][A-Za-z0-9_]*))?", text, re.ASCII)
    return frozenset(name for _, name in every) if all(name for _, name in every) else None


# --- what is not carried out ---------------------------------------------------------------------


def _check_words(text: str) -> None:
    tokens = [found for found in _TOKEN.finditer(text) if found.lastgroup != "space"]
    inside = False
    for at, token in enumerate(tokens):
        word, before = token[0], tokens[at - 1] if at else None
        if inside:
            inside = word != "]"
            if inside and token.lastgroup not in ("text", "number") and word not in _CONSTANTS:
                raise CelRefused("has a list of what is not constant; lists hold texts and numbers only")
        elif word == "{":
            raise CelRefused("writes a map or message; only lists of texts and numbers are written out")
        elif word == "[":
            inside = not _is_operand(before)
        elif token.lastgroup == "word" and word == "matches":
            _check_pattern([one[0] for one in tokens[at + 1 : at + 4]], tokens[at + 1 : at + 4], before)


def _is_operand(token: re.Match[str] | None) -> bool:
    """Whether ``[`` after it picks an element, and does not begin a list."""
    if token is None:
        return False
    return token[0] in (")", "]", "`") or (token.lastgroup in ("word", "text") and token[0] != "in")


def _check_pattern(words: list[str], tokens: list[re.Match[str]], before: re.Match[str] | None) -> None:
    """The cost of a pattern is known only when it stands there."""
    written = len(words) == 3 and words[0] == "(" and words[2] == ")" and tokens[1].lastgroup == "text"
    if not written or before is None or before[0] != ".":
        raise CelRefused("matches takes a pattern that is written out: .matches('^v[0-9]+')")
    pattern = words[1]
    repeats = [max(int(number or 0) for number in one) for one in _REPEAT.findall(pattern[:5000])]
    if (
        len(pattern) > MAX_PATTERN_CHARACTERS
        or len(repeats) > 1
        or max(repeats, default=0) > MAX_PATTERN_REPEATS
    ):
        raise CelRefused(
            f"has a pattern of more than {MAX_PATTERN_CHARACTERS} characters, or with more than one "
            f"{{n}}, or one of more than {MAX_PATTERN_REPEATS}"
        )
    tried = _try(f"''.matches({pattern})")
    if tried is not None and tried.eval(data={}).type().name() != "BOOL":
        raise CelRefused(f"has a pattern that can't be read: {_short(str(tried.eval(data={}).value()))}")
