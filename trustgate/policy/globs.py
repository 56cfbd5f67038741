"""Globs over repository names, tags, callers and rule ids: ``*`` within a segment, ``**`` across segments.

``**`` stands for any number of segments, none included: ``prod/**`` is ``prod`` and all below it.

Matched without regular expressions, since ``*a*a*a*b`` must not cost more than length times length: the
names come from whoever pushes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

MAX_GLOB_CHARACTERS: Final = 255
ANY_DEPTH: Final = "**"

_REPOSITORY: Final = re.compile(r"[a-z0-9._/*?-]+")
_TAG: Final = re.compile(r"[A-Za-z0-9_*?][A-Za-z0-9_.*?-]*")
_CALLER: Final = re.compile(r"[\x21-\x7e]+")
_RULE: Final = re.compile(r"[a-z0-9*?-]+/[a-z0-9*?-]+|\*\*?")


class GlobInvalid(ValueError):
    """A pattern can't be read, or can match nothing. The message says why."""


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern, split at its slashes."""

    text: str
    segments: tuple[str, ...]

    def matches(self, name: str) -> bool:
        """Whether the whole of ``name`` fits."""
        head = self.segments[0]
        if head == ANY_DEPTH and len(self.segments) == 1:
            return True
        if not _is_wild(head) and not name.startswith(head):  # most globs fail here, at no cost
            return False
        return _matches(self.segments, name.split("/"), _is_any_depth, _fits)

    def covers(self, other: Glob) -> bool:
        """Whether everything that ``other`` matches is matched here too; false when that is not plain."""
        if self.segments in (other.segments, (ANY_DEPTH,)):
            return True
        return (
            self.segments[-1] == ANY_DEPTH
            and not any(_is_wild(segment) for segment in self.segments[:-1])
            and other.segments[: len(self.segments) - 1] == self.segments[:-1]
            and len(other.segments) >= len(self.segments) - 1
        )


def repository_glob(text: str) -> Glob:
    """Raises ``GlobInvalid``."""
    glob = _glob(text, _REPOSITORY, "a repository (lower-case letters, digits, . _ - and /)")
    if not all(segment == ANY_DEPTH or _may_be_component(segment) for segment in glob.segments):
        raise GlobInvalid(f"{text!r} can match no repository: a part between slashes is empty or malformed")
    return glob


def tag_glob(text: str) -> Glob:
    """``**`` is ``*`` here: a tag has no segments. Raises ``GlobInvalid``."""
    glob = _glob(text, _TAG, "a tag (letters, digits, _ . and -)")
    return Glob(text, (re.sub(r"\*+", "*", glob.segments[0]),))


def caller_glob(text: str) -> Glob:
    """The name of a user, robot or group. Raises ``GlobInvalid``."""
    return _glob(text, _CALLER, "an account or group (printable characters, no spaces)")


def rule_glob(text: str) -> Glob:
    """``prod/signed``, ``*/signed``; ``*`` alone is every rule. Raises ``GlobInvalid``."""
    glob = _glob(text, _RULE, "a rule; write policy/rule, */rule or *")
    return Glob(text, (ANY_DEPTH,)) if len(glob.segments) == 1 else glob


def matches_any(globs: Sequence[Glob], name: str) -> bool:
    """Whether at least one fits; none fits when there is none."""
    return any(glob.matches(name) for glob in globs)


def _glob(text: str, allowed: re.Pattern[str], what: str) -> Glob:
    shown = repr(text[:80])
    if not text or len(text) > MAX_GLOB_CHARACTERS:
        raise GlobInvalid(f"a pattern has 1 to {MAX_GLOB_CHARACTERS} characters, this has {len(text)}")
    if not allowed.fullmatch(text):
        raise GlobInvalid(f"{shown} can match no name of {what}; wildcards are *, ** and ?")
    segments = tuple(text.split("/"))
    if allowed is not _TAG and any(ANY_DEPTH in part and part != ANY_DEPTH for part in segments):
        raise GlobInvalid(f"{shown} has ** inside a part; ** stands alone between slashes")
    return Glob(text, segments)


def _may_be_component(segment: str) -> bool:
    """A part of a name begins and ends with a letter, a digit or a wildcard."""
    return bool(segment) and segment[0] not in ".-_" and segment[-1] not in ".-_"


def _is_wild(segment: str) -> bool:
    return "*" in segment or "?" in segment


def _is_any_depth(segment: str) -> bool:
    return segment == ANY_DEPTH


def _fits(segment: str, part: str) -> bool:
    if not _is_wild(segment):
        return segment == part
    return bool(part) and _matches(segment, part, _is_star, _same_character)


def _is_star(character: str) -> bool:
    return character == "*"


def _same_character(pattern: str, character: str) -> bool:
    return pattern in ("?", character)


def _matches(
    pattern: Sequence[str],
    parts: Sequence[str],
    is_star: Callable[[str], bool],
    fits: Callable[[str, str], bool],
) -> bool:
    """Greedy, going back to the last star only: that is enough, and bounds the work."""
    at, star, resume = 0, -1, 0
    position = 0
    while position < len(parts):
        if at < len(pattern) and is_star(pattern[at]):
            star, resume, at = at, position, at + 1
        elif at < len(pattern) and fits(pattern[at], parts[position]):
            at, position = at + 1, position + 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return all(is_star(rest) for rest in pattern[at:])
