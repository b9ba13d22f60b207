"""The one place where something is tried again.

Adapters raise RateLimited and ProviderUnavailable and never repeat; a Retrier decides the wait. One Retrier serves all
threads of a connection in a process, so that one Retry-After holds all of them back; those of other processes learn of
it by what they share.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception

from mixsync_dagster.errors import ItemCorrupt, ProviderUnavailable, RateLimited, Throttled
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.transport.quiet import SharedQuiet

Answer = TypeVar("Answer")

_FIRST_WAIT_SECONDS = 1.0
_THAW_SECONDS = 1.0
"""Callers come back spread over this time: all at once, they would be refused at once."""


class Retrier:
    """Implements the Pacer port: waits and repeats what failed for want of patience.

    RateLimited waits as long as the provider said and then for a full-jitter backoff (1 s doubling to
    `max_wait_seconds`), at most `rate_limit_attempts` attempts; ProviderUnavailable the same, at most
    `outage_attempts`. ItemCorrupt is repeated `corrupt_repeats` times without a wait (the port promises none, so the
    default is 0). A provider that asks for more than `longest_retry_after_seconds` is not waited for. Every other error
    passes at once.

    What a provider asks for holds back every caller, and through `shared` those of other processes. So does, through
    `shared` alone, a refusal that names no time, for the backoff of the refused call. Where another process was asked
    for more than `longest_retry_after_seconds`, a call raises RateLimited without being made.

    A call inside a call of the same thread repeats nothing, the outer one does: else patience would be multiplied.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        max_wait_seconds: float = 60.0,
        outage_attempts: int = 6,
        rate_limit_attempts: int = 12,
        corrupt_repeats: int = 0,
        longest_retry_after_seconds: float = 900.0,
        shared: SharedQuiet | None = None,
        seed: int | None = None,
    ) -> None:
        self._clock = clock
        self._max_wait_seconds = max_wait_seconds
        self._outage_attempts = outage_attempts
        self._rate_limit_attempts = rate_limit_attempts
        self._corrupt_repeats = corrupt_repeats
        self._longest_retry_after_seconds = longest_retry_after_seconds
        self._shared = shared
        # Jitter spreads load; nothing is protected by it.
        self._random = random.Random(seed)  # noqa: S311 - see above
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._frozen_until: float | None = None
        self._rate_limit_hits = 0
        self._hits_taken = 0

    @property
    def rate_limit_hits(self) -> int:
        """How many times a provider said slow down since this retrier was made."""
        return self._rate_limit_hits

    def take_rate_limit_hits(self) -> int:
        """Return how many of them no earlier call returned."""
        with self._lock:
            new = self._rate_limit_hits - self._hits_taken
            self._hits_taken = self._rate_limit_hits
        return new

    def call(self, operation: Callable[[], Answer]) -> Answer:
        """Return the operation's answer, repeating it as the class says; then its last error passes."""
        thread = self._thread.__dict__
        if thread.get("inside"):
            return operation()
        thread["inside"] = True
        try:
            # The usual call succeeds at once and pays nothing for the machinery below.
            if self._frozen_until is not None or self._shared is not None:
                self._wait_for_thaw()
            try:
                return operation()
            except (Throttled, ItemCorrupt) as error:
                return self._repeat(operation, error)
        finally:
            thread["inside"] = False

    def _repeat(self, operation: Callable[[], Answer], first_error: Exception) -> Answer:
        patience = _Patience(self._rate_limit_attempts, self._outage_attempts, self._corrupt_repeats + 1)
        pending: list[Exception] = [first_error]

        def attempt() -> Answer:
            if pending:
                raise pending.pop()
            self._wait_for_thaw()
            return operation()

        retrying = Retrying(
            retry=retry_if_exception(lambda error: self._goes_on(error, patience)),
            wait=lambda _state: patience.wait_seconds,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return retrying(attempt)

    def _goes_on(self, error: BaseException, patience: _Patience) -> bool:
        lasts = patience.lasts(error)
        if not isinstance(error, Throttled):
            return lasts
        self._note(error, patience)
        asked = error.retry_after_seconds
        return lasts and (asked is None or asked <= self._longest_retry_after_seconds)

    def _note(self, error: Throttled, patience: _Patience) -> None:
        """Count a refusal, decide how long its call waits, and hold back the others."""
        asked = error.retry_after_seconds or 0.0
        limited = isinstance(error, RateLimited)
        ceiling = min(self._max_wait_seconds, _FIRST_WAIT_SECONDS * 2.0 ** min(patience.failures - 1, 30))
        with self._lock:
            self._rate_limit_hits += limited
            backoff = self._random.uniform(0.0, ceiling)
            if 0 < asked <= self._longest_retry_after_seconds:
                self._frozen_until = max(self._frozen_until or 0.0, self._clock.monotonic() + asked)
        patience.wait_seconds = asked + backoff
        # A service that is no more exact refuses a few calls now and then: one short wait a second is what the looks at
        # the shared time make of those, where a storm's waits, which grow, are kept by all.
        quiet = asked or (backoff if limited else 0.0)
        if quiet and self._shared is not None:
            self._shared.tell(quiet)

    def _heed_others(self) -> None:
        """Hold every caller back when another process was told to wait. Raises RateLimited when that takes too long."""
        left = self._shared.look() if self._shared is not None else 0.0
        if left > self._longest_retry_after_seconds:
            raise RateLimited(
                f"the provider asked for quiet, and {left:.0f} seconds of it are left.", retry_after_seconds=left
            )
        if left > 0:
            with self._lock:
                self._frozen_until = max(self._frozen_until or 0.0, self._clock.monotonic() + left)

    def _wait_for_thaw(self) -> None:
        self._heed_others()
        while (until := self._frozen_until) is not None:
            left = until - self._clock.monotonic()
            if left > 0:
                with self._lock:
                    spread = self._random.uniform(0.0, min(left, _THAW_SECONDS))
                self._clock.sleep(left + spread)
                self._heed_others()
                continue
            with self._lock:
                if self._frozen_until == until:
                    self._frozen_until = None


class _Patience:
    """How many more failures of each kind one call endures."""

    def __init__(self, rate_limited: int, unavailable: int, corrupt: int) -> None:
        self._left: dict[type[Exception], int] = {
            RateLimited: rate_limited,
            ProviderUnavailable: unavailable,
            ItemCorrupt: corrupt,
        }
        self.failures = 0
        self.wait_seconds = 0.0
        """Before the next attempt, as the last failure has it."""

    def lasts(self, error: BaseException) -> bool:
        for kind in self._left:
            if isinstance(error, kind):
                self.failures += 1
                self._left[kind] -= 1
                return self._left[kind] > 0
        return False
