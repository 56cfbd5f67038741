"""``trustgate conformance``: the argument protocol of sigstore-conformance. The exit code is the answer."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustgate.cli.conformance_sign import sign_bundle
from trustgate.cli.main import EXIT_CODES

if TYPE_CHECKING:
    from trustgate.evidence.keys import KeyTrust
    from trustgate.evidence.sigstore.artifact import Artifact
    from trustgate.evidence.sigstore.trust import KeylessTrust

_DIGEST = "sha256:"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(epilog=EXIT_CODES)
def conformance() -> None:
    """Answer as sigstore-conformance asks.

    \b
      pytest test --entrypoint="trustgate conformance" --skip-signing
    """


conformance.add_command(sign_bundle)


@conformance.command("verify-bundle", epilog=EXIT_CODES)
@click.option("--staging", is_flag=True, help="Trust the staging instance and not the public one.")
@click.option("--bundle", type=_FILE, required=True, help="A Sigstore bundle.")
@click.option("--certificate-identity", default="", help="Who must have signed.")
@click.option("--certificate-oidc-issuer", default="", help="Who must have said who signed.")
@click.option("--key", type=_FILE, help="The public key that must have signed.")
@click.option("--trusted-root", type=_FILE, help="A trusted_root.json in place of the bundled one.")
@click.argument("artifact")
def verify_bundle(
    staging: bool,
    bundle: Path,
    certificate_identity: str,
    certificate_oidc_issuer: str,
    key: Path | None,
    trusted_root: Path | None,
    artifact: str,
) -> None:
    """Verify a bundle over a file, or over sha256:DIGEST.

    \b
      trustgate conformance verify-bundle --bundle a.txt.sigstore.json --key release.pub a.txt
    """
    from trustgate.errors import KeyUnreadable
    from trustgate.evidence.bundle import NotUnderstood
    from trustgate.evidence.dsse import Malformed
    from trustgate.evidence.sigstore.artifact import verify_artifact
    from trustgate.evidence.sigstore.pattern import PatternRefused

    try:
        root = _root_bytes(trusted_root, staging=staging)
        trust = _trust(root, key, certificate_identity, certificate_oidc_issuer)
        verify_artifact(bundle.read_bytes(), _artifact(artifact), trust, now=datetime.now(UTC))
    except PatternRefused as exc:
        raise click.UsageError(str(exc)) from exc
    except (Malformed, NotUnderstood, KeyUnreadable) as exc:
        click.echo(f"not verified: {exc}", err=True)
        sys.exit(1)
    click.echo("verified")


def _root_bytes(path: Path | None, *, staging: bool) -> bytes:
    from trustgate.remote.trust_root import PUBLIC_GOOD, STAGING, bundled_trusted_root

    return path.read_bytes() if path else bundled_trusted_root(STAGING if staging else PUBLIC_GOOD)


def _trust(raw_root: bytes, key: Path | None, identity: str, issuer: str) -> KeyTrust | KeylessTrust:
    from trustgate.evidence.keys import key_trust
    from trustgate.evidence.sigstore.trust import cosign_keyless_trust
    from trustgate.evidence.sigstore.trusted_root import read_trusted_root

    root = read_trusted_root(raw_root)
    if key is not None:
        return key_trust(key.read_bytes(), root=root, min_logs=1)
    return cosign_keyless_trust(root, certificate_identity=identity, certificate_oidc_issuer=issuer)


def _artifact(text: str) -> Artifact:
    from trustgate.evidence.sigstore.artifact import Artifact, artifact_of

    path = Path(text)
    if text.startswith(_DIGEST) and not path.exists():
        return Artifact(_sha256(text.removeprefix(_DIGEST)))
    try:
        return artifact_of(path.read_bytes())
    except OSError as exc:
        raise click.UsageError(f"{text} can't be read: {exc.strerror}") from exc


def _sha256(encoded: str) -> bytes:
    try:
        found = bytes.fromhex(encoded)
    except ValueError as exc:
        raise click.UsageError("a digest is sha256: and 64 hex digits") from exc
    if len(found) != 32:
        raise click.UsageError("a digest is sha256: and 64 hex digits")
    return found
