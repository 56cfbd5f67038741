"""What a caller was admitted to a moment ago: that is where its next request for a layer comes from.

A hint and no more: it says what is judged first where many manifests have a layer in common.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from threading import Lock
from typing import Final

from trustgate.oci.digest import Digest
from trustgate.oci.names import RepositoryName
from trustgate.policy.model import Caller, Request

MAX_CALLERS: Final = 10_000
"""In as many repositories."""
MAX_MANIFESTS: Final = 16
"""Of one repository and caller: an index, its platforms, and what a client pulls at the same time."""


class Admitted:
    """Bounded, the oldest goes first. Safe from several threads."""

    def __init__(self) -> None:
        self._admitted: OrderedDict[tuple[RepositoryName, Caller], OrderedDict[Request, None]] = OrderedDict()
        self._lock = Lock()

    def note(self, request: Request) -> None:
        """``request`` was a yes."""
        key = (request.repository, request.caller)
        with self._lock:
            mine = self._admitted.setdefault(key, OrderedDict())
            self._admitted.move_to_end(key)
            mine[request] = None
            mine.move_to_end(request)
            if len(mine) > MAX_MANIFESTS:
                mine.popitem(last=False)
            if len(self._admitted) > MAX_CALLERS:
                self._admitted.popitem(last=False)

    def among(
        self, repository: RepositoryName, caller: Caller, digests: Collection[Digest]
    ) -> tuple[Request, ...]:
        """The requests for one of ``digests``, the newest first."""
        with self._lock:
            mine = tuple(self._admitted.get((repository, caller), ()))
        return tuple(request for request in reversed(mine) if request.digest in digests)
