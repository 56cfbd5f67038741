"""What a policy asks of the inside of an attestation: CEL over its predicate, and over items in it.

An expression is compiled when the policy is read, and must be true or false by its type. When it is asked,
only ``true`` is a yes: CEL answers a missing field, a value of another type, or too many steps with an *error
value*, which Python takes for true. The engine is cel-cpp: no input or output, linear patterns (RE2), at most
10,000 steps of loops an evaluation, expressions of at most 32 levels.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from trustgate.evidence.printable import printable
from trustgate.oci.strict_json import Json

MAX_EXPRESSION_CHARACTERS: Final = 4096
MAX_ITEMS: Final = 20_000
"""Of one list; the packages of large images are some 12,000. Where there are more, nothing is known."""
MAX_VIOLATIONS: Final = 1000
"""Then the rest is not looked at: the answer is no already."""
MAX_SHOWN: Final = 20
MAX_SHOWN_CHARACTERS: Final = 120
MAX_PATH_PARTS: Final = 16
_PATH: Final = re.compile(r"predicate(?:\.[A-Za-z_][A-Za-z0-9_-]*)+")
_PLACE: Final = re.compile(r"<input>:(\d+):(\d+): ([^\n]*)")
_NAMING: Final = (("purl",), ("name", "versionInfo"), ("name", "version"), ("id",), ("uri",))


class QueryRefused(ValueError):
    """An expression or a path that can't be asked. The message says why, and where in it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one attestation answers to one query: whether it holds, why not, and on which items it fails."""

    query: str
    holds: bool
    reason: str = ""
    items: tuple[str, ...] = ()
    more: int = 0
    """Items that are not named."""


@dataclass(frozen=True, slots=True)
class PredicateQuery:
    """``cel`` must be true of the predicate; no item of the list at ``each`` may make ``deny_when`` true.

    Made by ``read_query``: the expressions are known to compile.
    """

    cel: str = ""
    each: tuple[str, ...] = ()
    deny_when: str = ""

    @property
    def id(self) -> str:
        """Names the question by what it asks. Hex, 64 characters."""
        return hashlib.sha256(json.dumps([self.cel, self.each, self.deny_when]).encode()).hexdigest()

    def ask(self, predicate: Json) -> Said:
        """Never raises: what can't be answered does not hold."""
        if self.cel:
            answer = _evaluate(self.cel, {"predicate": predicate})
            if answer is not True:
                return Said(self.id, False, answer or "it is false of what the attestation says")
        return self._ask_each(predicate) if self.each else Said(self.id, True)

    def _ask_each(self, predicate: Json) -> Said:
        path = ".".join(("predicate", *self.each))
        found = _at(predicate, self.each)
        if not isinstance(found, list):
            return Said(self.id, False, f"{path} is no list")
        if not found:
            return Said(self.id, False, f"{path} is empty: nothing was looked at")
        if len(found) > MAX_ITEMS:
            return Said(self.id, False, f"{path} has {len(found)} items, at most {MAX_ITEMS} are looked at")
        bad: list[str] = []
        for item in found:
            answer = _evaluate(self.deny_when, {"item": item})
            if answer is False:
                continue
            bad.append(_named(item, "" if answer is True else str(answer)))
            if len(bad) == MAX_VIOLATIONS:
                break
        if not bad:
            return Said(self.id, True)
        count = f"{len(bad)} or more" if len(bad) == MAX_VIOLATIONS else str(len(bad))
        reason = f"{count} of {len(found)} in {path} are denied"
        return Said(self.id, False, reason, tuple(bad[:MAX_SHOWN]), len(bad[MAX_SHOWN:]))


def read_expression(text: str, *, of_item: bool) -> str:
    """The text, once it is known to compile to a truth value. Raises ``QueryRefused``."""
    if len(text) > MAX_EXPRESSION_CHARACTERS:
        raise QueryRefused(f"has {len(text)} characters, at most {MAX_EXPRESSION_CHARACTERS} are read")
    try:
        kind = _compiled(text, "item" if of_item else "predicate").return_type()
    except RuntimeError as exc:
        raise QueryRefused(_why_not(str(exc), of_item)) from exc
    if kind != cel.Type.BOOL:
        raise QueryRefused("is neither true nor false by its type: end it with a comparison")
    return text


def read_path(text: str) -> tuple[str, ...]:
    """``predicate.packages``: the names below. Raises ``QueryRefused``."""
    parts = text.split(".")
    if _PATH.fullmatch(text) is None or len(parts) > MAX_PATH_PARTS:
        raise QueryRefused("is no path of names like predicate.packages")
    return tuple(parts[1:])


def read_query(*, cel_text: str, each: str, deny_when: str) -> PredicateQuery:
    """Raises ``QueryRefused``."""
    return PredicateQuery(
        read_expression(cel_text, of_item=False) if cel_text else "",
        read_path(each) if each else (),
        read_expression(deny_when, of_item=True) if deny_when else "",
    )


@lru_cache(maxsize=512)
def _compiled(text: str, name: str) -> Any:
    return cel.NewEnv(variables={name: cel.Type.DYN}).compile(text)


def _why_not(error: str, of_item: bool) -> str:
    known = "item" if of_item else "predicate"
    found = _PLACE.search(error)
    if found is None:
        return f"can't be compiled: {printable(error)[:MAX_SHOWN_CHARACTERS]}"
    line, column, what = found.groups()
    return f"can't be compiled at its line {line}, column {column}: {what[:200]}; it knows {known}"


def _evaluate(text: str, values: dict[str, Json]) -> bool | str:
    """True or false; a text when it is neither."""
    (name,) = values
    try:
        result = _compiled(text, name).eval(data=values)
        kind, value = result.type(), result.value()
    except (RuntimeError, TypeError, ValueError, OverflowError, RecursionError) as exc:
        return f"it can't be answered: {printable(str(exc)[:MAX_SHOWN_CHARACTERS]) or type(exc).__name__}"
    if kind == cel.Type.BOOL and isinstance(value, bool):
        return value
    # the text of an error may hold the whole document
    return f"it can't be answered: {printable(str(value)[:MAX_SHOWN_CHARACTERS])}"


def _at(predicate: Json, path: tuple[str, ...]) -> Json:
    found = predicate
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def _named(item: Json, problem: str) -> str:
    """An item for people: by what its kind of document calls it, or the beginning of it."""
    text = ""
    if isinstance(item, dict):
        for names in _NAMING:
            words = [item.get(name) for name in names]
            if all(isinstance(word, str) and word for word in words):
                text = " ".join(map(str, words))
                break
    text = text or json.dumps(item)[: 2 * MAX_SHOWN_CHARACTERS]
    shown = printable(text)[:MAX_SHOWN_CHARACTERS]
    return f"{shown} ({problem})"[: 3 * MAX_SHOWN_CHARACTERS] if problem else shown
