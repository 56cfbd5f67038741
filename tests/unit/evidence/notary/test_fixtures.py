"""Metadata that real clients wrote: docker 28.2.2, and notary 0.1 and 0.3."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.shared_files import shared
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import Outcome, Subject
from trustgate.evidence.notary.judge import Judgement, MetadataSet, weigh
from trustgate.evidence.notary.trust import notary_trust
from trustgate.oci.digest import Digest

NOTARY = ("public", "notary", "fixtures", "compatibility")
CASES: dict[str, tuple[tuple[str, ...], str, datetime, dict[str, tuple[str, ...]]]] = {
    "docker 28.2.2": (
        ("fixtures", "dct-docker-28.2.2", "metadata"),
        "127.0.0.1:5055/dct/app",
        datetime(2026, 11, 26, tzinfo=UTC),
        {"targets/releases": ("v1",)},
    ),
    "notary 0.3": (
        (*NOTARY, "notary0.3", "tuf", "docker.com", "notary0.3", "tst", "metadata"),
        "docker.com/notary0.3/tst",
        datetime(2016, 8, 1, tzinfo=UTC),
        {"targets": ("LICENSE", "change"), "targets/releases": ("hello",)},
    ),
    "notary 0.1": (
        (*NOTARY, "notary0.1", "tuf", "docker.com", "notary0.1", "samplerepo", "metadata"),
        "docker.com/notary0.1/samplerepo",
        datetime(2016, 3, 1, tzinfo=UTC),
        {"targets": ("LICENSE",)},
    ),
}


def _read(folder: Path) -> MetadataSet:
    raw = {
        path.relative_to(folder).with_suffix("").as_posix(): path.read_bytes()
        for path in folder.rglob("*.json")
    }
    return MetadataSet((raw.pop("root"),), raw.pop("timestamp"), raw.pop("snapshot"), raw)


def _target(metadata: MetadataSet, role: str, tag: str) -> Subject:
    meta = json.loads(metadata.targets[role])["signed"]["targets"][tag]
    return Subject(Digest(f"sha256:{base64.b64decode(meta['hashes']['sha256']).hex()}"), "", meta["length"])


def _root_key(metadata: MetadataSet) -> str:
    return str(json.loads(metadata.roots[0])["signed"]["roles"]["root"]["keyids"][0])


def _judging(name: str) -> tuple[MetadataSet, Callable[..., Judgement]]:
    place, gun, now, _tags = CASES[name]
    metadata = _read(shared(*place))
    attestor = Attestor("release", notary_trust(root_key_ids=[_root_key(metadata)]))

    def judge(subject: Subject, tag: str | None, **changed: object) -> Judgement:
        given: dict[str, object] = {"metadata": metadata, "gun": gun, "attestors": [attestor], "now": now}
        return weigh(**{**given, "subject": subject, "tag": tag, "seen": {}, **changed})  # type: ignore[arg-type]

    return metadata, judge


@pytest.mark.parametrize("name", CASES)
def test_what_a_real_client_signed_is_verified(name: str) -> None:
    metadata, judge = _judging(name)
    for role, tags in CASES[name][3].items():
        for tag in tags:
            subject = _target(metadata, role, tag)
            for asked in (tag, None):
                fact = judge(subject, asked).fact
                assert fact.outcome is Outcome.VERIFIED, fact.reason
                assert len(fact.identities) == 1
            assert judge(subject, "nobody named this").fact.outcome is Outcome.UNTRUSTED


@pytest.mark.parametrize("name", CASES)
def test_any_byte_of_any_file_counts(name: str) -> None:
    """A flipped byte in any file of the chain is never verified."""
    metadata, judge = _judging(name)
    role, (tag, *_others) = next(iter(CASES[name][3].items()))
    subject = _target(metadata, role, tag)
    files = {"root": metadata.roots[0], "timestamp": metadata.timestamp, "snapshot": metadata.snapshot}
    for which, raw in {**files, **{name: metadata.targets[name] for name in {"targets", role}}}.items():
        for at in range(0, len(raw), 97):
            broken = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
            changed = MetadataSet(
                (broken,) if which == "root" else metadata.roots,
                broken if which == "timestamp" else metadata.timestamp,
                broken if which == "snapshot" else metadata.snapshot,
                {**metadata.targets, which: broken} if which.startswith("targets") else metadata.targets,
            )
            assert judge(subject, tag, metadata=changed).fact.outcome is not Outcome.VERIFIED, (which, at)


def test_the_timestamp_of_docker_dies_after_fourteen_days() -> None:
    metadata, judge = _judging("docker 28.2.2")
    subject = _target(metadata, "targets/releases", "v1")
    fact = judge(subject, "v1", now=datetime(2026, 12, 7, 9, 49, 10, tzinfo=UTC)).fact
    assert (fact.outcome, "the timestamp expired" in fact.reason) == (Outcome.BROKEN, True)
