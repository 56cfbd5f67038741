"""``trustgate verify``: cosign's option names, every candidate's reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option
from trustgate.cli.output import NO, OK, UNKNOWN, emit_json, mark, note, printable, question

_NOT_YET = (
    "--certificate-identity",
    "--certificate-identity-regexp",
    "--certificate-oidc-issuer",
    "--certificate-oidc-issuer-regexp",
    "--trusted-root",
)


def _refuse_keyless(_context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value:
        raise click.UsageError(f"{parameter.opts[0]}: keyless verification is not supported by this version")


@click.command(epilog=EXIT_CODES)
@click.argument("image")
@click.option("--key", "keys", multiple=True, type=click.Path(path_type=Path), help="Public key (PEM).")
@click.option("--ed25519ph", is_flag=True, help="Ed25519 keys sign prehashed, as cosign sign does with them.")
@click.option("--policy", "policy_source", metavar="SOURCE", help="Policies: a git repository, or dir:PATH.")
@click.option("--as", "caller", default="anonymous", show_default=True, help="Whose pull, with --policy.")
@click.option("--insecure-ignore-tlog", type=bool, default=True, help="No log is consulted for keys.")
@click.option(
    "--allow-http-registry",
    "--plain-http",
    "plain_http",
    is_flag=True,
    help="Speak HTTP to a host that is not this machine.",
)
@click.option("--allow-insecure-registry", is_flag=True, hidden=True)
@output_option
def verify(
    image: str,
    keys: tuple[Path, ...],
    ed25519ph: bool,
    policy_source: str | None,
    caller: str,
    insecure_ignore_tlog: bool,
    plain_http: bool,
    allow_insecure_registry: bool,
    output: str,
    **_refused: Any,
) -> None:
    """Verify who signed an image; all candidates are judged, one good one is enough.

    \b
      trustgate verify --key cosign.pub localhost:5080/shop/web:1
      trustgate verify --policy ./policy oci-layout:./image:1
    """
    if bool(keys) == bool(policy_source):
        raise click.UsageError("give --key (one or more), or --policy")
    if allow_insecure_registry:
        raise click.UsageError("certificates are always verified; use --plain-http for plain HTTP")
    if not insecure_ignore_tlog:
        raise click.UsageError("--insecure-ignore-tlog=false: transparency logs are not supported yet")
    from trustgate.cli.images import open_place

    place = open_place(image, plain_http=plain_http)
    with question():
        code = (
            _by_keys(place, keys, ed25519ph, output)
            if keys
            else _by_policy(place, str(policy_source), caller, output)
        )
    raise click.exceptions.Exit(code)


for _name in _NOT_YET:
    verify.params.append(click.Option([_name], hidden=True, callback=_refuse_keyless, expose_value=False))


def _by_keys(place: Any, keys: tuple[Path, ...], prehashed: bool, output: str) -> int:
    from trustgate.cli.sign import read_file
    from trustgate.evidence.attestor import key_attestor
    from trustgate.flows.verify import verify_image

    attestors = [key_attestor(path.name, read_file(path), prehashed=prehashed) for path in keys]
    found = verify_image(place.source, place.target, attestors, now=datetime.now(UTC))
    verified = bool(found.good)
    if output == "json":
        emit_json("verify/1", {**_document(place, found), "verified": verified})
    else:
        _print(place, found, verified)
    return 0 if verified else 1


def _document(place: Any, found: Any) -> dict[str, Any]:
    return {
        "image": place.at(found.manifest.digest),
        "digest": str(found.manifest.digest),
        "candidates": [
            {
                "kind": str(fact.kind),
                "evidence": str(fact.evidence),
                "outcome": str(fact.outcome),
                "reason": fact.reason,
                "attestors": list(fact.attestors),
            }
            for fact in found.facts
        ],
    }


def _print(place: Any, found: Any, verified: bool) -> None:
    total = len(found.facts)
    head = "verified" if verified else ("unsigned" if not total else "NOT verified")
    click.echo(f"{head}  {place.at(found.manifest.digest)}  ({len(found.good)} of {total} signatures good)")
    for fact in found.facts:
        word = {"verified": OK, "not-understood": UNKNOWN}.get(str(fact.outcome), NO)
        click.echo(f"  {mark(word)}  {fact.kind}  {fact.evidence[:19]}  {printable(fact.reason)}")
    if not isinstance(place.target, type(found.manifest.digest)):
        note(f"note: the tag {place.target} pointed to {found.manifest.digest}")


def _by_policy(place: Any, policy_source: str, caller: str, output: str) -> int:
    from trustgate.cli.policy import load_policies
    from trustgate.flows.verify import judge_by_policy, verify_image
    from trustgate.oci.names import Tag
    from trustgate.policy.model import Caller

    policies = load_policies(policy_source)
    now = datetime.now(UTC)
    found = verify_image(place.source, place.target, policies.attestors, now=now)
    tag = place.target if isinstance(place.target, Tag) else None
    who = Caller(caller.replace("robot:", "robot$", 1))
    verdict = judge_by_policy(found, policies, repository=place.repository, tag=tag, caller=who, now=now)
    results = [r for r in verdict.results if r.kind == "contentTrust"]
    if not results:
        note("no contentTrust rule of this policy applies: nothing was asked about signatures")
        return 3
    failed = [r for r in results if r.outcome == "fail" and r.mode == "enforce"]
    unknown = [r for r in results if r.outcome == "unknown" and r.mode == "enforce"]
    if output == "json":
        rules = [{"rule": r.rule, "outcome": str(r.outcome), "message": r.message} for r in results]
        emit_json(
            "verify/1", {**_document(place, found), "verified": not failed and not unknown, "rules": rules}
        )
    else:
        _print(place, found, not failed and not unknown)
        for result in results:
            word = {"pass": OK, "exempt": OK, "fail": NO}.get(str(result.outcome), UNKNOWN)
            click.echo(f"  {mark(word)}  {result.rule}  {printable(result.message)}")
    return 1 if failed else 3 if unknown else 0
