"""How bad an advisory says a vulnerability is: its scores first, then the words of its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trustgate.scanning import Severity
from trustgate_scanners.embedded.cvss import base_score, level
from trustgate_scanners.embedded.osv_record import Advisory, Affected

Rating = tuple[Severity, float | None]
_WORDS: Final[Mapping[str, Severity]] = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "negligible": Severity.NEGLIGIBLE,
    "unimportant": Severity.NEGLIGIBLE,
    "none": Severity.NONE,
}
_SCORED: Final = ("CVSS_V3", "CVSS_V2")
"""Newest first. A version 4 vector has no score here (see ``cvss``): the source's word counts then."""


def rate(advisory: Advisory, ecosystem: str, name: str) -> Rating | None:
    """The package's own score before the general one; then words in the same order; ``None`` for neither."""
    mine = [item for item in advisory.affected if (item.ecosystem, item.name) == (ecosystem, name)]
    places: tuple[Affected | Advisory, ...] = (*mine, advisory)
    for place in places:
        rating = _scored(dict(place.ratings)) or _worded(
            score for kind, score in place.ratings if not kind.startswith("CVSS_")
        )
        if rating is not None:
            return rating
    for place in places:
        rating = _worded(place.words)
        if rating is not None:
            return rating
    return None


def _scored(by_kind: Mapping[str, str]) -> Rating | None:
    for kind in _SCORED:
        score = base_score(kind, by_kind.get(kind, ""))
        if score is not None:
            return level(score), score
    return None


def _worded(words: Iterable[str]) -> Rating | None:
    """Debian marks an urgency that a person has not looked at with asterisks."""
    for word in words:
        found = _WORDS.get(word.strip().rstrip("*").lower())
        if found is not None:
            return found, None
    return None
