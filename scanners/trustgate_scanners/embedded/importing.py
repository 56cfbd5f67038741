"""OSV zips and the KEV catalogue into a new generation of advisories.

Importing a source replaces the records of the ecosystems that it holds; others stay. Foreign input: what is
broken in one record is counted, what is broken in an archive ends the import and leaves the old generation.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from trustgate.scanning import ScannerError
from trustgate_scanners.embedded.database import begin_generation, current_generation, publish_generation

MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
MAX_RECORDS: Final = 2_000_000
MAX_ZIP_BYTES: Final = 8 * 1024**3
MAX_UNPACKED_BYTES: Final = 32 * 1024**3
MAX_KEV_BYTES: Final = 64 * 1024 * 1024
MAX_AFFECTED: Final = 5000
SHRINK_LIMIT: Final = 0.8
"""A generation that keeps less than this share of an ecosystem's records is refused."""
PROGRESS_EVERY: Final = 2000
_KEPT_KEYS = (
    "id",
    "aliases",
    "upstream",
    "affected",
    "severity",
    "summary",
    "database_specific",
    "references",
)

Progress = Callable[[str, int], None]


def import_all(
    directory: Path, sources: Sequence[Path], *, progress: Progress, now: datetime, allow_shrink: bool
) -> Path:
    """Read every source into one new generation. Raises ``ScannerError("input")``; the old one then stays."""
    if not sources:
        raise ScannerError("input", "nothing to import was named")
    base = current_generation(directory)
    with closing(begin_generation(directory, base)) as connection:
        connection.execute("BEGIN")
        before = _counts(connection)
        for source in sources:
            _import_one(connection, source, progress)
        _count_ecosystems(connection, now)
        if not allow_shrink:
            _refuse_shrinking(before, _counts(connection))
        connection.execute("COMMIT")
    return publish_generation(directory, now)


def _import_one(connection: sqlite3.Connection, source: Path, progress: Progress) -> None:
    try:
        if zipfile.is_zipfile(source):
            _import_zip(connection, source, progress)
        else:
            _import_kev(connection, source, progress)
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as exc:
        raise ScannerError("input", f"{source}: can't be read: {exc}") from exc


def _import_zip(connection: sqlite3.Connection, source: Path, progress: Progress) -> None:
    if source.stat().st_size > MAX_ZIP_BYTES:
        raise ScannerError("input", f"{source}: larger than {MAX_ZIP_BYTES} bytes")
    broken = number = 0
    replaced: set[str] = set()
    for number, record in enumerate(_records(source), start=1):
        if record is None or not _store(connection, record, replaced):
            broken += 1
        if number % PROGRESS_EVERY == 0:
            progress(source.name, number)
    if number == 0 or broken * 2 > number:
        raise ScannerError("input", f"{source}: {broken} of {number} records are not OSV records")
    progress(source.name, number - broken)


def _records(source: Path) -> Iterator[dict[str, Any] | None]:
    """Records, and ``None`` for each that is broken."""
    unpacked = 0
    with zipfile.ZipFile(source) as archive:
        members = [item for item in archive.infolist() if item.filename.endswith(".json")]
        if len(members) > MAX_RECORDS:
            raise ScannerError("input", f"{source}: more than {MAX_RECORDS} records")
        for item in members:
            unpacked += item.file_size
            if unpacked > MAX_UNPACKED_BYTES:
                raise ScannerError("input", f"{source}: unpacks to more than {MAX_UNPACKED_BYTES} bytes")
            if item.file_size > MAX_RECORD_BYTES:
                yield None
                continue
            with archive.open(item) as file:
                yield _parsed(file.read(MAX_RECORD_BYTES + 1))


def _parsed(raw: bytes) -> dict[str, Any] | None:
    if len(raw) > MAX_RECORD_BYTES:
        return None
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _store(connection: sqlite3.Connection, record: dict[str, Any], replaced: set[str]) -> bool:
    """False for a record without the fields that OSV requires."""
    identity, affected = record.get("id"), record.get("affected") or []
    if not isinstance(identity, str) or not identity or not isinstance(affected, list):
        return False
    pairs = _pairs(affected)
    _forget_once(connection, {ecosystem for ecosystem, _name in pairs}, replaced)
    connection.execute("DELETE FROM affected WHERE id = ?", (identity,))
    connection.execute("DELETE FROM alias WHERE id = ?", (identity,))
    connection.execute("DELETE FROM advisory WHERE id = ?", (identity,))
    if record.get("withdrawn"):
        return True
    body = zlib.compress(json.dumps({key: record[key] for key in _KEPT_KEYS if key in record}).encode(), 3)
    ecosystems = json.dumps(sorted({ecosystem for ecosystem, _name in pairs}))
    connection.execute("INSERT INTO advisory VALUES (?, ?, ?)", (identity, ecosystems, body))
    connection.executemany(
        "INSERT OR IGNORE INTO affected VALUES (?, ?, ?)", [(*pair, identity) for pair in pairs]
    )
    aliases = [*_texts(record.get("aliases")), *_texts(record.get("upstream"))]
    connection.executemany(
        "INSERT OR IGNORE INTO alias VALUES (?, ?)", [(alias, identity) for alias in aliases]
    )
    return True


def _pairs(affected: list[Any]) -> list[tuple[str, str]]:
    """(ecosystem, name) of every affected package."""
    found: dict[tuple[str, str], None] = {}
    for item in affected[:MAX_AFFECTED]:
        package = item.get("package") if isinstance(item, dict) else None
        if isinstance(package, dict):
            ecosystem, name = package.get("ecosystem"), package.get("name")
            if isinstance(ecosystem, str) and isinstance(name, str) and ecosystem and name:
                found[ecosystem, normal_name(ecosystem, name)] = None
    return list(found)


def normal_name(ecosystem: str, name: str) -> str:
    """The name as packages are looked up by."""
    if ecosystem == "PyPI":
        from packaging.utils import canonicalize_name

        return canonicalize_name(name)
    return name


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _forget_once(connection: sqlite3.Connection, ecosystems: set[str], replaced: set[str]) -> None:
    """The first record of an ecosystem in a source makes room for that source's records."""
    for ecosystem in ecosystems - replaced:
        replaced.add(ecosystem)
        connection.execute(
            "DELETE FROM advisory WHERE id IN (SELECT id FROM affected WHERE ecosystem = ?)", (ecosystem,)
        )
        connection.execute("DELETE FROM affected WHERE ecosystem = ?", (ecosystem,))


def _import_kev(connection: sqlite3.Connection, source: Path, progress: Progress) -> None:
    with source.open("rb") as file:
        raw = file.read(MAX_KEV_BYTES + 1)
    document = _parsed(raw) if len(raw) <= MAX_RECORD_BYTES else None
    listed = document.get("vulnerabilities") if document else None
    if not isinstance(listed, list) or not listed:
        raise ScannerError("input", f"{source}: neither an OSV zip nor a KEV catalogue")
    cves = [item["cveID"] for item in listed if isinstance(item, dict) and isinstance(item.get("cveID"), str)]
    connection.execute("DELETE FROM kev")
    connection.executemany("INSERT OR IGNORE INTO kev VALUES (?)", [(cve,) for cve in cves])
    progress(source.name, len(cves))


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    rows = connection.execute("SELECT ecosystem, count(DISTINCT id) FROM affected GROUP BY ecosystem")
    return dict(rows.fetchall())


def _count_ecosystems(connection: sqlite3.Connection, now: datetime) -> None:
    """Keep the old date of an ecosystem that this import did not touch."""
    known = dict(connection.execute("SELECT name, records FROM ecosystem"))
    counts = _counts(connection)
    for name, records in counts.items():
        if known.get(name) != records or name not in known:
            connection.execute("DELETE FROM ecosystem WHERE name = ?", (name,))
            connection.execute("INSERT INTO ecosystem VALUES (?, ?, ?)", (name, records, now.timestamp()))
    for name in set(known) - set(counts):
        connection.execute("DELETE FROM ecosystem WHERE name = ?", (name,))


def _refuse_shrinking(before: dict[str, int], after: dict[str, int]) -> None:
    for ecosystem, records in before.items():
        left = after.get(ecosystem, 0)
        if left < records * SHRINK_LIMIT:
            raise ScannerError(
                "input",
                f"{ecosystem} would shrink from {records} to {left} advisories; a source may be cut off "
                "(--allow-shrink imports it all the same)",
            )
