"""One OSV record (schema 1.7), brought to the parts that matching needs, each checked for its type.

A record that does not have the form is refused here, at import, so that matching never meets one.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, Final

from packaging.utils import canonicalize_name

MAX_AFFECTED: Final = 20_000
MAX_ID_CHARACTERS: Final = 128
MAX_TITLE_CHARACTERS: Final = 200
MAX_URL_CHARACTERS: Final = 400
_COMPRESSION = 1
_EVENTS = frozenset({"introduced", "fixed", "last_affected", "limit"})


@dataclass(frozen=True, slots=True)
class Span:
    """A range: its type and its events, as (kind, version)."""

    type: str
    events: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Affected:
    """One entry of ``affected``. ``name`` is as packages are looked up by."""

    ecosystem: str
    name: str
    versions: tuple[str, ...]
    spans: tuple[Span, ...]
    ratings: tuple[tuple[str, str], ...]
    """(type, score) of ``severity``."""
    words: tuple[str, ...]
    """Levels in the words of the source: ``MODERATE``, ``unimportant``."""


@dataclass(frozen=True, slots=True)
class Advisory:
    """What one record says."""

    id: str
    aliases: tuple[str, ...]
    upstream: tuple[str, ...]
    title: str
    url: str
    ratings: tuple[tuple[str, str], ...]
    words: tuple[str, ...]
    affected: tuple[Affected, ...]


def normal_name(ecosystem: str, name: str) -> str:
    """The name as packages are looked up by."""
    return canonicalize_name(name) if ecosystem == "PyPI" else name


def read_record(document: dict[str, Any]) -> Advisory:
    """Raises ``ValueError`` for a record that does not follow the schema."""
    identity = _text(document.get("id"))
    affected = _list(document, "affected")
    if not identity or len(identity) > MAX_ID_CHARACTERS or len(affected) > MAX_AFFECTED:
        raise ValueError("no id, or too many affected packages")
    return Advisory(
        id=identity,
        aliases=_texts(document, "aliases"),
        upstream=_texts(document, "upstream"),
        title=_text(document.get("summary") or "")[:MAX_TITLE_CHARACTERS],
        url=_url(document),
        ratings=_ratings(document),
        words=_words(document),
        affected=tuple(_affected(_object(item)) for item in affected if _object(item).get("package")),
    )


def _affected(item: dict[str, Any]) -> Affected:
    package = _object(item["package"])
    ecosystem, name = _text(package.get("ecosystem")), _text(package.get("name"))
    spans = (_span(_object(span)) for span in _list(item, "ranges"))
    return Affected(
        ecosystem=ecosystem,
        name=normal_name(ecosystem, name),
        versions=_texts(item, "versions"),
        spans=tuple(span for span in spans if span.type != "GIT"),  # commits, which an image does not tell
        ratings=_ratings(item),
        words=_words(item),
    )


def _span(item: dict[str, Any]) -> Span:
    events = []
    for event in _list(item, "events"):
        events += [(kind, _text(at)) for kind, at in _object(event).items() if kind in _EVENTS]
    return Span(_text(item.get("type")), tuple(events))


def _ratings(place: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    found = (_object(item) for item in _list(place, "severity"))
    return tuple((_text(item.get("type")), _text(item.get("score"))) for item in found)


def _words(place: dict[str, Any]) -> tuple[str, ...]:
    """Levels that sources write outside the schema's own field; other things there are none of ours."""
    found = []
    for key in ("database_specific", "ecosystem_specific"):
        details = place.get(key)
        if isinstance(details, dict):
            found += [details[name] for name in ("severity", "urgency") if isinstance(details.get(name), str)]
    return tuple(found)


def _url(document: dict[str, Any]) -> str:
    for item in _list(document, "references"):
        reference = _object(item)
        url = reference.get("url")
        if reference.get("type") == "ADVISORY" and isinstance(url, str):
            is_link = url.startswith(("https://", "http://")) and url.isprintable()
            if is_link and len(url) <= MAX_URL_CHARACTERS:
                return url
    return ""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text")  # noqa: TRY004 - readers raise ValueError only
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("expected an object")  # noqa: TRY004 - as above
    return value


def _list(place: dict[str, Any], key: str) -> list[Any]:
    value = place.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list")  # noqa: TRY004 - as above
    return value


def _texts(place: dict[str, Any], key: str) -> tuple[str, ...]:
    return tuple(_text(item) for item in _list(place, key))


# --- how a record is kept --------------------------------------------------------------------------


def pack(advisory: Advisory) -> bytes:
    """Compressed JSON; ``unpack`` reads it back."""
    affected = [
        [a.ecosystem, a.name, a.versions, [[s.type, s.events] for s in a.spans], a.ratings, a.words]
        for a in advisory.affected
    ]
    fields = [advisory.id, advisory.aliases, advisory.upstream, advisory.title, advisory.url]
    return zlib.compress(
        json.dumps([*fields, advisory.ratings, advisory.words, affected]).encode(), _COMPRESSION
    )


def unpack(body: bytes) -> Advisory:
    """Raises ``ValueError``, ``TypeError`` or ``zlib.error`` for what ``pack`` did not write."""
    identity, aliases, upstream, title, url, ratings, words, affected = json.loads(zlib.decompress(body))
    return Advisory(
        identity,
        tuple(aliases),
        tuple(upstream),
        title,
        url,
        _pairs(ratings),
        tuple(words),
        tuple(
            Affected(
                ecosystem,
                name,
                tuple(versions),
                tuple(Span(kind, _pairs(events)) for kind, events in spans),
                _pairs(own),
                tuple(own_words),
            )
            for ecosystem, name, versions, spans, own, own_words in affected
        ),
    )


def _pairs(items: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in items)
