"""Verify a bundle over an artifact (a file), as the Sigstore client specification has it.

Images go another way (``evidence.cosign``): there a bundle has to be about a manifest.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from trustgate.evidence.bundle import Bundle, MessageSignature, read_bundle
from trustgate.evidence.dsse import IN_TOTO_PAYLOAD, STATEMENT_V01, STATEMENT_V1, Envelope, read_statement
from trustgate.evidence.keys import KeyTrust
from trustgate.evidence.sigstore.certificate import read_certificate
from trustgate.evidence.sigstore.content import Content, Holder
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.evidence.sigstore.trust import KeylessTrust
from trustgate.evidence.sigstore.verify import Proof, Witnesses, check_enough, prove_keyless, prove_witnesses
from trustgate.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file, or only its SHA-256."""

    sha256: bytes
    content: bytes | None = None


def artifact_of(content: bytes) -> Artifact:
    return Artifact(hashlib.sha256(content).digest(), content)


def verify_artifact(
    raw: bytes, artifact: Artifact, trust: KeyTrust | KeylessTrust, *, now: datetime
) -> Proof:
    """What is proven beside the signature of ``artifact`` by whom ``trust`` names.

    Raises ``Malformed`` (``Refusal`` is one) or ``NotUnderstood``.
    """
    bundle = read_bundle(raw)
    content = _content(bundle, artifact)
    # 0.1 may bring a promise alone, later versions have to bring the path
    witnesses = Witnesses(bundle.entries, bundle.timestamps, needs_path=bundle.version > 1)
    match trust:
        case KeyTrust():
            return _by_key(bundle, content, witnesses, trust, now)
        case KeylessTrust():
            return _keyless(bundle, content, witnesses, trust, now)


def _by_key(bundle: Bundle, content: Content, witnesses: Witnesses, trust: KeyTrust, now: datetime) -> Proof:
    if bundle.certificates:
        raise Refusal("the bundle is signed with a certificate, and a key is trusted")
    if not content.is_signed_by(trust.public_key):
        raise Refusal("the signature is not by the trusted key")
    if trust.root is None:
        return Proof()
    proof = prove_witnesses(content, Holder(trust.spki), witnesses, trust.root, now=now)
    check_enough(proof, min_logs=trust.min_logs, min_timestamps=trust.min_timestamps)
    return proof


def _keyless(
    bundle: Bundle, content: Content, witnesses: Witnesses, trust: KeylessTrust, now: datetime
) -> Proof:
    if not bundle.certificates:
        raise Refusal("the bundle is signed with a key, and a certificate is expected")
    leaf, *others = bundle.certificates
    # client specification: the chain must not bring its own root
    if any(one.subject == one.issuer for one in map(read_certificate, others)):
        raise Refusal("the bundle's certificate chain holds a root")
    found = prove_keyless(content, leaf, witnesses, trust.root, now=now)
    trust.check(found)
    return found.proof


def _content(bundle: Bundle, artifact: Artifact) -> Content:
    match bundle.content:
        case MessageSignature() as message:
            _check_digest(message, artifact)
            return Content(message.signature, artifact.content, artifact.sha256)
        case Envelope() as envelope:
            _check_statement(envelope, artifact)
            return Content(envelope.signature, envelope.signed, payload=envelope.payload)


def _check_digest(message: MessageSignature, artifact: Artifact) -> None:
    """The digest in the bundle is a hint; a wrong one is a broken bundle."""
    if message.algorithm == "SHA2_256" and not hmac.compare_digest(message.digest, artifact.sha256):
        raise Refusal("the bundle is of another artifact")


def _check_statement(envelope: Envelope, artifact: Artifact) -> None:
    if envelope.payload_type != IN_TOTO_PAYLOAD:
        raise Refusal("the envelope holds no in-toto statement")
    statement = read_statement(envelope.payload)
    if statement.type not in {STATEMENT_V01, STATEMENT_V1}:
        raise Refusal("the envelope's statement is of a type that is not judged here")
    if not statement.names(Digest(f"sha256:{artifact.sha256.hex()}")):
        raise Refusal("the statement is not about this artifact")
