"""OSV zips and the KEV catalogue into a new generation of advisories.

What a zip speaks for: the ecosystem that all its records share (``PyPI/all.zip`` holds records that also
affect npm, and is still about PyPI); without such a one, every ecosystem that has records of its own in it.
The zip's records replace what was known of those; other ecosystems stay as they are. Releases belong to
their distribution: a zip about Debian replaces ``Debian:12`` too.

Foreign input: what is broken in one record is counted, what is broken in an archive ends the import and
leaves the old generation.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from trustgate.scanning import ScannerError
from trustgate_scanners.embedded.database import drafting, publish_generation
from trustgate_scanners.embedded.osv_record import Advisory, pack, read_record

MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
MAX_RECORDS: Final = 2_000_000
MAX_ZIP_BYTES: Final = 8 * 1024**3
MAX_UNPACKED_BYTES: Final = 32 * 1024**3
MAX_KEV_BYTES: Final = 64 * 1024 * 1024
MIN_KEPT_SHARE: Final = 0.8
"""A generation that keeps less than this share of an ecosystem's records is refused."""
PROGRESS_EVERY: Final = 2000
KEV: Final = "known exploited vulnerabilities"

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class _Source:
    """What is learned of one zip while it is read."""

    shared: set[str] | None = None
    """Ecosystems that every record so far affects; ``None`` before the first."""
    alone: set[str] = field(default_factory=set)
    """Ecosystems with a record that affects no other."""

    def add(self, advisory: Advisory) -> None:
        families = {family(item.ecosystem) for item in advisory.affected}
        if families:
            self.shared = families if self.shared is None else self.shared & families
            if len(families) == 1:
                self.alone |= families

    @property
    def speaks_for(self) -> set[str]:
        return self.shared or self.alone


def family(ecosystem: str) -> str:
    """``Debian`` for ``Debian:12``."""
    return ecosystem.partition(":")[0]


def import_all(
    directory: Path, sources: Sequence[Path], *, progress: Progress, now: datetime, allow_shrink: bool
) -> Path:
    """Read every source into one new generation. Raises ``ScannerError("input")``; the old one then stays."""
    if not sources:
        raise ScannerError("input", "nothing to import was named")
    with drafting(directory) as connection:
        before = _known(connection)
        renewed: set[str] = set()
        for source in sources:
            renewed |= _import_one(connection, source, progress)
        _count_ecosystems(connection, renewed, now)
        if not allow_shrink:
            _refuse_shrinking(before, _known(connection))
    return publish_generation(directory, now)


def _import_one(connection: sqlite3.Connection, source: Path, progress: Progress) -> set[str]:
    """The families that the source spoke for."""
    try:
        if zipfile.is_zipfile(source):
            return _import_zip(connection, source, progress)
        _import_kev(connection, source, progress)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as exc:
        raise ScannerError("input", f"{source}: can't be read: {exc}") from exc
    return set()


def _import_zip(connection: sqlite3.Connection, source: Path, progress: Progress) -> set[str]:
    if source.stat().st_size > MAX_ZIP_BYTES:
        raise ScannerError("input", f"{source}: larger than {MAX_ZIP_BYTES} bytes")
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS fresh (id TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute("DELETE FROM fresh")
    learned, broken, number = _Source(), 0, 0
    for number, document in enumerate(_documents(source), start=1):
        broken += not _store(connection, document, learned)
        if number % PROGRESS_EVERY == 0:
            progress(source.name, number)
    if number == 0 or broken * 2 > number:
        raise ScannerError("input", f"{source}: {broken} of {number} records are not OSV records")
    for name in learned.speaks_for:
        _forget_others(connection, name)
    progress(source.name, number - broken)
    if broken:
        progress(f"{source.name}: broken and left out", broken)
    return learned.speaks_for


def _documents(source: Path) -> Iterator[dict[str, Any] | None]:
    """Records, and ``None`` for each that is not JSON."""
    unpacked = 0
    with zipfile.ZipFile(source) as archive:
        members = [item for item in archive.infolist() if item.filename.endswith(".json")]
        if len(members) > MAX_RECORDS:
            raise ScannerError("input", f"{source}: more than {MAX_RECORDS} records")
        for item in members:
            with archive.open(item) as file:
                raw = file.read(MAX_RECORD_BYTES + 1)
            unpacked += len(raw)
            if unpacked > MAX_UNPACKED_BYTES:
                raise ScannerError("input", f"{source}: unpacks to more than {MAX_UNPACKED_BYTES} bytes")
            yield _parsed(raw) if len(raw) <= MAX_RECORD_BYTES else None


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _store(connection: sqlite3.Connection, document: dict[str, Any] | None, learned: _Source) -> bool:
    """False for a record that does not follow OSV's schema."""
    if document is None:
        return False
    try:
        advisory = read_record(document)
        body = pack(advisory)
        _forget(connection, advisory.id)
        if not document.get("withdrawn"):
            _insert(connection, advisory, body)
            learned.add(advisory)
    except ValueError:  # also text that can't be encoded: lone surrogates
        return False
    return True


def _insert(connection: sqlite3.Connection, advisory: Advisory, body: bytes) -> None:
    connection.execute("INSERT INTO advisory VALUES (?, ?)", (advisory.id, body))
    connection.execute("INSERT OR IGNORE INTO fresh VALUES (?)", (advisory.id,))
    pairs = {(item.ecosystem, item.name, advisory.id) for item in advisory.affected}
    connection.executemany("INSERT INTO affected VALUES (?, ?, ?)", pairs)
    names = {(name, advisory.id) for name in (*advisory.aliases, *advisory.upstream)}
    connection.executemany("INSERT INTO alias VALUES (?, ?)", names)


def _forget(connection: sqlite3.Connection, identity: str) -> None:
    if connection.execute("SELECT 1 FROM advisory WHERE id = ?", (identity,)).fetchone():
        for table in ("affected", "alias", "advisory"):
            connection.execute(f"DELETE FROM {table} WHERE id = ?", (identity,))  # noqa: S608 - names above


def _forget_others(connection: sqlite3.Connection, name: str) -> None:
    """Drop what an earlier source said about a family and this one does not say any more."""
    old = "(ecosystem = ?1 OR (ecosystem >= ?1 || ':' AND ecosystem < ?1 || ';'))"
    connection.execute("DROP TABLE IF EXISTS temp.gone")
    connection.execute("CREATE TEMP TABLE gone (id TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute(
        f"INSERT OR IGNORE INTO gone SELECT id FROM affected "  # noqa: S608 - no foreign text in it
        f"WHERE {old} AND id NOT IN (SELECT id FROM fresh)",
        (name,),
    )
    connection.execute(f"DELETE FROM affected WHERE {old} AND id IN (SELECT id FROM gone)", (name,))  # noqa: S608
    connection.execute("DELETE FROM gone WHERE id IN (SELECT id FROM affected)")
    for table in ("alias", "advisory"):
        connection.execute(f"DELETE FROM {table} WHERE id IN (SELECT id FROM gone)")  # noqa: S608 - as above


def _import_kev(connection: sqlite3.Connection, source: Path, progress: Progress) -> None:
    with source.open("rb") as file:
        raw = file.read(MAX_KEV_BYTES + 1)
    document = _parsed(raw) if len(raw) <= MAX_KEV_BYTES else None
    listed = document.get("vulnerabilities") if document else None
    if not isinstance(listed, list) or not listed:
        raise ScannerError("input", f"{source}: neither an OSV zip nor a KEV catalogue")
    cves = [item["cveID"] for item in listed if isinstance(item, dict) and isinstance(item.get("cveID"), str)]
    if len(cves) * 2 < len(listed):
        raise ScannerError(
            "input", f"{source}: {len(listed) - len(cves)} of {len(listed)} entries have no cveID"
        )
    connection.execute("DELETE FROM kev")
    connection.executemany("INSERT OR IGNORE INTO kev VALUES (?)", [(cve,) for cve in cves])
    progress(source.name, len(cves))


def _known(connection: sqlite3.Connection) -> dict[str, int]:
    """Records of each ecosystem, and of the catalogue, as last counted."""
    counts = dict(connection.execute("SELECT name, records FROM ecosystem"))
    counts[KEV] = connection.execute("SELECT count(*) FROM kev").fetchone()[0]
    return counts


def _count_ecosystems(connection: sqlite3.Connection, renewed: set[str], now: datetime) -> None:
    """Ecosystems that this import did not speak for keep their date."""
    dates = dict(connection.execute("SELECT name, imported_at FROM ecosystem"))
    counts = connection.execute(
        "SELECT ecosystem, count(DISTINCT id) FROM affected GROUP BY ecosystem"
    ).fetchall()
    connection.execute("DELETE FROM ecosystem")
    for name, records in counts:
        at = now.timestamp() if family(name) in renewed else dates.get(name, now.timestamp())
        connection.execute("INSERT INTO ecosystem VALUES (?, ?, ?)", (name, records, at))


def _refuse_shrinking(before: dict[str, int], after: dict[str, int]) -> None:
    for ecosystem, records in before.items():
        left = after.get(ecosystem, 0)
        if left < records * MIN_KEPT_SHARE:
            raise ScannerError(
                "input",
                f"{ecosystem} would shrink from {records} to {left}; a source may be cut off "
                "(--allow-shrink imports it all the same)",
            )
