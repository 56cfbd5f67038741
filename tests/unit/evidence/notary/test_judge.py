"""Attacks on Notary v1 metadata: each is denied, and says why. The untouched scene is verified."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from tests.unit.evidence.notary import scene as sc
from tests.unit.evidence.notary.scene import LATER, NOW, Scene, attestor, delegation, meta, role_keys
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign_key import public_pem
from trustgate.evidence.keys import key_trust
from trustgate.evidence.model import Outcome, SignatureKind, Subject
from trustgate.evidence.notary.keys import certificate_key
from trustgate.evidence.notary.signing import (
    MetadataSigner,
    root_document,
    sign_metadata,
    targets_document,
)
from trustgate.oci.digest import Digest

Change = Callable[[Scene], None]


def _root(scene: Scene, *signers: MetadataSigner, version: int = 1, **roles: object) -> None:
    scene.documents["root"] = root_document(
        sc.root_roles(**roles),  # type: ignore[arg-type]
        version=version,
        expires=LATER,
    )
    scene.signers["root"] = list(signers) or [sc.root()]


def _set(role: str, key: str, value: object) -> Change:
    def change(scene: Scene) -> None:
        scene.documents[role][key] = value

    return change


def _expired(role: str) -> Change:
    def change(scene: Scene) -> None:
        text = NOW.isoformat().replace("+00:00", "Z")
        if role in scene.documents:
            scene.documents[role]["expires"] = text
        else:
            scene.resealed[role] = _resigned(scene, role, lambda signed: signed.update(expires=text))

    return change


def _resigned(scene: Scene, role: str, edit: Callable[[dict], None]) -> Callable[[bytes], bytes]:
    """The same document changed and signed anew by those who may."""

    def change(raw: bytes) -> bytes:
        signed = json.loads(raw)["signed"]
        edit(signed)
        return sign_metadata(signed, scene.signers[role])

    return change


def _resign(role: str, edit: Callable[[dict], None]) -> Change:
    def change(scene: Scene) -> None:
        scene.resealed[role] = _resigned(scene, role, edit)

    return change


def _signed_by(role: str, *signers: MetadataSigner) -> Change:
    def change(scene: Scene) -> None:
        scene.signers[role] = list(signers)

    return change


def _seen(**versions: int) -> Change:
    def change(scene: Scene) -> None:
        scene.seen = {role.replace("_", "/"): version for role, version in versions.items()}

    return change


def _swap(role: str, change: Callable[[bytes], bytes]) -> Change:
    def apply(scene: Scene) -> None:
        scene.swapped[role] = change

    return apply


def _reseal(role: str, change: Callable[[bytes], bytes]) -> Change:
    def apply(scene: Scene) -> None:
        scene.resealed[role] = change

    return apply


def _trusting(**given: object) -> Change:
    def change(scene: Scene) -> None:
        scene.attestors = [attestor(given=sc.trust(**given))]  # type: ignore[arg-type]

    return change


def _foreign_root(scene: Scene) -> None:
    mallory = sc.root("mallory")
    _root(scene, mallory, root=role_keys(mallory))


def _second_of_one_key(scene: Scene) -> None:
    """Two certificates of one key are one signer, whatever their ids."""
    again = MetadataSigner(sc.root_signer(sc.private("root"), sc.GUN, NOW).key, sc.private("root"))
    assert again.key.id != sc.root().key.id
    _root(scene, sc.root(), again, root=role_keys(sc.root(), again, threshold=2))


def _same_signature_twice(scene: Scene) -> None:
    two = role_keys(sc.signer("targets"), sc.signer("second"), threshold=2)
    _root(scene, targets=two)
    scene.signers["targets"] = [sc.signer("targets"), sc.signer("targets")]


def _rotated(*, skipped: bool = False, by_old: bool = True) -> Change:
    """Root version 2 with another key; what of it is missing is said."""

    def change(scene: Scene) -> None:
        first = scene.signed("root")
        new = sc.root("new root")
        signers = [new, sc.root()] if by_old else [new]
        _root(scene, *signers, version=3 if skipped else 2, root=role_keys(new))
        scene.older_roots = [first]

    return change


def _expired_certificate(scene: Scene) -> None:
    old = sc.root_signer(sc.private("root"), sc.GUN, NOW - timedelta(days=3651))
    _root(scene, old, root=role_keys(old))
    scene.attestors = [attestor(given=sc.trust(old))]


def _bare_root_key(scene: Scene) -> None:
    bare = sc.signer("root")
    _root(scene, bare, root=role_keys(bare))


def _ca_certificate(scene: Scene) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, sc.GUN)])
    key = sc.private("root")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(LATER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    as_ca = MetadataSigner(certificate_key(certificate), key)
    _root(scene, as_ca, root=role_keys(as_ca))


def _key_called_otherwise(scene: Scene) -> None:
    keys = scene.documents["targets"]["delegations"]["keys"]
    (key_id,) = keys
    keys["f" * 64] = keys.pop(key_id)
    scene.documents["targets"]["delegations"]["roles"][0]["keyids"] = ["f" * 64]


def _key_twice(scene: Scene) -> None:
    role = scene.documents["targets"]["delegations"]["roles"][0]
    role["keyids"] = role["keyids"] * 2


def _delegation(key: str, value: object) -> Change:
    def change(scene: Scene) -> None:
        scene.documents["targets"]["delegations"]["roles"][0][key] = value

    return change


def _rsa_key_called_ecdsa(scene: Scene) -> None:
    """The method has to be the one of the key's kind, whatever the signature says."""
    rsa_signer = sc.signer("rsa", "rsa")
    scene.documents["targets"]["delegations"] = targets_document(
        {}, [delegation("targets/releases", rsa_signer)], version=1, expires=LATER
    )["delegations"]
    scene.signers["targets/releases"] = [rsa_signer]
    scene.resealed["targets/releases"] = sc.rewritten(
        lambda document: document["signatures"][0].update(method="ecdsa")
    )


def _private_key_inside(scene: Scene) -> None:
    (key,) = scene.documents["targets"]["delegations"]["keys"].values()
    key["keyval"]["private"] = base64.b64encode(b"secret").decode()


def _nested(paths: tuple[str, ...]) -> Change:
    """``targets/releases/team`` may name what both delegations on the way allow."""

    def change(scene: Scene) -> None:
        alice, bob = sc.signer("alice"), sc.signer("bob")
        scene.documents["targets"]["delegations"]["roles"][0]["paths"] = list(paths)
        scene.documents["targets/releases"] = targets_document(
            {}, [delegation("targets/releases/team", bob)], version=3, expires=LATER
        )
        scene.documents["targets/releases/team"] = targets_document(
            {"v1": meta()}, [], version=1, expires=LATER
        )
        scene.signers |= {"targets/releases": [alice], "targets/releases/team": [bob]}
        scene.attestors = [attestor(given=sc.trust(roles=["targets/releases/team"]))]

    return change


def _in_another_delegation(scene: Scene) -> None:
    """notary 0.7 finds it there, docker does not."""
    scene.documents["targets"]["delegations"] = targets_document(
        {}, [delegation("targets/dev", sc.signer("alice"))], version=1, expires=LATER
    )["delegations"]
    scene.documents["targets/dev"] = scene.documents.pop("targets/releases")
    scene.signers["targets/dev"] = [sc.signer("alice")]


def _shadowed(scene: Scene) -> None:
    """``targets`` names this digest, but ``targets/releases`` names the tag otherwise."""
    scene.documents["targets"]["targets"] = {"v1": _json(meta())}
    scene.documents["targets/releases"]["targets"] = {"v1": _json(meta(b"other"))}


def _shadow_broken(scene: Scene) -> None:
    _shadowed(scene)
    scene.signers["targets/releases"] = [sc.signer("mallory")]


def _json(what: object) -> dict:
    document = targets_document({"x": what}, [], version=1, expires=LATER)  # type: ignore[dict-item]
    return document["targets"]["x"]  # type: ignore[index, call-overload, return-value]


def _by_digest_only(scene: Scene) -> None:
    scene.tag, scene.subject = None, sc.OTHER


def _subject(subject: Subject) -> Change:
    def change(scene: Scene) -> None:
        scene.subject = subject

    return change


def _wildcard(scene: Scene) -> None:
    wide = sc.root("root", "registry.test/shop/*")
    _root(scene, wide, root=role_keys(wide))
    scene.attestors = [attestor(given=sc.trust(wide))]


def _trusting_new(scene: Scene) -> None:
    scene.attestors = [attestor(given=sc.trust(sc.root("new root")))]


def _nothing(_scene: Scene) -> None:
    return


B, U = Outcome.BROKEN, Outcome.UNTRUSTED
ATTACKS: dict[str, tuple[Change, Outcome, str]] = {
    # who is trusted, as in C14: no trust on first use
    "foreign root": (_foreign_root, U, "not signed by a root key that release pins"),
    "root pinned, other signs": (_signed_by("root", sc.root("mallory")), B, "0 valid signatures"),
    "another registry's name": (_trusting(gun="elsewhere.test/*"), U, "does not speak for"),
    "certificate for another repository": (
        lambda s: _root(
            s,
            sc.root("root", "registry.test/shop/other"),
            root=role_keys(sc.root("root", "registry.test/shop/other")),
        ),
        B,
        "no valid certificate in the name of",
    ),
    "asked under another name": (
        lambda s: setattr(s, "gun", "registry.test/shop/other"),
        B,
        "no valid certificate",
    ),
    "expired certificate": (_expired_certificate, B, "no valid certificate"),
    "bare root key": (_bare_root_key, B, "no valid certificate"),
    "certificate of an authority": (_ca_certificate, B, "no valid certificate"),
    # rotation, as in CVE-2020-15163, CVE-2015-9259
    "rotation skips a version": (_rotated(skipped=True), B, "can't follow version 1"),
    "rotation not signed by the old key": (_rotated(by_old=False), B, "not signed by the keys of version 1"),
    "no root at all": (lambda s: setattr(s, "older_roots", [b""] * 200), B, "there are 201 roots"),
    # thresholds, as in CVE-2020-6174, CVE-2026-23992
    "threshold 0": (_delegation("threshold", 0), B, "threshold of targets/releases is 0, expected 1"),
    "threshold 0 in the root": (
        lambda s: s.documents["root"]["roles"]["targets"].update(threshold=0),
        B,
        "threshold of the role targets is 0",
    ),
    "negative threshold": (_delegation("threshold", -1), B, "is -1, expected 1"),
    "one key twice": (_key_twice, B, "names one key twice"),
    "one key, two certificates": (_second_of_one_key, B, "1 valid signatures by its keys, 2 are needed"),
    "one signature twice": (_same_signature_twice, B, "1 valid signatures by its keys, 2 are needed"),
    # keys and algorithms, as in CVE-2015-9258
    "key id is not its key's": (_key_called_otherwise, B, "calls a key 'ffff"),
    "key that is not given": (_delegation("keyids", ["0" * 64]), B, "which is not given"),
    "method of another kind of key": (_rsa_key_called_ecdsa, B, "0 valid signatures"),
    "method in capitals": (
        _reseal("targets", sc.replaced('"method":"ecdsa"', '"method":"ECDSA"')),
        B,
        "0 valid signatures",
    ),
    "unknown method": (_reseal("targets", sc.replaced('"method":"ecdsa"', '"method":"none"')), B, "0 valid"),
    "private key inside": (_private_key_inside, B, "holds a private key"),
    # signatures
    "targets by another key": (_signed_by("targets", sc.signer("mallory")), B, "the targets has 0 valid"),
    "snapshot by another key": (_signed_by("snapshot", sc.signer("mallory")), B, "the snapshot has 0 valid"),
    "timestamp by another key": (
        _signed_by("timestamp", sc.signer("mallory")),
        B,
        "the timestamp has 0 valid",
    ),
    "delegation by another key": (
        _signed_by("targets/releases", sc.signer("mallory")),
        B,
        "targets/releases has 0",
    ),
    "delegation by the targets key": (
        _signed_by("targets/releases", sc.signer("targets")),
        B,
        "targets/releases has 0",
    ),
    "not signed": (_signed_by("targets"), B, "the targets has 0 valid"),
    "changed after signing": (
        _reseal("targets/releases", sc.replaced('"version":3', '"version":4')),
        B,
        "has 0 valid",
    ),
    # one set
    "altered targets": (
        _swap("targets", sc.replaced('"old"', '"new"')),
        B,
        "targets does not match the sha256",
    ),
    "altered delegation": (_swap("targets/releases", lambda raw: raw + b" "), B, "targets/releases has"),
    "altered root": (_swap("root", lambda raw: raw + b"\n"), B, "the root has"),
    "altered snapshot": (_swap("snapshot", lambda raw: raw + b"\n"), B, "the snapshot has"),
    "no targets": (lambda s: s.swapped.update(targets=lambda _raw: b""), B, "the targets has 0 bytes"),
    # rollback and freeze, as in C14, CVE-2022-29173
    "rollback of the timestamp": (_seen(timestamp=6), B, "rollback: the timestamp has version 5, 6 was seen"),
    "rollback of the snapshot": (_seen(snapshot=5), B, "rollback: the snapshot has version 4"),
    "rollback of the targets": (_seen(targets=3), B, "rollback: the targets has version 2"),
    "rollback of the root": (_seen(root=2), B, "rollback: the root has version 1"),
    "rollback of a delegation": (
        _seen(targets_releases=4),
        B,
        "rollback: the targets/releases has version 3",
    ),
    "frozen timestamp": (_expired("timestamp"), B, "the timestamp expired at"),
    "expired snapshot": (_expired("snapshot"), B, "the snapshot expired at"),
    "expired targets": (_expired("targets"), B, "the targets expired at"),
    "expired root": (_expired("root"), B, "the root expired at"),
    "expired delegation": (_expired("targets/releases"), B, "the targets/releases expired at"),
    "later than everything": (lambda s: setattr(s, "now", LATER), B, "expired at"),
    # versions
    "version 2^63": (
        _reseal("targets", sc.replaced('"version":2}', '"version":9223372036854775808}')),
        B,
        "2^53",
    ),
    "version 0": (_set("targets", "version", 0), B, "version of the targets is 0, expected 1"),
    "version as text": (_set("targets", "version", "2"), B, "is not a whole number"),
    "version true": (_set("targets", "version", True), B, "is not a whole number"),
    "version with a fraction": (
        _reseal("targets", sc.replaced('"version":2', '"version":2.0')),
        B,
        "fraction",
    ),
    # what roles may be called: CVE-2021-41131, CVE-2026-24686, CVE-2024-47534
    "role with ../": (
        _delegation("name", "targets/../root"),
        B,
        "targets can't delegate to 'targets/../root'",
    ),
    "role with capitals": (_delegation("name", "targets/Releases"), B, "can't delegate to"),
    "role of somebody else": (_delegation("name", "targets/a/b"), B, "can't delegate to 'targets/a/b'"),
    "root as a delegation": (_delegation("name", "root"), B, "can't delegate to 'root'"),
    "../ in the snapshot": (
        _resign("snapshot", lambda d: d["meta"].update({"../x": d["meta"]["root"]})),
        B,
        "no role's name",
    ),
    "delegates twice": (
        lambda s: s.documents["targets"]["delegations"]["roles"].append(
            s.documents["targets"]["delegations"]["roles"][0]
        ),
        B,
        "delegates to targets/releases twice",
    ),
    # two readings of one document, as in C7
    "duplicate key": (
        _reseal("targets", sc.replaced('"version":2', '"version":2,"version":2')),
        B,
        "twice in one object",
    ),
    "duplicate signed": (
        _reseal("targets", sc.replaced('{"signed"', '{"signed":{},"signed"')),
        B,
        "twice",
    ),
    "version in capitals": (_set("targets", "Version", 9), B, "spelled 'version'"),
    "type of another role": (_set("targets", "_type", "Snapshot"), B, "expected 'Targets'"),
    "not JSON": (_reseal("targets", lambda _raw: b"{"), B, "is not JSON"),
    "not UTF-8": (_reseal("targets", lambda raw: raw + b"\xff"), B, "is not UTF-8"),
    "lone surrogate": (_reseal("targets", sc.replaced('"old"', r'"\ud800"')), B, "surrogate"),
    "not a time": (_set("targets", "expires", "tomorrow"), B, "RFC 3339"),
    "the 30th of February": (_set("targets", "expires", "2027-02-30T00:00:00Z"), B, "time that exists"),
    # what is named
    "tag that nobody named": (lambda s: setattr(s, "tag", "v2"), U, "no valid trust data for the tag 'v2'"),
    "other digest": (_subject(sc.OTHER), B, "not as this digest"),
    "other size": (_subject(Subject(sc.SUBJECT.digest, "", 1)), B, "the manifest has 1"),
    "other algorithm": (
        _subject(Subject(Digest.of(sc.MANIFEST, "sha512"), "", len(sc.MANIFEST))),
        B,
        "without a sha512",
    ),
    "digest that nobody named": (_by_digest_only, U, "no valid trust data for this digest"),
    "missing delegation": (
        lambda s: s.documents["targets"].update(delegations={"keys": {}, "roles": []}),
        U,
        "no valid trust data",
    ),
    "delegation not in the snapshot": (lambda s: s.missing.add("targets/releases"), U, "no valid trust data"),
    "listed file is missing": (
        lambda s: s.swapped.update({"targets/releases": lambda _raw: b""}),
        B,
        "targets/releases has 0 bytes",
    ),
    "in a delegation that is not named": (_in_another_delegation, U, "no valid trust data"),
    "delegation with no paths": (_delegation("paths", []), U, "no valid trust data"),
    "delegation of other paths": (_delegation("paths", ["release-"]), U, "no valid trust data"),
    "nested beyond its parent": (_nested(("x",)), U, "no valid trust data"),
    "shadowed by the first role": (_shadowed, B, "targets/releases signs 'v1' as"),
    "first role broken": (_shadow_broken, B, "targets/releases has 0 valid"),
    "only the named delegations": (_trusting(roles=["targets/qa"]), U, "in targets/qa, which release counts"),
    "outside its time": (
        lambda s: setattr(s, "attestors", [attestor(not_after=NOW)]),
        U,
        "outside the time that the trust store gives it",
    ),
    "no attestor of the kind": (
        lambda s: setattr(s, "attestors", [Attestor("key", key_trust(public_pem(sc.private("alice"))))]),
        U,
        "no root key of the trust store is for Notary v1",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_denied_with_its_reason(name: str) -> None:
    change, outcome, reason = ATTACKS[name]
    scene = sc.scene()
    change(scene)
    found = scene.weigh()
    assert (found.fact.outcome, reason in found.fact.reason) == (outcome, True), found.fact.reason
    assert found.fact.signers == ()
    assert found.valid_until is None
    assert found.fact.reason.isascii()


GOOD: dict[str, Change] = {
    "as it is": _nothing,
    "pinned by the key": lambda s: setattr(
        s, "attestors", [attestor(given=sc.notary_trust(root_key=public_pem(sc.private("root"))))]
    ),
    "pull by digest": lambda s: setattr(s, "tag", None),
    "rotated root, old one pinned": _rotated(),
    "rotated root, new one pinned": lambda s: (_rotated()(s), _trusting_new(s)),
    "named delegation": _trusting(roles=["targets/releases"]),
    "its own name": _trusting(gun=sc.GUN),
    "beginning of its name": _trusting(gun="registry.test/shop/*"),
    "nested delegation": _nested(("v",)),
    "targets itself": lambda s: (
        s.documents["targets"]["targets"].update(v0=_json(meta())),
        setattr(s, "tag", "v0"),
    ),
    "the last moment": lambda s: setattr(s, "now", LATER - timedelta(microseconds=1)),
    "versions seen before": _seen(root=1, targets=2, snapshot=4, timestamp=5, targets_releases=3),
    "tags that differ in case": lambda s: s.documents["targets/releases"]["targets"].update(
        V1=_json(meta(b"x"))
    ),
    "wildcard certificate": _wildcard,
    "fields that others may add": _set("targets", "x-note", {"a": [1, "b", None, True]}),
    "nulls as Go writes them": lambda s: s.documents["targets/releases"].update(
        delegations={"keys": None, "roles": None}
    ),
    "two root keys, one pinned": lambda s: _root(
        s, sc.root(), root=role_keys(sc.root(), sc.root("second")), version=1
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_metadata_is_verified(name: str) -> None:
    scene = sc.scene()
    GOOD[name](scene)
    found = scene.weigh()
    assert found.fact.outcome is Outcome.VERIFIED, found.fact.reason
    assert found.fact.kind is SignatureKind.NOTARY_V1
    assert found.fact.signed_repository == scene.gun
    assert found.valid_until == LATER


@pytest.mark.parametrize("role", ["root", "targets", "targets/releases"])
def test_it_ends_with_the_first_of_all_files_that_it_rests_on(role: str) -> None:
    scene = sc.scene()
    soon = sc.NOW + timedelta(days=1)
    scene.documents[role]["expires"] = soon.isoformat().replace("+00:00", "Z")
    assert scene.weigh().valid_until == soon


@pytest.mark.parametrize("kind", ["ec", "p384", "rsa", "ed25519"])
def test_every_kind_of_key_signs_and_is_verified(kind: str) -> None:
    scene = sc.scene()
    one = sc.signer("of a kind", kind)
    scene.documents["targets"]["delegations"] = targets_document(
        {}, [delegation("targets/releases", one)], version=1, expires=LATER
    )["delegations"]
    scene.signers["targets/releases"] = [one]
    built = scene.build()
    fact = scene.weigh(built).fact
    assert fact.outcome is Outcome.VERIFIED, fact.reason
    assert fact.identities == (f"tuf:{one.key.canonical_id}",)
    assert fact.evidence == Digest.of(built.targets["targets/releases"])
    scene.signers["targets/releases"] = [sc.signer("somebody else", kind)]
    assert scene.weigh().fact.outcome is Outcome.BROKEN


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_root_certificates_of_both_kinds(kind: str) -> None:
    scene = sc.scene()
    one = sc.root("of a kind", kind=kind)
    _root(scene, one, root=role_keys(one))
    scene.attestors = [attestor(given=sc.trust(one))]
    assert scene.weigh().fact.outcome is Outcome.VERIFIED


def test_a_threshold_of_two_counts_pinned_keys_only() -> None:
    """Both have to sign, and both have to be pinned: notary 0.7 does the same."""
    scene = sc.scene()
    both = (sc.root(), sc.root("second"))
    _root(scene, *both, root=role_keys(*both, threshold=2))
    assert scene.weigh().fact.outcome is Outcome.UNTRUSTED
    scene.attestors = [attestor(given=sc.trust(*both))]
    assert scene.weigh().fact.outcome is Outcome.VERIFIED
    scene.signers["root"] = [sc.root()]
    assert scene.weigh().fact.outcome is Outcome.BROKEN


def test_every_attestor_that_trusts_it_is_named_and_a_foreign_one_hides_none() -> None:
    scene = sc.scene()
    scene.attestors = [
        attestor("foreign", sc.trust(sc.root("mallory"))),
        attestor("release"),
        attestor("by name", sc.trust(gun=sc.GUN)),
    ]
    found = scene.weigh().fact
    assert found.attestors == ("release", "by name")
    assert len(found.identities) == 1


def test_versions_are_remembered_once_a_pinned_key_stands_behind_them() -> None:
    scene = sc.scene()
    scene.seen = {"targets": 1, "targets/gone": 7}
    proven = {
        "root": 1,
        "targets": 2,
        "snapshot": 4,
        "timestamp": 5,
        "targets/releases": 3,
        "targets/gone": 7,
    }
    assert scene.weigh().seen == proven
    # what was seen is seen: the older set is a rollback now
    older = sc.scene()
    _resign("timestamp", lambda signed: signed.update(version=4))(older)
    older.seen = dict(scene.weigh().seen)
    assert "rollback" in older.weigh().fact.reason
    # a foreign root must not raise the bar for the real one
    foreign = sc.scene()
    _foreign_root(foreign)
    assert foreign.weigh().seen == {}


def test_a_set_that_is_broken_leaves_what_was_seen() -> None:
    scene = sc.scene()
    scene.seen = {"targets": 9}
    assert scene.weigh().seen == {"targets": 9}


def test_targets_that_are_missing_altogether() -> None:
    scene = sc.scene()
    whole = scene.build()
    without = sc.MetadataSet(whole.roots, whole.timestamp, whole.snapshot, {})
    found = sc.weigh(
        without, gun=sc.GUN, tag="v1", subject=sc.SUBJECT, attestors=[attestor()], now=NOW, seen={}
    )
    assert "there is no targets file" in found.fact.reason
    partly = {"targets": whole.targets["targets"]}
    found = sc.weigh(
        sc.MetadataSet(whole.roots, whole.timestamp, whole.snapshot, partly),
        gun=sc.GUN,
        tag="v1",
        subject=sc.SUBJECT,
        attestors=[attestor()],
        now=NOW,
        seen={},
    )
    assert "the snapshot lists targets/releases, which is missing" in found.fact.reason
