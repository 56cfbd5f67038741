"""Verify Notary Project signatures by notation's own trust policy and trust store."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustgate.cli.images import Place
from trustgate.cli.output import NO, OK, UNKNOWN, emit_json, mark, note, printable

if TYPE_CHECKING:
    from trustgate.flows.verify_notation import NotationResult, SignatureResult


def verify_notation(
    place: Place,
    policy: Path,
    store: Path | None,
    scope: str,
    now: datetime,
    output: str,
    *,
    offline: bool = False,
) -> int:
    """0 when one signature passes every check that the policy enforces, else 1. Raises ``ConfigInvalid``."""
    from trustgate.cli.signing_options import read_file
    from trustgate.errors import ConfigInvalid
    from trustgate.evidence.notation.trust import NotationTrustInvalid
    from trustgate.evidence.notation.trust_policy import is_scope, read_trust_policy
    from trustgate.flows.verify import NobodyToAsk
    from trustgate.flows.verify_notation import verify_under_trust_policy
    from trustgate.remote.notation_store import read_trust_store
    from trustgate.remote.revocation import RevocationClient
    from trustgate.wiring.clock import SystemClock

    asked = scope or place.name
    if not is_scope(asked):
        raise click.UsageError("say what notation's policy is asked about: --scope HOST/REPOSITORY")
    if store is None:
        raise click.UsageError("--notation-trust-store names the folder that holds x509/")
    try:
        with closing(RevocationClient(SystemClock())) as revocation:
            found = verify_under_trust_policy(
                place.source,
                place.target,
                document=read_trust_policy(read_file(policy)),
                store=read_trust_store(store),
                scope=asked,
                revocation=NobodyToAsk() if offline else revocation,
                now=now,
            )
    except NotationTrustInvalid as exc:
        raise ConfigInvalid(
            f"{policy} and {store} do not make a trust: {exc}", hint="notation policy show prints the policy"
        ) from exc
    if output == "json":
        emit_json("verify/1", _document(place, found))
    else:
        _tell(place, found)
    return 0 if found.verified else 1


def _document(place: Place, found: NotationResult) -> dict[str, Any]:
    return {
        "image": place.at(found.subject),
        "digest": str(found.subject),
        "policy": found.statement.name,
        "level": found.statement.level,
        "candidates": [
            {
                "kind": "notation",
                "evidence": str(one.evidence),
                "outcome": str(one.outcome),
                "reason": one.reason,
                "logged": list(one.logged),
                "metadata": dict(one.metadata),
            }
            for one in found.signatures
        ],
        "verified": found.verified,
    }


def _tell(place: Place, found: NotationResult) -> None:
    statement = found.statement
    head = "verified" if found.verified else ("NOT verified" if found.signatures else "unsigned")
    click.echo(f"{head}  {place.at(found.subject)}  (policy {statement.name}, level {statement.level})")
    if found.skipped:
        note("note: the policy says skip: nothing was verified, and nothing is said about the image")
    for one in found.signatures:
        _tell_one(one)
    if found.truncated:
        note("note: there are more signatures than are judged")


def _tell_one(one: SignatureResult) -> None:
    word = {"verified": OK, "not-understood": UNKNOWN}.get(str(one.outcome), NO)
    click.echo(f"  {mark(word)}  notation  {one.evidence[:19]}  {printable(one.reason)}")
    for problem in one.logged:
        click.echo(f"      only logged: {printable(problem)}")
