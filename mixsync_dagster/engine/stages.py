"""Telling what the stages of a run do, and for how long, to whoever follows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from mixsync_dagster.engine.context import SyncRun, SyncView
from mixsync_dagster.ports.spans import Span

View = TypeVar("View", bound=SyncView)
Given = ParamSpec("Given")
Result = TypeVar("Result")


def stage(
    name: str,
) -> Callable[[Callable[Concatenate[View, Given], Result]], Callable[Concatenate[View, Given], Result]]:
    """Return a decorator for a stage's function, whose calls become spans `mixsync.<name>` of its run's trace."""

    def traced(function: Callable[Concatenate[View, Given], Result]) -> Callable[Concatenate[View, Given], Result]:
        @wraps(function)
        def call(view: View, /, *args: Given.args, **more: Given.kwargs) -> Result:
            with stage_span(view, name):
                return function(view, *args, **more)

        return call

    return traced


def stage_span(view: SyncView, name: str, *, around: bool = True) -> AbstractContextManager[Span]:
    """Give the span of a stage; see `Spans.span`."""
    told = {"mixsync.sync_config_id": view.sync.sync_config_id}
    run = view.ticket.sync_run_id if isinstance(view, SyncRun) else None
    if run is not None:
        told["mixsync.sync_run_id"] = run
    return view.tools.spans.span(f"mixsync.{name}", told, run=run, around=around)
