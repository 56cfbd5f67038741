"""Our verdict beside that of cosign 3.1.2: never laxer, and where it is stricter that is written down.

``UPDATE_GOLDEN=1`` writes ``golden/stricter_than_cosign.md`` anew.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import signing_world as world
from tests.shared_files import shared
from tests.unit.evidence.fixture_repository import FixtureRepository
from trustgate.evidence.attestor import key_attestor
from trustgate.evidence.cosign import judge_all
from trustgate.evidence.model import Outcome, Role, SignatureFact
from trustgate.evidence.shape import role_of, signature_blobs

GOLDEN = Path(__file__).parent / "golden" / "stricter_than_cosign.md"
BY_KEY = ("s_kbundle", "s_kbundle1", "s_klegacy")
KEYLESS = ("s_less1", "s_less2", "s_lesslegacy")
HEAD = """# Where trustgate is stricter than cosign 3.1.2

Written by `tests/unit/evidence/test_against_cosign.py` from fixtures with cosign's own verdicts.

| case | cosign | trustgate | reasons |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Case:
    label: str
    facts: tuple[SignatureFact, ...]
    cosign_accepts: bool
    command: str = "verify"

    @property
    def accepted(self) -> bool:
        return any(fact.outcome is Outcome.VERIFIED for fact in self.facts)

    def row(self) -> str:
        reasons = (
            "; ".join(f"{fact.outcome}: {fact.reason}" for fact in self.facts) or "no signature is attached"
        )
        command = "" if self.command == "verify" else f" (`{self.command}`)"
        ours, theirs = ("accept" if yes else "reject" for yes in (self.accepted, self.cosign_accepts))
        return f"| {self.label}{command} | {theirs} | {ours} | {reasons} |\n"


def facts(root: Path, *keys: Path) -> tuple[SignatureFact, ...]:
    repository = FixtureRepository(root)
    trusted = [key_attestor(path.stem, path.read_bytes()) for path in keys]
    return judge_all(repository.candidates(), subject=repository.subject, attestors=trusted, now=world.NOW)


def cases() -> list[Case]:
    """Every case whose arguments name a key."""
    found = []
    root = shared("fixtures", "cosign-hand-signed")
    for path in sorted(root.glob("cases*.json")):
        for case in json.loads(path.read_text()):
            if "--key" in case["args"]:
                key = root / case["args"][case["args"].index("--key") + 1]
                judged = facts(root / case["repo"].replace("/", "_"), key)
                found.append(Case(case["label"], judged, case["cosign_3_1_2"] == "accept", case["command"]))
    real = shared("fixtures", "cosign-3.1.2-signed")
    found += [Case(f"cosign 3.1.2 {name}", facts(real / name, real / "cosign.pub"), True) for name in BY_KEY]
    return found


def test_never_laxer_than_cosign_and_each_difference_is_written_down() -> None:
    judged = cases()
    assert len(judged) >= 14
    assert [case.label for case in judged if case.accepted and not case.cosign_accepts] == []
    table = HEAD + "".join(case.row() for case in judged if case.accepted != case.cosign_accepts)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(table)
    assert table == GOLDEN.read_text()


def test_what_a_real_cosign_signed_by_key_is_verified() -> None:
    real = shared("fixtures", "cosign-3.1.2-signed")
    for name in BY_KEY:
        outcomes = [fact.outcome for fact in facts(real / name, real / "cosign.pub")]
        assert Outcome.VERIFIED in outcomes, name
        assert not {Outcome.BROKEN, Outcome.UNTRUSTED} & set(outcomes), name


@pytest.mark.parametrize("name", [*BY_KEY, *KEYLESS])
def test_what_a_real_cosign_pushed_is_a_signature_by_its_shape(name: str) -> None:
    repository = FixtureRepository(shared("fixtures", "cosign-3.1.2-signed", name))
    carriers = {candidate.evidence for candidate in repository.candidates()}
    assert carriers
    for manifest in repository.manifests():
        if manifest.digest in carriers:
            contents = {one.digest: repository.blob(one.digest) for one in signature_blobs(manifest)}
            assert role_of(manifest, contents) is Role.SIGNATURE


def test_keyless_fixtures_are_never_verified_by_keys() -> None:
    real, hand = shared("fixtures", "cosign-3.1.2-signed"), shared("fixtures", "cosign-hand-signed")
    keys = sorted([*real.glob("*.pub"), *hand.glob("*.pub")])
    assert len(keys) >= 5
    roots = [real / name for name in KEYLESS]
    for path in sorted(hand.glob("cases*.json")):
        roots += [
            hand / case["repo"].replace("/", "_")
            for case in json.loads(path.read_text())
            if "--key" not in case["args"]
        ]
    for root in roots:
        judged = facts(root, *keys)
        assert not any(fact.outcome is Outcome.VERIFIED for fact in judged), root.name
    assert any(judged for judged in map(facts, roots))


@pytest.mark.parametrize("name", BY_KEY)
def test_by_another_key_they_are_untrusted(name: str) -> None:
    real, hand = shared("fixtures", "cosign-3.1.2-signed"), shared("fixtures", "cosign-hand-signed")
    outcomes = {fact.outcome for fact in facts(real / name, hand / "p256.pub")}
    assert Outcome.UNTRUSTED in outcomes
    assert Outcome.VERIFIED not in outcomes
