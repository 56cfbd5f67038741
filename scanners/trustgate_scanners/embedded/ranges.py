"""Whether an advisory's versions and ranges hold an installed version (OSV schema 1.7, "Evaluation").

``versions`` and ``ranges`` are alternatives; ``introduced: 0`` is before every version; a version that has
no place in the order gives an undetermined answer, never silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from trustgate_scanners.embedded import versions
from trustgate_scanners.embedded.osv_record import Affected, Span

_SEMVER = "semver"
_BEFORE_EVERYTHING = "0"
_NO_LIMIT = "*"


@dataclass(frozen=True, slots=True)
class Hit:
    """An installed version is affected, or may be."""

    fixed: tuple[str, ...]
    """The fix of the range that holds the version first, then the others, nearest first."""
    undetermined: bool


def judge(affected: Iterable[Affected], ecosystem: str, version: str) -> Hit | None:
    """All entries about one package, taken together; ``None`` when the version is not affected."""
    hit = unsure = False
    near: list[str] = []
    others: list[tuple[versions.Key, str]] = []
    for item in affected:
        hit = hit or _is_listed(item, ecosystem, version)
        unsure = unsure or _is_unsure(item, ecosystem, version)
        for span in item.spans:
            inside = holds(span, ecosystem, version)
            fixes = _fixes_above(span, ecosystem, version)
            others += fixes
            hit, unsure = hit or inside is True, unsure or inside is None
            if inside and fixes:
                near.append(min(fixes)[1])
    if not hit and not unsure:
        return None
    ordered = [text for _at, text in sorted(others)]
    return Hit(tuple(dict.fromkeys((*near, *ordered))), undetermined=not hit)


def _is_listed(item: Affected, ecosystem: str, version: str) -> bool:
    """Parsed equality: 1.0 is 1.0.0 where the ecosystem says so."""
    if version in item.versions:
        return True
    here = versions.key(ecosystem, version)
    return here is not None and any(versions.key(ecosystem, text) == here for text in item.versions)


def _is_unsure(item: Affected, ecosystem: str, version: str) -> bool:
    """A list can't be searched for a version that has no place in the order."""
    return bool(item.versions) and versions.key(ecosystem, version) is None


def holds(span: Span, ecosystem: str, version: str) -> bool | None:
    """OSV's algorithm over sorted events; ``None`` when something has no place in the order."""
    order = _order_of(span, ecosystem)
    here = versions.key(order, version)
    if here is None or span.type not in {"SEMVER", "ECOSYSTEM"}:
        return None
    bounds: list[tuple[versions.Key, str]] = []
    for kind, text in span.events:
        if kind == "limit":
            continue
        is_lowest = kind == "introduced" and text == _BEFORE_EVERYTHING
        at = versions.LOWEST if is_lowest else versions.key(order, text)
        if at is None:
            return None
        bounds.append((at, kind))
    inside = _is_inside(sorted(bounds), here)
    return inside and _is_before_limits(span, order, here)


def _is_inside(bounds: list[tuple[versions.Key, str]], here: versions.Key) -> bool:
    """What begins where another part ends goes on: together they change nothing at that version."""
    inside = False
    for at, group in groupby(bounds, key=itemgetter(0)):
        kinds = {kind for _at, kind in group}
        if here >= at and len(kinds & {"introduced", "fixed"}) == 1:
            inside = "introduced" in kinds
        if here > at and "last_affected" in kinds:
            inside = False
    return inside


def _is_before_limits(span: Span, order: str, here: versions.Key) -> bool:
    """Before any of the limits, where there are some; one that can't be read limits nothing."""
    limits = [text for kind, text in span.events if kind == "limit"]
    if not limits:
        return True
    keys = [None if text == _NO_LIMIT else versions.key(order, text) for text in limits]
    return any(at is None or here < at for at in keys)


def _order_of(span: Span, ecosystem: str) -> str:
    return _SEMVER if span.type == "SEMVER" else ecosystem


def _fixes_above(span: Span, ecosystem: str, version: str) -> list[tuple[versions.Key, str]]:
    """Fixed versions above the installed one; all of them when it has no place in the order."""
    order = _order_of(span, ecosystem)
    here = versions.key(order, version)
    found = []
    for kind, text in span.events:
        at = versions.key(order, text) if kind == "fixed" else None
        if at is not None and (here is None or at > here):
            found.append((at, text))
    return found
