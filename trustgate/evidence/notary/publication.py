"""What goes into a publish and what comes out: files, what the server holds, the update or the refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from trustgate.evidence.notary.canonical import Malformed
from trustgate.evidence.notary.signing import MetadataSigner
from trustgate.oci.strict_json import Json

_MESSAGES: Final[Mapping[str, str]] = {
    "INVALID_UPDATE": "Update sent by the client is invalid.",
    "VERSION": "A newer version of metadata is already available.",
    "INVALID_ROLE": "The role you are attempting to operate on is invalid.",
    "MALFORMED_JSON": "JSON sent by the client could not be parsed by the server",
    "NO_FILENAME": "No file/role name provided.",
    "MALFORMED_UPLOAD": "The body of your request is malformed.",
}


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """One file of a repository."""

    role: str
    version: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an update is not taken: notary's code, the class of its client's error, and the reason."""

    code: str
    reason: str
    kind: str = ""
    missing: str = ""

    @property
    def message(self) -> str:
        return _MESSAGES.get(self.code, self.code)

    @property
    def detail(self) -> Json:
        """What the notary client shows: its own error classes by name, else plain text."""
        if not self.kind:
            return self.reason
        error: dict[str, Json] = {"Msg": self.reason}
        if self.missing:
            error["Missing"] = self.missing
        return {"Name": self.kind, "Error": error}


@dataclass(frozen=True, slots=True)
class Update:
    """The files to store, and the root that they stand under."""

    files: tuple[MetadataFile, ...]
    root_key_ids: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    """Delegations that a client's snapshot takes back: nobody is to find them any more."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the server has of a repository."""

    gun: str
    files: Mapping[str, MetadataFile] = field(hash=False)
    signers: Sequence[MetadataSigner] = field(repr=False, hash=False)
    """Server-held keys for snapshots and timestamps, pending ones too."""
    floors: Mapping[str, int] = field(default_factory=dict, hash=False)
    """The highest version of each role that was ever published under one of these root keys."""

    def version(self, role: str) -> int:
        """What a new file of the role has to be above."""
        current = self.files.get(role)
        return max(self.floors.get(role, 0), current.version if current else 0)

    @property
    def listed(self) -> dict[str, bytes]:
        """The files that a snapshot is of."""
        return {name: file.raw for name, file in self.files.items() if name not in {"snapshot", "timestamp"}}

    def raw(self, role: str) -> bytes | None:
        current = self.files.get(role)
        return current.raw if current else None


class UpdateRefused(Malformed):
    """Carries a refusal out of a check, no further than the room's door."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
