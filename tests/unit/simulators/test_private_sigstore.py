"""The private Sigstore, judged by a verifier of others: sound as it is, broken by each switch."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sigstore.errors import Error, VerificationError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy

from tests.simulators.sigstore import (
    Faults,
    Identity,
    Logged,
    PrivateSigstore,
    mint_bundle,
    trusted_root,
)
from tests.simulators.sigstore.faults import FAULTS, only
from tests.simulators.sigstore.merkle import leaf_hash, prove, root_of
from trustgate.oci.digest import Digest

SUBJECT = Digest.of(b"an image")
NOW = datetime.now(UTC)  # the library reads the clock
V2 = (Logged("hashedrekord/0.0.2"),)

WINDOWS = {"ca_window_ended", "ct_window_ended", "log_window_ended"}
PROMISES = {"no_set", "set_by_other_key", "set_over_other_time"}
CLOCKS = {"integrated_time_before_leaf", "integrated_time_after_leaf"}
STAMPS = {
    "timestamp_over_other_bytes",
    "timestamp_signature_broken",
    "timestamp_of_other_content",
    "timestamp_refused",
    "tsa_unknown",
    "tsa_window_ended",
    "tsa_without_eku",
    "tsa_eku_not_critical",
    "tsa_with_second_eku",
    "tsa_expired",
}
LENIENT = WINDOWS | {"leaf_with_two_sans", "checkpoint_origin_foreign"}
"""Accepted by sigstore-python 4.2 to 4.5 in both logs: it ends no window, takes any of several names, and
knows checkpoints by their key alone."""


def accepts(bundle: bytes, root: bytes, folder: Path) -> bool:
    path = folder / "trusted_root.json"
    path.write_bytes(root)
    who = policy.Identity(identity=Identity().subject, issuer=Identity().issuer)
    try:
        verifier = Verifier(trusted_root=TrustedRoot.from_file(str(path)))
        kind, _payload = verifier.verify_dsse(Bundle.from_json(bundle), who)
    except (Error, VerificationError):
        return False
    assert kind == "application/vnd.in-toto+json"
    return True


def minted(faults: Faults, logged: tuple[Logged, ...]) -> tuple[bytes, bytes]:
    sigstore = PrivateSigstore(faults, at=NOW)
    return mint_bundle(sigstore, SUBJECT, logged=logged, timestamps=1), trusted_root(sigstore)


@pytest.mark.parametrize("kind", ["dsse/0.0.1", "hashedrekord/0.0.2"])
def test_without_a_fault_it_is_accepted(tmp_path: Path, kind: str) -> None:
    assert accepts(*minted(Faults(), (Logged(kind),)), tmp_path)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_switch_breaks_what_it_says_with_rekor_1(tmp_path: Path, fault: str) -> None:
    lenient = fault in LENIENT | STAMPS | {"no_set"}  # with a promise in hand a timestamp counts for nothing
    assert accepts(*minted(only(fault), (Logged(),)), tmp_path) is lenient


@pytest.mark.parametrize("fault", FAULTS)
def test_each_switch_breaks_what_it_says_with_rekor_2(tmp_path: Path, fault: str) -> None:
    lenient = fault in LENIENT | PROMISES | CLOCKS  # Rekor 2 promises nothing and tells no time
    assert accepts(*minted(only(fault), V2), tmp_path) is lenient


def test_a_root_of_another_sigstore_accepts_nothing(tmp_path: Path) -> None:
    bundle, _root = minted(Faults(unknown_log=True), (Logged(),))
    _bundle, good = minted(Faults(), (Logged(),))
    assert not accepts(bundle, good, tmp_path)


@pytest.mark.parametrize("size", range(1, 18))
def test_proofs_lead_to_the_root(size: int) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    for index in range(size):
        proof = prove(leaves, index)
        assert proof.root == root_of(leaves)
        assert _walk(leaves[index], index, size, proof.hashes) == proof.root


def _walk(leaf: bytes, index: int, size: int, hashes: tuple[bytes, ...]) -> bytes:
    """RFC 9162, 2.1.3.2, written apart from the tree that it checks."""
    from hashlib import sha256

    node, last, seen = index, size - 1, leaf
    for one in hashes:
        assert last
        if node % 2 or node == last:
            seen = sha256(b"\x01" + one + seen).digest()
            while not node % 2 and node:
                node, last = node // 2, last // 2
        else:
            seen = sha256(b"\x01" + seen + one).digest()
        node, last = node // 2, last // 2
    assert last == 0
    return seen
