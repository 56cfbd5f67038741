"""The ``signers`` rule with real pushes of every format: whose evidence arrives, what a refusal leaves."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests import notation_world, openpgp_world
from tests.unit.evidence.notary import scene
from tests.unit.gate.conftest import ROOT, SIGNED, Answer, Gated, serve_gated
from tests.unit.gate.test_defects import failing
from trustgate.errors import OpenPgpUnavailable, StorageUnavailable, TrustgateError, UpstreamRefused
from trustgate.evidence.attesting import Predicate
from trustgate.evidence.cosign_key import PrivateKey, public_pem
from trustgate.evidence.helm.chart import read_chart
from trustgate.evidence.helm.packaging import chart_artifact
from trustgate.evidence.model import Role, SignatureFact
from trustgate.evidence.notary.keys import read_key
from trustgate.evidence.notary.signing import (
    MetadataSigner,
    new_repository,
    sign_metadata,
    targets_document,
)
from trustgate.evidence.notation.envelope import COSE, JWS
from trustgate.evidence.notation.signing import signer_of
from trustgate.evidence.revoked import key_mark
from trustgate.evidence.shape import legacy_attestation_tag, legacy_signature_tag
from trustgate.flows import attestations, chart_evidence, notary_arrivals, signatures
from trustgate.flows.arrivals import new_layers
from trustgate.flows.sign import attest_image, attest_image_legacy, sign_image_notation
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports import Grant
from trustgate.remote.docker_config import Credential
from trustgate.remote.notary import NotaryClient

HEAD = "apiVersion: trustgate.dev/v1\n"
WEB = RepositoryName("shop/web")
CHART = RepositoryName("shop/charts")
SLSA = Predicate("https://slsa.dev/provenance/v1", {"said": "made by make"})
HOUR_AGO = timedelta(hours=-1)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("good", "bad", "stranger")
KEYS: dict[str, PrivateKey] = {name: ec.generate_private_key(ec.SECP256R1()) for name in NAMES}
ROOTS = {name: notation_world.authority() for name in NAMES}
LEAVES = {name: notation_world.issue(root, not_before=LONG_AGO) for name, root in ROOTS.items()}
PGP = {name: openpgp_world.pgp_key("ed25519", name, made=LONG_AGO) for name in NAMES}


REVISIONS = count()


def attestors() -> str:
    lines = [f"{HEAD}kind: TrustStore", "attestors:"]
    for name in ("good", "bad"):
        lines += [
            f"  {name}: {{type: cosign-key, key: keys/{name}.pub}}",
            f"  {name}-notation:",
            f"    {{type: notation, trustStores: {{ca: [keys/{name}.pem]}}, trustedIdentities: ['*']}}",
            f"  {name}-gpg:",
            f"    {{type: gpg, keyring: keys/{name}.gpg, fingerprints: ['{PGP[name].fingerprint}']}}",
            f"  {name}-dct: {{type: notary-v1, rootKey: keys/{name}.dct}}",
        ]
    return "\n".join(lines) + "\n"


def policy(signers: str, *, mode: str = "enforce", more: str = "") -> str:
    return f"""\
# {next(REVISIONS)}
{HEAD}kind: Policy
metadata: {{name: here}}
mode: {mode}
scope: {{actions: [push], repositories: ["shop/**"]}}
rules:
  - id: signers
    signers: {{{signers}}}
{more}"""


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    with served(tmp_path) as made:
        yield made


@contextmanager
def served(tmp_path: Path, *, sparse: bool = False) -> Iterator[Gated]:
    with serve_gated(tmp_path, sparse=sparse) as made:
        keys = tmp_path / "policy/trust/keys"
        for name in NAMES:
            (keys / f"{name}.pub").write_bytes(public_pem(KEYS[name]))
            (keys / f"{name}.pem").write_bytes(ROOTS[name].pem)
            (keys / f"{name}.gpg").write_bytes(PGP[name].public())
            (keys / f"{name}.dct").write_bytes(
                scene.private(name)
                .public_key()
                .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            )
        (tmp_path / "policy/policies/prod.yaml").unlink()
        made.set_policy({"trust/attestors.yaml": attestors(), "policies/here.yaml": policy("deny: [bad]")})
        yield made


# --- how each format brings its evidence ---------------------------------------------------------


def sign(gated: Gated, name: str, *, legacy: bool) -> None:
    gated.sign(str(WEB), gated.push(str(WEB), "1", "hello"), KEYS[name], legacy=legacy)


def attest(gated: Gated, name: str, *, legacy: bool) -> None:
    digest = gated.push(str(WEB), "1", "hello")
    with gated.client("ci", str(WEB)) as client:
        if legacy:
            attest_image_legacy(client, digest, KEYS[name], SLSA, name=str(WEB))
        else:
            attest_image(client, digest, KEYS[name], SLSA, name=str(WEB), now=datetime.now(UTC))


def sign_notation(
    gated: Gated,
    name: str,
    media_type: str,
    *,
    late: timedelta = timedelta(),
    leaf: notation_world.Issued | None = None,
) -> None:
    digest = gated.push(str(WEB), "1", "hello")
    leaf = leaf or LEAVES[name]
    signer = signer_of(leaf.key, list(leaf.chain))
    with gated.client("ci", str(WEB)) as client:
        at = datetime.now(UTC) + late
        sign_image_notation(client, digest, signer, media_type=media_type, metadata={}, now=at)


METADATA = openpgp_world.CHART_YAML.replace("name: web", "name: charts")
PACKAGE = openpgp_world.package({"charts/Chart.yaml": METADATA})


@cache
def provenance(name: str, late: timedelta = HOUR_AGO) -> bytes:
    body = openpgp_world.provenance_body(PACKAGE, metadata=METADATA, name="charts-1.2.3.tgz")
    at = datetime.now(UTC) + late
    return openpgp_world.clear_signed(body, PGP[name], at=at).encode()


def push_chart(
    gated: Gated, name: str, tag: str = "1.2.3", *, without: bytes = b"", late: timedelta = HOUR_AGO
) -> None:
    made = chart_artifact(PACKAGE, read_chart(PACKAGE), provenance(name, late), created=datetime.now(UTC))
    with gated.client("ci", str(CHART)) as client:
        for digest, content in made.blobs.items():
            if content == without:
                continue
            client.put_blob(digest, iter([content]), len(content))
        client.put_manifest(made.manifest, media.OCI_MANIFEST, Tag(tag))


def post_charts(gated: Gated, to: str = "charts", **files: bytes) -> Answer:
    body = b"".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files.items()
    )
    headers = {
        "authorization": gated.authorization("ci"),
        "content-type": "multipart/form-data; boundary=B",
    }
    return gated.request("POST", f"/api/charts/shop/{to}", headers, body + b"--B--\r\n")


def upload_chart(gated: Gated, name: str) -> None:
    _raised(post_charts(gated, chart=PACKAGE, prov=provenance(name)))


def _raised(answer: Answer) -> None:
    if answer.status == 403:
        raise UpstreamRefused(answer.body.decode())
    assert answer.status == 201, answer.body


def publish(gated: Gated, name: str, tags: dict[str, bytes] | None = None) -> None:
    gun = f"localhost:5080/{WEB}"
    credential = Credential("robot$ci", gated.secrets["ci"], "test")
    with NotaryClient(f"http://{gated.host}", gun, credential) as client:
        keys = {role: trust_key(gated, gun, role) for role in ("snapshot", "timestamp")}
        now = datetime.now(UTC)
        files = new_repository(scene.root(name, gun), scene.signer("targets"), now=now, **keys)
        client.publish(files)


def trust_key(gated: Gated, gun: str, role: str) -> Any:
    headers = {"authorization": gated.authorization("ci")}
    return read_key(json.loads(gated.request("GET", f"/v2/{gun}/_trust/tuf/{role}.key", headers).body), role)


FORMATS: dict[str, tuple[str, Callable[[Gated, str], None]]] = {
    "bundle": ("", lambda gated, name: sign(gated, name, legacy=False)),
    "sig tag": ("", lambda gated, name: sign(gated, name, legacy=True)),
    "attestation": ("", lambda gated, name: attest(gated, name, legacy=False)),
    "att tag": ("", lambda gated, name: attest(gated, name, legacy=True)),
    "jws": ("-notation", lambda gated, name: sign_notation(gated, name, JWS)),
    "cose": ("-notation", lambda gated, name: sign_notation(gated, name, COSE)),
    "chart": ("-gpg", push_chart),
    "uploaded chart": ("-gpg", upload_chart),
    "trust data": ("-dct", publish),
}


def evidence_in(gated: Gated) -> list[str]:
    """Everything in the store that signs or attests."""
    store = gated.server.store
    found = [f"trust data of {gun}" for gun in store.trust_files.guns(WEB)]
    found += [str(tag) for tag in store.manifests.tags(CHART, after="", limit=10) or ()]
    found += [
        str(tag) for tag in store.manifests.tags(WEB, after="", limit=10) or () if tag.startswith("sha256-")
    ]
    image = store.manifests.find(WEB, Tag("1"))
    if image is not None:
        found += [str(one.digest) for one in store.manifests.referrers(WEB, image.digest, limit=10)]
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_deny(gated: Gated, form: str) -> None:
    """The denied signer's is refused, and leaves nothing; a stranger's, and the other's, is taken."""
    ending, bring = FORMATS[form]
    gated.set_policy({"policies/here.yaml": policy(f"deny: [bad{ending}]")})
    with pytest.raises(TrustgateError, match=f"ed by bad{ending}, who must not sign here|denied by here/s"):
        bring(gated, "bad")
    assert evidence_in(gated) == []
    bring(gated, "stranger" if form != "uploaded chart" else "good")
    assert evidence_in(gated)


@pytest.mark.parametrize("form", FORMATS)
def test_only(gated: Gated, form: str) -> None:
    """The named signer's is taken; another's and a stranger's are refused, and leave nothing."""
    ending, bring = FORMATS[form]
    gated.set_policy({"policies/here.yaml": policy(f"only: [good{ending}]")})
    for name in ("bad", "stranger"):
        with pytest.raises(TrustgateError, match=f"only good{ending} may sign here"):
            bring(gated, name)
        assert evidence_in(gated) == []
    bring(gated, "good")
    assert evidence_in(gated)


# --- what a client is told, and what is kept ------------------------------------------------------


def put(gated: Gated, target: str | Tag, raw: bytes, who: str = "ci") -> Answer:
    headers = {"authorization": gated.authorization(who), "content-type": media.OCI_MANIFEST}
    return gated.request("PUT", f"/v2/{WEB}/manifests/{target}", headers, raw)


def signature(gated: Gated, name: str) -> tuple[Digest, Tag, bytes]:
    """An image, and a ``.sig`` manifest by that signer which has not been pushed; its blobs have."""
    digest = gated.push(str(WEB), "1", "hello")
    tag = legacy_signature_tag(digest)
    assert tag is not None
    gated.set_policy({"policies/here.yaml": policy("deny: [bad]", mode="off")})
    gated.sign(str(WEB), digest, KEYS[name], legacy=True)
    with gated.client("ci", str(WEB)) as client:
        raw = client.manifest(tag).raw
    assert gated.ask("ci", "DELETE", f"/v2/{WEB}/manifests/{Digest.of(raw)}").status == 202
    gated.set_policy({"policies/here.yaml": policy("deny: [bad]")})
    return digest, tag, raw


def test_the_refusal_names_who_signed_and_has_a_page(gated: Gated) -> None:
    _digest, tag, raw = signature(gated, "bad")
    refused = put(gated, tag, raw)
    assert (refused.status, refused.error["code"]) == (403, "DENIED")
    message, _, link = refused.error["message"].rpartition(" - ")
    assert "denied by here/signers: signed by bad, who must not sign here" in message
    decision = link.rpartition("/")[2]
    page = gated.request("GET", f"/d/{decision}", {"accept": "text/html"})
    assert b"Must not sign here: bad" in page.body
    document = json.loads(gated.request("GET", f"/d/{decision}", {"accept": "application/json"}).body)
    assert [(row["kind"], row["outcome"], row["attestors"]) for row in document["evidence"]] == [
        ("cosign-legacy", "verified", "bad")
    ]
    assert [rule["reason"] for rule in document["rules"]] == ["signer-denied"]
    metrics = gated.server.metrics.text().decode()
    assert 'trustgate_decisions_total{rule="here/signers",verdict="deny"}' in metrics
    gated.set_policy({"policies/here.yaml": policy("only: [good]")})
    refused = put(gated, tag, raw)
    assert "only good may sign here: it is signed by bad" in refused.error["message"]
    page = gated.request("GET", f"/d/{refused.headers['trustgate-decision']}", {"accept": "text/html"})
    assert b"May sign here: good" in page.body


@pytest.mark.parametrize(("mode", "warned"), [("warn", True), ("audit", False), ("off", False)])
def test_modes(gated: Gated, mode: str, warned: bool) -> None:
    _digest, tag, raw = signature(gated, "bad")
    gated.set_policy({"policies/here.yaml": policy("deny: [bad]", mode=mode)})
    answer = put(gated, tag, raw)
    assert answer.status == 201
    assert ("who must not sign here" in answer.headers.get("warning", "")) is warned


def test_an_exemption_lets_past(gated: Gated) -> None:
    _digest, tag, raw = signature(gated, "bad")
    exempt = "  - {robots: ['robot$ci'], actions: [push], rules: [here/signers], why: it moves old images}\n"
    gated.set_policy({"trustgate.yaml": ROOT + exempt})
    assert put(gated, tag, raw).status == 201


def test_it_does_not_speak_of_images_and_charts_without_a_signature(gated: Gated) -> None:
    gated.set_policy({"policies/here.yaml": policy("only: [good]")})
    gated.push(str(WEB), "1", "hello")
    gated.push_index(str(WEB), "2", "many")
    assert post_charts(gated, chart=PACKAGE).status == 201


@pytest.mark.parametrize(
    ("mode", "rule"),
    [("off", "deny: [bad-dct]"), ("audit", "deny: [bad-dct]"), ("enforce", "only: [good-dct]")],
)
def test_where_nothing_else_is_allowed_its_silence_is_no_refusal(gated: Gated, mode: str, rule: str) -> None:
    """Trust data is asked about by ``signers`` rules alone: what else is denied is denied to manifests."""
    closed = ROOT.replace("push: allow", "push: deny")
    gated.set_policy({"trustgate.yaml": closed, "policies/here.yaml": policy(rule, mode=mode)})
    publish(gated, "good")


# --- tags that grow ------------------------------------------------------------------------------


@pytest.fixture
def pusher(gated: Gated) -> str:
    """Who may push and not delete."""
    grant = Grant("shop", frozenset({"pull", "push"}))
    gated.secrets["pusher"] = gated.server.accounts.create_robot("pusher", grants=[grant])[1]
    return "pusher"


def layers_of(gated: Gated, tag: Tag) -> int:
    with gated.client("ci", str(WEB)) as client:
        return len(parse_manifest(client.manifest(tag).raw).layers)


@pytest.mark.parametrize("bring", [sign, attest])
def test_only_what_is_new_under_a_tag_is_judged(gated: Gated, pusher: str, bring: Any) -> None:
    """What ``bad`` signed before the rule stays, and is in nobody's way; nothing more by them is added."""
    digest = gated.push(str(WEB), "1", "hello")
    tag = legacy_signature_tag(digest) if bring is sign else legacy_attestation_tag(digest)
    assert tag is not None
    gated.set_policy({"policies/here.yaml": policy("deny: [bad]", mode="off")})
    bring(gated, "bad", legacy=True)
    for rule in ("deny: [bad]", "only: [good]"):
        gated.set_policy({"policies/here.yaml": policy(rule)})
        bring(gated, "good", legacy=True)
    standing = layers_of(gated, tag)
    assert standing >= 2
    if bring is sign:  # ECDSA signs differently each time: a second one by bad is a new layer
        for rule in ("deny: [bad]", "only: [good]"):
            gated.set_policy({"policies/here.yaml": policy(rule)})
            with pytest.raises(UpstreamRefused, match="here/signers"):
                bring(gated, "bad", legacy=True)
    assert layers_of(gated, tag) == standing


def test_every_new_layer_is_judged(gated: Gated) -> None:
    """Two that arrive together: a good one in front hides no other."""
    digest = gated.push(str(WEB), "1", "hello")
    tag = legacy_signature_tag(digest)
    assert tag is not None
    gated.set_policy({"policies/here.yaml": policy("deny: [bad]", mode="off")})
    for name in ("good", "bad"):
        gated.sign(str(WEB), digest, KEYS[name], legacy=True)
    with gated.client("ci", str(WEB)) as client:
        both = client.manifest(tag).raw
    document = json.loads(both)
    document["layers"].reverse()
    for raw in (both, json.dumps(document).encode()):
        assert gated.ask("ci", "DELETE", f"/v2/{WEB}/manifests/{tag}").status == 202
        for rule, why in (("deny: [bad]", "signed by bad"), ("only: [good]", "it is signed by bad")):
            gated.set_policy({"policies/here.yaml": policy(rule)})
            refused = put(gated, tag, raw)
            assert (refused.status, why in refused.error["message"]) == (403, True)
        gated.set_policy({"policies/here.yaml": policy("only: [good, bad]")})
        assert put(gated, tag, raw).status == 201


def test_what_stood_there_as_something_else_is_new(gated: Gated) -> None:
    """Only what was read as evidence counts as standing there already: else it would never be judged."""
    _digest, tag, raw = signature(gated, "good")
    assert put(gated, tag, raw).status == 201
    stored = gated.server.store.manifests.find(WEB, tag)
    assert stored is not None
    manifest = parse_manifest(raw)
    assert new_layers(manifest, stored) == ()
    assert new_layers(manifest, replace(stored, role=Role.IMAGE)) == manifest.layers
    assert new_layers(manifest, None) == manifest.layers


# --- by whom, when one key has several names ------------------------------------------------------


def test_one_key_under_two_names_the_denied_one_wins(gated: Gated) -> None:
    _digest, tag, raw = signature(gated, "bad")
    twin = "  twin: {type: cosign-key, key: keys/bad.pub}\n"
    for extra in (
        twin,
        twin.replace("}", ", notAfter: 2020-01-01}"),
        twin.replace("}", ", notBefore: 2999-01-01}"),
    ):
        gated.set_policy(
            {"trust/attestors.yaml": attestors() + extra, "policies/here.yaml": policy("deny: [twin]")}
        )
        refused = put(gated, tag, raw)
        assert (refused.status, "signed by twin" in refused.error["message"]) == (403, True), extra
    gated.set_policy({"policies/here.yaml": policy("only: [twin]")})
    assert put(gated, tag, raw).status == 403, "twin has not begun to count"
    gated.set_policy({"trust/attestors.yaml": attestors() + twin})
    assert put(gated, tag, raw).status == 201


@pytest.mark.parametrize("form", [one for one in FORMATS if one not in {"jws", "chart"}])
def test_who_is_denied_is_so_before_and_after_their_time(gated: Gated, form: str) -> None:
    ending, bring = FORMATS[form]
    for late in ("notAfter: 2026-01-02", "notBefore: 2999-01-01"):
        timed = attestors()
        for line in timed.splitlines():
            if line.lstrip().startswith(f"bad{ending}: {{") or (
                ending and f"keys/bad.{_file(ending)}" in line
            ):
                timed = timed.replace(line, f"{line.removesuffix('}')}, {late}}}")
        gated.set_policy(
            {"trust/attestors.yaml": timed, "policies/here.yaml": policy(f"deny: [bad{ending}]")}
        )
        with pytest.raises(TrustgateError, match=f"by bad{ending}, who must not"):
            bring(gated, "bad")
        assert evidence_in(gated) == []


def _file(ending: str) -> str:
    return {"-notation": "pem", "-gpg": "gpg", "-dct": "dct"}[ending]


# --- what can't be judged ------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["deny: [bad]", "only: [good]"])
def test_what_cannot_be_judged_now_is_refused(
    gated: Gated, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    _digest, tag, raw = signature(gated, "good")
    gated.set_policy({"policies/here.yaml": policy(rule)})

    def gone(*_args: Any, **_named: Any) -> None:
        raise StorageUnavailable("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(gated.server.store.judgements, "find", gone)
        refused = put(gated, tag, raw)
    assert refused.status == 403
    assert "who signed it can't be judged now: the disk is gone" in refused.error["message"]
    assert evidence_in(gated) == []
    assert put(gated, tag, raw).status == 201


JUDGES: dict[str, tuple[ModuleType, str]] = {
    "bundle": (signatures, "judge_attached"),
    "sig tag": (signatures, "candidates_in"),
    "attestation": (attestations, "judge_attestations"),
    "att tag": (attestations, "judge_attestations"),
    "jws": (signatures, "questions_about"),
    "cose": (signatures, "judge_attached"),
    "chart": (chart_evidence, "helm_claim"),
    "uploaded chart": (chart_evidence, "helm_claim"),
    "trust data": (notary_arrivals, "judge_published"),
}


@pytest.mark.parametrize("form", FORMATS)
def test_a_judge_that_fails_lets_nobody_past(
    gated: Gated, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Once it is mended, what it failed on would be signed by whom it is."""
    ending, bring = FORMATS[form]
    gated.set_policy({"policies/here.yaml": policy(f"deny: [bad{ending}]")})
    module, name = JUDGES[form]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, failing(getattr(module, name), times=sys.maxsize))
        with pytest.raises(TrustgateError, match=r"can't be judged now: its judge failed|denied by here/s"):
            bring(gated, "bad")
    assert evidence_in(gated) == []
    bring(gated, "stranger" if form != "uploaded chart" else "good")


SOON = timedelta(minutes=6)
EARLY: dict[str, tuple[str, Callable[[Gated, str], None]]] = {
    "jws": ("-notation", lambda gated, name: sign_notation(gated, name, JWS, late=SOON)),
    "cose": ("-notation", lambda gated, name: sign_notation(gated, name, COSE, late=SOON)),
    "certificate": (
        "-notation",
        lambda gated, name: sign_notation(
            gated, name, JWS, late=timedelta(minutes=4), leaf=_begins_soon(name)
        ),
    ),
    "chart": ("-gpg", lambda gated, name: push_chart(gated, name, late=SOON)),
}


def _begins_soon(name: str) -> notation_world.Issued:
    return notation_world.issue(ROOTS[name], not_before=datetime.now(UTC) + timedelta(minutes=3))


@pytest.mark.parametrize("form", EARLY)
def test_nobody_denied_signs_for_a_time_to_come(gated: Gated, form: str) -> None:
    """It would be theirs as soon as the clock is there."""
    ending, bring = EARLY[form]
    gated.set_policy({"policies/here.yaml": policy(f"deny: [bad{ending}]")})
    with pytest.raises(TrustgateError, match=r"is dated after 2.*fix: sign it anew"):
        bring(gated, "bad")
    assert evidence_in(gated) == []


@pytest.mark.parametrize("absent", [PACKAGE, provenance("bad", HOUR_AGO)])
def test_a_chart_whose_parts_would_come_later(tmp_path: Path, absent: bytes) -> None:
    with served(tmp_path, sparse=True) as gated:
        gated.set_policy({"policies/here.yaml": policy("deny: [bad-gpg]")})
        with pytest.raises(TrustgateError, match=r"can't be judged now: .* is not in the repository"):
            push_chart(gated, "bad", without=absent)
        assert evidence_in(gated) == []


def test_a_chart_is_refused_while_gpg_cannot_be_asked(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    from trustgate.remote.gpg import Gpg

    def dead(*_args: Any, **_named: Any) -> None:
        raise OpenPgpUnavailable("gpg did not start")

    gated.set_policy({"policies/here.yaml": policy("deny: [bad-gpg]")})
    with monkeypatch.context() as patch:
        patch.setattr(Gpg, "verify", dead)
        with pytest.raises(TrustgateError, match="can't be judged now: gpg did not start"):
            push_chart(gated, "good")
        assert evidence_in(gated) == []
        gated.push(str(WEB), "1", "hello")
    push_chart(gated, "good")


def odd(**changes: Any) -> bytes:
    """A manifest that clients take for a signature, and that can't be read as one."""
    layer = {"mediaType": media.SIGSTORE_BUNDLE_V03, "digest": str(media.EMPTY_JSON_DIGEST), "size": 2}
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": {"mediaType": media.OCI_EMPTY, "digest": str(media.EMPTY_JSON_DIGEST), "size": 2},
        "layers": [layer],
    }
    return json.dumps({**document, **changes}).encode()


@pytest.mark.parametrize(
    "media_type",
    [
        media.SIGSTORE_BUNDLE_V03,
        media.COSIGN_SIMPLE_SIGNING,
        media.DSSE_ENVELOPE,
        "application/vnd.in-toto.provenance+dsse",
        JWS,
        "application/vnd.cncf.helm.chart.provenance.v1.prov",
    ],
)
def test_kinds_that_are_not_understood(gated: Gated, media_type: str) -> None:
    digest = gated.push(str(WEB), "1", "hello")
    with gated.client("ci", str(WEB)) as client:
        client.put_blob(Digest(media.EMPTY_JSON_DIGEST), iter([media.EMPTY_JSON]), 2)
    layer = {"mediaType": media_type, "digest": str(media.EMPTY_JSON_DIGEST), "size": 2}
    subject = {"mediaType": media.OCI_MANIFEST, "digest": str(digest), "size": 1}
    raw = odd(layers=[layer], subject=subject)
    gated.set_policy({"policies/here.yaml": policy("only: [good]")})
    refused = put(gated, Digest.of(raw), raw)
    assert refused.status == 403
    assert "only good may sign here: it looks like a signature" in refused.error["message"]
    gated.set_policy({"policies/here.yaml": policy("deny: [bad]")})
    assert put(gated, Digest.of(raw), raw).status == 201


def test_a_broken_signature(gated: Gated) -> None:
    """One image's signature under another's tag verifies for nobody."""
    _digest, tag, raw = signature(gated, "bad")
    other = legacy_signature_tag(gated.push(str(WEB), "2", "another"))
    gated.set_policy({"policies/here.yaml": policy("only: [good, bad]")})
    refused = put(gated, str(other), raw)
    assert (refused.status, "the signed payload is about" in refused.error["message"]) == (403, True)
    assert put(gated, tag, raw).status == 201
    gated.set_policy({"policies/here.yaml": policy("deny: [bad]")})
    assert put(gated, str(other), raw).status == 201


def test_a_signature_that_says_of_nothing_what_it_is(gated: Gated) -> None:
    _digest, _tag, raw = signature(gated, "good")
    for target in ("keep", str(Digest.of(raw))):
        gated.set_policy({"policies/here.yaml": policy("only: [good]")})
        refused = put(gated, target, raw)
        assert (refused.status, "neither a subject nor its tag" in refused.error["message"]) == (403, True)
        gated.set_policy({"policies/here.yaml": policy("deny: [good]")})
        assert put(gated, target, raw).status == 201


def test_a_signature_before_its_image(gated: Gated) -> None:
    """Notation signs more than the digest: what is not here yet can't be compared."""
    for name in ("good", "bad"):
        sign_notation(gated, name, JWS)
    gated.settle()
    store = gated.server.store
    image = store.manifests.find(WEB, Tag("1"))
    assert image is not None
    by_name = {}
    for one in store.manifests.referrers(WEB, image.digest, limit=10):
        document = json.loads(one.raw)
        by_name[json.dumps(document["annotations"])] = one.raw
        store.manifests.delete(WEB, one.digest, revision=store.manifests.revision(WEB))
    store.manifests.delete(WEB, image.digest, revision=store.manifests.revision(WEB))
    gated.set_policy({"policies/here.yaml": policy("deny: [bad-notation]")})
    answers = [put(gated, Digest.of(raw), raw) for raw in by_name.values()]
    assert sorted(answer.status for answer in answers) == [201, 403]
    for raw in by_name.values():
        document = json.loads(raw)
        document["subject"]["size"] += 1
        lying = json.dumps(document).encode()
        refused = put(gated, Digest.of(lying), lying)
        assert (refused.status, "is not here: push that first" in refused.error["message"]) == (403, True)


def test_a_chart_under_a_foreign_tag_is_judged_by_its_signer(gated: Gated) -> None:
    """By its digest it can be had without that tag."""
    gated.set_policy({"policies/here.yaml": policy("deny: [bad-gpg]")})
    with pytest.raises(TrustgateError, match="signed by bad-gpg"):
        push_chart(gated, "bad", tag="9.9.9")


def test_a_provenance_that_is_added_later(gated: Gated) -> None:
    gated.set_policy({"policies/here.yaml": policy("deny: [bad-gpg]")})
    assert post_charts(gated, chart=PACKAGE).status == 201
    before = gated.server.store.manifests.find(CHART, Tag("1.2.3"))
    refused = post_charts(gated, "prov", prov=provenance("bad"))
    assert (refused.status, b"signed by bad-gpg" in refused.body) == (403, True)
    after = gated.server.store.manifests.find(CHART, Tag("1.2.3"))
    assert before is not None
    assert after == before
    assert post_charts(gated, "prov", prov=provenance("good")).status == 201


# --- trust data ----------------------------------------------------------------------------------


def renew(gated: Gated, by: MetadataSigner, version: int) -> None:
    gun = f"localhost:5080/{WEB}"
    document = targets_document({}, (), version=version, expires=datetime.now(UTC) + timedelta(days=90))
    with NotaryClient(
        f"http://{gated.host}", gun, Credential("robot$ci", gated.secrets["ci"], "test")
    ) as client:
        client.publish({"targets": sign_metadata(document, [by])})


def test_what_is_published_later_is_judged_too(gated: Gated) -> None:
    gated.set_policy({"policies/here.yaml": policy("deny: [bad-dct]", mode="off")})
    publish(gated, "bad")
    for rule, why in (("deny: [bad-dct]", "by bad-dct, who"), ("only: [good-dct]", "only good-dct may sign")):
        gated.set_policy({"policies/here.yaml": policy(rule)})
        with pytest.raises(TrustgateError, match=why):
            renew(gated, scene.signer("targets"), 2)
    gated.set_policy({"policies/here.yaml": policy("only: [bad-dct]")})
    renew(gated, scene.signer("targets"), 2)


def test_docker_is_told_in_the_shape_that_it_shows(gated: Gated) -> None:
    gun = f"localhost:5080/{WEB}"
    keys = {role: trust_key(gated, gun, role) for role in ("snapshot", "timestamp")}
    files = new_repository(scene.root("bad", gun), scene.signer("targets"), now=datetime.now(UTC), **keys)
    gated.set_policy({"policies/here.yaml": policy("deny: [bad-dct]")})
    body = b"".join(
        f'--B\r\nContent-Disposition: form-data; name="files"; filename="{role}"\r\n\r\n'.encode()
        + raw
        + b"\r\n"
        for role, raw in files.items()
    )
    headers = {
        "authorization": gated.authorization("ci"),
        "content-type": "multipart/form-data; boundary=B",
    }
    refused = gated.request("POST", f"/v2/{gun}/_trust/tuf/", headers, body + b"--B--\r\n")
    (error,) = json.loads(refused.body)["errors"]
    assert (refused.status, error["code"], error["detail"]["Name"]) == (400, "DENIED", "ErrValidation")
    assert error["detail"]["Error"]["Msg"] == error["message"]
    assert "signed by bad-dct, who must not sign here" in error["message"]
    assert "/d/" in error["message"]


# --- what is revoked -----------------------------------------------------------------------------


def revoking(*names: str) -> str:
    entries = [f"  - {{key: {key_mark(KEYS[name].public_key())[4:]}, reason: stolen}}" for name in names]
    return "\n".join([attestors() + "revoked:", *entries, ""])


def test_what_was_admitted_is_refused_as_soon_as_its_key_is_revoked(gated: Gated) -> None:
    """A kept judgement and a cached verdict end with the trust store that they rest on."""
    pulls = SIGNED.replace("attestor: release", "anyOf: [{attestor: good}, {attestor: bad}]")
    gated.set_policy({"policies/prod.yaml": pulls, "policies/here.yaml": policy("deny: [bad]", mode="off")})
    digest = gated.push(str(WEB), "1", "hello")
    gated.sign(str(WEB), digest, KEYS["good"])

    def pull() -> Answer:
        return gated.ask("prod", "GET", f"/v2/{WEB}/manifests/1")

    assert [pull().status, pull().status] == [200, 200]
    gated.set_policy({"trust/attestors.yaml": revoking("good")})
    refused = pull()
    assert refused.status == 403
    assert "signed by good, but it was revoked: stolen" in refused.error["message"]
    gated.sign(str(WEB), digest, KEYS["bad"])
    assert pull().status == 200, "it hides no other"
    gated.set_policy({"trust/attestors.yaml": revoking("good", "bad")})
    assert pull().status == 403


@pytest.mark.parametrize("rule", ["deny: [bad]", "only: [good]", "deny: [good]"])
def test_what_is_revoked_does_not_arrive(gated: Gated, rule: str) -> None:
    """Not under ``deny`` either: revoking a denied key lets nobody in."""
    _digest, tag, raw = signature(gated, "bad")
    gated.set_policy({"policies/here.yaml": policy(rule), "trust/attestors.yaml": revoking("bad")})
    refused = put(gated, tag, raw)
    assert (refused.status, "signed by bad, but it was revoked" in refused.error["message"]) == (403, True)
    assert evidence_in(gated) == []


# --- how often it is judged ----------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [False, True])
def test_a_first_signature_is_verified_once(
    gated: Gated, monkeypatch: pytest.MonkeyPatch, legacy: bool
) -> None:
    judged: list[object] = []
    real = signatures.judge_attached

    def counting(candidates: Any, **named: Any) -> tuple[SignatureFact, ...]:
        judged.extend(candidates)
        return real(candidates, **named)

    monkeypatch.setattr(signatures, "judge_attached", counting)
    gated.set_policy({"policies/here.yaml": policy("only: [good]")})
    sign(gated, "good", legacy=legacy)
    assert len(judged) == 1


def test_an_attestation_does_not_come_in_two_halves(tmp_path: Path) -> None:
    """First the tag, while nobody can read what it is of; then the content, under no tag."""
    with served(tmp_path, sparse=True) as gated:
        gated.set_policy({"policies/here.yaml": policy("deny: [bad]", mode="off")})
        attest(gated, "bad", legacy=True)
        digest = gated.push(str(WEB), "1", "hello")
        tag = legacy_attestation_tag(digest)
        assert tag is not None
        with gated.client("ci", str(WEB)) as client:
            raw = client.manifest(tag).raw
            (layer,) = parse_manifest(raw).layers
            content = client.blob(layer.digest, max_bytes=layer.size)
            for gone in (f"manifests/{Digest.of(raw)}", f"blobs/{layer.digest}"):
                assert gated.ask("ci", "DELETE", f"/v2/{WEB}/{gone}").status == 202
            gated.set_policy({"policies/here.yaml": policy("deny: [bad]")})
            put(gated, tag, raw)
            client.put_blob(layer.digest, iter([content]), layer.size)
        put(gated, Digest.of(raw), raw)
        stored = gated.server.store.manifests.find(WEB, tag)
        assert stored is None or stored.role is not Role.SIGNATURE
