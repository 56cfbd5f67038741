"""Statements about an image (in-toto attestation framework v1), with cosign's short names for their kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from trustgate.errors import InvalidInput
from trustgate.evidence.dsse import STATEMENT_V1
from trustgate.oci.digest import Digest
from trustgate.oci.strict_json import Json, JsonRefused, loads

MAX_PREDICATE_BYTES: Final = 16 * 1024 * 1024
MAX_TYPE_CHARACTERS: Final = 256
COSIGN_CUSTOM: Final = "https://cosign.sigstore.dev/attestation/v1"
PREDICATE_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "custom": COSIGN_CUSTOM,
        "cyclonedx": "https://cyclonedx.org/bom",
        "link": "https://in-toto.io/Link/v1",
        "openvex": "https://openvex.dev/ns",
        "slsaprovenance": "https://slsa.dev/provenance/v0.2",
        "slsaprovenance02": "https://slsa.dev/provenance/v0.2",
        "slsaprovenance1": "https://slsa.dev/provenance/v1",
        "spdx": "https://spdx.dev/Document",
        "spdxjson": "https://spdx.dev/Document",
        "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
    }
)
"""Short names, as ``cosign attest --type`` takes them."""
_MARKS: Final = {
    "cyclonedx": "bomFormat",
    "openvex": "@context",
    "slsaprovenance": "buildType",
    "slsaprovenance02": "buildType",
    "slsaprovenance1": "buildDefinition",
    "spdxjson": "spdxVersion",
    "vuln": "scanner",
}
"""A field that every document of the kind has: another file was named by mistake without it."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """What is said about an image, and the URI of its kind."""

    type: str
    content: Json


def predicate_type(text: str) -> str:
    """The URI behind a short name, or ``text`` when it is one itself. Raises ``InvalidInput``."""
    if text in PREDICATE_TYPES:
        return PREDICATE_TYPES[text]
    if not _is_uri(text) or len(text) > MAX_TYPE_CHARACTERS:
        raise InvalidInput(
            f"{text[:80]!a} is not a predicate type", hint=f"one of {', '.join(PREDICATE_TYPES)}, or a URI"
        )
    return text


def _is_uri(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def read_predicate(kind: str, raw: bytes, now: datetime) -> Predicate:
    """The predicate of a file, put as ``cosign attest`` puts it.

    ``custom`` wraps any text with the time, ``spdx`` is the tag-value text itself, all others are JSON.
    Raises ``InvalidInput``.
    """
    uri = predicate_type(kind)
    if len(raw) > MAX_PREDICATE_BYTES:
        raise InvalidInput(f"the predicate has {len(raw)} bytes, at most {MAX_PREDICATE_BYTES} are signed")
    if kind == "spdx":
        return Predicate(uri, _text(raw))
    if uri == COSIGN_CUSTOM:
        moment = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        return Predicate(uri, {"Data": _text(raw), "Timestamp": moment})
    return Predicate(uri, _object(kind, raw))


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise InvalidInput(f"the predicate is not UTF-8 at byte {exc.start}") from exc


def _object(kind: str, raw: bytes) -> dict[str, Json]:
    try:
        document = loads(raw, max_bytes=MAX_PREDICATE_BYTES)
    except JsonRefused as exc:
        raise InvalidInput(
            f"the predicate {exc}", hint="--type custom takes any text, --type spdx the tag-value form"
        ) from exc
    if not isinstance(document, dict):
        raise InvalidInput("the predicate is not a JSON object")
    mark = _MARKS.get(kind)
    if mark and mark not in document:
        raise InvalidInput(f"the predicate has no {mark}, so it is no {kind} document", hint="check --type")
    return document


def attestation(subject: Digest, name: str, predicate: Predicate) -> bytes:
    """The statement that ``predicate`` is about ``subject``, which is called ``name``."""
    return json.dumps(
        {
            "_type": STATEMENT_V1,
            "subject": [{"name": name, "digest": {subject.algorithm: subject.hex}}],
            "predicateType": predicate.type,
            "predicate": predicate.content,
        },
        separators=(",", ":"),
    ).encode()
