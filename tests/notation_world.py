"""Certificates and Notary Project signatures that tests can edit and break, part by part.

Envelopes are put together here by hand and not by ``trustgate.evidence.notation.signing``, so that the two
can be held against each other. What ``edit`` changes before signing is signed; ``forge`` comes afterwards.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import cbor2
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests import signing_world
from tests.signing_world import Artifact, Edit, as_json, b64, key, unchanged
from trustgate.evidence.attestor import Attestor
from trustgate.evidence.model import SignatureFact, Subject
from trustgate.evidence.notation.judge import judge_notation
from trustgate.evidence.notation.manifest import NotationCandidate, candidate_of
from trustgate.evidence.notation.trust import NotationTrust, attestor_trust
from trustgate.oci import media

NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)
SIGNED_AT = datetime(2027, 1, 9, 12, tzinfo=UTC)
DAY = timedelta(days=1)
JWS, COSE = "application/jose+json", "application/cose"
NOTARY = "application/vnd.cncf.notary.signature"
THUMBPRINTS = "io.cncf.notary.x509chain.thumbprint#S256"
SCHEME = "io.cncf.notary.signingScheme"
TIME = "io.cncf.notary.signingTime"
AUTHENTIC_TIME = "io.cncf.notary.authenticSigningTime"
EXPIRY = "io.cncf.notary.expiry"
TIMESTAMP = "io.cncf.notary.timestampSignature"
AGENT = "io.cncf.notary.signingAgent"
KINDS = ("rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521")
JWS_ALGORITHMS = dict(zip(KINDS, ("PS256", "PS384", "PS512", "ES256", "ES384", "ES512"), strict=True))
COSE_ALGORITHMS = dict(zip(KINDS, (-37, -38, -39, -7, -35, -36), strict=True))
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
LABELS = {"alg": 1, "crit": 2, "cty": 3}
SUBJECT_NAME = {"C": "DE", "ST": "BE", "O": "tg", "CN": "signer"}
IDENTITY = "x509.subject: C=DE, ST=BE, O=tg"
_OIDS = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "L": NameOID.LOCALITY_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "E": NameOID.EMAIL_ADDRESS,
}
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


# --- certificates --------------------------------------------------------------------------------


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in USAGES})


@dataclass(frozen=True)
class Issued:
    """A certificate with its key and its issuers up to the root."""

    key: Any
    certificate: x509.Certificate
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        return (self.certificate, *self.issuers)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        return b"".join(one.public_bytes(Encoding.PEM) for one in self.chain)

    @property
    def root_pem(self) -> bytes:
        return self.chain[-1].public_bytes(Encoding.PEM)


def name(parts: Mapping[str, str] | Sequence[tuple[str, str]]) -> x509.Name:
    pairs = parts.items() if isinstance(parts, Mapping) else parts
    return x509.Name([x509.NameAttribute(_OIDS[kind], value) for kind, value in pairs])


def issue(
    by: Issued | None,
    *,
    private: Any = None,
    subject: x509.Name | Mapping[str, str] | Sequence[tuple[str, str]] = SUBJECT_NAME,
    ca: bool | None = None,
    path_length: int | None = None,
    constraints_critical: bool = True,
    usages: Sequence[str] | None = ("digital_signature",),
    usage_critical: bool = True,
    purposes: Sequence[x509.ObjectIdentifier] = (),
    purposes_critical: bool = False,
    not_before: datetime = NOW - 30 * DAY,
    not_after: datetime = NOW + 365 * DAY,
    extensions: Sequence[x509.ExtensionType] = (),
    algorithm: hashes.HashAlgorithm | None = None,
    sign_with: Any = None,
    serial_number: int | None = None,
) -> Issued:
    """A certificate by ``by``, self-signed without. ``ca=None`` leaves basic constraints out."""
    own = private if private is not None else key("p256")
    issuer_key = sign_with if sign_with is not None else by.key if by else own
    subject_name = subject if isinstance(subject, x509.Name) else name(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(by.certificate.subject if by else subject_name)
        .public_key(own.public_key())
        .serial_number(serial_number or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), constraints_critical)
    if usages is not None:
        builder = builder.add_extension(usage(*usages), usage_critical)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), purposes_critical)
    for one in extensions:
        builder = builder.add_extension(one, critical=False)
    fitting = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else algorithm or hashes.SHA256()
    return Issued(own, builder.sign(issuer_key, fitting), by.chain if by else ())


def authority(by: Issued | None = None, *, common_name: str = "root", **changes: Any) -> Issued:
    """A certificate authority: the root, or an intermediate by ``by``."""
    given: dict[str, Any] = {
        "private": key("p256", common_name),
        "subject": {"C": "DE", "ST": "BE", "O": "tg", "CN": common_name},
        "ca": True,
        "usages": ("key_cert_sign", "crl_sign"),
        "not_before": NOW - 300 * DAY,
        "not_after": NOW + 3650 * DAY,
    }
    return issue(by, **{**given, **changes})


@lru_cache
def root() -> Issued:
    return authority()


@lru_cache
def signer(kind: str = "p256") -> Issued:
    """Leaf, intermediate, root."""
    middle = authority(root(), common_name="intermediate")
    return issue(middle, private=key(kind, "notation"), purposes=[ExtendedKeyUsageOID.CODE_SIGNING])


def with_sha1(der: bytes, private: rsa.RSAPrivateKey) -> bytes:
    """A certificate or CRL signed anew with SHA-1, which ``cryptography`` itself no longer does."""
    sha256, sha1 = (bytes.fromhex("06092a864886f70d0101" + end) for end in ("0b", "05"))
    parts_ = [one.dump() for one in core.SequenceOf.load(der.replace(sha256, sha1), spec=core.Any)]
    signature = private.sign(parts_[0], padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    bits = core.OctetBitString(signature).dump()
    return core.SequenceOf([core.Any.load(one) for one in (*parts_[:2], bits)], spec=core.Any).dump()


# --- envelopes -----------------------------------------------------------------------------------

IMAGE = signing_world.image()


def subject_of(artifact: Artifact) -> Subject:
    manifest = artifact.manifest
    return Subject(manifest.digest, manifest.media_type, len(artifact.raw))


SUBJECT = subject_of(IMAGE)


def kind_of(private: Any) -> str:
    if isinstance(private, rsa.RSAPrivateKey):
        return f"rsa{private.key_size}"
    return {256: "p256", 384: "p384", 521: "p521"}[private.curve.key_size]


def primitive(private: Any, content: bytes) -> bytes:
    """A signature as the specification wants it for this kind of key."""
    algorithm = HASHES[JWS_ALGORITHMS[kind_of(private)][2:]]
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(content, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
    r, s = decode_dss_signature(private.sign(content, ec.ECDSA(algorithm)))
    width = (private.curve.key_size + 7) // 8
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def target(subject: Subject = SUBJECT) -> dict[str, Any]:
    return {
        "targetArtifact": {
            "mediaType": subject.media_type,
            "digest": str(subject.digest),
            "size": subject.size,
        }
    }


@dataclass
class Parts:
    """Everything that goes into an envelope; tests change what they like before it is written."""

    issued: Issued
    payload: bytes
    header: dict[Any, Any]
    unsigned: dict[Any, Any]
    chain: list[bytes]
    sign: Callable[[Any, bytes], bytes] = primitive
    timestamp: bytes = b""


def parts(issued: Issued | None = None, subject: Subject = SUBJECT, **changes: Any) -> Parts:
    chosen = issued or signer()
    made = Parts(
        issued=chosen,
        payload=as_json(target(subject)),
        header={
            "alg": JWS_ALGORITHMS.get(kind_of(chosen.key), "ES256"),
            "cty": "application/vnd.cncf.notary.payload.v1+json",
            "crit": [SCHEME],
            SCHEME: "notary.x509",
            TIME: SIGNED_AT,
        },
        unsigned={AGENT: "tests/1"},
        chain=[one.public_bytes(Encoding.DER) for one in chosen.chain],
    )
    for field_name, value in changes.items():
        setattr(made, field_name, value)
    return made


def authority_header(made: Parts, moment: datetime = SIGNED_AT) -> Parts:
    """The signing scheme of signing authorities."""
    del made.header[TIME]
    made.header |= {
        SCHEME: "notary.x509.signingAuthority",
        AUTHENTIC_TIME: moment,
        "crit": [SCHEME, AUTHENTIC_TIME],
    }
    return made


def expiring(made: Parts, moment: datetime) -> Parts:
    made.header[EXPIRY] = moment
    made.header["crit"] = [*made.header["crit"], EXPIRY]
    return made


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _rfc3339(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value


def jws(made: Parts, forge: Edit = unchanged, header_json: bytes | None = None) -> bytes:
    header = {one: _rfc3339(value) for one, value in made.header.items()}
    protected = base64url(as_json(header) if header_json is None else header_json)
    payload = base64url(made.payload)
    signature = made.sign(made.issued.key, f"{protected}.{payload}".encode())
    document = {
        "payload": payload,
        "protected": protected,
        "header": {"x5c": [b64(der) for der in made.chain], **made.unsigned},
        "signature": base64url(signature),
    }
    if made.timestamp:
        document["header"][TIMESTAMP] = b64(made.timestamp)
    forge(document)
    return as_json(document)


def _epoch(value: Any) -> Any:
    return cbor2.CBORTag(1, int(value.timestamp())) if isinstance(value, datetime) else value


def cose_labels(made: Parts) -> dict[Any, Any]:
    algorithm = COSE_ALGORITHMS[kind_of(made.issued.key)]
    labels = {LABELS.get(one, one): _epoch(value) for one, value in made.header.items()}
    if labels.get(1) == JWS_ALGORITHMS[kind_of(made.issued.key)]:
        labels[1] = algorithm
    return labels


def cose(
    made: Parts, forge: Callable[[list[Any]], object] = lambda _: None, protected: bytes | None = None
) -> bytes:
    signed = cbor2.dumps(cose_labels(made)) if protected is None else protected
    signature = made.sign(made.issued.key, cbor2.dumps(["Signature1", signed, b"", made.payload]))
    unsigned: dict[Any, Any] = {33: made.chain, **made.unsigned}
    if made.timestamp:
        unsigned[TIMESTAMP] = made.timestamp
    message = [signed, unsigned, made.payload, signature]
    forge(message)
    return cbor2.dumps(cbor2.CBORTag(18, message))


WRITERS: Mapping[str, Callable[[Parts], bytes]] = {JWS: jws, COSE: cose}


# --- manifests and verdicts ----------------------------------------------------------------------


def carrier(
    envelope: bytes,
    media_type: str = JWS,
    *,
    subject: Subject | None = SUBJECT,
    chain: Sequence[x509.Certificate] | None = None,
    edit: Edit = unchanged,
) -> Artifact:
    """The manifest that notation pushes."""
    made = Artifact({"schemaVersion": 2, "mediaType": media.OCI_MANIFEST})
    prints = [one.fingerprint(hashes.SHA256()).hex() for one in chain or signer().chain]
    made.document |= {
        "artifactType": NOTARY,
        "config": made.add(media.OCI_EMPTY, media.EMPTY_JSON),
        "layers": [made.add(media_type, envelope)],
        "annotations": {THUMBPRINTS: json.dumps(prints)},
    }
    if subject is not None:
        made.document["subject"] = {
            "mediaType": subject.media_type,
            "digest": str(subject.digest),
            "size": subject.size,
        }
    edit(made.document)
    return made


def candidate(artifact: Artifact) -> NotationCandidate:
    found = candidate_of(artifact.manifest, artifact.blobs)
    assert found is not None
    return found


def signed(made: Parts, media_type: str = JWS, **changes: Any) -> NotationCandidate:
    """The candidate around an envelope of ``made``."""
    chain = [x509.load_der_x509_certificate(der) for der in made.chain] or None
    return candidate(carrier(WRITERS[media_type](made), media_type, **{"chain": chain, **changes}))


def trust(*, roots: Sequence[bytes] | None = None, **changes: Any) -> NotationTrust:
    """Strict, by the world's root and identity."""
    given: dict[str, Any] = {
        "trust_stores": {"ca": [root().pem] if roots is None else list(roots)},
        "trusted_identities": [IDENTITY],
    }
    return attestor_trust(**{**given, **changes})


@dataclass
class Bench:
    """Attestors and a moment: ``bench.judge(candidate)``."""

    trusts: Mapping[str, NotationTrust] = field(default_factory=lambda: {"release": trust()})
    now: datetime = NOW
    answers: Mapping[str, Any] = field(default_factory=dict)
    window: tuple[datetime | None, datetime | None] = (None, None)

    def attestors(self) -> list[Attestor]:
        return [Attestor(name_, one, *self.window) for name_, one in self.trusts.items()]

    def judge(self, found: NotationCandidate, subject: Subject = SUBJECT) -> SignatureFact:
        return judge_notation(
            found, subject=subject, attestors=self.attestors(), now=self.now, answers=self.answers
        )


def judge(found: NotationCandidate, **changes: Any) -> SignatureFact:
    """Under the world's own trust, now; ``trust`` replaces it."""
    if "trust" in changes:
        changes["trusts"] = {"release": changes.pop("trust")}
    return Bench(**changes).judge(found)
