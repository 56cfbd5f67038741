"""Who an attestor can be: a fact is never counted for a name whose trust could not have made it."""

from __future__ import annotations

import pytest

from tests import notation_world, signing_world, sigstore_world
from trustgate.evidence.attestor import Attestor, Trust
from trustgate.evidence.helm.trust import GpgTrust
from trustgate.evidence.keys import key_trust
from trustgate.evidence.notary.trust import NotaryTrust
from trustgate.evidence.sigstore.pattern import anchored, exact
from trustgate.evidence.sigstore.trust import keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root
from trustgate.oci.digest import Digest

FINGERPRINTS = ("A" * 40, "B" * 40)
KEY = key_trust(signing_world.public_pem(signing_world.key()))
ROOT = read_trusted_root(sigstore_world.instance().trusted_root(signing_world.unchanged))
KEYLESS = keyless_trust(ROOT, issuer=exact("https://i.test"), identity=anchored("^m.*$"))
IDENTITIES = {
    "key": KEY.identity,
    "keyless": "keyless:https://i.test me",
    "notation": "x509:" + "0" * 64,
    "notary": "tuf:" + "0" * 64,
    "gpg": f"gpg:{FINGERPRINTS[0]}",
}


def gpg(*fingerprints: str) -> GpgTrust:
    return GpgTrust(b"", frozenset(fingerprints), {}, Digest.of(b""))


TRUSTS: dict[str, Trust] = {
    "key": KEY,
    "keyless": KEYLESS,
    "notation": notation_world.trust(),
    "notary": NotaryTrust(frozenset({"0" * 64})),
    "gpg": gpg(FINGERPRINTS[0]),
}


@pytest.mark.parametrize("kind", TRUSTS)
def test_only_an_identity_of_its_own_kind(kind: str) -> None:
    one = Attestor("one", TRUSTS[kind])
    assert [name for name, identity in IDENTITIES.items() if one.may_be(identity)] == [kind]
    assert not one.may_be("")


def test_any_of_several_keys_that_stand_below_it_and_no_other() -> None:
    both = Attestor("both", gpg(*FINGERPRINTS))
    assert both.sole_identity is None
    assert [both.may_be(f"gpg:{one}") for one in (*FINGERPRINTS, "C" * 40)] == [True, True, False]
    assert not Attestor("key", KEY).may_be("key:" + "0" * 64)
