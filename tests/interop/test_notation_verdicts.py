"""Our verdict beside that of the real notation 1.3.2, case by case, under one trust policy: never laxer.

Where it is stricter that is written down: ``UPDATE_GOLDEN=1`` writes ``golden/stricter_than_notation.md``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import notation_world as world
from tests.interop.notation_client import (
    Notation,
    Signers,
    distribution,
    make_notation,
    make_signers,
    write_trust_policy,
)
from tests.interop.world import GOLDEN
from tests.notation_world import COSE, JWS, Artifact, Issued, Parts
from tests.unit.evidence.notation import test_envelopes as envelopes
from trustgate.evidence.notation.manifest import candidate_of
from trustgate.evidence.notation.refusal import Refused
from trustgate.evidence.notation.trust import NotationTrustInvalid
from trustgate.evidence.notation.trust_policy import read_trust_policy, statement_trust
from trustgate.evidence.notation.verification import verify_notation
from trustgate.oci import media
from trustgate.oci.names import RepositoryName, Tag
from trustgate.remote.registry import RegistryClient

pytestmark = pytest.mark.interop
NOW = datetime.now(UTC).replace(microsecond=0)
TABLE = GOLDEN / "stricter_than_notation.md"
HEAD = """# Where trustgate is stricter than notation 1.3.2

Written by `tests/interop/test_notation_verdicts.py`: both judged the same signature under one trust policy.

| case | notation | trustgate | reason |
|---|---|---|---|
"""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{12,64}")


@dataclass(frozen=True, slots=True)
class Case:
    """``make`` gives the manifest that carries the signature; ``policy`` changes the statement."""

    name: str
    make: Callable[[Signers], Artifact]
    policy: dict[str, Any] = field(default_factory=dict)


def parts(signers: Signers, kind: str = "p256", issued: Issued | None = None, **changes: Any) -> Parts:
    made = world.parts(issued or signers.by_kind[kind], **changes)
    made.header[world.TIME] = NOW - timedelta(hours=1)
    return made


def carried(made: Parts, media_type: str, raw: bytes | None = None, **changes: Any) -> Artifact:
    chain = [x509.load_der_x509_certificate(der) for der in made.chain] or None
    written = world.WRITERS[media_type](made) if raw is None else raw
    return world.carrier(written, media_type, **{"chain": chain, **changes})


def edited(edit: Callable[[Parts], object], media_type: str) -> Callable[[Signers], Artifact]:
    def make(signers: Signers) -> Artifact:
        made = parts(signers)
        edit(made)
        return carried(made, media_type)

    return make


def of_leaf(media_type: str = JWS, **changes: Any) -> Callable[[Signers], Artifact]:
    """By a leaf of its own, straight under the root."""

    def make(signers: Signers) -> Artifact:
        window = {"not_before": NOW - timedelta(days=1), "not_after": NOW + timedelta(days=1)}
        given = {"private": world.key("p256", "verdicts"), **window, **changes}
        return carried(parts(signers, issued=world.issue(signers.root, **given)), media_type)

    return make


def forged(media_type: str, forge: Callable[[Any], object]) -> Callable[[Signers], Artifact]:
    writer: Any = world.jws if media_type == JWS else world.cose

    def make(signers: Signers) -> Artifact:
        made = parts(signers)
        return carried(made, media_type, writer(made, forge))

    return make


def payload(edit: Callable[[dict[str, Any]], object]) -> Callable[[Parts], object]:
    def change(made: Parts) -> None:
        document = json.loads(made.payload)
        edit(document["targetArtifact"])
        made.payload = json.dumps(document).encode()

    return change


def replaced(old: bytes, new: bytes) -> Callable[[Parts], object]:
    def change(made: Parts) -> None:
        assert old in made.payload
        made.payload = made.payload.replace(old, new)

    return change


def salted(private: Any, content: bytes) -> bytes:
    longest = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
    return private.sign(content, longest, hashes.SHA256())


def raw_jws(change: Callable[[bytes], bytes]) -> Callable[[Signers], Artifact]:
    def make(signers: Signers) -> Artifact:
        made = parts(signers)
        return carried(made, JWS, change(world.jws(made)))

    return make


def header_twice(signers: Signers) -> Artifact:
    made = parts(signers)
    text = json.dumps({name: world._rfc3339(value) for name, value in made.header.items()})
    return carried(
        made, JWS, world.jws(made, header_json=text.replace('"alg"', '"alg": "ES512", "alg"').encode())
    )


def fraction_in_cose(signers: Signers) -> Artifact:
    made = parts(signers)
    labels = {**world.cose_labels(made), world.TIME: cbor2.CBORTag(1, NOW.timestamp() - 3600.5)}
    return carried(made, COSE, world.cose(made, protected=cbor2.dumps(labels)))


def manifest(edit: Callable[[dict[str, Any]], object]) -> Callable[[Signers], Artifact]:
    return lambda signers: carried(parts(signers), JWS, edit=edit)


def older(document: dict[str, Any]) -> None:
    del document["artifactType"]
    document["config"]["mediaType"] = world.NOTARY


def by_stranger(signers: Signers) -> Artifact:
    window = {"not_before": NOW - timedelta(days=1), "not_after": NOW + timedelta(days=1)}
    root = world.authority(private=world.key("p256", "stranger root"), common_name="stranger", **window)
    return carried(parts(signers, issued=world.issue(root, private=world.key("p256", "x"), **window)), JWS)


def expired(signers: Signers) -> Artifact:
    made = parts(signers)
    return carried(world.expiring(made, NOW - timedelta(minutes=30)), JWS)


SKIPPED_EDITS = {"expires before it is signed"}
"""They are made for the unit tests' clock."""
LEVELS = {level: {"signatureVerification": {"level": level}} for level in ("strict", "permissive", "audit")}
CASES: tuple[Case, ...] = (
    Case("good (JWS)", edited(lambda p: None, JWS)),
    Case("good (COSE)", edited(lambda p: None, COSE)),
    Case("good, older manifest", manifest(older)),
    Case("any identity", edited(lambda p: None, JWS), {"trustedIdentities": ["*"]}),
    Case(
        "level skip, scope *",
        edited(lambda p: None, JWS),
        {
            "signatureVerification": {"level": "skip"},
            "trustStores": [],
            "trustedIdentities": [],
        },
    ),
    *(Case(f"stranger, level {level}", by_stranger, policy) for level, policy in LEVELS.items()),
    *(Case(f"expired, level {level}", expired, policy) for level, policy in LEVELS.items()),
    Case(
        "another identity",
        edited(lambda p: None, JWS),
        {"trustedIdentities": ["x509.subject: C=DE, ST=BE, O=x"]},
    ),
    Case("PSS with the longest salt", lambda s: carried(parts(s, "rsa2048", sign=salted), JWS)),
    Case("PSS with the longest salt (COSE)", lambda s: carried(parts(s, "rsa2048", sign=salted), COSE)),
    Case("leaf for any purpose", of_leaf(purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])),
    Case("leaf for servers", of_leaf(purposes=[ExtendedKeyUsageOID.SERVER_AUTH])),
    Case("leaf for OCSP", of_leaf(purposes=[ExtendedKeyUsageOID.OCSP_SIGNING])),
    Case("leaf without key usage", of_leaf(usages=None)),
    Case("leaf that may encrypt", of_leaf(usages=("digital_signature", "key_encipherment"))),
    Case("leaf with key usage not critical", of_leaf(usage_critical=False)),
    Case(
        "leaf of another key", of_leaf(private=world.key("p256", "other"), sign_with=world.key("p256", "z"))
    ),
    Case(
        "leaf with a mail address", of_leaf(subject=[("C", "DE"), ("ST", "BE"), ("O", "tg"), ("E", "a@b.c")])
    ),
    Case(
        "leaf with two names",
        of_leaf(subject=[("C", "DE"), ("ST", "BE"), ("O", "tg"), ("CN", "a"), ("CN", "b")]),
    ),
    Case(
        "leaf with two units",
        of_leaf(subject=[("C", "DE"), ("ST", "BE"), ("O", "tg"), ("OU", "a"), ("OU", "b")]),
    ),
    Case("expired leaf", of_leaf(not_before=NOW - timedelta(days=2), not_after=NOW - timedelta(minutes=30))),
    Case(
        "signed before its certificates",
        edited(lambda p: p.header.update({world.TIME: NOW - timedelta(days=900)}), JWS),
    ),
    Case(
        "signed in the future", edited(lambda p: p.header.update({world.TIME: NOW + timedelta(days=1)}), JWS)
    ),
    Case(
        "fraction of a second",
        edited(
            lambda p: p.header.update(
                {world.TIME: (NOW - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.5Z")}
            ),
            JWS,
        ),
    ),
    Case("fraction of a second (COSE)", fraction_in_cose),
    Case("payload key twice", edited(replaced(b'"size"', b'"size": 1, "size"'), JWS)),
    Case("payload key in another case", edited(replaced(b'"size"', b'"Size"'), JWS)),
    Case("payload key twice (COSE)", edited(replaced(b'"digest"', b'"digest": "x", "digest"'), COSE)),
    Case(
        "further member of the payload",
        edited(replaced(b'{"targetArtifact"', b'{"x": 1, "targetArtifact"'), JWS),
    ),
    Case(
        "envelope key twice", raw_jws(lambda raw: raw.replace(b'"payload"', b'"payload": "e30", "payload"'))
    ),
    Case("envelope key in another case", raw_jws(lambda raw: raw.replace(b'"payload"', b'"Payload"'))),
    Case("header key twice", header_twice),
    Case("header key in another case", edited(lambda p: p.header.update({"Cty": p.header.pop("cty")}), JWS)),
    *(
        Case(f"{name} (JWS)", edited(edit, JWS))
        for name, (edit, _, _) in envelopes.SIGNED_EDITS.items()
        if name not in SKIPPED_EDITS
    ),
    *(
        Case(f"{name} (COSE)", edited(edit, COSE))
        for name, (edit, _, _) in envelopes.SIGNED_EDITS.items()
        if name not in SKIPPED_EDITS
    ),
    *(Case(f"payload: {name}", edited(payload(edit), JWS)) for name, (edit, _) in envelopes.PAYLOADS.items()),
    *(Case(f"JWS: {name}", forged(JWS, forge)) for name, (forge, _) in envelopes.JWS_FORGERIES.items()),
    *(Case(f"COSE: {name}", forged(COSE, forge)) for name, (forge, _) in envelopes.COSE_FORGERIES.items()),
    *(
        Case(f"manifest: {name}", manifest(edit))
        for name, (edit, _) in envelopes.MANIFESTS.items()
        if name not in {"a huge layer", "another size"}
    ),
)


@pytest.fixture(scope="module")
def signers() -> Signers:
    return make_signers(["p256", "rsa2048"])


@pytest.fixture(scope="module")
def notation(signers: Signers, tmp_path_factory: pytest.TempPathFactory) -> Notation:
    return make_notation(tmp_path_factory.mktemp("verdicts"), signers, {"PATH": os.environ["PATH"]})


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with distribution(tmp_path_factory.mktemp("peer") / "distribution") as host:
        yield host


def push(host: str, name: str, signature: Artifact) -> None:
    """The image, its signature, and the list of referrers that leads to it whatever its ``subject`` says."""
    listed = {
        "schemaVersion": 2,
        "mediaType": media.OCI_INDEX,
        "manifests": [{**signature.manifest.descriptor.as_json(), "artifactType": world.NOTARY}],
    }
    with RegistryClient(host, RepositoryName(name), None) as source:
        for artifact, tag in ((world.IMAGE, "v1"), (signature, None)):
            for digest, content in artifact.blobs.items():
                source.put_blob(digest, iter([content]), len(content))
            source.put_manifest(artifact.raw, artifact.manifest.media_type, Tag(tag) if tag else None)
        tag = Tag(str(world.SUBJECT.digest).replace(":", "-"))
        source.put_manifest(json.dumps(listed).encode(), media.OCI_INDEX, tag)


def ours(signature: Artifact, policy: bytes, store: dict[str, bytes]) -> tuple[bool, str]:
    """Whether we say that it is verified, and if not why."""
    candidate = candidate_of(signature.manifest, signature.blobs)
    if candidate is None:
        return False, "nothing says that it is a signature"
    try:
        statement = read_trust_policy(policy).for_scope("localhost:1/any")
        assert statement is not None
        trust = statement_trust(statement, store)
        result = verify_notation(candidate, subject=world.SUBJECT, trust=trust, now=datetime.now(UTC))
    except (Refused, NotationTrustInvalid) as exc:
        return False, str(exc)
    if result.verified:
        return True, ""
    return False, result.refusal or "level audit accepts it, and that proves nobody: " + result.logged[
        0
    ].problem


def gone(signature: Artifact) -> bool:
    """Distribution takes no manifest whose blobs are missing, so that case has none."""
    return any(one.digest not in signature.blobs for one in signature.manifest.blobs)


def test_never_laxer_and_each_difference_is_written_down(
    signers: Signers, notation: Notation, peer: str
) -> None:
    store = {"x509/ca/acme/root.crt": signers.root.pem}
    laxer, rows, agreed = [], [], 0
    for number, case in enumerate(CASES):
        signature = case.make(signers)
        if gone(signature):
            continue
        policy = write_trust_policy(notation.home, **case.policy)
        push(peer, f"case/{number}", signature)
        theirs = notation.verifies("--insecure-registry", f"{peer}/case/{number}:v1")
        accepted, why = ours(signature, policy, store)
        agreed += accepted is theirs
        if accepted and not theirs:
            laxer.append(case.name)
        if theirs and not accepted:
            reason = _DIGEST.sub("sha256:DIGEST", _MOMENT.sub("MOMENT", why)).replace("|", "\\|")
            rows.append(f"| {case.name} | accept | reject | {reason} |\n")
    write_trust_policy(notation.home)
    print(f"{agreed} agree, {len(rows)} stricter, {len(laxer)} laxer")
    assert laxer == []
    assert agreed >= 80
    table = HEAD + "".join(rows)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        TABLE.write_text(table)
    assert table == TABLE.read_text()
