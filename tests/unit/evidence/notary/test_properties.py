"""Whatever the bytes are: no exception, no yes for changed bytes, and taking a fact away never helps."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.evidence.notary import scene as sc
from tests.unit.evidence.notary.scene import LATER, NOW, meta
from trustgate.evidence.model import Outcome
from trustgate.evidence.notary.canonical import Malformed
from trustgate.evidence.notary.judge import MAX_REASON_CHARACTERS, Judgement, MetadataSet
from trustgate.evidence.notary.keys import make_key, read_key
from trustgate.evidence.notary.metadata import read_root, read_snapshot, read_targets, read_timestamp
from trustgate.evidence.notary.publication import Held, MetadataFile, Refusal, Update
from trustgate.evidence.notary.signing import MetadataSigner
from trustgate.evidence.notary.update import decide_update, root_key_ids

SCENE = sc.scene()
BUILT = SCENE.build()
FILES = {"root": BUILT.roots[0], "timestamp": BUILT.timestamp, "snapshot": BUILT.snapshot, **BUILT.targets}
few = settings(max_examples=150, deadline=None)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


def mutated(raw: bytes) -> st.SearchStrategy[bytes]:
    edits = st.tuples(st.integers(0, len(raw)), st.integers(0, 3), st.binary(max_size=3))

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        result = raw
        for at, length, new in changes:
            result = result[:at] + new + result[at + length :]
        return result

    return st.lists(edits, min_size=1, max_size=4).map(apply)


def with_file(role: str, raw: bytes | None) -> MetadataSet:
    files = {**FILES, role: raw or b""}
    if raw is None and role in BUILT.targets:
        del files[role]
    targets = {name: content for name, content in files.items() if name.startswith("targets")}
    return MetadataSet((files["root"],), files["timestamp"], files["snapshot"], targets)


def judged(metadata: MetadataSet, tag: str | None = "v1") -> Judgement:
    found = sc.weigh(
        metadata, gun=sc.GUN, tag=tag, subject=sc.SUBJECT, attestors=[sc.attestor()], now=NOW, seen={}
    )
    assert found.fact.reason.isascii()
    assert found.fact.reason.isprintable()
    assert 0 < len(found.fact.reason) <= MAX_REASON_CHARACTERS
    return found


@few
@given(st.data())
def test_a_changed_file_is_never_verified(data: st.DataObject) -> None:
    role = data.draw(st.sampled_from(sorted(FILES)))
    raw = data.draw(mutated(FILES[role]))
    if judged(with_file(role, raw)).fact.outcome is Outcome.VERIFIED:
        # the timestamp is the one file whose bytes nobody lists: its content is what is signed
        assert raw == FILES[role] or (
            role == "timestamp" and json.loads(raw)["signed"] == json.loads(FILES[role])["signed"]
        )


@few
@given(
    st.sampled_from(sorted(FILES)),
    st.binary(max_size=300) | json_values.map(lambda v: json.dumps(v).encode()),
)
def test_any_bytes_for_any_file(role: str, raw: bytes) -> None:
    assert judged(with_file(role, raw)).fact.outcome is not Outcome.VERIFIED


@few
@given(st.sampled_from(["signed", "signatures"]), json_values, st.sampled_from(sorted(FILES)))
def test_any_value_in_any_place_of_the_envelope(key: str, value: object, role: str) -> None:
    raw = json.dumps({**json.loads(FILES[role]), key: value}).encode()
    assert judged(with_file(role, raw)).fact.outcome is not Outcome.VERIFIED


@few
@given(st.sampled_from(["_type", "version", "expires", "targets", "delegations"]), json_values)
def test_any_value_in_any_place_of_signed_targets(key: str, value: Any) -> None:
    """Even those who may sign can't make the judge raise."""
    scene = sc.scene()
    scene.documents["targets"][key] = value
    try:
        built = scene.build()
    except Malformed:
        return  # it has no canonical form: nobody can sign it
    judged(built)


@few
@given(
    st.binary(max_size=300)
    | json_values.map(lambda value: json.dumps(value).encode())
    | mutated(FILES["root"])
)
def test_parsers_raise_nothing_of_their_own(raw: bytes) -> None:
    for parse in (read_root, read_snapshot, read_timestamp, root_key_ids):
        with suppress(Malformed):
            parse(raw)
    with suppress(Malformed):
        read_targets("targets", raw)


@few
@given(st.sampled_from(["ecdsa", "ecdsa-x509", "rsa", "rsa-x509", "ed25519"]), st.data())
def test_any_bytes_as_a_key(kind: str, data: st.DataObject) -> None:
    known = {"ecdsa-x509": sc.root().key.public, "ecdsa": sc.signer("a").key.public}
    raw = data.draw(st.binary(min_size=1, max_size=200) | mutated(known.get(kind, b"x" * 40)))
    document: Any = {"keytype": kind, "keyval": {"public": base64.b64encode(raw).decode()}}
    with suppress(Malformed):
        key = read_key(document, "the key")
        scene = sc.scene()
        root = scene.documents["root"]
        if key.id in root["keys"]:
            return
        root["keys"][key.id] = key.as_json()
        root["roles"]["root"]["keyids"].append(key.id)
        assert judged(scene.build()).fact.outcome is Outcome.VERIFIED  # one more key, threshold 1


@few
@given(st.data())
def test_any_certificate_as_a_root_key(data: st.DataObject) -> None:
    """Certificates that parse in part, or whose names, times and extensions can't be read."""
    der = base64.b64decode(b"".join(sc.root().key.public.split(b"-----")[2].split()))
    text = base64.b64encode(data.draw(mutated(der)))
    key = make_key("ecdsa-x509", b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % text)
    scene = sc.scene()
    scene.documents["root"] = sc.root_document(
        sc.root_roles(root=sc.RoleKeys((key,), 1)), version=1, expires=LATER
    )
    scene.signers["root"] = [MetadataSigner(key, sc.private("root"))]
    scene.attestors = [sc.attestor(given=sc.notary_trust(root_key_ids=[key.id]))]
    fact = scene.weigh().fact
    assert fact.outcome in {Outcome.VERIFIED, Outcome.BROKEN}, fact.reason


@few
@given(st.sampled_from(sorted(FILES)), st.sampled_from(["v1", "old", "v2", None]))
def test_taking_a_file_away_never_turns_a_no_into_a_yes(role: str, tag: str | None) -> None:
    scene = sc.scene()
    # the trap: ``targets`` names the digest, ``targets/releases`` names the tag otherwise
    scene.documents["targets"]["targets"] = sc.targets_document({"v1": meta()}, [], version=1, expires=LATER)[
        "targets"
    ]
    scene.documents["targets/releases"]["targets"] = sc.targets_document(
        {"v1": meta(b"other")}, [], version=1, expires=LATER
    )["targets"]
    whole = scene.build()
    targets = {name: raw for name, raw in whole.targets.items() if name != role}
    less = MetadataSet(
        whole.roots if role != "root" else (),
        whole.timestamp if role != "timestamp" else b"",
        whole.snapshot if role != "snapshot" else b"",
        targets,
    )
    assert judged(whole, tag).fact.outcome is not Outcome.VERIFIED
    assert judged(less, tag).fact.outcome is not Outcome.VERIFIED


@few
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["root", "targets", "snapshot", "timestamp", "targets/a", "", "..", "x.json"]),
            st.binary(max_size=80) | st.sampled_from(sorted(FILES.values())).flatmap(mutated),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_no_upload_makes_the_server_raise(uploaded: list[tuple[str, bytes]], held: bool) -> None:
    files = {role: MetadataFile(role, 1, raw) for role, raw in FILES.items()} if held else {}
    signers = [sc.signer("snapshot"), sc.signer("timestamp")]
    decided = decide_update(Held(sc.GUN, files, signers), uploaded, NOW)
    assert isinstance(decided, Update | Refusal)
    if isinstance(decided, Refusal):
        json.dumps(decided.detail)
