"""``trustgate serve``."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustgate import __version__
from trustgate.cli.main import EXIT_CODES
from trustgate.cli.output import note

if TYPE_CHECKING:
    from trustgate.settings import Settings
    from trustgate.wiring import Server


@click.command(epilog=EXIT_CODES)
@click.option("--data", help="Data directory.  [default: ./trustgate-data]")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port; 0 takes a free one.  [default: 5080]")
@click.option(
    "--policy",
    help="Git work tree, bare repository or URL (with #ref), dir:PATH, or starter.  [default: starter]",
)
@click.option("--public-url", help="How clients reach the registry, behind a proxy.")
@click.option("--metrics-port", type=int, help="Prometheus metrics on this port.  [default: none]")
@click.option(
    "--scanner", "scanners", multiple=True, help="Scanner adapter; repeatable.  [default: embedded]"
)
@click.option("--tls-cert", help="Certificate chain (PEM).")
@click.option("--tls-key", help="Private key (PEM).")
@click.option(
    "--max-blob-bytes", metavar="SIZE", help="The most that is taken as one blob.  [default: 128GiB]"
)
@click.option(
    "--revocation-host",
    "revocation_hosts",
    multiple=True,
    help="Host of an own certificate authority (OCSP, CRL) at an inner address; repeatable.",
)
@click.option(
    "--decision-days", metavar="DAYS", help="How long decisions and their pages are kept.  [default: 90]"
)
@click.option("--sparse-indexes", is_flag=True, default=None, help="Accept manifests with missing content.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file.  [default: ./trustgate.toml]")
def serve(
    config: Path | None, scanners: tuple[str, ...], revocation_hosts: tuple[str, ...], **flags: Any
) -> None:
    """Run the registry. Every option can also be set as TRUSTGATE_NAME (--public-url is
    TRUSTGATE_PUBLIC_URL; --scanner is TRUSTGATE_SCANNERS, with commas), or in trustgate.toml.

    \b
      trustgate serve
      trustgate serve --policy ./policy --data /var/lib/trustgate --public-url https://registry.example.com
    """
    from trustgate.settings import load_settings

    logging.basicConfig(
        level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    repeated = {"scanners": scanners or None, "revocation_hosts": revocation_hosts or None}
    settings = load_settings({**flags, **repeated}, os.environ, config=config)
    run_server(settings, announce)


def run_server(settings: Settings, ready: Any) -> None:
    """Bind, build, serve; ``ready(server, seconds)`` is called when requests are answered."""
    from trustgate.api.listen import Listener, bind, run
    from trustgate.api.metrics import MetricsApp
    from trustgate.wiring import build

    began = time.monotonic()
    with ExitStack() as open_things:
        sock = open_things.enter_context(bind(settings.host, settings.port))
        settings = replace(settings, port=sock.getsockname()[1])
        side = None
        if settings.metrics_port:
            side = open_things.enter_context(bind(settings.host, settings.metrics_port))
        server = build(settings)
        open_things.callback(server.close)
        listeners = [Listener(server.app, sock, settings.tls_cert, settings.tls_key)]
        if side is not None:
            listeners.append(Listener(MetricsApp(server.metrics), side))
        run(listeners, on_ready=lambda: ready(server, time.monotonic() - began))


def announce(server: Server, took_s: float) -> None:
    """What an operator wants to know first."""
    settings = server.settings
    host = settings.base_url.partition("://")[2]
    status = server.reload.status
    policy = f"{status.loaded_origin} ({status.summary})"
    note(f"trustgate {__version__}  ·  data {settings.data}  ·  policy {policy}")
    note(f"  registry   {settings.base_url:<32}  docker push {host}/hello/world:1")
    if server.setup_code is not None:
        note("  setup      choose the administrator's password, within 30 minutes, once:")
        note(f"             {settings.base_url}/setup/{server.setup_code}")
    if server.password_file.exists():
        note(f"  admin      admin  ·  password in {server.password_file} (mode 0600)")
    if not settings.tls_cert and not settings.public_url.startswith("https"):
        note("  not for production: plain HTTP.   trustgate doctor  tells what to change")
    note(f"ready in {took_s:.1f} s   (Ctrl-C stops; unfinished uploads are kept)")
