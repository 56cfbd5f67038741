"""Verify by policies: what the gate would say about a pull of an image or a chart, rule by rule."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from trustgate.cli.images import Place, open_place
from trustgate.cli.output import NO, OK, UNKNOWN, emit_json, mark, note, printable
from trustgate.cli.policy_options import PolicyQuestion, read_reports
from trustgate.cli.verify_image import candidate
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag

if TYPE_CHECKING:
    from trustgate.evidence.attestation import AttestationFact
    from trustgate.evidence.attestor import Attestor
    from trustgate.flows.notary_evidence import PublishedTrust
    from trustgate.flows.verify_policy import JudgedPull, Surroundings, TrustOf
    from trustgate.policy.model import Evidence, RuleResult, SubjectEvidence
    from trustgate.policy.pull_answer import PullAnswer

_CODES: Final = {"yes": 0, "no": 1, "undecided": 3}
_HEADS: Final = {"yes": "verified", "no": "NOT verified", "undecided": "undecided"}
_MARKS: Final = {"pass": OK, "exempt": OK, "fail": NO}
_UNJUDGED: Final = {"severity": "bring a report: trustgate scan -o json > FILE, then --scan-report FILE"}
_UNJUDGED_HERE: Final = "ask where its evidence can be had"
_BESIDE_A_FILE: Final = (
    "signatures and attestations of other formats lie beside it in a registry, not in a file"
)


def verify_by_policy(
    image: str, question: PolicyQuestion, now: datetime, output: str, *, plain_http: bool
) -> int:
    """0 when every enforced rule that was asked passes, 1 when one refuses, 3 when one can't be judged."""
    from trustgate.cli.policy import load_policies
    from trustgate.flows.verify_policy import judge_pull
    from trustgate.policy.pull_answer import answer_of

    policies = load_policies(question.policy_source)
    with ExitStack() as stack:
        place, beside = stack.enter_context(_placed(image, question, now, plain_http))
        around = stack.enter_context(_surroundings(place, question, beside))
        judged = judge_pull(
            around,
            place.target,
            policies,
            repository=place.repository,
            tag=place.tag,
            caller=question.who,
            now=now,
        )
    answer = answer_of(policies, judged.verdict, frozenset(question.only))
    if output == "json":
        emit_json("verify/1", _document(place, question, judged, answer))
    else:
        _tell(place, judged, answer)
    return _CODES[answer.said]


# --- where it is, and whom to ask -------------------------------------------------------------------


@contextmanager
def _placed(
    image: str, question: PolicyQuestion, now: datetime, plain_http: bool
) -> Iterator[tuple[Place, str]]:
    """The place of an image or of a chart in a file, and why evidence beside it can't be had there."""
    from trustgate.cli.chart_file import chart_in_file, is_chart_file

    local = is_chart_file(image)
    if local:
        with chart_in_file(Path(image), now) as place:
            yield _scoped(place, question, True), _BESIDE_A_FILE
        return
    place = open_place(image, plain_http=plain_http)
    yield _scoped(place, question, place.is_local), ""


def _scoped(place: Place, question: PolicyQuestion, local: bool) -> Place:
    """Policies speak about repositories: what stands in none gets no answer by chance."""
    repository = question.repository
    if repository is not None:
        return replace(place, repository=repository)
    if local:
        raise click.UsageError(
            "policies are about repositories: say from where it would be pulled with --scope HOST/REPOSITORY"
        )
    return place


@contextmanager
def _surroundings(place: Place, question: PolicyQuestion, beside: str) -> Iterator[Surroundings]:
    from trustgate.flows.source_reader import GivenReports
    from trustgate.flows.verify import NobodyToAsk
    from trustgate.flows.verify_policy import Surroundings
    from trustgate.remote.gpg import Gpg
    from trustgate.remote.revocation import RevocationClient
    from trustgate.wiring.clock import SystemClock

    offline = place.is_local if question.offline is None else question.offline
    with ExitStack() as stack:
        gpg = Gpg()
        stack.callback(gpg.close)
        client = RevocationClient(SystemClock())
        stack.callback(client.close)
        yield Surroundings(
            source=place.source,
            listed=place.listed,
            openpgp=gpg,
            revocation=NobodyToAsk() if offline else client,
            offline=offline,
            trust=_trust_of(place, question, stack),
            reports=GivenReports(read_reports(question.scan_reports)),
            beside=beside,
        )


def _trust_of(place: Place, question: PolicyQuestion, stack: ExitStack) -> TrustOf:
    """A server is asked only when a rule asks for someone who signs tags, and when one is known."""
    from trustgate.flows.notary_elsewhere import TrustElsewhere, TrustNotAsked, roles_to_read

    gun = question.scope or place.name
    server = question.notary_server or _usual_notary_server(place, question)

    def trust(attestors: tuple[Attestor, ...]) -> PublishedTrust:
        if not attestors:
            return TrustNotAsked()
        if not server:
            return TrustNotAsked("trust data is on a Notary server: name it with --notary-server URL")
        return TrustElsewhere(_notary_client(server, gun, stack), gun, roles_to_read(attestors))

    return trust


def _usual_notary_server(place: Place, question: PolicyQuestion) -> str:
    """As docker finds it; none where no network is to be touched."""
    if place.is_local or question.offline:
        return ""
    return os.environ.get("DOCKER_CONTENT_TRUST_SERVER", "") or place.name.partition("/")[0]


def _notary_client(server: str, gun: str, stack: ExitStack) -> Any:
    from trustgate.remote.docker_config import DockerConfig
    from trustgate.remote.notary import NotaryClient, server_host

    credential = DockerConfig(os.environ, Path.home()).find(server_host(server))
    client = NotaryClient(server, gun, credential)
    stack.callback(client.close)
    return client


# --- what is told ------------------------------------------------------------------------------------


def _document(
    place: Place, question: PolicyQuestion, judged: JudgedPull, answer: PullAnswer
) -> dict[str, Any]:
    from trustgate.flows.evidence_rows import rows

    verdict = judged.verdict
    evidence = judged.evidence
    return {
        "image": place.at(judged.manifest.digest),
        "digest": str(judged.manifest.digest),
        "repository": str(place.repository),
        "tag": str(place.tag) if place.tag else None,
        "caller": verdict.request.caller.name,
        "at": verdict.at.isoformat(),
        "policy": verdict.policy_revision,
        "only": list(question.only),
        "answer": str(answer.said),
        "why": answer.why,
        "verified": answer.said == "yes",
        "rules": [_rule(one, answer, place) for one in verdict.results],
        "notAsked": [{"rule": one.rule, "kind": one.kind, "why": one.why} for one in answer.not_asked],
        "candidates": [
            {**candidate(fact), "subject": str(subject.digest)}
            for subject in _subjects(evidence)
            for fact in _known(subject.signatures)
        ],
        "attestations": [
            {**_attestation(fact), "subject": str(subject.digest)}
            for subject in _subjects(evidence)
            for fact in _known(subject.attestations)
        ],
        "missing": [
            {"kind": row["kind"], "subject": row["subject"], "state": row["outcome"], "why": row["reason"]}
            for row in rows(evidence)
            if row["outcome"] in ("absent", "unreachable")
        ],
    }


def _rule(result: RuleResult, answer: PullAnswer, place: Place) -> dict[str, Any]:
    judged = result not in answer.unjudged
    return {
        "rule": result.rule,
        "kind": result.kind,
        "mode": result.mode,
        "outcome": str(result.outcome),
        "reasonCode": result.reason_code,
        "message": result.message,
        "fix": _fix(result, place, judged=judged),
        "asked": result in answer.asked,
        "judged": judged,
        "file": result.file,
        "line": result.line,
    }


def _attestation(fact: AttestationFact) -> dict[str, Any]:
    """Without what it says: the policy asked for type and signer."""
    return {
        "evidence": str(fact.evidence),
        "outcome": str(fact.outcome),
        "reason": fact.reason,
        "predicateType": fact.predicate_type,
        "attestors": list(fact.attestors),
        "signedAt": fact.signed_at.isoformat() if fact.signed_at else None,
        "logs": fact.logs,
        "timestamps": fact.timestamps,
    }


def _subjects(evidence: Evidence) -> Iterator[SubjectEvidence]:
    yield from _with_children(evidence.subject)
    yield from evidence.parents


def _with_children(subject: SubjectEvidence) -> Iterator[SubjectEvidence]:
    yield subject
    for child in subject.children:
        yield from _with_children(child)


def _known(found: Any) -> tuple[Any, ...]:
    from trustgate.policy.model import facts_of

    return facts_of(found)


def _fix(result: RuleResult, place: Place, *, judged: bool) -> str:
    """What to do about it: of a rule that could not be judged, what would have to be known."""
    from trustgate.policy.checks.answer import HOST

    if not judged:
        return f"{_UNJUDGED.get(result.kind, _UNJUDGED_HERE)}; --only leaves a kind of rule out"
    host = "" if place.is_local else place.name.partition("/")[0]
    return result.fix.replace(HOST, f"{host}/") if host else result.fix


def _tell(place: Place, judged: JudgedPull, answer: PullAnswer) -> None:
    """The answer first, then a line a rule, then what was found."""
    request = judged.verdict.request
    name = f"{request.repository}:{request.tag}" if request.tag else str(request.repository)
    click.echo(f"{_HEADS[answer.said]}  {place.at(judged.manifest.digest)}  ({printable(answer.why)})")
    for result in answer.asked:
        _tell_rule(result, place, unjudged=result in answer.unjudged)
    for subject in _subjects(judged.evidence):
        for fact in _known(subject.signatures):
            _tell_fact(str(fact.kind), fact, fact.reason, subject, judged)
        for fact in _known(subject.attestations):
            _tell_fact("attestation", fact, f"{fact.predicate_type}  {fact.reason}", subject, judged)
    for left_out in answer.not_asked:
        note(f"not asked: {left_out.rule} ({left_out.kind}): {left_out.why}")
    note(f"note: judged as a pull of {name} by {request.caller.name}")
    if isinstance(place.target, Tag):
        note(f"note: the tag {place.target} pointed to {judged.manifest.digest}")


def _tell_rule(result: RuleResult, place: Place, *, unjudged: bool) -> None:
    word = UNKNOWN if unjudged else _MARKS.get(str(result.outcome), UNKNOWN)
    mode = "" if result.mode == "enforce" else f" ({result.mode})"
    click.echo(f"  {mark(word)}  {result.rule}{mode}  {printable(result.message)}")
    fix = _fix(result, place, judged=not unjudged)
    if word != OK and fix:
        click.echo(f"      fix: {printable(fix)}")


def _tell_fact(kind: str, fact: Any, reason: str, subject: SubjectEvidence, judged: JudgedPull) -> None:
    word = {"verified": OK, "not-understood": UNKNOWN}.get(str(fact.outcome), NO)
    digest: Digest = subject.digest
    of = "" if digest == judged.manifest.digest else f"  (of {digest.short})"
    click.echo(f"      {mark(word)}  {kind}  {fact.evidence[:19]}  {printable(reason)}{of}")
