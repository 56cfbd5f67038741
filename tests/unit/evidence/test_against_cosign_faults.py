"""A private Sigstore with one thing wrong at a time: our verdict beside the recorded one of real cosign.

The recorded ones are ``tests/interop/golden/cosign-on-a-broken-sigstore.txt``, by the interop suite.
``UPDATE_GOLDEN=1`` writes ``golden/stricter_on_a_broken_sigstore.md`` anew.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.interop.test_private_sigstore import IMAGE, SHAPES
from tests.simulators.sigstore import Faults, Identity, PrivateSigstore, trusted_root
from tests.simulators.sigstore.faults import FAULTS, only
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import candidates_from_bundle_manifest, candidates_from_legacy_manifest, judge
from trustgate.evidence.model import Outcome, SignatureFact
from trustgate.evidence.sigstore.trust import cosign_keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root

HERE = Path(__file__).parent
RECORDED = HERE.parents[1] / "interop" / "golden" / "cosign-on-a-broken-sigstore.txt"
GOLDEN = HERE / "golden" / "stricter_on_a_broken_sigstore.md"
HEAD = """# Where trustgate refuses what cosign 3.1.2 accepts on a Sigstore with one fault

Written by `tests/unit/evidence/test_against_cosign_faults.py`.

| fault | shape | reason |
|---|---|---|
"""
NOW = datetime.now(UTC)
AT = NOW - timedelta(hours=1)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def recorded() -> dict[tuple[str, str], bool]:
    """(fault, shape) and whether cosign accepts it."""
    rows = [line.strip("|").split("|") for line in RECORDED.read_text().splitlines() if line.startswith("|")]
    head, _, *body = [[cell.strip() for cell in row] for row in rows]
    assert head[1:] == list(SHAPES)
    return {
        (row[0], shape): word == "yes" for row in body for shape, word in zip(head[1:], row[1:], strict=True)
    }


def ours(fault: str, shape: str) -> SignatureFact:
    sigstore = PrivateSigstore(only(fault) if fault else Faults(), at=AT)
    artifact = SHAPES[shape](sigstore)
    legacy = shape == ".sig"
    candidates = candidates_from_legacy_manifest if legacy else candidates_from_bundle_manifest
    trust = cosign_keyless_trust(
        read_trusted_root(trusted_root(sigstore)),
        certificate_identity=Identity().subject,
        certificate_oidc_issuer=Identity().issuer,
        ignore_tlog=shape == "bundle, timestamp",
    )
    (candidate,) = candidates(artifact.manifest, artifact.blobs)
    return judge(candidate, subject=IMAGE.manifest.digest, attestors=[Attestor("ci", trust)], now=NOW)


def test_never_laxer_and_each_difference_is_written_down() -> None:
    verdicts = recorded()
    assert len(verdicts) == (len(FAULTS) + 1) * len(SHAPES)
    stricter = []
    for fault in ("", *FAULTS):
        for shape in SHAPES:
            found = ours(fault, shape)
            accepted, theirs = found.outcome is Outcome.VERIFIED, verdicts[fault or "(none)", shape]
            assert theirs or not accepted, f"laxer: {fault}, {shape}"
            assert fault or accepted, f"the good one: {shape}: {found.reason}"
            if theirs and not accepted:
                reason = _MOMENT.sub("TIME", f"{found.outcome}: {found.reason}")
                stricter.append(f"| {fault} | {shape} | {reason} |\n")
    table = HEAD + "".join(stricter)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(table)
    assert table == GOLDEN.read_text()
