"""RFC 3161 tokens as bytes: what a time-stamp token says, read into plain values and not yet believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from asn1crypto import cms, core, tsp
from cryptography import x509

from trustgate.evidence.certificate_path import PathRefused, load_certificate

MAX_TOKEN_BYTES: Final = 32 * 1024
MAX_TOKEN_CERTIFICATES: Final = 16
MAX_SIGNED_ATTRIBUTES: Final = 16
_GRANTED: Final = frozenset({"granted", "granted_with_mods"})
_TST_INFO: Final = "tst_info"
# asn1crypto parses when values are asked for, and answers foreign bytes with any of these
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)


class TimestampRefused(ValueError):
    """The timestamp proves no time. The message says which part, and why."""


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """One ESSCertID: the certificate that the signer says is its own (RFC 2634, RFC 5035)."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class SignerName:
    """How the signature names its certificate: by issuer and number, or by subject key identifier."""

    issuer: bytes = b""
    """The issuer's name, DER."""
    serial_number: int = 0
    key_identifier: bytes = b""


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """``kind`` is one of asn1crypto's words: ``rsassa_pkcs1v15``, ``rsassa_pss``, ``ecdsa``, ``ed25519``."""

    kind: str
    hash: str
    salt_length: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """A TimeStampToken. Nothing in it is proven until ``verify_timestamp`` says so."""

    content: bytes = field(repr=False)
    """The TSTInfo, DER, that ``message_digest`` is the hash of."""
    signed: bytes = field(repr=False)
    """The signed attributes as they are signed: a SET OF (RFC 5652, section 5.4)."""
    signature: bytes = field(repr=False)
    digest_algorithm: str
    algorithm: SignatureAlgorithm
    message_digest: bytes
    signer: SignerName
    own_hashes: tuple[CertificateHash, ...]
    imprint_algorithm: str
    imprint: bytes
    moment: datetime
    accuracy: timedelta
    certificates: tuple[x509.Certificate, ...] = field(repr=False)


def read_token(der: bytes) -> Token:
    """Read a bare TimeStampToken. Raises ``TimestampRefused``."""
    _check_size(der)
    try:
        return _token(cms.ContentInfo.load(der, strict=True))
    except _UNREADABLE as exc:
        if isinstance(exc, TimestampRefused):
            raise
        raise TimestampRefused(f"the timestamp token can't be read ({type(exc).__name__})") from exc


def token_of_response(der: bytes) -> Token:
    """Read the token of a TimeStampResp that grants one. Raises ``TimestampRefused``."""
    _check_size(der)
    try:
        response = tsp.TimeStampResp.load(der, strict=True)
        status = response["status"]["status"].native
        if status not in _GRANTED:
            raise TimestampRefused(f"the timestamp authority's answer is {str(status)[:40]!a}, not a grant")
        return _token(response["time_stamp_token"])
    except _UNREADABLE as exc:
        if isinstance(exc, TimestampRefused):
            raise
        raise TimestampRefused(f"the timestamp response can't be read ({type(exc).__name__})") from exc


def _check_size(der: bytes) -> None:
    if len(der) > MAX_TOKEN_BYTES:
        raise TimestampRefused(f"the timestamp has {len(der)} bytes, at most {MAX_TOKEN_BYTES} are read")


def _token(info: Any) -> Token:
    _expect(info["content_type"].native, "signed_data", "the timestamp's content type")
    signed_data = info["content"]
    encapsulated = signed_data["encap_content_info"]
    _expect(encapsulated["content_type"].native, _TST_INFO, "what the timestamp signs")
    if len(signed_data["signer_infos"]) != 1:
        raise TimestampRefused("a timestamp must have exactly one signature")
    signer = signed_data["signer_infos"][0]
    content = encapsulated["content"]
    if not isinstance(content, core.OctetString | core.ParsableOctetString):
        raise TimestampRefused("the timestamp's content is not an octet string")
    return _with_attributes(signed_data, signer, bytes(content))


def _with_attributes(signed_data: Any, signer: Any, content: bytes) -> Token:
    signed, attributes = _attributes(signer["signed_attrs"])
    _expect(_only(attributes, "content_type").native, _TST_INFO, "the signed content type")
    info = tsp.TSTInfo.load(content, strict=True)
    _check_info(info)
    imprint = info["message_imprint"]
    digest_algorithm = signer["digest_algorithm"]["algorithm"].native
    return Token(
        content=content,
        signed=signed,
        signature=signer["signature"].native,
        digest_algorithm=digest_algorithm,
        algorithm=_algorithm(signer["signature_algorithm"], digest_algorithm),
        message_digest=_only(attributes, "message_digest").native,
        signer=_signer(signer["sid"]),
        own_hashes=_own_hashes(attributes),
        imprint_algorithm=imprint["hash_algorithm"]["algorithm"].native,
        imprint=imprint["hashed_message"].native,
        moment=_moment(info["gen_time"].native),
        accuracy=_accuracy(info["accuracy"]),
        certificates=_certificates(signed_data["certificates"]),
    )


def _expect(found: object, wanted: str, what: str) -> None:
    if found != wanted:
        raise TimestampRefused(f"{what} is {str(found)[:40]!a}, not {wanted}")


def _attributes(signed_attrs: Any) -> tuple[bytes, dict[str, Any]]:
    """Without signed attributes a CMS signature can be of something else (attributes as content)."""
    if isinstance(signed_attrs, core.Void):
        raise TimestampRefused("the timestamp has no signed attributes")
    if len(signed_attrs) > MAX_SIGNED_ATTRIBUTES:
        raise TimestampRefused(f"the timestamp has more than {MAX_SIGNED_ATTRIBUTES} signed attributes")
    found: dict[str, Any] = {}
    for attribute in signed_attrs:
        kind = attribute["type"].native
        if kind in found:
            raise TimestampRefused(f"the signed attribute {str(kind)[:40]!a} stands there twice")
        found[kind] = attribute["values"]
    # [0] IMPLICIT in the message, an explicit SET OF under the signature
    return b"\x31" + signed_attrs.dump()[1:], found


def _only(attributes: dict[str, Any], kind: str) -> Any:
    values = attributes.get(kind)
    if values is None or len(values) != 1:
        raise TimestampRefused(f"the timestamp needs exactly one signed attribute {kind}")
    return values[0]


def _own_hashes(attributes: dict[str, Any]) -> tuple[CertificateHash, ...]:
    """The first of each list is the signer's own certificate; every list that is there must fit."""
    found = []
    if "signing_certificate" in attributes:
        first = _only(attributes, "signing_certificate")["certs"][0]
        found.append(CertificateHash("sha1", first["cert_hash"].native))
    if "signing_certificate_v2" in attributes:
        first = _only(attributes, "signing_certificate_v2")["certs"][0]
        found.append(CertificateHash(first["hash_algorithm"]["algorithm"].native, first["cert_hash"].native))
    if not found:
        raise TimestampRefused("the timestamp has no signing-certificate attribute")
    return tuple(found)


def _signer(sid: Any) -> SignerName:
    if sid.name == "issuer_and_serial_number":
        return SignerName(sid.chosen["issuer"].dump(), sid.chosen["serial_number"].native)
    return SignerName(key_identifier=sid.chosen.native)


def _algorithm(found: Any, digest_algorithm: str) -> SignatureAlgorithm:
    kind = found.signature_algo
    if kind == "rsassa_pss":
        return SignatureAlgorithm(kind, *_pss(found["parameters"]))
    if found["algorithm"].native in {"rsassa_pkcs1v15", "ecdsa"}:  # the hash is the digest algorithm's
        return SignatureAlgorithm(kind, digest_algorithm)
    return SignatureAlgorithm(kind, digest_algorithm if kind == "ed25519" else found.hash_algo)


def _pss(parameters: Any) -> tuple[str, int]:
    """RFC 4055: MGF1 with the same hash, and trailer field 1."""
    name = parameters["hash_algorithm"]["algorithm"].native
    mask = parameters["mask_gen_algorithm"]
    if mask["algorithm"].native != "mgf1" or mask["parameters"]["algorithm"].native != name:
        raise TimestampRefused("the timestamp's RSASSA-PSS mask is not MGF1 of the same hash")
    return name, parameters["salt_length"].native


def _check_info(info: Any) -> None:
    _expect(info["version"].native, "v1", "the version of the timestamp")
    if any(one["critical"].native for one in info["extensions"]):
        raise TimestampRefused("the timestamp has a critical extension that is not judged here")


def _moment(found: object) -> datetime:
    if not isinstance(found, datetime) or found.utcoffset() != timedelta():
        raise TimestampRefused("the timestamp's time is not a time in UTC")
    return found.astimezone(UTC)


def _accuracy(found: Any) -> timedelta:
    if isinstance(found, core.Void):
        return timedelta()
    parts = {name: found[name].native or 0 for name in ("seconds", "millis", "micros")}
    return timedelta(seconds=parts["seconds"], milliseconds=parts["millis"], microseconds=parts["micros"])


def _certificates(found: Any) -> tuple[x509.Certificate, ...]:
    """Certificates that come with the token, by anyone; what can't be read can't help it."""
    if len(found) > MAX_TOKEN_CERTIFICATES:
        raise TimestampRefused(f"the timestamp carries more than {MAX_TOKEN_CERTIFICATES} certificates")
    read = []
    for one in found:
        if one.name == "certificate":
            try:
                read.append(load_certificate(one.chosen.dump()))
            except PathRefused:
                continue
    return tuple(read)
