"""Slow down guessing: each failed login makes the next try for that account from that place wait longer."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

from trustgate.errors import TooManyAttempts
from trustgate.ports import Clock

FREE_ATTEMPTS: Final = 5
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 300.0
FORGOTTEN_AFTER_S: Final = 900.0
MAX_TRACKED: Final = 10_000
"""Pairs of account and source that are remembered; the oldest go first."""


class Throttle:
    """Counts failures by (account, source address). Even the right password waits its turn."""

    def __init__(
        self, clock: Clock, *, free_attempts: int = FREE_ATTEMPTS, longest_wait_s: float = LONGEST_WAIT_S
    ) -> None:
        self._clock = clock
        self._free_attempts = free_attempts
        self._longest_wait_s = longest_wait_s
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        self._lock = Lock()

    def check(self, account: str, source: str) -> None:
        """Raises ``TooManyAttempts`` while the wait after the last failure is not over."""
        now = self._clock.monotonic()
        with self._lock:
            count, last = self._failures.get((account, source), (0, now))
        if count < self._free_attempts or now - last > FORGOTTEN_AFTER_S:
            return
        wait = min(self._longest_wait_s, FIRST_WAIT_S * 2 ** min(count - self._free_attempts, 16))
        left = wait - (now - last)
        if left > 0:
            raise TooManyAttempts(
                f"too many failed logins: try again in {int(left) + 1} s",
                retry_after_s=int(left) + 1,
                hint="check the password; it is not looked at before then",
            )

    def failed(self, account: str, source: str) -> None:
        now = self._clock.monotonic()
        with self._lock:
            count, last = self._failures.pop((account, source), (0, now))
            if now - last > FORGOTTEN_AFTER_S:
                count = 0
            self._failures[account, source] = (count + 1, now)
            while len(self._failures) > MAX_TRACKED:
                self._failures.popitem(last=False)

    def succeeded(self, account: str, source: str) -> None:
        with self._lock:
            self._failures.pop((account, source), None)
