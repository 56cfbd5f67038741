"""Simple signing: the payload of a cosign ``.sig`` layer (containers/image, "atomic container signature")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trustgate.evidence.dsse import Malformed, an_object, plain_texts
from trustgate.evidence.model import MAX_SIMPLE_SIGNING_BYTES
from trustgate.oci.strict_json import Json, JsonRefused, loads

SIMPLE_SIGNING_TYPE: Final = "cosign container image signature"
MAX_REFERENCE_CHARACTERS: Final = 512
"""A docker-reference is a host and a repository name of at most 255 characters each."""


@dataclass(frozen=True, slots=True)
class SimpleSigning:
    """What a payload says: the manifest's digest, the docker-reference, and ``optional``'s texts."""

    digest: str
    reference: str
    annotations: tuple[tuple[str, str], ...]


def read_simple_signing(payload: bytes) -> SimpleSigning:
    """Raises ``Malformed``."""
    try:
        document = an_object(loads(payload, max_bytes=MAX_SIMPLE_SIGNING_BYTES), "the payload")
    except JsonRefused as exc:
        raise Malformed(f"the payload {exc}") from exc
    critical = an_object(document.get("critical"), "critical")
    if critical.get("type") != SIMPLE_SIGNING_TYPE:
        raise Malformed(f"critical.type is not {SIMPLE_SIGNING_TYPE!r}")
    image = an_object(critical.get("image"), "critical.image")
    digest = image.get("docker-manifest-digest")
    if not isinstance(digest, str):
        raise Malformed("critical.image.docker-manifest-digest is missing")
    reference = _docker_reference(critical.get("identity", {}))
    return SimpleSigning(digest, reference, plain_texts(document.get("optional")))


def _docker_reference(identity: Json) -> str:
    """It is kept and shown, so it has to be something that can be: printable, and of a name's length."""
    reference = an_object(identity, "critical.identity").get("docker-reference", "")
    if not isinstance(reference, str) or len(reference) > MAX_REFERENCE_CHARACTERS:
        raise Malformed("critical.identity.docker-reference is not a reference")
    if not (reference.isascii() and reference.isprintable()):
        raise Malformed("critical.identity.docker-reference is not printable")
    return reference
