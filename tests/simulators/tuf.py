"""A TUF repository that one can break: metadata made with the library's own API, to be served as pages."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

ROLES = ("root", "targets", "snapshot", "timestamp")
TARGET = "trusted_root.json"


def signer() -> CryptoSigner:
    return CryptoSigner(ed25519.Ed25519PrivateKey.generate())


@dataclass
class TufRepository:
    """``pages`` by path; ``publish`` signs everything anew. Change ``signers``, ``expires``, or the pages."""

    target: bytes
    signers: dict[str, CryptoSigner] = field(default_factory=lambda: {role: signer() for role in ROLES})
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 1))
    expires: dict[str, datetime] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)
    roots: list[Metadata[Root]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.add_root()
        self.publish()

    def until(self, role: str) -> datetime:
        return self.expires.get(role, datetime.now(UTC).replace(microsecond=0) + timedelta(days=10))

    def add_root(self, *also_by: CryptoSigner) -> None:
        """The next root, by the signers of today and of ``also_by``."""
        root = Root(version=len(self.roots) + 1, expires=self.until("root"), consistent_snapshot=True)
        for role, one in self.signers.items():
            key = one.public_key
            assert isinstance(key, SSlibKey)
            root.add_key(key, role)
        made = Metadata(root)
        for one in (self.signers["root"], *also_by):
            made.sign(one, append=True)
        self.roots.append(made)
        self.pages[f"/{len(self.roots)}.root.json"] = made.to_bytes()

    @property
    def pinned(self) -> bytes:
        """The first root."""
        return self.roots[0].to_bytes()

    def publish(self) -> None:
        versions = self.versions
        file = TargetFile.from_data(TARGET, self.target)
        targets = Targets(version=versions["targets"], expires=self.until("targets"), targets={TARGET: file})
        listed = {"targets.json": MetaFile(version=versions["targets"])}
        snapshot = Snapshot(version=versions["snapshot"], expires=self.until("snapshot"), meta=listed)
        stamp = Timestamp(
            version=versions["timestamp"],
            expires=self.until("timestamp"),
            snapshot_meta=MetaFile(version=versions["snapshot"]),
        )
        self.pages[f"/{versions['targets']}.targets.json"] = self._signed("targets", targets)
        self.pages[f"/{versions['snapshot']}.snapshot.json"] = self._signed("snapshot", snapshot)
        self.pages["/timestamp.json"] = self._signed("timestamp", stamp)
        self.pages[f"/targets/{file.hashes['sha256']}.{TARGET}"] = self.target

    def next(self, target: bytes) -> None:
        """Publish another target, with higher versions."""
        self.target = target
        self.versions = {role: version + 1 for role, version in self.versions.items()}
        self.publish()

    def _signed(self, role: str, content: Any) -> bytes:
        made = Metadata(deepcopy(content))
        made.sign(self.signers[role])
        return made.to_bytes()
