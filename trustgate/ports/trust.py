"""The doors of the Notary v1 server: metadata files, the server's own keys, the feed of changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from trustgate.evidence.notary.publication import MetadataFile
from trustgate.oci.names import RepositoryName

ServerRole = Literal["snapshot", "timestamp"]


@dataclass(frozen=True, slots=True)
class StoredMetadata:
    """A metadata file as it was published, byte for byte."""

    file: MetadataFile
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Publication:
    """All that one publish writes, in one transaction."""

    gun: str
    repository: RepositoryName
    files: tuple[MetadataFile, ...]
    dropped: tuple[str, ...]
    root_key_ids: tuple[str, ...]
    expected: Mapping[str, int] = field(hash=False)
    """Versions that were current when it was decided; ``Conflict`` when one has changed since."""
    at: datetime


@dataclass(frozen=True, slots=True)
class TrustKey:
    """A key that the server signs with. ``private_pem`` is PKCS#8, P-256; it is sealed where it is stored."""

    role: ServerRole
    key_id: str
    private_pem: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TrustChange:
    """One entry of the changefeed: a publish (``update``) or a ``deletion``."""

    id: int
    gun: str
    version: int
    sha256: str
    category: Literal["update", "deletion"]
    at: datetime


class TrustFiles(Protocol):
    """Metadata by GUN. A publish or a deletion bumps the revision of its repository."""

    def current(self, gun: str) -> Mapping[str, StoredMetadata]:
        """The files of the newest publish, by role; empty when there is none."""
        ...

    def find(
        self, gun: str, role: str, *, checksum: str = "", version: int | None = None
    ) -> StoredMetadata | None:
        """A file by its sha256, sha384 or sha512 in lower-case hex, or by its version."""
        ...

    def roots(self, gun: str, *, newest: int) -> tuple[bytes, ...]:
        """So many of the newest roots that were published, oldest first."""
        ...

    def guns(self, repository: RepositoryName) -> tuple[str, ...]:
        """The names under which metadata of a repository is published."""
        ...

    def floors(self, gun: str, root_key_ids: tuple[str, ...]) -> Mapping[str, int]:
        """The highest version of each role ever published under one of these root keys, deleted or not."""
        ...

    def publish(self, publication: Publication) -> None:
        """Raises ``Conflict``."""
        ...

    def delete(self, gun: str, repository: RepositoryName, *, at: datetime) -> bool:
        """Remove every file of a GUN; its versions stay remembered. False when there was none."""
        ...

    def changes(self, gun: str, *, after: int | None, limit: int, backwards: bool) -> tuple[TrustChange, ...]:
        """Entries after (or ``backwards``, before) ``after``, oldest first; ``None`` is the newest end.

        An empty ``gun`` asks for those of all.
        """
        ...


class TrustKeys(Protocol):
    """Keys for snapshots and timestamps, encrypted at rest."""

    def all(self, gun: str) -> tuple[TrustKey, ...]:
        """Oldest first."""
        ...

    def add(self, gun: str, key: TrustKey, *, keep: frozenset[str]) -> None:
        """Store one more; of those beyond the limit, the oldest that are not in ``keep`` are dropped."""
        ...
