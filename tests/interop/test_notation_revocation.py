"""Revocation as real notation sees it, with an authority on loopback: never laxer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from tests import notation_world as world
from tests import revocation_world as answers
from tests.interop.notation_client import Notation, Signers, distribution, make_notation, make_signers
from tests.interop.test_notation_verdicts import NOW, carried, parts, push
from tests.notation_world import JWS, Artifact, Issued
from tests.simulators.authority import SimulatedAuthority
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.notation.judge import judge_notation, revocation_questions
from trustgate.evidence.notation.trust import attestor_trust
from trustgate.remote.revocation import RevocationClient

pytestmark = pytest.mark.interop
DAY = timedelta(days=1)
WINDOW: dict[str, Any] = {"this_update": NOW - DAY, "next_update": NOW + DAY}
STALE: dict[str, Any] = {"this_update": NOW - 2 * DAY, "next_update": NOW - DAY}
LIST: dict[str, Any] = {"last_update": NOW - DAY, "next_update": NOW + DAY}


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture(scope="module")
def signers() -> Signers:
    return make_signers(["p256"])


@pytest.fixture(scope="module")
def notation(signers: Signers, tmp_path_factory: pytest.TempPathFactory) -> Notation:
    return make_notation(tmp_path_factory.mktemp("revocation"), signers, {"PATH": os.environ["PATH"]})


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with distribution(tmp_path_factory.mktemp("peer") / "distribution") as host:
        yield host


@pytest.fixture
def authority() -> Iterator[SimulatedAuthority]:
    with SimulatedAuthority() as simulator:
        yield simulator


def signer(signers: Signers, *extensions: x509.ExtensionType) -> Issued:
    window = {"not_before": NOW - DAY, "not_after": NOW + DAY}
    return world.issue(signers.root, private=world.key("p256", "revocation"), extensions=extensions, **window)


def ours(signature: Artifact, signers: Signers) -> str:
    trust = attestor_trust(trust_stores={"ca": [signers.root.pem]}, trusted_identities=[world.IDENTITY])
    given: dict[str, Any] = {
        "subject": world.SUBJECT,
        "attestors": [Attestor("interop", trust)],
        "now": datetime.now(UTC),
    }
    candidate = world.candidate(signature)
    client = RevocationClient(SystemClock(), allowed_hosts=["localhost"])
    try:
        found = client.ask(revocation_questions(candidate, **given))
    finally:
        client.close()
    fact = judge_notation(candidate, answers=found, **given)
    return "verified" if fact.attestors else fact.reason


BAD = ocsp.OCSPCertStatus.REVOKED
HOLD = x509.ReasonFlags.certificate_hold
CASES: dict[str, tuple[bool, bool, dict[str, Any]]] = {
    # name: (what notation says, what we say, what the authority serves)
    "OCSP good": (True, True, {"ocsp": WINDOW}),
    "OCSP revoked": (False, False, {"ocsp": {**WINDOW, "status": BAD}}),
    "OCSP stale": (False, False, {"ocsp": STALE}),
    "OCSP down": (False, False, {}),
    "OCSP down, CRL good": (True, True, {"crl": LIST}),
    "OCSP stale, CRL revoked": (False, False, {"ocsp": STALE, "crl": {**LIST, "listed": None}}),
    "OCSP good, CRL revoked": (True, True, {"ocsp": WINDOW, "crl": {**LIST, "listed": None}}),
    "CRL on hold": (False, False, {"crl": {**LIST, "listed": HOLD}}),
    "CRL stale": (False, False, {"crl": {"last_update": NOW - 2 * DAY, "next_update": NOW - DAY}}),
    "OCSP by a responder": (True, True, {"ocsp": WINDOW, "responder": True}),
    "OCSP by a responder that could be revoked": (True, False, {"ocsp": WINDOW, "responder": False}),
}


@pytest.mark.parametrize("name", CASES)
def test_as_notation_or_stricter(
    name: str, signers: Signers, notation: Notation, peer: str, authority: SimulatedAuthority
) -> None:
    theirs_wanted, ours_wanted, served = CASES[name]
    extensions = [answers.access(authority.url("/ocsp"))]
    if "crl" in served:
        extensions.append(answers.points(authority.url("/crl")))  # type: ignore[arg-type]
    issued = signer(signers, *extensions)
    if "ocsp" in served:
        by = signers.root
        if "responder" in served:
            more = [x509.OCSPNoCheck()] if served["responder"] else []
            window = {"not_before": NOW - DAY, "not_after": NOW + DAY}
            by = answers.responder(signers.root, extensions=more, **window)
        embed = [by.certificate] if "responder" in served else []
        authority.put("/ocsp", answers.response(issued, by=by, embed=embed, **served["ocsp"]))
    if "crl" in served:
        listed = {key: value for key, value in served["crl"].items() if key != "listed"}
        entries = [answers.revoked(issued, served["crl"]["listed"])] if "listed" in served["crl"] else []
        authority.put("/crl", answers.crl(*entries, by=signers.root, **listed))
    signature = carried(parts(signers, issued=issued), JWS)
    repository = "revocation/" + name.lower().replace(" ", "-").replace(",", "")
    push(peer, repository, signature)
    assert notation.verifies("--insecure-registry", f"{peer}/{repository}:v1") is theirs_wanted
    assert any(path.startswith(("/ocsp", "/crl")) for _, path, _ in authority.seen)
    found = ours(signature, signers)
    assert (found == "verified") is ours_wanted, found
    assert ours_wanted <= theirs_wanted
