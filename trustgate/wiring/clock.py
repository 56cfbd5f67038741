"""The machine's clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()
