"""Signatures by short-lived certificates: what each part has to prove, and what takes the proof away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import signing_world, timestamp_world
from tests import sigstore_world as world
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.bundle import MAX_LOG_ENTRIES, MAX_TIMESTAMPS
from trustgate.evidence.cosign import judge, judge_all
from trustgate.evidence.model import Outcome, SignatureFact
from trustgate.evidence.sigstore.entry_body import MAX_BODY_BYTES
from trustgate.evidence.sigstore.pattern import exact
from trustgate.evidence.sigstore.trust import KeylessTrust, keyless_trust
from trustgate.evidence.sigstore.trusted_root import TrustedRoot, read_trusted_root

SUBJECT = signing_world.image().manifest.digest
OTHER = signing_world.image(b"another").manifest.digest
HOUR = timedelta(hours=1)


def root(edit: world.Edit = signing_world.unchanged, which: str = "one") -> TrustedRoot:
    return read_trusted_root(world.instance(which).trusted_root(edit))


def trust(edit: world.Edit = signing_world.unchanged, **more: Any) -> KeylessTrust:
    asked: dict[str, Any] = {"issuer": exact(world.ISSUER), "identity": exact(world.SUBJECT), **more}
    return keyless_trust(asked.pop("root", None) or root(edit), **asked)


def ci(edit: world.Edit = signing_world.unchanged, **more: Any) -> Attestor:
    return Attestor("ci", trust(edit, **more))


def alone(edit: world.Edit = signing_world.unchanged) -> Attestor:
    """Without the second judge, who would refuse some things too."""
    return Attestor("ci", replace(trust(edit), second_judge=False))


def fact(raw: bytes, *attestors: Attestor, now: Any = world.NOW, **more: Any) -> SignatureFact:
    candidate = signing_world.bundle_candidate(more.pop("subject", SUBJECT), raw)
    return judge(candidate, subject=SUBJECT, attestors=attestors or (ci(),), now=now)


def refused(raw: bytes, word: str, *attestors: Attestor, **more: Any) -> SignatureFact:
    found = fact(raw, *attestors, **more)
    assert found.outcome is not Outcome.VERIFIED
    assert word in found.reason
    assert (found.signers, found.logs, found.timestamps, found.signed_at) == ((), 0, 0, None)
    return found


def signed(**certificate: Any) -> world.Signature:
    return world.sign_statement(SUBJECT, **certificate)


def v1(**certificate: Any) -> bytes:
    return world.bundle_of(signed(**certificate))


def v2(made: world.Signature | None = None, **stamp: Any) -> bytes:
    one = made or signed()
    return world.bundle_of(one, entries=[one.entry("hashedrekord", "0.0.2")], stamps=[one.stamp(**stamp)])


# --- what is good --------------------------------------------------------------------------------


def test_with_an_entry_of_rekor_1() -> None:
    found = fact(v1())
    assert (found.outcome, found.reason) == (Outcome.VERIFIED, "verified by ci")
    assert found.identities == (f"keyless:{world.ISSUER} {world.SUBJECT}",)
    assert (found.logs, found.timestamps, found.signed_at) == (1, 0, world.SIGNED)
    assert not found.unproven


@pytest.mark.parametrize("kind", ["hashedrekord", "dsse"])
def test_with_an_entry_of_rekor_2_and_a_timestamp(kind: str) -> None:
    made = signed()
    raw = world.bundle_of(made, entries=[made.entry(kind, "0.0.2")], stamps=[made.stamp()])
    found = fact(raw)
    assert found.outcome is Outcome.VERIFIED
    assert (found.logs, found.timestamps, found.signed_at) == (1, 1, world.SIGNED)


@pytest.mark.parametrize(
    ("kind", "version"), [("dsse", "0.0.1"), ("intoto", "0.0.2"), ("hashedrekord", "0.0.1")]
)
def test_with_each_kind_of_entry(kind: str, version: str) -> None:
    made = signed()
    assert fact(world.bundle_of(made, entries=[made.entry(kind, version)])).outcome is Outcome.VERIFIED


def test_the_earliest_proven_time_counts() -> None:
    made = signed()
    entry = made.entry(moment=world.SIGNED + 2 * world.MINUTE)
    found = fact(world.bundle_of(made, entries=[entry], stamps=[made.stamp(world.SIGNED + world.MINUTE)]))
    assert (found.logs, found.timestamps) == (1, 1)
    assert found.signed_at == world.SIGNED + world.MINUTE


@pytest.mark.parametrize("kind", ["p256", "rsa2048", "ed25519"])
def test_with_a_certificate_for_any_kind_of_key(kind: str) -> None:
    assert fact(v1(key=signing_world.key(kind, "certified"))).outcome is Outcome.VERIFIED


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        (x509.RFC822Name("alice@example.test"), "alice@example.test"),
        (x509.OtherName(x509.ObjectIdentifier(world.FULCIO + "7"), world.utf8("alice!ci")), "alice!ci"),
    ],
)
def test_each_kind_of_identity(name: x509.GeneralName, identity: str) -> None:
    found = fact(v1(names=[name]), ci(identity=exact(identity)))
    assert found.identities == (f"keyless:{world.ISSUER} {identity}",)


def test_a_certificate_with_the_first_kind_of_issuer_extension() -> None:
    made = signed(issuer="", claims={"1": world.ISSUER})
    assert fact(world.bundle_of(made)).outcome is Outcome.VERIFIED


def test_with_a_timestamp_alone_when_no_log_is_asked_for() -> None:
    made = signed()
    raw = world.bundle_of(made, entries=[], stamps=[made.stamp()])
    refused(raw, "0 of 1 needed transparency logs")
    found = fact(raw, ci(min_logs=0, min_timestamps=1))
    assert (found.outcome, found.logs, found.timestamps) == (Outcome.VERIFIED, 0, 1)


def test_claims_are_compared() -> None:
    raw = v1(claims={"12": "https://ci.test/shop/web", "14": "refs/heads/main", "5": "shop/web"})
    good = {
        "source-repository-uri": "https://ci.test/shop/*",
        "source-repository-ref": "refs/heads/main",
        "github-workflow-repository": "shop/web",
    }
    assert fact(raw, ci(claims=good)).outcome is Outcome.VERIFIED
    for name, text in (
        ("source-repository-uri", "https://ci.test/*"),
        ("source-repository-ref", "refs/heads/mai"),
        ("source-repository-ref", "refs/tags/**"),
        ("runner-environment", "**a**"),
    ):
        refused(raw, name, ci(claims={**good, name: text}))


# --- who it is by --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"identity": exact(world.SUBJECT + "2")}, "not for the trusted identity"),
        ({"identity": exact(world.SUBJECT.upper())}, "not for the trusted identity"),
        ({"issuer": exact(world.ISSUER + "/")}, "issuer"),
        ({"min_logs": 2}, "1 of 2 needed transparency logs"),
        ({"min_timestamps": 1}, "0 of 1 needed timestamp authorities"),
    ],
)
def test_by_someone_else_or_proven_too_little(more: dict[str, Any], word: str) -> None:
    assert refused(v1(), word, ci(**more)).outcome is Outcome.UNTRUSTED


def test_no_one_is_trusted() -> None:
    candidate = signing_world.bundle_candidate(SUBJECT, v1())
    found = judge(candidate, subject=SUBJECT, attestors=[], now=world.NOW)
    assert found.outcome is Outcome.UNTRUSTED
    key = signing_world.trusted(signing_world.key())
    assert refused(v1(), "names no keyless signer", key).outcome is Outcome.UNTRUSTED


def test_outside_the_attestor_s_time() -> None:
    before, after = world.NOW - HOUR, world.NOW + HOUR
    assert fact(v1(), replace(ci(), not_before=before, not_after=after)).outcome is Outcome.VERIFIED
    refused(v1(), "outside the time", replace(ci(), not_after=world.NOW))
    found = refused(v1(), "outside the time", replace(ci(), not_before=after))
    assert found.valid_until == after


def test_several_attestors_are_all_named() -> None:
    other = replace(ci(), name="release")
    stranger = Attestor("stranger", trust(identity=exact("x")))
    assert fact(v1(), stranger, ci(), other).attestors == ("ci", "release")


def test_each_attestor_s_own_root_counts() -> None:
    foreign = Attestor("foreign", trust(root=root(which="two")))
    refused(v1(), "does not name", foreign)
    assert fact(v1(), foreign, ci()).attestors == ("ci",)
    assert fact(v1(sigstore=world.instance("two")), foreign, ci()).attestors == ("foreign",)


def test_the_key_that_the_certificate_holds_is_not_a_trusted_key() -> None:
    key = signing_world.key()
    raw = v1(key=key)
    refused(raw, "keyless", signing_world.trusted(key))
    made = world.sign_statement(SUBJECT, key=key, holder=key.public_key())
    bare = world.bundle_of(made)
    assert refused(bare, "does not name", ci()).outcome is Outcome.UNTRUSTED


# --- the certificate -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("certificate", "word"),
    [
        ({"dead": world.SIGNED - world.MINUTE / 2}, "is valid from"),
        ({"born": world.SIGNED + world.MINUTE}, "is valid from"),
        ({"purposes": ()}, "not for signing code"),
        ({"purposes": (ExtendedKeyUsageOID.TIME_STAMPING,)}, "not for signing code"),
        ({"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}, "not for signing code"),
        ({"signs": False}, "not for signatures"),
        ({"authority": True}, "an authority's"),
        ({"names": []}, "0 names"),
        (
            {"names": [x509.RFC822Name("a@b.test"), x509.UniformResourceIdentifier(world.SUBJECT)]},
            "2 names",
        ),
        ({"names": [x509.DNSName("ci.test")]}, "identifies nobody"),
        ({"names": [x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01a")]}, "identifies nobody"),
        ({"names": [x509.OtherName(x509.ObjectIdentifier(world.FULCIO + "7"), b"\x04\x01a")]}, "UTF-8"),
        ({"issuer": ""}, "names no issuer"),
        ({"issuer": f"{world.ISSUER} x"}, "names no issuer"),
        ({"claims": {"9": "a"}, "issuer": ""}, "names no issuer"),
        ({"sct": False}, "carries no certificate transparency timestamp"),
        ({"sct_key": ec.generate_private_key(ec.SECP256R1())}, "no certificate transparency timestamp"),
        ({"sct_edit": lambda raw: raw[:-1] + b"\1"}, "no certificate transparency timestamp"),
        ({"sct_time": world.SIGNED.replace(year=2025)}, "no certificate transparency timestamp"),
        ({"sct_time": 2**53}, "no certificate transparency timestamp"),
        ({"sigstore": world.instance("two")}, "does not name"),
    ],
)
def test_the_certificate(certificate: dict[str, Any], word: str) -> None:
    refused(v1(**certificate), word)


def test_extensions_that_are_no_text() -> None:
    made = signed(issuer="", claims={"1": "\udcff"})
    refused(world.bundle_of(made), "not text")
    name = x509.UniformResourceIdentifier._init_without_validation("https://a\x07b")
    refused(v1(names=[name]), "can't be read")


def test_a_certificate_that_the_root_names_itself() -> None:
    made = signed()
    leaf = {"rawBytes": signing_world.b64(world.der(made.holder))}

    def edit(document: dict[str, Any]) -> None:
        document["certificateAuthorities"][0]["certChain"]["certificates"] = [leaf]

    refused(world.bundle_of(made), "is an anchor itself", ci(edit))


def test_several_authorities_of_which_one_issued_it() -> None:
    def edit(document: dict[str, Any]) -> None:
        foreign = json.loads(world.instance("two").trusted_root())
        document["certificateAuthorities"] = foreign["certificateAuthorities"] + (
            document["certificateAuthorities"] if keep else foreign["certificateAuthorities"]
        )

    keep = True
    assert fact(v1(), ci(edit)).outcome is Outcome.VERIFIED
    keep = False
    refused(v1(), "none of its authorities issued", ci(edit))


def test_by_another_authority_of_the_same_name() -> None:
    other = timestamp_world.authority("fulcio intermediate one", world.instance("two").root)
    impostor = replace(world.instance(), between=other)
    assert refused(v1(sigstore=impostor), "does not lead to").outcome is Outcome.UNTRUSTED


def test_the_certificate_of_another() -> None:
    made, other = signed(), signed()
    mixed = replace(made, holder=other.holder)
    for one in (mixed, made):  # a log may hold anything
        raw = world.bundle_of(mixed, entries=[one.entry("hashedrekord")])
        assert refused(raw, "not by the key of its certificate").outcome is Outcome.BROKEN


def test_what_is_no_certificate() -> None:
    def edit(document: dict[str, Any]) -> None:
        document["verificationMaterial"]["certificate"]["rawBytes"] = "AAAA"

    assert refused(world.bundle_of(signed(), edit=edit), "can't be read").outcome is Outcome.BROKEN


def test_a_huge_certificate() -> None:
    def edit(document: dict[str, Any]) -> None:
        document["verificationMaterial"]["certificate"]["rawBytes"] = "AAAA" * 12000

    refused(world.bundle_of(signed(), edit=edit), "at most 32768")


def test_a_certificate_of_a_version_that_there_is_not() -> None:
    """What reads one raises no ``ValueError`` then."""
    made = signed()
    assert made.certificate is not None
    raw = world.der_of_version_4(made.certificate)

    def edit(document: dict[str, Any]) -> None:
        document["verificationMaterial"]["certificate"]["rawBytes"] = signing_world.b64(raw)

    refused(world.bundle_of(made, edit=edit), "can't be read (InvalidVersion)")
    annotations = world.annotations_of(made) | {"dev.sigstore.cosign/certificate": world.pem_of(raw)}
    for attestor in (ci(), signing_world.trusted(made.key)):
        found = layer(world.sign_payload(SUBJECT, key=made.key), annotations, attestor)
        assert (found.outcome, found.signers) == (Outcome.BROKEN, ())
        assert found.reason == "its certificate annotation is not one PEM certificate"


def test_a_log_entry_that_names_such_a_certificate() -> None:
    made = signed()
    assert made.certificate is not None
    body = made.body()
    text = world.pem_of(world.der_of_version_4(made.certificate))
    body["spec"]["signatures"][0]["verifier"] = signing_world.b64(text.encode())
    other = made.sigstore.entry(body)
    refused(world.bundle_of(made, entries=[other]), "names another certificate or key")
    assert fact(world.bundle_of(made, entries=[other, made.entry()])).outcome is Outcome.VERIFIED


# --- windows of the trusted root, both ends inside -----------------------------------------------

SECOND = timedelta(seconds=1)


def window(*path: Any, start: Any = None, end: Any = None) -> world.Edit:
    def edit(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path:
            place = place[step]
        if start is not None:
            place["validFor"]["start"] = start.isoformat()
        if end is not None:
            place["validFor"]["end"] = end.isoformat()

    return edit


WINDOWS = [
    ("certificateAuthorities", 0),
    ("ctlogs", 0, "publicKey"),
    ("tlogs", 0, "publicKey"),
    ("timestampAuthorities", 0),
    ("tlogs", 1, "publicKey"),
]


@pytest.mark.parametrize("path", WINDOWS, ids=lambda path: "-".join(map(str, path)))
def test_every_window_is_closed_at_both_ends(path: tuple[Any, ...]) -> None:
    raw = v2() if path[0] == "timestampAuthorities" or path[1] == 1 else v1()
    for edge in ({"start": world.SIGNED}, {"end": world.SIGNED}):
        assert fact(raw, ci(window(*path, **edge))).outcome is Outcome.VERIFIED
    for outside in ({"start": world.SIGNED + SECOND}, {"end": world.SIGNED - SECOND}):
        refused(raw, "", alone(window(*path, **outside)))


@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"])
def test_every_part_of_the_root_is_needed(part: str) -> None:
    refused(v2(), "", ci(lambda document: document.update({part: []})))


# --- time ----------------------------------------------------------------------------------------


def test_without_a_proven_time_the_clock_is_no_help() -> None:
    made = signed()
    raw = world.bundle_of(made, entries=[made.entry("hashedrekord", "0.0.2")])
    refused(raw, "nothing proves when it was signed", alone(), now=world.SIGNED)


def test_every_proven_time_must_lie_inside_the_certificate() -> None:
    made = signed()
    stamp = made.stamp(world.SIGNED + HOUR)
    refused(world.bundle_of(made, entries=[made.entry("hashedrekord")], stamps=[stamp]), "is valid from")


def test_a_time_in_the_future_proves_nothing() -> None:
    refused(v1(), "lies in the future", now=world.SIGNED - HOUR)
    refused(v2(), "lies in the future", now=world.SIGNED - HOUR)


def test_timestamps_that_prove_nothing_do_not_count() -> None:
    made = signed()
    foreign = world.instance("two").stamps
    bad = [
        made.stamp(over=b"other"),
        made.stamp(holder=foreign.signer, certificates=foreign.chain),
    ]
    found = fact(world.bundle_of(made, stamps=bad))
    assert (found.outcome, found.timestamps, found.signed_at) == (Outcome.VERIFIED, 0, world.SIGNED)
    entries = [made.entry("hashedrekord", "0.0.2")]
    for stamp in (*bad, b"no timestamp"):
        refused(world.bundle_of(made, entries=entries, stamps=[stamp]), "nothing proves when")


def test_a_timestamp_by_another_certificate_of_the_same_authority() -> None:
    made = signed()
    stamps = made.sigstore.stamps
    second = timestamp_world.signer(stamps.between)
    stamp = made.stamp(holder=second, certificates=(second.certificate,))
    entries = [made.entry("hashedrekord", "0.0.2")]
    refused(world.bundle_of(made, entries=entries, stamps=[stamp]), "another certificate than")

    def without_leaf(document: dict[str, Any]) -> None:
        document["timestampAuthorities"][0]["certChain"]["certificates"].pop(0)

    assert fact(world.bundle_of(made, entries=entries, stamps=[stamp]), ci(without_leaf)).timestamps == 1


def test_two_timestamps_of_one_authority_are_one() -> None:
    made = signed()
    raw = world.bundle_of(made, stamps=[made.stamp(), made.stamp(world.SIGNED + SECOND)])
    assert fact(raw).timestamps == 1
    refused(raw, "1 of 2 needed timestamp authorities", ci(min_timestamps=2))


# --- logs ----------------------------------------------------------------------------------------


def test_a_bundle_brings_so_many_witnesses_and_no_more() -> None:
    made = signed()
    entries, stamps = [made.entry()] * MAX_LOG_ENTRIES, [made.stamp()] * MAX_TIMESTAMPS
    assert fact(world.bundle_of(made, entries=entries, stamps=stamps)).outcome is Outcome.VERIFIED
    refused(world.bundle_of(made, entries=[*entries, made.entry()]), "33 entries, at most 32", alone())
    refused(world.bundle_of(made, stamps=[*stamps, made.stamp()]), "33 entries, at most 32", alone())


def test_two_entries_of_one_log_are_one_and_two_logs_are_two() -> None:
    made = signed()
    twice = world.bundle_of(made, entries=[made.entry(), made.entry(moment=world.SIGNED + SECOND)])
    assert fact(twice).logs == 1
    refused(twice, "1 of 2 needed transparency logs", ci(min_logs=2))
    both = world.bundle_of(
        made, entries=[made.entry(), made.entry("hashedrekord", "0.0.2")], stamps=[made.stamp()]
    )

    def operators(*names: str) -> Callable[[dict[str, Any]], None]:
        def change(document: dict[str, Any]) -> None:
            for log, name in zip(document["tlogs"], names, strict=True):
                log["operator"] = name

        return change

    assert fact(both, ci(operators("one", "two"), min_logs=2)).logs == 2
    assert fact(both, ci(operators("one", ""), min_logs=2)).logs == 2
    refused(both, "1 of 2 needed transparency logs prove it", ci(operators("one", "one"), min_logs=2))
    refused(both, "prove it; those that name no operator count as one", ci(operators("", ""), min_logs=2))


def test_an_entry_that_proves_nothing_hides_none_that_does() -> None:
    made, other = signed(), signed()
    raw = world.bundle_of(made, entries=[other.entry(), made.entry()])
    assert (fact(raw).outcome, fact(raw).logs) == (Outcome.VERIFIED, 1)


def proof(**changes: Any) -> world.Edit:
    return lambda entry: entry["inclusionProof"].update(changes)


def drop(*names: str) -> world.Edit:
    def edit(entry: dict[str, Any]) -> None:
        for name in names:
            del entry[name]

    return edit


HASH = signing_world.b64(hashlib.sha256(b"x").digest())
ENTRY: list[tuple[str, world.Edit, str]] = [
    ("no proof", drop("inclusionProof"), "no inclusion proof"),
    ("no promise", drop("inclusionPromise"), "brings no promise"),
    ("neither", drop("inclusionPromise", "integratedTime"), "checkpoint is of"),
    ("no time", drop("integratedTime"), "states no time"),
    ("another time", lambda e: e.update(integratedTime=str(int(e["integratedTime"]) + 1)), "promise (SET)"),
    ("another index", lambda e: e.update(logIndex="7"), "promise (SET)"),
    ("another log", lambda e: e.update(logId={"keyId": HASH}), "does not name"),
    ("another kind", lambda e: e["kindVersion"].update(kind="rekord"), "another kind"),
    ("another leaf", proof(logIndex="0"), "does not lead"),
    ("another size", proof(treeSize="4"), ""),
    ("size 0", proof(treeSize="0"), "lies outside"),
    ("index outside", proof(logIndex="3"), "lies outside"),
    ("another root", proof(rootHash=HASH), "does not lead"),
    ("a hash too many", lambda e: e["inclusionProof"]["hashes"].append(HASH), "longer than"),
    ("a hash too few", lambda e: e["inclusionProof"]["hashes"].pop(), "shorter than"),
    ("another hash", lambda e: e["inclusionProof"]["hashes"].__setitem__(0, HASH), "does not lead"),
    ("a short hash", lambda e: e["inclusionProof"]["hashes"].__setitem__(0, "AAAA"), "wrong size"),
    ("no checkpoint", lambda e: e["inclusionProof"].pop("checkpoint"), "no inclusion proof with a"),
    ("negative index", proof(logIndex="-1"), "not a number"),
    ("hashes of numbers", proof(hashes=[1]), "not a string"),
    ("hashes are text", proof(hashes="x"), "not a list"),
    ("too many hashes", proof(hashes=[HASH] * 65), "at most 64"),
    ("time after all time", lambda e: e.update(integratedTime="9" * 18), "is no time"),
    ("foreign field", lambda e: e.update(x=1), "does not name"),
    ("body is not base64", lambda e: e.update(canonicalizedBody="*"), "not base64"),
    ("body is not JSON", lambda e: e.update(canonicalizedBody="AAAA"), "body is not"),
]


@pytest.mark.parametrize(("edit", "word"), [row[1:] for row in ENTRY], ids=[row[0] for row in ENTRY])
def test_each_part_of_an_entry(edit: world.Edit, word: str) -> None:
    made = signed()
    refused(world.bundle_of(made, entries=[made.entry(edit=edit)]), word, alone())


def text(entry: dict[str, Any]) -> str:
    return str(entry["inclusionProof"]["checkpoint"]["envelope"])


def checkpoint(change: Callable[[str], str]) -> world.Edit:
    return lambda entry: entry["inclusionProof"]["checkpoint"].update(envelope=change(text(entry)))


CHECKPOINT: list[tuple[str, Callable[[str], str], str]] = [
    ("another name", lambda t: t.replace("rekor2.test\n", "evil.test\n"), "is of 'evil.test'"),
    ("another size", lambda t: t.replace("\n3\n", "\n4\n"), "not signed by its log"),
    ("no size", lambda t: t.replace("\n3\n", "\nx\n"), "no size"),
    ("zeros before the size", lambda t: t.replace("\n3\n", "\n03\n"), "no size"),
    ("no blank line", lambda t: t.replace("\n\n", "\n"), "no signatures"),
    ("two lines", lambda t: "a\nb\n\n" + t.partition("\n\n")[2], "no origin, size or root"),
    ("a short root", lambda t: f"rekor2.test\n3\nAAAA\n\n{t.partition(chr(10) * 2)[2]}", "no SHA-256"),
    ("cut off", lambda t: t[:-1], "cut off"),
    ("no dash", lambda t: t.replace("\u2014 ", "- "), "no signature"),
    ("a line more", lambda t: t + "x\n", "no signature"),
    ("signed by another name", lambda t: t.replace("\u2014 rekor2.test", "\u2014 evil.test"), "not signed"),
    ("signature is not base64", lambda t: t[:-4] + "***\n", "base64"),
    ("very long", lambda t: t + "x" * 20000, "more than"),
    ("very many signatures", lambda t: t + "\u2014 a AAAAAAAA\n" * 70, "too many"),
]


@pytest.mark.parametrize(
    ("change", "word"), [row[1:] for row in CHECKPOINT], ids=[row[0] for row in CHECKPOINT]
)
def test_each_part_of_a_checkpoint(change: Callable[[str], str], word: str) -> None:
    made = signed()
    entry = made.entry("hashedrekord", "0.0.2", edit=checkpoint(change))
    refused(world.bundle_of(made, entries=[entry], stamps=[made.stamp()]), word)


def test_a_genuine_checkpoint_of_another_tree() -> None:
    made, other = signed(), signed()
    foreign = other.entry()["inclusionProof"]["checkpoint"]
    entry = made.entry(edit=lambda entry: entry["inclusionProof"].update(checkpoint=foreign))
    refused(world.bundle_of(made, entries=[entry]), "another tree than the checkpoint")


def test_witnesses_may_sign_a_checkpoint_too() -> None:
    made = signed()
    witness = "\u2014 witness.test AAAAAAAAAAAA\n"
    for change in (
        lambda t: t + witness,
        lambda t: t.replace("\n\n", f"\n\n{witness}"),
        lambda t: t.replace("\n\n", "\nanother line\n\n"),
    ):
        entry = made.entry("hashedrekord", "0.0.2", edit=checkpoint(change))
        raw = world.bundle_of(made, entries=[entry], stamps=[made.stamp()])
        assert (fact(raw).outcome is Outcome.VERIFIED) == ("another line" not in change("a\n\n"))


def test_a_log_may_have_another_name_in_version_1_only() -> None:
    made = signed()
    assert fact(world.bundle_of(made, entries=[made.entry(origin="elsewhere.test")])).logs == 1
    entry = made.entry("hashedrekord", "0.0.2", origin="elsewhere.test")
    refused(world.bundle_of(made, entries=[entry], stamps=[made.stamp()]), "is of 'elsewhere.test'")


def test_an_entry_signed_by_another_log() -> None:
    made = signed()
    other = world.instance("two")
    own, foreign = made.entry("hashedrekord"), made.entry("hashedrekord", signer=other.rekor)
    for part, word in (
        ("inclusionPromise", "not signed by the log"),
        ("inclusionProof", "not signed by its log"),
    ):
        refused(world.bundle_of(made, entries=[{**own, part: foreign[part]}]), word)
    entry = made.entry("hashedrekord", "0.0.2", signer=other.rekor2)
    refused(world.bundle_of(made, entries=[entry], stamps=[made.stamp()]), "not signed by its log")


# --- the entry is of this signature --------------------------------------------------------------

KINDS = [
    ("hashedrekord", "0.0.1"),
    ("dsse", "0.0.1"),
    ("intoto", "0.0.2"),
    ("hashedrekord", "0.0.2"),
    ("dsse", "0.0.2"),
]


@pytest.mark.parametrize(("kind", "version"), KINDS)
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"signature": b"another signature"}, "another signature"),
        ({"holder": world.instance().certificate(signing_world.key().public_key())}, "another certificate"),
        ({"holder": signing_world.key().public_key()}, "another certificate"),
        ({"signed": b"another", "payload": b"another"}, "other content"),
    ],
)
def test_an_entry_of_something_else(kind: str, version: str, changes: dict[str, Any], word: str) -> None:
    made = signed()
    log = 2 if version == "0.0.2" and kind != "intoto" else 1
    entry = made.sigstore.entry(made.body(kind, version, **changes), version=log)
    refused(world.bundle_of(made, entries=[entry], stamps=[made.stamp()]), word, alone())


@pytest.mark.parametrize(("kind", "version"), KINDS)
def test_an_entry_without_its_parts(kind: str, version: str) -> None:
    made = signed()
    log = 2 if version == "0.0.2" and kind != "intoto" else 1
    body = made.body(kind, version)
    for spec in ({}, [], None, *_without(body["spec"])):
        entry = made.sigstore.entry({**body, "spec": spec}, version=log)
        found = fact(world.bundle_of(made, entries=[entry], stamps=[made.stamp()]))
        assert found.outcome is not Outcome.VERIFIED or spec is not None


def _without(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in spec.items() if key != gone} for gone in spec]


def test_kinds_that_are_not_judged() -> None:
    made = signed()
    for kind, version, word in (
        ("intoto", "0.0.1", "names the stored envelope"),
        ("helm", "0.0.1", "not judged here"),
        ("hashedrekord", "0.0.3", "not judged here"),
    ):
        body = {**made.body("intoto", "0.0.1"), "kind": kind, "apiVersion": version}
        refused(world.bundle_of(made, entries=[made.sigstore.entry(body)]), word)


def test_a_huge_body() -> None:
    made = signed()
    for size, outcome in ((1000, Outcome.VERIFIED), (MAX_BODY_BYTES, Outcome.BROKEN)):
        entry = made.sigstore.entry({**made.body("hashedrekord"), "x": "y" * size})
        assert fact(world.bundle_of(made, entries=[entry])).outcome is outcome


def test_a_weak_hash_in_an_entry() -> None:
    made = signed()
    body = made.body("hashedrekord", "0.0.1")
    body["spec"]["data"]["hash"] = {"algorithm": "sha1", "value": "00" * 20}
    refused(world.bundle_of(made, entries=[made.sigstore.entry(body)]), "sha1")
    body = made.body("dsse", "0.0.1")
    body["spec"]["payloadHash"] = {"algorithm": "md5", "value": "00"}
    refused(world.bundle_of(made, entries=[made.sigstore.entry(body)]), "md5")


# --- the statement, and versions -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"), "is not a signature"),
        (lambda s: s["subject"].append(s["subject"][0]), "exactly one subject"),
        (lambda s: s["subject"][0].update(digest={"sha256": OTHER.hex}), "not about this digest"),
        (lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"), "statement type"),
    ],
)
def test_what_is_signed_must_be_a_signature_of_this(edit: world.Edit, word: str) -> None:
    refused(world.bundle_of(signed(edit_statement=edit)), word)


def test_bundles_of_older_versions_are_for_artifacts() -> None:
    def older(document: dict[str, Any]) -> None:
        document["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2"
        leaf = document["verificationMaterial"].pop("certificate")
        document["verificationMaterial"]["x509CertificateChain"] = {"certificates": [leaf]}

    found = refused(world.bundle_of(signed(), edit=older), "0.2 are for artifacts")
    assert found.outcome is Outcome.NOT_UNDERSTOOD


# --- legacy layers -------------------------------------------------------------------------------


def layer(made: world.Signature, annotations: dict[str, str], *attestors: Attestor) -> SignatureFact:
    candidate = world.layer_of(SUBJECT, made, annotations)
    return judge(candidate, subject=SUBJECT, attestors=attestors or (ci(),), now=world.NOW)


@pytest.mark.parametrize("kind", ["hashedrekord", "rekord"])
def test_a_layer_with_a_promise(kind: str) -> None:
    made = world.sign_payload(SUBJECT)
    found = layer(made, world.annotations_of(made, kind))
    assert (found.outcome, found.logs, found.signed_at) == (Outcome.VERIFIED, 1, world.SIGNED)
    assert found.signed_repository == "registry.test/shop/web"


def test_a_layer_with_a_timestamp() -> None:
    made = world.sign_payload(SUBJECT)
    both = layer(made, world.annotations_of(made, stamp=made.stamp()))
    assert (both.outcome, both.logs, both.timestamps) == (Outcome.VERIFIED, 1, 1)
    alone = world.annotations_of(made, entry=False, stamp=made.stamp())
    assert layer(made, alone).outcome is Outcome.UNTRUSTED
    assert layer(made, alone, ci(min_logs=0, min_timestamps=1)).outcome is Outcome.VERIFIED


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": b"another"},
        {"signed": b"another"},
        {"holder": world.instance().certificate(signing_world.key().public_key())},
    ],
)
def test_a_layer_with_an_entry_of_something_else(changes: dict[str, Any]) -> None:
    made = world.sign_payload(SUBJECT)
    assert layer(made, world.annotations_of(made, **changes)).outcome is Outcome.BROKEN


def test_a_layer_without_an_entry() -> None:
    made = world.sign_payload(SUBJECT)
    assert layer(made, world.annotations_of(made, entry=False)).outcome is Outcome.BROKEN


def test_a_layer_whose_entry_lies_in_no_known_log() -> None:
    made = world.sign_payload(SUBJECT)
    annotations = world.annotations_of(made)
    name = "dev.sigstore.cosign/bundle"
    annotations[name] = annotations[name].replace(world.instance().log_id(1).hex(), "AB" * 32)
    assert "logID" in layer(made, annotations).reason
    annotations[name] = annotations[name].replace("AB" * 32, "ab" * 32)
    assert "does not name" in layer(made, annotations).reason


@pytest.mark.parametrize("change", [lambda t: t + t, lambda t: t[:60], lambda _t: "x" * 300000])
def test_a_layer_whose_certificate_is_not_one(change: Callable[[str], str]) -> None:
    made = world.sign_payload(SUBJECT)
    annotations = world.annotations_of(made)
    name = "dev.sigstore.cosign/certificate"
    annotations[name] = change(annotations[name])
    assert "not one PEM certificate" in layer(made, annotations).reason


def test_a_good_signature_is_not_hidden_by_a_bad_or_a_foreign_one() -> None:
    made = world.sign_payload(SUBJECT)
    foreign = world.sign_payload(SUBJECT, sigstore=world.instance("two"))
    good = world.layer_of(SUBJECT, made, world.annotations_of(made))
    others = [
        world.layer_of(SUBJECT, foreign, world.annotations_of(foreign)),
        world.layer_of(SUBJECT, made, world.annotations_of(made, entry=False)),
        signing_world.bundle_candidate(SUBJECT, v1(sigstore=world.instance("two"))),
    ]
    facts = judge_all([*others, good, *others], subject=SUBJECT, attestors=[ci()], now=world.NOW)
    assert [one.outcome is Outcome.VERIFIED for one in facts] == [False] * 3 + [True] + [False] * 3


def test_the_certificate_of_the_pem_is_the_one_that_is_compared() -> None:
    made = world.sign_payload(SUBJECT)
    assert made.certificate is not None
    body = made.body("hashedrekord", "0.0.1")
    text = made.certificate.public_bytes(serialization.Encoding.PEM)
    for raw in (text + text, b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        body["spec"]["signature"]["publicKey"]["content"] = signing_world.b64(raw)
        entry = world.bundle_of(signed(), entries=[made.sigstore.entry(body)])
        refused(entry, "")
