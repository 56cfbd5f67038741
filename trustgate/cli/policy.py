"""``trustgate policy``: lint, status, reload."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option, server_option
from trustgate.cli.output import emit_json, note

if TYPE_CHECKING:
    from trustgate.policy.policy_set import PolicySet


@click.group(epilog=EXIT_CODES)
def policy() -> None:
    """Check policies, and see which is in force.

    \b
      trustgate policy lint ./policy
      trustgate policy status --server http://localhost:5080
    """


@policy.command(epilog=EXIT_CODES)
@click.argument("source", default="dir:.")
@output_option
def lint(source: str, output: str) -> None:
    """Read policies as a server would, and report every problem with file, line and column.

    \b
      trustgate policy lint ./policy            the commit that HEAD names
      trustgate policy lint dir:./policy        the files as they are now
    """
    from trustgate.errors import PolicyInvalid

    try:
        found = load_policies(source)
    except PolicyInvalid as exc:
        if output == "json":
            problems = [
                {"path": p.path, "line": p.line, "column": p.column, "code": p.code, "message": p.message}
                for p in exc.problems
            ]
            emit_json("lint/1", {"source": source, "problems": problems})
        else:
            for problem in exc.problems:
                click.echo(str(problem))
            note(f"{len(exc.problems)} problem(s)")
        raise click.exceptions.Exit(1) from exc
    if output == "json":
        emit_json("lint/1", {"source": source, "problems": [], "revision": found.revision})
    else:
        click.echo(f"ok  {found.revision[:24]}  {found.summary}")


@policy.command(epilog=EXIT_CODES)
@server_option
@output_option
def status(server: str, output: str) -> None:
    """Which policy a running server enforces.

    \b
      trustgate policy status
    """
    from trustgate.cli.server import Api

    _show(Api(server).get("/api/v1/policy"), output)


@policy.command(epilog=EXIT_CODES)
@server_option
@output_option
def reload(server: str, output: str) -> None:
    """Let a running server look for a newer policy now.

    \b
      trustgate policy reload
    """
    from trustgate.cli.server import Api

    _show(Api(server).post("/api/v1/policy/reload", {}), output)


def load_policies(source: str) -> PolicySet:
    """Load a policy source as the server does. Raises ``PolicyInvalid``, ``PolicySourceUnavailable``."""
    from trustgate.errors import PolicySourceUnavailable
    from trustgate.policy.document import load
    from trustgate.remote.policy_git import parse_source
    from trustgate.remote.trust_root import bundled_roots
    from trustgate.wiring import SystemClock

    with tempfile.TemporaryDirectory(prefix="trustgate-policy-") as folder:
        files = parse_source(source, data_dir=Path(folder), clock=SystemClock()).fetch(known="")
    if files is None:
        raise PolicySourceUnavailable(f"{source} holds no policy files")
    return load(files.files, revision=files.revision, known_roots=bundled_roots())


def _show(document: dict[str, Any], output: str) -> None:
    """Exit code 1 when what is in force is not what the source says now."""
    if output == "json":
        emit_json("policy-status/1", document)
    else:
        click.echo(f"in force   {document['loaded_revision']}  ({document['summary']})")
        click.echo(f"from       {document['loaded_origin']}")
        if document["last_error"]:
            click.echo(f"DEGRADED   {document['last_error']['message']}")
            for problem in document["last_error"]["problems"]:
                click.echo(f"           {problem}")
    if document["degraded"]:
        raise click.exceptions.Exit(1)
