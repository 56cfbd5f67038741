"""Manifests and indexes: raw bytes in, one checked value out. The raw bytes are kept as they came.

Specification: image-spec manifest.md, image-index.md, descriptor.md; Docker's schema 2 and manifest
list have the same shape under other media types.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from trustgate.errors import DigestInvalid, ManifestInvalid, ManifestTooLarge
from trustgate.oci import media
from trustgate.oci.digest import Digest
from trustgate.oci.strict_json import Json, JsonRefused, loads

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_DESCRIPTORS = 4096
"""Layers of a manifest or children of an index; the largest seen in public have a few hundred."""
MAX_ANNOTATIONS = 1024
MAX_SIZE = 2**63 - 1
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")


def _by_fold(*names: str) -> Mapping[str, str]:
    return {name.casefold(): name for name in names}


_MANIFEST_KEYS = _by_fold(
    "schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "fsLayers", "subject",
    "annotations",
)  # fmt: skip
_DESCRIPTOR_KEYS = _by_fold(
    "mediaType", "artifactType", "digest", "size", "urls", "annotations", "data", "platform"
)

Kind = Literal["image", "index"]


@dataclass(frozen=True, slots=True)
class Platform:
    """``os/architecture[/variant]`` of one child of an index."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content: what it is, which digest, how many bytes."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str = ""
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    urls: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        """The descriptor as it stands in an index or a referrers list."""
        result: dict[str, Json] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.artifact_type:
            result["artifactType"] = self.artifact_type
        if self.annotations:
            result["annotations"] = dict(self.annotations)
        return result


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest (or artifact), or an index, with the bytes it was read from."""

    raw: bytes = field(repr=False)
    digest: Digest
    media_type: str
    kind: Kind
    artifact_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: Mapping[str, str] = field(hash=False)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers: the blobs that the manifest needs."""
        return (*((self.config,) if self.config else ()), *self.layers)

    @property
    def descriptor(self) -> Descriptor:
        """How this manifest stands in a referrers list (distribution-spec, "Listing Referrers")."""
        return Descriptor(
            media_type=self.media_type,
            digest=self.digest,
            size=len(self.raw),
            artifact_type=self.artifact_type,
            annotations=self.annotations,
        )


def parse_manifest(raw: bytes, *, content_type: str = "", algorithm: str = "sha256") -> Manifest:
    """Read a manifest as it was pushed.

    ``content_type`` is what the client said; it has to agree with the body's own ``mediaType``, and can't
    say what the body does not: what a manifest is hangs on its bytes alone (CVE-2021-41190). The digest is
    computed over ``raw`` with ``algorithm``.
    Raises ``ManifestTooLarge`` or ``ManifestInvalid``.
    """
    if len(raw) > MAX_MANIFEST_BYTES:
        raise ManifestTooLarge(
            f"the manifest has {len(raw)} bytes, at most {MAX_MANIFEST_BYTES} are accepted"
        )
    document = _document(raw)
    media_type = _media_type(document, content_type)
    kind: Kind = "index" if media_type in media.INDEXES else "image"
    _refuse_two_natures(document, kind)
    config = _descriptor(document["config"], "config") if "config" in document else None
    if kind == "image" and config is None:
        raise ManifestInvalid("the image manifest has no config")
    return Manifest(
        raw=raw,
        digest=Digest.of(raw, algorithm),
        media_type=media_type,
        kind=kind,
        artifact_type=_artifact_type(document, config),
        config=config,
        layers=_descriptors(document, "layers"),
        children=_descriptors(document, "manifests"),
        subject=_descriptor(document["subject"], "subject") if "subject" in document else None,
        annotations=_annotations(document, "the manifest"),
    )


def _document(raw: bytes) -> dict[str, Json]:
    try:
        document = loads(raw, max_bytes=MAX_MANIFEST_BYTES)
    except JsonRefused as exc:
        raise ManifestInvalid(f"the manifest {exc}") from exc
    if not isinstance(document, dict):
        raise ManifestInvalid("the manifest is not a JSON object")
    version = document.get("schemaVersion")
    if version != 2 or isinstance(version, bool):
        raise ManifestInvalid(
            f"the manifest has schemaVersion {version!r:.40}, expected 2",
            hint="Docker's schema 1 is not supported; push with a current client",
        )
    _refuse_other_spellings(document, _MANIFEST_KEYS, "the manifest")
    return document


def _refuse_other_spellings(fields: dict[str, Json], known: Mapping[str, str], where: str) -> None:
    """Go reads ``Layers`` as ``layers``: what one client does not see is content to another
    (CVE-2021-41190's class)."""
    for key in fields:
        meant = known.get(key.casefold(), key)
        if key != meant:
            raise ManifestInvalid(f"{where} has {key[:40]!r}, which some clients read as {meant!r}")


def _media_type(document: dict[str, Json], content_type: str) -> str:
    said = content_type.partition(";")[0].strip()
    stated = document.get("mediaType", "")
    if not isinstance(stated, str):
        raise ManifestInvalid("mediaType is not a string")
    if said and stated and said != stated:
        raise ManifestInvalid(
            f"Content-Type says {said[:120]!r}, the body says {stated[:120]!r}; they must be the same"
        )
    if not stated and said in media.DOCKER_MANIFESTS:
        raise ManifestInvalid(
            f"the body has no mediaType, and Docker's manifests state theirs: {said[:120]!r}",
            hint="the same bytes must not be an OCI manifest to one client and Docker's to another",
        )
    media_type = stated or said or _guessed(document)
    if media_type not in media.MANIFESTS:
        raise ManifestInvalid(
            f"{media_type[:120]!r} is not a manifest type that this registry stores",
            hint="OCI image manifests and indexes, and Docker schema 2 manifests and lists are",
        )
    return media_type


def _guessed(document: dict[str, Json]) -> str:
    return media.OCI_INDEX if "manifests" in document else media.OCI_MANIFEST


def _refuse_two_natures(document: dict[str, Json], kind: Kind) -> None:
    foreign = ("layers", "config", "fsLayers") if kind == "index" else ("manifests", "fsLayers")
    for key in foreign:
        if key in document:
            raise ManifestInvalid(
                f"the document is sent as an {kind} and has {key!r} too: clients could read it either way"
            )
    wanted = "manifests" if kind == "index" else "layers"
    if wanted not in document:
        raise ManifestInvalid(f"the {kind} manifest has no {wanted!r}")


def _artifact_type(document: dict[str, Json], config: Descriptor | None) -> str:
    """distribution-spec: a missing artifactType of an image manifest is its config's media type."""
    stated = document.get("artifactType", "")
    if not isinstance(stated, str):
        raise ManifestInvalid("artifactType is not a string")
    if stated:
        return _checked_media_type(stated, "artifactType")
    return config.media_type if config else ""


def _descriptors(document: dict[str, Json], key: str) -> tuple[Descriptor, ...]:
    items = document.get(key, [])
    if items is None:  # Go clients write null for an empty list
        return ()
    if not isinstance(items, list):
        raise ManifestInvalid(f"{key!r} is not a list")
    if len(items) > MAX_DESCRIPTORS:
        raise ManifestInvalid(f"{key!r} has {len(items)} entries, at most {MAX_DESCRIPTORS} are accepted")
    return tuple(_descriptor(item, f"{key}[{number}]") for number, item in enumerate(items))


def _descriptor(item: Json, where: str) -> Descriptor:
    if not isinstance(item, dict):
        raise ManifestInvalid(f"{where} is not an object")
    _refuse_other_spellings(item, _DESCRIPTOR_KEYS, where)
    digest = _text(item, "digest", where)
    size = item.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
        raise ManifestInvalid(f"{where} has size {size!r:.40}, expected a number of bytes")
    try:
        checked = Digest(digest)
    except DigestInvalid as exc:
        raise ManifestInvalid(f"{where}: {exc.message}", hint=exc.hint) from exc
    descriptor = Descriptor(
        media_type=_checked_media_type(_text(item, "mediaType", where), where),
        digest=checked,
        size=size,
        artifact_type=_text(item, "artifactType", where) if "artifactType" in item else "",
        platform=_platform(item, where),
        annotations=_annotations(item, where),
        urls=_urls(item, where),
    )
    _check_data(item, descriptor, where)
    return descriptor


def _check_data(item: dict[str, Json], descriptor: Descriptor, where: str) -> None:
    """Embedded ``data`` must be the content that size and digest name (descriptor.md)."""
    if "data" not in item:
        return
    try:
        content = base64.b64decode(_text(item, "data", where), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ManifestInvalid(f"{where} has data that is not base64") from exc
    if (
        len(content) != descriptor.size
        or Digest.of(content, descriptor.digest.algorithm) != descriptor.digest
    ):
        raise ManifestInvalid(f"{where} has data that does not match its size and digest")


def _text(item: dict[str, Json], key: str, where: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise ManifestInvalid(f"{where} has no {key}")
    return value


def _checked_media_type(text: str, where: str) -> str:
    if not _MEDIA_TYPE.fullmatch(text):
        raise ManifestInvalid(f"{where} has {text[:80]!r}, which is not a media type (RFC 6838)")
    return text


def _platform(item: dict[str, Json], where: str) -> Platform | None:
    value = item.get("platform")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{where} has a platform that is not an object")
    parts = {key: value.get(key, "") for key in ("os", "architecture", "variant")}
    if not all(isinstance(part, str) for part in parts.values()):
        raise ManifestInvalid(f"{where} has a platform with parts that are not strings")
    return Platform(**cast("dict[str, str]", parts))


def _urls(item: dict[str, Json], where: str) -> tuple[str, ...]:
    value = item.get("urls")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(url, str) for url in value):
        raise ManifestInvalid(f"{where} has urls that are not a list of strings")
    return tuple(cast("list[str]", value))


def _annotations(item: dict[str, Json], where: str) -> Mapping[str, str]:
    value = item.get("annotations")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ManifestInvalid(f"{where} has annotations that are not strings")
    if len(value) > MAX_ANNOTATIONS:
        raise ManifestInvalid(f"{where} has {len(value)} annotations, at most {MAX_ANNOTATIONS} are accepted")
    return cast("dict[str, str]", value)
