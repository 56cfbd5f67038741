"""Verify Notary Project signatures by notation's own trust policy and trust store."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trustgate.cli.images import Place
from trustgate.cli.output import NO, OK, emit_json, mark, note, printable

if TYPE_CHECKING:
    from trustgate.evidence.notation.judge import Verification
    from trustgate.evidence.notation.trust_policy import Statement

MAX_STORE_FILES = 4096
MAX_STORE_BYTES = 16 * 1024 * 1024


def verify_notation(
    place: Place, policy: Path, store: Path | None, scope: str, now: datetime, output: str
) -> int:
    """0 when one signature passes every check that the policy enforces, else 1."""
    from trustgate.errors import ConfigInvalid
    from trustgate.evidence.notation.trust import NotationTrustInvalid
    from trustgate.evidence.notation.trust_policy import statement_trust
    from trustgate.flows.verify import resolve, subject_of
    from trustgate.flows.verify_notation import verify_by_trust

    try:
        statement = _statement(policy, _scope(place, scope))
        if statement.skips:
            note(f"nothing was verified: the policy {statement.name!a} says skip")
            return 1
        trust = statement_trust(statement, _files(store))
    except NotationTrustInvalid as exc:
        raise ConfigInvalid(
            f"the trust policy {policy} does not hold: {exc}", hint="notation policy show prints it"
        ) from exc
    manifest = resolve(place.source, place.target)
    with _authorities() as revocation:
        found = verify_by_trust(place.source, subject_of(manifest), trust, now=now, revocation=revocation)
    good = [one for one in found if one.verification is not None and not one.verification.refusal]
    if output == "json":
        emit_json(
            "verify/1",
            {
                "image": place.at(manifest.digest),
                "digest": str(manifest.digest),
                "policy": statement.name,
                "level": statement.level,
                "candidates": [_document(one) for one in found],
                "verified": bool(good),
            },
        )
    else:
        _tell(place.at(manifest.digest), found, bool(good), statement)
    return 0 if good else 1


def _scope(place: Place, scope: str) -> str:
    from trustgate.evidence.notation.trust_policy import is_scope

    asked = scope or place.name
    if not is_scope(asked):
        raise click.UsageError("say what notation's policy is asked about: --scope HOST/REPOSITORY")
    return asked


def _statement(path: Path, scope: str) -> Statement:
    from trustgate.cli.signing_options import read_file
    from trustgate.errors import ConfigInvalid
    from trustgate.evidence.notation.trust_policy import read_trust_policy

    found = read_trust_policy(read_file(path)).for_scope(scope)
    if found is None:
        raise ConfigInvalid(
            f"no policy of {path} is for {scope}", hint='add it to registryScopes, or use "*"'
        )
    return found


def _files(store: Path | None) -> dict[str, bytes]:
    """The files of the trust store, by path below it. Raises ``ConfigInvalid``, ``UsageError``."""
    from trustgate.errors import ConfigInvalid

    if store is None:
        raise click.UsageError("--notation-trust-store names the folder that holds x509/")
    try:
        paths = sorted(path for path in store.rglob("*") if path.is_file())
        total = sum(path.stat().st_size for path in paths)
        if len(paths) > MAX_STORE_FILES or total > MAX_STORE_BYTES:
            raise ConfigInvalid(f"{store} holds too much for a trust store", hint="is it the right folder?")
        return {path.relative_to(store).as_posix(): path.read_bytes() for path in paths}
    except OSError as exc:
        raise ConfigInvalid(f"{store} can't be read: {exc.strerror}", hint="check the folder") from exc


def _authorities() -> Any:
    from contextlib import closing

    from trustgate.remote.revocation import RevocationClient
    from trustgate.wiring.clock import SystemClock

    return closing(RevocationClient(SystemClock()))


def _document(one: Any) -> dict[str, Any]:
    return {
        "kind": "notation",
        "evidence": str(one.evidence),
        "outcome": _word(one.verification),
        "reason": one.reason,
        "attestors": [],
    }


def _word(verification: Verification | None) -> str:
    if verification is None:
        return "broken"
    if verification.refusal:
        return "untrusted"
    return "verified" if verification.verified else "accepted-unverified"


def _tell(image: str, found: Any, good: bool, statement: Statement) -> None:
    head = "verified" if good else ("unsigned" if not found else "NOT verified")
    click.echo(f"{head}  {image}  (policy {statement.name}, level {statement.level})")
    for one in found:
        word = OK if one.verification is not None and not one.verification.refusal else NO
        click.echo(f"  {mark(word)}  notation  {one.evidence[:19]}  {printable(one.reason)}")
        if one.verification is not None and word == OK and not one.verification.verified:
            note("note: accepted by the policy's level, though nobody whom it trusts signed it")
