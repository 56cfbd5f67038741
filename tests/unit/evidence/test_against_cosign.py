"""Our verdict beside that of cosign 3.1.2: never laxer, and where it is stricter that is written down.

``UPDATE_GOLDEN=1`` writes ``golden/stricter_than_cosign.md`` anew.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import signing_world as world
from tests.shared_files import shared
from tests.unit.evidence.fixture_repository import FixtureRepository
from trustgate.evidence.attestation import AttestationFact, judge_attestations
from trustgate.evidence.attestor import Attestor, key_attestor
from trustgate.evidence.cosign import judge_all
from trustgate.evidence.dsse import Malformed
from trustgate.evidence.keys import KeyTrust, key_trust
from trustgate.evidence.model import Outcome, Role, SignatureFact
from trustgate.evidence.shape import role_of, signature_blobs
from trustgate.evidence.sigstore.trust import KeylessTrust, cosign_keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root

GOLDEN = Path(__file__).parent / "golden" / "stricter_than_cosign.md"
BY_KEY = ("s_kbundle", "s_kbundle1", "s_klegacy")
KEYLESS = ("s_less1", "s_less2", "s_lesslegacy")
HEAD = """# Where trustgate is stricter than cosign 3.1.2

Written by `tests/unit/evidence/test_against_cosign.py` from fixtures with cosign's own verdicts.

| case | cosign | trustgate | reasons |
|---|---|---|---|
"""


Fact = SignatureFact | AttestationFact
TYPES = {"spdxjson": "https://spdx.dev/Document"}


@dataclass(frozen=True, slots=True)
class Case:
    label: str
    facts: tuple[Fact, ...]
    cosign_accepts: bool
    command: str = "verify"
    refused: str = ""
    """Why nothing was judged at all."""

    @property
    def accepted(self) -> bool:
        return any(fact.outcome is Outcome.VERIFIED for fact in self.facts)

    def row(self) -> str:
        reasons = "; ".join(f"{fact.outcome}: {fact.reason}" for fact in self.facts)
        why = reasons or self.refused or "no signature is attached"
        command = "" if self.command == "verify" else f" (`{self.command}`)"
        ours, theirs = ("accept" if yes else "reject" for yes in (self.accepted, self.cosign_accepts))
        return f"| {self.label}{command} | {theirs} | {ours} | {why} |\n"


def option(args: list[str], name: str) -> str:
    return args[args.index(name) + 1] if name in args else ""


def trust_of(folder: Path, args: list[str]) -> KeyTrust | KeylessTrust:
    """What cosign's options say. Raises ``Malformed`` for a trusted root that is not read."""
    named = option(args, "--trusted-root")
    root = read_trusted_root((folder / named).read_bytes()) if named else None
    ignore = "--insecure-ignore-tlog=true" in args
    if "--key" in args:
        pem = (folder / option(args, "--key")).read_bytes()
        return key_trust(pem, root=root, min_logs=0 if ignore or root is None else 1)
    assert root is not None
    return cosign_keyless_trust(
        root,
        certificate_identity=option(args, "--certificate-identity"),
        certificate_identity_regexp=option(args, "--certificate-identity-regexp"),
        certificate_oidc_issuer=option(args, "--certificate-oidc-issuer"),
        certificate_oidc_issuer_regexp=option(args, "--certificate-oidc-issuer-regexp"),
        ignore_tlog=ignore,
    )


def facts(root: Path, *attestors: Attestor) -> tuple[SignatureFact, ...]:
    repository = FixtureRepository(root)
    return judge_all(repository.candidates(), subject=repository.subject, attestors=attestors, now=world.NOW)


def attested(root: Path, kind: str, *attestors: Attestor) -> tuple[AttestationFact, ...]:
    repository = FixtureRepository(root)
    candidates = repository.attestations()
    found = judge_attestations(candidates, subject=repository.subject, attestors=attestors, now=world.NOW)
    return tuple(fact for fact in found if fact.predicate_type == kind)


def by_keys(*keys: Path) -> list[Attestor]:
    return [key_attestor(path.stem, path.read_bytes()) for path in keys]


def judged_case(folder: Path, case: dict[str, Any]) -> Case:
    label, command, accepts = case["label"], case["command"], case["cosign_3_1_2"] == "accept"
    try:
        signer = Attestor("signer", trust_of(folder, case["args"]))
    except Malformed as exc:
        return Case(label, (), accepts, command, str(exc))
    root = folder / case["repo"].replace("/", "_")
    if command == "verify-attestation":
        return Case(label, attested(root, TYPES[option(case["args"], "--type")], signer), accepts, command)
    return Case(label, facts(root, signer), accepts, command)


def cases() -> list[Case]:
    """Every shared case, and everything that a real cosign signed."""
    folder = shared("fixtures", "cosign-hand-signed")
    found = [
        judged_case(folder, case)
        for path in sorted(folder.glob("cases*.json"))
        for case in json.loads(path.read_text())
    ]
    real = shared("fixtures", "cosign-3.1.2-signed")
    signers = [*by_keys(real / "cosign.pub"), the_ci(real)]
    found += [Case(f"cosign 3.1.2 {name}", facts(real / name, *signers), True) for name in BY_KEY + KEYLESS]
    return found


def the_ci(real: Path) -> Attestor:
    root = read_trusted_root((real / "tr2.json").read_bytes())
    identity, issuer = "https://ci.test/job/build@main", "https://ci.test"
    trust = cosign_keyless_trust(root, certificate_identity=identity, certificate_oidc_issuer=issuer)
    return Attestor("ci", trust)


def test_never_laxer_than_cosign_and_each_difference_is_written_down() -> None:
    judged = cases()
    assert len(judged) >= 49
    assert [case.label for case in judged if case.accepted and not case.cosign_accepts] == []
    table = HEAD + "".join(case.row() for case in judged if case.accepted != case.cosign_accepts)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(table)
    assert table == GOLDEN.read_text()


def test_what_a_real_cosign_signed_by_key_is_verified() -> None:
    real = shared("fixtures", "cosign-3.1.2-signed")
    for name in BY_KEY:
        outcomes = [fact.outcome for fact in facts(real / name, *by_keys(real / "cosign.pub"))]
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
        judged = facts(root, *by_keys(*keys))
        assert not any(fact.outcome is Outcome.VERIFIED for fact in judged), root.name
    assert any(facts(root) for root in roots)


@pytest.mark.parametrize("name", BY_KEY)
def test_by_another_key_they_are_untrusted(name: str) -> None:
    real, hand = shared("fixtures", "cosign-3.1.2-signed"), shared("fixtures", "cosign-hand-signed")
    outcomes = {fact.outcome for fact in facts(real / name, *by_keys(hand / "p256.pub"))}
    assert Outcome.UNTRUSTED in outcomes
    assert Outcome.VERIFIED not in outcomes


def test_what_a_real_cosign_signed_keyless_is_verified_and_so_are_its_attestations() -> None:
    real = shared("fixtures", "cosign-3.1.2-signed")
    for name in KEYLESS:
        found = [fact for fact in facts(real / name, the_ci(real)) if fact.outcome is Outcome.VERIFIED]
        assert [(fact.logs, fact.signed_at is not None) for fact in found] == [(1, True)], name
    for name in KEYLESS[:2]:
        found_too = attested(real / name, "https://cosign.sigstore.dev/attestation/v1", the_ci(real))
        assert [(fact.outcome, fact.logs) for fact in found_too] == [(Outcome.VERIFIED, 1)]
        assert isinstance(found_too[0].predicate, dict)
        assert found_too[0].predicate["Data"] == '{"a":1}'


def test_what_a_real_cosign_logged_by_key_has_its_time_proven() -> None:
    real = shared("fixtures", "cosign-3.1.2-signed")
    root = read_trusted_root((real / "tr2.json").read_bytes())
    trust = key_trust((real / "cosign.pub").read_bytes(), root=root, min_logs=1)
    outcomes = {name: facts(real / name, Attestor("key", trust))[0] for name in BY_KEY}
    logged = outcomes["s_kbundle1"]
    assert (logged.outcome, logged.logs, logged.signed_at is not None) == (Outcome.VERIFIED, 1, True)
    assert outcomes["s_kbundle"].outcome is outcomes["s_klegacy"].outcome is Outcome.UNTRUSTED
