"""The other implementation: asked where it knows the shape, and no yes stands against its no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

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
from trustgate.evidence.sigstore.verify import KeylessProof, Proof

SUBJECT = signing_world.image().manifest.digest
ROOT = read_trusted_root(world.instance().trusted_root())
WHO = Identity(world.SUBJECT, world.ISSUER)
PROOF = KeylessProof(WHO, Proof(times=(world.SIGNED,)))


def opinion(raw: bytes, root: Any = ROOT, found: KeylessProof = PROOF) -> Opinion:
    return second_opinion(raw, read_bundle(raw), found, root)


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
    assert second_opinion(raw, ours, PROOF, ROOT).refusal == "it reads another payload"


def chain_from_authority(document: dict[str, Any]) -> None:
    document["timestampAuthorities"][0]["certChain"]["certificates"].pop(0)


@pytest.mark.parametrize(
    "shape",
    [
        "rsa",
        "p384",
        "othername",
        "two entries",
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
    if shape == "two entries":
        entries = {"entries": [made.entry()] * 2}
    if shape == "no entry":
        entries = {"entries": []}
    if shape == "intoto":
        entries = {"entries": [made.entry("intoto", "0.0.2")]}
    if shape == "no path":
        entries = {"entries": [made.entry(proof=False)]}
    if shape in {"no authorities", "authority first", "end of window"}:
        stamps = [made.stamp()]
    if shape == "no authorities":
        root = rooted(lambda document: document.update(timestampAuthorities=[]))
    if shape == "authority first":
        root = rooted(chain_from_authority)
    if shape == "end of window":
        end = {"start": "2026-01-01T00:00:00Z", "end": world.SIGNED.isoformat()}
        root = rooted(lambda document: document["timestampAuthorities"][0].update(validFor=end))
    assert opinion(world.bundle_of(made, stamps=stamps, **entries), root) == Opinion(covered=False)


def test_a_root_that_it_can_t_read() -> None:
    unreadable = replace(ROOT, raw=b"{}", digest="x")
    assert opinion(world.bundle_of(world.sign_statement(SUBJECT)), unreadable) == Opinion(covered=False)


def judged(raw: bytes, *, second_judge: bool) -> SignatureFact:
    trust = keyless_trust(ROOT, issuer=exact(world.ISSUER), identity=exact(world.SUBJECT))
    attestor = Attestor("ci", replace(trust, second_judge=second_judge))
    candidate = signing_world.bundle_candidate(SUBJECT, raw)
    return judge(candidate, subject=SUBJECT, attestors=[attestor], now=world.NOW)


def test_a_disagreement_denies_and_says_so() -> None:
    made = world.sign_statement(SUBJECT)
    raw = world.bundle_of(made, stamps=[b"no timestamp"])
    assert judged(raw, second_judge=False).outcome is Outcome.VERIFIED
    found = judged(raw, second_judge=True)
    assert found.outcome is Outcome.BROKEN
    assert found.reason.startswith("two judges disagree: accepted here, refused by sigstore (")
    assert (found.signers, found.logs, found.signed_at) == ((), 0, None)
