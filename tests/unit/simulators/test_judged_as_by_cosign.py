"""Our verdict on every fault of the private Sigstore, beside the one that real cosign gave: never laxer.

cosign's verdicts are the golden table of ``tests/interop/test_private_sigstore.py``. Where ours is stricter
that is written down: ``UPDATE_GOLDEN=1`` writes ``golden/stricter_than_cosign_on_a_broken_sigstore.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.signing_world import bundle_candidate, image
from tests.simulators.sigstore import (
    Faults,
    Identity,
    Logged,
    PrivateSigstore,
    mint_bundle,
    mint_legacy_layer,
    trusted_root,
)
from tests.simulators.sigstore.faults import FAULTS, only
from tests.simulators.sigstore.minting import REKOR_V1, REKOR_V2
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import judge
from trustgate.evidence.dsse import Malformed
from trustgate.evidence.model import Outcome, SignatureCandidate, SignatureFact, SignatureKind
from trustgate.evidence.sigstore.trust import cosign_keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor

ROOT = Path(__file__).resolve().parents[3]
THEIRS = ROOT / "tests" / "interop" / "golden" / "cosign-on-a-broken-sigstore.txt"
GOLDEN = Path(__file__).parent / "golden" / "stricter_than_cosign_on_a_broken_sigstore.md"
IMAGE = image().manifest
NOW = PrivateSigstore().at + timedelta(hours=1)
HEAD = """# Where trustgate is stricter than cosign 3.1.2 on a broken Sigstore

Written by `tests/unit/simulators/test_judged_as_by_cosign.py`: one fault at a time, an hour after signing.

| fault | shape | cosign | trustgate | reason |
|---|---|---|---|---|
"""


def _bundle(sigstore: PrivateSigstore, logged: tuple[Logged, ...], timestamps: int) -> SignatureCandidate:
    raw = mint_bundle(sigstore, IMAGE.digest, logged=logged, timestamps=timestamps)
    return bundle_candidate(IMAGE.digest, raw)


def _layer(sigstore: PrivateSigstore) -> SignatureCandidate:
    made = mint_legacy_layer(sigstore, IMAGE.digest)
    layer = Descriptor(
        made.media_type, Digest.of(made.payload), len(made.payload), annotations=made.annotations
    )
    return SignatureCandidate(
        SignatureKind.COSIGN_LEGACY, Digest.of(b"a .sig manifest"), layer, made.payload, made.annotations
    )


SHAPES: dict[str, Callable[[PrivateSigstore], SignatureCandidate]] = {
    "bundle, Rekor 1": lambda sigstore: _bundle(sigstore, REKOR_V1, 0),
    "bundle, Rekor 2": lambda sigstore: _bundle(sigstore, REKOR_V2, 1),
    "bundle, timestamp": lambda sigstore: _bundle(sigstore, (), 1),
    ".sig": _layer,
}
"""The columns of cosign's table."""


def judged(fault: str, shape: str) -> SignatureFact | None:
    """``None`` for a trusted root that is not read at all."""
    sigstore = PrivateSigstore(only(fault) if fault else Faults())
    stamped_only = shape == "bundle, timestamp"
    try:
        root = read_trusted_root(trusted_root(sigstore))
    except Malformed:
        return None
    trust = cosign_keyless_trust(
        root,
        certificate_identity=Identity().subject,
        certificate_oidc_issuer=Identity().issuer,
        ignore_tlog=stamped_only,
        use_signed_timestamps=stamped_only,
    )
    attestor = Attestor("ci", trust)
    return judge(SHAPES[shape](sigstore), subject=IMAGE.digest, attestors=[attestor], now=NOW)


def cosigns() -> dict[tuple[str, str], bool]:
    """By fault and shape, whether cosign accepted."""
    head, _line, *rows = THEIRS.read_text().splitlines()
    shapes = [cell.strip() for cell in head.strip("|").split("|")[1:]]
    found = {}
    for row in rows:
        fault, *words = (cell.strip() for cell in row.strip("|").split("|"))
        for shape, word in zip(shapes, words, strict=True):
            found[fault.replace("(none)", ""), shape] = word == "yes"
    return found


def test_cosigns_table_is_of_the_faults_that_there_are() -> None:
    assert set(cosigns()) == {(fault, shape) for fault in ("", *FAULTS) for shape in SHAPES}


def test_never_laxer_and_each_stricter_verdict_has_its_reason() -> None:
    rows = []
    for (fault, shape), theirs in cosigns().items():
        fact = judged(fault, shape)
        ours = fact is not None and fact.outcome is Outcome.VERIFIED
        assert theirs or not ours, f"{fault}, {shape}: cosign refuses it, and we do not"
        if theirs and not ours:
            reason = f"{fact.outcome}: {fact.reason}" if fact else "the trusted root is not read"
            rows.append(f"| {fault} | {shape} | accept | reject | {reason} |\n")
    text = HEAD + "".join(rows)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.parametrize("shape", SHAPES)
def test_without_a_fault_it_is_verified(shape: str) -> None:
    fact = judged("", shape)
    assert fact is not None
    assert fact.outcome is Outcome.VERIFIED, fact.reason
    assert fact.signed_at == PrivateSigstore().at


@pytest.mark.parametrize("logged", [REKOR_V1, REKOR_V2], ids=["Rekor 1", "Rekor 2"])
def test_the_first_entry_of_a_log_is_as_good_as_any(logged: tuple[Logged, ...]) -> None:
    """Its index is 0, which protobuf's JSON leaves out: a fresh private log begins with it."""
    sigstore = PrivateSigstore()
    raw = mint_bundle(sigstore, IMAGE.digest, logged=logged, timestamps=1, before=())
    trust = cosign_keyless_trust(
        read_trusted_root(trusted_root(sigstore)),
        certificate_identity=Identity().subject,
        certificate_oidc_issuer=Identity().issuer,
    )
    candidate = bundle_candidate(IMAGE.digest, raw)
    fact = judge(candidate, subject=IMAGE.digest, attestors=[Attestor("ci", trust)], now=NOW)
    assert fact.outcome is Outcome.VERIFIED, fact.reason
