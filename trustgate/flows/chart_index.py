"""The index of a classic chart repository: every version of every chart, kept until something changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

from trustgate.errors import Unauthorized, Unsupported
from trustgate.evidence.helm.metadata import ChartMetadata, is_version
from trustgate.flows.access import Actor
from trustgate.flows.standing_charts import StandingCharts
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.oci.strict_json import Json
from trustgate.ports import Manifests

MAX_INDEX_REPOSITORIES: Final = 2000
MAX_INDEX_CHARTS: Final = 20_000
"""Versions in one index; helm reads it whole, so a project that has more is better served over OCI."""
MAX_INDEX_BYTES: Final = 64 * 1024 * 1024
"""Of the charts' own configuration; small packages may hold much of it."""
MAX_KEPT_BYTES: Final = 2 * MAX_INDEX_BYTES
ENTRY_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version of a chart, as the index lists it."""

    metadata: ChartMetadata
    digest: Digest
    created: datetime
    size: int
    """Bytes of its configuration."""


class ChartIndex:
    """Reads the charts of a project, and remembers what it read."""

    def __init__(self, manifests: Manifests, charts: StandingCharts) -> None:
        self._manifests = manifests
        self._charts = charts
        self._kept: OrderedDict[RepositoryName, tuple[int, tuple[IndexEntry, ...]]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def of(self, project: str, actor: Actor) -> tuple[IndexEntry, ...]:
        """Every version of every chart that ``actor`` has the permission to pull.

        What policy refuses is listed too: helm would otherwise take an older version without a word.
        Raises ``Unauthorized``, ``NameInvalid``; ``Unsupported`` when there are too many.
        """
        name = RepositoryName(project)
        found: list[IndexEntry] = []
        size = 0
        for repository in self._repositories(name):
            entries = self._entries(repository) if actor.may("pull", repository) else ()
            found += entries
            size += sum(entry.size for entry in entries)
            _check_fits(len(found), size, name)
        if not found and actor.is_anonymous and name not in actor.public_projects:
            raise Unauthorized("authentication is required", hint="helm repo add NAME URL --username USER")
        return tuple(found)

    def _repositories(self, project: RepositoryName) -> Iterator[RepositoryName]:
        """Those right below the project: only they have an address here."""
        prefix = f"{project}/"
        names = self._manifests.repositories(after=prefix, limit=MAX_INDEX_REPOSITORIES + 1)
        below = [name for name in names if name.startswith(prefix)]
        if len(below) > MAX_INDEX_REPOSITORIES:
            raise Unsupported(
                f"{project} has more than {MAX_INDEX_REPOSITORIES} repositories, too many for an index",
                hint=f"use its charts over OCI: helm pull oci://HOST/{project}/CHART",
            )
        yield from (name for name in below if "/" not in name.removeprefix(prefix))

    def _entries(self, repository: RepositoryName) -> tuple[IndexEntry, ...]:
        revision = self._manifests.revision(repository)  # before the look-ups: a change in between shows
        kept = self._kept.get(repository)
        if kept is not None and kept[0] == revision:
            return kept[1]
        tags = self._manifests.tags(repository, after="", limit=MAX_INDEX_CHARTS + 1) or ()
        found: list[IndexEntry] = []
        size = 0
        for tag in tags:
            entry = self._entry(repository, tag) if is_version(tag.replace("_", "+")) else None
            if entry is not None:
                found.append(entry)
                size += entry.size
                _check_fits(len(found), size, repository)
        self._keep(repository, revision, tuple(found))
        return tuple(found)

    def _keep(self, repository: RepositoryName, revision: int, entries: tuple[IndexEntry, ...]) -> None:
        with self._lock:
            if repository in self._kept:
                self._weight -= _weight(self._kept.pop(repository)[1])
            self._kept[repository] = (revision, entries)
            self._weight += _weight(entries)
            while self._weight > MAX_KEPT_BYTES:
                self._weight -= _weight(self._kept.popitem(last=False)[1][1])

    def _entry(self, repository: RepositoryName, tag: Tag) -> IndexEntry | None:
        stored = self._manifests.find(repository, tag)
        standing = self._charts.read(stored) if stored else None
        if standing is None or (repository.rpartition("/")[2], tag) != (
            standing.metadata.name,
            standing.metadata.tag,
        ):
            return None
        return IndexEntry(
            standing.metadata, standing.chart.digest, standing.stored.pushed_at, standing.config_size
        )


def _weight(entries: Iterable[IndexEntry]) -> int:
    """About what they take in memory, in bytes."""
    return sum(entry.size + ENTRY_BYTES for entry in entries)


def _check_fits(charts: int, size: int, name: RepositoryName) -> None:
    """Raises ``Unsupported``."""
    if charts > MAX_INDEX_CHARTS or size > MAX_INDEX_BYTES:
        raise Unsupported(
            f"{name} holds more than {MAX_INDEX_CHARTS} charts, or {MAX_INDEX_BYTES} bytes about them: too "
            "much for an index",
            hint=f"use them over OCI: helm pull oci://HOST/{name}/CHART",
        )


def index_document(entries: tuple[IndexEntry, ...], *, generated: datetime) -> Mapping[str, Json]:
    """``index.yaml``, newest first within a chart's name. Addresses are relative to the index's own."""
    charts: dict[str, list[Json]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.metadata.name, -entry.created.timestamp())):
        item: dict[str, Json] = {
            **entry.metadata.fields,
            "urls": [f"{entry.metadata.name}/{entry.metadata.file_name}"],
            "created": entry.created.isoformat(),
            "digest": entry.digest.hex,
        }
        charts.setdefault(entry.metadata.name, []).append(item)
    entries_json: dict[str, Json] = dict(charts)
    return {"apiVersion": "v1", "generated": generated.isoformat(), "entries": entries_json}
