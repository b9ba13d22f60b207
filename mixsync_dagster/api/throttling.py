"""How many requests a key may make, counted in this process alone.

Counting in the state store would cost every request a write, far more than most requests themselves. Several processes
behind one address let through as many times the number as they are.
"""

from __future__ import annotations

import math
import threading

from mixsync_dagster.api.failures import ApiError
from mixsync_dagster.ports.clock import Clock

_MINUTE = 60.0
_API = "mixsync"


class RateLimit:
    """A minute's requests at once for every key, and as many a minute from then on. Safe to use from many threads."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        """`per_minute` 0 lets everything through."""
        self._seconds_each = _MINUTE / per_minute if per_minute else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at: dict[str, float] = {}
        """By key, when all its requests so far would be paid off at the even pace."""

    def count(self, key: str) -> None:
        """Count a request of a valid key. Raises ApiError (429) with the time to wait when it is one too many."""
        if not self._seconds_each:
            return
        with self._lock:
            wait = self._wait(key, self._clock.monotonic())
        if wait > 0:
            seconds = math.ceil(wait)
            raise ApiError(
                429,
                "rate_limited",
                f"the key has made too many requests; wait {seconds} seconds.",
                (("Retry-After", str(seconds)),),
                details={"retry_after_seconds": seconds, "retryable": True, "api_name": _API},
            )

    def _wait(self, key: str, now: float) -> float:
        free_at = max(now, self._free_at.get(key, now))
        wait = free_at + self._seconds_each - (now + _MINUTE)
        # A hair's breadth, for sums of many parts of a minute are not exact.
        if wait > self._seconds_each / 1000:
            return wait
        self._free_at[key] = free_at + self._seconds_each
        return 0.0
