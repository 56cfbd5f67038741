"""``trustgate why``: the facts of a decision, the same as on its page."""

from __future__ import annotations

import re
from typing import Any

import click
from click.core import ParameterSource

from trustgate.cli.main import EXIT_CODES
from trustgate.cli.options import output_option
from trustgate.cli.output import NO, OK, UNKNOWN, emit_json, mark, printable, question, styled

_DECISION_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_WORDS = {"allow": ("ALLOWED", "green"), "warn": ("WARN", "yellow"), "deny": ("DENIED", "red")}
_OF_SIGNERS = frozenset({"contentTrust", "attestation"})
_WIDEST = 40
"""Characters of a rule's name that the columns make room for."""


@click.command(epilog=EXIT_CODES)
@click.argument("what", metavar="REF|ID")
@click.option("--as", "caller", default="", help="Whose pull: robot:NAME or a user (administrators only).")
@click.option(
    "--server",
    envvar="TRUSTGATE_SERVER",
    show_envvar=True,
    help="The server that knows an id; for an image, its own host unless this is given.",
)
@output_option
def why(what: str, caller: str, server: str | None, output: str) -> None:
    """Explain a decision by its id, or how a pull would be decided now.

    \b
      trustgate why localhost:5080/shop/old:1 --as robot:prod
      trustgate why 01JDC7M3Q8Z4T5V6W7X8Y9ABCD --server http://localhost:5080
    """
    from trustgate.cli.server import Api

    if _DECISION_ID.fullmatch(what):
        with question():
            document = Api(server or "http://localhost:5080").get(f"/api/v1/decisions/{what}")
    else:
        host, name = _split(what)
        query = {"ref": name, **({"as": caller} if caller else {})}
        with question():
            document = Api(_server_of(host, server)).get("/api/v1/why", **query)
    if output == "json":
        emit_json("why/1", {**document, "schema": "trustgate.why/1"})
    else:
        show(document)
    raise click.exceptions.Exit(1 if document["verdict"] == "deny" else 0)


def _split(what: str) -> tuple[str, str]:
    from trustgate.oci.names import Reference

    return Reference.parse(what).host, what.partition("/")[2]


def _server_of(host: str, server: str | None) -> str:
    """Whom to ask about an image of ``host``: never another server's word, unless the user names it here."""
    from trustgate.cli.server import server_address

    named = click.get_current_context().get_parameter_source("server") is ParameterSource.COMMANDLINE
    return server if server and (named or server_address(server)[1] == host) else host


def _show_rule(rule: dict[str, Any], width: int) -> None:
    """A rule that only warns says so: it is not what refused."""
    sign = {"pass": OK, "exempt": OK, "fail": NO}.get(rule["outcome"], UNKNOWN)
    mode = "" if rule["mode"] == "enforce" else rule["mode"]
    place = ", ".join(word for word in (mode, rule["where"]) if word)
    where = f"  [{place}]" if place else ""
    click.echo(f"  {mark(sign)}  {rule['rule']:<{width}} {printable(rule['message'])}{where}")
    if rule["kind"] == "signers":
        return  # the message names them
    if rule["kind"] in _OF_SIGNERS:
        if rule["violations"]:
            asked = ", ".join(item["subject"] for item in rule["violations"])
            click.echo(f"        asked for: {printable(asked)}")
        return
    for item in rule["violations"][:10]:
        fixed = f" -> {item['fixed']}" if item["fixed"] else ""
        text = f"{item['subject']} {item['package']} {item['installed']}{fixed} {item['severity']}"
        click.echo(f"        {printable(text)} {item['where']}".rstrip())


def show(document: dict[str, Any]) -> None:
    """Verdict, rules, evidence, fix."""
    word, colour = _WORDS[document["verdict"]]
    tag = f"  (tag {document['tag']})" if document["tag"] else ""
    digest = document["digest"][:19]
    click.echo(f"{styled(word, colour)}  {document['repository']}@{digest}{tag}   by {document['caller']}")
    width = min(max((len(rule["rule"]) for rule in document["rules"]), default=0), _WIDEST)
    for rule in document["rules"]:
        _show_rule(rule, width)
    for row in document["evidence"]:
        click.echo(f"  --  {row['kind']:<{width}} {row['outcome']}: {printable(row['reason'])}")
    for fix in dict.fromkeys(r["fix"] for r in document["rules"] if r["fix"] and r["outcome"] != "pass"):
        click.echo(f"fix: {printable(fix)}")
    click.echo(f"policy {document['policy_revision'][:24]}   decision {document['id']}")
