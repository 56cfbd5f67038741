"""Verify an image by keys or by identities: ask, print, and say yes or no."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from trustgate.cli.images import Place
from trustgate.cli.output import NO, OK, UNKNOWN, emit_json, mark, note, printable
from trustgate.oci.names import Tag

if TYPE_CHECKING:
    from trustgate.cli.cosign_options import CosignOptions
    from trustgate.evidence.attestor import Attestor
    from trustgate.evidence.model import SignatureFact
    from trustgate.oci.digest import Digest


def by_attestors(place: Place, attestors: Sequence[Attestor], options: CosignOptions, output: str) -> int:
    """0 when one of them signed it, with the annotations that were asked for; see ``exit_code``."""
    from trustgate.flows.verify import verify_image

    wanted = options.wanted_annotations
    found = verify_image(place.source, place.target, attestors, now=options.now, shapes=options.shapes)
    good = [fact for fact in found.good if wanted.items() <= dict(fact.annotations).items()]
    if output == "json":
        emit_json("verify/1", {**document(place, found), "verified": bool(good), "unread": found.unread})
    else:
        tell(place, found.manifest.digest, found.facts, len(good))
        if found.good and not good:
            note("note: signed, but not with the annotations that were asked for")
    return exit_code(bool(good), found.unread)


def exit_code(good: bool, unread: str) -> int:
    """0 for yes and 1 for no; 3 where none is good and some were not looked at."""
    if good or not unread:
        return 0 if good else 1
    note(f"could not decide: {unread}")
    return 3


def document(place: Place, found: Any) -> dict[str, Any]:
    """What was looked at, and every candidate with its reason."""
    return {
        "image": place.at(found.manifest.digest),
        "digest": str(found.manifest.digest),
        "candidates": [candidate(fact) for fact in found.facts],
    }


def candidate(fact: SignatureFact) -> dict[str, Any]:
    return {
        "kind": str(fact.kind),
        "evidence": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": fact.reason,
        "attestors": list(fact.attestors),
        "identities": list(fact.identities),
        "annotations": dict(fact.annotations),
        "signedAt": fact.signed_at.isoformat() if fact.signed_at else None,
        "logs": fact.logs,
        "timestamps": fact.timestamps,
    }


def tell(
    place: Place,
    digest: Digest,
    facts: Sequence[SignatureFact],
    good: int,
) -> None:
    """The answer first, then a line a candidate."""
    head = "verified" if good else ("unsigned" if not facts else "NOT verified")
    click.echo(f"{head}  {place.at(digest)}  ({good} of {len(facts)} signatures good)")
    tell_facts(facts)
    if isinstance(place.target, Tag):
        note(f"note: the tag {place.target} pointed to {digest}")


def tell_facts(facts: Iterable[SignatureFact]) -> None:
    for fact in facts:
        word = {"verified": OK, "not-understood": UNKNOWN}.get(str(fact.outcome), NO)
        click.echo(f"  {mark(word)}  {fact.kind}  {fact.evidence[:19]}  {printable(fact.reason)}")
