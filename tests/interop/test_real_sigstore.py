"""Keyless against the real services of Sigstore: cosign and we sign there, and verify one another."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.sigstore_stack import CI, EMAIL, Identity, Stack, sigstore_stack
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


def our_judge(stack: Stack, image: str, who: Identity, *more: str) -> dict[str, list[list[object]]]:
    """Every signature and attestation of the image with our outcome."""
    root = stack.folder / "trusted_root.json"
    command = [
        sys.executable,
        "-m",
        "tests.interop.judge_keyless",
        image,
        root,
        who.subject,
        who.issuer,
        *more,
    ]
    found: dict[str, list[list[object]]] = json.loads(stack.net.run(*command, PYTHONPATH=str(ROOT)).stdout)
    return found


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
    (fact,) = our_judge(stack, image, who)["signatures"]
    assert fact[:3] == ["verified", 1, int(tsa)], fact
    (stranger,) = our_judge(stack, image, CI if who is EMAIL else EMAIL)["signatures"]
    assert stranger[0] == "untrusted"
    (stamped,) = our_judge(stack, image, who, "--use-signed-timestamps")["signatures"]
    assert (stamped[0] == "verified") is tsa
    assert cosign_verifies(stack, image, who) == ""


@pytest.mark.parametrize("rekor", [1, 2])
def test_cosign_attests_and_we_verify(stack: Stack, image: str, rekor: int) -> None:
    predicate = stack.folder / "sbom.json"
    predicate.write_text('{"bomFormat": "CycloneDX"}')
    about = ["--predicate", predicate, "--type", "cyclonedx"]
    cosign_signs(stack, image, CI, rekor, *about, tsa=True, verb="attest")
    found = our_judge(stack, image, CI)
    assert [fact[:2] for fact in found["attestations"]] == [["verified", "https://cyclonedx.org/bom"]]
    assert [fact[0] for fact in found["signatures"]] != ["verified"]


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
    assert [fact[0] for fact in our_judge(stack, image, CI)["signatures"]] == ["verified"]
    stamped = ["--use-signed-timestamps"] if tsa else []
    assert cosign_verifies(stack, image, CI, *stamped, program=program) == ""


@pytest.mark.parametrize(("rekor", "shape"), [(1, ()), (2, ()), (1, ("--legacy",))])
def test_we_attest_and_cosign_verifies(stack: Stack, image: str, rekor: int, shape: tuple) -> None:
    predicate = stack.folder / "provenance.json"
    predicate.write_text('{"buildDefinition": {"buildType": "a"}, "runDetails": {"builder": {"id": "b"}}}')
    about = ["--predicate", predicate, "--type", "slsaprovenance1"]
    trustgate(stack, "attest", *shape, *about, *signing(stack, CI, rekor, tsa=True), image)
    verify = {"verb": "verify-attestation"}
    assert [fact[0] for fact in our_judge(stack, image, CI)["attestations"]] == ["verified"]
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
        script = "from trustgate.cli.conformance_sign import sign_bundle; sign_bundle()"
        stack.net.run(sys.executable, "-c", script, *options, artifact, PYTHONPATH=str(ROOT))
        stack.net.run(*verify, "--bundle", bundle, artifact)
