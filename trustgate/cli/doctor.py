"""``trustgate doctor``."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import data_option, output_option, server_option
from trustgate.cli.output import emit_json, printable, styled
from trustgate.errors import TrustgateError

LOW_SPACE_BYTES = 2 * 1024**3
OLD_ADVISORIES_H = 72
FIRST_YEAR, LAST_YEAR = 2026, 2100
CLOCK_TOLERANCE_S = 300
Check = tuple[str, str]
"""``ok``, ``warn`` or ``FAIL``, and what to say."""


@click.command(epilog=EXIT_CODES)
@data_option
@click.option(
    "--policy",
    "policy_source",
    envvar="TRUSTGATE_POLICY",
    show_envvar=True,
    help="The policy source to try, as serve takes it.",
)
@server_option
@click.option("--quick", is_flag=True, help="Only ask the server whether it lives (for health checks).")
@output_option
def doctor(data: Path, policy_source: str | None, server: str, quick: bool, output: str) -> None:
    """Check this machine, or a running server.

    \b
      trustgate doctor
      trustgate doctor --quick --server http://127.0.0.1:5080
    """
    checks: list[tuple[str, Callable[[], Check]]] = [("server", lambda: _server(server))]
    if not quick:
        checks = [
            ("data", lambda: _data(data)),
            ("clock", lambda: _clock(data)),
            ("advisories", lambda: _advisories(data)),
            ("credentials", lambda: _credentials(server)),
            *checks,
        ]
        if policy_source:
            checks.insert(0, ("policy", lambda: _policy(policy_source)))
    results = [(name, *_run(check)) for name, check in checks]
    failures = sum(state == "FAIL" for _name, state, _text in results)
    if output == "json":
        emit_json("doctor/1", {"checks": [{"name": n, "state": s, "text": t} for n, s, t in results]})
    else:
        for name, state, text in results:
            colour = {"ok": "green", "warn": "yellow"}.get(state, "red")
            click.echo(f"{styled(state.ljust(4), colour)}  {name:<12} {printable(text)}")
    raise click.exceptions.Exit(1 if failures else 0)


def _run(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except TrustgateError as exc:
        hint = f"  -> {exc.hint}" if exc.hint else ""
        return "FAIL", f"{exc.message}{hint}"


def _data(data: Path) -> Check:
    folder = data if data.is_dir() else data.parent
    if not folder.is_dir():
        return "FAIL", f"{folder} does not exist  -> make it, or choose another --data"
    if not os.access(folder, os.W_OK):
        return "FAIL", f"{folder} is not writable  -> chown it to the user that runs trustgate"
    probe = folder / f".doctor-{os.getpid()}"
    began = time.monotonic()
    with probe.open("wb") as file:
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
    took_ms = (time.monotonic() - began) * 1000
    probe.unlink()
    free = shutil.disk_usage(folder).free
    state = "ok" if free > LOW_SPACE_BYTES else "warn"
    return state, f"{folder} writable, {free / 1024**3:.0f} GiB free (fsync {took_ms:.1f} ms)"


def _clock(data: Path) -> Check:
    """A clock that was set back shows in files that were written later than now."""
    now = datetime.now(UTC)
    told = now.isoformat(timespec="seconds")
    if not FIRST_YEAR <= now.year <= LAST_YEAR:
        return "FAIL", f"the clock says {told}  -> set it; tokens and policies' dates depend on it"
    files = [path.stat().st_mtime for path in data.iterdir() if path.is_file()] if data.is_dir() else []
    newest = max(files, default=0.0)
    if newest > now.timestamp() + CLOCK_TOLERANCE_S:
        written = datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")
        return "FAIL", f"the clock says {told}, but {data} was written at {written}  -> set the clock"
    return "ok", told


def _advisories(data: Path) -> Check:
    from trustgate.cli.db import scanner

    status = scanner(data).database_status()
    if status is None or status.updated_at is None:
        return "warn", "none are loaded: scans can't say anything  -> trustgate db import FILE…"
    hours = (datetime.now(UTC) - status.updated_at).total_seconds() / 3600
    if hours < -CLOCK_TOLERANCE_S / 3600:
        when = status.updated_at.isoformat(timespec="seconds")
        return "FAIL", f"imported at {when}, which is still to come  -> set the clock"
    state = "ok" if hours < OLD_ADVISORIES_H else "warn"
    old = "  -> trustgate db import FILE…" if state == "warn" else ""
    return state, f"{sum(status.records.values())} advisories, imported {max(hours, 0):.0f} h ago{old}"


def _policy(source: str) -> Check:
    from trustgate.cli.policy import load_policies

    found = load_policies(source)
    return "ok", f"{source} loads: {found.summary}"


def _credentials(server: str) -> Check:
    from trustgate.cli.server import server_address
    from trustgate.remote.docker_config import DockerConfig

    _base, host = server_address(server)
    config = DockerConfig(os.environ, Path.home())
    found = config.find(host)
    if found is None:
        return "warn", f"not logged in to {host}  -> trustgate login {host}"
    return "ok", f"logged in to {host} as {found.username} ({found.origin})"


def _server(server: str) -> Check:
    from trustgate.cli.server import Api

    return "ok", f"{printable(server)} runs trustgate {Api(server).get('/api/v1/version')['version']}"
