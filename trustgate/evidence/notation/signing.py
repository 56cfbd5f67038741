"""Make signatures as notation does: bytes in, bytes out; asking a key and storing them is a flow's work."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Generic, Protocol, TypeVar

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from trustgate import __version__
from trustgate.errors import InvalidInput, KeyUnreadable
from trustgate.evidence.keys import MAX_KEY_FILE_BYTES
from trustgate.evidence.keys import PublicKey as AnyPublicKey
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.model import Subject
from trustgate.evidence.notation.algorithms import PrivateKey, algorithm_of, sign
from trustgate.evidence.notation.attributes import (
    EXPIRY,
    PAYLOAD_TYPE,
    PREFIX,
    SIGNING_AGENT,
    SIGNING_SCHEME,
    SIGNING_TIME,
    TIMESTAMP,
    Scheme,
)
from trustgate.evidence.notation.certificates import Chain, code_signing_chain, load_certificate, signing_key
from trustgate.evidence.notation.cose import EPOCH_TAG, SIGN1_TAG, X5CHAIN, signed_bytes
from trustgate.evidence.notation.envelope import COSE, JWS
from trustgate.evidence.notation.manifest import NOTARY_SIGNATURE, THUMBPRINTS
from trustgate.evidence.notation.refusal import Broken
from trustgate.evidence.notation.trust import certificates_in
from trustgate.evidence.signing import SignatureArtifact
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor

AGENT: Final = f"trustgate/{__version__}"
Countersign = Callable[[bytes], bytes]
"""Asks a timestamp authority: signature in, TimeStampToken (DER) out."""


class HasPublicKey(Protocol):
    """A private key, wherever it lives."""

    def public_key(self) -> AnyPublicKey: ...


K = TypeVar("K", bound=HasPublicKey)
K_co = TypeVar("K_co", bound=HasPublicKey, covariant=True)


@dataclass(frozen=True, slots=True)
class NotationSigner(Generic[K_co]):
    """A private key and the chain of its certificate, which keeps every rule: verifiers will check them."""

    key: K_co = field(repr=False)
    chain: Chain


def read_signer(key_pem: bytes, chain_pem: bytes) -> NotationSigner[PrivateKey]:
    """Read an unencrypted private key (PKCS#8, PKCS#1 or SEC 1) and its chain, leaf to root.

    Raises ``KeyUnreadable``.
    """
    if len(key_pem) > MAX_KEY_FILE_BYTES:
        raise KeyUnreadable(f"the key file has {len(key_pem)} bytes, at most {MAX_KEY_FILE_BYTES} are read")
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except MALFORMED as exc:
        raise KeyUnreadable(
            "the file is not an unencrypted private key in PEM",
            hint="openssl pkcs8 -topk8 -nocrypt converts one",
        ) from exc
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyUnreadable("the key is neither RSA nor EC; Notary Project signatures know no others")
    return signer_of(key, read_chain(chain_pem))


def signer_of(key: K, certificates: Sequence[x509.Certificate]) -> NotationSigner[K]:
    """Raises ``KeyUnreadable`` when verifiers would refuse the chain, or it is not the key's."""
    try:
        chain = code_signing_chain([load_certificate(one.public_bytes(Encoding.DER)) for one in certificates])
        algorithm_of(key.public_key())
    except Broken as exc:
        raise KeyUnreadable(
            f"the certificate chain can't be used: {exc}",
            hint="give the certificate of the key first, then its issuers, the self-signed root last",
        ) from exc
    if signing_key(chain) != key.public_key():
        raise KeyUnreadable(
            "the first certificate of the chain is not that of the key",
            hint="give the key's certificate first",
        )
    return NotationSigner(key, chain)


def read_chain(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a file, as they stand there. Raises ``KeyUnreadable``."""
    try:
        return tuple(certificates_in(pem))
    except Broken as exc:
        raise KeyUnreadable(f"the certificate chain: {exc}") from exc


@dataclass(frozen=True, slots=True)
class ToSign:
    """What to sign, and what the signer says about it; times are written in whole seconds."""

    subject: Subject
    signed_at: datetime
    expiry: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The signer's own annotations of the payload; ``io.cncf.notary`` is reserved."""


@dataclass(frozen=True, slots=True)
class Unsigned:
    """An envelope that lacks its signature."""

    media_type: str
    protected: bytes
    """As it stands in the envelope: base64url in a JWS, CBOR in COSE."""
    payload: bytes
    """The same."""
    chain: Chain

    @property
    def to_be_signed(self) -> bytes:
        """The bytes under the signature."""
        if self.media_type == JWS:
            return self.protected + b"." + self.payload
        return signed_bytes(self.protected, self.payload)

    def signed(self, signature: bytes, timestamp: bytes | None = None) -> bytes:
        """The envelope with ``signature`` (as ``algorithms.sign`` makes it) and a TimeStampToken over it."""
        return (_jws if self.media_type == JWS else _cose)(self, signature, timestamp)


def unsigned_envelope(what: ToSign, chain: Chain, media_type: str) -> Unsigned:
    """An envelope of ``media_type`` under the scheme ``notary.x509``. Raises ``InvalidInput``."""
    _check(what, chain)
    if media_type == JWS:
        return Unsigned(JWS, _base64url(_json(_jws_labels(what, chain))), _base64url(_payload(what)), chain)
    if media_type == COSE:
        return Unsigned(COSE, cbor2.dumps(_cose_labels(what, chain)), _payload(what), chain)
    raise InvalidInput(f"{media_type[:80]!a} is no envelope format", hint=f"{JWS} or {COSE}")


def sign_envelope(
    what: ToSign,
    signer: NotationSigner[PrivateKey],
    media_type: str,
    *,
    countersign: Countersign | None = None,
) -> bytes:
    """The envelope, signed with a key that is here. Raises ``InvalidInput``."""
    unsigned = unsigned_envelope(what, signer.chain, media_type)
    signature = sign(signer.key, unsigned.to_be_signed)
    return unsigned.signed(signature, countersign(signature) if countersign else None)


def signature_artifact(
    subject: Subject, chain: Chain, media_type: str, envelope: bytes, created: datetime
) -> SignatureArtifact:
    """The referrer that carries an envelope (shape: notation 1.3)."""
    layer = Descriptor(media_type, Digest.of(envelope), len(envelope))
    about = Descriptor(subject.media_type, subject.digest, subject.size)
    manifest = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "artifactType": NOTARY_SIGNATURE,
        "config": {
            "mediaType": media.OCI_EMPTY,
            "digest": media.EMPTY_JSON_DIGEST,
            "size": len(media.EMPTY_JSON),
        },
        "layers": [layer.as_json()],
        "subject": about.as_json(),
        "annotations": {
            THUMBPRINTS: json.dumps(chain.thumbprints),
            "org.opencontainers.image.created": _rfc3339(created),
        },
    }
    blobs = {Digest(media.EMPTY_JSON_DIGEST): media.EMPTY_JSON, layer.digest: envelope}
    return SignatureArtifact(_json(manifest), blobs)


def _check(what: ToSign, chain: Chain) -> None:
    outside = chain.why_not_valid(_whole(what.signed_at), _whole(what.signed_at))
    if outside:
        raise InvalidInput(outside, hint="renew the certificate, or look at the clock")
    if what.expiry is not None and _whole(what.expiry) <= _whole(what.signed_at):
        raise InvalidInput("the signature would expire before it is made", hint="give a later expiry")
    reserved = sorted(key for key in what.metadata if key.startswith(PREFIX.rstrip(".")))
    if reserved:
        raise InvalidInput(f"{reserved[0][:80]!a} begins with {PREFIX.rstrip('.')}, which is reserved")


def _payload(what: ToSign) -> bytes:
    target: dict[str, object] = {
        "mediaType": what.subject.media_type,
        "digest": str(what.subject.digest),
        "size": what.subject.size,
    }
    if what.metadata:
        target["annotations"] = dict(what.metadata)
    return _json({"targetArtifact": target})


def _critical(what: ToSign) -> list[str]:
    return [SIGNING_SCHEME, *([EXPIRY] if what.expiry else [])]


def _jws_labels(what: ToSign, chain: Chain) -> dict[str, object]:
    protected: dict[str, object] = {
        "alg": algorithm_of(signing_key(chain)).name,
        "cty": PAYLOAD_TYPE,
        "crit": _critical(what),
        SIGNING_SCHEME: Scheme.X509.value,
        SIGNING_TIME: _rfc3339(what.signed_at),
    }
    if what.expiry:
        protected[EXPIRY] = _rfc3339(what.expiry)
    return protected


def _jws(envelope: Unsigned, signature: bytes, timestamp: bytes | None) -> bytes:
    unsigned: dict[str, object] = {
        "x5c": [base64.b64encode(der).decode() for der in _ders(envelope.chain)],
        SIGNING_AGENT: AGENT,
    }
    if timestamp is not None:
        unsigned[TIMESTAMP] = base64.b64encode(timestamp).decode()
    return _json(
        {
            "payload": envelope.payload.decode("ascii"),
            "protected": envelope.protected.decode("ascii"),
            "header": unsigned,
            "signature": _base64url(signature).decode("ascii"),
        }
    )


def _cose_labels(what: ToSign, chain: Chain) -> dict[int | str, object]:
    labels: dict[int | str, object] = {
        1: algorithm_of(signing_key(chain)).cose,
        2: _critical(what),
        3: PAYLOAD_TYPE,
        SIGNING_SCHEME: Scheme.X509.value,
        SIGNING_TIME: _epoch(what.signed_at),
    }
    if what.expiry:
        labels[EXPIRY] = _epoch(what.expiry)
    return labels


def _cose(envelope: Unsigned, signature: bytes, timestamp: bytes | None) -> bytes:
    unsigned: dict[int | str, object] = {X5CHAIN: _ders(envelope.chain), SIGNING_AGENT: AGENT}
    if timestamp is not None:
        unsigned[TIMESTAMP] = timestamp
    parts = [envelope.protected, unsigned, envelope.payload, signature]
    return cbor2.dumps(cbor2.CBORTag(SIGN1_TAG, parts))


def _ders(chain: Chain) -> list[bytes]:
    return [one.public_bytes(Encoding.DER) for one in chain.certificates]


def _epoch(moment: datetime) -> cbor2.CBORTag:
    return cbor2.CBORTag(EPOCH_TAG, int(_whole(moment).timestamp()))


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _rfc3339(moment: datetime) -> str:
    return _whole(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
