"""Where images are that a command works on: a registry, or an OCI layout on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from trustgate.oci.digest import Digest
from trustgate.oci.manifest import Descriptor
from trustgate.oci.names import Tag


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest's bytes, what it was said to be, and the digest that its bytes have."""

    raw: bytes = field(repr=False)
    media_type: str
    digest: Digest

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, self.digest, len(self.raw))


class ImageSource(Protocol):
    """One repository.

    Raises ``UpstreamFailed``, ``UpstreamRefused``, ``Unauthorized``, ``NotFound``, ``DigestInvalid``.
    """

    def manifest(self, target: Tag | Digest) -> FoundManifest:
        """The manifest, its digest verified when it was asked for by digest."""
        ...

    def blob(self, digest: Digest, *, max_bytes: int) -> bytes:
        """A small blob, verified."""
        ...

    def stream(self, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob in pieces; the end raises when size or digest do not match."""
        ...

    def referrers(self, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        """Manifests that say they are about ``digest``: by the referrers API, or the fallback tag."""
        ...

    def has_referrers_api(self, digest: Digest) -> bool:
        """Whether referrers are listed by the source itself, or clients have to keep the fallback tag."""
        ...

    def put_blob(self, digest: Digest, content: Iterator[bytes], size: int) -> None:
        """Store a blob, unless it is there."""
        ...

    def put_manifest(self, raw: bytes, media_type: str, target: Tag | Digest | None) -> Digest:
        """Store a manifest, under a tag if one is given, else by its digest (of sha256, or the given)."""
        ...

    def tags(self) -> tuple[Tag, ...]:
        """Every tag, in the order that the source gives."""
        ...
