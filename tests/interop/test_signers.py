"""What cosign and notation print when someone signs who must not sign here; and nothing is left of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.catalog import require
from tests.interop.notation_client import IDENTITY, Notation, Signers, make_notation, make_signers
from tests.interop.world import World, add_image, check_golden, make_world
from trustgate.remote.layout import LayoutSource

pytestmark = pytest.mark.interop
SHAPES = {"bundle": [], "tag": ["--new-bundle-format=false"]}
HEAD = "apiVersion: trustgate.dev/v1\n"
TRUST = f"""\
{HEAD}kind: TrustStore
attestors:
  vendor: {{type: notation, trustStores: {{ca: [keys/vendor.pem]}}, trustedIdentities: ["{IDENTITY}"]}}
"""


def policy(name: str, signers: str) -> str:
    return f"""\
{HEAD}kind: Policy
metadata: {{name: {name}}}
mode: enforce
scope: {{actions: [push], repositories: ["open/{name}/**"]}}
rules:
  - id: signers
    signers: {{{signers}}}
"""


@pytest.fixture(scope="module")
def signers() -> Signers:
    require("notation")
    return make_signers(["p256"])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, signers: Signers) -> Iterator[World]:
    """A server on which ``open/only`` takes what ``release`` signs, ``open/deny`` all but two signers'."""
    world = make_world(tmp_path_factory.mktemp("signers"))
    files = {
        "trust/vendor.yaml": TRUST,
        "trust/keys/vendor.pem": signers.root.pem.decode(),
        "policies/only.yaml": policy("only", "only: [release]"),
        "policies/deny.yaml": policy("deny", "deny: [by-p256, vendor]"),
    }
    for path, text in files.items():
        (world.folder / "policy" / path).write_text(text)
    world.trustgate("admin", "policy", "reload")
    source = LayoutSource(world.folder / "layout", create=True)
    add_image(source, "web", "web")
    yield world
    world.server.stop()


def pushed(here: World, name: str) -> str:
    here.trustgate("ci", "push", f"oci-layout:{here.folder / 'layout'}:web", f"{here.host}/{name}:1")
    return f"{here.host}/{name}:1"


def said(done: subprocess.CompletedProcess[str], *words: str) -> str:
    """What it printed: refused, in words that people can read, with the decision's link."""
    text = done.stdout + done.stderr
    assert done.returncode != 0, text
    for word in (*words, "/signers", "/d/"):
        assert word in text, text
    return "\n".join(line for line in text.splitlines() if "trustgate:" in line)


def signatures_of(here: World, image: str) -> str:
    return here.run("ci", require("oras").path, "discover", "--plain-http", "--format=json", image).stdout


def tags_of(here: World, image: str) -> str:
    name = image.rpartition(":")[0]
    return here.run("ci", require("oras").path, "repo", "tags", "--plain-http", name).stdout


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("program", ["cosign", "cosign2"])
def test_cosign(here: World, tmp_path: Path, program: str, shape: str) -> None:
    path = require(program).path
    sign = [path, "sign", "-y", "--allow-http-registry", "--tlog-upload=false"]
    if program == "cosign":
        sign += ["--use-signing-config=false", *SHAPES[shape]]
    elif shape == "bundle":
        sign += ["--new-bundle-format"]
    attest = [path, "attest", *sign[2:], "--type", "slsaprovenance1", "--predicate", tmp_path / "said.json"]
    (tmp_path / "said.json").write_text('{"buildDefinition": {"buildType": "make"}, "runDetails": {}}')
    for rule, why in (
        ("only", "only release may sign here: it is"),
        ("deny", "by by-p256, who must not sign here"),
    ):
        image = pushed(here, f"open/{rule}/{program}-{shape}")
        for command in (sign, attest):
            before = signatures_of(here, image), tags_of(here, image)
            told = said(here.run("ci", *command, "--key", here.key("p256"), image, check=False), why)
            if (program, shape, rule, command) == ("cosign", "bundle", "deny", sign):
                check_golden("cosign-sign-refused", told, here.host)
            assert (signatures_of(here, image), tags_of(here, image)) == before
            here.run("ci", *command, "--key", here.key_file, image)
            assert (signatures_of(here, image), tags_of(here, image)) != before
        if (program, shape) != ("cosign2", "bundle"):  # which looks for sigstore.dev's own root first
            verify = [path, "verify", "--allow-http-registry", "--insecure-ignore-tlog=true", "--key"]
            here.run("prod", *verify, here.public_key_file, image)


def test_notation(here: World, signers: Signers, tmp_path: Path) -> None:
    notation: Notation = make_notation(tmp_path, signers, here.environment("ci"))
    sign = ["sign", "--insecure-registry", "--key", "p256"]
    for rule, why in (
        ("only", "only release may sign here: it is signed by vendor"),
        ("deny", "signed by vendor, who must not sign here"),
    ):
        image = pushed(here, f"open/{rule}/notation")
        before = signatures_of(here, image)
        told = said(notation.run(*sign, image, check=False), why)
        check_golden(f"notation-sign-refused-by-{rule}", told, here.host)
        assert signatures_of(here, image) == before
