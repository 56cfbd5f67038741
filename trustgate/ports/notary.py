"""A Notary v1 server as someone who publishes sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from trustgate.evidence.notary.judge import MetadataSet


class TrustServer(Protocol):
    """One repository's trust data. What it answers is foreign, and proves nothing by itself.

    Raises ``UpstreamFailed``, ``UpstreamRefused``, ``Unauthorized``, ``NotFound``.
    """

    def metadata(self, roles: Iterable[str]) -> MetadataSet:
        """The base roles, and those of ``roles`` that are there."""
        ...

    def publish(self, files: Mapping[str, bytes]) -> None:
        """All files, by role, or none."""
        ...
