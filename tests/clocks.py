"""A clock that a test sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SetClock:
    """The port ``Clock``: moves only when told to."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set_back(self, seconds: float) -> None:
        """The wall clock only, as an operator or a broken NTP server does."""
        self._now -= timedelta(seconds=seconds)
