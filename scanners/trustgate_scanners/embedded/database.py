"""Advisories in one SQLite file a generation, swapped in whole; the generation before it is kept.

DATA/advisories/<generation>.sqlite     and     DATA/advisories/current  (the generation's name)
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from trustgate.scanning import DatabaseStatus, ScannerError

CURRENT: Final = "current"
KEPT_GENERATIONS: Final = 2
_SCHEMA = """
CREATE TABLE advisory (id TEXT PRIMARY KEY, ecosystems TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE affected (ecosystem TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,
                       PRIMARY KEY (ecosystem, name, id)) WITHOUT ROWID;
CREATE TABLE alias (alias TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (alias, id)) WITHOUT ROWID;
CREATE TABLE kev (cve TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE ecosystem (name TEXT PRIMARY KEY, records INTEGER NOT NULL, imported_at REAL NOT NULL)
                        WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Advisory:
    """One OSV record, as imported."""

    id: str
    record: dict[str, Any]


class AdvisoryDatabase:
    """Read access to one generation."""

    def __init__(self, path: Path) -> None:
        self.generation = path.stem
        self._path = path
        self._connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._connection.close()

    def advisories_for(self, ecosystem: str, name: str) -> Iterator[Advisory]:
        rows = self._connection.execute(
            "SELECT a.id, a.body FROM affected f JOIN advisory a ON a.id = f.id "
            "WHERE f.ecosystem = ? AND f.name = ?",
            (ecosystem, name),
        )
        for identity, body in rows:
            yield Advisory(identity, json.loads(zlib.decompress(body)))

    def linked(self, identity: str, aliases: Iterable[str]) -> list[Advisory]:
        """Other records about the same vulnerability: those that it names, and those that name it."""
        found: dict[str, Advisory] = {}
        for name in (identity, *aliases):
            rows = self._connection.execute(
                "SELECT id, body FROM advisory "
                "WHERE id = ?1 OR id IN (SELECT id FROM alias WHERE alias = ?1) LIMIT 20",
                (name,),
            )
            for other, body in rows:
                if other != identity:
                    found[other] = Advisory(other, json.loads(zlib.decompress(body)))
        return list(found.values())

    def exploited(self, cve: str) -> bool:
        """Whether CISA's catalogue of known exploited vulnerabilities lists it."""
        row = self._connection.execute("SELECT 1 FROM kev WHERE cve = ?", (cve,)).fetchone()
        return row is not None

    def covers(self, ecosystem: str) -> datetime | None:
        """When this ecosystem's advisories were imported; ``None`` when there are none."""
        row = self._connection.execute(
            "SELECT imported_at FROM ecosystem WHERE name = ? AND records > 0", (ecosystem,)
        ).fetchone()
        return datetime.fromtimestamp(row[0], UTC) if row else None

    def status(self) -> DatabaseStatus:
        records = dict(self._connection.execute("SELECT name, records FROM ecosystem ORDER BY name"))
        newest = self._connection.execute("SELECT max(imported_at) FROM ecosystem").fetchone()[0]
        exploited = self._connection.execute("SELECT count(*) FROM kev").fetchone()[0]
        updated = datetime.fromtimestamp(newest, UTC) if newest is not None else None
        return DatabaseStatus(self.generation, updated, records, exploited)


def current_generation(directory: Path) -> Path | None:
    """The file in use, or ``None`` when nothing was ever imported."""
    try:
        name = (directory / CURRENT).read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    path = directory / f"{name}.sqlite"
    return path if path.is_file() else None


def begin_generation(directory: Path, base: Path | None) -> sqlite3.Connection:
    """A new file beside the old one: a copy of it, or empty."""
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / "draft.sqlite"
    draft.unlink(missing_ok=True)
    connection = sqlite3.connect(draft, isolation_level=None)
    if base is not None:
        with closing(sqlite3.connect(f"file:{base}?mode=ro", uri=True)) as source:
            source.backup(connection)
    else:
        connection.executescript(_SCHEMA)
    return connection


def publish_generation(directory: Path, now: datetime) -> Path:
    """Make the draft the current generation: durable, then named in one rename."""
    draft = directory / "draft.sqlite"
    name = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = directory / f"{name}.sqlite"
    try:
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.rename(path)
        pointer = directory / "current.new"
        with pointer.open("w", encoding="utf-8") as file:
            file.write(f"{name}\n")
            file.flush()
            os.fsync(file.fileno())
        pointer.replace(directory / CURRENT)
    except OSError as exc:
        raise ScannerError(
            "input", f"the advisories could not be written to {directory}: {exc.strerror}"
        ) from exc
    for old in sorted(directory.glob("2*.sqlite"))[:-KEPT_GENERATIONS]:
        old.unlink(missing_ok=True)
    return path
