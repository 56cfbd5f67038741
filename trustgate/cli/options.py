"""Options that several commands share, so that they are spelled and explained once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click


class Pair(click.ParamType[tuple[str, str]]):
    """``K=V``, as a pair."""

    name = "K=V"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - Click's
        return self.name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is not K=V", param, ctx)
        return name, text


output_option = click.option(
    "-o",
    "--output",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or one JSON document with the name of its schema.",
)
server_option = click.option(
    "--server",
    envvar="TRUSTGATE_SERVER",
    show_envvar=True,
    default="http://localhost:5080",
    show_default=True,
    help="The running server.",
)
plain_http_option = click.option(
    "--plain-http", is_flag=True, help="Speak HTTP to a host that is not this machine."
)
data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("trustgate-data"),
    envvar="TRUSTGATE_DATA",
    show_envvar=True,
    show_default=True,
    help="The server's data directory; the advisories are in it.",
)
password_stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password or secret from stdin, and do not ask."
)
at_option = click.option("--at", metavar="TIME", help="Judge as of that moment (2027-01-31T12:00:00Z).")


def moment_of(at: str | None) -> datetime:
    """What ``--at`` says; now without it."""
    if at is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as exc:
        raise click.UsageError(f"--at: {at[:60]!a} is no moment like 2027-01-31T12:00:00Z") from exc
    if moment.tzinfo is None:
        raise click.UsageError("--at needs a time zone: end it with Z or +01:00")
    return moment.astimezone(UTC)
