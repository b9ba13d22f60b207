"""A clock that tests move."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """Implements the Clock port; `sleep` moves time on instead of waiting, and `slept` remembers every wait.

    Thread-safe: two threads that sleep at once move the time on by the sum of both.
    """

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the start plus everything slept or advanced since."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds slept or advanced since the clock was made."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Move time on at once and remember the wait; zero and less do nothing."""
        if seconds > 0:
            with self._lock:
                self.slept.append(seconds)
                self._elapsed += seconds

    def advance(self, seconds: float) -> None:
        """Move time on as if others had waited."""
        with self._lock:
            self._elapsed += seconds
