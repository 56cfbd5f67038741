"""Verify an image by keys, by identities, or by policies: ask, print, and say yes or no."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
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
    """0 when one of them signed it, with the annotations that were asked for; else 1."""
    from trustgate.flows.verify import verify_image

    wanted = options.wanted_annotations
    found = verify_image(place.source, place.target, attestors, now=options.now, shapes=options.shapes)
    good = [fact for fact in found.good if wanted.items() <= dict(fact.annotations).items()]
    if output == "json":
        emit_json("verify/1", {**document(place, found), "verified": bool(good)})
    else:
        tell(place, found.manifest.digest, found.facts, len(good))
        if found.good and not good:
            note("note: signed, but not with the annotations that were asked for")
    return 0 if good else 1


def by_policy(place: Place, policy_source: str, caller: str, now: datetime, output: str) -> int:
    """0 when every enforced ``contentTrust`` rule passes, 1 when one fails, 3 when one can't tell."""
    from trustgate.cli.policy import load_policies
    from trustgate.flows.verify import judge_by_policy, verify_image
    from trustgate.policy.model import Caller
    from trustgate.remote.revocation import RevocationClient
    from trustgate.wiring.clock import SystemClock

    policies = load_policies(policy_source)
    with closing(RevocationClient(SystemClock())) as revocation:
        found = verify_image(place.source, place.target, policies.attestors, now=now, revocation=revocation)
    tag = place.target if isinstance(place.target, Tag) else None
    who = Caller(caller.replace("robot:", "robot$", 1))
    verdict = judge_by_policy(found, policies, repository=place.repository, tag=tag, caller=who, now=now)
    results = [r for r in verdict.results if r.kind == "contentTrust"]
    if not results:
        note("no contentTrust rule of this policy applies: nothing was asked about signatures")
        return 3
    failed = [r for r in results if r.outcome == "fail" and r.mode == "enforce"]
    unknown = [r for r in results if r.outcome == "unknown" and r.mode == "enforce"]
    verified = not failed and not unknown
    if output == "json":
        rules = [{"rule": r.rule, "outcome": str(r.outcome), "message": r.message} for r in results]
        emit_json("verify/1", {**document(place, found), "verified": verified, "rules": rules})
    else:
        tell(place, found.manifest.digest, found.facts, len(found.good), verified=verified)
        for result in results:
            word = {"pass": OK, "exempt": OK, "fail": NO}.get(str(result.outcome), UNKNOWN)
            click.echo(f"  {mark(word)}  {result.rule}  {printable(result.message)}")
    return 1 if failed else 3 if unknown else 0


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
    *,
    verified: bool | None = None,
) -> None:
    """The answer first, then a line a candidate."""
    answer = bool(good) if verified is None else verified
    head = "verified" if answer else ("unsigned" if not facts else "NOT verified")
    click.echo(f"{head}  {place.at(digest)}  ({good} of {len(facts)} signatures good)")
    tell_facts(facts)
    if isinstance(place.target, Tag):
        note(f"note: the tag {place.target} pointed to {digest}")


def tell_facts(facts: Iterable[SignatureFact]) -> None:
    for fact in facts:
        word = {"verified": OK, "not-understood": UNKNOWN}.get(str(fact.outcome), NO)
        click.echo(f"  {mark(word)}  {fact.kind}  {fact.evidence[:19]}  {printable(fact.reason)}")
