"""Look at a fresh signature as its verifiers will, before anybody sees it."""

from __future__ import annotations

from typing import Final

from trustgate.errors import UpstreamFailed
from trustgate.evidence.attestation import judge_attestation
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.cosign import judge
from trustgate.evidence.cosign_claim import COSIGN_SIGN_PREDICATE
from trustgate.evidence.keys import key_trust, pem_of
from trustgate.evidence.model import Outcome, SignatureCandidate, SignatureKind
from trustgate.evidence.signing import SignatureArtifact
from trustgate.evidence.sigstore.pattern import exact, whole
from trustgate.evidence.sigstore.trust import KeylessTrust
from trustgate.evidence.sigstore.trusted_root import TrustedRoot
from trustgate.flows.signatory import Signatory
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest

_WHOEVER: Final = whole(".+")
"""The certificate authority says what the signer is called; that it is the bearer of the token is known."""


def check_made(by: Signatory, artifact: SignatureArtifact, subject: Digest, predicate_type: str) -> None:
    """Nothing without a trusted root. Raises ``UpstreamFailed`` for what does not verify under it."""
    if by.check is None:
        return
    candidate = _last_candidate(artifact)
    judged = judge if predicate_type == COSIGN_SIGN_PREDICATE else judge_attestation
    attestor = _attestor(by, by.check.root)
    fact = judged(candidate, subject=subject, attestors=[attestor], now=by.check.now)
    if fact.outcome is not Outcome.VERIFIED:
        raise UpstreamFailed(
            f"what the services answered does not verify under the trusted root: {fact.reason}",
            hint="nothing was stored; do --trusted-root and the services belong together?",
        )


def _last_candidate(artifact: SignatureArtifact) -> SignatureCandidate:
    """The bundle, or the layer that came last."""
    manifest = parse_manifest(artifact.manifest)
    layer = manifest.layers[-1]
    bundle = manifest.subject is not None
    return SignatureCandidate(
        kind=SignatureKind.COSIGN_BUNDLE if bundle else SignatureKind.COSIGN_LEGACY,
        evidence=manifest.digest,
        layer=layer,
        payload=artifact.blobs[layer.digest],
        annotations=layer.annotations,
        claimed_subject=manifest.subject.digest if manifest.subject else None,
    )


def _attestor(by: Signatory, root: TrustedRoot) -> Attestor:
    logs, timestamps = min(1, len(by.services.logs)), min(1, len(by.services.timestamps))
    if by.token is None:
        trust = key_trust(pem_of(by.key.public_key()), root=root, min_logs=logs, min_timestamps=timestamps)
        return Attestor("the signer", trust)
    keyless = KeylessTrust(root, exact(by.token.issuer), _WHOEVER, min_logs=logs, min_timestamps=timestamps)
    return Attestor("the signer", keyless)
