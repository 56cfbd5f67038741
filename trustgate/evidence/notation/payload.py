"""The payload: the descriptor of what is signed (signature-specification.md, "Payload")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trustgate.errors import DigestInvalid
from trustgate.evidence.model import Subject
from trustgate.evidence.notation.refusal import Broken, shown
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import MAX_ANNOTATIONS
from trustgate.oci.strict_json import Json, JsonRefused, loads

MAX_PAYLOAD_BYTES: Final = 64 * 1024
_FIELDS: Final = frozenset(
    {"mediaType", "digest", "size", "annotations", "artifactType", "urls", "data", "platform"}
)
"""Those of an OCI descriptor; another one would be read by someone else."""


@dataclass(frozen=True, slots=True)
class TargetArtifact:
    """What the signer says was signed; ``annotations`` is the signer's own metadata."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


def read_payload(raw: bytes) -> TargetArtifact:
    """Raises ``Broken``."""
    try:
        document = loads(raw, max_bytes=MAX_PAYLOAD_BYTES)
    except JsonRefused as exc:
        raise Broken(f"the payload {exc}") from exc
    if not isinstance(document, dict) or set(document) != {"targetArtifact"}:
        raise Broken("the payload is not an object with targetArtifact alone")
    target = document["targetArtifact"]
    if not isinstance(target, dict) or not set(target) <= _FIELDS:
        raise Broken("targetArtifact is not a descriptor with the fields that OCI names")
    media_type, size = target.get("mediaType"), target.get("size")
    if not isinstance(media_type, str) or not media_type:
        raise Broken("targetArtifact has no mediaType")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Broken("targetArtifact has no size")
    try:
        digest = Digest(str(target.get("digest")))
    except DigestInvalid as exc:
        raise Broken(f"targetArtifact's digest is {shown(target.get('digest'))}") from exc
    return TargetArtifact(media_type, digest, size, _annotations(target.get("annotations")))


def _annotations(found: Json) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or len(found) > MAX_ANNOTATIONS:
        raise Broken("targetArtifact's annotations are not an object")
    texts = {key: value for key, value in found.items() if isinstance(value, str)}
    if len(texts) != len(found):
        raise Broken("targetArtifact has an annotation that is not text")
    return texts


def check_target(target: TargetArtifact, subject: Subject) -> None:
    """All three must be those of the resolved descriptor (CVE-2023-33959). Raises ``Broken``."""
    if target.digest != subject.digest:
        raise Broken(f"the signature is over {target.digest.short}, not over this digest")
    if target.media_type != subject.media_type:
        raise Broken(
            f"the signature is over a {shown(target.media_type)}, this is a {shown(subject.media_type)}"
        )
    if target.size != subject.size:
        raise Broken(f"the signature is over {target.size} bytes, this has {subject.size}")
