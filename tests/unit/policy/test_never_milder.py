"""What must hold for any evidence: less of it never opens the gate, and strangers never close it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.policy.scenes import (
    CHILD,
    INDEX,
    LOST,
    SPDX,
    UNATTESTED,
    UNSCANNED,
    UNSIGNED,
    attested,
    by,
    evidence,
    fact,
    finding,
    judge,
    package,
    policy,
    policy_set,
    report,
    said,
    severe,
    signed,
    subject,
)
from trustgate.evidence.model import Known, Outcome, Role, SignatureFact, Signer
from trustgate.evidence.predicate_query import Said, read_query
from trustgate.evidence.scan_report import ScanStatus, Severity
from trustgate.policy.model import Evidence, Partly, SubjectEvidence, VerdictKind, facts_of

NAMES = ("ci", "alice", "bob")
STRANGER = SignatureFact(
    fact("ci").kind, CHILD, Outcome.VERIFIED, "", (Signer("mallory", f"key:{'f' * 64}"),)
)
FOREIGN = (
    STRANGER,
    fact("ci", outcome=Outcome.UNTRUSTED),
    fact("ci", outcome=Outcome.BROKEN),
    fact("ci", outcome=Outcome.NOT_UNDERSTOOD),
)
REQUIREMENTS = (
    "{attestor: ci}",
    "{anyOf: [{attestor: ci}, {atLeast: 2, of: [alice, bob]}]}",
    "{allOf: [{attestor: ci}, {anyOf: [{attestor: alice}, {attestor: bob}]}]}",
    "{atLeast: 2, of: [ci, alice, bob]}",
)
SETS = [
    policy_set(
        policy(f"{signed(require, rest=rest)}\n{severe('{severity: high}, {kev: true}')}"), attestors=NAMES
    )
    for require in REQUIREMENTS
    for rest in ("", ", children: each", ", subject: manifest", ", subject: index")
]

SETS += [
    policy_set(policy(attested(require, rest=rest)), attestors=NAMES)
    for require in REQUIREMENTS
    for rest in ("", ", children: each", ", atLeast: 2")
]
QUERY = read_query(cel_text="has(predicate.a)", each="", deny_when="")
SETS += [policy_set(policy(attested("{attestor: ci}", rest=", cel: 'has(predicate.a)'")), attestors=NAMES)]
SAID = [replace(said("ci", what=str(holds)), said=(Said(QUERY.id, holds),)) for holds in (True, False)]
STRANGE = (
    said("ci", kind=SPDX, what="packages"),
    replace(said("ci"), signers=STRANGER.signers),
    *(said("ci", outcome=outcome) for outcome in Outcome if outcome is not Outcome.VERIFIED),
)

facts = st.sampled_from([fact("ci"), fact("alice"), fact("bob"), *FOREIGN])
signatures = st.lists(facts, max_size=4).map(lambda found: Known(tuple(found))) | st.sampled_from(
    [UNSIGNED, LOST]
)
statements = st.sampled_from([*map(said, NAMES), *SAID, said("ci", what="once more"), *STRANGE])
attestations = st.lists(statements, max_size=5).map(lambda found: Known(tuple(found))) | st.sampled_from(
    [UNATTESTED, LOST, Partly((), "the rest waits"), Partly((said("ci"),), "the rest waits")]
)
findings = st.builds(
    finding,
    severity=st.sampled_from(Severity),
    kev=st.booleans(),
    undetermined=st.booleans(),
    fixed=st.sampled_from([(), ("2",)]),
)
scans = (
    st.builds(
        lambda found, status, packages, covered: report(
            *found, status=status, packages=packages, covered=covered
        ),
        st.lists(findings, max_size=2),
        st.sampled_from([ScanStatus.OK, *ScanStatus]),
        st.sampled_from([(package(),), (package(),), ()]),
        st.sampled_from([True, True, False]),
    )
    | st.sampled_from([UNSCANNED, LOST])
    | st.just(report())
)
leaves = st.builds(
    subject,
    digest=st.just(CHILD),
    role=st.sampled_from([Role.IMAGE, Role.IMAGE, Role.ARTIFACT, Role.SIGNATURE]),
    signatures=signatures,
    scan=scans,
    platform=st.sampled_from(["linux/amd64", "unknown/unknown", ""]),
    attestations=attestations,
)
indexes = st.builds(
    subject,
    digest=st.just(INDEX),
    role=st.just(Role.INDEX),
    signatures=signatures,
    children=st.lists(leaves, max_size=3).map(tuple),
    complete=st.sampled_from([True, True, False]),
    attestations=attestations,
)
wholes = st.builds(
    lambda what, parents: evidence(what, parents=tuple(parents)),
    leaves | indexes,
    st.lists(indexes, max_size=2),
)


def without_one(whole: Evidence, choose: st.DataObject) -> Evidence:
    """Some piece of evidence is gone."""
    if whole.parents and choose.draw(st.booleans()):
        return replace(whole, parents=whole.parents[1:])
    return replace(whole, subject=_poorer(whole.subject, choose))


def _poorer(what: SubjectEvidence, choose: st.DataObject) -> SubjectEvidence:
    ways = [replace(what, signatures=UNSIGNED), replace(what, signatures=LOST)]
    ways += [replace(what, scan=UNSCANNED), replace(what, scan=LOST)]
    ways += [replace(what, attestations=UNATTESTED), replace(what, attestations=LOST)]
    if isinstance(what.attestations, Known | Partly):
        ways.append(replace(what, attestations=Partly(facts_of(what.attestations)[1:], "one is lost")))
    if isinstance(what.attestations, Known):
        ways.append(replace(what, attestations=Known(what.attestations.value[1:])))
    if isinstance(what.signatures, Known):
        ways.append(replace(what, signatures=Known(what.signatures.value[1:])))
    if what.children:
        ways.append(replace(what, children=(_poorer(what.children[0], choose), *what.children[1:])))
        ways.append(replace(what, children=what.children[1:], complete=False))
    return choose.draw(st.sampled_from(ways))


@settings(max_examples=200)
@given(st.sampled_from(SETS), wholes, st.data())
def test_less_evidence_never_allows_more(policies: object, whole: Evidence, choose: st.DataObject) -> None:
    before = judge(policies, whole)  # type: ignore[arg-type]
    poorer = without_one(whole, choose)
    after = judge(policies, poorer)  # type: ignore[arg-type]
    if before.kind is VerdictKind.DENY:
        assert after.kind is VerdictKind.DENY


SIGNED = policy_set(policy(signed("{attestor: ci}")), attestors=NAMES)


@example(SIGNED, evidence(subject(signatures=by("ci"))), list(FOREIGN))
@settings(max_examples=200)
@given(st.sampled_from(SETS), wholes, st.lists(st.sampled_from(FOREIGN), min_size=1, max_size=3))
def test_foreign_signatures_never_deny(
    policies: object, whole: Evidence, foreign: list[SignatureFact]
) -> None:
    if judge(policies, whole).kind is VerdictKind.ALLOW:  # type: ignore[arg-type]
        more = replace(
            whole,
            subject=_joined(whole.subject, foreign),
            parents=tuple(_joined(parent, foreign) for parent in whole.parents),
        )
        assert judge(policies, more).kind is VerdictKind.ALLOW  # type: ignore[arg-type]


def _joined(what: SubjectEvidence, foreign: list[SignatureFact]) -> SubjectEvidence:
    known = what.signatures.value if isinstance(what.signatures, Known) else ()
    if isinstance(what.signatures, Known) or what.signatures is UNSIGNED:
        what = replace(what, signatures=Known((*foreign, *known)))
    if isinstance(what.attestations, Known):
        what = replace(what, attestations=Known((*STRANGE, *what.attestations.value)))
    return replace(what, children=tuple(_joined(child, foreign) for child in what.children))


ONLY_SIGNED = [policy_set(policy(signed(require)), attestors=NAMES) for require in REQUIREMENTS]
BY_ALL = [fact(name) for name in NAMES]


@given(
    st.sampled_from(ONLY_SIGNED),
    st.lists(st.sampled_from(FOREIGN), min_size=1, max_size=4).flatmap(
        lambda foreign: st.permutations([*BY_ALL, *foreign])
    ),
)
def test_what_is_signed_stays_so_among_strangers(policies: object, mixed: list[SignatureFact]) -> None:
    """Each requirement is met here, which what is drawn at random hardly ever does."""
    assert judge(policies, evidence(subject(signatures=Known(tuple(mixed))))).kind is VerdictKind.ALLOW  # type: ignore[arg-type]


@given(st.sampled_from(ONLY_SIGNED), st.lists(st.sampled_from([*BY_ALL, *FOREIGN]), max_size=6), st.data())
def test_a_signature_less_never_allows(
    policies: object, facts: list[SignatureFact], choose: st.DataObject
) -> None:
    left = [one for one in facts if choose.draw(st.booleans())]
    fewer, all_of_them = (
        judge(policies, evidence(subject(signatures=Known(tuple(some)))))  # type: ignore[arg-type]
        for some in (left, facts)
    )
    if fewer.kind is VerdictKind.ALLOW:
        assert all_of_them.kind is VerdictKind.ALLOW
