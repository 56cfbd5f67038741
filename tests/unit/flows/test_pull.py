"""Pulling: a tag is resolved once, and what was judged is what is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.server import Assembly, assemble
from tests.unit.api.registry.rig import manifest, policies
from trustgate.errors import BlobUnknown, ManifestUnknown, NameUnknown
from trustgate.flows.access import Actor
from trustgate.flows.admit import Refused
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.policy.document import PolicySet
from trustgate.policy.model import Caller
from trustgate.ports import Grant, StoredManifest

WEB = RepositoryName("shop/web")
CONFIG, LAYER = b'{"architecture": "amd64", "os": "linux"}', b"a layer"
PULLER = Actor(Caller("puller"), grants=(Grant("shop", frozenset({"pull"})),))
PUSHER = Actor(Caller("pusher"), grants=(Grant("shop", frozenset({"pull", "push"})),))
NARROW_PUSHER = Actor(Caller("pusher"), grants=PUSHER.grants, scope={WEB: frozenset({"pull"})})
Make = Callable[[PolicySet], Assembly]


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """A registry with one image, under a policy."""

    def one(policy: PolicySet) -> Assembly:
        inside = assemble(tmp_path, policies=lambda: policy)
        request.addfinalizer(inside.store.close)
        for content in (CONFIG, LAYER):
            upload = inside.push.begin(WEB, PUSHER)
            with inside.push.chunk(WEB, upload.id, start=None) as session:
                session.write(content)
            inside.push.finish(WEB, upload.id, Digest.of(content))
        raw = manifest(CONFIG, LAYER)
        inside.push.manifest(WEB, Tag("1"), raw, PUSHER, content_type=media.OCI_MANIFEST)
        return inside

    return one


def test_an_allowed_manifest_and_its_blobs(make: Make) -> None:
    inside = make(policies())
    raw = manifest(CONFIG, LAYER)
    for target in (Tag("1"), Digest.of(raw)):
        served = inside.pull.manifest(WEB, target, PULLER, head=False)
        assert served.manifest.raw == raw
        assert served.admission is not None
    blob = inside.pull.blob(WEB, Digest.of(LAYER), PULLER, head=False)
    assert blob.path.read_bytes() == LAYER


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("actor", [PULLER, NARROW_PUSHER])
def test_a_refused_one_is_refused_in_every_way(make: Make, head: bool, actor: Actor) -> None:
    inside = make(policies("deny"))
    for target in (Tag("1"), Digest.of(manifest(CONFIG, LAYER))):
        with pytest.raises(Refused):
            inside.pull.manifest(WEB, target, actor, head=head)
    with pytest.raises(Refused):
        inside.pull.blob(WEB, Digest.of(LAYER), actor, head=head)


def test_only_a_head_with_push_is_not_judged(make: Make) -> None:
    inside = make(policies("deny"))
    assert inside.pull.manifest(WEB, Tag("1"), PUSHER, head=True).admission is None
    assert inside.pull.blob(WEB, Digest.of(LAYER), PUSHER, head=True).blob.size == len(LAYER)
    with pytest.raises(Refused):
        inside.pull.manifest(WEB, Tag("1"), PUSHER, head=False)
    with pytest.raises(Refused):
        inside.pull.blob(WEB, Digest.of(LAYER), PUSHER, head=False)


def test_a_tag_is_resolved_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = make(policies())
    real, looks = inside.store.manifests.find, list[Tag | Digest]()

    def find(repository: RepositoryName, target: Tag | Digest) -> StoredManifest | None:
        looks.append(target)
        return real(repository, target)

    monkeypatch.setattr(inside.store.manifests, "find", find)
    inside.pull.manifest(WEB, Tag("1"), PULLER, head=False)
    assert looks.count(Tag("1")) == 1


def test_what_is_judged_is_served_though_its_tag_moves(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2022-47633: whoever asks a second time gets another answer."""
    inside = make(policies())
    real, later = inside.store.manifests.find, manifest(CONFIG, LAYER, annotations={"n": "2"})
    inside.push.manifest(WEB, Digest.of(later), later, PUSHER, content_type=media.OCI_MANIFEST)
    targets = iter([Tag("1")])

    def find(repository: RepositoryName, target: Tag | Digest) -> StoredManifest | None:
        return real(repository, target if isinstance(target, Digest) else next(targets, Digest.of(later)))

    monkeypatch.setattr(inside.store.manifests, "find", find)
    served = inside.pull.manifest(WEB, Tag("1"), PULLER, head=False)
    assert served.manifest.raw == manifest(CONFIG, LAYER)
    assert served.admission is not None
    assert served.admission.verdict.request.digest == Digest.of(served.manifest.raw)


def test_what_is_not_there(make: Make) -> None:
    inside = make(policies("deny"))
    with pytest.raises(ManifestUnknown):
        inside.pull.manifest(WEB, Tag("2"), PULLER, head=False)
    with pytest.raises(BlobUnknown):
        inside.pull.blob(WEB, Digest.of(b"none"), PULLER, head=False)
    with pytest.raises(NameUnknown):
        inside.pull.tags(RepositoryName("shop/none"), after="", limit=1)


def test_lists(make: Make) -> None:
    inside = make(policies())
    assert inside.pull.tags(WEB, after="", limit=9) == ("1",)
    assert inside.pull.tags(WEB, after="1", limit=9) == ()
    assert inside.pull.repositories(after="", limit=9) == (WEB,)


def test_withheld_referrers_are_counted_and_not_shown(make: Make) -> None:
    subject = Digest.of(manifest(CONFIG, LAYER))
    pointer = {"mediaType": media.OCI_MANIFEST, "digest": subject, "size": 1}
    raw = manifest(CONFIG, LAYER, subject=pointer, artifactType="application/x-one")
    inside = make(policies("deny"))
    inside.push.manifest(WEB, Digest.of(raw), raw, PUSHER, content_type=media.OCI_MANIFEST)
    found = inside.pull.referrers(WEB, subject, PULLER, artifact_type="application/x-one", after="")
    assert (found.descriptors, found.withheld, found.next_after) == ((), 1, "")
    found = inside.pull.referrers(WEB, subject, PULLER, artifact_type="application/x-two", after="")
    assert (found.descriptors, found.withheld) == ((), 0)
