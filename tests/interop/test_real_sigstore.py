"""Keyless against the real services of Sigstore: cosign and we sign there, and verify one another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.clients.catalog import require
from tests.interop.sigstore_stack import CI, EMAIL, Identity, Stack, answers, sigstore_stack
from tests.interop.world import ROOT, add_image
from trustgate.remote.layout import LayoutSource

pytestmark = pytest.mark.interop
_names = count()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with sigstore_stack(folder) as running:
        add_image(LayoutSource(folder / "layout", create=True), "1", "real")
        running.trusted_root()
        yield running


def trustgate(stack: Stack, *arguments: object, check: bool = True):
    python = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return stack.net.run(sys.executable, "-m", "trustgate", *arguments, check=check, **python)


@pytest.fixture
def image(stack: Stack) -> str:
    name = f"{stack.registry}/keyless/{next(_names)}"
    pushed = trustgate(stack, "push", "-o", "json", f"oci-layout:{stack.folder / 'layout'}:1", f"{name}:1")
    return f"{name}@{json.loads(pushed.stdout)['digest']}"


def signing(stack: Stack, who: Identity, rekor: int, *, tsa: bool) -> list[object]:
    return ["--signing-config", stack.signing_config(rekor, tsa=tsa), "--identity-token", stack.token(who)]


def cosign_verifies(
    stack: Stack, image: str, who: Identity, *more: object, verb: str = "verify", program: str = "cosign"
) -> str:
    """Empty when it does, else its words."""
    root = ["--trusted-root", stack.folder / "trusted_root.json"]
    expected = ["--certificate-identity", who.subject, "--certificate-oidc-issuer", who.issuer]
    command = [require(program).path, verb, "--allow-http-registry", *root, *expected, *more, image]
    done = stack.net.run(*command, check=False)
    return "" if done.returncode == 0 else done.stderr or "refused without a word"


def we_verify(
    stack: Stack, image: str, who: Identity, *more: object, verb: str = "verify"
) -> tuple[int, list[Any]]:
    """The exit code, and every candidate with its outcome."""
    root = ["--trusted-root", stack.folder / "trusted_root.json"]
    expected = ["--certificate-identity", who.subject, "--certificate-oidc-issuer", who.issuer]
    done = trustgate(stack, verb, "-o", "json", *root, *expected, *more, image, check=False)
    return done.returncode, json.loads(done.stdout).get("candidates", [])


def cosign_signs(
    stack: Stack, image: str, who: Identity, rekor: int, *more: object, tsa: bool, verb: str = "sign"
) -> None:
    root = ["--trusted-root", stack.folder / "trusted_root.json"]
    services = [*signing(stack, who, rekor, tsa=tsa), *root, *more]
    stack.net.run(require("cosign").path, verb, "-y", "--allow-http-registry", *services, image)


LOGS = [(1, False), (1, True), (2, True)]


@pytest.mark.parametrize("who", [EMAIL, CI], ids=["email", "ci"])
@pytest.mark.parametrize(("rekor", "tsa"), LOGS)
def test_cosign_signs_and_we_verify(stack: Stack, image: str, who: Identity, rekor: int, tsa: bool) -> None:
    cosign_signs(stack, image, who, rekor, tsa=tsa)
    code, (fact,) = we_verify(stack, image, who)
    assert (code, fact["outcome"], fact["logs"], fact["timestamps"]) == (0, "verified", 1, int(tsa)), fact
    code, (fact,) = we_verify(stack, image, CI if who is EMAIL else EMAIL)
    assert (code, fact["outcome"]) == (1, "untrusted")
    code, (fact,) = we_verify(stack, image, who, "--use-signed-timestamps=true")
    assert code == (0 if tsa else 1), fact
    assert cosign_verifies(stack, image, who) == ""


@pytest.mark.parametrize("rekor", [1, 2])
def test_cosign_attests_and_we_verify(stack: Stack, image: str, rekor: int) -> None:
    predicate = stack.folder / "sbom.json"
    predicate.write_text('{"bomFormat": "CycloneDX"}')
    about = ["--predicate", predicate, "--type", "cyclonedx"]
    cosign_signs(stack, image, CI, rekor, *about, tsa=True, verb="attest")
    attested = {"verb": "verify-attestation"}
    assert we_verify(stack, image, CI, "--type", "cyclonedx", **attested)[0] == 0
    assert we_verify(stack, image, CI, "--type", "spdxjson", **attested)[0] == 1
    assert we_verify(stack, image, EMAIL, "--type", "cyclonedx", **attested)[0] == 1
    assert we_verify(stack, image, CI)[0] == 1  # an attestation is no signature


@pytest.mark.parametrize("who", [EMAIL, CI], ids=["email", "ci"])
@pytest.mark.parametrize(("rekor", "tsa"), LOGS)
def test_we_sign_and_cosign_verifies(stack: Stack, image: str, who: Identity, rekor: int, tsa: bool) -> None:
    checked = ["--trusted-root", stack.folder / "trusted_root.json"]
    trustgate(stack, "sign", *signing(stack, who, rekor, tsa=tsa), *checked, image)
    assert cosign_verifies(stack, image, who) == ""
    assert "no matching CertificateIdentity" in cosign_verifies(stack, image, CI if who is EMAIL else EMAIL)
    if tsa:
        assert cosign_verifies(stack, image, who, "--use-signed-timestamps") == ""
    stamped = ["--use-signed-timestamps"] if tsa else []
    assert cosign_verifies(stack, image, who, "--new-bundle-format", *stamped, program="cosign2") == ""


@pytest.mark.parametrize("tsa", [False, True])
@pytest.mark.parametrize("program", ["cosign", "cosign2"])
def test_we_sign_as_cosign_2_does(stack: Stack, image: str, program: str, tsa: bool) -> None:
    trustgate(stack, "sign", "--legacy", *signing(stack, CI, 1, tsa=tsa), image)
    assert we_verify(stack, image, CI)[0] == 0
    stamped = ["--use-signed-timestamps"] if tsa else []
    assert cosign_verifies(stack, image, CI, *stamped, program=program) == ""


@pytest.mark.parametrize(("rekor", "shape"), [(1, ()), (2, ()), (1, ("--legacy",))])
def test_we_attest_and_cosign_verifies(stack: Stack, image: str, rekor: int, shape: tuple) -> None:
    predicate = stack.folder / "provenance.json"
    predicate.write_text('{"buildDefinition": {"buildType": "a"}, "runDetails": {"builder": {"id": "b"}}}')
    about = ["--predicate", predicate, "--type", "slsaprovenance1"]
    trustgate(stack, "attest", *shape, *about, *signing(stack, CI, rekor, tsa=True), image)
    verify = {"verb": "verify-attestation"}
    assert we_verify(stack, image, CI, "--type", "slsaprovenance1", **verify)[0] == 0
    assert cosign_verifies(stack, image, CI, "--type", "slsaprovenance1", **verify) == ""
    assert cosign_verifies(stack, image, CI, "--type", "slsaprovenance", **verify) != ""


@pytest.mark.parametrize("rekor", [1, 2])
def test_a_key_in_the_log(stack: Stack, image: str, rekor: int) -> None:
    key = stack.folder / f"key-{rekor}"
    environment = {"PYTHONPATH": str(ROOT)}
    stack.net.run(sys.executable, "-m", "trustgate", "key", "generate", "--output", key, **environment)
    config = ["--signing-config", stack.signing_config(rekor, tsa=False)]
    trustgate(stack, "sign", *config, "--key", f"{key}.key", image)
    root = ["--trusted-root", stack.folder / "trusted_root.json"]
    verify = [require("cosign").path, "verify", "--allow-http-registry", *root]
    stack.net.run(*verify, "--key", f"{key}.pub", image)


def test_signing_twice_with_an_rsa_key_finds_the_entry_that_is_there(stack: Stack, image: str) -> None:
    """RSA signs alike each time, and Rekor 1 answers 409 for what it has."""
    key = stack.folder / "rsa"
    trustgate(stack, "key", "generate", "--type", "rsa", "--output", key)
    config = ["--signing-config", stack.signing_config(1, tsa=False)]
    for _ in range(2):
        trustgate(stack, "sign", *config, "--key", f"{key}.key", image)
    root = ["--trusted-root", stack.folder / "trusted_root.json"]
    verify = [require("cosign").path, "verify", "--allow-http-registry", *root]
    stack.net.run(*verify, "--key", f"{key}.pub", image)


def test_a_token_that_fulcio_does_not_take(stack: Stack, image: str) -> None:
    stranger = Identity("x", "http://127.0.0.1:5556/stranger", {"sub": "x"})
    done = trustgate(stack, "sign", *signing(stack, stranger, 1, tsa=False), image, check=False)
    assert done.returncode in {1, 3}
    assert "Fulcio" in done.stderr or "identity token" in done.stderr


def test_the_conformance_protocol(stack: Stack, tmp_path: Path) -> None:
    """cosign verifies the files that ``conformance sign-bundle`` writes."""
    artifact, bundle = tmp_path / "a.txt", tmp_path / "a.sigstore.json"
    artifact.write_text("an artifact")
    verify = [require("cosign").path, "verify-blob", "--trusted-root", stack.folder / "trusted_root.json"]
    verify += ["--certificate-identity", CI.subject, "--certificate-oidc-issuer", CI.issuer]
    for rekor in (1, 2):
        config = stack.signing_config(rekor, tsa=True)
        options = ["--identity-token", stack.token(CI), "--bundle", bundle, "--signing-config", config]
        trustgate(stack, "conformance", "sign-bundle", *options, artifact)
        stack.net.run(*verify, "--bundle", bundle, artifact)


# --- the gate ----------------------------------------------------------------------------------------

GATE = 5080
POLICY = {
    "trustgate.yaml": """\
apiVersion: trustgate.dev/v1
kind: Root
defaults:
  noMatch: {pull: allow, push: allow, delete: allow}
  onError: deny
exempt:
  - robots: ["robot$ci"]
    actions: [pull]
    rules: ["*/signed"]
    why: who signs must read what is not signed yet
""",
    "trust/attestors.yaml": f"""\
apiVersion: trustgate.dev/v1
kind: TrustStore
trustRoots:
  own: {{type: file, path: roots/own.json}}
attestors:
  release:
    type: keyless
    trustRoot: own
    issuer: {CI.issuer}
    identity: {CI.subject}
    certificateClaims: {{source-repository-uri: https://forge.test/shop/web}}
""",
    "policies/prod.yaml": """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata: {name: prod}
mode: enforce
scope: {actions: [pull], repositories: ["shop/**"]}
rules:
  - id: signed
    contentTrust: {require: {attestor: release}}
""",
}


@dataclass(frozen=True)
class Gate:
    """Our own server, under a rule that asks for the CI's keyless signature."""

    stack: Stack
    host: str = f"localhost:{GATE}"

    def run(self, who: str, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            "PYTHONPATH": str(ROOT),
            "DOCKER_CONFIG": str(self.stack.folder / f"config-{who}"),
            "TRUSTGATE_SERVER": f"http://{self.host}",
        }
        return self.stack.net.run(*command, check=check, **environment)

    def trustgate(self, who: str, *arguments: object) -> str:
        return self.run(who, sys.executable, "-m", "trustgate", *arguments).stdout.strip()

    def pulls(self, image: str) -> bool:
        """Whether who may only pull gets it."""
        target = self.stack.folder / f"pulled-{next(_names)}.tar"
        done = self.run("prod", require("crane").path, "pull", "--insecure", image, target, check=False)
        assert done.returncode == 0 or "DENIED" in done.stderr, done.stderr
        return done.returncode == 0


@pytest.fixture(scope="module")
def gate(stack: Stack) -> Iterator[Gate]:
    policy, data = stack.folder / "policy", stack.folder / "data"
    files = {**POLICY, "trust/roots/own.json": (stack.folder / "trusted_root.json").read_text()}
    for path, text in files.items():
        (policy / path).parent.mkdir(parents=True, exist_ok=True)
        (policy / path).write_text(text)
    serve = ["serve", "--data", data, "--port", GATE, "--policy", f"dir:{policy}"]
    command = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "trustgate", *serve]
    made = Gate(stack)
    with stack.net.started("trustgate", command, answers(f"http://{made.host}/readyz"), essential=True):
        password = (data / "initial-admin-password").read_text().strip()
        made.trustgate("admin", "login", made.host, "-u", "admin", "-p", password)
        for name, grants in (("ci", "pull,push,delete"), ("prod", "pull")):
            secret = made.trustgate("admin", "robot", "create", name, "--grant", f"shop={grants}")
            made.trustgate(name, "login", made.host, "-u", f"robot${name}", "-p", secret)
        yield made


@pytest.mark.parametrize(
    "how", ["cosign, Rekor 1", "cosign, Rekor 2", "we, Rekor 1", "we, Rekor 2", "we, .sig"]
)
def test_the_gate_admits_what_the_ci_signed(stack: Stack, gate: Gate, how: str) -> None:
    image = f"{gate.host}/shop/gate-{next(_names)}:1"
    gate.trustgate("ci", "push", f"oci-layout:{stack.folder / 'layout'}:1", image)
    assert not gate.pulls(image)
    rekor = 2 if "Rekor 2" in how else 1
    for who in (EMAIL, CI):  # the stranger's signature helps nobody, and hides nothing
        services = signing(stack, who, rekor, tsa=True)
        if how.startswith("cosign"):
            root = ["--trusted-root", stack.folder / "trusted_root.json"]
            command = [require("cosign").path, "sign", "-y", "--allow-http-registry", *services, *root, image]
            gate.run("ci", *command)
        else:
            gate.trustgate("ci", "sign", *(["--legacy"] if ".sig" in how else []), *services, image)
        assert gate.pulls(image) is (who is CI)
