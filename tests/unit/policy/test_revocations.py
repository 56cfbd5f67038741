"""``revoked:`` in a trust store: what loads, what does not, and for whom it counts."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509

from tests import notation_world, sigstore_world
from tests.unit.policy.scenes import fact, judge, only, policy, policy_set, problems_of, signed, subject, tree
from trustgate.evidence.model import Known, Outcome
from trustgate.evidence.revoked import Revoked, key_mark
from trustgate.policy.document import load
from trustgate.policy.model import RuleOutcome

HEX = "ab" * 32
FINGERPRINT = "AB" * 20


def with_entry(entry: str) -> dict[str, bytes]:
    files = tree(policy(signed("{attestor: ci}")), attestors=("ci", "qa"))
    files["trust/attestors.yaml"] += f"revoked: {entry}\n".encode()
    return files


@pytest.mark.parametrize(
    ("entry", "mark"),
    [
        (f"key: '{HEX}'", f"key:{HEX}"),
        (f"certificate: '{HEX}'", f"certificate:{HEX}"),
        (f"openpgp: '{FINGERPRINT}'", f"openpgp:{FINGERPRINT}"),
        (f"evidence: 'sha256:{HEX}'", f"evidence:sha256:{HEX}"),
    ],
)
def test_each_kind_counts_for_every_attestor(entry: str, mark: str) -> None:
    files = with_entry(f"[{{{entry}, reason: stolen, since: 2026-10-01}}]")
    other = files["trust/attestors.yaml"].replace(b"  ci:", b"  more:").replace(b"  qa:", b"  others:")
    files["trust/more.yaml"] = other.partition(b"revoked:")[0]
    wanted = Revoked(mark, "stolen", datetime(2026, 10, 1, tzinfo=UTC))
    found = {one.name: one.revoked for one in load(files, revision="r").attestors}
    assert found == dict.fromkeys(("ci", "qa", "more", "others"), (wanted,))


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("[]", "is empty"),
        ("[{reason: stolen}]", "expected exactly one of key, certificate, openpgp, evidence; found 0"),
        (f"[{{key: {HEX}, certificate: {HEX}, reason: stolen}}]", "expected exactly one"),
        (f"[{{key: {HEX}}}]", 'missing key "reason"'),
        (f"[{{key: {HEX}, reason: ''}}]", "expected a text"),
        (f"[{{key: {HEX.upper()}, reason: stolen}}]", "64 lower-case hex digits"),
        (f"[{{key: 'sha256:{HEX}', reason: stolen}}]", "revokes nothing"),
        (f"[{{openpgp: {FINGERPRINT[:16]}, reason: stolen}}]", "40 upper-case hex digits"),
        (f"[{{evidence: {HEX}, reason: stolen}}]", "expected a digest"),
        (f"[{{key: {HEX}, reason: stolen, since: yesterday}}]", "is no date"),
        (f"[{{key: {HEX}, reason: stolen, until: 2027-01-01}}]", 'unknown key "until"'),
        ("[{logIndex: 4, reason: stolen}]", '"logIndex" is not supported'),
    ],
)
def test_what_does_not_load(entry: str, why: str) -> None:
    found = problems_of(with_entry(entry))
    assert any(why in problem for problem in found), found


def keyless(entry: str, *, notation: bool = False) -> dict[str, bytes]:
    """A trust store with an attestor that signs with certificates."""
    files = with_entry(entry)
    store, _, entries = files["trust/attestors.yaml"].partition(b"revoked:")
    store += b"  gh: {type: keyless, issuer: x, identity: y, trustRoot: own}\n"
    if notation:
        store += b"  wax: {type: notation, trustStores: {ca: [ca.pem]}, trustedIdentities: ['*']}\n"
        files["trust/ca.pem"] = sigstore_world.pem(notation_world.root().certificate)
    store += b"trustRoots: {own: {type: file, path: root.json}}\n"
    files["trust/root.json"] = sigstore_world.instance().trusted_root()
    return files | {"trust/attestors.yaml": store + b"revoked:" + entries}


def entry_of(thing: Any) -> str:
    if isinstance(thing, x509.Certificate):
        return f"[{{certificate: '{hashlib.sha256(sigstore_world.der(thing)).hexdigest()}', reason: stolen}}]"
    return f"[{{key: '{key_mark(thing).removeprefix('key:')}', reason: stolen}}]"


def test_logs_and_timestamp_authorities_are_ended_in_the_trusted_root() -> None:
    """No signature is made with them: an entry here would promise what it does not do."""
    sigstore = sigstore_world.instance()
    stamping = sigstore.stamps.chain
    named = {
        "that key is a transparency log's": [sigstore.rekor.public_key(), sigstore.rekor2.public_key()],
        "that key is a certificate log's": [sigstore.ct.public_key()],
        "that key is a timestamp authority's": [one.public_key() for one in stamping],
        "that certificate is a timestamp authority's": list(stamping),
    }
    for why, things in named.items():
        for one in things:
            (problem,) = problems_of(keyless(entry_of(one)))
            assert f"TG2012 {why}" in problem
            assert "end its validFor in the trusted root" in problem


def test_what_signatures_rest_on_can_be_revoked_whatever_else_it_is() -> None:
    sigstore = sigstore_world.instance()
    for above in (sigstore.between.certificate, sigstore.root.certificate):
        for one in (above, above.public_key()):
            load(keyless(entry_of(one)), revision="r")
    signer, *authorities = sigstore.stamps.chain
    for one in authorities:  # a chain that a Notation signature brings may lead there
        load(keyless(entry_of(one), notation=True), revision="r")
    assert problems_of(keyless(entry_of(signer), notation=True))


def test_a_change_is_another_trust_store() -> None:
    """Judgements are kept under its revision."""
    entries = (f"[{{key: {HEX}, reason: stolen}}]", f"[{{key: {HEX}, reason: stolen, since: 2026-10-01}}]")
    revisions = {load(with_entry(one), revision="r").trust_revision for one in entries}
    assert len(revisions) == 2


def test_a_rule_says_that_it_was_revoked() -> None:
    policies = policy_set(policy(signed("{attestor: ci}")), attestors=("ci",))
    gone = fact(outcome=Outcome.REVOKED, reason="signed by ci, but it was revoked: stolen")
    result = only(judge(policies, subject(signatures=Known((gone,)))))
    assert (result.outcome, result.reason_code) == (RuleOutcome.FAIL, "signature-revoked")
    assert "signed by ci, but it was revoked: stolen" in result.message
    both = only(judge(policies, subject(signatures=Known((gone, fact("ci"))))))
    assert both.outcome is RuleOutcome.PASS
