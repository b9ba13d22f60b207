"""Attempts at items: a retry is counted before it is made, and taken back when something else than the item failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from mixsync_dagster.engine.context import SyncRun
from mixsync_dagster.errors import ItemError, ProviderUnavailable, StoreUnavailable

BREAKER_ITEMS = 20
"""Items tried for the first time from which on a majority of failures is believed: of fewer, some bad files can be
most."""

BREAKER_RUNS = 5
"""Runs in a row that may end so. Then the items are believed to be bad: they would hold up all that is behind them."""

_TOLD = "which is treated as an outage of the source"


class Attempts:
    """The attempts of a shard: counted retries without an outcome yet, and how the present commit unit goes."""

    def __init__(self, run: SyncRun) -> None:
        self._run = run
        self._counted: set[str] = set()
        self._tried = 0
        self._failed = 0
        self._last: ItemError | None = None

    def count_retries(self, source_object_ids: Sequence[str]) -> None:
        """Count a retry on each of these items. Raises LockLost."""
        self._run.tools.store.count_retries(self._run.lock, source_object_ids)
        self._counted.update(source_object_ids)

    def note(self, error: ItemError | None, *, retry: bool) -> None:
        """Take note of one item's outcome, None for success.

        An error that only tells of its item does not count, nor does a retry: after a day without change, the items
        that failed before are all that there is to try.
        """
        if retry or (error is not None and not error.may_be_outage):
            return
        self._tried += 1
        if error is not None:
            self._failed += 1
            self._last = error

    @property
    def undecided(self) -> bool:
        """Whether most of the unit failed, and more has to be tried to tell what that means."""
        return self._mostly_failed and self._tried < BREAKER_ITEMS

    def outage(self) -> ProviderUnavailable | None:
        """Return the error that ends the run when the unit's failures speak of the source, not of its items."""
        if not self._mostly_failed or self._tried < BREAKER_ITEMS or self._believed():
            return None
        return ProviderUnavailable(
            f"{self._failed} of {self._tried} items failed, {_TOLD}: none of them became a dead letter, and the next "
            f"run tries them again. The last error was: {self._last}"
        )

    def ended_so_before(self, error: ProviderUnavailable) -> bool:
        """Return whether the runs before this one all ended by the very same error: then it is one item's."""
        before = self._ends_before()
        return len(before) >= BREAKER_RUNS and all(told == str(error) for told in before)

    def _believed(self) -> bool:
        """Return whether so many runs ended by this that the items are at fault after all."""
        before = self._ends_before()
        return len(before) >= BREAKER_RUNS and all(_TOLD in told for told in before)

    def _ends_before(self) -> list[str]:
        runs = self._run.tools.store.list_runs(self._run.sync.sync_config_id, limit=BREAKER_RUNS + 1)
        return [run.error or "" for run in runs if run.sync_run_id != self._run.ticket.sync_run_id]

    def commit(self, settled: Iterable[str]) -> None:
        """Begin the next unit: these items have an outcome that is committed."""
        if self._counted:
            self._counted.difference_update(settled)
        self._tried, self._failed, self._last = 0, 0, None

    def take_back(self) -> None:
        """Take back the counted retries that have no committed outcome; a store that fails is left alone."""
        if not self._counted:
            return
        with suppress(StoreUnavailable):
            self._run.tools.store.take_back_retries(self._run.lock, sorted(self._counted))
            self._counted.clear()

    @property
    def _mostly_failed(self) -> bool:
        return self._failed * 2 > self._tried
