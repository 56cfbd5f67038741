"""Certificate chains: each rule of the specification has a chain that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from tests import notation_world as world
from tests.notation_world import DAY, NOW, SIGNED_AT, Issued, authority, issue, key
from trustgate.evidence.model import Outcome
from trustgate.evidence.notation.certificates import (
    MAX_CERTIFICATE_BYTES,
    Chain,
    code_signing_chain,
    load_certificate,
    signing_key,
    subject_of,
    time_stamping_chain,
)
from trustgate.evidence.notation.refusal import Broken

TRUST_ANY = {"trusted_identities": ["*"]}


def leaf(by: Issued | None = None, **changes: object) -> Issued:
    given = {"private": key("p256", "notation")}
    return issue(by or world.root(), **{**given, **changes})


def why_refused(issued: Issued, chain: Sequence[x509.Certificate] | None = None) -> str:
    """The judge's reason, with the chain's own root trusted: the rules do not hang on trust."""
    made = world.parts(issued)
    if chain is not None:
        made.chain = [one.public_bytes(Encoding.DER) for one in chain]
    fact = world.judge(world.signed(made), trust=world.trust(roots=[world.root().pem], **TRUST_ANY))
    assert fact.outcome is Outcome.BROKEN, fact
    return fact.reason


@pytest.mark.parametrize(
    ("purposes", "others"),
    [((), ()), ((Purpose.CODE_SIGNING,), ()), ((x509.ObjectIdentifier("1.2.3"),), ("content_commitment",))],
)
def test_leaves_that_may_sign(purposes: tuple[x509.ObjectIdentifier, ...], others: tuple[str, ...]) -> None:
    issued = leaf(purposes=purposes, usages=("digital_signature", *others), ca=False)
    assert world.judge(world.signed(world.parts(issued))).outcome is Outcome.VERIFIED


@pytest.mark.parametrize(
    "purpose",
    [
        Purpose.ANY_EXTENDED_KEY_USAGE,
        Purpose.SERVER_AUTH,
        Purpose.CLIENT_AUTH,
        Purpose.EMAIL_PROTECTION,
        Purpose.TIME_STAMPING,
        Purpose.OCSP_SIGNING,
    ],
)
def test_leaves_for_other_purposes(purpose: x509.ObjectIdentifier) -> None:
    assert "is also for" in why_refused(leaf(purposes=(Purpose.CODE_SIGNING, purpose)))


@pytest.mark.parametrize(
    "usage", ["key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"]
)
def test_leaves_with_other_usages(usage: str) -> None:
    assert "not digital signature alone" in why_refused(leaf(usages=("digital_signature", usage)))


def test_leaves_that_may_not_sign() -> None:
    assert "digital signature" in why_refused(leaf(usages=("content_commitment",)))
    assert "has no key usage" in why_refused(leaf(usages=None))
    assert "does not mark its key usage critical" in why_refused(leaf(usage_critical=False))
    assert "authority's" in why_refused(leaf(ca=True))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: ec.generate_private_key(ec.SECP224R1()),
        lambda: key("rsa1024", "weak"),
        lambda: key("rsa2056", "odd"),
        lambda: key("dsa"),
        lambda: key("ed25519", "notation"),
    ],
    ids=["secp256k1", "secp224r1", "rsa1024", "rsa2056", "dsa", "ed25519"],
)
def test_weird_keys(make: Callable[[], object]) -> None:
    issued = issue(world.root(), private=make())
    made = world.parts(world.signer())
    made.chain = [one.public_bytes(Encoding.DER) for one in issued.chain]
    fact = world.judge(world.signed(made))
    assert fact.outcome is Outcome.BROKEN
    assert "the signing key is" in fact.reason


AUTHORITIES: dict[str, tuple[Callable[[], Issued], str]] = {
    "no basic constraints": (
        lambda: authority(world.root(), common_name="middle", ca=None),
        "no critical basic constraints",
    ),
    "constraints not critical": (
        lambda: authority(world.root(), common_name="middle", constraints_critical=False),
        "no critical basic constraints",
    ),
    "no authority": (
        lambda: authority(world.root(), common_name="middle", ca=False),
        "is no authority's|may not sign",
    ),
    "no key usage": (lambda: authority(world.root(), common_name="middle", usages=None), "has no key usage"),
    "usage not critical": (
        lambda: authority(world.root(), common_name="middle", usage_critical=False),
        "key usage critical",
    ),
    "may not sign": (
        lambda: authority(world.root(), common_name="middle", usages=("crl_sign",)),
        "may not sign certificates",
    ),
    "small key": (
        lambda: authority(world.root(), common_name="middle", private=key("rsa1024", "weak")),
        "not issued by the next one",
    ),
    "weird key": (
        lambda: authority(
            world.root(), common_name="middle", private=ec.generate_private_key(ec.SECP256K1())
        ),
        "not issued by the next one",
    ),
}


@pytest.mark.parametrize("case", AUTHORITIES)
def test_intermediates(case: str) -> None:
    make, reason = AUTHORITIES[case]
    why = why_refused(leaf(make()))
    assert any(part in why for part in reason.split("|")), why


def test_path_lengths() -> None:
    short = authority(common_name="short", path_length=0)
    assert (
        world.judge(world.signed(world.parts(leaf(short))), trust=world.trust(roots=[short.pem])).outcome
        is Outcome.VERIFIED
    )
    assert "longer than the certificate" in why_refused(leaf(authority(short, common_name="below")))


def test_sha1_proves_nothing() -> None:
    """Its signature is right, and still it says nothing about who issued it (the library agrees)."""
    old = authority(private=key("rsa2048", "sha1"), common_name="old")
    issued = leaf(old)
    turned = load_certificate(world.with_sha1(issued.certificate.public_bytes(Encoding.DER), old.key))
    assert isinstance(turned.signature_hash_algorithm, hashes.SHA1)
    with pytest.raises(Broken, match="SHA-2"):
        code_signing_chain([turned, old.certificate])
    root = load_certificate(world.with_sha1(old.certificate.public_bytes(Encoding.DER), old.key))
    with pytest.raises(Broken, match="SHA-2"):
        code_signing_chain([issued.certificate, root])


def test_order_and_completeness() -> None:
    full = world.signer().chain
    assert "not end with a self-signed root" in why_refused(world.signer(), full[:2])
    assert "not issued by the next one" in why_refused(world.signer(), (full[0], full[2]))
    assert "only the last, the root, may be" in why_refused(world.signer(), (*full, full[-1]))
    unrelated = authority(common_name="unrelated").certificate
    assert "only the last" in why_refused(world.signer(), (*full, unrelated))
    assert "not issued by" in why_refused(world.signer(), (full[0], full[2], full[1]))


def test_a_name_alone_does_not_issue() -> None:
    """Same names, another key: the certificate that is trusted did not sign it."""
    impostor = authority(private=key("p256", "impostor"), common_name="root")
    forged = leaf(impostor)
    assert "not issued by the next one" in why_refused(forged, (forged.certificate, world.root().certificate))


def test_a_self_signed_leaf_is_its_own_root() -> None:
    alone = issue(None, private=key("p256", "notation"))
    fact = world.judge(world.signed(world.parts(alone)), trust=world.trust(roots=[alone.pem]))
    assert fact.outcome is Outcome.VERIFIED
    ca = authority(private=key("p256", "notation"), usages=("digital_signature", "key_cert_sign"))
    assert "authority's" in why_refused(ca)


def test_an_ed25519_authority_is_fine() -> None:
    ed = authority(private=key("ed25519", "ca"), common_name="ed")
    fact = world.judge(world.signed(world.parts(leaf(ed))), trust=world.trust(roots=[ed.pem]))
    assert fact.outcome is Outcome.VERIFIED


def test_ten_thousand_names() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName(f"h{n}.example") for n in range(10_000)])
    issued = leaf(extensions=(names,))
    assert f"at most {MAX_CERTIFICATE_BYTES} are read" in why_refused(issued)


def test_an_empty_subject_matches_no_identity() -> None:
    issued = leaf(subject=x509.Name([]))
    fact = world.judge(world.signed(world.parts(issued)))
    assert fact.outcome is Outcome.UNTRUSTED
    assert "lacks C, ST, O" in fact.reason
    assert subject_of(issued.certificate) == "an empty subject"
    anyone = world.judge(world.signed(world.parts(issued)), trust=world.trust(**TRUST_ANY))
    assert anyone.outcome is Outcome.VERIFIED


def test_signed_outside_the_certificates() -> None:
    """The claim itself says so: notation accepts it, the specification does not."""
    early = leaf(not_before=SIGNED_AT + timedelta(hours=1))
    assert "signed outside its certificates" in why_refused(early)
    late = leaf(not_after=SIGNED_AT - timedelta(hours=1))
    assert "signed outside its certificates" in why_refused(late)


def test_certificates_that_can_not_be_read() -> None:
    good = world.signer().certificate.public_bytes(Encoding.DER)
    for raw in (b"", b"0", good[:-1], good + b"\0", good[:40] + b"\xff" * 8 + good[48:], b"\0" * 100):
        with pytest.raises(Broken):
            load_certificate(raw)


def test_a_chain_of_another_kind_has_no_signing_key() -> None:
    ed = authority(private=key("ed25519", "ca"), common_name="ed")
    with pytest.raises(Broken, match="neither RSA nor EC"):
        signing_key(Chain(ed.chain))


# --- timestamps ----------------------------------------------------------------------------------


def stamping(by: Issued | None = None, **changes: object) -> Issued:
    given = {"private": key("p256", "tsa"), "purposes": (Purpose.TIME_STAMPING,), "purposes_critical": True}
    return issue(by or world.root(), **{**given, **changes})


def test_timestamping_chains() -> None:
    assert time_stamping_chain(stamping().chain).leaf
    assert time_stamping_chain(stamping(usage_critical=False).chain).leaf
    for broken in (
        stamping(purposes_critical=False),
        stamping(purposes=()),
        stamping(purposes=(Purpose.TIME_STAMPING, Purpose.CODE_SIGNING)),
        stamping(usages=None),
        stamping(usages=("digital_signature", "key_cert_sign")),
        stamping(ca=True),
        stamping(private=key("ed25519", "tsa")),
        stamping(authority(world.root(), common_name="middle", usages=None)),
    ):
        with pytest.raises(Broken):
            time_stamping_chain(broken.chain)


def test_the_whole_span_must_be_valid() -> None:
    chain = code_signing_chain(world.signer().chain)
    assert chain.why_not_valid(NOW, NOW) == ""
    assert "valid from" in chain.why_not_valid(NOW - 31 * DAY, NOW)
    assert "valid from" in chain.why_not_valid(NOW, NOW + 366 * DAY)
