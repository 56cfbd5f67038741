"""DSSE envelopes and in-toto statements, read strictly (DSSE 1.0; in-toto attestation framework v1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from trustgate.errors import DigestInvalid
from trustgate.evidence.signature_bytes import MAX_SIGNATURE_BYTES, canonical_base64
from trustgate.oci.digest import Digest
from trustgate.oci.strict_json import Json, JsonRefused, loads

IN_TOTO_PAYLOAD = "application/vnd.in-toto+json"
STATEMENT_V01 = "https://in-toto.io/Statement/v0.1"
STATEMENT_V1 = "https://in-toto.io/Statement/v1"
MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_ANNOTATIONS = 64
MAX_ANNOTATION_CHARACTERS = 4096
MAX_SUBJECTS = 1024
_ENVELOPE_KEYS = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE_KEYS = frozenset({"sig", "keyid"})


class Malformed(ValueError):
    """The bytes do not have the shape that their format asks for. The message says where."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope with exactly one signature."""

    payload_type: str
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def signed(self) -> bytes:
        """The pre-authentication encoding: what the signature is over."""
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto statement. Its subjects are read when they are asked for: first comes what it is."""

    type: str
    predicate_type: str
    subjects: Json = field(repr=False)
    predicate: Json = field(default=None, repr=False)

    def only_subject(self) -> Digest:
        """The one digest of the one subject. Raises ``Malformed``."""
        if not isinstance(self.subjects, list) or len(self.subjects) != 1:
            raise Malformed("the in-toto statement must name exactly one subject")
        subject = an_object(self.subjects[0], "the subject")
        digests = an_object(subject.get("digest"), "the subject's digest")
        if len(digests) != 1:
            raise Malformed("the subject must have exactly one digest")
        ((algorithm, value),) = digests.items()
        try:
            return Digest(f"{algorithm}:{value}")
        except DigestInvalid as exc:
            raise Malformed("the subject's digest is not a sha256 or sha512 digest") from exc

    @property
    def annotations(self) -> tuple[tuple[str, str], ...]:
        """What cosign's ``-a`` wrote into the only subject; nothing that is not plain text."""
        if not isinstance(self.subjects, list) or len(self.subjects) != 1:
            return ()
        subject = self.subjects[0]
        return plain_texts(subject.get("annotations")) if isinstance(subject, dict) else ()

    def names(self, digest: Digest) -> bool:
        """Whether one of its subjects is ``digest``. Raises ``Malformed``."""
        if not isinstance(self.subjects, list) or not 1 <= len(self.subjects) <= MAX_SUBJECTS:
            raise Malformed(f"the in-toto statement must name 1 to {MAX_SUBJECTS} subjects")
        found = [an_object(one, "a subject").get("digest") for one in self.subjects]
        return any(an_object(one, "a digest").get(digest.algorithm) == digest.hex for one in found)


def read_envelope(document: Json, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> Envelope:
    """Raises ``Malformed``."""
    fields = an_object(document, "dsseEnvelope")
    only_keys(fields, _ENVELOPE_KEYS, "the DSSE envelope")
    signatures = fields.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise Malformed("the DSSE envelope must have exactly one signature")
    signature = an_object(signatures[0], "the DSSE signature")
    only_keys(signature, _SIGNATURE_KEYS, "the DSSE signature")
    return Envelope(
        payload_type=a_text(fields, "payloadType", "the DSSE envelope"),
        payload=some_bytes(fields, "payload", "the DSSE envelope", max_payload_bytes),
        signature=some_bytes(signature, "sig", "the DSSE signature", MAX_SIGNATURE_BYTES),
    )


def read_statement(payload: bytes, *, max_bytes: int = MAX_PAYLOAD_BYTES) -> Statement:
    """Raises ``Malformed``."""
    try:
        fields = an_object(loads(payload, max_bytes=max_bytes), "the in-toto statement")
    except JsonRefused as exc:
        raise Malformed(f"the in-toto statement {exc}") from exc
    return Statement(
        type=a_text(fields, "_type", "the in-toto statement"),
        predicate_type=a_text(fields, "predicateType", "the in-toto statement"),
        subjects=fields.get("subject"),
        predicate=fields.get("predicate"),
    )


def plain_texts(value: Json) -> tuple[tuple[str, str], ...]:
    """The texts of a mapping, sorted; what is none, and what is too much, is left out."""
    if not isinstance(value, dict) or len(value) > MAX_ANNOTATIONS:
        return ()
    texts = ((key, text) for key, text in value.items() if isinstance(text, str))
    return tuple(
        sorted((key, text) for key, text in texts if len(key) + len(text) <= MAX_ANNOTATION_CHARACTERS)
    )


def an_object(value: Json, what: str) -> dict[str, Json]:
    """Raises ``Malformed`` when ``value`` is not a JSON object."""
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not an object")
    return value


def only_keys(fields: dict[str, Json], allowed: frozenset[str], what: str) -> None:
    """Raises ``Malformed`` for any other key: a second spelling of one (protobuf's JSON reads both
    ``dsseEnvelope`` and ``dsse_envelope``) would make one document two.
    """
    if not set(fields) <= allowed:
        raise Malformed(f"{what} has a field that its format does not name")


def a_text(fields: dict[str, Json], key: str, what: str) -> str:
    """Raises ``Malformed`` when the field is not a non-empty string."""
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{what} has no {key}")
    return value


def some_bytes(fields: dict[str, Json], key: str, what: str, max_bytes: int) -> bytes:
    """A base64 field. Raises ``Malformed``."""
    raw = canonical_base64(a_text(fields, key, what))
    if not raw or len(raw) > max_bytes:
        raise Malformed(f"{what} has a {key} that is not base64 of 1 to {max_bytes} bytes")
    return raw
