"""Certificates that Fulcio gives out: the path to an authority, and the identity inside (oid-info)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from trustgate.evidence.certificate_path import (
    PathRefused,
    extension,
    is_authority,
    load_certificate,
    path_to_anchor,
)
from trustgate.evidence.malformed import MALFORMED
from trustgate.evidence.sigstore.refusal import NotTrusted, Refusal
from trustgate.evidence.sigstore.trusted_root import Authority

MAX_CERTIFICATE_BYTES: Final = 32 * 1024
MAX_PEM_BYTES: Final = 256 * 1024
FULCIO: Final = "1.3.6.1.4.1.57264.1."
ISSUER_V1: Final = f"{FULCIO}1"
OTHER_NAME: Final = f"{FULCIO}7"
ISSUER_V2: Final = f"{FULCIO}8"
_UTF8: Final[Mapping[str, str]] = {
    f"{FULCIO}9": "build-signer-uri",
    f"{FULCIO}10": "build-signer-digest",
    f"{FULCIO}11": "runner-environment",
    f"{FULCIO}12": "source-repository-uri",
    f"{FULCIO}13": "source-repository-digest",
    f"{FULCIO}14": "source-repository-ref",
    f"{FULCIO}15": "source-repository-identifier",
    f"{FULCIO}16": "source-repository-owner-uri",
    f"{FULCIO}17": "source-repository-owner-identifier",
    f"{FULCIO}18": "build-config-uri",
    f"{FULCIO}19": "build-config-digest",
    f"{FULCIO}20": "build-trigger",
    f"{FULCIO}21": "run-invocation-uri",
    f"{FULCIO}22": "source-repository-visibility",
    f"{FULCIO}23": "deployment-environment",
    f"{FULCIO}24": "token-subject",
}
_RAW: Final[Mapping[str, str]] = {
    f"{FULCIO}2": "github-workflow-trigger",
    f"{FULCIO}3": "github-workflow-sha",
    f"{FULCIO}4": "github-workflow-name",
    f"{FULCIO}5": "github-workflow-repository",
    f"{FULCIO}6": "github-workflow-ref",
}
CLAIMS: Final = frozenset({*_UTF8.values(), *_RAW.values()})
"""What else a certificate may say about the token that it was given for, by the names used here."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the certificate was given to, as the issuer's token said."""

    subject: str
    """The one subject alternative name: an email address, a URI, or Fulcio's own kind of name."""
    issuer: str
    claims: Mapping[str, str] = field(default_factory=dict, hash=False)


@lru_cache(maxsize=256)
def read_certificate(der: bytes) -> x509.Certificate:
    """Raises ``Refusal``."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise Refusal(f"the certificate has {len(der)} bytes, at most {MAX_CERTIFICATE_BYTES} are read")
    try:
        return load_certificate(der)
    except PathRefused as exc:
        raise Refusal(str(exc)) from exc


def certificate_of_pem(pem: bytes, what: str) -> x509.Certificate:
    """The certificate of the one PEM block, of which errors speak as ``what``. Raises ``Refusal``."""
    if len(pem) > MAX_PEM_BYTES or pem.count(b"-----BEGIN ") != 1:
        raise Refusal(f"{what} is not one PEM certificate")
    try:
        found = x509.load_pem_x509_certificate(pem)
        der = found.public_bytes(serialization.Encoding.DER)
    except MALFORMED as exc:
        raise Refusal(f"{what} is not one PEM certificate") from exc
    return read_certificate(der)


def spki_of(certificate: x509.Certificate) -> bytes:
    """The certificate's public key, DER."""
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def issuing_path(
    leaf: x509.Certificate, authorities: Sequence[Authority], times: Sequence[datetime]
) -> tuple[x509.Certificate, ...]:
    """``leaf``, who issued it, the anchor: a chain of the trusted root that holds at every one of ``times``.

    Raises ``Refusal``; ``NotTrusted`` when no authority of the trusted root has issued it.
    """
    _check_usage(leaf)
    if not times:
        raise Refusal("no trusted time says when the certificate was used")
    reasons: list[str] = []
    for authority in authorities:
        try:
            return _path(leaf, authority, times)
        except (Refusal, PathRefused) as exc:
            reasons.append(str(exc))
    why = reasons[0] if len(reasons) == 1 else "none of its authorities issued the certificate"
    raise NotTrusted(f"the certificate does not lead to the trusted root: {why}")


def _path(
    leaf: x509.Certificate, authority: Authority, times: Sequence[datetime]
) -> tuple[x509.Certificate, ...]:
    paths = set()
    for moment in times:
        if not authority.window.holds(moment):
            raise Refusal(f"its authority is not trusted at {moment:%Y-%m-%dT%H:%M:%SZ}")
        path = path_to_anchor(
            leaf,
            anchors=authority.chain[-1:],
            intermediates=authority.chain[:-1],
            moment=moment,
            purpose=ExtendedKeyUsageOID.CODE_SIGNING,
        )
        if len(path) < 2:
            raise Refusal("the certificate is an anchor itself")
        paths.add(path)
    if len(paths) != 1:
        raise Refusal("the certificate leads to the authority in several ways")
    return paths.pop()


def _check_usage(leaf: x509.Certificate) -> None:
    """For signing code, by whoever holds it, and for issuing nothing."""
    purposes = extension(leaf, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise Refusal("the certificate is not for signing code")
    usage = extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise Refusal("the certificate's key is not for signatures")
    if is_authority(leaf):
        raise Refusal("the certificate is an authority's")


@lru_cache(maxsize=256)
def identity_of(leaf: x509.Certificate) -> Identity:
    """Raises ``Refusal``."""
    issuer = _utf8(leaf, ISSUER_V2) or _raw(leaf, ISSUER_V1)
    # a space or a control character could make two identities read as one
    if not issuer or not issuer.isprintable() or " " in issuer:
        raise Refusal("the certificate names no issuer that can be read")
    named = {name: _utf8(leaf, oid) for oid, name in _UTF8.items()}
    named |= {name: _raw(leaf, oid) for oid, name in _RAW.items()}
    return Identity(_subject(leaf), issuer, {name: text for name, text in named.items() if text})


def _subject(leaf: x509.Certificate) -> str:
    names = extension(leaf, x509.SubjectAlternativeName)
    found = list(names) if names is not None else []
    if len(found) != 1:
        raise Refusal(f"the certificate has {len(found)} names; it must be of exactly one identity")
    match found[0]:
        case x509.RFC822Name() | x509.UniformResourceIdentifier() as name:
            subject = name.value
        case x509.OtherName() as name if name.type_id.dotted_string == OTHER_NAME:
            subject = _utf8_string(name.value)
        case _:
            raise Refusal("the certificate's name is of a kind that identifies nobody")
    if not subject or not subject.isprintable():
        raise Refusal("the certificate's name can't be read")
    return subject


def _utf8(leaf: x509.Certificate, oid: str) -> str:
    raw = _extension(leaf, oid)
    return _utf8_string(raw) if raw is not None else ""


def _utf8_string(der: bytes) -> str:
    try:
        value = core.UTF8String.load(der, strict=True).native
    except (ValueError, TypeError) as exc:
        raise Refusal("an extension of the certificate is not a UTF-8 string") from exc
    return str(value)


def _raw(leaf: x509.Certificate, oid: str) -> str:
    raw = _extension(leaf, oid)
    try:
        return raw.decode() if raw is not None else ""
    except UnicodeDecodeError as exc:
        raise Refusal("an extension of the certificate is not text") from exc


def _extension(leaf: x509.Certificate, oid: str) -> bytes | None:
    try:
        value = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
    except x509.ExtensionNotFound:
        return None
    return value.value if isinstance(value, x509.UnrecognizedExtension) else None
