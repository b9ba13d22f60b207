"""What goes wrong, by the kind of request: answers in the service's place, and answers that never arrive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = (
    *("bucket_create", "bucket_get"),
    *("upload_create", "upload_batch", "upload_put", "upload_confirm", "upload_confirm_batch", "upload_get"),
    *("object_create", "object_batch", "object_get", "object_patch", "object_delete", "object_list", "download"),
    *("batch_create", "batch_get", "batch_list", "batch_submit", "batch_delete", "task_get"),
)
"""The kinds of requests."""

PUT, DOWNLOAD = "upload_put", "download"
"""Requests that go to the object store and not to the API: no key, no rate limit."""


@dataclass
class Fault:
    """One fault and how many requests it still meets."""

    kind: str
    status: int | None = None
    """Answered in the service's place, which does nothing; None: the request is carried out."""
    error: str = "SimulatedError"
    """`error.type` of such an answer."""
    details: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False
    """The request is carried out and its answer never arrives."""
    skip: int = 0
    times: int | None = 1
    before: Callable[[], object] | None = None
    """Called before the request is carried out."""


class MixpeekFaults:
    """The faults of one simulator; thread-safe. Habits are switched by their attributes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._seen = 0
        self.lose_every: int | None = None
        """Of the changing API calls every so many-th is carried out and its answer lost; None: none is."""
        self.list_lag_seconds = 0.0
        """How long lists do not tell what was created."""
        self.damaged_puts = 0
        """How many contents more arrive with a byte changed."""
        self.confirm_seconds = 0.0
        """How long a batch of confirmations takes in the background."""
        self.batch_seconds = 0.0
        """How long a submitted batch is processed."""
        self.failing_batches = False
        """Whether processing ends in FAILED."""
        self.requests_per_minute: int | None = None
        """More are answered 429 with Retry-After; None: no limit."""
        self.refused_objects: Callable[[Mapping[str, Any]], str | None] = lambda _body: None
        """Returns why an object is refused, None when it is taken."""

    def add(
        self,
        kind: str,
        *,
        status: int | None = None,
        error: str = "SimulatedError",
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        lost: bool = False,
        skip: int = 0,
        times: int | None = 1,
        before: Callable[[], object] | None = None,
    ) -> None:
        """Meet `times` requests of a kind (None: all), after `skip` of them; the first fault that fits is taken.

        Raises ValueError for an unknown kind.
        """
        if kind not in KINDS:
            raise ValueError(f"kind: {kind} is not accepted; give one of {', '.join(KINDS)}.")
        fault = Fault(kind, status, error, details, headers or {}, lost, skip, times, before)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Forget every fault that was added; habits stay."""
        with self._lock:
            self._faults.clear()

    def take(self, kind: str) -> Fault | None:
        """Return the fault that meets the next request of a kind, and count it."""
        with self._lock:
            for fault in self._faults:
                if fault.kind != kind or fault.times == 0:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
            if self.lose_every is None or kind.endswith(("_get", "_list")) or kind in (PUT, DOWNLOAD):
                return None
            self._seen += 1
            return Fault(kind, lost=True) if self._seen % self.lose_every == 0 else None
