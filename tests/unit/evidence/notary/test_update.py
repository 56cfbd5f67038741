"""What the server takes: notary-server's ``validation_test`` and the swizzler's cases as one table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.evidence.notary import scene as sc
from tests.unit.evidence.notary.scene import NOW, delegation, meta, role_keys
from trustgate.evidence.notary.metadata import read_snapshot, read_targets, read_timestamp
from trustgate.evidence.notary.publication import Held, MetadataFile, Refusal, Update
from trustgate.evidence.notary.server_signed import current_key, refresh
from trustgate.evidence.notary.signing import (
    TIMESTAMP_LIFETIME,
    MetadataSigner,
    root_document,
    sign_metadata,
    snapshot_document,
    targets_document,
)
from trustgate.evidence.notary.update import MAX_UPLOADED_FILES, decide_update
from trustgate.evidence.notary.verify import check_content, check_signatures

FAR = NOW + timedelta(days=3000)


@dataclass
class Desk:
    """A client that signs what it is told, and a server that holds what was published."""

    held: Held = field(
        default_factory=lambda: Held(sc.GUN, {}, [sc.signer("snapshot"), sc.signer("timestamp")])
    )
    now: datetime = NOW

    def send(self, *files: tuple[str, bytes]) -> Update | Refusal:
        return decide_update(self.held, files, self.now)

    def publish(self, *files: tuple[str, bytes]) -> Update:
        """Send, and keep what comes of it as the store does."""
        decided = self.send(*files)
        assert isinstance(decided, Update), decided
        kept = {role: file for role, file in self.held.files.items() if role not in decided.dropped}
        self.held = replace(self.held, files={**kept, **{file.role: file for file in decided.files}})
        return decided

    def refused(self, *files: tuple[str, bytes]) -> Refusal:
        decided = self.send(*files)
        assert isinstance(decided, Refusal), decided
        return decided


def root_file(
    version: int = 1,
    *signers: MetadataSigner,
    expires: datetime = FAR,
    edit: Callable[[dict], None] | None = None,
    **roles: Any,
) -> tuple[str, bytes]:
    document = root_document(sc.root_roles(**roles), version=version, expires=expires)
    if edit:
        edit(document)
    return "root", sign_metadata(document, signers or [sc.root()])


def targets_file(
    version: int = 1,
    *delegations: Any,
    role: str = "targets",
    by: MetadataSigner | None = None,
    expires: datetime = FAR,
    edit: Callable[[dict], None] | None = None,
) -> tuple[str, bytes]:
    document = targets_document({"v1": meta()}, delegations, version=version, expires=expires)
    if edit:
        edit(document)
    return role, sign_metadata(document, [by or sc.signer("targets")])


def snapshot_file(
    files: dict[str, bytes], version: int = 1, by: MetadataSigner | None = None, expires: datetime = FAR
) -> tuple[str, bytes]:
    document = snapshot_document(files, version=version, expires=expires)
    return "snapshot", sign_metadata(document, [by or sc.signer("client snapshot")])


@pytest.fixture
def desk() -> Desk:
    """Root and targets are published; the server signs snapshots."""
    made = Desk()
    made.publish(root_file(), targets_file(1, delegation("targets/releases", sc.signer("alice"))))
    return made


def own_snapshot() -> Desk:
    """A repository whose client signs the snapshots."""
    made = Desk()
    files = [root_file(snapshot=role_keys(sc.signer("client snapshot"))), targets_file()]
    made.publish(*files, snapshot_file(dict(files)))
    return made


# --- what is taken ---------------------------------------------------------------------------------


def test_first_publish_gets_a_snapshot_and_a_timestamp() -> None:
    desk = Desk()
    files = [root_file(), targets_file()]
    update = desk.publish(*files)
    assert [(file.role, file.version) for file in update.files] == [
        ("root", 1),
        ("targets", 1),
        ("snapshot", 1),
        ("timestamp", 1),
    ]
    assert update.root_key_ids == (sc.root().key.id,)
    made = {file.role: file.raw for file in update.files}
    assert made["root"] == files[0][1]  # byte for byte
    snapshot, stamp = read_snapshot(made["snapshot"]), read_timestamp(made["timestamp"])
    check_signatures(snapshot.signed, role_keys(sc.signer("snapshot")))
    check_signatures(stamp.signed, role_keys(sc.signer("timestamp")))
    check_content(made["snapshot"], stamp.meta["snapshot"], "snapshot")
    assert set(snapshot.meta) == {"root", "targets"}
    assert stamp.signed.expires == NOW + TIMESTAMP_LIFETIME


def test_what_was_published_is_verified_by_the_judge(desk: Desk) -> None:
    desk.publish(targets_file(1, role="targets/releases", by=sc.signer("alice")))
    files = {role: file.raw for role, file in desk.held.files.items()}
    metadata = sc.MetadataSet((files.pop("root"),), files.pop("timestamp"), files.pop("snapshot"), files)
    found = sc.weigh(
        metadata, gun=sc.GUN, tag="v1", subject=sc.SUBJECT, attestors=[sc.attestor()], now=NOW, seen={}
    )
    assert found.fact.outcome == "verified", found.fact.reason


def test_versions_of_server_signed_files_rise_with_each_publish(desk: Desk) -> None:
    for version in (2, 3, 4):
        update = desk.publish(targets_file(version))
        assert {file.role: file.version for file in update.files} == dict.fromkeys(
            ("targets", "snapshot", "timestamp"), version
        )


def test_a_delegation_alone_and_with_its_parent(desk: Desk) -> None:
    desk.publish(targets_file(1, role="targets/releases", by=sc.signer("alice")))
    team = delegation("targets/releases/team", sc.signer("bob"))
    deep = targets_file(1, role="targets/releases/team", by=sc.signer("bob"))
    assert "does not delegate" in desk.refused(deep).reason
    update = desk.publish(deep, targets_file(2, team, role="targets/releases", by=sc.signer("alice")))
    snapshot = next(file for file in update.files if file.role == "snapshot")
    assert set(read_snapshot(snapshot.raw).meta) == {
        "root",
        "targets",
        "targets/releases",
        "targets/releases/team",
    }


def test_root_rotation_signed_by_old_and_new(desk: Desk) -> None:
    new = sc.root("new")
    desk.publish(root_file(2, sc.root(), new, root=role_keys(new)))
    desk.publish(root_file(3, new, root=role_keys(new)))
    # the first key has no say any more
    refused = desk.refused(root_file(4, sc.root(), root=role_keys(sc.root())))
    assert (refused.kind, "not signed by the keys of version 3" in refused.reason) == ("ErrBadRoot", True)


def test_thresholds_of_both_roots_count(desk: Desk) -> None:
    pair = (sc.root("one"), sc.root("two"))
    two = role_keys(*pair, threshold=2)
    assert "1 valid signatures" in desk.refused(root_file(2, sc.root(), pair[0], root=two)).reason
    desk.publish(root_file(2, sc.root(), *pair, root=two))
    back = role_keys(sc.root("three"))
    assert desk.refused(root_file(3, sc.root("three"), pair[0], root=back)).kind == "ErrBadRoot"
    desk.publish(root_file(3, sc.root("three"), *pair, root=back))


def test_rotated_server_keys_sign_once_a_root_names_them(desk: Desk) -> None:
    pending = sc.signer("pending")
    desk.held = replace(desk.held, signers=[*desk.held.signers, pending])
    keys = [one.key for one in desk.held.signers]
    assert current_key(desk.held, "snapshot", keys) == sc.signer("snapshot").key
    update = desk.publish(root_file(2, snapshot=role_keys(pending)))
    snapshot = next(file for file in update.files if file.role == "snapshot")
    check_signatures(read_snapshot(snapshot.raw).signed, role_keys(pending))
    assert current_key(desk.held, "snapshot", keys) == pending.key


def test_a_clients_snapshot_is_kept_as_it_came() -> None:
    desk = own_snapshot()
    files = {role: file.raw for role, file in desk.held.files.items() if role in {"root", "targets"}}
    targets = targets_file(2)
    sent = snapshot_file({**files, "targets": targets[1]}, 2)
    assert MetadataFile("snapshot", 2, sent[1]) in desk.publish(targets, sent).files


def test_a_clients_snapshot_may_take_a_delegation_back() -> None:
    desk = own_snapshot()
    targets = targets_file(2, delegation("targets/a", sc.signer("alice")))
    role = targets_file(1, role="targets/a", by=sc.signer("alice"))
    root = desk.held.files["root"].raw
    desk.publish(targets, role, snapshot_file({"root": root, "targets": targets[1], "targets/a": role[1]}, 2))
    without = targets_file(3)
    update = desk.publish(without, snapshot_file({"root": root, "targets": without[1]}, 3))
    assert update.dropped == ("targets/a",)


def test_an_uploaded_timestamp_is_ignored(desk: Desk) -> None:
    forged = desk.held.files["timestamp"].raw
    update = desk.publish(targets_file(2), ("timestamp", forged))
    assert next(file for file in update.files if file.role == "timestamp").version == 2


# --- what is refused -------------------------------------------------------------------------------

Send = Callable[[Desk], list[tuple[str, bytes]]]


def _threshold(role: str, value: int) -> Callable[[dict], None]:
    return lambda document: document["roles"][role].update(threshold=value)


def _without(role: str) -> Callable[[dict], None]:
    return lambda document: document["roles"].pop(role)


def _renamed(kind: str) -> Callable[[dict], None]:
    return lambda document: document.update(_type=kind)


def _cut(file: tuple[str, bytes]) -> tuple[str, bytes]:
    return file[0], file[1][:-1]


def _edited(file: tuple[str, bytes], edit: Callable[[dict], None]) -> tuple[str, bytes]:
    return file[0], sc.rewritten(edit)(file[1])


MALLORY = sc.signer("mallory")
REFUSED: dict[str, tuple[Send, str, str, str]] = {
    # root
    "root version skips": (lambda d: [root_file(3)], "INVALID_UPDATE", "ErrBadRoot", "Current 1, new 3"),
    "root version again": (lambda d: [root_file(1)], "VERSION", "", "root version 1 is not above 1"),
    "root without old signature": (
        lambda d: [root_file(2, sc.root("new"), root=role_keys(sc.root("new")))],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "not signed by the keys of version 1",
    ),
    "root without its own signature": (
        lambda d: [root_file(2, sc.root(), root=role_keys(sc.root("new")))],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "0 valid signatures",
    ),
    "root unsigned": (
        lambda d: [_edited(root_file(2), lambda x: x.update(signatures=[]))],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "0 valid",
    ),
    "root expired": (
        lambda d: [root_file(2, expires=NOW)],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "the root expired at",
    ),
    "root certificate of another name": (
        lambda d: [
            root_file(
                2, sc.root("x", "other.test/x"), sc.root(), root=role_keys(sc.root("x", "other.test/x"))
            )
        ],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "no valid certificate in the name of",
    ),
    "root with bare keys": (
        lambda d: [root_file(2, sc.signer("root"), sc.root(), root=role_keys(sc.signer("root")))],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "no valid certificate",
    ),
    "timestamp key not the server's": (
        lambda d: [root_file(2, timestamp=role_keys(MALLORY))],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "no timestamp keys exist on the server",
    ),
    "timestamp threshold beyond the server": (
        lambda d: [root_file(2, timestamp=role_keys(sc.signer("timestamp"), threshold=2))],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "no timestamp keys exist on the server",
    ),
    **{
        f"{role} threshold 0": (
            lambda d, role=role: [root_file(2, edit=_threshold(role, 0))],
            "INVALID_UPDATE",
            "ErrBadRoot",
            f"threshold of the role {role} is 0",
        )
        for role in sc.ROLES
    },
    **{
        f"{role} role missing": (
            lambda d, role=role: [root_file(2, edit=_without(role))],
            "INVALID_UPDATE",
            "ErrBadRoot",
            f"the role {role} is not an object",
        )
        for role in sc.ROLES
    },
    "root is not a root": (
        lambda d: [root_file(2, edit=_renamed("Targets"))],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "expected 'Root'",
    ),
    "root takes targets keys away": (
        lambda d: [root_file(2, targets=role_keys(sc.signer("new targets")))],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "0 valid signatures",
    ),
    "root version 2^63": (
        lambda d: [("root", sc.replaced('"version":2', '"version":9223372036854775808')(root_file(2)[1]))],
        "INVALID_UPDATE",
        "ErrBadRoot",
        "2^53",
    ),
    # targets and delegations
    "targets version again": (lambda d: [targets_file(1)], "VERSION", "", "targets version 1 is not above 1"),
    "targets by another": (
        lambda d: [targets_file(2, by=MALLORY)],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "0 valid signatures",
    ),
    "targets expired": (
        lambda d: [targets_file(2, expires=NOW)],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "expired at",
    ),
    "targets is a snapshot": (
        lambda d: [targets_file(2, edit=_renamed("Snapshot"))],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "expected 'Targets'",
    ),
    "targets changed after signing": (
        lambda d: [_edited(targets_file(2), lambda x: x["signed"].update(version=9))],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "0 valid signatures",
    ),
    "delegation unknown to its parent": (
        lambda d: [targets_file(1, role="targets/other", by=sc.signer("alice"))],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "targets does not delegate to targets/other",
    ),
    "delegation taken away in the same publish": (
        lambda d: [targets_file(2), targets_file(1, role="targets/releases", by=sc.signer("alice"))],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "does not delegate",
    ),
    "delegation by another": (
        lambda d: [targets_file(1, role="targets/releases", by=MALLORY)],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "0 valid signatures",
    ),
    "delegation expired": (
        lambda d: [targets_file(1, role="targets/releases", by=sc.signer("alice"), expires=NOW)],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "expired",
    ),
    "delegation whose parent is not there": (
        lambda d: [targets_file(1, role="targets/releases/x", by=sc.signer("alice"))],
        "INVALID_UPDATE",
        "ErrBadTargets",
        "targets/releases is not there",
    ),
    "empty targets file": (lambda d: [("targets", b"")], "MALFORMED_JSON", "", "is not JSON"),
    # snapshot
    "snapshot not by the server's key": (
        lambda d: [targets_file(2), snapshot_file({}, 2)],
        "INVALID_UPDATE",
        "ErrBadSnapshot",
        "does not list root",
    ),
    # the upload itself
    "invalid JSON": (lambda d: [_cut(targets_file(2))], "MALFORMED_JSON", "", "targets is not JSON"),
    "duplicate keys": (
        lambda d: [("targets", sc.replaced('"version":2', '"version":2,"version":2')(targets_file(2)[1]))],
        "MALFORMED_JSON",
        "",
        "twice",
    ),
    "no files": (lambda d: [], "MALFORMED_UPLOAD", "", "no files"),
    "only a timestamp": (
        lambda d: [("timestamp", b"{}")],
        "MALFORMED_UPLOAD",
        "",
        "no files",
    ),
    "no file name": (lambda d: [("", b"{}")], "NO_FILENAME", "", "no file name"),
    "only an extension": (lambda d: [(".json", b"{}")], "NO_FILENAME", "", "no file name"),
    "role with ../": (lambda d: [("targets/../root", b"{}")], "INVALID_ROLE", "", "is no role"),
    "role of nobody": (lambda d: [("mirrors", b"{}")], "INVALID_ROLE", "", "is no role"),
    "wildcard role": (lambda d: [("targets/*", b"{}")], "INVALID_ROLE", "", "is no role"),
    "a role twice": (lambda d: [targets_file(2), targets_file(3)], "MALFORMED_UPLOAD", "", "uploaded twice"),
    "too many files": (
        lambda d: [(f"targets/r{n}", b"{}") for n in range(MAX_UPLOADED_FILES + 1)],
        "MALFORMED_UPLOAD",
        "",
        "more than 64 files",
    ),
    "more roles than are kept": (
        lambda d: [
            targets_file(2, *(delegation(f"targets/r{n}", sc.signer("alice")) for n in range(60))),
            *(targets_file(1, role=f"targets/r{n}", by=sc.signer("alice")) for n in range(60)),
        ],
        "INVALID_UPDATE",
        "ErrValidation",
        "at most 50 roles",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_update_is_refused(name: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trustgate.evidence.notary.update.MAX_PUBLISHED_ROLES", 50)
    send, code, kind, reason = REFUSED[name]
    refused = desk.refused(*send(desk))
    assert (refused.code, refused.kind) == (code, kind), refused.reason
    assert reason in refused.reason


SNAPSHOTS: dict[str, tuple[Callable[[dict[str, bytes]], tuple[str, bytes]], str, str]] = {
    "by another": (lambda f: snapshot_file(f, 2, MALLORY), "INVALID_UPDATE", "0 valid signatures"),
    "by the server": (
        lambda f: snapshot_file(f, 2, sc.signer("snapshot")),
        "INVALID_UPDATE",
        "0 valid signatures",
    ),
    "version again": (lambda f: snapshot_file(f, 1), "VERSION", "snapshot version 1 is not above 1"),
    "expired": (lambda f: snapshot_file(f, 2, expires=NOW), "INVALID_UPDATE", "the snapshot expired"),
    "older targets": (
        lambda f: snapshot_file({**f, "targets": b"old"}, 2),
        "INVALID_UPDATE",
        "the targets has",
    ),
    "other root": (lambda f: snapshot_file({**f, "root": b"old"}, 2), "INVALID_UPDATE", "the root has"),
    "without targets": (
        lambda f: snapshot_file({"root": f["root"]}, 2),
        "INVALID_UPDATE",
        "does not list targets",
    ),
    "lists what is not there": (
        lambda f: snapshot_file({**f, "targets/x": b"x"}, 2),
        "INVALID_UPDATE",
        "targets/x, which is neither",
    ),
    "same size, other hash": (
        lambda f: snapshot_file({**f, "targets": bytes(len(f["targets"]))}, 2),
        "INVALID_UPDATE",
        "does not match the sha256",
    ),
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_clients_snapshot_is_refused(name: str) -> None:
    desk = own_snapshot()
    targets = targets_file(2)
    make, code, reason = SNAPSHOTS[name]
    sent = make({"root": desk.held.files["root"].raw, "targets": targets[1]})
    refused = desk.refused(targets, sent)
    assert (refused.code, reason in refused.reason) == (code, True), refused.reason


def test_a_snapshot_must_list_what_is_uploaded_with_it() -> None:
    desk = own_snapshot()
    targets = targets_file(2, delegation("targets/a", sc.signer("alice")))
    role = targets_file(1, role="targets/a", by=sc.signer("alice"))
    files = {"root": desk.held.files["root"].raw, "targets": targets[1]}
    assert "does not list targets/a" in desk.refused(targets, role, snapshot_file(files, 2)).reason


def test_without_a_snapshot_and_without_its_key() -> None:
    refused = own_snapshot().refused(targets_file(2))
    assert refused.detail == {
        "Name": "ErrBadHierarchy",
        "Error": {"Missing": "snapshot", "Msg": refused.reason},
    }
    assert "server does not hold current snapshot key" in refused.reason


def test_nothing_begins_without_a_root_or_without_targets() -> None:
    assert "no root provided" in Desk().refused(targets_file()).reason
    assert "no targets" in Desk().refused(root_file()).reason
    assert "begins with root version 1 or 2" in Desk().refused(root_file(3), targets_file()).reason
    Desk().publish(root_file(2), targets_file(5))


def test_versions_from_before_a_deletion_are_not_given_again() -> None:
    floors = {"root": 2, "targets": 7, "snapshot": 9, "timestamp": 30}
    desk = Desk(Held(sc.GUN, {}, [sc.signer("snapshot"), sc.signer("timestamp")], floors))
    assert desk.refused(root_file(2), targets_file(8)).code == "VERSION"
    assert desk.refused(root_file(3), targets_file(7)).code == "VERSION"
    update = desk.publish(root_file(3), targets_file(8))
    assert {file.role: file.version for file in update.files} == {
        "root": 3,
        "targets": 8,
        "snapshot": 10,
        "timestamp": 31,
    }


def test_a_version_that_has_no_successor_is_told() -> None:
    desk = Desk()
    desk.held = replace(desk.held, floors={"snapshot": 2**53 - 1})
    assert "2^53" in desk.refused(root_file(), targets_file()).reason


# --- renewal ---------------------------------------------------------------------------------------


def test_an_expired_timestamp_is_signed_anew(desk: Desk) -> None:
    assert refresh(desk.held, NOW + TIMESTAMP_LIFETIME - timedelta(microseconds=1)) is None
    later = NOW + TIMESTAMP_LIFETIME
    update = refresh(desk.held, later)
    assert update is not None
    (stamp,) = update.files
    assert (stamp.role, stamp.version) == ("timestamp", 2)
    read = read_timestamp(stamp.raw)
    assert read.signed.expires == later + TIMESTAMP_LIFETIME
    check_content(desk.held.files["snapshot"].raw, read.meta["snapshot"], "snapshot")


def test_an_expired_snapshot_is_made_anew_only_by_its_own_key() -> None:
    much_later = NOW + timedelta(days=3 * 365)
    desk = Desk()
    desk.publish(root_file(expires=much_later + timedelta(days=1)), targets_file())
    update = refresh(desk.held, much_later)
    assert update is not None
    assert [(file.role, file.version) for file in update.files] == [("snapshot", 2), ("timestamp", 2)]
    assert refresh(own_snapshot().held, FAR) is None


def test_nothing_is_renewed_under_an_expired_root(desk: Desk) -> None:
    assert refresh(desk.held, FAR) is None


def test_nothing_is_renewed_where_nothing_is() -> None:
    assert refresh(Desk().held, NOW) is None
    broken = {role: MetadataFile(role, 1, b"{}") for role in ("root", "snapshot", "timestamp")}
    assert refresh(Held(sc.GUN, broken, []), NOW) is None


def test_details_are_what_the_notary_client_reads() -> None:
    plain = Refusal("VERSION", "too old")
    assert (plain.detail, plain.message) == ("too old", "A newer version of metadata is already available.")
    named = Refusal("INVALID_UPDATE", "bad", "ErrBadRoot")
    assert json.dumps(named.detail) == '{"Name": "ErrBadRoot", "Error": {"Msg": "bad"}}'


def test_the_newest_key_waits_for_the_first_root() -> None:
    keys = [sc.signer("one").key, sc.signer("two").key]
    assert current_key(Desk().held, "snapshot", keys) == keys[1]
    assert current_key(Desk().held, "snapshot", []) is None


def test_read_targets_of_what_is_published(desk: Desk) -> None:
    assert set(read_targets("targets", desk.held.files["targets"].raw).delegations) == {"targets/releases"}
