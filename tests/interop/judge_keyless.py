"""Our judge's word on everything that is attached to an image, as JSON; runs beside the real services.

python -m tests.interop.judge_keyless IMAGE TRUSTED_ROOT IDENTITY ISSUER [--use-signed-timestamps]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from trustgate.errors import NotFound
from trustgate.evidence.attestation import attestation_candidates, judge_attestations
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import candidates_from_bundle_manifest
from trustgate.evidence.model import SignatureCandidate
from trustgate.evidence.sigstore.trust import cosign_keyless_trust
from trustgate.evidence.sigstore.trusted_root import read_trusted_root
from trustgate.flows.verify import verify_image
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Manifest, parse_manifest
from trustgate.oci.names import Reference, Tag
from trustgate.ports import ImageSource
from trustgate.remote.registry import client_for

MAX_BYTES = 16 * 1024 * 1024


def main(image: str, root: str, identity: str, issuer: str, *options: str) -> None:
    trust = cosign_keyless_trust(
        read_trusted_root(Path(root).read_bytes()),
        certificate_identity=identity,
        certificate_oidc_issuer=issuer,
        use_signed_timestamps="--use-signed-timestamps" in options,
    )
    attestors, now = [Attestor("ci", trust)], datetime.now(UTC)
    reference = Reference.parse(image)
    assert reference.digest is not None
    with client_for(reference, None) as client:
        signatures = verify_image(client, reference.digest, attestors, now=now).facts
        candidates = tuple(_candidates(client, reference.digest))
    attestations = judge_attestations(candidates, subject=reference.digest, attestors=attestors, now=now)
    print(
        json.dumps(
            {
                "signatures": [
                    [fact.outcome, fact.logs, fact.timestamps, fact.reason] for fact in signatures
                ],
                "attestations": [[fact.outcome, fact.predicate_type, fact.reason] for fact in attestations],
            }
        )
    )


def _candidates(source: ImageSource, subject: Digest) -> Iterator[SignatureCandidate]:
    for digest in source.referrers(subject, limit=50):
        manifest = parse_manifest(source.manifest(digest).raw)
        yield from candidates_from_bundle_manifest(manifest, _contents(source, manifest))
    try:
        manifest = parse_manifest(source.manifest(Tag(f"sha256-{subject.hex}.att")).raw)
    except NotFound:
        return
    yield from attestation_candidates(manifest, _contents(source, manifest))


def _contents(source: ImageSource, manifest: Manifest) -> dict[Digest, bytes]:
    return {layer.digest: source.blob(layer.digest, max_bytes=MAX_BYTES) for layer in manifest.layers}


if __name__ == "__main__":
    main(*sys.argv[1:])
