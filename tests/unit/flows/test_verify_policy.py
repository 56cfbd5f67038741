"""What a gate would say, asked of an image elsewhere: pass, fail and unknown for every kind of rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import notation_world, revocation_world
from tests.signing_world import (
    NOW,
    Artifact,
    bundle,
    bundle_manifest,
    image,
    index,
    key,
    legacy_candidate,
    legacy_manifest,
    public_pem,
)
from tests.simulators.places import KINDS, client_of, place, put
from tests.simulators.registry import Answer, SimulatedRegistry
from tests.unit.policy import scenes
from trustgate.errors import StorageUnavailable, UpstreamFailed
from trustgate.evidence.attesting import Predicate
from trustgate.evidence.model import Absent, Known, Outcome
from trustgate.evidence.shape import legacy_signature_tag
from trustgate.flows import signatures, source_reader, stored_evidence, verify_policy
from trustgate.flows.notary_elsewhere import TrustNotAsked
from trustgate.flows.sign import attest_image
from trustgate.flows.source_reader import GivenReports
from trustgate.flows.verify import NobodyToAsk
from trustgate.flows.verify_policy import JudgedPull, Surroundings, judge_pull
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.document import load
from trustgate.policy.model import Caller
from trustgate.policy.policy_set import PolicySet
from trustgate.policy.pull_answer import Said, answer_of
from trustgate.ports import ImageSource

WEB = RepositoryName("shop/web")
SLSA = "https://slsa.dev/provenance/v1"
IMAGE = image()
DIGEST = IMAGE.manifest.digest
SIGNED = "- {id: signed, contentTrust: {require: {attestor: alice}}}"
ATTESTED = f"- {{id: built, attestation: {{predicateType: {SLSA}, by: {{attestor: alice}}}}}}"
SCANNED = "- {id: clean, severity: {thresholds: [{severity: high}], onUnscanned: deny, onUnscannable: deny}}"
KEPT = "- {id: kept, immutability: {overwrite: deny, delete: {tag: deny, artifact: deny}}}"


def policies(*rules: str, extra: dict[str, bytes] | None = None, **given: Any) -> PolicySet:
    files = {
        "trustgate.yaml": scenes.root(**given.pop("root", {})),
        "trust/attestors.yaml": scenes.trust("alice", "bob", extra=given.pop("attestors", "")),
        "trust/keys/alice.pub": public_pem(key()),
        "trust/keys/bob.pub": public_pem(key("p256", "bob")),
        "policies/prod.yaml": scenes.policy("\n".join(rules), **given),
        **(extra or {}),
    }
    return load(files, revision="1" * 40)


class NobodyAsks:
    """An OpenPGP that must not be asked."""

    def verify(self, *_args: Any, **_named: Any) -> Any:
        raise AssertionError("gpg was asked")


def around(source: ImageSource, **changes: Any) -> Surroundings:
    listed: Callable[[], Any] = getattr(source, "listed", source.tags)
    given: dict[str, Any] = {
        "source": source,
        "listed": listed,
        "openpgp": NobodyAsks(),
        "revocation": NobodyToAsk(),
        "offline": True,
        "trust": lambda asked: TrustNotAsked("no server" if asked else ""),
        "reports": GivenReports([]),
    }
    return Surroundings(**{**given, **changes})


def judge(
    source: ImageSource,
    rules: PolicySet,
    target: Tag | Digest = Tag("1"),  # noqa: B008 - a value
    *,
    caller: str = "anonymous",
    **changes: Any,
) -> JudgedPull:
    return judge_pull(
        around(source, **changes),
        target,
        rules,
        repository=WEB,
        tag=target if isinstance(target, Tag) else None,
        caller=Caller(caller),
        now=NOW,
    )


def said(source: ImageSource, rules: PolicySet, *args: Any, only: tuple[str, ...] = (), **named: Any) -> str:
    return str(answer_of(rules, judge(source, rules, *args, **named).verdict, frozenset(only)).said)


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageSource]:
    with place(request.param, tmp_path / "image") as made:
        put(made, IMAGE, "1")
        yield made


@pytest.fixture
def simulator() -> Iterator[SimulatedRegistry]:
    with SimulatedRegistry() as made, client_of(made) as client:
        put(client, IMAGE, "1")
        yield made


def attach(source: ImageSource, subject: Artifact, *referrers: Artifact) -> None:
    for referrer in referrers:
        put(source, referrer)
    put(source, index(*referrers), f"sha256-{subject.manifest.digest.hex}")


def signature(private: Any, subject: Artifact = IMAGE) -> Artifact:
    return bundle_manifest(subject.manifest.descriptor, bundle(subject.manifest.digest, private))


# --- signatures ------------------------------------------------------------------------------------


def test_signed_or_not(source: ImageSource) -> None:
    rules = policies(SIGNED)
    assert said(source, rules) == "no"
    attach(source, IMAGE, signature(key("p256", "bob")))
    assert said(source, rules) == "no"
    attach(source, IMAGE, signature(key("p256", "bob")), signature(key()))
    assert said(source, rules) == said(source, rules, DIGEST) == "yes"


def test_under_a_tag(source: ImageSource) -> None:
    put(source, legacy_manifest(legacy_candidate(DIGEST, key())), str(legacy_signature_tag(DIGEST)))
    assert said(source, policies(SIGNED)) == "yes"


def test_what_is_listed_here_and_is_of_something_else_does_not_count(simulator: SimulatedRegistry) -> None:
    """The registry's own list is anybody's word; what the manifest says of itself is what was signed."""
    simulator.referrers_api = False
    other = image(b"another image")
    with client_of(simulator) as client:
        attach(client, IMAGE, signature(key(), other))
        judged = judge(client, policies(SIGNED))
    assert isinstance(judged.evidence.subject.signatures, Absent)


def test_broken_neighbours_do_not_push_out_a_good_one(simulator: SimulatedRegistry) -> None:
    with client_of(simulator) as client:
        attach(client, IMAGE, signature(key("p256", "bob")), signature(key()))
        first = client.referrers(DIGEST, limit=9)[0]
        for broken in (Answer(200, {"content-type": "x"}, b"garbage"), Answer(404)):
            simulator.rig(f"GET .*/manifests/{first}", broken)
            others = [one for one in client.referrers(DIGEST, limit=9) if one != first]
            assert others
            good = signature(key()).manifest.digest
            assert said(client, policies(SIGNED)) == ("yes" if first != good else "no")


@pytest.mark.parametrize(
    "what", ["GET .*/referrers/", "GET .*/manifests/sha256-.*[.]sig", "GET .*/blobs/"], ids=str
)
@pytest.mark.parametrize("answer", [Answer(500), Answer(403), Answer(401)], ids=lambda one: str(one.status))
def test_what_cannot_be_read_is_no_answer(simulator: SimulatedRegistry, what: str, answer: Answer) -> None:
    with client_of(simulator) as client:
        attach(client, IMAGE, signature(key("p256", "bob")))
        simulator.rig(what, answer)
        assert said(client, policies(SIGNED)) == "undecided"


def test_a_blob_that_is_larger_than_it_says_is_a_broken_signature(simulator: SimulatedRegistry) -> None:
    with client_of(simulator) as client:
        attach(client, IMAGE, signature(key()))
        simulator.rig("GET .*/blobs/", Answer(200, {}, b"x" * (2 << 20)))
        judged = judge(client, policies(SIGNED))
        assert answer_of(policies(SIGNED), judged.verdict).said is Said.NO


def test_an_image_that_cannot_be_read_raises(simulator: SimulatedRegistry) -> None:
    simulator.rig("GET .*/manifests/1", Answer(500))
    with client_of(simulator) as client, pytest.raises(UpstreamFailed):
        judge(client, policies(SIGNED))


# --- indexes ---------------------------------------------------------------------------------------


def test_an_index_speaks_for_what_it_contains(source: ImageSource) -> None:
    rules = policies(SIGNED)
    child = image(b"a platform")
    put(source, child)
    whole = index(child)
    put(source, whole, "2")
    assert said(source, rules, child.manifest.digest) == "no"
    attach(source, whole, signature(key(), whole))
    assert said(source, rules, Tag("2")) == said(source, rules, child.manifest.digest) == "yes"
    alone = policies("- {id: signed, contentTrust: {require: {attestor: alice}, children: each}}")
    assert said(source, alone, Tag("2")) == "no"


def test_an_index_inside_an_index(source: ImageSource) -> None:
    child = image(b"a platform")
    put(source, child)
    inner = index(child)
    put(source, inner)
    outer = index(inner)
    put(source, outer, "2")
    attach(source, outer, signature(key(), outer))
    assert said(source, policies(SIGNED), child.manifest.digest) == "yes"


def test_indexes_that_cannot_be_looked_through_are_no_absence(
    simulator: SimulatedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(simulator) as client:
        monkeypatch.setattr(source_reader, "MAX_LOOKED_THROUGH", 0)
        assert said(client, policies(SIGNED)) == "undecided"
        monkeypatch.undo()
        simulator.rig("GET .*/tags/list", Answer(403))
        assert said(client, policies(SIGNED)) == "undecided"
        attach(client, IMAGE, signature(key()))
        asked = len(simulator.seen)
        assert said(client, policies(SIGNED)) == "yes"
        assert not [one for one in simulator.seen[asked:] if "tags/list" in one.path], "nobody had to look"


def test_a_part_of_an_index_that_cannot_be_read_is_no_answer(simulator: SimulatedRegistry) -> None:
    child = image(b"a platform")
    with client_of(simulator) as client:
        put(client, child)
        put(client, index(child), "2")
        simulator.rig(f"GET .*/manifests/{child.manifest.digest}", Answer(500))
        with pytest.raises(StorageUnavailable):
            judge(client, policies(SIGNED), Tag("2"))


def test_a_damaged_part_of_an_index_is_not_a_part_that_is_elsewhere(simulator: SimulatedRegistry) -> None:
    child = image(b"a platform")
    with client_of(simulator) as client:
        put(client, child)
        put(client, index(child), "2")
        simulator.rig(f"GET .*/manifests/{child.manifest.digest}", Answer(200, {}, b"{}"))
        with pytest.raises(StorageUnavailable):
            judge(client, policies(SIGNED), Tag("2"))


def test_junk_under_the_signature_tag_is_no_signature(simulator: SimulatedRegistry) -> None:
    with client_of(simulator) as client:
        attach(client, IMAGE, signature(key()))
        simulator.rig(f"GET .*/manifests/{legacy_signature_tag(DIGEST)}", Answer(200, {}, b"<html>"))
        assert said(client, policies(SIGNED)) == "yes"


def test_what_is_no_signature_does_not_push_one_out(
    source: ImageSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many are judged; what merely refers to the image is not one of them."""
    monkeypatch.setattr(stored_evidence, "MAX_EVIDENCE_MANIFESTS", 8)
    monkeypatch.setattr(signatures, "MAX_EVIDENCE_MANIFESTS", 8)
    others = []
    for number in range(12):
        other = image(b"an sbom %d" % number)
        other.document["subject"] = IMAGE.manifest.descriptor.as_json()
        others.append(other)
    attach(source, IMAGE, *others, signature(key()))
    assert said(source, policies(SIGNED)) == "yes"


# --- attestations, scans, tags ---------------------------------------------------------------------


def test_attested_or_not(source: ImageSource) -> None:
    rules = policies(ATTESTED)
    assert said(source, rules) == "no"
    for private, wanted in ((key("p256", "bob"), "no"), (key(), "yes")):
        attest_image(source, DIGEST, private, Predicate(SLSA, {}), name="web", now=NOW)
        assert said(source, rules) == wanted


def test_attestations_are_read_to_the_end(
    simulator: SimulatedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate reads so much for one request, and the rest with the next; here there is one."""
    with client_of(simulator) as client:
        for private in (key("p256", "bob"), key("p256", "carol"), key()):
            attest_image(client, DIGEST, private, Predicate(SLSA, {}), name="web", now=NOW)
        largest = max(len(raw) for raw in simulator.blobs.values())
        monkeypatch.setattr(stored_evidence.Allowance.__init__, "__defaults__", (largest, 1))
        assert said(client, policies(ATTESTED)) == "yes"
        monkeypatch.setattr(verify_policy, "MAX_ROUNDS", 1)
        assert said(client, policies(ATTESTED)) == "undecided"


def test_scans_are_not_known_unless_they_are_given(source: ImageSource) -> None:
    rules = policies(SCANNED)
    assert said(source, rules) == "undecided"
    for severity, wanted in (("low", "yes"), ("critical", "no")):
        report = scenes.scan_report(scenes.finding(severity=scenes.Severity(severity)))
        own = replace(report, subject=DIGEST)
        assert said(source, rules, reports=GivenReports([own])) == wanted
    foreign = scenes.scan_report()
    assert said(source, rules, reports=GivenReports([foreign])) == "undecided"


def test_a_rule_that_lets_errors_pass_is_still_not_judged(source: ImageSource) -> None:
    """The gate may have the report that is missing here, and refuse by it."""
    attach(source, IMAGE, signature(key()))
    rules = policies(SIGNED, SCANNED, top="onError: allow\n")
    judged = judge(source, rules)
    assert judged.verdict.allowed
    answer = answer_of(rules, judged.verdict)
    assert (answer.said, [one.rule for one in answer.unjudged]) == (Said.UNDECIDED, ["prod/clean"])


def test_only_what_is_asked_counts(source: ImageSource) -> None:
    rules = policies(SIGNED, SCANNED, KEPT, scope='actions: [pull, push, tag], repositories: ["**"]')
    attach(source, IMAGE, signature(key()))
    assert said(source, rules) == "undecided"
    assert said(source, rules, only=("contentTrust",)) == "yes"
    assert said(source, rules, only=("attestation",)) == "undecided", "nothing was asked"
    answer = answer_of(rules, judge(source, rules).verdict, frozenset({"contentTrust"}))
    told = {one.rule: one.why for one in answer.not_asked}
    assert told.keys() == {"prod/clean", "prod/kept"}
    assert "pulls" in told["prod/kept"]


def test_no_rule_is_no_yes(source: ImageSource) -> None:
    elsewhere = policies(SIGNED, scope='repositories: ["other/**"]')
    assert said(source, elsewhere) == "undecided"
    shut = policies(SIGNED, scope='repositories: ["other/**"]', root={"pull": "deny"})
    assert said(source, shut) == "no"
    for mode in ("warn", "audit"):
        mild = policies(SIGNED, top=f"mode: {mode}\n")
        assert said(source, mild) == "undecided"
    attach(source, IMAGE, signature(key()))
    assert said(source, mild) == "undecided", "it passes what nobody enforces"
    assert said(source, policies(SIGNED)) == "yes"


def test_the_moment_counts(source: ImageSource) -> None:
    ended = "  carol: {type: cosign-key, key: keys/alice.pub, notAfter: 2026-01-01T00:00:00Z}\n"
    rules = policies("- {id: signed, contentTrust: {require: {attestor: carol}}}", attestors=ended)
    attach(source, IMAGE, signature(key()))
    assert said(source, rules) == "no"


# --- whom to ask -----------------------------------------------------------------------------------


@pytest.mark.parametrize("offline", [True, False])
def test_revocation_that_nobody_was_asked_about(source: ImageSource, offline: bool) -> None:
    """Offline it is not known; asked and not answered, it is what the gate refuses."""
    leaf = revocation_world.leaf(revocation_world.access("http://ocsp.test/"))
    subject = notation_world.subject_of(IMAGE)
    envelope = notation_world.jws(notation_world.parts(leaf, subject))
    attach(source, IMAGE, notation_world.carrier(envelope, subject=subject, chain=leaf.chain))
    acme = '  acme: {type: notation, trustStores: {ca: [keys/acme.pem]}, trustedIdentities: ["*"]}\n'
    pem = {"trust/keys/acme.pem": notation_world.root().pem}
    rule = "- {id: signed, contentTrust: {require: {attestor: acme}}}"
    rules = policies(rule, attestors=acme, extra=pem)
    judged = judge(source, rules, offline=offline)
    assert answer_of(rules, judged.verdict).said is (Said.UNDECIDED if offline else Said.NO)


def test_trust_data_that_nobody_can_be_asked_for(source: ImageSource) -> None:
    dct = f'  dct: {{type: notary-v1, rootKeyIds: ["{"0" * 64}"]}}\n'
    by_tag = policies("- {id: signed, contentTrust: {require: {attestor: dct}}}", attestors=dct)
    assert said(source, by_tag) == "undecided"
    by_key = policies(SIGNED, attestors=dct)
    assert said(source, by_key) == "no", "a rule that does not ask for it is answered without it"


def test_evidence_beside_a_file(source: ImageSource) -> None:
    attach(source, IMAGE, signature(key()))
    assert said(source, policies(SIGNED), beside="it is a file") == "undecided"
    assert said(source, policies(ATTESTED), beside="it is a file") == "undecided"


def test_every_candidate_keeps_its_reason(source: ImageSource) -> None:
    attach(source, IMAGE, signature(key("p256", "mallory")), signature(key()))
    found = judge(source, policies(SIGNED)).evidence.subject.signatures
    assert isinstance(found, Known)
    assert sorted(fact.outcome for fact in found.value) == [Outcome.UNTRUSTED, Outcome.VERIFIED]
