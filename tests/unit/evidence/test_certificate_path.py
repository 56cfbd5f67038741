from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from tests import signing_world
from tests import timestamp_world as world
from trustgate.evidence.certificate_path import (
    MAX_ISSUER_TRIALS,
    PathRefused,
    load_certificate,
    path_to_anchor,
)

STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
CODE = ExtendedKeyUsageOID.CODE_SIGNING
ROOT = world.authority("root")


def path(leaf: world.Holder, *between: world.Holder, anchor: world.Holder = ROOT, **more: Any) -> int:
    found = path_to_anchor(
        leaf.certificate,
        anchors=[anchor.certificate],
        intermediates=[one.certificate for one in between],
        moment=more.get("moment", world.MOMENT),
        purpose=STAMPING,
    )
    assert found[0] == leaf.certificate
    assert found[-1] == anchor.certificate
    return len(found)


def usage(**yes: bool) -> x509.KeyUsage:
    names = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    return x509.KeyUsage(**{name: yes.get(name, False) for name in names})


def test_over_any_number_of_authorities_within_the_limit() -> None:
    assert path(world.signer(ROOT)) == 2
    chain = [ROOT]
    for number in range(4):
        chain.append(world.authority(f"authority {number}", chain[-1]))
    assert path(world.signer(chain[-1]), *chain[1:]) == 6
    chain.append(world.authority("one too many", chain[-1]))
    with pytest.raises(PathRefused, match="anchor"):
        path(world.signer(chain[-1]), *chain[1:])


@pytest.mark.parametrize("kind", ["ed25519", "p521", "rsa2048"])
def test_by_authorities_with_keys_of_any_kind(kind: str) -> None:
    key = signing_world.key(kind, "authority")
    root = world.authority("root", key=key)
    between = world.authority("between", root, key=key)
    assert path(world.signer(between), between, anchor=root) == 3


def test_the_order_of_what_is_given_does_not_matter() -> None:
    first = world.authority("first", ROOT)
    second = world.authority("second", first)
    assert path(world.signer(second), second, first) == path(world.signer(second), first, second) == 4


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dead": world.MOMENT - timedelta(days=1)}, "is valid from"),
        ({"born": world.MOMENT + timedelta(days=1)}, "is valid from"),
        ({"usage": False, "more": ((usage(crl_sign=True), True),)}, "may not sign certificates"),
        ({"more": ((x509.ExtendedKeyUsage([CODE]), False),)}, "another purpose"),
        ({"more": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b""), True),)}, "not judged"),
        ({"more": ((x509.NameConstraints([x509.DNSName("a")], None), False),)}, "not judged"),
        ({"key": ec.generate_private_key(ec.SECP256K1())}, "none of RSA"),
        ({"key": rsa.generate_private_key(65537, 1024)}, "none of RSA"),  # noqa: S505
    ],
)
def test_each_authority_is_checked(changes: dict[str, Any], match: str) -> None:
    between = world.authority("between", ROOT, **changes)
    with pytest.raises(PathRefused, match=match):
        path(world.signer(between), between)


def test_an_authority_that_does_not_say_what_its_key_is_for() -> None:
    between = world.authority("between", ROOT, usage=False)
    assert path(world.signer(between), between) == 3


def test_a_certificate_that_says_it_is_no_authority() -> None:
    end = world.signer(ROOT, extensions=((x509.BasicConstraints(ca=False, path_length=None), True),))
    with pytest.raises(PathRefused, match="not an authority"):
        path(world.signer(end), end)


@pytest.mark.parametrize(
    "more",
    [
        ((x509.ExtendedKeyUsage([STAMPING]), False),),
        ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False),),
        ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b""), False),),
    ],
)
def test_what_an_authority_may_carry(more: Any) -> None:
    between = world.authority("between", ROOT, more=more)
    assert path(world.signer(between), between) == 3


def test_an_end_certificate_issues_nothing() -> None:
    end = world.signer(ROOT)
    with pytest.raises(PathRefused, match="not an authority"):
        path(world.signer(end), end)


def test_the_length_that_an_authority_allows() -> None:
    between = world.authority("between", ROOT, path_length=0)
    assert path(world.signer(between), between) == 3
    below = world.authority("below", between)
    with pytest.raises(PathRefused, match="longer than"):
        path(world.signer(below), between, below)


@pytest.mark.parametrize(
    "time", [{"dead": world.MOMENT - timedelta(days=1)}, {"born": world.MOMENT + timedelta(days=1)}]
)
def test_the_end_certificate_s_own_time_counts(time: dict[str, Any]) -> None:
    with pytest.raises(PathRefused, match="is valid from"):
        path(world.signer(ROOT, **time))


def test_the_anchor_s_own_time_counts() -> None:
    old = world.authority("old root", dead=world.MOMENT - timedelta(days=1))
    with pytest.raises(PathRefused, match="is valid from"):
        path(world.signer(old), anchor=old)


def test_the_right_name_by_another_key() -> None:
    impostor = world.authority("root")
    with pytest.raises(PathRefused, match="anchor"):
        path(world.signer(impostor))


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("sha1_rsa", hashes.SHA1()), ("sha224_rsa", hashes.SHA224())],  # noqa: S303
)
def test_a_certificate_signed_with_a_weak_hash(name: str, algorithm: hashes.HashAlgorithm) -> None:
    key = signing_world.key("rsa2048", "authority")
    root = world.authority("old root", key=key)
    leaf = world.signer(root)
    assert path(leaf, anchor=root) == 2
    forged = asn1_x509.Certificate.load(world.der(leaf.certificate))
    forged["signature_algorithm"] = forged["tbs_certificate"]["signature"] = {"algorithm": name}
    content = forged["tbs_certificate"].dump(force=True)
    forged["signature_value"] = key.sign(content, padding.PKCS1v15(), algorithm)
    weak = load_certificate(forged.dump(force=True))
    with pytest.raises(PathRefused, match="anchor"):
        path(world.Holder(weak, None), anchor=root)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("number", [0, -7])
def test_a_serial_number_that_is_not_positive(number: int) -> None:
    forged = asn1_x509.Certificate.load(world.der(world.signer(ROOT).certificate))
    forged["tbs_certificate"]["serial_number"] = number
    with pytest.raises(PathRefused, match=r"serial number|can't be read"):
        load_certificate(forged.dump(force=True))


def test_many_authorities_of_one_name_end_the_search() -> None:
    many = [world.authority("root") for _ in range(MAX_ISSUER_TRIALS + 1)]
    with pytest.raises(PathRefused, match="claim to be on its path"):
        path(world.signer(many[-1]), *many)


def test_two_authorities_that_issue_each_other() -> None:
    one = world.authority("one", world.authority("two"))
    two = world.authority("two", one)
    with pytest.raises(PathRefused, match="anchor"):
        path(world.signer(two), one, two)


@pytest.mark.parametrize("raw", [b"", b"\x30\x03\x02\x01\x01", b"no certificate"])
def test_what_is_no_certificate(raw: bytes) -> None:
    with pytest.raises(PathRefused, match="can't be read"):
        load_certificate(raw)


def test_a_key_of_a_kind_that_is_not_judged() -> None:
    public = signing_world.key("dsa").public_key()
    leaf = world.certificate("leaf", public, ROOT, ROOT.key, extensions=world.STAMPING)
    with pytest.raises(PathRefused, match="none of RSA"):
        path(world.Holder(leaf, None))


def test_an_extension_that_stands_there_twice() -> None:
    der = world.der(world.signer(ROOT, extensions=(*world.STAMPING, (usage(), False))).certificate)
    key_usage = bytes.fromhex("0603551d0f")
    extended = bytes.fromhex("0603551d25")
    assert ExtensionOID.KEY_USAGE.dotted_string == "2.5.29.15"
    with pytest.raises(PathRefused, match="can't be read"):
        load_certificate(der.replace(key_usage, extended))
