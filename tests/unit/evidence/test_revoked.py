"""What a trust store takes back, in every format: it verifies for nobody, and hides nothing beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import notation_world, signing_world
from tests import sigstore_world as world
from tests.unit.evidence import test_attestation as attested
from tests.unit.evidence.helm import test_judge_helm as helm
from tests.unit.evidence.notary import scene
from tests.unit.evidence.notation import test_timestamps as stamped
from tests.unit.evidence.test_key_witnesses import ALICE, MALLORY, SUBJECT, alice, made
from tests.unit.evidence.test_keyless import ci
from tests.unit.policy import scenes
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import judge, judge_all
from trustgate.evidence.helm.provenance import read_provenance
from trustgate.evidence.model import Known, Outcome, SignatureFact
from trustgate.evidence.notary.arriving import judge_published
from trustgate.evidence.notary.metadata import read_targets
from trustgate.evidence.notation.judge import judge_notation
from trustgate.evidence.revoked import Revoked, key_mark, why_revoked
from trustgate.oci.digest import Digest
from trustgate.policy.document import load
from trustgate.policy.engine import evaluate
from trustgate.policy.model import Action, VerdictKind

BEFORE, AFTER = world.SIGNED - timedelta(days=1), world.SIGNED + timedelta(days=1)
KEY = key_mark(ALICE.public_key())


def taken_back(one: Attestor, mark: str, since: datetime | None = None) -> Attestor:
    return replace(one, revoked=(Revoked("key:" + "0" * 64, "another"), Revoked(mark, "stolen", since)))


def sha256(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def fact(raw: bytes, *attestors: Attestor) -> SignatureFact:
    candidate = signing_world.bundle_candidate(SUBJECT, raw)
    return judge(candidate, subject=SUBJECT, attestors=attestors, now=world.NOW)


def gone(found: SignatureFact, why: str = "it was revoked") -> None:
    assert (found.outcome, found.signers) == (Outcome.REVOKED, ()), found.reason
    assert why in found.reason


# --- by key --------------------------------------------------------------------------------------


def test_a_key() -> None:
    raw = world.bundle_of(made())
    assert fact(raw, alice()).outcome is Outcome.VERIFIED
    gone(fact(raw, taken_back(alice(), KEY)))
    twin = replace(alice(), name="twin", revoked=taken_back(alice(), KEY).revoked)
    gone(fact(raw, taken_back(alice(), KEY), twin))
    assert fact(raw, taken_back(alice(), key_mark(MALLORY.public_key()))).outcome is Outcome.VERIFIED


def test_since_asks_for_a_proven_time() -> None:
    """The log of the bundle proves ``SIGNED``; without a log or a trusted root nothing does."""
    raw, silent = world.bundle_of(made()), world.bundle_of(made(), entries=[])
    assert fact(raw, taken_back(alice(), KEY, AFTER)).outcome is Outcome.VERIFIED
    for since in (BEFORE, world.SIGNED):
        gone(fact(raw, taken_back(alice(), KEY, since)), f"revoked on {since:%Y-%m-%d}: stolen")
    unproven = "revoked on 2026-03-02: stolen, and nothing proves that it is older"
    gone(fact(silent, taken_back(alice(), KEY, AFTER)), unproven)
    bare = signing_world.trusted(ALICE)
    gone(fact(raw, taken_back(bare, KEY, AFTER)), unproven)
    # what only one of two roots proves is not proven for the other
    gone(fact(raw, taken_back(alice(), KEY, AFTER), taken_back(bare, KEY, AFTER)), unproven)


def test_a_piece_of_evidence() -> None:
    one = made()
    raw = world.bundle_of(one)
    candidate = signing_world.bundle_candidate(SUBJECT, raw)
    for digest in (candidate.evidence, candidate.layer.digest, Digest.of(one.signature)):
        gone(fact(raw, taken_back(alice(), f"evidence:{digest}")))
    other = world.bundle_of(made(), entries=[])
    assert fact(other, taken_back(alice(), f"evidence:{candidate.layer.digest}")).outcome is Outcome.VERIFIED


def test_a_signature_under_a_tag_by_no_digest_of_its_manifest() -> None:
    """That is shared with other signers. What is signed may be too, and is taken back whoever signed it."""
    candidate = signing_world.legacy_candidate(SUBJECT, ALICE)
    signature = base64.b64decode(candidate.annotations[signing_world.SIGNATURE])
    attestor = signing_world.trusted(ALICE)
    for digest, wanted in (
        (candidate.evidence, Outcome.VERIFIED),
        (Digest.of(b""), Outcome.VERIFIED),
        (Digest.of(signature), Outcome.REVOKED),
        (Digest.of(candidate.payload), Outcome.REVOKED),
    ):
        one = taken_back(attestor, f"evidence:{digest}")
        assert judge(candidate, subject=SUBJECT, attestors=[one], now=world.NOW).outcome is wanted
    gone(judge(candidate, subject=SUBJECT, attestors=[taken_back(attestor, KEY)], now=world.NOW))


def test_what_verifies_for_nobody_stays_what_it_is() -> None:
    raw = world.bundle_of(made(MALLORY))
    found = fact(raw, taken_back(alice(), key_mark(MALLORY.public_key())))
    assert found.outcome is Outcome.UNTRUSTED


# --- against who may push and has no key ---------------------------------------------------------


def other_half(signature: bytes, key: Any) -> bytes:
    """The second ECDSA signature that everybody can make of one."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, key.curve.group_order - s)


@pytest.mark.parametrize("key", [ALICE, signing_world.key("p384")])
def test_the_other_half_of_an_ecdsa_signature(key: Any) -> None:
    one = world.sign_statement(SUBJECT, key=key, holder=key.public_key())
    other = replace(one, signature=other_half(one.signature, key))
    attestor = signing_world.trusted(key)
    layer = signing_world.legacy_candidate(SUBJECT, key)
    text = layer.annotations[signing_world.SIGNATURE]
    turned = signing_world.b64(other_half(base64.b64decode(text), key))
    moved = replace(layer, annotations={**layer.annotations, signing_world.SIGNATURE: turned})
    for first, second in ((one, other), (other, one)):
        raw = world.bundle_of(second, entries=[])
        assert fact(raw, attestor).outcome is Outcome.VERIFIED, "else it would say nothing"
        gone(fact(raw, taken_back(attestor, f"evidence:{Digest.of(first.signature)}")))
        found = attested.judged(raw, taken_back(attestor, f"evidence:{Digest.of(first.payload)}"))
        assert found.outcome is not Outcome.VERIFIED
    back = taken_back(attestor, f"evidence:{Digest.of(base64.b64decode(text))}")
    assert judge(moved, subject=SUBJECT, attestors=[attestor], now=world.NOW).outcome is Outcome.VERIFIED
    gone(judge(moved, subject=SUBJECT, attestors=[back], now=world.NOW))


def test_what_is_signed_is_revoked_in_every_wrapping() -> None:
    one = made()
    mark = f"evidence:{Digest.of(one.payload)}"
    for raw in (world.bundle_of(one), world.bundle_of(one, entries=[]), world.bundle_of(one) + b" "):
        gone(fact(raw, taken_back(alice(), mark)))
        gone(fact(raw, taken_back(alice(), f"evidence:{Digest.of(one.payload, 'sha512')}")))
    said = attested.by_key()
    for candidate in (world.bundle_of(said), attested.layer(attested.envelope(said))):
        revoking = taken_back(attested.KEY, f"evidence:{Digest.of(said.payload)}")
        assert attested.judged(candidate, revoking).outcome is Outcome.REVOKED


def test_a_file_that_is_revoked_says_which_digest_holds() -> None:
    """Its bytes are whoever's may push: the same signature in another file verifies again."""
    one = made()
    raw = world.bundle_of(one)
    candidate = signing_world.bundle_candidate(SUBJECT, raw)
    holds = str(Digest.of(one.signature))
    for digest in (candidate.evidence, candidate.layer.digest, Digest.of(raw, "sha512")):
        gone(fact(raw, taken_back(alice(), f"evidence:{digest}")), f"(revoke {holds}, which holds): it was")
    both = (Revoked(f"evidence:{holds}", "oops"), Revoked(f"evidence:{candidate.layer.digest}", "oops"))
    for order in (both, both[::-1]):
        assert "which holds" not in fact(raw, replace(alice(), revoked=order)).reason
    wrapped = world.bundle_of(one, entries=[])
    for digest, wanted in ((candidate.layer.digest, Outcome.VERIFIED), (holds, Outcome.REVOKED)):
        assert fact(wrapped, taken_back(alice(), f"evidence:{digest}")).outcome is wanted


# --- by certificate ------------------------------------------------------------------------------


def test_keyless() -> None:
    one = world.sign_statement(SUBJECT)
    raw, leaf = world.bundle_of(one), one.certificate
    assert leaf is not None
    for mark in (f"certificate:{sha256(leaf)}", key_mark(leaf.public_key())):
        gone(fact(raw, taken_back(ci(), mark)))
        assert fact(raw, taken_back(ci(), mark, AFTER)).outcome is Outcome.VERIFIED
        gone(fact(raw, taken_back(ci(), mark, BEFORE)))
    assert fact(raw, taken_back(ci(), KEY)).outcome is Outcome.VERIFIED


def test_keyless_by_each_certificate_of_its_path() -> None:
    """As with Notation: whoever takes an authority back takes back all that rests on it."""
    one = world.sign_statement(SUBJECT)
    sigstore = world.instance()
    layer = world.sign_payload(SUBJECT)
    candidate = world.layer_of(SUBJECT, layer, world.annotations_of(layer))
    for above in (sigstore.between.certificate, sigstore.root.certificate):
        for mark in (f"certificate:{sha256(above)}", key_mark(above.public_key())):
            attestor = taken_back(ci(), mark)
            gone(fact(world.bundle_of(one), attestor))
            gone(judge(candidate, subject=SUBJECT, attestors=[attestor], now=world.NOW))
            found = attested.judged(world.bundle_of(attested.made()), taken_back(attested.CI, mark))
            assert found.outcome is Outcome.REVOKED
            assert fact(world.bundle_of(one), taken_back(ci(), mark, AFTER)).outcome is Outcome.VERIFIED
            gone(fact(world.bundle_of(one), taken_back(ci(), mark, BEFORE)))
    other = world.instance("two").between.certificate
    spared = taken_back(ci(), f"certificate:{sha256(other)}")
    assert fact(world.bundle_of(one), spared).outcome is Outcome.VERIFIED


def notation(mark: str, since: datetime | None = None, *, stamp: bool = False) -> SignatureFact:
    parts = stamped.stamped(notation_world.parts()) if stamp else notation_world.parts()
    trust = stamped.trust() if stamp else notation_world.trust()
    return judge_notation(
        notation_world.signed(parts),
        subject=notation_world.SUBJECT,
        attestors=[taken_back(Attestor("acme", trust), mark, since)],
        now=notation_world.NOW,
    )


def test_notation() -> None:
    signer, root = notation_world.signer(), notation_world.root()
    assert notation(KEY).outcome is Outcome.VERIFIED
    for one in (signer.certificate, root.certificate):
        for mark in (f"certificate:{sha256(one)}", key_mark(one.public_key())):
            gone(notation(mark))
    leaf = key_mark(signer.certificate.public_key())
    later = notation_world.SIGNED_AT + timedelta(seconds=1)
    gone(notation(leaf, later), "nothing proves that it is older")
    assert notation(leaf, later, stamp=True).outcome is Outcome.VERIFIED
    gone(notation(leaf, notation_world.SIGNED_AT, stamp=True))


def test_notation_by_its_digest() -> None:
    candidate = notation_world.signed(notation_world.parts())
    digests = (candidate.manifest.digest, candidate.manifest.layers[0].digest)
    for digest in digests:
        one = taken_back(Attestor("acme", notation_world.trust()), f"evidence:{digest}")
        gone(
            judge_notation(candidate, subject=notation_world.SUBJECT, attestors=[one], now=notation_world.NOW)
        )


@pytest.mark.parametrize("form", [notation_world.JWS, notation_world.COSE])
def test_notation_the_other_half_and_what_is_signed(form: str) -> None:
    made: list[bytes] = []

    def sign(key: Any, content: bytes) -> bytes:
        signature = notation_world.primitive(key, content)
        s = int.from_bytes(signature[32:], "big")
        made.extend([content, signature, signature[:32] + (key.curve.group_order - s).to_bytes(32, "big")])
        return signature

    notation_world.signed(notation_world.parts(sign=sign), form)
    content, *halves = made
    for half in halves:
        parts = notation_world.parts(sign=lambda _key, _content, half=half: half)
        candidate = notation_world.signed(parts, form)
        assert notation_world.judge(candidate).outcome is Outcome.VERIFIED
        for digest in map(Digest.of, [content, *halves]):
            one = taken_back(Attestor("acme", notation_world.trust()), f"evidence:{digest}")
            subject, now = notation_world.SUBJECT, notation_world.NOW
            gone(judge_notation(candidate, subject=subject, attestors=[one], now=now), "but it was revoked")


# --- charts and trust data -----------------------------------------------------------------------


def test_a_chart() -> None:
    provenance = helm.signed()
    for mark in (f"openpgp:{helm.KEY.fingerprint}", f"evidence:{Digest.of(provenance)}"):
        both = [taken_back(helm.attestor(), mark), taken_back(helm.attestor(name="twin"), mark)]
        gone(helm.judged(provenance, attestors=both))
        gone(helm.judged(provenance, attestors=[both[0], helm.attestor(name="another")]))
        # what the signer says of the time is no proof
        gone(helm.judged(provenance, attestors=[taken_back(helm.attestor(), mark, AFTER.replace(year=2999))]))
    other = taken_back(helm.attestor(), f"openpgp:{helm.OTHER.fingerprint}")
    assert helm.judged(provenance, attestors=[other]).outcome is Outcome.VERIFIED


def test_a_chart_s_provenance_in_another_frame() -> None:
    provenance = helm.signed()
    framed = provenance + b"\n"
    signed = Digest.of(read_provenance(provenance).signed)
    taken = taken_back(helm.attestor(), f"evidence:{Digest.of(provenance)}")
    gone(helm.judged(provenance, attestors=[taken]), f"(revoke {signed}, which holds): it was")
    assert helm.judged(framed, attestors=[taken]).outcome is Outcome.VERIFIED
    for one in (provenance, framed):
        gone(helm.judged(one, attestors=[taken_back(helm.attestor(), f"evidence:{signed}")]))


def test_trust_data_with_another_signature_beside() -> None:
    """The server lists whatever file is published, under its own key."""
    role = "targets/releases"
    standing, other = scene.scene(), scene.scene()
    other.signers[role] = [*other.signers[role], scene.signer("stranger")]
    built, another = standing.build(), other.build()
    raw = built.targets[role]
    signed = Digest.of(read_targets(role, raw).signed.content)
    for one in (standing, other):
        one.attestors = [taken_back(scene.attestor(), f"evidence:{Digest.of(raw)}")]
    gone(standing.weigh(built).fact, f"(revoke {signed}, which holds): it was")
    assert other.weigh(another).fact.outcome is Outcome.VERIFIED
    for one, files in ((standing, built), (other, another)):
        one.attestors = [taken_back(scene.attestor(), f"evidence:{signed}")]
        gone(one.weigh(files).fact)


def notary_marks(one: Any) -> list[str]:
    return [f"key:{one.key.id}", f"key:{one.key.canonical_id}", key_mark(one.key.material)]


@pytest.mark.parametrize("who", ["root", "targets", "alice"])
def test_trust_data_by_each_key_on_the_way(who: str) -> None:
    one = scene.root() if who == "root" else scene.signer(who)
    for mark in notary_marks(one):
        standing = scene.scene()
        standing.attestors = [taken_back(scene.attestor(), mark)]
        gone(standing.weigh().fact)
    for mark in notary_marks(scene.signer("snapshot")):
        standing = scene.scene()
        standing.attestors = [taken_back(scene.attestor(), mark)]
        assert standing.weigh().fact.outcome is Outcome.VERIFIED, "it says nothing about a tag"


def test_trust_data_whose_pin_was_rotated_away() -> None:
    """The pin that was taken back anchors nothing; another one does."""
    old, new = scene.root(), scene.root("new")
    first = scene.sign_metadata(
        scene.root_document(scene.root_roles(), version=1, expires=scene.LATER), [old]
    )
    standing = scene.scene()
    standing.documents["root"] = scene.root_document(
        scene.root_roles(root=scene.role_keys(new)), version=2, expires=scene.LATER
    )
    standing.signers["root"] = [old, new]
    standing.older_roots = [first]
    for pins, wanted in (((old,), Outcome.REVOKED), ((old, new), Outcome.VERIFIED)):
        standing.attestors = [
            taken_back(scene.attestor(given=scene.trust(*pins)), key_mark(old.key.material))
        ]
        assert standing.weigh().fact.outcome is wanted


def test_trust_data_that_is_published_by_a_revoked_key() -> None:
    """A publish that ``deny`` would refuse does not become a stranger's."""
    built = scene.scene().build()

    def published(*attestors: Attestor) -> list[Outcome]:
        roles = ("root", "targets", "targets/releases")
        facts = judge_published(built, roles, gun=scene.GUN, attestors=attestors, now=scene.NOW)
        return [one.outcome for one in facts]

    assert published(scene.attestor()) == [Outcome.VERIFIED] * 3
    assert (
        published(taken_back(scene.attestor(), key_mark(scene.root().key.material))) == [Outcome.REVOKED] * 3
    )
    assert published(taken_back(scene.attestor(), key_mark(scene.signer("alice").key.material))) == [
        Outcome.VERIFIED,
        Outcome.VERIFIED,
        Outcome.REVOKED,
    ]


# --- beside others, and under every rule ---------------------------------------------------------


def test_it_hides_no_other_candidate() -> None:
    candidates = [
        signing_world.bundle_candidate(SUBJECT, world.bundle_of(made(key))) for key in (ALICE, MALLORY)
    ]
    revoked = taken_back(alice(), KEY).revoked
    other = replace(signing_world.trusted(MALLORY, "mallory"), revoked=revoked)
    for order in (candidates, candidates[::-1]):
        facts = judge_all(order, subject=SUBJECT, attestors=[taken_back(alice(), KEY), other], now=world.NOW)
        assert {one.outcome: one.attestors for one in facts} == {
            Outcome.REVOKED: (),
            Outcome.VERIFIED: ("mallory",),
        }


CANDIDATES = [
    signing_world.bundle_candidate(SUBJECT, raw)
    for raw in (
        world.bundle_of(made()),
        world.bundle_of(made(), entries=[]),
        world.bundle_of(made(MALLORY), entries=[]),
        world.bundle_of(world.sign_statement(SUBJECT)),
        b"{}",
    )
]
MARKS = [KEY, key_mark(MALLORY.public_key()), *(f"evidence:{one.layer.digest}" for one in CANDIDATES)]
ENTRIES = st.builds(Revoked, st.sampled_from(MARKS), st.just("why"), st.sampled_from([None, BEFORE, AFTER]))
RULES = [
    ("pull", "contentTrust: {require: {attestor: alice}}"),
    ("pull", "contentTrust: {require: {anyOf: [{attestor: alice}, {attestor: mallory}]}}"),
    ("pull", "contentTrust: {require: {atLeast: 2, of: [alice, twin, mallory]}}"),
    ("push", "signers: {deny: [alice]}"),
    ("push", "signers: {deny: [mallory]}"),
    ("push", "signers: {only: [twin, mallory]}"),
]


def verdict(action: str, rule: str, candidates: Sequence[Any], entries: Sequence[Revoked]) -> VerdictKind:
    policies = load(
        scenes.tree(
            scenes.policy(f"- id: one\n  {rule}", scope=f"repositories: ['**'], actions: [{action}]"),
            attestors=("alice", "twin", "mallory"),
        ),
        revision="r",
    )
    # the rules' attestors are names here; by whom the facts are, the real judges say
    attestors = [
        replace(one, revoked=tuple(entries))
        for one in (
            alice(),
            replace(signing_world.trusted(ALICE), name="twin"),
            signing_world.trusted(MALLORY, "mallory"),
        )
    ]
    named = {one.name: one for one in attestors}
    rules = tuple(replace(one, check=_renamed(one.check, named)) for one in policies.rules)
    facts = judge_all(candidates, subject=SUBJECT, attestors=attestors, now=world.NOW)
    found = Known(facts)
    subject = scenes.subject(signatures=found, digest=SUBJECT)
    evidence = replace(scenes.evidence(subject), arriving=found)
    request = scenes.pull(action=Action(action), tag=None, digest=SUBJECT)
    return evaluate(replace(policies, rules=rules), request, evidence, world.NOW).kind


def _renamed(part: Any, named: dict[str, Attestor]) -> Any:
    """A check with the attestors of this test in place of the policy's, which have other keys."""
    if isinstance(part, Attestor):
        return named[part.name]
    if isinstance(part, tuple):
        return tuple(_renamed(one, named) for one in part)
    changed = {
        name: _renamed(getattr(part, name), named)
        for name in ("require", "attestor", "items", "attestors", "only", "deny")
        if hasattr(part, name)
    }
    return replace(part, **changed) if changed else part


@given(
    st.sampled_from(RULES),
    st.lists(st.sampled_from(CANDIDATES), max_size=3),
    st.lists(ENTRIES, max_size=3),
    ENTRIES,
)
@settings(max_examples=150, deadline=None)
def test_an_entry_never_turns_a_no_into_a_yes(
    rule: tuple[str, str], candidates: list[Any], entries: list[Revoked], more: Revoked
) -> None:
    before = verdict(*rule, candidates, entries)
    for after in (verdict(*rule, candidates, [*entries, more]), verdict(*rule, candidates, [more, *entries])):
        assert (before, after) != (VerdictKind.DENY, VerdictKind.ALLOW)


@given(st.lists(ENTRIES, max_size=4), st.sampled_from([None, BEFORE, world.SIGNED]))
def test_the_order_of_entries_says_nothing(entries: list[Revoked], proven: datetime | None) -> None:
    found = {bool(why_revoked(order, MARKS, proven)) for order in (entries, entries[::-1])}
    assert len(found) == 1


def test_attestations_too() -> None:
    one = attested.by_key()
    bundle, raw = world.bundle_of(one), attested.envelope(one)
    for candidate in (bundle, attested.layer(raw)):
        for mark in (key_mark(attested.ALICE.public_key()), f"evidence:{Digest.of(one.signature)}"):
            found = attested.judged(candidate, taken_back(attested.KEY, mark))
            assert (found.outcome, found.signers) == (Outcome.REVOKED, ())
    by_layer = taken_back(attested.KEY, f"evidence:{Digest.of(raw)}")
    assert attested.judged(attested.layer(raw), by_layer).outcome is Outcome.REVOKED
    spared = taken_back(attested.KEY, f"evidence:{signing_world.EVIDENCE}")
    assert attested.judged(attested.layer(raw), spared).outcome is Outcome.VERIFIED
