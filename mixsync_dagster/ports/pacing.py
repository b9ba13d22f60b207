"""Waiting and repeating as a port: adapters never retry by themselves, the engine asks this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


class Pacer(Protocol):
    """Repeats what failed for want of patience: rate limits and outages.

    Thread-safe, shared by a connection's workers.
    """

    @property
    def rate_limit_hits(self) -> int:
        """How many times a provider said slow down since this pacer was made."""
        ...

    def call(self, operation: Callable[[], Answer]) -> Answer:
        """Return the operation's answer, repeating it after RateLimited and ProviderUnavailable while patience lasts.

        Then that error passes. Every other error passes at once.
        """
        ...
