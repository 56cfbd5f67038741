"""Evidence beside a digest: which of it is looked at when there is a lot."""

from __future__ import annotations

from collections.abc import Sequence

from tests.clocks import SetClock
from tests.unit.store.test_records import REPO, add_blob, image
from trustgate.evidence.model import Role
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest
from trustgate.oci.names import RepositoryName
from trustgate.ports import Push
from trustgate.store.opening import Store

OTHER = RepositoryName("shop/other")


def put(
    store: Store,
    subject: Manifest | None,
    name: str,
    by: str = "ci",
    role: Role = Role.SIGNATURE,
    repository: RepositoryName = REPO,
) -> Digest:
    add_blob(store, name.encode(), repository)
    add_blob(store, b"{}", repository)
    manifest = image(name.encode(), subject=subject)
    store.manifests.put(Push(repository, manifest, role, (), by, SetClock().now()))
    return manifest.digest


def about(store: Store, subject: Manifest, limit: int) -> Sequence[Digest]:
    return store.attached.about(REPO, subject.digest, limit=limit)


def test_only_evidence_about_it_and_oldest_first(store: Store) -> None:
    subject, another = image(b"one"), image(b"two")
    wanted = [put(store, subject, name) for name in ("z", "a", "m")]
    put(store, subject, "an image beside it", role=Role.IMAGE)
    put(store, another, "of another")
    put(store, None, "of none")
    put(store, subject, "elsewhere", repository=OTHER)
    assert about(store, subject, 9) == tuple(wanted)
    assert store.attached.about(RepositoryName("shop/none"), subject.digest, limit=9) == ()


def test_where_there_is_too_much_those_who_pushed_take_turns(store: Store) -> None:
    subject = image(b"one")
    flood = [put(store, subject, f"m{n}", by="mallory") for n in range(6)]
    ours = [put(store, subject, f"c{n}", by="ci") for n in range(2)]
    alice = [put(store, subject, "a0", by="alice")]
    assert about(store, subject, 10) == (*flood, *ours, *alice)
    assert about(store, subject, 5) == (flood[0], ours[0], alice[0], flood[1], ours[1])
    assert about(store, subject, 3) == (flood[0], ours[0], alice[0])
