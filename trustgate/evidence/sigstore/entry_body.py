"""The body of a log entry, bound to the signature that it came with.

An entry proves nothing about a signature unless the body names that signature, the holder of the key and
what was signed (CVE-2022-23649, CVE-2022-36056, CVE-2026-22703). Kinds: rekor ``pkg/types``, rekor-tiles.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

from trustgate.evidence.sigstore.content import Content, Holder
from trustgate.evidence.sigstore.entry import LogEntry
from trustgate.evidence.sigstore.fields import Fields, bytes_of, fields_of, list_of, text_of
from trustgate.evidence.sigstore.refusal import Refusal
from trustgate.oci.strict_json import JsonRefused, loads

MAX_BODY_BYTES: Final = 128 * 1024
MAX_SIGNATURES: Final = 1
"""A DSSE envelope with more than one signature is refused before it comes here."""
_ALGORITHMS: Final = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}
_WHAT: Final = "the log entry"


def check_body(entry: LogEntry, content: Content, holder: Holder) -> None:
    """Raises ``Refusal`` unless the entry is of this signature, by this holder, over this content."""
    try:
        body = fields_of(loads(entry.body, max_bytes=MAX_BODY_BYTES), _WHAT)
    except JsonRefused as exc:
        raise Refusal(f"the log entry's body {exc}") from exc
    kind, version = text_of(body, "kind", _WHAT), text_of(body, "apiVersion", _WHAT)
    if entry.kind and (entry.kind, entry.version) != (kind, version):
        raise Refusal("the log entry is of another kind than the bundle says")
    check = _KINDS.get((kind, version))
    if check is None:
        raise Refusal(f"log entries of kind {kind[:40]!a} {version[:40]!a} are not judged here")
    check(fields_of(body.get("spec"), _WHAT), content, holder)


def _hashedrekord_1(spec: Fields, content: Content, holder: Holder) -> None:
    """Also ``rekord`` 0.0.1, which names the same things at the same places."""
    data = fields_of(spec.get("data"), f"{_WHAT}'s data")
    _same_hash(fields_of(data.get("hash"), f"{_WHAT}'s hash"), content.hash)
    signature = fields_of(spec.get("signature"), f"{_WHAT}'s signature")
    _same_signature(bytes_of(signature, "content", _WHAT), content)
    public_key = fields_of(signature.get("publicKey"), f"{_WHAT}'s public key")
    _same_holder(bytes_of(public_key, "content", _WHAT), holder)


def _dsse_1(spec: Fields, content: Content, holder: Holder) -> None:
    _same_hash(fields_of(spec.get("payloadHash"), f"{_WHAT}'s payload hash"), _payload_hash(content))
    if content.envelope is not None:
        _same_hash(
            fields_of(spec.get("envelopeHash"), f"{_WHAT}'s envelope hash"), _hash_of(content.envelope)
        )
    signature = _only(spec, "signatures")
    _same_signature(bytes_of(signature, "signature", _WHAT), content)
    _same_holder(bytes_of(signature, "verifier", _WHAT), holder)


def _intoto_1(spec: Fields, content: Content, holder: Holder) -> None:
    """Names no signature, but the envelope that holds it: only those bytes can bind it."""
    if content.envelope is None:
        raise Refusal("a log entry of kind intoto 0.0.1 names the stored envelope, and this is a bundle")
    said = fields_of(spec.get("content"), f"{_WHAT}'s content")
    _same_hash(fields_of(said.get("hash"), f"{_WHAT}'s hash"), _hash_of(content.envelope))
    _same_holder(bytes_of(spec, "publicKey", _WHAT), holder)


def _intoto_2(spec: Fields, content: Content, holder: Holder) -> None:
    said = fields_of(spec.get("content"), f"{_WHAT}'s content")
    _same_hash(fields_of(said.get("payloadHash"), f"{_WHAT}'s payload hash"), _payload_hash(content))
    if content.envelope is not None:
        _same_hash(fields_of(said.get("hash"), f"{_WHAT}'s hash"), _hash_of(content.envelope))
    envelope = fields_of(said.get("envelope"), f"{_WHAT}'s envelope")
    signature = _only(envelope, "signatures")
    # the signature is base64 of the envelope's own base64
    _same_signature(_inner_base64(bytes_of(signature, "sig", _WHAT)), content)
    _same_holder(bytes_of(signature, "publicKey", _WHAT), holder)


def _hashedrekord_2(spec: Fields, content: Content, holder: Holder) -> None:
    said = fields_of(spec.get("hashedRekordV002"), f"{_WHAT}'s hashedRekordV002")
    _same_digest(fields_of(said.get("data"), f"{_WHAT}'s data"), content.hash)
    _same_signature_and_verifier(fields_of(said.get("signature"), f"{_WHAT}'s signature"), content, holder)


def _dsse_2(spec: Fields, content: Content, holder: Holder) -> None:
    said = fields_of(spec.get("dsseV002"), f"{_WHAT}'s dsseV002")
    _same_digest(fields_of(said.get("payloadHash"), f"{_WHAT}'s payload hash"), _payload_hash(content))
    _same_signature_and_verifier(_only(said, "signatures"), content, holder)


_KINDS: Final[Mapping[tuple[str, str], Callable[[Fields, Content, Holder], None]]] = {
    ("hashedrekord", "0.0.1"): _hashedrekord_1,
    ("rekord", "0.0.1"): _hashedrekord_1,
    ("dsse", "0.0.1"): _dsse_1,
    ("intoto", "0.0.1"): _intoto_1,
    ("intoto", "0.0.2"): _intoto_2,
    ("hashedrekord", "0.0.2"): _hashedrekord_2,
    ("dsse", "0.0.2"): _dsse_2,
}


# --- the comparisons -----------------------------------------------------------------------------

Hash = Callable[[str], bytes]


def _payload_hash(content: Content) -> Hash:
    if content.payload is None:
        raise Refusal("the log entry is of a DSSE envelope, and this is another kind of signature")
    return _hash_of(content.payload)


def _hash_of(content: bytes) -> Hash:
    return lambda algorithm: _hash(algorithm, content)


def _hash(algorithm: str, content: bytes) -> bytes:
    if algorithm not in _ALGORITHMS.values():
        raise Refusal(f"the log entry uses the hash {algorithm[:40]!a}")
    return hashlib.new(algorithm, content).digest()


def _same_hash(said: Fields, expected: Hash) -> None:
    """Rekor 1: ``{algorithm: sha256, value: hex}``."""
    algorithm = text_of(said, "algorithm", _WHAT)
    if not hmac.compare_digest(text_of(said, "value", _WHAT).encode(), expected(algorithm).hex().encode()):
        raise Refusal("the log entry is of other content")


def _same_digest(said: Fields, expected: Hash) -> None:
    """Rekor 2: ``{algorithm: SHA2_256, digest: base64}``."""
    algorithm = text_of(said, "algorithm", _WHAT)
    if not hmac.compare_digest(
        bytes_of(said, "digest", _WHAT), expected(_ALGORITHMS.get(algorithm, algorithm))
    ):
        raise Refusal("the log entry is of other content")


def _same_signature(said: bytes, content: Content) -> None:
    if not hmac.compare_digest(said, content.signature):
        raise Refusal("the log entry is of another signature")


def _same_holder(pem: bytes, holder: Holder) -> None:
    if not holder.is_named_by_pem(pem):
        raise Refusal("the log entry names another certificate or key")


def _same_signature_and_verifier(said: Fields, content: Content, holder: Holder) -> None:
    _same_signature(bytes_of(said, "content", _WHAT), content)
    verifier = fields_of(said.get("verifier"), f"{_WHAT}'s verifier")
    name, expected = (
        ("publicKey", holder.spki) if holder.certificate is None else ("x509Certificate", holder.certificate)
    )
    named = fields_of(verifier.get(name, {}), f"{_WHAT}'s {name}")
    if not named or not hmac.compare_digest(bytes_of(named, "rawBytes", _WHAT), expected):
        raise Refusal("the log entry names another certificate or key")


def _only(fields: Fields, key: str) -> Fields:
    listed = list_of(fields.get(key), f"{_WHAT}'s {key}", most=MAX_SIGNATURES)
    if not listed:
        raise Refusal(f"{_WHAT} has no {key}")
    return fields_of(listed[0], f"{_WHAT}'s {key}")


def _inner_base64(raw: bytes) -> bytes:
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Refusal("the log entry's signature is not base64 of base64") from exc
