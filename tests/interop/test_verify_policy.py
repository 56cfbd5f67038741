"""``verify --policy`` on what real clients signed and copied: our registry, Distribution, and layouts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.catalog import require
from tests.interop.notation_client import Notation, distribution, make_notation, make_signers
from tests.interop.world import World
from trustgate.errors import TrustgateError

pytestmark = pytest.mark.interop
HEAD = "apiVersion: trustgate.dev/v1\n"
SLSA = "https://slsa.dev/provenance/v1"
COSIGN = ("--yes", "--allow-http-registry", "--tlog-upload=false", "--use-signing-config=false")
ATTESTORS = """\
  release: {type: cosign-key, key: keys/release.pub}
  acme:
    type: notation
    trustStores: {ca: [keys/acme.pem]}
    trustedIdentities: ["x509.subject: C=DE, ST=BE, O=tg"]
"""
RULES = {
    "cosign": "{id: signed, contentTrust: {require: {attestor: release}}}",
    "notation": "{id: signed, contentTrust: {require: {attestor: acme}}}",
    "attested": f"{{id: built, attestation: {{predicateType: {SLSA}, by: {{attestor: release}}}}}}",
}


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with distribution(tmp_path_factory.mktemp("peer") / "distribution") as host:
        yield host


@pytest.fixture(scope="module")
def notation(world: World, tmp_path_factory: pytest.TempPathFactory) -> Notation:
    made = make_signers(["p256"])
    home = tmp_path_factory.mktemp("notation")
    (home / "acme.pem").write_bytes(made.root.pem)
    return make_notation(home, made, world.environment("ci"))


@pytest.fixture
def policy(world: World, notation: Notation, tmp_path: Path) -> Path:
    """A policy for each kind of evidence: ``by/cosign`` wants cosign's, and so on."""
    folder = tmp_path / "policy"
    files = {
        "trustgate.yaml": f"{HEAD}kind: Root\n"
        "defaults: {noMatch: {pull: deny, push: deny, delete: deny}}\n",
        "trust/attestors.yaml": f"{HEAD}kind: TrustStore\nattestors:\n{ATTESTORS}",
        "trust/keys/release.pub": world.public_key_file.read_text(),
        "trust/keys/acme.pem": (notation.home / "acme.pem").read_text(),
    }
    for name, rule in RULES.items():
        files[f"policies/{name}.yaml"] = (
            f"{HEAD}kind: Policy\nmetadata: {{name: {name}}}\nmode: enforce\n"
            f'scope: {{repositories: ["by/{name}-*"]}}\nrules: [{rule}]\n'
        )
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def asked(world: World, policy: Path, image: str, *more: object) -> tuple[int, Any]:
    done = world.trustgate(
        "ci", "verify", "--policy", f"dir:{policy}", "-o", "json", *more, image, check=False
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def evidence_by(world: World, notation: Notation, form: str, image: str, predicate: Path) -> None:
    cosign = require("cosign").path
    by_key = ("--key", world.key_file)
    match form:
        case "cosign-bundle":
            world.run("ci", cosign, "sign", *COSIGN, *by_key, image)
        case "cosign-tag":
            world.run("ci", cosign, "sign", *COSIGN, "--new-bundle-format=false", *by_key, image)
        case "notation-jws" | "notation-cose":
            form = form.removeprefix("notation-")
            notation.run("sign", "--insecure-registry", "--key", "p256", "--signature-format", form, image)
        case "attested-bundle" | "attested-tag":
            old = ("--new-bundle-format=false",) if form == "attested-tag" else ()
            kind = ("--predicate", predicate, "--type", "slsaprovenance1")
            world.run("ci", cosign, "attest", *COSIGN, *old, *by_key, *kind, image)
        case _:
            raise TrustgateError(form)


FORMS = ["cosign-bundle", "cosign-tag", "notation-jws", "notation-cose", "attested-bundle", "attested-tag"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["trustgate", "distribution"])
def test_what_real_clients_make(
    world: World,
    layout: Path,
    peer: str,
    notation: Notation,
    policy: Path,
    tmp_path: Path,
    where: str,
    form: str,
) -> None:
    host = peer if where == "distribution" else world.host
    image = f"{host}/by/{form}:1"
    world.trustgate("ci", "push", f"oci-layout:{layout}:web", image)
    code, said = asked(world, policy, image)
    assert (code, said["answer"]) == (1, "no")
    predicate = tmp_path / "predicate.json"
    predicate.write_text(json.dumps({"buildDefinition": {"buildType": "make"}, "runDetails": {}}))
    evidence_by(world, notation, form, image, predicate)
    code, said = asked(world, policy, image)
    assert (code, said["answer"]) == (0, "yes"), said
    # the same, taken along: no network is there for what is on disk
    world.run(
        "ci",
        require("oras").path,
        "copy",
        "--recursive",
        "--from-plain-http",
        "--to-oci-layout",
        image,
        f"{tmp_path}/copy:1",
    )
    if not form.endswith("-tag"):
        code, said = asked(world, policy, f"oci-layout:{tmp_path}/copy:1", "--scope", f"{host}/by/{form}")
        assert (code, said["answer"]) == (0, "yes"), said
    code, said = asked(world, policy, f"oci-layout:{tmp_path}/copy:1", "--scope", f"{host}/other/repository")
    assert (code, said["rules"][0]["rule"]) == (1, "root/no-match")
