"""The Notary v1 server on a real store: what is published is found, renewed, and never given twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import text

from tests.clocks import SetClock
from tests.data_folders import begun
from tests.unit.evidence.notary import scene as sc
from tests.unit.evidence.notary.scene import delegation, meta, role_keys
from trustgate.errors import Conflict, InvalidInput, NameInvalid, StorageUnavailable
from trustgate.evidence.model import Outcome
from trustgate.evidence.notary.judge import judge_notary
from trustgate.evidence.notary.signing import (
    ROOT_LIFETIME,
    TARGETS_LIFETIME,
    TIMESTAMP_LIFETIME,
    MetadataSigner,
    new_repository,
    root_document,
    sign_metadata,
    snapshot_document,
    targets_document,
)
from trustgate.flows import notary
from trustgate.flows.notary import (
    ATTEMPTS,
    GunInvalid,
    Publishing,
    TrustDataUnknown,
    TrustFlow,
    TrustUpdateRefused,
)
from trustgate.oci.names import RepositoryName
from trustgate.ports import Publication
from trustgate.store.notary import MAX_KEYS
from trustgate.store.opening import Store, open_store
from trustgate.store.sealing import KEY_FILE, Sealer

HOSTS = frozenset({"registry.test", "localhost:5080"})
REPOSITORY = RepositoryName("shop/web")


def admitted(_publishing: Publishing) -> None:
    """No policy is asked here."""


@dataclass
class Place:
    """The flow, the store behind it and its clock."""

    flow: TrustFlow
    store: Store
    clock: SetClock

    def begin(self, gun: str = sc.GUN, root: MetadataSigner | None = None) -> dict[str, bytes]:
        """The first publish."""
        files = new_repository(
            root or sc.root("root", gun),
            sc.signer("targets"),
            snapshot=self.flow.key(gun, "snapshot"),
            timestamp=self.flow.key(gun, "timestamp"),
            now=self.clock.now(),
        )
        self.flow.publish(gun, tuple(files.items()), admit=admitted)
        return files

    def targets(self, version: int, *delegations: object, gun: str = sc.GUN) -> None:
        document = targets_document(
            {"v1": meta()},
            delegations,  # type: ignore[arg-type]
            version=version,
            expires=self.clock.now() + TARGETS_LIFETIME,
        )
        self.flow.publish(gun, [("targets", sign_metadata(document, [sc.signer("targets")]))], admit=admitted)

    def rotate(self, version: int, *signers: MetadataSigner, **roles: object) -> None:
        usual = {
            **sc.root_roles(),
            **{
                role: sc.RoleKeys((self.flow.key(sc.GUN, role),), 1)  # type: ignore[arg-type]
                for role in ("snapshot", "timestamp")
            },
            **roles,
        }
        document = root_document(
            usual,  # type: ignore[arg-type]
            version=version,
            expires=self.clock.now() + ROOT_LIFETIME,
        )
        self.flow.publish(sc.GUN, [("root", sign_metadata(document, signers))], admit=admitted)

    def version(self, role: str) -> int:
        return self.flow.read(sc.GUN, role).file.version


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    clock = SetClock()
    store = open_store(begun(tmp_path / "data"), clock)
    flow = TrustFlow(files=store.trust_files, keys=store.trust_keys, clock=clock, hosts=HOSTS)
    yield Place(flow, store, clock)
    store.close()


# --- names -----------------------------------------------------------------------------------------


def test_a_gun_is_one_of_our_hosts_and_a_repository(place: Place) -> None:
    assert place.flow.repository("localhost:5080/shop/web") == REPOSITORY
    for gun in ("docker.io/library/alpine", "shop/web", "registry.test", "REGISTRY.test/shop/web", ""):
        with pytest.raises((GunInvalid, NameInvalid)):
            place.flow.repository(gun)
    with pytest.raises(NameInvalid):
        place.flow.repository("registry.test/../etc")
    with pytest.raises(GunInvalid):
        place.flow.repository("registry.test/" + "a" * 255)


# --- publish and read ------------------------------------------------------------------------------


def test_what_was_published_is_read_back_byte_for_byte(place: Place) -> None:
    files = place.begin()
    for role, raw in files.items():
        assert place.flow.read(sc.GUN, role).file.raw == raw
        assert place.flow.read(sc.GUN, role, version=1).file.raw == raw
    raw = files["targets"]
    for algorithm in ("sha256", "sha384", "sha512"):
        checksum = hashlib.new(algorithm, raw).hexdigest()
        assert place.flow.read(sc.GUN, "targets", checksum=checksum).file.raw == raw
        with pytest.raises(TrustDataUnknown):
            place.flow.read(sc.GUN, "root", checksum=checksum)
    for wrong in ({"version": 2}, {"checksum": "0" * 64}, {"checksum": "0"}):
        with pytest.raises(TrustDataUnknown):
            place.flow.read(sc.GUN, "targets", **wrong)  # type: ignore[arg-type]
    with pytest.raises(TrustDataUnknown):
        place.flow.read(sc.GUN, "targets/nobody")
    with pytest.raises(TrustDataUnknown):
        place.flow.read("registry.test/other", "timestamp")


def test_a_refused_update_leaves_everything(place: Place) -> None:
    place.begin()
    before = place.store.trust_files.current(sc.GUN)
    good = targets_document({}, [], version=2, expires=place.clock.now() + TARGETS_LIFETIME)
    with pytest.raises(TrustUpdateRefused, match="expected 'Root'") as refused:
        place.flow.publish(
            sc.GUN,
            [
                ("targets", sign_metadata(good, [sc.signer("targets")])),
                ("root", b'{"signed": {}, "signatures": []}'),
            ],
            admit=admitted,
        )
    assert refused.value.refusal.code == "INVALID_UPDATE"
    with pytest.raises(TrustUpdateRefused):
        place.flow.publish(sc.GUN, [("root", b"not json")], admit=admitted)
    assert place.store.trust_files.current(sc.GUN) == before


def test_a_publish_counts_as_a_change_of_its_repository(place: Place) -> None:
    before = place.store.freshness.vector(REPOSITORY)
    place.begin()
    middle = place.store.freshness.vector(REPOSITORY)
    assert middle != before
    place.flow.delete(sc.GUN)
    assert place.store.freshness.vector(REPOSITORY) != middle


def test_publishing_at_the_same_time_loses_nothing(place: Place) -> None:
    """Two writers: one comes second, is decided anew, and is told that its version is taken."""
    place.begin()
    alice, bob = (
        targets_document({name: meta()}, [], version=2, expires=place.clock.now() + TARGETS_LIFETIME)
        for name in ("alice", "bob")
    )
    gate, results = Barrier(2), []

    def publish(document: dict) -> None:
        gate.wait()
        try:
            place.flow.publish(
                sc.GUN, [("targets", sign_metadata(document, [sc.signer("targets")]))], admit=admitted
            )
            results.append("taken")
        except TrustUpdateRefused as exc:
            results.append(exc.refusal.code)

    threads = [Thread(target=publish, args=(document,)) for document in (alice, bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["VERSION", "taken"]
    assert place.version("timestamp") == 2


def test_a_conflict_is_told_when_it_never_ends(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.begin()
    tries = []

    def always(_publication: object) -> None:
        tries.append(1)
        raise Conflict("somebody else")

    monkeypatch.setattr(place.store.trust_files, "publish", always)
    with pytest.raises(Conflict):
        place.targets(2)
    assert len(tries) == ATTEMPTS


def test_the_store_refuses_what_was_decided_on_older_files(place: Place) -> None:
    place.begin()
    stale = Publication(sc.GUN, REPOSITORY, (), (), (), {"root": 9}, place.clock.now())
    with pytest.raises(Conflict):
        place.store.trust_files.publish(stale)


# --- keys ------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_kept_until_it_is_rotated(place: Place) -> None:
    first = place.flow.key(sc.GUN, "snapshot")
    assert place.flow.key(sc.GUN, "snapshot") == first
    assert place.flow.key(sc.GUN, "timestamp") != first
    place.begin()
    assert place.flow.key(sc.GUN, "snapshot") == first
    pending = place.flow.rotate_key(sc.GUN, "snapshot")
    assert pending != first
    assert place.flow.key(sc.GUN, "snapshot") == first  # until a root names the new one
    place.rotate(2, sc.root(), snapshot=sc.RoleKeys((pending,), 1))
    assert place.flow.key(sc.GUN, "snapshot") == pending
    place.targets(2)


def test_keys_that_nobody_publishes_are_bounded_and_the_published_ones_stay(place: Place) -> None:
    place.begin()
    published = place.flow.key(sc.GUN, "timestamp")
    for _ in range(MAX_KEYS + 4):
        newest = place.flow.rotate_key(sc.GUN, "timestamp")
    kept = [key.key_id for key in place.store.trust_keys.all(sc.GUN) if key.role == "timestamp"]
    assert len(kept) == MAX_KEYS
    assert {published.id, newest.id} <= set(kept)
    place.targets(2)


def test_a_snapshot_key_that_the_client_holds_is_not_the_servers(place: Place) -> None:
    place.begin()
    mine = sc.signer("client snapshot")
    with pytest.raises(TrustUpdateRefused, match="does not hold current snapshot key"):
        place.rotate(2, sc.root(), snapshot=role_keys(mine))
    # asked for one, the server makes one that waits
    assert place.flow.key(sc.GUN, "snapshot").id != mine.key.id


def test_asking_for_keys_pushes_out_none_that_waits(place: Place) -> None:
    stamp = sc.RoleKeys((place.flow.key(sc.GUN, "timestamp"),), 1)
    later = place.clock.now() + TARGETS_LIFETIME
    roles = sc.root_roles(timestamp=stamp)  # the client holds its snapshot key itself
    root = sign_metadata(root_document(roles, version=1, expires=later), [sc.root()])
    targets = sign_metadata(targets_document({}, [], version=1, expires=later), [sc.signer("targets")])
    listed = snapshot_document({"root": root, "targets": targets}, version=1, expires=later)
    files = {"root": root, "targets": targets, "snapshot": sign_metadata(listed, [sc.signer("snapshot")])}
    place.flow.publish(sc.GUN, tuple(files.items()), admit=admitted)
    waiting = place.flow.rotate_key(sc.GUN, "snapshot")
    assert {place.flow.key(sc.GUN, "snapshot").id for _ in range(MAX_KEYS + 1)} == {waiting.id}
    assert waiting.id in {key.key_id for key in place.store.trust_keys.all(sc.GUN)}


def test_private_keys_are_sealed_at_rest(place: Place, tmp_path: Path) -> None:
    place.begin()
    key_file = tmp_path / "data" / KEY_FILE
    assert key_file.stat().st_mode & 0o777 == 0o600
    for file in (tmp_path / "data").glob("trustgate.sqlite*"):
        assert b"PRIVATE KEY" not in file.read_bytes()
    sealer = Sealer(tmp_path / "data")
    sealed = sealer.seal(b"secret", "here")
    assert sealer.open(sealed, "here") == b"secret"
    for other, context in ((sealed, "there"), (sealed[:-1], "here"), (b"", "here")):
        with pytest.raises(StorageUnavailable):
            sealer.open(other, context)
    key_file.write_bytes(bytes(32))
    with pytest.raises(StorageUnavailable, match="can't be opened"):
        Sealer(tmp_path / "data").open(sealed, "here")
    key_file.write_bytes(b"short")
    with pytest.raises(StorageUnavailable, match="a key of 32 is expected"):
        Sealer(tmp_path / "data")


# --- renewal and deletion --------------------------------------------------------------------------


def test_an_expired_timestamp_is_renewed_when_it_is_asked_for(place: Place) -> None:
    place.begin()
    place.clock.advance(TIMESTAMP_LIFETIME.total_seconds() - 1)
    assert place.version("timestamp") == 1
    place.clock.advance(1)
    assert place.version("timestamp") == 2
    assert place.version("snapshot") == 1
    place.clock.advance(timedelta(days=3 * 365).total_seconds())
    assert place.version("snapshot") == 2


def test_deleted_data_is_gone_and_its_versions_stay_taken(place: Place) -> None:
    """Whoever may delete can't bring yesterday's tags back: not with the old files, not from a later root."""
    files = place.begin()
    place.rotate(2, sc.root(), sc.root("new"), root=role_keys(sc.root("new")))
    rotated = place.flow.read(sc.GUN, "root").file.raw
    place.targets(2)
    place.flow.delete(sc.GUN)
    place.flow.delete(sc.GUN)  # twice is harmless
    with pytest.raises(TrustDataUnknown):
        place.flow.read(sc.GUN, "timestamp")
    for root in (files["root"], rotated):
        with pytest.raises(TrustUpdateRefused) as refused:
            place.flow.publish(sc.GUN, [("root", root), ("targets", files["targets"])], admit=admitted)
        assert refused.value.refusal.code == "VERSION"
    # a new repository has a new certificate, also of the same key, and begins again
    fresh = sc.root_signer(sc.private("root"), sc.GUN, place.clock.now())
    place.begin(root=fresh)
    assert place.version("targets") == 1


def test_dropped_delegations_are_not_found_any_more(place: Place) -> None:
    place.begin()
    mine, alice = sc.signer("client snapshot"), sc.signer("alice")

    def send(
        version: int,
        *delegations: object,
        more: dict[str, bytes] | None = None,
        root: MetadataSigner | None = None,
    ) -> None:
        expires = place.clock.now() + TARGETS_LIFETIME
        document = targets_document({}, delegations, version=version, expires=expires)  # type: ignore[arg-type]
        roles = {
            **sc.root_roles(root=role_keys(root or sc.root())),
            "snapshot": role_keys(mine),
            "timestamp": sc.RoleKeys((place.flow.key(sc.GUN, "timestamp"),), 1),
        }
        files = {
            "root": sign_metadata(
                root_document(roles, version=version, expires=expires), [sc.root(), sc.root("new")]
            ),
            "targets": sign_metadata(document, [sc.signer("targets")]),
            **(more or {}),
        }
        snapshot = snapshot_document(files, version=version, expires=expires)
        place.flow.publish(
            sc.GUN, [*files.items(), ("snapshot", sign_metadata(snapshot, [mine]))], admit=admitted
        )

    role = targets_document({}, [], version=1, expires=place.clock.now() + TARGETS_LIFETIME)
    send(2, delegation("targets/a", alice), more={"targets/a": sign_metadata(role, [alice])})
    assert place.version("targets/a") == 1
    send(3)
    with pytest.raises(TrustDataUnknown):
        place.flow.read(sc.GUN, "targets/a")
    # its version stays taken, also under root keys that never knew it
    send(4, root=sc.root("new"))
    again = {"targets/a": sign_metadata(role, [alice])}
    with pytest.raises(TrustUpdateRefused) as refused:
        send(5, delegation("targets/a", alice), more=again, root=sc.root("new"))
    assert refused.value.refusal.code == "VERSION"


# --- the feed, and what the gate reads -------------------------------------------------------------


def test_the_feed_tells_every_publish_and_pages_both_ways(place: Place) -> None:
    place.begin()
    other = "localhost:5080/shop/web"
    place.begin(other)
    place.targets(2)
    place.flow.delete(sc.GUN)
    everything = place.flow.changes("", "", 0)
    assert [(c.id, c.gun, c.version, c.category) for c in everything] == [
        (1, sc.GUN, 1, "update"),
        (2, other, 1, "update"),
        (3, sc.GUN, 2, "update"),
        (4, sc.GUN, 0, "deletion"),
    ]
    ids = {
        ("", "0", 2): [1, 2],
        ("", "2", 10): [3, 4],
        (sc.GUN, "1", 10): [3, 4],
        (other, "", 10): [2],
        ("", "-1", -2): [3, 4],
        ("", "3", -10): [1, 2],
        ("", "-1", 5): [],
        ("", "99", 5): [],
    }
    for (gun, change_id, records), expected in ids.items():
        assert [change.id for change in place.flow.changes(gun, change_id, records)] == expected
    for wrong in ("x", "-2", str(2**64), "1.5"):
        with pytest.raises(InvalidInput):
            place.flow.changes("", wrong, 1)


def test_the_gate_reads_what_is_published_under_every_name(place: Place) -> None:
    """And judges it: the chain of roots, the floors as what was seen, and the timestamp renewed."""
    assert place.flow.published(REPOSITORY) == ()
    place.begin()
    place.targets(2)
    place.rotate(2, sc.root(), sc.root("new"), root=role_keys(sc.root("new")))
    place.begin("localhost:5080/shop/web")
    place.begin("registry.test/shop/other")
    place.clock.advance(TIMESTAMP_LIFETIME.total_seconds() + 1)
    found = {data.gun: data for data in place.flow.published(REPOSITORY)}
    assert set(found) == {sc.GUN, "localhost:5080/shop/web"}
    data = found[sc.GUN]
    assert len(data.metadata.roots) == 2
    assert (data.seen["targets"], data.seen["root"]) == (2, 2)
    for root in (sc.root(), sc.root("new")):
        attestor = sc.attestor(given=sc.trust(root))
        given = {"gun": data.gun, "subject": sc.SUBJECT, "attestors": [attestor], "seen": data.seen}
        fact = judge_notary(data.metadata, tag="v1", now=place.clock.now(), **given)  # type: ignore[arg-type]
        assert fact.outcome is Outcome.VERIFIED, fact.reason
    other = replace(data.metadata, targets={**data.metadata.targets, "targets": b"{}"})
    fact = judge_notary(other, tag="v1", now=place.clock.now(), **given)  # type: ignore[arg-type]
    assert fact.outcome is Outcome.BROKEN


def test_a_registry_that_is_known_by_another_name_now(place: Place) -> None:
    """What was published under the former one is judged and renewed, and never in the way of a pull."""
    place.begin()
    place.targets(2)
    place.clock.advance(TIMESTAMP_LIFETIME.total_seconds() + 1)
    renamed = TrustFlow(
        files=place.store.trust_files,
        keys=place.store.trust_keys,
        clock=place.clock,
        hosts=frozenset({"new.example"}),
    )
    with pytest.raises(GunInvalid):
        renamed.repository(sc.GUN)
    (data,) = renamed.published(REPOSITORY)
    fact = judge_notary(
        data.metadata,
        gun=data.gun,
        tag="v1",
        subject=sc.SUBJECT,
        attestors=[sc.attestor()],
        now=place.clock.now(),
        seen=data.seen,
    )
    assert fact.outcome is Outcome.VERIFIED, fact.reason


def test_no_more_roots_are_read_than_are_judged(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.begin()
    place.rotate(2, sc.root(), sc.root("new"), root=role_keys(sc.root("new")))
    (both,) = place.flow.published(REPOSITORY)
    monkeypatch.setattr(notary, "MAX_ROOTS", 1)
    (data,) = place.flow.published(REPOSITORY)
    assert data.metadata.roots == both.metadata.roots[1:]


def test_no_more_bytes_of_roots_are_read_than_are_judged(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.begin()
    place.rotate(2, sc.root(), sc.root("new"), root=role_keys(sc.root("new")))
    (both,) = place.flow.published(REPOSITORY)
    for room, kept in ((0, 0), (-1, 1)):
        monkeypatch.setattr(notary, "MAX_CHAIN_BYTES", sum(map(len, both.metadata.roots)) + room)
        (data,) = place.flow.published(REPOSITORY)
        assert data.metadata.roots == both.metadata.roots[kept:]


def test_versions_are_remembered_only_under_keys_that_signed(place: Place) -> None:
    """Who lists another's certificate beside their own must not use up the other one's versions."""
    victim, pusher, last = sc.root(), sc.root("pusher"), 2**53 - 1
    keys = {role: sc.RoleKeys((place.flow.key(sc.GUN, role),), 1) for role in ("snapshot", "timestamp")}
    targets = sc.signer("pusher's targets")
    roles = {"root": role_keys(pusher, victim), "targets": role_keys(targets), **keys}
    later = place.clock.now() + ROOT_LIFETIME
    root = sign_metadata(root_document(roles, version=1, expires=later), [pusher])
    highest = sign_metadata(targets_document({}, [], version=last, expires=later), [targets])
    place.flow.publish(sc.GUN, [("root", root), ("targets", highest)], admit=admitted)
    place.flow.delete(sc.GUN)
    with pytest.raises(TrustUpdateRefused, match="published already"):
        place.flow.publish(sc.GUN, [("root", root), ("targets", highest)], admit=admitted)
    place.begin()
    assert place.version("targets") == 1


def test_a_stored_key_that_is_none_is_told(place: Place) -> None:
    place.begin()
    database = place.store.trust_files._database
    database.write(lambda connection: connection.execute(text("UPDATE notary_key SET sealed = x'00'")))
    with pytest.raises(StorageUnavailable):
        place.targets(2)


def test_metadata_is_stored_as_json_that_clients_read(place: Place) -> None:
    place.begin()
    stamp = json.loads(place.flow.read(sc.GUN, "timestamp").file.raw)
    assert set(stamp) == {"signed", "signatures"}
    assert set(stamp["signatures"][0]) == {"keyid", "method", "sig"}
