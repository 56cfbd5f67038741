"""helm 3 and helm 4, gpg, and the classic repository: what they sign we judge, what we sign they accept."""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.world import World, check_golden
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.helm.chart import read_chart
from trustgate.evidence.helm.judge import ChartCandidate, HelmClaim, helm_claim, judge_helm, keyrings
from trustgate.evidence.helm.provenance_signing import check_signed, provenance_text
from trustgate.evidence.helm.trust import gpg_trust
from trustgate.evidence.model import Outcome, SignatureFact
from trustgate.remote.gpg import Gpg, GpgSigner

pytestmark = pytest.mark.interop
HELMS = ("helm", "helm4")


@dataclass(frozen=True, slots=True)
class Keys:
    """A GnuPG home with two keys, exported the way helm wants them."""

    home: Path
    public: Path
    secret: Path
    fingerprint: str
    foreign_public: Path
    foreign_fingerprint: str

    @property
    def attestor(self) -> Attestor:
        return Attestor("charts", gpg_trust(self.public.read_bytes(), [self.fingerprint]))


def _gpg(home: Path, *arguments: str) -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--no-options", "--yes", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


@pytest.fixture(scope="session")
def keys() -> Iterator[Keys]:
    require("gpg")
    home = Path(tempfile.mkdtemp(prefix="tg-", dir="/tmp"))  # an agent's socket has no room for long paths
    made = []
    for name, algorithm in (("charts", "rsa3072"), ("foreign", "rsa2048")):
        _gpg(home, "--passphrase", "", "--quick-gen-key", f"{name}@example.test", algorithm, "sign", "never")
        listed = _gpg(home, "--with-colons", "--list-keys", f"{name}@example.test").decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        public, secret = home / f"{name}.gpg", home / f"{name}.secret.gpg"
        public.write_bytes(_gpg(home, "--export", fingerprint))
        secret.write_bytes(_gpg(home, "--export-secret-keys", fingerprint))
        made.append((fingerprint, public, secret))
    (fingerprint, public, secret), (foreign, foreign_public, _) = made
    yield Keys(home, public, secret, fingerprint, foreign_public, foreign)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, timeout=30)
    shutil.rmtree(home, ignore_errors=True)


def judged(package: bytes, provenance: bytes, *attestors: Attestor) -> SignatureFact:
    """Our verdict on two files."""
    gpg = Gpg()
    try:
        claim = helm_claim(ChartCandidate(provenance, read_chart(package)), subject=None)
        if not isinstance(claim, HelmClaim):
            return claim
        now = datetime.now(UTC)
        answers = {
            name: gpg.verify(claim.question, ring, at=now) for name, ring in keyrings(attestors).items()
        }
        return judge_helm(claim, answers, attestors=attestors, now=now)
    finally:
        gpg.close()


def packaged(world: World, helm: Path, keys: Keys, folder: Path, name: str, version: str = "1.2.3") -> Path:
    """A chart made and signed by helm itself."""
    world.run("ci", helm, "create", folder / name)
    sign = ["--sign", "--key", "charts@example.test", "--keyring", keys.secret]
    world.run("ci", helm, "package", folder / name, "--version", version, "-d", folder, *sign)
    return folder / f"{name}-{version}.tgz"


def provenance_of(archive: Path) -> Path:
    return archive.with_name(archive.name + ".prov")


def login(world: World, who: str) -> tuple[str, str]:
    config = json.loads((world.configs[who] / "config.json").read_text())
    name, _, secret = base64.b64decode(config["auths"][world.host]["auth"]).decode().partition(":")
    return name, secret


def post(world: World, who: str, path: str, **files: bytes) -> tuple[int, dict[str, object]]:
    """A multipart form as ``helm cm-push`` sends it."""
    boundary = "----trustgate-test"
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files.items()
    )
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Authorization": "Basic " + base64.b64encode(":".join(login(world, who)).encode()).decode(),
    }
    url = f"{world.server.url}{path}"
    request = urllib.request.Request(url, body + f"--{boundary}--\r\n".encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        return exc.code, json.load(exc)


def repository(world: World, helm: Path, who: str, project: str) -> str:
    """``helm repo add`` under a name of its own."""
    name, secret = login(world, who)
    known = f"{project}-{who}-{helm.name}"
    add = ["repo", "add", "--force-update", known, f"{world.server.url}/charts/{project}"]
    world.run(who, helm, *add, "--username", name, "--password", secret)
    return known


# --- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HELMS)
def test_what_helm_signs_we_verify(world: World, keys: Keys, tmp_path: Path, name: str) -> None:
    archive = packaged(world, require(name).path, keys, tmp_path, "ours", "1.0.0+build.7")
    fact = judged(archive.read_bytes(), provenance_of(archive).read_bytes(), keys.attestor)
    assert (fact.outcome, fact.signers[0].identity) == (Outcome.VERIFIED, f"gpg:{keys.fingerprint}"), (
        fact.reason
    )


@pytest.mark.parametrize("name", HELMS)
@pytest.mark.parametrize("given", ["home", "keyring"])
def test_what_we_sign_helm_verifies(
    world: World, keys: Keys, tmp_path: Path, name: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    helm = require(name).path
    world.run("ci", helm, "create", tmp_path / "signed")
    world.run("ci", helm, "package", tmp_path / "signed", "-d", tmp_path)
    archive = tmp_path / "signed-0.1.0.tgz"
    monkeypatch.setenv("GNUPGHOME", str(keys.home))
    signer = GpgSigner(keys.secret.read_bytes() if given == "keyring" else None)
    signed = signer.clear_sign(provenance_text(archive.read_bytes()), key=keys.fingerprint, passphrase=None)
    check_signed(signed, archive.read_bytes())
    provenance_of(archive).write_bytes(signed)
    done = world.run("ci", helm, "verify", "--keyring", keys.public, archive)
    assert keys.fingerprint in done.stdout
    assert judged(archive.read_bytes(), signed, keys.attestor).outcome is Outcome.VERIFIED


@pytest.mark.parametrize("name", HELMS)
def test_what_the_command_signs_helm_verifies(world: World, keys: Keys, tmp_path: Path, name: str) -> None:
    helm = require(name).path
    world.run("ci", helm, "create", tmp_path / "told")
    world.run("ci", helm, "package", tmp_path / "told", "-d", tmp_path)
    archive = tmp_path / "told-0.1.0.tgz"
    world.trustgate("ci", "sign", "--helm", "--key", keys.fingerprint, "--keyring", keys.secret, archive)
    assert keys.fingerprint in world.run("ci", helm, "verify", "--keyring", keys.public, archive).stdout
    assert world.trustgate("ci", "verify", "--keyring", keys.public, archive).returncode == 0
    foreign = ["verify", "--keyring", keys.foreign_public, archive]
    assert world.run("ci", helm, *foreign, check=False).returncode != 0
    assert world.trustgate("ci", *foreign, check=False).returncode == 1


@pytest.mark.parametrize("name", HELMS)
def test_what_helm_refuses_we_refuse(world: World, keys: Keys, tmp_path: Path, name: str) -> None:
    helm = require(name).path
    archive = packaged(world, helm, keys, tmp_path, "bad")
    package, provenance = archive.read_bytes(), provenance_of(archive).read_bytes()
    foreign = Attestor("foreign", gpg_trust(keys.foreign_public.read_bytes(), [keys.foreign_fingerprint]))
    tampered = gzip.compress(gzip.decompress(package), mtime=1)
    altered = provenance.replace(b"\ndescription: ", b"\ndescription: Z", 1)
    cases = {
        "tampered package": (tampered, provenance, keys.attestor, keys.public),
        "altered text": (package, altered, keys.attestor, keys.public),
        "foreign key": (package, provenance, foreign, keys.foreign_public),
    }
    for label, (content, signed, attestor, ring) in cases.items():
        archive.write_bytes(content)
        provenance_of(archive).write_bytes(signed)
        refused = world.run("ci", helm, "verify", "--keyring", ring, archive, check=False)
        assert refused.returncode != 0, label
        assert judged(content, signed, attestor).outcome is not Outcome.VERIFIED, label


# --- over OCI ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HELMS)
def test_push_pull_and_template_over_oci(world: World, keys: Keys, tmp_path: Path, name: str) -> None:
    helm = require(name).path
    archive = packaged(world, helm, keys, tmp_path, f"oci-{name}")
    place = f"oci://{world.host}/open"
    world.run("ci", helm, "push", "--plain-http", archive, place)
    verified = ["--plain-http", "--verify", "--keyring", keys.public, "--version", "1.2.3"]
    out = tmp_path / "out"
    out.mkdir()
    world.run("prod", helm, "pull", f"{place}/oci-{name}", *verified, "-d", out)
    assert (out / archive.name).read_bytes() == archive.read_bytes()
    rendered = world.run("prod", helm, "template", "x", f"{place}/oci-{name}", *verified)
    assert "kind: Service" in rendered.stdout
    foreign = [*verified[:3], keys.foreign_public, *verified[4:]]
    assert world.run("prod", helm, "pull", f"{place}/oci-{name}", *foreign, check=False).returncode != 0
    # the classic door shows the same chart
    known = repository(world, helm, "prod", "open")
    classic = tmp_path / "classic"
    classic.mkdir()
    world.run("prod", helm, "pull", f"{known}/oci-{name}", "--version", "1.2.3", "-d", classic)
    assert (classic / archive.name).read_bytes() == archive.read_bytes()


# --- the classic repository ----------------------------------------------------------------------


@pytest.mark.parametrize("name", HELMS)
def test_the_classic_repository(world: World, keys: Keys, tmp_path: Path, name: str) -> None:
    helm = require(name).path
    archive = packaged(world, helm, keys, tmp_path, f"classic-{name}")
    package, provenance = archive.read_bytes(), provenance_of(archive).read_bytes()
    known = repository(world, helm, "prod", "open")
    assert post(world, "ci", "/api/charts/open/charts", chart=package)[0] == 201
    assert post(world, "ci", "/api/charts/open/charts", chart=package)[0] == 409
    world.run("prod", helm, "repo", "update", known)
    pull = ["pull", f"{known}/classic-{name}", "-d", tmp_path / "out"]
    (tmp_path / "out").mkdir()
    world.run("prod", helm, *pull)
    verified = ["--verify", "--keyring", keys.public]
    assert world.run("prod", helm, *pull, *verified, check=False).returncode != 0  # no provenance yet
    assert post(world, "ci", "/api/charts/open/prov", prov=provenance)[0] == 201
    world.run("prod", helm, *pull, *verified)
    if name == "helm":  # 4.3.1 forgets its credentials for the .prov when it does not only pull
        world.run("prod", helm, "template", "x", f"{known}/classic-{name}", *verified)
    assert provenance_of(tmp_path / "out" / archive.name).read_bytes() == provenance
    found = world.run("prod", helm, "search", "repo", f"{known}/classic-{name}").stdout
    assert "1.2.3" in found
    # and over OCI it is the same artifact
    over = ["--plain-http", "--version", "1.2.3", *verified, "-d", tmp_path / "oci"]
    (tmp_path / "oci").mkdir()
    world.run("prod", helm, "pull", f"oci://{world.host}/open/classic-{name}", *over)
    assert (tmp_path / "oci" / archive.name).read_bytes() == package


@pytest.mark.parametrize("name", HELMS)
def test_a_public_project_is_read_without_an_account(
    world: World, keys: Keys, tmp_path: Path, name: str
) -> None:
    helm = require(name).path
    world.trustgate("admin", "project", "create", f"public-{name}", "--public", check=False)
    archive = packaged(world, helm, keys, tmp_path, "seen")
    parts = {"chart": archive.read_bytes(), "prov": provenance_of(archive).read_bytes()}
    assert post(world, "admin", f"/api/charts/public-{name}/charts", **parts)[0] == 201
    world.run("prod", helm, "repo", "add", f"public-{name}", f"{world.server.url}/charts/public-{name}")
    verified = ["--verify", "--keyring", keys.public]
    done = world.run("prod", helm, "template", "x", f"public-{name}/seen", *verified)
    assert "kind: Service" in done.stdout
    private = ["repo", "add", "private", f"{world.server.url}/charts/shop"]
    refused = world.run("prod", helm, *private, check=False)
    assert "401 Unauthorized" in refused.stderr


def test_what_cm_push_pushes(world: World, keys: Keys, tmp_path: Path) -> None:
    """The plugin of ChartMuseum, as a program of its own. It packs the chart anew, with its own times, so a
    provenance that was made before is for another package."""
    push, helm = require("helm-cm-push").path, require("helm").path
    archive = packaged(world, helm, keys, tmp_path, "pushed")
    name, secret = login(world, "ci")
    url = f"{world.server.url}/charts/open"
    command = [push, archive, url, "--username", name, "--password", secret]
    assert "Done." in world.run("ci", *command).stdout
    again = world.run("ci", *command, check=False)
    assert again.returncode == 1
    assert "409: open/pushed:1.2.3 already exists" in again.stderr
    world.run("ci", *command, "--force")
    (tmp_path / "out").mkdir()
    pull = ["pull", f"{repository(world, helm, 'prod', 'open')}/pushed", "-d", tmp_path / "out"]
    world.run("prod", helm, *pull)
    pulled = read_chart((tmp_path / "out" / archive.name).read_bytes())
    assert pulled.metadata == read_chart(archive.read_bytes()).metadata
    name, secret = login(world, "prod")
    mine = [*command[:3], "--username", name, "--password", secret]
    assert "403: requested access" in world.run("prod", *mine, check=False).stderr


def test_a_provenance_that_does_not_belong_is_not_taken(world: World, keys: Keys, tmp_path: Path) -> None:
    helm = require("helm").path
    mine, other = (packaged(world, helm, keys, tmp_path, name) for name in ("mine", "other"))
    status, answer = post(
        world,
        "ci",
        "/api/charts/open/charts",
        chart=mine.read_bytes(),
        prov=provenance_of(other).read_bytes(),
    )
    assert status == 400
    assert "'other-1.2.3.tgz'" in str(answer["error"])
    assert post(world, "ci", "/api/charts/open/prov", prov=provenance_of(other).read_bytes())[0] == 404
    assert post(world, "prod", "/api/charts/open/charts", chart=mine.read_bytes())[0] == 403


@pytest.mark.parametrize("name", HELMS)
def test_what_the_gate_refuses_helm_says(world: World, keys: Keys, tmp_path: Path, name: str) -> None:
    helm = require(name).path
    archive = packaged(world, helm, keys, tmp_path, f"blocked-{name}")
    known = repository(world, helm, "prod", "shop")
    assert post(world, "ci", "/api/charts/shop/charts", chart=archive.read_bytes())[0] == 201
    world.run("prod", helm, "repo", "update", known)
    refused = world.run("prod", helm, "pull", f"{known}/blocked-{name}", check=False)
    assert refused.returncode == 1
    check_golden(f"{name}-classic-refused", refused.stderr, world.host)
    world.trustgate("ci", "sign", "--key", world.key_file, f"{world.host}/shop/blocked-{name}:1.2.3")
    world.run("prod", helm, "pull", f"{known}/blocked-{name}", "-d", tmp_path)


def test_a_chart_of_apiversion_v1_with_requirements(world: World, keys: Keys, tmp_path: Path) -> None:
    """helm signs the dependencies that stand in requirements.yaml."""
    helm = require("helm").path
    folder = tmp_path / "old"
    (folder / "templates").mkdir(parents=True)
    (folder / "charts" / "dep").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(
        'apiVersion: v1\nname: old\nversion: 1.2.3\nappVersion: 1.10\ndescription: "a\\tb"\nfoo: bar\n'
        "deprecated: false\nmaintainers:\n- name: A\n  email: a@example.test\n"
    )
    (folder / "requirements.yaml").write_text(
        "dependencies:\n- name: dep\n  version: 0.1.0\n  repository: ''\n"
    )
    (folder / "charts" / "dep" / "Chart.yaml").write_text("apiVersion: v1\nname: dep\nversion: 0.1.0\n")
    sign = ["--sign", "--key", "charts@example.test", "--keyring", keys.secret]
    world.run("ci", helm, "package", folder, "-d", tmp_path, *sign)
    archive = tmp_path / "old-1.2.3.tgz"
    fact = judged(archive.read_bytes(), provenance_of(archive).read_bytes(), keys.attestor)
    assert fact.outcome is Outcome.VERIFIED, fact.reason


def test_a_chart_that_was_packed_by_hand(world: World, keys: Keys, tmp_path: Path) -> None:
    """Chart.yaml as people write it, signed by helm: what helm reads from both is the same."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in {
            "hand/Chart.yaml": "# by hand\napiVersion: v2\nname: hand\nversion: 1.2.3\nappVersion: 1.10\n"
            "keywords: [a, b]\ndescription: >-\n  folded\n  text\nannotations:\n  a: 'yes'\n",
            "hand/values.yaml": "a: 1\n",
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    package = buffer.getvalue()
    signed = GpgSigner(keys.secret.read_bytes()).clear_sign(
        provenance_text(package), key=keys.fingerprint, passphrase=None
    )
    path = tmp_path / "hand-1.2.3.tgz"
    path.write_bytes(package)
    provenance_of(path).write_bytes(signed)
    for name in HELMS:
        world.run("ci", require(name).path, "verify", "--keyring", keys.public, path)
    assert judged(package, signed, keys.attestor).outcome is Outcome.VERIFIED
