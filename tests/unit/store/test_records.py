"""What repositories hold: one transaction a change, nothing half visible."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text

from tests.clocks import SetClock
from trustgate.errors import (
    BlobUploadUnknown,
    Conflict,
    ManifestBlobUnknown,
    ManifestInvalid,
    NotFound,
    RangeInvalid,
    StorageFull,
    StorageUnavailable,
)
from trustgate.evidence.model import Role
from trustgate.evidence.scan_report import ScanReport, ScanStatus
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import MAX_DESCRIPTORS, Manifest, parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import Account, Grant, NewJob, Project, Push, SigningKey, StorageKey, StoredBlob
from trustgate.store.database import Database, translate
from trustgate.store.migrations import STEPS
from trustgate.store.opening import Store, open_store

REPO = RepositoryName("shop/web")
NOBODY = 65534


def add_blob(store: Store, content: bytes, repository: RepositoryName = REPO) -> StoredBlob:
    upload = store.uploads.begin(repository, by="alice", at=SetClock().now())
    with store.blob_store.append(upload.id, 0) as writer:
        writer.write(content)
        writer.sync()
    upload = store.uploads.advance(upload, len(content), at=SetClock().now())
    digest = Digest.of(content)
    key = store.blob_store.commit(upload.id, digest, len(content))
    return store.uploads.finish(upload, StoredBlob(digest, len(content), key))


def image(*layers: bytes, config: bytes = b"{}", subject: Manifest | None = None) -> Manifest:
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": {"mediaType": media.OCI_CONFIG, "digest": Digest.of(config), "size": len(config)},
        "layers": [
            {"mediaType": media.OCI_LAYER_TAR_GZIP, "digest": Digest.of(layer), "size": len(layer)}
            for layer in layers
        ],
    }
    if subject is not None:
        document["subject"] = subject.descriptor.as_json()
    return parse_manifest(json.dumps(document).encode())


def push(
    store: Store, manifest: Manifest, *tags: str, repository: RepositoryName = REPO, **more: object
) -> None:
    role = Role.INDEX if manifest.kind == "index" else Role.IMAGE
    names = tuple(map(Tag, tags))
    store.manifests.put(Push(repository, manifest, role, names, "alice", SetClock().now(), **more))  # type: ignore[arg-type]  # fields by name


@pytest.fixture
def pushed(store: Store) -> Manifest:
    add_blob(store, b"layer")
    add_blob(store, b"{}")
    manifest = image(b"layer")
    push(store, manifest, "1")
    return manifest


def _delete(store: Store, target: Tag | Digest) -> bool:
    return store.manifests.delete(REPO, target, revision=store.manifests.revision(REPO))


def test_a_push_is_found_by_tag_and_by_digest(store: Store, pushed: Manifest) -> None:
    by_tag = store.manifests.find(REPO, Tag("1"))
    assert by_tag is not None
    assert (by_tag.raw, by_tag.digest, by_tag.role) == (pushed.raw, pushed.digest, Role.IMAGE)
    assert store.manifests.find(REPO, pushed.digest) == by_tag
    assert store.manifests.find(RepositoryName("shop/other"), pushed.digest) is None


def test_a_missing_blob_refuses_everything(store: Store) -> None:
    add_blob(store, b"{}")
    with pytest.raises(ManifestBlobUnknown):
        push(store, image(b"not there"), "1", jobs=(NewJob("scan", {}, "d"),))
    assert store.manifests.find(REPO, Tag("1")) is None
    assert store.jobs.counts() == {}


@pytest.mark.timeout(10)
def test_an_index_does_not_have_its_children_read(store: Store) -> None:
    """Everyone who writes waits for the one who does."""
    add_blob(store, b"{}")
    document = json.loads(image().raw)
    large = parse_manifest(json.dumps(document | {"annotations": {"x": "x" * 4_000_000}}).encode())
    push(store, large)
    entry = {"mediaType": large.media_type, "digest": str(large.digest), "size": len(large.raw)}
    many = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [entry] * MAX_DESCRIPTORS}
    push(store, parse_manifest(json.dumps(many).encode()), "many")
    assert store.manifests.find(REPO, Tag("many")) is not None


def test_a_blob_of_another_repository_is_missing(store: Store) -> None:
    add_blob(store, b"{}")
    add_blob(store, b"layer", RepositoryName("other/place"))
    with pytest.raises(ManifestBlobUnknown):
        push(store, image(b"layer"), "1")


def test_a_size_that_is_not_the_blobs(store: Store) -> None:
    add_blob(store, b"{}")
    add_blob(store, b"layer")
    raw = image(b"layer").raw.replace(b'"size": 5', b'"size": 6')
    with pytest.raises(ManifestInvalid):
        push(store, parse_manifest(raw), "1")


def test_a_tag_that_moved_meanwhile(store: Store, pushed: Manifest) -> None:
    add_blob(store, b"second")
    other = image(b"second")
    with pytest.raises(Conflict):
        push(store, other, "1", expected_tags={Tag("1"): None})
    push(store, other, "1", expected_tags={Tag("1"): pushed.digest})
    found = store.manifests.find(REPO, Tag("1"))
    assert found is not None
    assert found.digest == other.digest


def test_tags_come_in_byte_order_and_pages(store: Store, pushed: Manifest) -> None:
    push(store, pushed, "b", "a", "B", "10", "9")
    assert store.manifests.tags(REPO, after="", limit=99) == ("1", "10", "9", "B", "a", "b")
    assert store.manifests.tags(REPO, after="10", limit=2) == ("9", "B")
    assert store.manifests.tags(RepositoryName("no/where"), after="", limit=2) is None
    assert store.manifests.tags_of(REPO, pushed.digest) == ("1", "10", "9", "B", "a", "b")


def test_deleting_a_manifest_takes_its_tags(store: Store, pushed: Manifest) -> None:
    assert _delete(store, pushed.digest)
    assert not _delete(store, pushed.digest)
    assert store.manifests.tags(REPO, after="", limit=9) == ()
    assert store.manifests.find(REPO, pushed.digest) is None


def test_a_blob_that_is_needed_stays(store: Store, pushed: Manifest) -> None:
    layer = Digest.of(b"layer")
    with pytest.raises(Conflict):
        store.blobs.delete(REPO, layer)
    _delete(store, pushed.digest)
    assert store.blobs.delete(REPO, layer)
    assert not store.blobs.delete(REPO, layer)
    (key,) = store.blobs.release(limit=9)
    store.blob_store.delete(key)
    store.blobs.released([key])
    assert store.blobs.release(limit=9) == ()


def test_a_mount_copies_nothing_and_outlives_its_source(store: Store, pushed: Manifest) -> None:
    other, layer = RepositoryName("shop/other"), Digest.of(b"layer")
    mounted = store.blobs.mount(REPO, other, layer)
    assert mounted == store.blobs.find(REPO, layer)
    assert store.blobs.mount(RepositoryName("no/where"), other, layer) is None
    assert store.blobs.holders(layer, limit=9) == (other, REPO)
    _delete(store, pushed.digest)
    store.blobs.delete(REPO, layer)
    assert store.blobs.find(other, layer) == mounted
    assert store.blobs.release(limit=9) == ()


def test_the_first_copy_of_a_blob_stays(store: Store) -> None:
    first = add_blob(store, b"same")
    second = add_blob(store, b"same", RepositoryName("other/place"))
    assert first == second
    assert len(store.blobs.release(limit=9)) == 1, "the second copy's bytes are given up"


def test_referrers_and_containers(store: Store, pushed: Manifest) -> None:
    referrer = image(b"layer", subject=pushed)
    push(store, referrer)
    assert [found.digest for found in store.manifests.referrers(REPO, pushed.digest, limit=9)] == [
        referrer.digest
    ]
    assert set(store.manifests.containing(REPO, Digest.of(b"layer"), limit=9)) == {
        pushed.digest,
        referrer.digest,
    }


def test_referrers_are_read_up_to_a_number_of_bytes(store: Store, pushed: Manifest) -> None:
    for number in range(4):
        add_blob(store, b"%d" % number)
        push(store, image(b"%d" % number, subject=pushed))
    found = store.manifests.referrers(REPO, pushed.digest, limit=9)
    assert len(found) == 4
    first = len(found[0].raw)
    for max_bytes, expected in ((1, 1), (first, 1), (first + 1, 2), (10 * first, 4)):
        assert (
            store.manifests.referrers(REPO, pushed.digest, limit=9, max_bytes=max_bytes) == found[:expected]
        )
    assert [one.digest for one in found] == sorted(one.digest for one in found)
    assert store.manifests.referrers(REPO, pushed.digest, limit=9, after=found[1].digest) == found[2:]


def test_every_change_bumps_the_repositorys_revision(store: Store, pushed: Manifest) -> None:
    seen = [store.freshness.vector(REPO).repository]

    def changed() -> None:
        seen.append(store.freshness.vector(REPO).repository)
        assert seen[-1] > seen[-2]

    push(store, pushed, "2")
    changed()
    store.reports.save(report(pushed.digest), finishing=None)
    changed()
    _delete(store, Tag("2"))
    changed()
    before = store.freshness.vector("shop/other")
    push(store, pushed, "3")
    assert store.freshness.vector("shop/other") == before


def test_changes_that_are_counted_at_once_never_bring_back_an_old_vector(store: Store) -> None:
    """One thread has read the old count when two others count: it must not set the clock back."""
    freshness = store.freshness
    before = freshness.vector(REPO).repository

    def change() -> None:
        freshness.repositories_changed([REPO])

    class Interrupted(dict[str, int]):
        others: tuple[Thread, ...] = ()

        def get(self, key: str, default: int = 0) -> int:  # type: ignore[override]  # as it is called
            found = super().get(key, default)
            if not self.others:
                self.others = (Thread(target=change), Thread(target=change))
                for other in self.others:
                    other.start()
                    other.join(timeout=0.2)
            return found

    freshness._repositories = held = Interrupted(freshness._repositories)
    change()
    for other in held.others:
        other.join()
    assert freshness.vector(REPO).repository == before + 3


def test_two_chunks_at_once_do_not_both_count(store: Store) -> None:
    upload = store.uploads.begin(REPO, by="alice", at=SetClock().now())
    store.uploads.advance(upload, 10, at=SetClock().now())
    with pytest.raises(RangeInvalid):
        store.uploads.advance(upload, 12, at=SetClock().now())
    store.uploads.cancel(REPO, upload.id)
    with pytest.raises(BlobUploadUnknown):
        store.uploads.advance(upload, 12, at=SetClock().now())
    with pytest.raises(BlobUploadUnknown):
        store.uploads.finish(upload, StoredBlob(Digest.of(b""), 0, StorageKey("k")))


def test_idle_uploads(store: Store, clock: SetClock) -> None:
    upload = store.uploads.begin(REPO, by="alice", at=clock.now())
    assert store.uploads.idle(before=clock.now(), limit=9) == ()
    clock.advance(10)
    assert [found.id for found in store.uploads.idle(before=clock.now(), limit=9)] == [upload.id]


# --- jobs ---------------------------------------------------------------------------------------

JOB = NewJob("scan", {"digest": "d"}, "scan:d")


def test_one_waits_beside_one_that_runs(store: Store, clock: SetClock) -> None:
    store.jobs.enqueue([JOB, JOB], at=clock.now())
    first = store.jobs.claim(owner="a", lease_s=60, now=clock.now())
    assert first is not None
    assert store.jobs.claim(owner="b", lease_s=60, now=clock.now()) is None
    store.jobs.enqueue([JOB, JOB], at=clock.now())
    assert store.jobs.counts() == {("scan", "running"): 1, ("scan", "ready"): 1}


def test_a_lost_lease_is_taken_back_and_its_holder_ends_nothing(store: Store, clock: SetClock) -> None:
    store.jobs.enqueue([JOB], at=clock.now())
    lost = store.jobs.claim(owner="a", lease_s=60, now=clock.now())
    assert lost is not None
    clock.advance(61)
    again = store.jobs.claim(owner="b", lease_s=60, now=clock.now())
    assert again is not None
    assert (again.id, again.attempt) == (lost.id, 2)
    assert not store.jobs.beat(lost, lease_s=60, now=clock.now())
    assert not store.jobs.finish(lost, now=clock.now())
    assert not store.reports.save(report(Digest.of(b"x")), finishing=lost)
    assert store.reports.find(Digest.of(b"x")) == ()
    assert store.jobs.finish(again, now=clock.now())


def test_a_job_fails_when_its_attempts_are_used_up(store: Store, clock: SetClock) -> None:
    store.jobs.enqueue([JOB], at=clock.now())
    while job := store.jobs.claim(owner="a", lease_s=60, now=clock.now()):
        store.jobs.fail(job, "no", retry_at=clock.now(), now=clock.now())
    assert job is None
    assert store.jobs.counts() == {("scan", "failed"): 1}


def test_a_claim_takes_one_job_of_many(store: Store, clock: SetClock) -> None:
    """engine: a claim in one statement took six rows for one, once the table was analysed."""
    done = [NewJob("scan", {}, f"done:{number}") for number in range(300)]
    store.jobs.enqueue(done, at=clock.now())
    while job := store.jobs.claim(owner="a", lease_s=60, now=clock.now()):
        store.jobs.finish(job, now=clock.now())
    store.jobs.enqueue([NewJob("scan", {}, f"new:{number}") for number in range(6)], at=clock.now())
    assert store.jobs.claim(owner="a", lease_s=60, now=clock.now()) is not None
    assert store.jobs.counts()["scan", "running"] == 1


# --- reports, accounts, keys ----------------------------------------------------------------------


def report(digest: Digest, status: ScanStatus = ScanStatus.OK) -> ScanReport:
    return ScanReport(
        "embedded", "1", digest, SetClock().now(), status, "", "g", None, "debian 12", (), (), ()
    )


def test_the_last_good_report_outlives_a_failure(store: Store) -> None:
    digest = Digest.of(b"image")
    store.reports.save(report(digest), finishing=None)
    store.reports.save(report(digest, ScanStatus.FAILED), finishing=None)
    assert [found.status for found in store.reports.find(digest)] == [ScanStatus.OK]
    other = Digest.of(b"other")
    store.reports.save(report(other, ScanStatus.FAILED), finishing=None)
    assert [found.status for found in store.reports.find(other)] == [ScanStatus.FAILED]


def test_accounts(store: Store, clock: SetClock) -> None:
    grants = (Grant("shop", frozenset({"pull", "push"})),)
    account = Account("alice", "user", "hash", False, grants, frozenset({"dev"}), clock.now(), None)
    before = store.freshness.vector("").accounts
    store.accounts.create(account)
    assert store.accounts.find("alice") == account
    assert store.freshness.vector("").accounts > before
    with pytest.raises(Conflict):
        store.accounts.create(account)
    assert store.accounts.delete("alice")
    with pytest.raises(NotFound):
        store.accounts.replace(account)


def test_projects_and_keys(store: Store, clock: SetClock) -> None:
    store.projects.put(Project("shop", False, clock.now()))
    store.projects.put(Project("shop", True, clock.now()))
    assert store.projects.all() == (Project("shop", True, clock.now()),)
    for name in ("a", "b"):
        store.signing_keys.add(SigningKey(name, b"pem", clock.now()), retire_others_at=clock.now())
    assert [key.retired_at is None for key in store.signing_keys.all()] == [False, True]
    clock.advance(1)
    assert store.signing_keys.remove_retired(before=clock.now()) == 1


# --- the database itself --------------------------------------------------------------------------


def test_what_was_written_is_there_after_a_restart(store: Store, pushed: Manifest, tmp_path: Path) -> None:
    vector = store.freshness.vector(REPO)
    store.close()
    again = open_store(tmp_path / "data", SetClock())
    assert again.manifests.find(REPO, Tag("1")) is not None
    assert again.freshness.vector(REPO) == vector
    again.close()
    open_store(tmp_path / "elsewhere", SetClock()).close()


def test_one_process_a_data_directory(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.clocks import SetClock\n"
        "from trustgate.store.opening import open_store\nopen_store(Path(sys.argv[1]), SetClock())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "is in use by process" in done.stderr
    assert str(os.getpid()) in done.stderr


def test_a_newer_schema_is_refused(store: Store, tmp_path: Path) -> None:
    store.close()
    database = Database(tmp_path / "data" / "trustgate.sqlite")
    newer = {"version": len(STEPS) + 1}
    database.write(lambda c: c.execute(text("UPDATE schema_version SET version = :version"), newer))
    database.close()
    with pytest.raises(StorageUnavailable, match="schema version"):
        open_store(tmp_path / "data", SetClock())
    open_store(tmp_path / "elsewhere", SetClock()).close()


def test_a_read_only_directory_says_so() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        with _as_nobody(), pytest.raises(StorageUnavailable, match="can't be written"):
            open_store(folder, SetClock())


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Root may write everywhere."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


def test_a_file_in_the_way_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(StorageUnavailable, match="can't be written"):
        open_store(tmp_path / "data", SetClock())


def test_a_damaged_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "trustgate.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageUnavailable) as caught:
        open_store(tmp_path / "data", SetClock())
    assert caught.value.hint


def test_errors_are_told_apart_by_code() -> None:
    class Full(Exception):
        sqlite_errorname = "SQLITE_FULL"

    assert isinstance(translate(Full(), Path("x")), StorageFull)
    assert isinstance(translate(Exception("disk is full"), Path("x")), StorageUnavailable)


def test_writers_from_many_threads(store: Store, clock: SetClock) -> None:
    def work(number: int) -> None:
        for turn in range(5):
            store.jobs.enqueue([NewJob("scan", {}, f"{number}-{turn}")], at=clock.now())

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.jobs.counts() == {("scan", "ready"): 30}
