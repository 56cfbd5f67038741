"""What commands print: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click

from trustgate import errors

OK, NO, UNKNOWN = "ok", "no", "??"
_COLOURS: Final = {OK: "green", NO: "red", UNKNOWN: "yellow", "warn": "yellow", "FAIL": "red"}
_NO_ANSWERS: Final = (errors.UpstreamRefused,)
_UNDECIDED: Final = (
    errors.UpstreamFailed,
    errors.StorageUnavailable,
    errors.StorageFull,
    errors.ScanFailed,
    errors.OpenPgpUnavailable,
    errors.SigningKeyUnavailable,
    errors.Unauthorized,
    errors.TooManyAttempts,
    errors.PolicySourceUnavailable,
    errors.NotFound,
    errors.DigestInvalid,
)


def exit_code_of(error: errors.TrustgateError) -> int:
    """3 for what could not be decided, 1 for a refusal, 2 for what was asked wrongly."""
    if isinstance(error, _UNDECIDED):
        return 3
    return 1 if isinstance(error, _NO_ANSWERS) else 2


def tell_error(error: errors.TrustgateError) -> None:
    first, *rest = error.message.splitlines() or [""]
    click.echo(f"{styled('error', 'red')}: {printable(first)}", err=True)
    for line in rest:
        click.echo(f"  {printable(line)}", err=True)
    if error.detail:
        click.echo("\n".join(f"  {printable(line)}" for line in error.detail.splitlines()), err=True)
    if error.hint:
        click.echo(f"hint: {printable(error.hint)}", err=True)


@contextmanager
def question() -> Iterator[None]:
    """Around a question on an image: who may not read it, or reads junk, gets no answer, which is not no."""
    try:
        yield
    except (errors.UpstreamRefused, errors.ManifestInvalid) as exc:
        tell_error(exc)
        raise click.exceptions.Exit(3) from exc


def note(text: str) -> None:
    """Progress, warnings and other asides."""
    click.echo(text, err=True)


def emit_json(schema: str, document: dict[str, Any]) -> None:
    """One document, with the name of its schema."""
    click.echo(json.dumps({"schema": f"trustgate.{schema}", **document}, indent=2))


def mark(word: str) -> str:
    """``ok``, ``no`` or ``??``, coloured on a terminal."""
    return styled(word.ljust(2), _COLOURS.get(word, ""))


def styled(text: str, colour: str) -> str:
    return click.style(text, fg=colour) if colour and _wants_colour() else text


def _wants_colour() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """One line that can't move the cursor: foreign words come through here."""
    return "".join(c if c.isprintable() else "?" for c in text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned on a terminal, tab-separated when piped."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            click.echo("\t".join(row))
        return
    widths = [max(len(row[place]) for row in [header, *cells]) for place in range(len(header))]
    for row in [list(header), *cells]:
        click.echo("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())
