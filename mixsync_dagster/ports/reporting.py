"""Watching a run while it goes on."""

from __future__ import annotations

from typing import Protocol

from mixsync_dagster.model.progress import Counters


class Reporter(Protocol):
    """Takes notice of progress; called from the run's own thread, must return quickly and never raise."""

    def planned(self, items: int, size_bytes: int) -> None:
        """Tell that this many more items, and bytes, are known to need work."""
        ...

    def progressed(self, counters: Counters) -> None:
        """Tell what has been committed since the last call."""
        ...


class SilentReporter:
    """Takes no notice."""

    def planned(self, items: int, size_bytes: int) -> None:
        """Do nothing."""

    def progressed(self, counters: Counters) -> None:
        """Do nothing."""
