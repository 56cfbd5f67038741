"""Verify a chart in a file, with its provenance beside it, as ``helm verify`` does."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from trustgate.cli.chart_file import PROVENANCE, read_beside
from trustgate.cli.output import NO, OK, emit_json, mark, printable
from trustgate.cli.verify_image import candidate


def verify_chart(chart: str, keyring: Path, now: datetime, output: str) -> int:
    """0 when a key of the keyring signed it, else 1. Raises ``ConfigInvalid``, ``OpenPgpUnavailable``."""
    from trustgate.evidence.attestor import Attestor
    from trustgate.evidence.helm.chart import MAX_CHART_BYTES
    from trustgate.evidence.helm.clear_sign import MAX_PROVENANCE_BYTES
    from trustgate.evidence.helm.trust import MAX_KEYRING_BYTES, whole_keyring_trust
    from trustgate.evidence.model import Outcome
    from trustgate.flows.chart_evidence import judge_files
    from trustgate.remote.gpg import Gpg

    path = Path(chart)
    package = read_beside(path, MAX_CHART_BYTES, "the chart")
    provenance = read_beside(path.with_name(path.name + PROVENANCE), MAX_PROVENANCE_BYTES, "its provenance")
    trust = whole_keyring_trust(read_beside(keyring, MAX_KEYRING_BYTES, "the keyring"))
    gpg = Gpg()
    try:
        fact = judge_files(
            package,
            provenance,
            path.name,
            openpgp=gpg,
            attestors=[Attestor(keyring.name, trust)],
            now=now,
        )
    finally:
        gpg.close()
    verified = fact.outcome is Outcome.VERIFIED
    if output == "json":
        emit_json("verify/1", {"chart": str(path), "candidates": [candidate(fact)], "verified": verified})
    else:
        click.echo(f"{'verified' if verified else 'NOT verified'}  {path}")
        who = "".join(f"  {identity}" for identity in fact.identities)
        click.echo(f"  {mark(OK if verified else NO)}  {fact.kind}  {printable(fact.reason)}{who}")
    return 0 if verified else 1
