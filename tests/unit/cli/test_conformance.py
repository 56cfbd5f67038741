"""All cases of sigstore-conformance's ``bundle-verify``, by the arguments of its protocol."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.shared_files import ROOT, shared
from trustgate.cli.conformance import conformance
from trustgate.cli.main import cli
from trustgate.remote.trust_root import PUBLIC_GOOD, STAGING, bundled_trusted_root

ASSETS = ("public", "sigstore-conformance", "test", "assets")
BEACON = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/"
    ".github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
GITHUB = "https://token.actions.githubusercontent.com"
FOLDER = ROOT.joinpath(*ASSETS, "bundle-verify")
CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir()) if FOLDER.exists() else []


def text(path: Path, default: str) -> str:
    return path.read_text().strip() if path.exists() else default


def ask(*arguments: str) -> int:
    return CliRunner().invoke(conformance, ["verify-bundle", *arguments]).exit_code


def arguments(folder: Path) -> list[str]:
    found = ["--bundle", str(folder / "bundle.sigstore.json")]
    if (folder / "key.pub").exists():
        found += ["--key", str(folder / "key.pub")]
    else:
        found += ["--certificate-identity", text(folder / "identity", BEACON)]
        found += ["--certificate-oidc-issuer", text(folder / "issuer", GITHUB)]
    if (folder / "trusted_root.json").exists():
        found += ["--trusted-root", str(folder / "trusted_root.json")]
    return found


def test_all_cases_are_there() -> None:
    shared(*ASSETS)
    assert len(CASES) == 70


@pytest.mark.parametrize("by_digest", [False, True], ids=["path", "digest"])
@pytest.mark.parametrize("name", CASES)
def test_bundle_verify(name: str, by_digest: bool) -> None:
    folder = FOLDER / name
    artifact = folder / "artifact" if (folder / "artifact").exists() else FOLDER.parent / "a.txt"
    digest = f"sha256:{hashlib.sha256(artifact.read_bytes()).hexdigest()}"
    code = ask(*arguments(folder), digest if by_digest else str(artifact))
    assert code == (1 if name.endswith("_fail") else 0)


def test_another_identity_issuer_or_artifact_is_a_no(tmp_path: Path) -> None:
    folder = shared(*ASSETS, "bundle-verify", "happy-path-v0.3")
    bundle = ["--bundle", str(folder / "bundle.sigstore.json")]
    artifact = str(folder.parents[1] / "a.txt")
    other = tmp_path / "other"
    other.write_bytes(b"other")
    good = ["--certificate-identity", BEACON, "--certificate-oidc-issuer", GITHUB]
    assert ask(*bundle, *good, artifact) == 0
    assert ask(*bundle, *good, str(other)) == 1
    assert ask(*bundle, "--certificate-identity", "x", *good[2:], artifact) == 1
    assert ask(*bundle, *good[:2], "--certificate-oidc-issuer", "x", artifact) == 1
    assert ask(*bundle, "--staging", *good, artifact) == 1


@pytest.mark.parametrize("artifact", ["sha256:zz", "sha256:00", "nowhere"])
def test_asked_wrongly(artifact: str, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.write_bytes(b"{}")
    assert ask("--bundle", str(bundle), "--certificate-identity", "x", artifact) == 2
    identity = ["--certificate-identity", "x", "--certificate-oidc-issuer", "y"]
    assert ask("--bundle", str(bundle), *identity, artifact) == 2


def test_the_roots_that_come_along() -> None:
    assert b"rekor.sigstore.dev" in bundled_trusted_root(PUBLIC_GOOD)
    assert b"rekor.sigstage.dev" in bundled_trusted_root(STAGING)


def test_it_is_a_command_that_is_not_listed() -> None:
    assert CliRunner().invoke(cli, ["conformance", "--help"]).exit_code == 0
    assert "conformance" not in CliRunner().invoke(cli, ["--help"]).output
