"""What judging reads: parts of the doors of a registry's store, and all that an image elsewhere can offer.

As with the doors, everything here raises ``StorageUnavailable`` for what can't be asked.
"""

from __future__ import annotations

from typing import Protocol

from trustgate.evidence.scan_report import ScanReport
from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName, Tag
from trustgate.ports.values import StorageKey, StoredBlob, StoredManifest


class ManifestReader(Protocol):
    """Manifests, and what contains them."""

    def find(self, repository: RepositoryName, target: Tag | Digest) -> StoredManifest | None:
        """Resolve a tag, or look up a digest, and read the manifest, in one look at the database."""
        ...

    def tags_of(self, repository: RepositoryName, digest: Digest) -> tuple[Tag, ...]:
        """The tags that point to ``digest`` now."""
        ...

    def containing(self, repository: RepositoryName, digest: Digest, *, limit: int) -> tuple[Digest, ...]:
        """Manifests of the repository that name ``digest`` as a config, layer or child.

        The newest first, and in turns of those who pushed them: nobody's flood hides another's.
        """
        ...


class BlobFinder(Protocol):
    """Which repository may serve which blob."""

    def find(self, repository: RepositoryName, digest: Digest) -> StoredBlob | None:
        """The blob, when this repository holds it."""
        ...


class BlobReader(Protocol):
    """Bytes by key."""

    def read(self, key: StorageKey, *, max_bytes: int) -> bytes:
        """The whole content. Raises ``SizeInvalid`` when there is more, ``BlobUnknown`` when it is gone."""
        ...


class ReportReader(Protocol):
    """Scan reports."""

    def find(self, digest: Digest) -> tuple[ScanReport, ...]:
        """The newest report of each scanner for this digest."""
        ...
