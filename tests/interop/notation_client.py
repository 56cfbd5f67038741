"""Real notation with its own home: keys, trust stores, a trust policy; and where it signs and verifies."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.clients.catalog import require
from tests.interop.world import free_port, run
from tests.notation_world import Issued, authority, issue, key
from tests.signing_world import private_pem
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import SignatureFact, Subject
from trustgate.evidence.notation.judge import judge_notation
from trustgate.evidence.notation.manifest import candidate_of, envelope_blobs
from trustgate.evidence.notation.trust import attestor_trust
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import Tag
from trustgate.ports import ImageSource

IDENTITY = "x509.subject: C=DE, ST=BE, O=tg"
STORE = "acme"
START_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Signers:
    """An authority of our own and signers by it: valid now, since a real client has a real clock."""

    root: Issued
    by_kind: dict[str, Issued]


def make_signers(kinds: Sequence[str]) -> Signers:
    now = datetime.now(UTC).replace(microsecond=0)
    window: dict[str, Any] = {"not_before": now - timedelta(days=2), "not_after": now + timedelta(days=30)}
    root = authority(private=key("p384", "interop root"), common_name="interop root", **window)
    middle = authority(root, private=key("p256", "interop ca"), common_name="interop ca", **window)
    made = {
        kind: issue(
            middle,
            private=key(kind, "interop"),
            purposes=[ExtendedKeyUsageOID.CODE_SIGNING],
            **window,
        )
        for kind in kinds
    }
    return Signers(root, made)


@dataclass(frozen=True, slots=True)
class Notation:
    """The client and its home."""

    home: Path
    environment: dict[str, str]

    def run(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(require("notation").path), *map(str, arguments)]
        return run(command, {**self.environment, "NOTATION_EXPERIMENTAL": "1"}, self.home, check=check)

    def verifies(self, *arguments: object) -> bool:
        return self.run("verify", *arguments, check=False).returncode == 0


def make_notation(home: Path, signers: Signers, environment: dict[str, str]) -> Notation:
    """Its configuration as its documentation says, below ``home``."""
    config = home / "notation"
    (config / "localkeys").mkdir(parents=True)
    keys = []
    for kind, issued in signers.by_kind.items():
        key_path, chain_path = config / "localkeys" / f"{kind}.key", config / "localkeys" / f"{kind}.crt"
        key_path.write_bytes(private_pem(issued.key))
        chain_path.write_bytes(issued.chain_pem)
        keys.append({"name": kind, "keyPath": str(key_path), "certPath": str(chain_path)})
    (config / "signingkeys.json").write_text(json.dumps({"default": keys[0]["name"], "keys": keys}))
    store = config / "truststore" / "x509" / "ca" / STORE
    store.mkdir(parents=True)
    (store / "root.crt").write_bytes(signers.root.pem)
    write_trust_policy(home)
    return Notation(home, {**environment, "XDG_CONFIG_HOME": str(home), "HOME": str(home)})


def write_trust_policy(home: Path, **changes: Any) -> bytes:
    statement = {
        "name": "all",
        "registryScopes": ["*"],
        "signatureVerification": {"level": "strict"},
        "trustStores": [f"ca:{STORE}"],
        "trustedIdentities": [IDENTITY],
        **changes,
    }
    raw = json.dumps({"version": "1.0", "trustPolicies": [statement]}).encode()
    (home / "notation" / "trustpolicy.json").write_bytes(raw)
    return raw


@contextmanager
def distribution(folder: Path) -> Iterator[str]:
    """A Distribution registry; gives its ``host:port``. It has no referrers API."""
    port = free_port()
    folder.mkdir()
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n"
    )
    command = [str(require("registry").path), "serve", str(config)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
        )
    try:
        _wait(port, process, folder / "log")
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    import time
    import urllib.error
    import urllib.request

    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise AssertionError(f"Distribution did not start:\n{log.read_text()[-2000:]}")


def facts(source: ImageSource, target: Tag | Digest, root_pem: bytes) -> list[SignatureFact]:
    """Our verdict on every Notary Project signature of the image, as a flow comes to it."""
    found = source.manifest(target)
    subject = Subject(found.digest, found.media_type, len(found.raw))
    trust = attestor_trust(trust_stores={"ca": [root_pem]}, trusted_identities=[IDENTITY])
    judged = []
    for digest in source.referrers(found.digest, limit=50):
        manifest = parse_manifest(source.manifest(digest).raw)
        contents = {
            one.digest: source.blob(one.digest, max_bytes=one.size) for one in envelope_blobs(manifest)
        }
        candidate = candidate_of(manifest, contents)
        if candidate is not None:
            judged.append(
                judge_notation(
                    candidate,
                    subject=subject,
                    attestors=[Attestor("interop", trust)],
                    now=datetime.now(UTC),
                )
            )
    return judged
