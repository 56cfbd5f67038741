"""verify --policy at the command line: layouts, registries, charts in files, and what is asked wrongly."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import images, notation_world, openpgp_world, revocation_world, signing_world
from tests.interop.world import add_image
from tests.simulators.places import put
from tests.simulators.registry import Answer, SimulatedRegistry
from tests.unit.cli.conftest import Call
from tests.unit.cli.test_layouts import POLICY
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.remote.layout import LayoutSource
from trustgate.remote.revocation import RevocationClient

HEAD = "apiVersion: trustgate.dev/v1\n"
SCOPE = ("--scope", "r.test/shop/web")
ASK = ("verify", "--policy", "dir:policy")
CYCLONEDX = "https://cyclonedx.org/bom"
SCAN_RULE = "{id: clean, severity: {thresholds: [{severity: high}], onUnscanned: deny, onUnscannable: deny}}"
SBOM_RULE = f"{{id: sbom, attestation: {{predicateType: {CYCLONEDX}, by: {{attestor: release}}}}}}"


def write_policy(folder: Path, *rules: str, attestors: str = "", tags: str = "") -> None:
    files = dict(POLICY)
    if rules:
        listed = "".join(f"  - {one}\n" for one in rules)
        files["policies/all.yaml"] = (
            f"{HEAD}kind: Policy\nmetadata: {{name: all}}\nmode: enforce\n"
            f'scope: {{actions: [pull], repositories: ["shop/**", "charts/**"]{tags}}}\nrules:\n{listed}'
        )
    if attestors:
        files["trust/attestors.yaml"] = f"{HEAD}kind: TrustStore\nattestors:\n{attestors}"
    for name, text in files.items():
        (folder / "policy" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "policy" / name).write_text(text)
    (folder / "policy/trust/keys").mkdir(exist_ok=True)


RELEASE = "  release: {type: cosign-key, key: keys/a.pub}\n"
SIGNED_RULE = "{id: signed, contentTrust: {require: {attestor: release}}}"


@pytest.fixture
def image(tmp_path: Path, call: Call) -> str:
    """A layout with one image, a key, and a policy that asks for its signature."""
    add_image(LayoutSource(tmp_path / "image", create=True), "1", "hello")
    assert call("key", "generate", "--output", "a", COSIGN_PASSWORD="x").code == 0
    write_policy(tmp_path, SIGNED_RULE)
    (tmp_path / "policy/trust/keys/a.pub").write_bytes((tmp_path / "a.pub").read_bytes())
    return "oci-layout:image:1"


@pytest.fixture
def shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a socket fails the test."""

    def opened(*_args: Any, **_named: Any) -> Any:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", opened)
    monkeypatch.setattr(socket, "getaddrinfo", opened)


def test_every_rule_is_told_and_the_answer_is_that_of_all(call: Call, image: str, shut: None) -> None:
    write_policy(Path(), SIGNED_RULE, SBOM_RULE)
    no = call(*ASK, *SCOPE, image, "-o", "json")
    assert (no.code, no.json["answer"], no.json["verified"]) == (1, "no", False)
    assert [one["outcome"] for one in no.json["rules"]] == ["fail", "fail"]
    assert all(one["fix"] for one in no.json["rules"])
    assert {(one["kind"], one["state"]) for one in no.json["missing"]} >= {("signature", "absent")}
    assert call("sign", "--key", "a.key", image, COSIGN_PASSWORD="x").code == 0
    assert call(*ASK, *SCOPE, image).code == 1
    assert call(*ASK, *SCOPE, image, "--only", "contentTrust").code == 0
    Path("sbom.json").write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    made = call(
        "attest",
        "--key",
        "a.key",
        "--predicate",
        "sbom.json",
        "--type",
        "cyclonedx",
        image,
        COSIGN_PASSWORD="x",
    )
    assert made.code == 0, made.err
    yes = call(*ASK, *SCOPE, image, "-o", "json")
    assert (yes.code, yes.json["answer"], yes.json["schema"]) == (0, "yes", "trustgate.verify/1")
    assert (yes.json["repository"], yes.json["tag"], yes.json["caller"]) == ("shop/web", "1", "anonymous")
    assert "verified" in [one["outcome"] for one in yes.json["candidates"]]
    assert [one["predicateType"] for one in yes.json["attestations"]] == [CYCLONEDX]
    told = call(*ASK, *SCOPE, image)
    assert (told.code, told.out.split()[0]) == (0, "verified")
    assert "judged as a pull of shop/web:1 by anonymous" in told.err


def test_attestations_alone(call: Call, image: str) -> None:
    write_policy(Path(), SIGNED_RULE, SBOM_RULE)
    ask = ("verify-attestation", "--policy", "dir:policy", *SCOPE, image)
    assert call(*ask).code == 1
    Path("sbom.json").write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    given = ("--key", "a.key", "--predicate", "sbom.json", "--type", "cyclonedx", image)
    assert call("attest", *given, COSIGN_PASSWORD="x").code == 0
    done = call(*ask, "-o", "json")
    assert (done.code, done.json["only"]) == (0, ["attestation"])
    assert "all/signed" in {one["rule"] for one in done.json["notAsked"]}
    wrong = call(*ask, "--type", "cyclonedx")
    assert (wrong.code, "--type is not for --policy" in wrong.err) == (2, True)


def test_a_scan_report_is_not_known_unless_it_is_given(
    call: Call, image: str, tmp_path: Path, shut: None
) -> None:
    write_policy(tmp_path, SCAN_RULE)
    none = call(*ASK, *SCOPE, image, "-o", "json")
    assert (none.code, none.json["answer"]) == (3, "undecided")
    assert [(one["judged"], one["outcome"]) for one in none.json["rules"]] == [(False, "unknown")]
    assert "no scan report" in call(*ASK, *SCOPE, image).out
    report = {
        "scanner": "t", "scanner_version": "1", "subject": none.json["digest"], "schema": 1,
        "scanned_at": "2026-11-01T00:00:00+00:00", "status": "ok", "reason": "", "database": "g",
        "database_at": None, "os": "debian 12", "findings": [],
        "packages": [{"name": "a", "version": "1", "ecosystem": "PyPI", "purl": "pkg:pypi/a@1"}],
        "coverage": [{"ecosystem": "PyPI", "packages": 1, "covered": True, "advisories_at": None}],
    }  # fmt: skip
    Path("scan.json").write_text(json.dumps({"schema": "trustgate.scan/1", "reports": [report]}))
    clean = call(*ASK, *SCOPE, image, "--scan-report", "scan.json")
    assert clean.code == 0, clean.out + clean.err
    report["subject"] = str(Digest.of(b"another image"))
    Path("scan.json").write_text(json.dumps({"schema": "trustgate.scan/1", "reports": [report]}))
    assert call(*ASK, *SCOPE, image, "--scan-report", "scan.json").code == 3
    other = json.dumps({"schema": "trustgate.scan/2", "reports": [report]}).encode()
    nameless = {**report, "subject": "sha256:zz"}
    wrong = json.dumps({"schema": "trustgate.scan/1", "reports": [nameless]}).encode()
    for junk in (
        other,
        wrong,
        b"",
        b"[]",
        b'{"schema": "trustgate.scan/1", "reports": 3}',
        b"[" * 100_000,
        b"\xff",
    ):
        Path("scan.json").write_bytes(junk)
        done = call(*ASK, *SCOPE, image, "--scan-report", "scan.json")
        assert (done.code, "is not a scan report" in done.err) == (2, True), junk[:9]


def test_what_the_scanner_writes_is_read(call: Call, tmp_path: Path, image: str) -> None:
    layout = LayoutSource(tmp_path / "image", create=True)
    made = images.image(images.layer(images.python_package("acme", "1.0")))
    for digest, blob in made.blobs.items():
        layout.put_blob(digest, iter([blob]), len(blob))
    layout.put_manifest(made.manifest.raw, made.manifest.media_type, Tag("2"))
    rated = [{"type": "CVSS_V3", "score": images.CRITICAL}]
    record = images.advisory("CVE-2026-1001", "PyPI", "acme", images.until("2.0"), severity=rated)
    images.write_osv_zip(tmp_path / "a.zip", [record])
    assert call("db", "import", "a.zip").code == 0
    Path("scan.json").write_text(call("scan", "oci-layout:image:2", "-o", "json").out)
    write_policy(tmp_path, SCAN_RULE)
    done = call(*ASK, *SCOPE, "oci-layout:image:2", "--scan-report", "scan.json", "-o", "json")
    assert (done.code, done.json["rules"][0]["reasonCode"]) == (1, "vulnerable")


def test_a_layout_by_digest_and_the_index_above_it(call: Call, image: str, tmp_path: Path) -> None:
    from tests.interop.world import add_index

    layout = LayoutSource(tmp_path / "image")
    index = add_index(layout, "multi", "both")
    child = json.loads(layout.manifest(index).raw)["manifests"][0]["digest"]
    at_child = f"oci-layout:image@{child}"
    assert call(*ASK, *SCOPE, at_child).code == 1
    assert call("sign", "--key", "a.key", "oci-layout:image:multi", COSIGN_PASSWORD="x").code == 0
    done = call(*ASK, *SCOPE, at_child, "-o", "json")
    assert (done.code, done.json["rules"][0]["reasonCode"]) == (0, "signed-by-index")
    assert {one["subject"] for one in done.json["candidates"]} == {str(index)}


def test_the_tag_is_a_part_of_the_question(call: Call, image: str, tmp_path: Path) -> None:
    write_policy(tmp_path, SIGNED_RULE, tags=', tags: {include: ["v*"], untagged: exclude}')
    done = call(*ASK, *SCOPE, image)
    assert (done.code, "no enforced rule was asked" in done.out) == (3, True)


def test_another_moment(call: Call, image: str, tmp_path: Path) -> None:
    ended = "  release: {type: cosign-key, key: keys/a.pub, notAfter: 2026-01-01T00:00:00Z}\n"
    write_policy(tmp_path, SIGNED_RULE, attestors=ended)
    assert call("sign", "--key", "a.key", image, COSIGN_PASSWORD="x").code == 0
    assert call(*ASK, *SCOPE, image).code == 1
    then = call(*ASK, *SCOPE, image, "--at", "2025-12-01T00:00:00Z", "-o", "json")
    assert (then.code, then.json["at"]) == (0, "2025-12-01T00:00:00+00:00")
    assert "judged as of 2025-12-01T00:00:00Z" in then.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "--scope HOST/REPOSITORY"),
        (("--scope", "shop/web"), "does not begin with a registry's host"),
        (("--scope", "r.test/shop/web:1"), "without tag or digest"),
        ((*SCOPE, "-a", "x=y"), "-a is not for --policy"),
        ((*SCOPE, "--insecure-ignore-tlog"), "--insecure-ignore-tlog is not for --policy"),
        ((*SCOPE, "--scan-report", "nothing.json"), "nothing.json"),
        ((*SCOPE, "--only", "immutability"), "immutability"),
        ((*SCOPE, "--notary-server", "http://notary.test"), "plain http"),
    ],
)
def test_what_is_asked_wrongly_is_2(call: Call, image: str, given: tuple[str, ...], said: str) -> None:
    write_policy(
        Path(),
        "{id: signed, contentTrust: {require: {attestor: dct}}}",
        attestors=f'  dct: {{type: notary-v1, rootKeyIds: ["{"0" * 64}"]}}\n',
    )
    done = call(*ASK, *given, image)
    assert (done.code, done.out, said in done.err) == (2, "", True), done.err


@pytest.mark.parametrize("given", [("--as", "ci"), ("--only", "severity"), ("--scan-report", "x"), SCOPE])
def test_a_policys_options_without_a_policy(call: Call, image: str, given: tuple[str, ...]) -> None:
    done = call("verify", "--key", "a.pub", *given, image)
    assert (done.code, f"{given[0]} is for --policy" in done.err) == (2, True), done.err


def test_whose_pull(call: Call, image: str, tmp_path: Path) -> None:
    root = tmp_path / "policy/trustgate.yaml"
    exempt = '  - {robots: ["robot$ci"], actions: [pull], rules: ["*/signed"], why: it signs}\n'
    root.write_text(f"{root.read_text()}exempt:\n{exempt}")
    assert call(*ASK, *SCOPE, image).code == 1
    done = call(*ASK, *SCOPE, image, "--as", "robot:ci")
    assert (done.code, "exempt by trustgate.yaml" in done.out) == (0, True)


def test_nobody_is_asked_about_revocation_unless_it_is_said(
    call: Call, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = revocation_world.leaf(revocation_world.access("http://127.0.0.1:1/"))
    layout = LayoutSource(tmp_path / "signed", create=True)
    web = signing_world.image()
    envelope = notation_world.jws(notation_world.parts(leaf, notation_world.subject_of(web)))
    about = notation_world.subject_of(web)
    for made, tag in ((web, "1"), (notation_world.carrier(envelope, subject=about, chain=leaf.chain), None)):
        put(layout, made, tag)
    write_policy(
        tmp_path,
        "{id: signed, contentTrust: {require: {attestor: acme}}}",
        attestors='  acme: {type: notation, trustStores: {ca: [keys/acme.pem]}, trustedIdentities: ["*"]}\n',
    )
    (tmp_path / "policy/trust/keys/acme.pem").write_bytes(notation_world.root().pem)
    asked: list[object] = []
    real = RevocationClient.ask
    monkeypatch.setattr(
        RevocationClient, "ask", lambda self, questions: asked.append(1) or real(self, questions)
    )
    ask = (*ASK, *SCOPE, "oci-layout:signed:1", "--at", "2027-01-10T12:00:00Z")
    for given in ((), ("--offline",), ("--offline=true",)):
        done = call(*ask, *given)
        assert (done.code, "was not asked" in done.out, asked) == (3, True, []), done.out
    done = call(*ask, "--offline=false")
    assert (done.code, bool(asked)) == (1, True), done.out


# --- trust data ------------------------------------------------------------------------------------


def test_no_server_is_asked_for_a_layout(call: Call, image: str, tmp_path: Path, shut: None) -> None:
    write_policy(
        tmp_path,
        "{id: signed, contentTrust: {require: {attestor: dct}}}",
        attestors=f'  dct: {{type: notary-v1, rootKeyIds: ["{"0" * 64}"]}}\n',
    )
    done = call(*ASK, *SCOPE, image, DOCKER_CONTENT_TRUST_SERVER="https://notary.test")
    assert (done.code, "--notary-server URL" in done.out) == (3, True), done.out


def test_a_notary_server_that_does_not_answer(call: Call, image: str, tmp_path: Path) -> None:
    """Nothing published is an answer; no answer is none."""
    write_policy(
        tmp_path,
        "{id: signed, contentTrust: {require: {attestor: dct}}}",
        attestors=f'  dct: {{type: notary-v1, rootKeyIds: ["{"0" * 64}"]}}\n',
    )
    with SimulatedRegistry() as simulator:
        reference = f"{simulator.host}/shop/web:1"
        assert call("push", image, reference).code == 0
        assert call(*ASK, reference).code == 1
        assert call(*ASK, *SCOPE, image, "--notary-server", f"http://{simulator.host}").code == 1
        assert call(*ASK, reference, "--offline").code == 3
        for answer in (Answer(500), Answer(401), Answer(200, {}, b"<html>")):
            simulator.rig("GET .*/_trust/", answer)
            done = call(*ASK, reference)
            assert (done.code, done.out.split()[0]) == (3, "undecided"), done.out


def test_a_registry_that_answers_badly_is_no_answer(call: Call, image: str) -> None:
    with SimulatedRegistry() as simulator:
        reference = f"{simulator.host}/shop/web:1"
        assert call("push", image, reference).code == 0
        assert call(*ASK, reference).code == 1
        simulator.rig("GET .*/referrers/", Answer(500))
        done = call(*ASK, reference)
        assert (done.code, done.out.split()[0]) == (3, "undecided")
        simulator.rig("GET .*/manifests/1", Answer(403))
        assert call(*ASK, reference).code == 3


# --- charts ----------------------------------------------------------------------------------------

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
CHARTS = openpgp_world.pgp_key("ed25519", "charts", made=LONG_AGO)
STRANGER = openpgp_world.pgp_key("ed25519", "stranger", made=LONG_AGO)
CHART_SCOPE = ("--scope", "r.test/charts/web")


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A package, and a policy that asks for the charts' key."""
    write_policy(
        tmp_path,
        "{id: signed, contentTrust: {require: {attestor: charts}}}",
        attestors='  charts: {type: gpg, keyring: keys/c.gpg, fingerprints: ["'
        + CHARTS.fingerprint
        + '"]}\n',
    )
    (tmp_path / "policy/trust/keys/c.gpg").write_bytes(CHARTS.public())
    package = openpgp_world.package({"web/Chart.yaml": openpgp_world.CHART_YAML})
    (tmp_path / "web-1.2.3.tgz").write_bytes(package)
    return tmp_path / "web-1.2.3.tgz"


def provenance(chart: Path, key: openpgp_world.PgpKey) -> None:
    body = openpgp_world.provenance_body(chart.read_bytes(), name="web-1.2.3.tgz")
    signed = openpgp_world.clear_signed(body, key, at=datetime.now(UTC) - timedelta(hours=1))
    chart.with_name("web-1.2.3.tgz.prov").write_text(signed)


def test_charts_in_files(call: Call, chart: Path, shut: None) -> None:
    unsigned = call(*ASK, *CHART_SCOPE, chart)
    assert (unsigned.code, "all/signed" in unsigned.out) == (1, True), unsigned.err
    provenance(chart, STRANGER)
    assert call(*ASK, *CHART_SCOPE, "web-1.2.3.tgz").code == 1
    provenance(chart, CHARTS)
    good = call(*ASK, *CHART_SCOPE, "web-1.2.3.tgz", "-o", "json")
    assert (good.code, good.json["repository"], good.json["tag"]) == (0, "charts/web", "1.2.3"), good.out
    assert [(one["kind"], one["outcome"]) for one in good.json["candidates"]] == [
        ("helm-provenance", "verified")
    ]
    renamed = call(*ASK, "--scope", "r.test/charts/other", "web-1.2.3.tgz")
    assert renamed.code == 1, "the gate judges a chart under the name that it is asked for by"
    chart.write_bytes(openpgp_world.package({"web/Chart.yaml": openpgp_world.CHART_YAML, "web/x": "y"}))
    assert call(*ASK, *CHART_SCOPE, "web-1.2.3.tgz").code == 1


def test_a_chart_in_a_layout(call: Call, chart: Path, tmp_path: Path) -> None:
    from tests.unit.gate.test_formats import chart_artifact, read_chart

    provenance(chart, CHARTS)
    layout = LayoutSource(tmp_path / "charts", create=True)
    for name, prov in (("1.2.3", chart.with_name("web-1.2.3.tgz.prov").read_bytes()), ("1.2.4", None)):
        package = chart.read_bytes()
        made = chart_artifact(package, read_chart(package), prov, created=LONG_AGO)
        for digest, content in made.blobs.items():
            layout.put_blob(digest, iter([content]), len(content))
        layout.put_manifest(made.manifest, "application/vnd.oci.image.manifest.v1+json", Tag(name))
    assert call(*ASK, *CHART_SCOPE, "oci-layout:charts:1.2.3").code == 0
    assert call(*ASK, *CHART_SCOPE, "oci-layout:charts:1.2.4").code == 1


def test_what_lies_beside_a_chart_in_a_registry_is_not_known_of_a_file(
    call: Call, chart: Path, image: str
) -> None:
    write_policy(Path(), SIGNED_RULE, SBOM_RULE, attestors=RELEASE)
    done = call(*ASK, *CHART_SCOPE, chart)
    assert (done.code, "in a registry, not in a file" in done.out) == (3, True), done.out + done.err


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"no package", "web-1.2.3.tgz", "web-1.2.3.tgz"),
        (None, "web-9.tgz", "holds web-1.2.3.tgz"),
        (None, "absent.tgz", "can't be read"),
    ],
)
def test_files_that_are_no_charts(
    call: Call, chart: Path, content: bytes | None, name: str, said: str
) -> None:
    if name != "absent.tgz":
        chart.with_name(name).write_bytes(chart.read_bytes() if content is None else content)
    done = call(*ASK, *CHART_SCOPE, name)
    assert (done.code, done.out, said in done.err) == (2, "", True), done.err
