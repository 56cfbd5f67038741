"""``trustgate verify-attestation``: what is said of an image, and by whom; cosign's option names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trustgate.cli.cosign_options import CosignCommand, CosignOptions, attestors_of, cosign_options
from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option
from trustgate.cli.output import NO, OK, UNKNOWN, emit_json, mark, note, printable, question
from trustgate.cli.policy_options import (
    PolicyQuestion,
    caller_option,
    check_not_policys,
    policy_option,
    scope_option,
)
from trustgate.cli.verify import by_policy

if TYPE_CHECKING:
    from trustgate.evidence.attestation import AttestationFact


@click.command(cls=CosignCommand, epilog=EXIT_CODES)
@click.argument("image")
@cosign_options
@policy_option
@caller_option
@scope_option
@click.option(
    "--type",
    "kind",
    default="custom",
    show_default=True,
    help="cyclonedx, spdx, spdxjson, slsaprovenance, slsaprovenance1, vuln, openvex, link, custom, or a URI.",
)
@click.option(
    "--allow-http-registry",
    "--plain-http",
    "plain_http",
    is_flag=True,
    help="Speak HTTP to a host that is not this machine.",
)
@output_option
def verify_attestation(
    image: str,
    kind: str,
    policy_source: str | None,
    caller: str,
    scope: str,
    plain_http: bool,
    output: str,
    **cosign: Any,
) -> None:
    """Verify that someone attested something of one type; type and signer must hold for the same one.

    \b
      trustgate verify-attestation --key cosign.pub --type spdxjson localhost:5080/shop/web:1
      trustgate verify-attestation --key cosign.pub --type slsaprovenance1 oci-layout:./image:1 -o json
      trustgate verify-attestation --policy ./policy registry.example/shop/web:1

    With --policy its attestation rules say what types, and by whom: trustgate verify --only attestation.
    """
    from trustgate.cli.images import open_place
    from trustgate.cli.verify_image import exit_code
    from trustgate.evidence.attesting import predicate_type
    from trustgate.evidence.model import Outcome
    from trustgate.flows.verify import verify_attestations

    options = CosignOptions(**cosign)
    if options.at is not None:
        note(f"note: judged as of {options.now:%Y-%m-%dT%H:%M:%SZ}")
    if policy_source is not None:
        asked = PolicyQuestion(policy_source, caller, scope, options.offline, only=("attestation",))
        raise click.exceptions.Exit(by_policy(image, asked, options, plain_http, output))
    check_not_policys()
    if options.annotations:
        raise click.UsageError("-a: attestations carry no annotations; look at their predicate")
    wanted = predicate_type(kind)
    attestors = attestors_of(options)
    place = open_place(image, plain_http=plain_http)
    with question():
        found = verify_attestations(
            place.source, place.target, attestors, now=options.now, shapes=options.shapes
        )
    good = [f for f in found.facts if f.outcome is Outcome.VERIFIED and f.predicate_type == wanted]
    digest = found.manifest.digest
    if output == "json":
        emit_json(
            "verify-attestation/1",
            {
                "image": place.at(digest),
                "digest": str(digest),
                "predicateType": wanted,
                "attestations": [_document(fact, wanted) for fact in found.facts],
                "verified": bool(good),
                "unread": found.unread,
            },
        )
    else:
        head = "verified" if good else "NOT verified"
        click.echo(f"{head}  {place.at(digest)}  ({len(good)} of {len(found.facts)} attest {wanted})")
        _tell(found.facts, wanted)
    raise click.exceptions.Exit(exit_code(bool(good), found.unread))


def _document(fact: AttestationFact, wanted: str) -> dict[str, Any]:
    """A predicate is handed on only when it is verified: what nobody trusted said is no data."""
    verified = str(fact.outcome) == "verified"
    return {
        "evidence": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": fact.reason,
        "predicateType": fact.predicate_type,
        "predicate": fact.predicate if verified and fact.predicate_type == wanted else None,
        "identities": [signer.identity for signer in fact.signers],
        "signedAt": fact.signed_at.isoformat() if fact.signed_at else None,
    }


def _tell(facts: tuple[AttestationFact, ...], wanted: str) -> None:
    for fact in facts:
        word = {"verified": OK, "not-understood": UNKNOWN}.get(str(fact.outcome), NO)
        other = "" if fact.predicate_type in ("", wanted) else " (of another type)"
        shown = printable(f"{fact.predicate_type}  {fact.reason}{other}")
        click.echo(f"  {mark(UNKNOWN if other and word == OK else word)}  {fact.evidence[:19]}  {shown}")
