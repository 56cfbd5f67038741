"""Judged once, when a signature arrives: and anew as soon as anything that the judgement rests on changes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.clocks import SetClock
from tests.unit.gate.conftest import SIGNED, TRUST, Gated
from tests.unit.policy import scenes
from trustgate.errors import StorageFull, StorageUnavailable
from trustgate.evidence.attestation import AttestationFact
from trustgate.evidence.facts_json import (
    attestations_from_json,
    attestations_to_json,
    facts_from_json,
    facts_to_json,
    judgement_key,
)
from trustgate.evidence.model import Outcome, SignatureFact, SignatureKind, Signer, Subject
from trustgate.flows import signatures
from trustgate.flows.stored_evidence import Allowance
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.store.judgements import KEPT_FOR, KEYS_AT_ONCE
from trustgate.store.opening import open_store
from trustgate.wiring import SystemClock, evidence
from trustgate.wiring.judges import judges
from trustgate.wiring.policies import in_force

NOW = scenes.NOW
FACT = SignatureFact(
    kind=SignatureKind.COSIGN_LEGACY,
    evidence=Digest.of(b"signature"),
    outcome=Outcome.VERIFIED,
    reason="verified by ci",
    signers=(Signer("ci", "key:1"), Signer("twin", "key:1")),
    signed_repository="localhost/shop/web",
    signed_at=NOW - timedelta(days=1),
    logs=2,
    timestamps=1,
    annotations=(("commit", "4f2a"),),
    unproven=frozenset({"log", "timestamp"}),
    revocation="good",
    valid_until=NOW + timedelta(hours=1),
)
SUBJECT = Subject(Digest.of(b"subject"), "application/vnd.oci.image.manifest.v1+json", 7)


@pytest.mark.parametrize("fact", [FACT, replace(FACT, signed_at=None, valid_until=None, signers=())])
def test_facts_come_back_as_they_were(fact: SignatureFact) -> None:
    assert facts_from_json(facts_to_json([fact, FACT])) == (fact, FACT)


ATTESTED = AttestationFact(
    evidence=Digest.of(b"manifest"),
    content=Digest.of(b"layer"),
    outcome=Outcome.VERIFIED,
    reason="verified by ci",
    predicate_type="https://slsa.dev/provenance/v1",
    statement=Digest.of(b"statement"),
    signers=FACT.signers,
    signed_at=FACT.signed_at,
    logs=2,
    timestamps=1,
    unproven=frozenset({"log", "timestamp"}),
    valid_until=FACT.valid_until,
)


@pytest.mark.parametrize(
    "fact", [ATTESTED, replace(ATTESTED, statement=None, signed_at=None, valid_until=None)]
)
def test_facts_about_attestations_come_back_without_what_they_say(fact: AttestationFact) -> None:
    large = replace(fact, predicate={"packages": ["x"] * 1000})
    assert attestations_from_json(attestations_to_json([large, ATTESTED])) == (fact, ATTESTED)


def test_facts_of_another_schema_are_refused() -> None:
    with pytest.raises(ValueError, match="schema"):
        facts_from_json({**facts_to_json([]), "schema": 1})
    with pytest.raises(ValueError, match="schema"):
        attestations_from_json(dict(facts_to_json([FACT])))
    with pytest.raises(ValueError, match="schema"):
        facts_from_json(dict(attestations_to_json([ATTESTED])))


def test_the_key_tells_apart_all_that_a_judgement_rests_on() -> None:
    def key(subject: Subject = SUBJECT, evidence: Any = (FACT.evidence,), **by: str) -> str:
        return judgement_key(subject, evidence, **{"judges": "1", "trust": "t", **by})

    other = Digest.of(b"other")
    different = {
        key(),
        key(replace(SUBJECT, digest=other)),
        key(replace(SUBJECT, media_type="x")),
        key(replace(SUBJECT, size=8)),
        key(evidence=()),
        key(evidence=(FACT.evidence, other)),
        key(judges="2"),
        key(trust="u"),
    }
    assert len(different) == 8
    assert key(evidence=(other, FACT.evidence)) == key(evidence=(FACT.evidence, other))


def test_a_judgement_is_found_in_its_time_only(tmp_path: Any) -> None:
    store = open_store(tmp_path, SetClock())
    keep = store.judgements
    second = timedelta(seconds=1)
    keep.save({"turning": (FACT,), "lasting": (replace(FACT, valid_until=None),)}, now=NOW)
    keep.save({}, now=NOW)
    assert FACT.valid_until is not None

    def found(now: datetime) -> set[str]:
        many = [f"unknown-{n}" for n in range(2 * KEYS_AT_ONCE)]
        return set(keep.find(["turning", *many, "lasting"], now=now))

    assert keep.find(["turning"], now=NOW) == {"turning": (FACT,)}
    assert found(NOW) == {"turning", "lasting"}
    assert found(FACT.valid_until - second) == {"turning", "lasting"}
    assert "turning" not in found(FACT.valid_until)
    assert found(NOW - second) == set(), "found by a clock that was set back"
    assert "lasting" in found(NOW + KEPT_FOR - second)
    assert keep.find([], now=NOW) == {}
    assert keep.forget_old(now=FACT.valid_until) == 1
    assert keep.forget_old(now=NOW + KEPT_FOR) == 1
    store.close()


# --- in a whole server ---------------------------------------------------------------------------


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Digest]:
    """The subject of each judgement that was really made."""
    found: list[Digest] = []
    judge = signatures.judge_attached

    def counting(candidates: Any, *, subject: Subject, **rest: Any) -> Any:
        found.append(subject.digest)
        return judge(candidates, subject=subject, **rest)

    monkeypatch.setattr(signatures, "judge_attached", counting)
    return found


def pull(gated: Gated, digest: Digest) -> int:
    return gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}").status


@pytest.mark.parametrize("legacy", [False, True])
def test_the_push_of_a_signature_judges_and_the_pull_only_evaluates(
    gated: Gated, judged: list[Digest], legacy: bool
) -> None:
    digest = gated.push("shop/web", "1", "hello")
    assert pull(gated, digest) == 403
    assert judged == []
    gated.sign("shop/web", digest, legacy=legacy)
    assert judged == [digest]
    assert pull(gated, digest) == 200
    assert judged == [digest]


def test_another_trust_store_or_another_signature_is_judged_anew(gated: Gated, judged: list[Digest]) -> None:
    digest = gated.push("shop/web", "1", "hello")
    gated.sign("shop/web", digest)
    gated.set_policy({"policies/more.yaml": SIGNED.replace("name: prod", "name: more")})
    assert pull(gated, digest) == 200
    assert len(judged) == 1, "another policy with the same trust store asks no judge"
    gated.set_policy(
        {
            "trust/attestors.yaml": TRUST.replace(
                "keys/release.pub}", "keys/release.pub, notAfter: 2020-01-01}"
            )
        }
    )
    assert pull(gated, digest) == 403
    assert len(judged) == 2
    gated.set_policy({"trust/attestors.yaml": TRUST})
    assert pull(gated, digest) == 200
    assert len(judged) == 2, "the judgement under the first trust store is still there"
    gated.sign("shop/web", digest)
    assert len(judged) == 3


def test_other_code_believes_nothing_that_was_kept(
    gated: Gated, judged: list[Digest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was built anew over the same data: a mended judge is asked again."""
    digest = gated.push("shop/web", "1", "hello")
    gated.sign("shop/web", digest)
    store = gated.server.store
    repository = RepositoryName("shop/web")
    manifest = store.manifests.find(repository, digest)
    assert manifest is not None
    subject = Subject(digest, manifest.media_type, len(manifest.raw))
    policies = in_force(gated.server.reload)
    now = SystemClock().now()
    counts = []
    for code in (judges(), "mended", "mended"):
        monkeypatch.setattr(evidence, "judges", lambda code=code: code)
        parts = evidence.open_evidence(gated.server.settings, SystemClock(), store)
        parts.signatures.signatures(repository, subject, manifest, None, policies, now, Allowance())
        parts.close()
        counts.append(len(judged))
    assert counts == [1, 2, 2]


def test_the_code_is_told_apart_by_its_source(tmp_path: Path) -> None:
    seen = set()
    for number, files in enumerate(
        ({"a.py": "1"}, {"a.py": "2"}, {"b.py": "1"}, {"a.py": "1", "b.py": ""}, {"r/a.py": "1"})
    ):
        root = tmp_path / str(number)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        seen.add(judges(root))
    assert len(seen) == 5
    shutil.copytree(tmp_path / "0", tmp_path / "copy")
    assert judges(tmp_path / "copy") in seen


def test_a_pull_goes_on_when_judgements_cannot_be_kept(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = gated.push("shop/web", "1", "hello")

    def full(*_args: Any, **_named: Any) -> None:
        raise StorageFull("the disk is full")

    monkeypatch.setattr(gated.server.store.judgements, "save", full)
    gated.sign("shop/web", digest)
    assert pull(gated, digest) == 200


def test_a_memory_that_cannot_be_read_is_no_answer(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = gated.push("shop/web", "1", "hello")
    gated.sign("shop/web", digest)

    def broken(*_args: Any, **_named: Any) -> None:
        raise StorageUnavailable("the disk is broken")

    monkeypatch.setattr(gated.server.store.judgements, "find", broken)
    answer = gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}")
    assert answer.status == 403
    assert "the disk is broken" in answer.error["message"]


def test_the_trust_revision_follows_the_trust_store_alone(gated: Gated) -> None:
    reload = gated.server.reload
    assert reload.current is not None
    before = reload.current.trust_revision
    gated.set_policy({"trustgate.yaml": (gated.folder / "policy/trustgate.yaml").read_text() + "\n# x\n"})
    assert reload.current.trust_revision == before
    gated.set_policy(
        {"trust/keys/release.pub": (gated.folder / "policy/trust/keys/release.pub").read_text() + "\n"}
    )
    assert reload.current.trust_revision != before


def test_what_does_not_fit_one_request_is_unknown_until_the_next(
    gated: Gated, judged: list[Digest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a change of trust everything is judged anew; ``onError: allow`` opens nothing meanwhile."""
    digest = gated.push("shop/web", "1", "hello")
    stranger = ec.generate_private_key(ec.SECP256R1())
    for key in (stranger, stranger, None):
        gated.sign("shop/web", digest, key)
    monkeypatch.setattr(Allowance.__init__, "__defaults__", (0, 1))
    monkeypatch.setattr(signatures, "AT_ONCE", 1)
    lenient = SIGNED.replace("mode: enforce", "mode: enforce\nonError: allow")
    gated.set_policy(
        {"policies/prod.yaml": lenient, "trust/attestors.yaml": f"{TRUST}  # another revision\n"}
    )
    del judged[:]
    for count in (1, 2):
        refused = gated.ask("prod", "GET", f"/v2/shop/web/manifests/{digest}")
        assert (refused.status, "still to be judged" in refused.error["message"]) == (403, True)
        assert len(judged) == count
    assert pull(gated, digest) == 200
    assert len(judged) == 3
