"""Our verdict beside that of helm 4 on files that gpg made: never laxer, and each difference is named.

Every fixture is signed for a chart that calls itself otherwise in its own Chart.yaml, which alone refuses
all of them here. So each is judged a second time, as if Chart.yaml said what most of them sign.
``UPDATE_GOLDEN=1`` writes ``golden/stricter_than_helm.md`` anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.shared_files import shared
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.chart import Chart, read_chart
from trustgate.evidence.helm.judge import ChartCandidate, helm_claim, judge_helm, keyrings
from trustgate.evidence.helm.metadata import read_metadata
from trustgate.evidence.helm.trust import whole_keyring_trust
from trustgate.evidence.model import Outcome, SignatureFact
from trustgate.remote.gpg import Gpg

GOLDEN = Path(__file__).parents[1] / "golden" / "stricter_than_helm.md"
NOW = datetime(2026, 11, 25, tzinfo=UTC)
AS_SIGNED = "apiVersion: v1\ndescription: x\nname: c\nversion: 1.2.3\n"
HEAD = """# Where trustgate is stricter than helm 4

Written by `tests/unit/evidence/helm/test_against_helm.py` from fixtures with helm's own verdicts, each judged
as if the chart's Chart.yaml said what most of them sign. As they are, every one of them is refused, since
their metadata is that of another chart, which helm does not compare.

| case | helm 4 | trustgate | reason |
|---|---|---|---|
"""
CASES: dict[str, tuple[str, str]] = {
    "gpg rsa3072 SHA512": ("rsa", "rsa.gpg"),
    "armored keyring": ("rsa", "rsa.asc"),
    "key not in keyring": ("rsa", "ed.gpg"),
    "gpg ed25519": ("ed", "ed.gpg"),
    "rsa1024": ("weak", "weak.gpg"),
    "SHA1": ("sha1", "rsa.gpg"),
    "text around": ("around", "rsa.gpg"),
    "two blocks": ("two", "all.gpg"),
    "odd header": ("hdr", "rsa.gpg"),
    "future-dated 2035": ("future", "rsa.gpg"),
    "key expiring 2030, now": ("exp", "exp.gpg"),
    "inline signed message": ("inline", "rsa.gpg"),
    "files names other chart": ("name", "rsa.gpg"),
    "metadata of another chart, files right": ("meta", "rsa.gpg"),
    "duplicate files key (good then bad)": ("dup", "rsa.gpg"),
    "third yaml part": ("three", "rsa.gpg"),
    "minimal metadata": ("hack", "rsa.gpg"),
    "trailing spaces": ("trail", "rsa.gpg"),
    "CRLF": ("crlf", "rsa.gpg"),
    "revoked key": ("rsa", "rev.gpg"),
}
LAXER_ON_PURPOSE = {"armored keyring"}
"""helm 4.1 could not read it; 4.3 can (the interop suite tries)."""

pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None, reason="gpg is not installed: apt-get install gpg"
)


@dataclass(frozen=True, slots=True)
class Judged:
    label: str
    helm_accepts: bool
    outcome: Outcome
    reason: str

    @property
    def accepted(self) -> bool:
        return self.outcome is Outcome.VERIFIED

    def row(self) -> str:
        ours, theirs = ("accept" if yes else "reject" for yes in (self.accepted, self.helm_accepts))
        return f"| {self.label} | {theirs} | {ours} | {self.outcome}: {self.reason} |\n"


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpg]:
    made = Gpg(tmp_path_factory.mktemp("gpg"))
    yield made
    made.close()


def verdicts() -> dict[str, bool]:
    lines = shared("fixtures", "helm-provenance", "verdicts.txt").read_text().splitlines()
    return {label: said.startswith("ACCEPT") for label, _, said in (line.partition(": ") for line in lines)}


def attestor(keyring: Path) -> Attestor:
    """Everyone of the keyring, as helm trusts them."""
    return Attestor(keyring.stem, whole_keyring_trust(keyring.read_bytes()))


def judged(gpg: Gpg, label: str, chart: Chart) -> Judged:
    provenance, ring = CASES[label]
    folder = shared("fixtures", "helm-provenance")
    fact: SignatureFact
    trusted = attestor(folder / ring)
    claim = helm_claim(ChartCandidate((folder / f"{provenance}.prov").read_bytes(), chart), subject=None)
    if isinstance(claim, SignatureFact):
        fact = claim
    else:
        rings = keyrings([trusted])
        answers = {name: gpg.verify(claim.question, one, at=NOW) for name, one in rings.items()}
        fact = judge_helm(claim, answers, attestors=[trusted], now=NOW)
    return Judged(label, verdicts()[label], fact.outcome, fact.reason)


def chart() -> Chart:
    return read_chart(shared("fixtures", "helm-provenance", "c-1.2.3.tgz").read_bytes())


def test_every_verdict_has_a_case() -> None:
    """That of helm's own test chart is the one whose files are not among the fixtures."""
    assert set(verdicts()) - set(CASES) == {"fixture hashtest"}


def test_never_laxer_than_helm_and_each_difference_is_written_down(gpg: Gpg) -> None:
    as_signed = replace(chart(), metadata=read_metadata(AS_SIGNED, "Chart.yaml"))
    found = [judged(gpg, label, as_signed) for label in CASES]
    laxer = {one.label for one in found if one.accepted and not one.helm_accepts}
    assert laxer == LAXER_ON_PURPOSE
    assert sum(one.accepted for one in found) == 5
    table = HEAD + "".join(one.row() for one in found if one.helm_accepts and not one.accepted)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(table)
    assert table == GOLDEN.read_text()


def test_metadata_of_another_chart_refuses_every_one_of_them(gpg: Gpg) -> None:
    assert [one.label for one in (judged(gpg, label, chart()) for label in CASES) if one.accepted] == []
