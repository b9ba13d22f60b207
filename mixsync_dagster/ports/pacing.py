"""Waiting and repeating as ports: adapters never retry by themselves, the engine asks these."""

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

    def take_rate_limit_hits(self) -> int:
        """Return how many times a provider said slow down since the last take, for whoever adds them up."""
        ...

    def call(self, operation: Callable[[], Answer]) -> Answer:
        """Return the operation's answer, repeating it after RateLimited and ProviderUnavailable while patience lasts.

        Then that error passes. Every other error passes at once.
        """
        ...


class QuietStore(Protocol):
    """Where the workers of a connection, on any machine, tell each other that the provider asked for quiet.

    Both methods may raise StoreUnavailable.
    """

    def quiet_seconds(self, connection_id: str) -> float:
        """Return how long the connection's workers have to stay quiet yet; 0 when they need not."""
        ...

    def keep_quiet(self, connection_id: str, seconds: float) -> None:
        """Ask all workers of the connection to stay quiet for so long from now; a longer time asked before stands."""
        ...
