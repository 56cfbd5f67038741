"""Advisories in one SQLite file a generation, swapped in whole; the generation before it is kept.

DATA/advisories/<generation>.sqlite     and     DATA/advisories/current  (the generation's name)
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trustgate.scanning import DatabaseStatus, ScannerError
from trustgate_scanners.embedded.osv_record import Advisory, unpack

CURRENT: Final = "current"
FORMAT: Final = 2
"""Of the file; another one is not read: advisories are imported again."""
MAX_LINKED: Final = 32
_DRAFT = "draft.sqlite"
_SCHEMA = f"""
CREATE TABLE advisory (id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE affected (ecosystem TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,
                       PRIMARY KEY (ecosystem, name, id)) WITHOUT ROWID;
CREATE INDEX affected_by_id ON affected (id);
CREATE TABLE alias (alias TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (alias, id)) WITHOUT ROWID;
CREATE INDEX alias_by_id ON alias (id);
CREATE TABLE kev (cve TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE ecosystem (name TEXT PRIMARY KEY, records INTEGER NOT NULL, imported_at REAL NOT NULL)
                        WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""


class AdvisoryDatabase:
    """Read access to one generation; ``reading`` opens it."""

    def __init__(self, connection: sqlite3.Connection, generation: str) -> None:
        self.generation = generation
        self._connection = connection

    def advisories_for(self, ecosystem: str, name: str) -> list[Advisory]:
        rows = self._connection.execute(
            "SELECT a.body FROM affected f JOIN advisory a ON a.id = f.id "
            "WHERE f.ecosystem = ? AND f.name = ? ORDER BY a.id",
            (ecosystem, name),
        )
        return [unpack(body) for (body,) in rows]

    def linked(self, name: str) -> list[Advisory]:
        """The record called ``name``, and those that name it as an alias or as their upstream."""
        rows = self._connection.execute(
            "SELECT body FROM advisory "
            "WHERE id = ?1 OR id IN (SELECT id FROM alias WHERE alias = ?1) ORDER BY id LIMIT ?2",
            (name, MAX_LINKED),
        )
        return [unpack(body) for (body,) in rows]

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


@contextmanager
def reading(path: Path) -> Iterator[AdvisoryDatabase]:
    """Open one generation. Raises ``ScannerError("crash")`` when the file is not sound, now or later on."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found != FORMAT:
                raise ScannerError(
                    "crash",
                    f"{path} has format {found}, this release reads {FORMAT}: import advisories again",
                )
            yield AdvisoryDatabase(connection, path.stem)
    except (sqlite3.Error, zlib.error, ValueError, TypeError) as exc:
        raise ScannerError("crash", f"{path} can't be read: {exc}; import advisories again") from exc


def current_generation(directory: Path) -> Path | None:
    """The file in use, or ``None`` when nothing was ever imported."""
    try:
        name = (directory / CURRENT).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    path = directory / f"{name}.sqlite"
    return path if path.is_file() else None


@contextmanager
def drafting(directory: Path) -> Iterator[sqlite3.Connection]:
    """A draft of the next generation, in a transaction: a copy of the current one, or empty.

    One import at a time. Raises ``ScannerError("input")``; the draft is then gone.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield from _draft(directory)
    except BlockingIOError as exc:
        raise ScannerError("input", f"another import is at work in {directory}") from exc
    except (OSError, sqlite3.Error) as exc:
        raise ScannerError("input", f"the advisories can't be written to {directory}: {exc}") from exc


def _draft(directory: Path) -> Iterator[sqlite3.Connection]:
    draft = directory / _DRAFT
    draft.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")  # a draft that breaks is thrown away
            connection.execute("PRAGMA synchronous = OFF")  # and made durable as a whole when it is published
            _copy_current(directory, connection)
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _copy_current(directory: Path, connection: sqlite3.Connection) -> None:
    base = current_generation(directory)
    if base is not None:
        with closing(sqlite3.connect(f"file:{base}?mode=ro", uri=True)) as source:
            if source.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
                source.backup(connection)
                return
    connection.executescript(_SCHEMA)


def publish_generation(directory: Path, now: datetime) -> Path:
    """Make the draft the current generation: durable, then named in one rename.

    Raises ``ScannerError("input")`` when it can't be written; the generation before stays current.
    """
    before = current_generation(directory)
    name = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    while (path := directory / f"{name}.sqlite").exists():
        name += "+"  # two imports at one moment: a clock that was set back
    try:
        _sync(directory / _DRAFT)
        (directory / _DRAFT).rename(path)
        pointer = directory / "current.new"
        pointer.write_text(f"{name}\n", "ascii")
        _sync(pointer)
        _sync(directory)
        pointer.replace(directory / CURRENT)
        _sync(directory)
        for old in directory.glob("2*.sqlite"):
            if old not in {path, before}:
                old.unlink(missing_ok=True)
    except OSError as exc:
        raise ScannerError(
            "input", f"the advisories could not be written to {directory}: {exc.strerror}"
        ) from exc
    return path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
