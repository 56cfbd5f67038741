"""Real cosign signs keyless against the private Sigstore's HTTP, and verifies what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.distribution import distribution
from tests.interop.world import World, check_golden
from tests.signing_world import Artifact, bundle_manifest
from tests.signing_world import image as image_of_layers
from tests.simulators.registry import SimulatedRegistry
from tests.simulators.sigstore import (
    Faults,
    Identity,
    Logged,
    PrivateSigstore,
    mint_bundle,
    mint_legacy_layer,
    trusted_root,
)
from tests.simulators.sigstore.faults import FAULTS, only
from tests.simulators.sigstore.minting import REKOR_V1, REKOR_V2
from tests.simulators.sigstore.server import SigstoreServer
from trustgate.evidence.shape import legacy_signature_tag
from trustgate.oci import media

pytestmark = pytest.mark.interop
WHO = Identity().subject
IMAGE = image_of_layers()
_names = count()


@pytest.fixture(scope="module")
def sigstore() -> Iterator[SigstoreServer]:
    with SigstoreServer() as made:
        yield made


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with distribution(tmp_path_factory.mktemp("distribution")) as host:
        yield host


@pytest.fixture(params=["trustgate", "Distribution"])
def image(request: pytest.FixtureRequest, world: World, layout: Path, peer: str) -> str:
    """A fresh copy of an unsigned image, by its digest."""
    host = world.host if request.param == "trustgate" else peer
    name = f"{host}/open/keyless-{next(_names)}"
    pushed = world.trustgate("ci", "push", "-o", "json", f"oci-layout:{layout}:bare", f"{name}:1").stdout
    return f"{name}@{json.loads(pushed)['digest']}"


class Cosign:
    """cosign with the trust material of one private Sigstore."""

    def __init__(self, world: World, sigstore: SigstoreServer, folder: Path, program: str = "cosign") -> None:
        self._world, self._sigstore = world, sigstore
        self._program = require(program).path
        self.root = folder / "trusted_root.json"
        self.root.write_bytes(sigstore.trusted_root())
        self._config = folder / "signing_config.json"

    def sign(
        self, image: str, *more: object, rekor: int | None, tsa: bool, verb: str = "sign", check: bool = True
    ) -> None:
        self._config.write_bytes(self._sigstore.signing_config(rekor=rekor, tsa=tsa))
        config = ["--signing-config", self._config, "--trusted-root", self.root]
        token = ["--identity-token", self._sigstore.token(), *more]
        command = [self._program, verb, "-y", "--allow-http-registry", *config, *token, image]
        self._world.run("ci", *command, check=check)

    def verifies(self, image: str, who: str = WHO, *more: object, verb: str = "verify") -> str:
        """Empty when it does, else cosign's words."""
        expected = ["--certificate-identity", who, "--certificate-oidc-issuer", self._sigstore.issuer]
        command = [self._program, verb, "--allow-http-registry", "--trusted-root", self.root, *expected]
        done = self._world.run("ci", *command, *more, image, check=False)
        return "" if done.returncode == 0 else done.stderr


@pytest.mark.parametrize(("rekor", "tsa"), [(1, False), (1, True), (2, True)])
def test_cosign_signs_and_verifies(
    world: World, sigstore: SigstoreServer, image: str, tmp_path: Path, rekor: int, tsa: bool
) -> None:
    cosign = Cosign(world, sigstore, tmp_path)
    assert "no signatures found" in cosign.verifies(image)
    cosign.sign(image, rekor=rekor, tsa=tsa)
    assert cosign.verifies(image) == ""
    assert "no matching CertificateIdentity found" in cosign.verifies(image, "https://other.test")
    stamped = cosign.verifies(image, WHO, "--use-signed-timestamps")
    assert (stamped == "") is tsa


# --- what we sign ------------------------------------------------------------------------------------


def _services(sigstore: SigstoreServer, folder: Path, rekor: int) -> list[object]:
    config = folder / "ours.json"
    config.write_bytes(sigstore.signing_config(rekor=rekor))
    return ["--signing-config", config, "--identity-token", sigstore.token()]


@pytest.mark.parametrize("program", ["cosign", "cosign2"])
@pytest.mark.parametrize(("rekor", "shape"), [(1, ()), (2, ()), (1, ("--legacy",))])
def test_cosign_verifies_what_we_sign_keyless(
    world: World, sigstore: SigstoreServer, image: str, tmp_path: Path, rekor: int, shape: tuple, program: str
) -> None:
    cosign = Cosign(world, sigstore, tmp_path, program)
    world.trustgate("ci", "sign", *shape, *_services(sigstore, tmp_path, rekor), image)
    bundles = program == "cosign2" and not shape
    more = (["--new-bundle-format"] if bundles else []) + ["--use-signed-timestamps"]
    assert cosign.verifies(image, WHO, *more) == ""
    assert cosign.verifies(image, "https://other.test", *more) != ""


@pytest.mark.parametrize(("rekor", "shape"), [(1, ()), (2, ()), (1, ("--legacy",))])
def test_cosign_verifies_what_we_attest_keyless(
    world: World, sigstore: SigstoreServer, image: str, tmp_path: Path, rekor: int, shape: tuple
) -> None:
    cosign = Cosign(world, sigstore, tmp_path)
    sbom = tmp_path / "sbom.json"
    sbom.write_text('{"bomFormat": "CycloneDX", "specVersion": "1.6"}')
    about = ["--predicate", sbom, "--type", "cyclonedx"]
    world.trustgate("ci", "attest", *shape, *about, *_services(sigstore, tmp_path, rekor), image)
    assert cosign.verifies(image, WHO, "--type", "cyclonedx", verb="verify-attestation") == ""
    assert cosign.verifies(image, WHO, "--type", "spdx", verb="verify-attestation") != ""


TYPES = {
    "custom": "anything at all",
    "cyclonedx": '{"bomFormat": "CycloneDX"}',
    "spdx": "SPDXVersion: SPDX-2.3\n",
    "spdxjson": '{"spdxVersion": "SPDX-2.3"}',
    "slsaprovenance": '{"buildType": "a", "builder": {"id": "b"}}',
    "slsaprovenance1": '{"buildDefinition": {"buildType": "a"}, "runDetails": {}}',
    "vuln": '{"scanner": {}, "invocation": {}, "metadata": {}}',
    "openvex": '{"@context": "https://openvex.dev/ns/v0.2.0"}',
    "https://types.test/own/v1": '{"own": 1}',
}


@pytest.mark.parametrize("shape", [(), ("--legacy",)], ids=["bundle", "att"])
def test_cosign_verifies_what_we_attest_with_a_key(
    world: World, image: str, tmp_path: Path, shape: tuple
) -> None:
    """Every type, on one image; each is found by its own name and by no other."""
    predicate = tmp_path / "predicate"
    for kind, text in TYPES.items():
        predicate.write_text(text)
        about = ["--predicate", predicate, "--type", kind]
        world.trustgate("ci", "attest", *shape, *about, "--key", world.key_file, image)
    verify = [require("cosign").path, "verify-attestation", "--allow-http-registry"]
    verify += ["--insecure-ignore-tlog=true", "--key", world.public_key_file]
    for kind in TYPES:
        world.run("ci", *verify, "--type", kind, image)
    wrong = world.run("ci", *verify, "--type", "link", image, check=False)
    assert wrong.returncode != 0


@pytest.mark.parametrize("rekor", [1, 2])
def test_cosign_finds_a_key_in_the_log(
    world: World, sigstore: SigstoreServer, image: str, tmp_path: Path, rekor: int
) -> None:
    """Without --insecure-ignore-tlog cosign wants an entry for keys, too."""
    cosign = Cosign(world, sigstore, tmp_path)
    services = _services(sigstore, tmp_path, rekor)[:2]
    world.trustgate("ci", "sign", *services, "--key", world.key_file, image)
    verify = [require("cosign").path, "verify", "--allow-http-registry", "--trusted-root", cosign.root]
    world.run("ci", *verify, "--key", world.public_key_file, image)


def test_our_tree_shows_what_cosign_attached(
    world: World, sigstore: SigstoreServer, image: str, tmp_path: Path
) -> None:
    cosign = Cosign(world, sigstore, tmp_path)
    cosign.sign(image, rekor=1, tsa=True)
    predicate = tmp_path / "sbom.json"
    predicate.write_text("{}")
    cosign.sign(image, "--predicate", predicate, "--type", "cyclonedx", rekor=1, tsa=True, verb="attest")
    found = json.loads(world.trustgate("ci", "tree", "-o", "json", image).stdout)["attached"]
    assert {(one["kind"], one["says"]) for one in found} == {
        ("signature", "https://sigstore.dev/cosign/sign/v1"),
        ("attestation", "https://cyclonedx.org/bom"),
    }


# --- the verdicts of a real verifier on every fault --------------------------------------------------


def _bundle(sigstore: PrivateSigstore, logged: tuple[Logged, ...], *, timestamps: int) -> Artifact:
    raw = mint_bundle(sigstore, IMAGE.manifest.digest, logged=logged, timestamps=timestamps)
    return bundle_manifest(IMAGE.manifest.descriptor, raw)


def _layer(sigstore: PrivateSigstore) -> Artifact:
    layer = mint_legacy_layer(sigstore, IMAGE.manifest.digest)
    made = image_of_layers()
    made.document["layers"] = [made.add(layer.media_type, layer.payload, annotations=dict(layer.annotations))]
    return made


SHAPES = {
    "bundle, Rekor 1": lambda sigstore: _bundle(sigstore, REKOR_V1, timestamps=0),
    "bundle, Rekor 2": lambda sigstore: _bundle(sigstore, REKOR_V2, timestamps=1),
    "bundle, timestamp": lambda sigstore: _bundle(sigstore, (), timestamps=1),
    ".sig": _layer,
}
_OPTIONS = {"bundle, timestamp": ("--insecure-ignore-tlog", "--use-signed-timestamps")}


def _judged(world: World, folder: Path, sigstore: PrivateSigstore, shape: str) -> bool:
    """By real cosign, an hour after signing: the certificates have expired, only proven time helps."""
    artifact = SHAPES[shape](sigstore)
    root = folder / "trusted_root.json"
    root.write_bytes(trusted_root(sigstore))
    with SimulatedRegistry() as registry:
        for one in (IMAGE, artifact):
            registry.blobs |= one.blobs
            registry.add(one.raw, media.OCI_MANIFEST)
        if shape == ".sig":
            registry.tags[str(legacy_signature_tag(IMAGE.manifest.digest))] = artifact.manifest.digest
        expected = ["--certificate-identity", WHO, "--certificate-oidc-issuer", Identity().issuer]
        command = [require("cosign").path, "verify", "--allow-http-registry", "--trusted-root", root]
        name = f"{registry.host}/shop/web@{IMAGE.manifest.digest}"
        done = world.run("ci", *command, *expected, *_OPTIONS.get(shape, ()), name, check=False)
    return done.returncode == 0


def test_the_verdicts_of_cosign_on_every_fault(world: World, tmp_path: Path) -> None:
    """A golden table: what a change of cosign, or of the simulator, changes shows here."""
    at = datetime.now(UTC) - timedelta(hours=1)
    rows = ["| fault | " + " | ".join(SHAPES) + " |", "|---" * (len(SHAPES) + 1) + "|"]
    for fault in ("", *FAULTS):
        sigstore = PrivateSigstore(only(fault) if fault else Faults(), at=at)
        words = ["yes" if _judged(world, tmp_path, sigstore, shape) else "no" for shape in SHAPES]
        rows.append(f"| {fault or '(none)'} | " + " | ".join(words) + " |")
    assert rows[2] == "| (none) |" + " yes |" * len(SHAPES)
    check_golden("cosign-on-a-broken-sigstore", "\n".join(rows), world.host)
