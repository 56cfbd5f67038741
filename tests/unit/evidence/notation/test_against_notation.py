"""Our verdict beside real notation's, over shared fixtures and its own test data: never laxer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests import notation_world as world
from tests.notation_world import COSE, JWS
from tests.shared_files import shared
from tests.unit.evidence.fixture_repository import FixtureRepository
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Outcome, Role, SignatureFact, Subject
from trustgate.evidence.notation.cose import read_cose
from trustgate.evidence.notation.judge import judge_notation
from trustgate.evidence.notation.jws import read_jws
from trustgate.evidence.notation.manifest import candidate_of, envelope_blobs
from trustgate.evidence.notation.payload import read_payload
from trustgate.evidence.notation.refusal import Refused
from trustgate.evidence.notation.revocation import RevocationAnswer, RevocationStatus
from trustgate.evidence.notation.trust import NotationTrust, attestor_trust
from trustgate.evidence.notation.trust_policy import read_trust_policy, statement_trust
from trustgate.evidence.notation.verification import questions_under
from trustgate.evidence.shape import role_of, signature_blobs
from trustgate.oci.manifest import parse_manifest

SIGNED_BY_THE_REAL_ONE = datetime(2026, 11, 23, 12, tzinfo=UTC)
HAND_SIGNED = datetime(2026, 11, 25, tzinfo=UTC)


def judged(root: Path, trust: NotationTrust, now: datetime) -> list[SignatureFact]:
    """Every signature of a repository on disk."""
    repository = FixtureRepository(root)
    image = parse_manifest(repository.blob(repository.subject))
    subject = Subject(repository.subject, image.media_type, len(image.raw))
    found = []
    for manifest in repository.manifests():
        contents = {one.digest: repository.blob(one.digest) for one in envelope_blobs(manifest)}
        candidate = candidate_of(manifest, contents)
        if candidate is not None:
            assert role_of(
                manifest, {one.digest: contents[one.digest] for one in signature_blobs(manifest)}
            ) is (Role.SIGNATURE)
            attestors = [Attestor("fixture", trust)]
            found.append(judge_notation(candidate, subject=subject, attestors=attestors, now=now))
    return found


def test_hand_signed_as_notation_says() -> None:
    root = shared("fixtures", "notation-hand-signed")
    document = read_trust_policy((root / "trustpolicy.oci.json").read_bytes())
    statement = document.for_scope("registry.test/any")
    assert statement is not None
    trust = statement_trust(statement, {"x509/ca/tg/root.pem": (root / "root.pem").read_bytes()})
    verdicts = [line.split() for line in (root / "verdicts.txt").read_text().splitlines()]
    assert len(verdicts) == 10
    for verdict, name in verdicts:
        (fact,) = judged(root / f"t_{name}", trust, HAND_SIGNED)
        assert (fact.outcome is Outcome.VERIFIED) is (verdict == "accept"), (name, fact.reason)
        assert fact.outcome in {Outcome.VERIFIED, Outcome.BROKEN}


def test_what_real_notation_signed() -> None:
    root = shared("fixtures", "notation-2.0-alpha-signed")
    pem = (root / "truststore" / "x509" / "ca" / "tg.test" / "tg.test.crt").read_bytes()
    trust = attestor_trust(
        trust_stores={"ca": [pem]}, trusted_identities=["x509.subject: C=US, ST=WA, O=Notary"]
    )
    for folder in sorted(root.glob("ns_*")):
        facts = judged(folder, trust, SIGNED_BY_THE_REAL_ONE)
        assert facts
        assert {fact.outcome for fact in facts} == {Outcome.VERIFIED}, facts
        later = judged(folder, trust, HAND_SIGNED)
        assert {fact.outcome for fact in later} == {Outcome.UNTRUSTED}  # it was made for one day


# --- notation-go's own test data -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """An envelope, when it is judged, and what notation-go's own tests expect of it."""

    path: str
    accepted: bool
    now: datetime
    tsa: bool = False
    why: str = ""


def at(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


MOCK, STAMPED = "internal/mock/testdata/", "verifier/testdata/timestamp/sigEnv/"
CASES = (
    Case("internal/testdata/jws_signature.sig", True, at(2023, 3, 14, 9)),
    Case("internal/testdata/cose_signature.sig", True, at(2023, 3, 14, 9)),
    Case(MOCK + "ca_valid_sig_env.json", True, at(2022)),
    Case(MOCK + "sa_valid_sig_env.json", True, at(2022)),
    Case(MOCK + "ca_expired_sig_env.json", False, at(2023), why="expired on"),
    Case(MOCK + "sa_expired_sig_env.json", False, at(2023), why="expired on"),
    Case(MOCK + "ca_invalid_sig_env.json", False, at(2022), why="not base64url"),
    Case(MOCK + "sa_invalid_sig_env.json", False, at(2022), why="not base64url"),
    Case(MOCK + "ca_plugin_sig_env.json", False, at(2022), why="not understood"),
    Case(MOCK + "sa_plugin_sig_env.json", False, at(2022), why="not understood"),
    Case(MOCK + "ca_compatible_pluginver_sig_env_1.0.0.json", False, at(2022), why="plugin"),
    Case(MOCK + "ca_incompatible_pluginver_sig_env_1.0.1.json", False, at(2022), why="plugin"),
    Case(MOCK + "sig_env_with_metadata.json", True, at(2023, 1, 12)),
    Case(STAMPED + "jwsWithTimestamp.sig", True, at(2025), tsa=True),
    Case(STAMPED + "coseWithTimestamp.sig", True, at(2025), tsa=True),
    Case(STAMPED + "jwsExpiredWithTimestamp.sig", True, at(2025), tsa=True),
    Case(STAMPED + "coseExpiredWithTimestamp.sig", True, at(2025), tsa=True),
    Case(STAMPED + "jwsExpiredWithTimestamp.sig", False, at(2025), why="valid from"),
    Case(STAMPED + "timestampAfterNotAfter.sig", False, at(2025), tsa=True, why="signed outside"),
    Case(STAMPED + "timestampBeforeNotBefore.sig", False, at(2025), tsa=True, why="signed outside"),
    Case(STAMPED + "withoutTimestamp.sig", False, at(2025), tsa=True, why="no timestamp"),
)


def _subject(raw: bytes, media_type: str) -> tuple[Subject, list[bytes]]:
    """What the envelope says it signs; an envelope that can't be read is put beside the usual subject."""
    try:
        envelope = read_jws(raw) if media_type == JWS else read_cose(raw)
        target = read_payload(envelope.payload)
    except Refused:
        return world.SUBJECT, []
    return Subject(target.digest, target.media_type, target.size), list(envelope.chain)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.path.rpartition('/')[2]} tsa={case.tsa}")
def test_notation_go_s_own_envelopes(case: Case) -> None:
    folder = shared("public", "notation-go")
    raw = (folder / case.path).read_bytes()
    media_type = JWS if raw.startswith(b"{") else COSE
    subject, ders = _subject(raw, media_type)
    chain = [x509.load_der_x509_certificate(der) for der in ders] or list(world.signer().chain)
    pem = chain[-1].public_bytes(Encoding.PEM)
    tsa = (folder / "verifier/testdata/truststore/x509/tsa/test-timestamp/globalsignRoot.cer").read_bytes()
    trust = attestor_trust(
        trust_stores={"ca": [pem], "signingAuthority": [pem], "tsa": [tsa] if case.tsa else []},
        trusted_identities=["*"],
    )
    carrier = world.carrier(raw, media_type, subject=subject, chain=chain)
    candidate = world.candidate(carrier)
    good = RevocationAnswer(RevocationStatus.GOOD)
    asked = questions_under(candidate, subject=subject, trusts=[trust], now=case.now)
    assert bool(asked) is (case.tsa and case.accepted)  # the real timestamp authority says where to ask
    bench = world.Bench({"go": trust}, case.now, {one.thumbprint: good for one in asked})
    fact = bench.judge(candidate, subject)
    assert (fact.outcome is Outcome.VERIFIED) is case.accepted, fact.reason
    assert case.why in fact.reason
    assert fact.timestamps == (1 if case.tsa and case.accepted else 0)
    if asked:
        unasked = world.Bench({"go": trust}, case.now).judge(candidate, subject)
        assert unasked.outcome is Outcome.UNTRUSTED
