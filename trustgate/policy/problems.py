"""What is wrong in a set of policy files: every problem is collected, with its place, then told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from trustgate.errors import PolicyInvalid, Problem
from trustgate.policy.escape import printable
from trustgate.policy.yaml_nodes import Place

MAX_PROBLEMS: Final = 200
MAX_MESSAGE_CHARACTERS: Final = 300
START: Final = Place(1, 1)


class Code(StrEnum):
    """Lint codes. Permanent: people search for them and silence them."""

    NOT_YAML = "TG2001"
    LAYOUT = "TG2002"
    HEAD = "TG2003"
    UNKNOWN_KEY = "TG2004"
    NOT_SUPPORTED = "TG2005"
    MISSING_KEY = "TG2006"
    WRONG_VALUE = "TG2007"
    PATTERN = "TG2008"
    NOT_UNIQUE = "TG2009"
    UNKNOWN_ATTESTOR = "TG2010"
    KEY_UNREADABLE = "TG2011"
    DECIDES_NOTHING = "TG2012"
    NO_ROOT = "TG2013"
    EXPRESSION = "TG2014"


class Problems:
    """Collects; ``raise_any`` ends the reading."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._more = 0
        self.trust_incomplete = False
        """Some attestor's definition could not be read, so that "unknown attestor" can not be said."""

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: str, place: Place, code: Code, message: str) -> None:
        """Note one problem; past ``MAX_PROBLEMS`` they are only counted."""
        if len(self._found) >= MAX_PROBLEMS:
            self._more += 1
            return
        message = printable(message, MAX_MESSAGE_CHARACTERS)
        problem = Problem(printable(path, 200), place.line, place.column, str(code), message)
        if problem not in self._found:
            self._found.append(problem)

    def raise_any(self) -> None:
        """Raises ``PolicyInvalid`` with all of them, in the order of the files."""
        if not self._found:
            return
        ordered = sorted(self._found, key=lambda one: (one.path, one.line, one.column, one.code))
        count = len(ordered) + self._more
        plural = "s" if count > 1 else ""
        raise PolicyInvalid(
            f"the policy files do not load: {count} problem{plural}, the first: {ordered[0]}",
            problems=ordered,
            hint="correct the files and commit again; trustgate policy lint shows all problems",
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean "fixable"?)``, or nothing."""
    close = difflib.get_close_matches(word[:80], list(known), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""
