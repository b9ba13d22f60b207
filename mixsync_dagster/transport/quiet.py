"""A connection's quiet time as its workers share it: looked at seldom, written only when it grows."""

from __future__ import annotations

import logging
import threading

from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.pacing import QuietStore
from mixsync_dagster.transport.redact import summary

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 900.0
"""No worker asks the others to be quiet for longer, nor believes one that seems to."""

_LOOK_SECONDS = 1.0
_LOOK_AFTER_FAILURE_SECONDS = 30.0
_GRAIN_SECONDS = 1.0
"""An end of the quiet time that is later by less is not worth a write: nobody looks more often."""


class SharedQuiet:
    """What the other workers of one connection were told, and telling them; thread-safe.

    A store that fails is logged and asked again later: workers without it keep to what they were told themselves.
    """

    def __init__(self, store: QuietStore, connection_id: str, clock: Clock) -> None:
        self._store = store
        self._connection_id = connection_id
        self._clock = clock
        self._lock = threading.Lock()
        self._look_at: float | None = None
        self._told_until = float("-inf")

    def look(self) -> float:
        """Return how many seconds of quiet are left; 0 also for whoever asks within a second of the last look."""
        due = self._look_at
        if due is not None and self._clock.monotonic() < due:
            return 0.0
        # All wait for the first look, before which nothing is known; later ones are one thread's business.
        if not self._lock.acquire(blocking=due is None):
            return 0.0
        try:
            if self._look_at != due:
                return 0.0
            return self._looked()
        finally:
            self._lock.release()

    def tell(self, seconds: float) -> None:
        """Ask all workers to be quiet for so long from now; nothing happens when they know, or beyond LONGEST_SECONDS.

        Repeats of one storm are written once.
        """
        if not 0 < seconds <= LONGEST_SECONDS:
            return
        until = self._clock.monotonic() + seconds
        with self._lock:
            if until < self._told_until + _GRAIN_SECONDS:
                return
            self._told_until = until
        try:
            self._store.keep_quiet(self._connection_id, seconds)
        except MixsyncError as error:
            logger.warning("other workers could not be asked to slow down: %s", summary(error))

    def _looked(self) -> float:
        pause, left = _LOOK_SECONDS, 0.0
        try:
            left = min(self._store.quiet_seconds(self._connection_id), LONGEST_SECONDS)
        except MixsyncError as error:
            pause = _LOOK_AFTER_FAILURE_SECONDS
            logger.warning("whether other workers were asked to slow down cannot be told: %s", summary(error))
        self._look_at = self._clock.monotonic() + pause
        return left
