"""The progress bar of a run: items of those known, items and bytes a second, time remaining."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from mixsync_dagster.commands.output import size
from mixsync_dagster.model.progress import Counters


class ProgressReporter:
    """Implements the Reporter port by a bar on stderr; a context manager that shows and removes it."""

    def __init__(self, name: str) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            _Done(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(name, total=None, planned=0, size_bytes=0)
        self._planned = 0
        self._done = 0
        self._size_bytes = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def planned(self, items: int, size_bytes: int) -> None:
        """Count more items that need work."""
        del size_bytes  # the rate is told from what was transferred
        self._planned += items
        self._show()

    def progressed(self, counters: Counters) -> None:
        """Count what was committed."""
        self._done += counters.created + counters.replaced + counters.moved + counters.duplicates + counters.failed
        self._size_bytes += counters.bytes
        self._show()

    def _show(self) -> None:
        total = self._planned or None
        self._bar.update(self._task, total=total, completed=self._done, size_bytes=self._size_bytes)


class _Done(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return how many of the items known to need work are done."""
        total = "?" if task.total is None else f"{task.total:.0f}"
        return Text(f"{task.completed:.0f}/{total} objects")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return objects and bytes a second since the start."""
        seconds = task.elapsed or 0.0
        if seconds <= 0:
            return Text("")
        return Text(f"{task.completed / seconds:.0f}/s  {size(task.fields['size_bytes'] / seconds)}/s")
