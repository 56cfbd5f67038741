"""A second opinion by the ``sigstore`` library, which shares no code with this room.

It knows one shape: a DSSE bundle signed with a P-256 certificate, with one log entry and its inclusion proof.
Within that shape both must accept. What a bundle brings beside what was proven here is left out first: else
whoever brings it could add what the library does not know, and it would not be asked. It is laxer than this
room in places (ends of validity windows, duplicate keys, payload types), so its yes alone means nothing; its
no is a bug here or there, and is no yes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from trustgate.evidence.bundle import Bundle, MessageSignature
from trustgate.evidence.certificate_path import extension, is_authority
from trustgate.evidence.dsse import Envelope
from trustgate.evidence.sigstore.certificate import Identity, read_certificate
from trustgate.evidence.sigstore.entry import LogEntry
from trustgate.evidence.sigstore.trusted_root import TrustedRoot
from trustgate.evidence.sigstore.verify import KeylessProof

if TYPE_CHECKING:
    from sigstore.verify import Verifier
    from sigstore.verify.policy import VerificationPolicy

_KINDS: Final = frozenset({("dsse", "0.0.1"), ("hashedrekord", "0.0.2")})
_WITH_TIME: Final = "0.0.1"
"""Of these it takes the time of a log's promise."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the library says; ``covered`` is false for a shape that it does not know."""

    covered: bool
    refusal: str = ""

    @property
    def disagrees(self) -> bool:
        return bool(self.refusal)


_NOT_COVERED: Final = Opinion(covered=False)


def second_opinion(raw: bytes, bundle: Bundle, found: KeylessProof, root: TrustedRoot) -> Opinion:
    """Whether the library too accepts the bundle ``raw``, and reads the same identity and payload in it.

    It is asked about each log for itself, with the timestamps that count.
    """
    if isinstance(bundle.content, MessageSignature) or not bundle.certificates:
        return _NOT_COVERED
    verifier = _verifier(root) if _knows_certificate(read_certificate(bundle.certificates[0])) else None
    stamps = _stamps(found, root)
    entries = _entries(found, timed=bool(stamps))
    if verifier is None or not entries:
        return _NOT_COVERED
    refusals = (
        _refusal(verifier, _reduced(raw, bundle, one, stamps), bundle.content, found) for one in entries
    )
    return Opinion(covered=True, refusal=next(filter(None, refusals), ""))


def _refusal(verifier: Verifier, raw: bytes, envelope: Envelope, found: KeylessProof) -> str:
    from sigstore.models import Bundle as TheirBundle

    try:
        says = verifier.verify_dsse(TheirBundle.from_json(raw), _identity(found.identity))
    except Exception as exc:  # noqa: BLE001 - whatever foreign bytes make foreign code raise, it is no yes
        return f"{type(exc).__name__}: {exc}"
    return "" if says == (envelope.payload_type, envelope.payload) else "it reads another payload"


def _reduced(raw: bytes, bundle: Bundle, entry: LogEntry, stamps: Sequence[bytes]) -> bytes:
    """The bundle with this entry and these timestamps alone, as they stand there."""
    document = json.loads(raw)
    material = document["verificationMaterial"]
    material["tlogEntries"] = [_spelled_out(material["tlogEntries"][bundle.entries.index(entry)])]
    data = material.pop("timestampVerificationData", None)
    if stamps:
        kept = [data["rfc3161Timestamps"][bundle.timestamps.index(one)] for one in stamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": kept}
    return json.dumps(document).encode()


def _spelled_out(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with the zeros that protobuf's JSON leaves out, without which the library reads none.

    The first entry of a log has index 0, and no hashes in its proof while it is the only one.
    """
    proof = {"logIndex": "0", "hashes": [], **entry["inclusionProof"]}
    return {"logIndex": "0", **entry, "inclusionProof": proof}


def _identity(found: Identity) -> VerificationPolicy:
    """The issuer stands in one of two extensions; the library's own ``Identity`` reads the older alone."""
    from sigstore.verify import policy

    issuer = policy.AnyOf([policy.OIDCIssuerV2(found.issuer), policy.OIDCIssuer(found.issuer)])
    return policy.AllOf([policy.Identity(identity=found.subject), issuer])


def _entries(found: KeylessProof, *, timed: bool) -> Sequence[LogEntry]:
    """Of each log one that it knows, and that needs no other proof of its time."""
    known = {
        one.log_id: one
        for one in reversed(found.proof.proven.entries)
        if one.proof is not None
        and (one.kind, one.version) in _KINDS
        and (timed or (one.promise and one.version == _WITH_TIME))
    }
    return list(known.values())


def _stamps(found: KeylessProof, root: TrustedRoot) -> Sequence[bytes]:
    """Each once: it refuses a bundle that has one twice."""
    known = _knows_authorities(found.proof.times, root)
    return list(dict.fromkeys(found.proof.proven.timestamps)) if known else []


def _knows_certificate(leaf: x509.Certificate) -> bool:
    """It knows P-256 keys, and reads Fulcio's own kind of name in another way."""
    key = leaf.public_key()
    names = extension(leaf, x509.SubjectAlternativeName) or ()
    return (
        isinstance(key, ec.EllipticCurvePublicKey)
        and isinstance(key.curve, ec.SECP256R1)
        and not any(isinstance(name, x509.OtherName) for name in names)
    )


def _knows_authorities(times: Sequence[datetime], root: TrustedRoot) -> bool:
    """It wants chains that begin with the signer's certificate, and takes the end of a window for outside."""
    return bool(root.timestamps) and all(
        len(one.chain) > 1 and not is_authority(one.chain[0]) and one.window.end not in times
        for one in root.timestamps
    )


@lru_cache(maxsize=16)
def _verifier(root: TrustedRoot) -> Verifier | None:
    """``None`` for a trusted root that the library can't read."""
    from sigstore.models import TrustedRoot as TheirRoot
    from sigstore.verify import Verifier
    from sigstore_models.trustroot import v1

    try:
        return Verifier(trusted_root=TheirRoot(v1.TrustedRoot.from_json(root.raw)))
    except Exception:  # noqa: BLE001 - of our own file; what it can't read it is not asked about
        return None
