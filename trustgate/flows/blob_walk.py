"""The walk from a blob to the manifests that lead to it: where it begins, and what it may cost."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from trustgate.flows.stored_evidence import Allowance
from trustgate.flows.verdict_cache import Judged
from trustgate.oci.digest import Digest
from trustgate.oci.manifest import parse_manifest
from trustgate.oci.names import RepositoryName
from trustgate.policy.model import Caller, Request
from trustgate.ports import StoredManifest

MAX_RECENT = 16
"""Manifests that a caller was last admitted to in a repository: where their layers are looked for first."""
MAX_RECENT_CALLERS = 4096


@dataclass(slots=True)
class Walk:
    """From a blob to the manifests that lead to it: what it may judge, and whether it saw them all."""

    allowance: Allowance = field(default_factory=Allowance)
    judged: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Reached:
    """The answer about a blob. ``keep`` is false when it may turn without any change."""

    judged: Judged
    keep: bool
    until: datetime | None = None


class Recent:
    """What callers were last admitted to. It says where to look first, and admits nobody."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[RepositoryName, Caller], tuple[Request, ...]] = OrderedDict()
        self._lock = Lock()

    def add(self, request: Request) -> None:
        key = (request.repository, request.caller)
        with self._lock:
            others = [one for one in self._kept.pop(key, ()) if one != request]
            self._kept[key] = (request, *others)[:MAX_RECENT]
            while len(self._kept) > MAX_RECENT_CALLERS:
                self._kept.popitem(last=False)

    def of(self, repository: RepositoryName, caller: Caller) -> tuple[Request, ...]:
        """The last one first."""
        return self._kept.get((repository, caller), ())


def names(manifest: StoredManifest, digest: Digest) -> bool:
    """Whether it points to the blob, as ``Manifests.containing`` has it."""
    parsed = parse_manifest(
        manifest.raw, content_type=manifest.media_type, algorithm=manifest.digest.algorithm
    )
    return any(one.digest == digest for one in (*parsed.blobs, *parsed.children))
