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
from trustgate.cli.output import emit_json, styled
from trustgate.errors import TrustgateError

LOW_SPACE_BYTES = 2 * 1024**3
OLD_ADVISORIES_H = 72
Check = tuple[str, str]
"""``ok``, ``warn`` or ``FAIL``, and what to say."""


@click.command(epilog=EXIT_CODES)
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("trustgate-data"), envvar="TRUSTGATE_DATA"
)
@click.option("--policy", "policy_source", envvar="TRUSTGATE_POLICY", help="The policy source to try.")
@click.option("--server", envvar="TRUSTGATE_SERVER", default="http://localhost:5080", show_default=True)
@click.option("--quick", is_flag=True, help="Only ask the server whether it lives (for health checks).")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text")
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
            ("clock", _clock),
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
            click.echo(f"{styled(state.ljust(4), colour)}  {name:<12} {text}")
    raise click.exceptions.Exit(1 if failures else 0)


def _run(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except TrustgateError as exc:
        hint = f"  -> {exc.hint}" if exc.hint else ""
        return "FAIL", f"{exc.message}{hint}"


def _data(data: Path) -> Check:
    folder = data if data.is_dir() else data.parent if str(data.parent) else Path()
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


def _clock() -> Check:
    year = datetime.now(UTC).year
    if not 2025 <= year <= 2100:
        return "FAIL", f"the clock says {year}  -> set it; tokens and signatures depend on it"
    return "ok", datetime.now(UTC).isoformat(timespec="seconds")


def _advisories(data: Path) -> Check:
    from trustgate.cli.db import scanner

    status = scanner(data).database_status()
    if status is None or status.updated_at is None:
        return "warn", "none are loaded: scans can't say anything  -> trustgate db import FILE…"
    hours = (datetime.now(UTC) - status.updated_at).total_seconds() / 3600
    state = "ok" if hours < OLD_ADVISORIES_H else "warn"
    return state, f"{sum(status.records.values())} advisories, imported {hours:.0f} h ago"


def _policy(source: str) -> Check:
    from trustgate.cli.policy import load_policies

    found = load_policies(source)
    return "ok", f"{source} loads: {found.summary}"


def _credentials(server: str) -> Check:
    from trustgate.remote.docker_config import DockerConfig

    host = server.partition("://")[2] or server
    config = DockerConfig(os.environ, Path.home())
    found = config.find(host)
    if found is None:
        return "warn", f"not logged in to {host}  -> trustgate login {host}"
    return "ok", f"logged in to {host} as {found.username} ({found.origin})"


def _server(server: str) -> Check:
    from trustgate.cli.server import Api

    return "ok", f"{server} runs trustgate {Api(server).get('/api/v1/version')['version']}"
