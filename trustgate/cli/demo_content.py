"""What the demo is made of: three small images, a policy, and a few advisories that were made up for it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.names import Tag
from trustgate.remote.layout import LayoutSource

POLICY_FILES: Final[Mapping[str, str]] = {
    "trustgate.yaml": """\
apiVersion: trustgate.dev/v1
kind: Root
defaults:
  noMatch: {pull: allow, push: allow, delete: allow}
  onError: deny
exempt:
  - robots: ["robot$ci"]
    actions: [pull]
    rules: ["prod/*"]
    why: who signs must read what is not signed and not scanned yet
""",
    "trust/attestors.yaml": """\
apiVersion: trustgate.dev/v1
kind: TrustStore
attestors:
  demo-ci: {type: cosign-key, key: keys/demo-ci.pub}
""",
    "policies/prod.yaml": """\
apiVersion: trustgate.dev/v1
kind: Policy
metadata:
  name: prod
  description: What production may pull
mode: enforce
scope:
  actions: [pull]
  repositories: ["shop/**"]
rules:
  - id: signed
    contentTrust:
      require: {attestor: demo-ci}
  - id: no-fixable-criticals
    severity:
      thresholds: [{severity: critical, fixable: true}]
      onUnscanned: deny
  - id: no-fixable-highs
    mode: warn
    severity:
      thresholds: [{severity: high, fixable: true}]
      onUnscanned: warn
""",
}
PUBLIC_KEY_PATH: Final = "trust/keys/demo-ci.pub"

_CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
_HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"


@dataclass(frozen=True, slots=True)
class DemoImage:
    """A name, the Python packages in it, and what should become of its pull."""

    repository: str
    packages: tuple[tuple[str, str], ...]
    signed: bool
    outcome: str


IMAGES: Final = (
    DemoImage("shop/web", (("acme-http", "2.4.1"), ("acme-templates", "1.9.0")), True, "ALLOWED"),
    DemoImage("shop/api", (("acme-http", "2.4.1"), ("acme-json", "0.8.2")), True, "WARN"),
    DemoImage("shop/old", (("acme-http", "1.2.0"), ("acme-crypto", "3.0.1")), False, "DENIED"),
)


def _advisory(number: int, package: str, fixed: str, vector: str, summary: str) -> dict[str, Any]:
    return {
        "schema_version": "1.7.0",
        "id": f"DEMO-2026-{number:04d}",
        "modified": "2026-01-01T00:00:00Z",
        "summary": summary,
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": package},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
            }
        ],
        "severity": [{"type": "CVSS_V3", "score": vector}],
    }


ADVISORIES: Final[Sequence[dict[str, Any]]] = (
    _advisory(1, "acme-http", "1.3.0", _CRITICAL, "Requests can be smuggled past the front end"),
    _advisory(2, "acme-crypto", "3.0.2", _CRITICAL, "Signatures are accepted without being checked"),
    _advisory(3, "acme-json", "0.9.0", _HIGH, "Deeply nested documents exhaust the stack"),
    _advisory(4, "acme-templates", "1.8.0", _HIGH, "Templates can read files"),
)


def write_advisories(path: Path) -> None:
    """The advisories as an OSV zip: one JSON record a file."""
    with zipfile.ZipFile(path, "w") as archive:
        for record in ADVISORIES:
            archive.writestr(f"{record['id']}.json", json.dumps(record))


def build_image(image: DemoImage, layout: LayoutSource) -> Digest:
    """Assemble the image, a layer, a configuration and a manifest, into an OCI layout."""
    plain = _layer(image)
    packed = gzip.compress(plain, mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": ["python", "-m", image.repository.partition("/")[2]]},
            "rootfs": {"type": "layers", "diff_ids": [Digest.of(plain)]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": {"mediaType": media.OCI_CONFIG, "digest": Digest.of(config), "size": len(config)},
        "layers": [{"mediaType": media.OCI_LAYER_TAR_GZIP, "digest": Digest.of(packed), "size": len(packed)}],
    }
    for content in (packed, config):
        layout.put_blob(Digest.of(content), iter([content]), len(content))
    tag = Tag(image.repository.replace("/", "-"))
    return layout.put_manifest(json.dumps(manifest).encode(), media.OCI_MANIFEST, tag)


def _layer(image: DemoImage) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, version in image.packages:
            folder = f"app/site-packages/{name.replace('-', '_')}-{version}.dist-info"
            _add(archive, f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        _add(archive, "app/main.py", f"print('hello from {image.repository}')\n")
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, path: str, text: str) -> None:
    content = text.encode()
    info = tarfile.TarInfo(path)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
