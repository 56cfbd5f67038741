"""What a policy asks of the inside of an attestation: CEL over its predicate, and over items in it.

Only a plain *true* is a yes. A field that is not there, a value of another type, too much to read or too many
steps are a no, with the reason (decision 24).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from trustgate.evidence.cel import CelRefused, Expression, compile_expression
from trustgate.evidence.printable import printable
from trustgate.oci.strict_json import Json

MAX_ITEMS: Final = 20_000
"""Of one list; the packages of large images are some 12,000. Where there are more, nothing is known."""
MAX_VIOLATIONS: Final = 1000
"""Then the rest is not looked at: the answer is no already."""
MAX_SHOWN: Final = 20
MAX_SHOWN_CHARACTERS: Final = 120
MAX_PATH_PARTS: Final = 16
_PATH: Final = re.compile(r"predicate(?:\.[A-Za-z_][A-Za-z0-9_-]*)+")
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
            answer = _predicate(self.cel).ask(predicate)
            if answer.is_true is not True:
                return Said(self.id, False, _no(answer.why) or "it is false of what the attestation says")
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
            answer = _item(self.deny_when).ask(item)
            if answer.is_true is False:
                continue
            bad.append(_named(item, _no(answer.why)))
            if len(bad) == MAX_VIOLATIONS:
                break
        if not bad:
            return Said(self.id, True)
        count = f"{len(bad)} or more" if len(bad) == MAX_VIOLATIONS else str(len(bad))
        reason = f"{count} of {len(found)} in {path} are denied"
        return Said(self.id, False, reason, tuple(bad[:MAX_SHOWN]), len(bad[MAX_SHOWN:]))


def read_expression(text: str, *, of_item: bool) -> str:
    """The text, once it is known to compile to a truth value. Raises ``QueryRefused``."""
    try:
        (_item if of_item else _predicate)(text)
    except CelRefused as exc:
        raise QueryRefused(str(exc)) from exc
    return text


@lru_cache(maxsize=512)
def _predicate(text: str) -> Expression:
    return compile_expression(text, "predicate")


@lru_cache(maxsize=512)
def _item(text: str) -> Expression:
    return compile_expression(text, "item")


def _no(why: str) -> str:
    return f"it can't be answered: {why}" if why else ""


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
