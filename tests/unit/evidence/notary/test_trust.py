"""The trust store's side, canonical JSON, keys, and what a signer publishes."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from tests import signing_world
from tests.unit.evidence.notary import scene as sc
from tests.unit.evidence.notary.scene import NOW
from trustgate.errors import KeyUnreadable
from trustgate.evidence.cosign_key import public_pem
from trustgate.evidence.model import Outcome
from trustgate.evidence.notary.canonical import MAX_VALUES, Malformed, encode, read_json
from trustgate.evidence.notary.fields import a_moment, is_delegation
from trustgate.evidence.notary.keys import bare_key, make_key, read_key, verifies
from trustgate.evidence.notary.metadata import (
    MAX_ROOT_BYTES,
    MAX_SIGNATURES,
    MAX_TARGETS,
    read_root,
    read_snapshot,
    read_targets,
)
from trustgate.evidence.notary.publication import Held, MetadataFile, Update
from trustgate.evidence.notary.signing import (
    add_signer,
    file_meta,
    new_repository,
    sign_metadata,
    sign_tag,
    targets_document,
)
from trustgate.evidence.notary.trust import DOCKERS_ROLES, MAX_ROLES, notary_trust
from trustgate.evidence.notary.update import decide_update

# --- the trust store -------------------------------------------------------------------------------


def test_a_key_a_certificate_and_both_ids_pin_the_same_key() -> None:
    root = sc.root()
    certificate = root.key.public
    for trust in (
        notary_trust(root_key=public_pem(root.private)),
        notary_trust(root_key=certificate),
        notary_trust(root_key_ids=[root.key.id]),
        notary_trust(root_key_ids=[root.key.canonical_id]),
    ):
        assert trust.pins(root.key)
        assert not trust.pins(sc.root("mallory").key)
        assert trust.roles == DOCKERS_ROLES
    # a certificate stands for its key: a new one of the same key is pinned too
    renewed = sc.root_signer(root.private, sc.GUN, NOW)
    assert notary_trust(root_key=certificate).pins(renewed.key)
    assert not notary_trust(root_key_ids=[root.key.id]).pins(renewed.key)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "no root key is pinned"),
        ({"root_key_ids": ["abc"]}, "'abc' is not a root key id"),
        ({"root_key_ids": ["A" * 64]}, "is not a root key id"),
        ({"root_key": b"x"}, "holds no PEM public key"),
        ({"root_key": b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"}, "not a certificate"),
        ({"root_key": sc.root().key.public * 2}, "more than one PEM block"),
        ({"root_key": sc.root().key.public + b" " * 70_000}, "at most 65536 are read"),
        ({"delegations": ["releases"]}, "'releases' is not a delegation"),
        ({"delegations": ["targets/../x"]}, "is not a delegation"),
        ({"delegations": [f"targets/r{n}" for n in range(MAX_ROLES + 1)]}, "at most 16 can be"),
        ({"gun": "a b"}, "names no repository"),
        ({"gun": "a/*/b"}, "names no repository"),
        ({"gun": "a" * 600}, "names no repository"),
    ],
)
def test_a_trust_store_that_makes_no_sense_is_refused(given: dict, reason: str) -> None:
    usual = (
        {} if not given or "root_key" in given or "root_key_ids" in given else {"root_key_ids": ["0" * 64]}
    )
    with pytest.raises(KeyUnreadable, match=reason):
        notary_trust(**usual, **given)


def test_names_and_beginnings_of_names() -> None:
    pins = ["0" * 64]
    assert notary_trust(root_key_ids=pins).is_about("anything.test/x")
    wide = notary_trust(root_key_ids=pins, gun="a.test/shop/*")
    assert wide.is_about("a.test/shop/web")
    assert not wide.is_about("a.test/shopping/web")
    exact = notary_trust(root_key_ids=pins, gun="a.test/shop")
    assert exact.is_about("a.test/shop")
    assert not exact.is_about("a.test/shop/web")


# --- canonical JSON --------------------------------------------------------------------------------


def test_canonical_json_is_what_notary_signs() -> None:
    value = {"b": [1, -2, True, False, None], "a": 'q"\\\n\u00e9<', "B": {}, "": []}
    assert encode(value) == '{"":[],"B":{},"a":"q\\"\\\\\n\u00e9<","b":[1,-2,true,false,null]}'.encode()  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1.0, 0.5, 2**53, -(2**53), "\ud800", {"x": [1e9]}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(Malformed):
        encode(value)  # type: ignore[arg-type]


# --- names and times -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("targets/a", True),
        ("targets/a-b_c/9", True),
        ("targets", False),
        ("targets/", False),
        ("targets//a", False),
        ("targets/.", False),
        ("targets/../a", False),
        ("targets/A", False),
        ("targets/a/", False),
        ("Targets/a", False),
        ("targets/a\n", False),
        ("targets/" + "a" * 248, False),
        ("targets" + "/a" * 9, False),
    ],
)
def test_names_of_delegations(role: str, allowed: bool) -> None:
    assert is_delegation(role) is allowed


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-26T12:00:00Z", NOW),
        ("2026-11-26T12:00:00.999999999Z", NOW + timedelta(microseconds=999_999)),
        ("2026-11-26T04:00:00-08:00", NOW),
        ("2116-01-11T16:58:57.119711158-08:00", datetime(2116, 1, 12, 0, 58, 57, 119711, UTC)),
        ("2026-11-26T12:00:00", None),
        ("2026-11-26 12:00:00Z", None),
        ("2026-11-26T12:00:60Z", None),
        ("2026-13-26T12:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("2026-11-26T12:00:00+99:99", None),
        ("２026-11-26T12:00:00Z", None),  # noqa: RUF001 - a wide digit, on purpose
        (5, None),
    ],
)
def test_times(text: object, moment: datetime | None) -> None:
    if moment is None:
        with pytest.raises(Malformed):
            a_moment(text, "expires")  # type: ignore[arg-type]
    else:
        assert a_moment(text, "expires") == moment  # type: ignore[arg-type]


# --- keys ------------------------------------------------------------------------------------------


def test_every_method_belongs_to_one_kind_of_key() -> None:
    content = b"content"
    rsa_key = sc.private("rsa", "rsa")
    signatures = {
        "ecdsa": json.loads(sign_metadata({"x": 1}, [sc.signer("a")]))["signatures"][0],
        "rsapss": json.loads(sign_metadata({"x": 1}, [sc.signer("a", "rsa")]))["signatures"][0],
        "eddsa": json.loads(sign_metadata({"x": 1}, [sc.signer("a", "ed25519")]))["signatures"][0],
    }
    kinds = {"ecdsa": "ec", "rsapss": "rsa", "eddsa": "ed25519"}
    for made, signature in signatures.items():
        assert signature["method"] == made
        for method in ("ecdsa", "rsapss", "rsapkcs1v15", "eddsa", "pycrypto-pkcs#1 pss", "hmac", ""):
            for kind in kinds.values():
                right = method == made and kinds[made] == kind
                value = base64.b64decode(signature["sig"])
                assert verifies(sc.signer("a", kind).key, method, value, encode({"x": 1})) is right
    pkcs1 = rsa_key.sign(content, padding.PKCS1v15(), hashes.SHA256())  # type: ignore[call-arg, arg-type]
    assert verifies(bare_key(rsa_key.public_key()), "rsapkcs1v15", pkcs1, content)  # type: ignore[arg-type]
    assert not verifies(bare_key(rsa_key.public_key()), "rsapss", pkcs1, content)  # type: ignore[arg-type]


def test_a_signature_in_asn1_is_none() -> None:
    """docker and notary write r and s side by side."""
    key = sc.private("a")
    der = key.sign(b"x", ec.ECDSA(hashes.SHA256()))  # type: ignore[call-arg, arg-type]
    assert not verifies(sc.signer("a").key, "ecdsa", der, b"x")
    assert not verifies(sc.signer("a").key, "ecdsa", bytes(64), b"x")


def test_keys_that_make_no_sense_verify_nothing_and_have_an_id() -> None:
    der = sc.signer("a").key.public
    dsa_der = (
        signing_world.key("dsa")
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    certificate = sc.root().key.public
    for kind, public in (
        ("ecdsa", b"x"),
        ("ecdsa", dsa_der),
        ("rsa", der),
        ("ed25519", der),
        ("ecdsa-x509", b"x"),
        ("rsa-x509", certificate),
        ("ecdsa-x509", certificate + certificate),
        ("dsa", dsa_der),
    ):
        key = make_key(kind, public)
        assert key.material is None
        assert len(key.id) == 64
        assert not verifies(key, "ecdsa", bytes(64), b"x")


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"keytype": "ecdsa"},
        {"keytype": "", "keyval": {"public": "eA=="}},
        {"keytype": "ecdsa", "keyval": {"public": "eA"}},
        {"keytype": "ecdsa", "keyval": {"public": "eA==\n"}},
        {"keytype": "ecdsa", "keyval": {"public": ""}},
        {"keytype": "ecdsa", "KeyVal": {}, "keyval": {"public": "eA=="}},
        {"keytype": "ecdsa", "keyval": {"public": "eA==", "private": "eA=="}},
        {"keytype": "ecdsa", "keyval": {"public": base64.b64encode(bytes(40_000)).decode()}},
    ],
)
def test_keys_of_another_form_are_refused(document: object) -> None:
    with pytest.raises(Malformed):
        read_key(document, "the key")  # type: ignore[arg-type]


# --- limits ----------------------------------------------------------------------------------------


def _targets(**changed: object) -> bytes:
    document = sc.scene().documents["targets"]
    return json.dumps({"signed": {**document, **changed}, "signatures": []}).encode()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (_targets(targets={f"t{n}": {} for n in range(MAX_TARGETS + 1)}), "at most 20000 are read"),
        (_targets(targets={"t": {"length": -1, "hashes": {"sha256": "eA=="}}}), "does not have 32 bytes"),
        (_targets(targets={"t": {"length": 1, "hashes": {"md5": "eA=="}}}), "neither a sha256 nor a sha512"),
        (_targets(targets={"t": {"length": 1, "hashes": []}}), "is not an object"),
        (
            _targets(
                targets={"t": {"length": -1, "hashes": {"sha512": base64.b64encode(bytes(64)).decode()}}}
            ),
            "is -1",
        ),
        (_targets(targets=[]), "is not an object"),
        (_targets(delegations={"keys": {}, "roles": {}}), "is not a list"),
        (_targets(delegations={"keys": {str(n): {} for n in range(300)}, "roles": []}), "at most 256"),
        (_targets(custom=[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]), "nested deeper"),
        (b" " * (9 * 1024 * 1024), "at most 8388608 are read"),
        (b"[]", "is not an object"),
        (b'{"signed": [], "signatures": []}', "is not an object"),
    ],
)
def test_limits_of_targets(raw: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read_targets("targets", raw)


def test_a_root_is_small() -> None:
    raw = json.dumps({"signed": sc.scene().documents["root"], "signatures": []}).encode()
    read_root(raw.ljust(MAX_ROOT_BYTES))
    with pytest.raises(Malformed, match=f"at most {MAX_ROOT_BYTES} are read"):
        read_root(raw.ljust(MAX_ROOT_BYTES + 1))


def test_the_number_of_values_is_bounded_before_they_are_read() -> None:
    """Eight megabytes of ``[0,0,…]`` took seconds to read, and as long again to write in canonical form."""
    read_json(b"[" + b"0," * MAX_VALUES + b"0]")
    with pytest.raises(Malformed, match=f"more than {MAX_VALUES} values"):
        read_json(b"[" + b"0," * (MAX_VALUES + 1) + b"0]")


def test_twenty_thousand_tags_fit() -> None:
    named = {f"release-{n}": sc.meta(b"%d" % n) for n in range(MAX_TARGETS)}
    document = targets_document(named, [], version=1, expires=sc.LATER)
    assert (
        len(read_targets("targets", sign_metadata(document, [sc.signer("targets")])).targets) == MAX_TARGETS
    )


def test_limits_of_signatures_and_paths() -> None:
    signed = sc.scene().documents["targets"]
    many = [{"keyid": "x", "method": "ecdsa", "sig": "eA=="}] * (MAX_SIGNATURES + 1)
    with pytest.raises(Malformed, match="at most 64"):
        read_targets("targets", json.dumps({"signed": signed, "signatures": many}).encode())
    long = [{**many[0], "sig": base64.b64encode(bytes(1025)).decode()}]
    with pytest.raises(Malformed, match="not base64 of 1 to 1024"):
        read_targets("targets", json.dumps({"signed": signed, "signatures": long}).encode())
    signed["delegations"]["roles"][0]["paths"] = [1]
    with pytest.raises(Malformed, match="not a string"):
        read_targets("targets", json.dumps({"signed": signed, "signatures": []}).encode())


def test_root_roles_in_other_spelling_are_refused() -> None:
    document = sc.scene().documents["root"]
    document["roles"]["Root"] = document["roles"]["root"]
    with pytest.raises(Malformed, match="spelled 'root'"):
        read_root(json.dumps({"signed": document, "signatures": []}).encode())


def test_a_snapshot_lists_root_and_targets() -> None:
    document = {"_type": "Snapshot", "version": 1, "expires": "2027-01-01T00:00:00Z", "meta": {}}
    with pytest.raises(Malformed, match="does not list root"):
        read_snapshot(json.dumps({"signed": document, "signatures": []}).encode())


# --- what a signer publishes -----------------------------------------------------------------------


def test_a_signer_publishes_and_the_judge_agrees() -> None:
    """Root and targets, a signer, a tag, another tag: each is taken by the server, and verified."""
    root, targets, alice = sc.root(), sc.signer("targets"), sc.signer("alice")
    held = Held(sc.GUN, {}, [sc.signer("snapshot"), sc.signer("timestamp")])

    def publish(files: dict[str, bytes], held: Held) -> Held:
        update = decide_update(held, tuple(files.items()), NOW)
        assert isinstance(update, Update), update
        return Held(sc.GUN, {**held.files, **{file.role: file for file in update.files}}, held.signers)

    first = new_repository(
        root, targets, snapshot=sc.signer("snapshot").key, timestamp=sc.signer("timestamp").key, now=NOW
    )
    held = publish(first, held)
    current = read_targets("targets", held.files["targets"].raw)
    held = publish({"targets": add_signer(current, "alice", (alice.key,), targets, NOW)}, held)
    # a second key of the same signer adds to the first
    current = read_targets("targets", held.files["targets"].raw)
    held = publish({"targets": add_signer(current, "alice", (sc.signer("new").key,), targets, NOW)}, held)
    for tag, content in (("v1", sc.MANIFEST), ("v2", b"another")):
        files = {role: file.raw for role, file in held.files.items()}
        held = publish(sign_tag("alice", tag, file_meta(content), current=files, by=alice, now=NOW), held)
    raw = {role: file.raw for role, file in held.files.items()}
    metadata = sc.MetadataSet((raw.pop("root"),), raw.pop("timestamp"), raw.pop("snapshot"), raw)
    for roles in ((), ("targets/alice",), ("targets/releases",)):
        fact = sc.weigh(
            metadata,
            gun=sc.GUN,
            tag="v1",
            subject=sc.SUBJECT,
            attestors=[sc.attestor(given=sc.trust(roles=roles))],
            now=NOW,
            seen={},
        ).fact
        assert fact.outcome is Outcome.VERIFIED, fact.reason
    assert isinstance(held.files["targets/alice"], MetadataFile)
