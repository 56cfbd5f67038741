"""``trustgate db``: advisories of the scanner that runs inside trustgate."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import data_option, output_option
from trustgate.cli.output import emit_json, note, table
from trustgate.scanning import DatabaseStatus, ScanContext, ScannerError, UpdatableScanner
from trustgate.scanning.discovery import discover


@click.group(epilog=EXIT_CODES)
def db() -> None:
    """Import advisories, and see which are loaded.

    \b
      trustgate db import PyPI.zip Go.zip known_exploited_vulnerabilities.json
      trustgate db status
    """


@db.command("import", epilog=EXIT_CODES)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--allow-shrink", is_flag=True, help="Also when many advisories would be lost.")
@data_option
def import_(files: tuple[Path, ...], allow_shrink: bool, data: Path) -> None:
    """Import OSV zips (one JSON record a file) and CISA's KEV catalogue.

    What a file holds replaces what was known of its ecosystems; others stay. A running server notices,
    and scans its images again.

    \b
      trustgate db import all.zip
      trustgate db import PyPI.zip kev.json --data /var/lib/trustgate
    """
    from trustgate.errors import ConfigInvalid

    began = time.monotonic()
    try:
        status = scanner(data).import_advisories(
            files, progress=_told, now=datetime.now(UTC), allow_shrink=allow_shrink
        )
    except ScannerError as exc:
        raise ConfigInvalid(str(exc), hint="the advisories that were loaded before stay in use") from exc
    _show(status)
    note(f"imported in {time.monotonic() - began:.1f} s")


@db.command(epilog=EXIT_CODES)
@data_option
@output_option
def status(data: Path, output: str) -> None:
    """Which advisories are loaded, and how old they are.

    \b
      trustgate db status
    """
    found = scanner(data).database_status()
    if output == "json":
        document = {
            "generation": found.generation if found else "",
            "updated_at": found.updated_at.isoformat() if found and found.updated_at else None,
            "records": found.records if found else {},
            "known_exploited": found.known_exploited if found else 0,
        }
        emit_json("db/1", document)
    elif found is None:
        click.echo("no advisories are loaded: trustgate db import FILE…")
    else:
        _show(found)
    if found is None:
        raise click.exceptions.Exit(1)


def scanner(data: Path) -> UpdatableScanner:
    """The scanner that keeps a database of its own. Raises ``ConfigInvalid``."""
    (found,) = discover(["embedded"], ScanContext(data, data / "tmp"))
    if not isinstance(found, UpdatableScanner):
        raise TypeError("the embedded scanner keeps a database")
    return found


def _told(what: str, records: int) -> None:
    note(f"{what}: {records} records")


def _show(found: DatabaseStatus) -> None:
    table(["ECOSYSTEM", "ADVISORIES"], [[name, str(number)] for name, number in found.records.items()])
    note(f"generation {found.generation}, {found.known_exploited} known exploited vulnerabilities")
