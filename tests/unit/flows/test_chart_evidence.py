"""The evidence of a chart's manifest: asked once, judged every time, and unknown when gpg is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import openpgp_world as pgp
from tests.conformance.server import Assembly, assemble
from tests.simulators.openpgp import OpenPgpSimulator
from trustgate.errors import OpenPgpUnavailable, StorageUnavailable
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.chart import read_chart
from trustgate.evidence.helm.packaging import chart_artifact
from trustgate.evidence.helm.question import OpenPgpStatus
from trustgate.evidence.helm.trust import gpg_trust
from trustgate.evidence.model import Absent, Known, Outcome, SignatureFact, Unreachable
from trustgate.flows import chart_evidence as room
from trustgate.flows.access import Actor
from trustgate.flows.chart_evidence import ChartEvidence, ChartSignatures, judge_files
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.model import Caller
from trustgate.ports import StoredManifest

KEY = pgp.pgp_key("ed25519")
PACKAGE = pgp.package()
PROVENANCE = pgp.clear_signed(pgp.provenance_body(PACKAGE), KEY).encode()
ROOT = Actor(Caller("root"), is_admin=True)
WEB = RepositoryName("shop/web")
TRUSTED = [Attestor("charts", gpg_trust(KEY.public(), [KEY.fingerprint]))]


@dataclass(slots=True)
class Rig:
    inside: Assembly
    openpgp: OpenPgpSimulator
    evidence: ChartEvidence

    def store(self, raw: bytes, *contents: bytes, repository: RepositoryName = WEB) -> StoredManifest:
        push = self.inside.push
        for content in contents:
            upload = push.begin(repository, ROOT)
            with push.chunk(repository, upload.id, start=0) as session:
                session.write(content)
            push.finish(repository, upload.id, Digest.of(content))
        push.manifest(repository, Digest.of(raw), raw, ROOT, content_type=media.OCI_MANIFEST)
        stored = self.inside.store.manifests.find(repository, Digest.of(raw))
        assert stored is not None
        return stored

    def chart(
        self, provenance: bytes | None = PROVENANCE, *, repository: RepositoryName = WEB
    ) -> StoredManifest:
        made = chart_artifact(PACKAGE, read_chart(PACKAGE), provenance, created=pgp.NOW)
        return self.store(made.manifest, *made.blobs.values(), repository=repository)

    def of(self, stored: StoredManifest, **more: Any) -> ChartSignatures:
        asked = {"attestors": TRUSTED, "now": pgp.NOW, "tag": None, **more}
        return self.evidence.of(stored, **asked)

    def fact(self, stored: StoredManifest, **more: Any) -> SignatureFact:
        found = self.of(stored, **more)
        assert isinstance(found, Known)
        (only,) = found.value
        return only


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    inside = assemble(tmp_path)
    openpgp = OpenPgpSimulator({KEY.public(): KEY})
    store = inside.store
    yield Rig(inside, openpgp, ChartEvidence(blobs=store.blobs, blob_store=store.blob_store, openpgp=openpgp))
    inside.pool.shutdown()
    store.close()


def test_a_signed_chart_is_asked_about_once_and_judged_every_time(rig: Rig) -> None:
    stored = rig.chart()
    assert rig.fact(stored).outcome is Outcome.VERIFIED
    assert rig.fact(stored, tag=Tag("1.2.3"), now=pgp.NOW + timedelta(days=1)).outcome is Outcome.VERIFIED
    assert rig.openpgp.asked == 1
    gone = [Attestor("charts", TRUSTED[0].trust, not_after=pgp.NOW)]
    assert rig.fact(stored, attestors=gone).outcome is Outcome.UNTRUSTED
    assert rig.fact(stored, attestors=[]).outcome is Outcome.UNTRUSTED
    assert rig.openpgp.asked == 1
    rig.fact(stored, now=pgp.NOW - timedelta(days=1))  # what was good later says nothing about earlier
    assert rig.openpgp.asked == 2


def test_an_answer_that_was_of_its_moment_is_not_kept(rig: Rig) -> None:
    stored = rig.chart()
    rig.openpgp.says = OpenPgpStatus.KEY_EXPIRED
    assert rig.fact(stored).outcome is Outcome.UNTRUSTED
    rig.openpgp.says = None
    assert rig.fact(stored).outcome is Outcome.VERIFIED


def test_under_another_tag_or_in_another_repository_it_is_broken(rig: Rig) -> None:
    assert rig.fact(rig.chart(), tag=Tag("1.2.4")).outcome is Outcome.BROKEN
    other = rig.chart(repository=RepositoryName("shop/db"))
    for tag in (None, Tag("1.2.3")):
        assert rig.fact(other, tag=tag).outcome is Outcome.BROKEN


def test_without_gpg_it_is_unknown(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = rig.chart()
    rig.openpgp.broken = True
    found = rig.of(stored)
    assert isinstance(found, Unreachable)
    assert found.why == "gpg is not installed (install it)"
    rig.openpgp.broken = False

    def down(*_: Any) -> None:
        raise StorageUnavailable("the disk is gone")

    monkeypatch.setattr(rig.inside.store.blobs, "find", down)
    assert rig.of(stored) == Unreachable("the disk is gone")


def test_no_provenance_and_no_chart_are_absent(rig: Rig) -> None:
    found = rig.of(rig.chart(None))
    assert isinstance(found, Absent)
    assert "no provenance" in found.why
    config = b"{}"
    document = {
        "schemaVersion": 2,
        "config": {"mediaType": media.OCI_CONFIG, "digest": Digest.of(config), "size": len(config)},
        "layers": [],
    }
    assert isinstance(rig.of(rig.store(json.dumps(document).encode(), config)), Absent)


def test_what_is_broken_is_a_fact(rig: Rig) -> None:
    assert rig.fact(rig.chart(b"EVIL" + PROVENANCE)).outcome is Outcome.BROKEN
    made = chart_artifact(PACKAGE, read_chart(PACKAGE), PROVENANCE, created=pgp.NOW)
    document = json.loads(made.manifest)
    twice = {**document, "layers": document["layers"] * 2}
    fact = rig.fact(rig.store(json.dumps(twice).encode(), *made.blobs.values()))
    assert (fact.outcome, "has one chart layer" in fact.reason) == (Outcome.BROKEN, True)
    config = {**document["config"], "size": document["config"]["size"] + 1}
    for size in (1, -1):
        config["size"] = document["config"]["size"] + size
        raw = json.dumps({**document, "config": config}).encode()
        stored = rig.inside.store.manifests.find(WEB, rig.chart().digest)
        assert stored is not None
        lying = StoredManifest(
            repository=WEB,
            digest=Digest.of(raw),
            media_type=media.OCI_MANIFEST,
            artifact_type="",
            role=stored.role,
            raw=raw,
            subject=None,
            pushed_at=stored.pushed_at,
        )
        fact = rig.fact(lying)
        assert (fact.outcome, "can't be judged" in fact.reason) == (Outcome.BROKEN, True)
    away = StoredManifest(
        RepositoryName("shop/none"),
        stored.digest,
        stored.media_type,
        "",
        stored.role,
        stored.raw,
        None,
        pgp.NOW,
    )
    assert "is not in the repository" in rig.fact(away).reason


def test_a_chart_in_a_file(rig: Rig) -> None:
    def judged(
        package: bytes = PACKAGE, name: str = "web-1.2.3.tgz", provenance: bytes = PROVENANCE
    ) -> Outcome:
        asked = {"openpgp": rig.openpgp, "attestors": TRUSTED, "now": pgp.NOW}
        return judge_files(package, provenance, name, **asked).outcome

    assert judged() is Outcome.VERIFIED
    assert judged(name="web-1.2.4.tgz") is Outcome.BROKEN
    assert judged(package=b"x") is Outcome.BROKEN
    assert judged(provenance=b"x") is Outcome.BROKEN
    rig.openpgp.broken = True
    with pytest.raises(OpenPgpUnavailable):
        judged()


def test_what_is_kept_has_a_limit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: Any = room._Kept(2)
    for number in range(5):
        assert kept.get_or(number, lambda number=number: number * 2) == number * 2
    assert (kept.get(0), kept.get(4)) == (None, 8)
