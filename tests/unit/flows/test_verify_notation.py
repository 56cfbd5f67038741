"""Under notation's own trust policy: which statement applies, and what it makes of each signature."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import notation_world as world
from tests.notation_world import COSE, DAY, JWS, NOW, authority, key
from tests.revocation_world import OCSP_URL, access, leaf
from tests.simulators.places import KINDS, place, put
from trustgate.errors import InvalidInput, NotFound
from trustgate.evidence.model import Outcome
from trustgate.evidence.notation.revocation import (
    Answers,
    RevocationAnswer,
    RevocationQuestion,
    RevocationStatus,
)
from trustgate.evidence.notation.trust import NotationTrustInvalid
from trustgate.evidence.notation.trust_policy import read_trust_policy
from trustgate.flows import verify_notation
from trustgate.flows.verify_notation import NotationResult, verify_under_trust_policy
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource

OTHER = authority(private=key("p256", "other root"), common_name="other root")
STORE = {"x509/ca/acme/root.crt": world.root().pem, "x509/ca/other/root.crt": OTHER.pem}


class Authority:
    """The port ``RevocationSource``: one answer for everything, and what was asked."""

    def __init__(self, status: RevocationStatus = RevocationStatus.GOOD) -> None:
        self.status = status
        self.asked: list[RevocationQuestion] = []

    def ask(self, questions: Sequence[RevocationQuestion]) -> Answers:
        self.asked += questions
        return {one.thumbprint: RevocationAnswer(self.status) for one in questions}


def policy(*statements: dict[str, Any]) -> bytes:
    usual: dict[str, Any] = {
        "name": "all",
        "registryScopes": ["*"],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:acme"],
        "trustedIdentities": [world.IDENTITY],
    }
    written = [{**usual, **one} for one in statements or ({},)]
    return json.dumps({"version": "1.0", "trustPolicies": written}).encode()


def verify(source: ImageSource, *statements: dict[str, Any], **changes: Any) -> NotationResult:
    given: dict[str, Any] = {
        "document": read_trust_policy(policy(*statements)),
        "store": STORE,
        "scope": "reg.test/shop/web",
        "revocation": Authority(),
        "now": NOW,
    }
    return verify_under_trust_policy(source, changes.pop("target", Tag("v1")), **{**given, **changes})


def signed(source: ImageSource, made: world.Parts, media_type: str = JWS, **changes: Any) -> Digest:
    chain = made.issued.chain
    raw = world.WRITERS[media_type](made)
    carrier = world.carrier(raw, media_type, chain=chain, **changes)
    digest = put(source, carrier)
    if not source.has_referrers_api(world.SUBJECT.digest):
        listed = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [carrier.manifest.descriptor.as_json()],
        }
        tag = Tag(f"sha256-{world.SUBJECT.digest.hex}")
        source.put_manifest(json.dumps(listed).encode(), listed["mediaType"], tag)
    return digest


@pytest.mark.parametrize("kind", KINDS)
def test_signed_and_unsigned(kind: str, tmp_path: Path) -> None:
    with place(kind, tmp_path) as source:
        with pytest.raises(NotFound):
            verify(source)
        put(source, world.IMAGE, "v1")
        assert verify(source).signatures == ()
        assert not verify(source).verified
        evidence = signed(source, world.parts(), COSE)
        found = verify(source, target=world.SUBJECT.digest)
        assert found.verified
        assert [(one.evidence, one.outcome) for one in found.signatures] == [(evidence, Outcome.VERIFIED)]
        assert "signed by CN=signer" in found.signatures[0].reason


@pytest.fixture
def source(tmp_path: Path) -> Any:
    with place("layout", tmp_path) as found:
        put(found, world.IMAGE, "v1")
        yield found


def test_one_foreign_or_broken_signature_hides_nothing(source: ImageSource) -> None:
    signed(source, world.parts(sign=lambda k, c: b"\0" * 64))
    signed(source, world.parts(world.issue(OTHER, private=key("p256", "notation"))))
    signed(source, world.parts(), edit=lambda d: d["layers"].append(d["layers"][0]))
    signed(source, world.parts())
    found = verify(source)
    assert found.verified
    outcomes = sorted(one.outcome for one in found.signatures)
    assert outcomes == [Outcome.BROKEN, Outcome.BROKEN, Outcome.UNTRUSTED, Outcome.VERIFIED]


def test_level_skip_is_no_verification(source: ImageSource) -> None:
    signed(source, world.parts())
    skip = {
        "name": "skip",
        "registryScopes": ["reg.test/shop/web"],
        "signatureVerification": {"level": "skip"},
        "trustStores": [],
        "trustedIdentities": [],
    }
    found = verify(source, {}, skip)
    assert (found.skipped, found.verified, found.signatures) == (True, False, ())
    assert verify(source, {}, skip, scope="reg.test/other").verified


def test_level_audit_proves_nobody(source: ImageSource) -> None:
    signed(source, world.parts())
    audit = {"signatureVerification": {"level": "audit"}}
    assert verify(source, audit).verified
    found = verify(source, {**audit, "trustStores": ["ca:other"]})
    assert not found.verified
    assert "by anyone is no verification" in found.signatures[0].reason
    assert found.signatures[0].logged[0].startswith("authenticity: its chain leads to")


def test_no_statement_no_scope_no_store(source: ImageSource) -> None:
    named = {"registryScopes": ["reg.test/a"]}
    with pytest.raises(InvalidInput, match="no trust policy applies to"):
        verify(source, named)
    with pytest.raises(InvalidInput, match="is no scope"):
        verify(source, scope="web:v1")
    with pytest.raises(NotationTrustInvalid, match="has no certificates"):
        verify(source, {"trustStores": ["ca:gone"]})


def test_authorities_are_asked_about_trusted_chains_only(source: ImageSource) -> None:
    signed(source, world.parts(leaf(access(OCSP_URL))))
    for status, verified in ((RevocationStatus.GOOD, True), (RevocationStatus.UNKNOWN, False)):
        asked = Authority(status)
        assert verify(source, revocation=asked).verified is verified
        assert len(asked.asked) == 1
    stranger = Authority()
    assert not verify(source, {"trustStores": ["ca:other"]}, revocation=stranger).verified
    assert stranger.asked == []
    soft = {"signatureVerification": {"level": "permissive"}}
    found = verify(source, soft, revocation=Authority(RevocationStatus.REVOKED))
    assert found.verified
    assert found.signatures[0].logged[0].startswith("revocation: ")


def test_the_signer_s_metadata(source: ImageSource) -> None:
    document = world.target()
    document["targetArtifact"]["annotations"] = {"build": "7"}
    signed(source, world.parts(payload=world.as_json(document)))
    (one,) = verify(source).signatures
    assert one.metadata == {"build": "7"}


def test_later_it_is_judged_as_of_then(source: ImageSource) -> None:
    signed(source, world.parts())
    assert not verify(source, now=NOW + 366 * DAY).verified


def test_many_are_cut_and_told(source: ImageSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_notation, "MAX_SIGNATURE_CANDIDATES", 1)
    signed(source, world.parts())
    assert not verify(source).truncated
    signed(source, world.parts(), COSE)
    found = verify(source)
    assert (found.truncated, len(found.signatures)) == (True, 1)


def test_one_more_is_read_than_is_judged(source: ImageSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_notation, "MAX_SIGNATURE_CANDIDATES", 1)
    for media_type in (JWS, COSE):
        signed(source, world.parts(), media_type)
        signed(source, world.expiring(world.parts(), NOW + DAY), media_type)
    real, read = source.blob, list[Digest]()

    def blob(digest: Digest, *, max_bytes: int) -> bytes:
        read.append(digest)
        return real(digest, max_bytes=max_bytes)

    monkeypatch.setattr(source, "blob", blob)
    assert verify(source).truncated
    assert len(read) == 2


def test_a_referrer_that_is_gone_or_no_signature(tmp_path: Path) -> None:
    with place("registry without referrers", tmp_path) as source:
        put(source, world.IMAGE, "v1")
        signed(source, world.parts())
        digest = put(source, world.IMAGE)
        entries = [
            {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": one, "size": 3}
            for one in (str(Digest.of(b"gone")), str(digest))
        ]
        listed = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        }
        tag = Tag(f"sha256-{world.SUBJECT.digest.hex}")
        source.put_manifest(json.dumps(listed).encode(), listed["mediaType"], tag)
        assert verify(source).signatures == ()


def test_a_blob_that_is_gone_is_told(tmp_path: Path) -> None:
    with place("layout", tmp_path) as source:
        put(source, world.IMAGE, "v1")
        raw = world.jws(world.parts())
        signed(source, world.parts(), edit=lambda d: d["layers"][0].update(digest=str(Digest.of(raw + b"x"))))
        (one,) = verify(source).signatures
        assert one.outcome is Outcome.BROKEN
        assert "does not have that blob" in one.reason
