"""The other implementation: asked where it knows the shape, and no yes stands against its no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sigstore.errors import VerificationError
from sigstore.verify import Verifier

from tests import signing_world
from tests import sigstore_world as world
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.bundle import read_bundle
from trustgate.evidence.cosign import judge
from trustgate.evidence.model import Outcome, SignatureFact
from trustgate.evidence.sigstore.certificate import Identity
from trustgate.evidence.sigstore.pattern import exact
from trustgate.evidence.sigstore.second_judge import Opinion, second_opinion
from trustgate.evidence.sigstore.trust import keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root
from trustgate.evidence.sigstore.verify import KeylessProof, Proof, Witnesses

SUBJECT = signing_world.image().manifest.digest
ROOT = read_trusted_root(world.instance().trusted_root())
WHO = Identity(world.SUBJECT, world.ISSUER)
PROOF = KeylessProof(WHO, Proof(times=(world.SIGNED,)), path=())


def opinion(raw: bytes, root: Any = ROOT, found: KeylessProof = PROOF) -> Opinion:
    """As if all that the bundle brings had been proven."""
    bundle = read_bundle(raw)
    proof = replace(found.proof, proven=Witnesses(bundle.entries, bundle.timestamps))
    return second_opinion(raw, bundle, replace(found, proof=proof), root)


def rooted(edit: world.Edit) -> Any:
    return read_trusted_root(world.instance().trusted_root(edit))


def test_it_accepts_what_is_good() -> None:
    made = world.sign_statement(SUBJECT)
    v2 = world.bundle_of(made, entries=[made.entry("hashedrekord", "0.0.2")], stamps=[made.stamp()])
    for raw in (world.bundle_of(made), v2):
        assert opinion(raw) == Opinion(covered=True)
        assert not opinion(raw).disagrees


def test_it_refuses_what_is_not() -> None:
    made = world.sign_statement(SUBJECT)
    other = world.sign_statement(SUBJECT)
    for raw in (
        world.bundle_of(made, entries=[other.entry()]),
        world.bundle_of(made, entries=[made.entry(signer=world.instance("two").rekor)]),
        world.bundle_of(world.sign_statement(SUBJECT, sct=False)),
    ):
        assert opinion(raw).disagrees


def test_whatever_it_raises_is_no_yes() -> None:
    """A token's certificates are not signed: whoever brings a good bundle may exchange them."""
    made = world.sign_statement(SUBJECT)
    signer = made.sigstore.stamps.chain[0]
    good = world.bundle_of(made, stamps=[made.stamp()])
    token = made.stamp().replace(world.der(signer), world.der_of_version_4(signer))
    raw = world.bundle_of(made, stamps=[token])
    assert opinion(good) == Opinion(covered=True)
    assert opinion(raw).refusal.startswith("InvalidVersion: ")
    assert judged(raw, second_judge=True).outcome is not Outcome.VERIFIED


@pytest.mark.parametrize(
    "who", [Identity("someone else", world.ISSUER), Identity(world.SUBJECT, "https://x.test")]
)
def test_it_must_read_the_same_identity(who: Identity) -> None:
    assert opinion(
        world.bundle_of(world.sign_statement(SUBJECT)), found=replace(PROOF, identity=who)
    ).disagrees


def test_it_must_read_the_same_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = world.bundle_of(world.sign_statement(SUBJECT))
    other = read_bundle(world.bundle_of(world.sign_statement(SUBJECT, payload=b"{}")))
    ours = replace(other, entries=read_bundle(raw).entries, certificates=read_bundle(raw).certificates)
    found = replace(PROOF, proof=replace(PROOF.proof, proven=Witnesses(ours.entries)))
    assert second_opinion(raw, ours, found, ROOT).refusal == "it reads another payload"


def chain_from_authority(document: dict[str, Any]) -> None:
    document["timestampAuthorities"][0]["certChain"]["certificates"].pop(0)


@pytest.mark.parametrize(
    "shape",
    [
        "rsa",
        "p384",
        "othername",
        "no entry",
        "intoto",
        "no path",
        "key",
        "no authorities",
        "authority first",
        "end of window",
    ],
)
def test_shapes_that_it_does_not_know(shape: str) -> None:
    root, more, entries = ROOT, {}, {}
    stamps: list[bytes] = []
    if shape == "rsa":
        more = {"key": signing_world.key("rsa2048")}
    if shape == "p384":
        more = {"key": ec.generate_private_key(ec.SECP384R1())}
    if shape == "othername":
        name = x509.OtherName(x509.ObjectIdentifier(world.FULCIO + "7"), world.utf8("x"))
        more = {"names": [name]}
    if shape == "key":
        more = {"key": signing_world.key(), "holder": signing_world.key().public_key()}
    made = world.sign_statement(SUBJECT, **more)
    if shape == "no entry":
        entries = {"entries": []}
    if shape == "intoto":
        entries = {"entries": [made.entry("intoto", "0.0.2")]}
    if shape == "no path":
        entries = {"entries": [made.entry(proof=False)]}
    if shape in {"no authorities", "authority first", "end of window"}:
        stamps, entries = [made.stamp()], {"entries": [made.entry("hashedrekord", "0.0.2")]}
    if shape == "no authorities":
        root = rooted(lambda document: document.update(timestampAuthorities=[]))
    if shape == "authority first":
        root = rooted(chain_from_authority)
    if shape == "end of window":
        end = {"start": "2026-01-01T00:00:00Z", "end": world.SIGNED.isoformat()}
        root = rooted(lambda document: document["timestampAuthorities"][0].update(validFor=end))
    assert opinion(world.bundle_of(made, stamps=stamps, **entries), root) == Opinion(covered=False)


def without_authorities(document: dict[str, Any]) -> None:
    document["timestampAuthorities"] = []


BESIDE: dict[str, tuple[world.Edit, Any]] = {
    "the same entry": (signing_world.unchanged, lambda one: {"entries": [one.entry(), one.entry()]}),
    "an entry of another kind": (
        signing_world.unchanged,
        lambda one: {"entries": [one.entry("intoto", "0.0.2"), one.entry()]},
    ),
    "an entry of a strange log": (
        signing_world.unchanged,
        lambda one: {"entries": [one.entry(signer=world.instance("two").rekor), one.entry()]},
    ),
    "an entry of a second log": (
        signing_world.unchanged,
        lambda one: {"entries": [one.entry("hashedrekord", "0.0.2"), one.entry()]},
    ),
    "no timestamp": (signing_world.unchanged, lambda one: {"stamps": [b"no timestamp"]}),
    "the same timestamp": (signing_world.unchanged, lambda one: {"stamps": [one.stamp()] * 2}),
    "no timestamp, no authorities": (without_authorities, lambda one: {"stamps": [b"no timestamp"]}),
    "a timestamp, no authorities": (without_authorities, lambda one: {"stamps": [one.stamp()]}),
    "a timestamp, authority first": (chain_from_authority, lambda one: {"stamps": [one.stamp()]}),
}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("its_no", [False, True])
def test_nothing_that_is_added_keeps_it_from_being_asked(
    beside: str, its_no: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is whoever brings a bundle that adds: both must go on to accept."""
    edit, more = BESIDE[beside]
    made = world.sign_statement(SUBJECT)
    raw = world.bundle_of(made, **more(made))
    if its_no:
        monkeypatch.setattr(Verifier, "verify_dsse", refusing)
    found = judged(raw, second_judge=True, edit=edit)
    assert found.outcome is (Outcome.BROKEN if its_no else Outcome.VERIFIED), found.reason
    assert judged(raw, second_judge=False, edit=edit).outcome is Outcome.VERIFIED


def refusing(*_given: object) -> None:
    raise VerificationError("no")


def test_it_is_asked_about_each_log() -> None:
    """One that it refuses is not helped by another that it accepts."""
    made, other = world.sign_statement(SUBJECT), world.sign_statement(SUBJECT)
    good, bad = made.entry(), other.entry("hashedrekord", "0.0.2")
    stamps = [made.stamp()]
    for entries in ([good, bad], [bad, good]):
        assert opinion(world.bundle_of(made, entries=entries, stamps=stamps)).disagrees
    assert not opinion(world.bundle_of(made, entries=[good], stamps=stamps)).disagrees


def test_a_root_that_it_can_t_read() -> None:
    unreadable = replace(ROOT, raw=b"{}", digest="x")
    assert opinion(world.bundle_of(world.sign_statement(SUBJECT)), unreadable) == Opinion(covered=False)


def judged(raw: bytes, *, second_judge: bool, edit: world.Edit = signing_world.unchanged) -> SignatureFact:
    trust = keyless_trust(rooted(edit), issuer=exact(world.ISSUER), identity=exact(world.SUBJECT))
    attestor = Attestor("ci", replace(trust, second_judge=second_judge))
    candidate = signing_world.bundle_candidate(SUBJECT, raw)
    return judge(candidate, subject=SUBJECT, attestors=[attestor], now=world.NOW)


def test_a_disagreement_denies_and_says_so() -> None:
    made = world.sign_statement(SUBJECT)
    signer = made.sigstore.stamps.chain[0]
    token = made.stamp().replace(world.der(signer), world.der_of_version_4(signer))
    raw = world.bundle_of(made, stamps=[token])
    assert judged(raw, second_judge=False).outcome is Outcome.VERIFIED
    found = judged(raw, second_judge=True)
    assert found.outcome is Outcome.BROKEN
    assert found.reason.startswith("two judges disagree: accepted here, refused by sigstore (")
    assert (found.signers, found.logs, found.signed_at) == ((), 0, None)
