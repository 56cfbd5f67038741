"""A second opinion by the ``sigstore`` library, which shares no code with this room.

It knows one shape: a DSSE bundle signed with a P-256 certificate, with one log entry and its inclusion proof.
Within that shape both must accept. It is laxer than this room in places (ends of validity windows, duplicate
keys, payload types), so its yes alone means nothing; its no is a bug here or there, and is no yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from trustgate.evidence.bundle import Bundle, MessageSignature
from trustgate.evidence.sigstore.certificate import Identity, read_certificate
from trustgate.evidence.sigstore.trusted_root import TrustedRoot

if TYPE_CHECKING:
    from sigstore.verify import Verifier

_KINDS: Final = frozenset({("dsse", "0.0.1"), ("hashedrekord", "0.0.2")})
_MIN_STAMP_CHAIN: Final = 2
# what the library raises by intent, and what has been seen to come out of it besides
_REFUSALS: Final = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    AssertionError,
    OverflowError,
    NotImplementedError,
    InvalidSignature,
    UnsupportedAlgorithm,
)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the library says; ``covered`` is false for a shape that it does not know."""

    covered: bool
    refusal: str = ""

    @property
    def disagrees(self) -> bool:
        return bool(self.refusal)


_NOT_COVERED: Final = Opinion(covered=False)


def second_opinion(raw: bytes, bundle: Bundle, identity: Identity, root: TrustedRoot) -> Opinion:
    """Whether the library too accepts the bundle ``raw``, and reads the same identity and payload in it."""
    if not _covers(bundle, root):
        return _NOT_COVERED
    verifier = _verifier(root)
    if verifier is None:
        return _NOT_COVERED
    from sigstore.errors import Error
    from sigstore.models import Bundle as TheirBundle
    from sigstore.verify import policy

    try:
        theirs = TheirBundle.from_json(raw)
        found = verifier.verify_dsse(
            theirs, policy.Identity(identity=identity.subject, issuer=identity.issuer)
        )
    except (Error, *_REFUSALS) as exc:
        return Opinion(covered=True, refusal=f"{type(exc).__name__}: {exc}")
    envelope = bundle.content
    if isinstance(envelope, MessageSignature) or found != (envelope.payload_type, envelope.payload):
        return Opinion(covered=True, refusal="it reads another payload")
    return Opinion(covered=True)


def _covers(bundle: Bundle, root: TrustedRoot) -> bool:
    if isinstance(bundle.content, MessageSignature) or not bundle.certificates or len(bundle.entries) != 1:
        return False
    (entry,) = bundle.entries
    if entry.proof is None or (entry.kind, entry.version) not in _KINDS:
        return False
    key = read_certificate(bundle.certificates[0]).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return False
    return bool(root.rekor and root.ct and root.certificates) and _knows_stamps(bundle, root)


def _knows_stamps(bundle: Bundle, root: TrustedRoot) -> bool:
    """It refuses every bundle with a timestamp when the root names no authority, or only a lone anchor."""
    if not bundle.timestamps:
        return True
    return bool(root.timestamps) and all(len(one.chain) >= _MIN_STAMP_CHAIN for one in root.timestamps)


@lru_cache(maxsize=16)
def _verifier(root: TrustedRoot) -> Verifier | None:
    """``None`` for a trusted root that the library can't read."""
    from sigstore.errors import Error
    from sigstore.models import TrustedRoot as TheirRoot
    from sigstore.verify import Verifier
    from sigstore_models.trustroot import v1

    try:
        return Verifier(trusted_root=TheirRoot(v1.TrustedRoot.from_json(root.raw)))
    except (Error, *_REFUSALS):
        return None
