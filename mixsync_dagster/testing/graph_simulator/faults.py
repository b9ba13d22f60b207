"""What goes wrong, by the kind of request: answers in the service's place, cut bodies, and habits of the service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

KINDS = ("discovery", "token", "site", "drives", "drive", "item", "columns", "delta", "content", "download")
"""The kinds of requests."""


@dataclass
class Fault:
    """One fault and how many requests it still meets."""

    kind: str
    status: int | None = None
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut_at: int | None = None
    """Of the real answer's body only so many bytes are sent; then the connection ends."""
    flip_at: int | None = None
    """This byte of the real answer's body is changed."""
    skip: int = 0
    times: int | None = 1
    before: Callable[[], object] | None = None
    """Called before the request is answered, e.g. to change a file."""


class GraphFaults:
    """The faults of one simulator; thread-safe. Habits are switched by their attributes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.repeated_entries = False
        """Whether each page of a delta begins with the last entry of the page before, and tells one entry twice."""
        self.reversed_pages = False
        """Whether the entries of a page come in the opposite order: files before the folders that hold them."""
        self.empty_pages = False
        """Whether an empty page with a next link comes before each page of a delta."""
        self.folder_delta = True
        """Whether a folder's delta is served, or the root's alone."""
        self.changes_only = True
        """Whether the wish to be told changed entries only is heard, or their folders come along."""
        self.download_urls = True
        """Whether an item tells the address of its bytes, or only its content redirects there."""
        self.ranges = True
        """Whether a part of the bytes can be asked for, or the whole is answered."""
        self.download_host: str | None = None
        """Origin that the addresses of bytes name in place of the simulator's own."""
        self.link_host: str | None = None
        """Origin that next and delta links name in place of the simulator's own."""

    def add(
        self,
        kind: str,
        *,
        status: int | None = None,
        code: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        cut_at: int | None = None,
        flip_at: int | None = None,
        skip: int = 0,
        times: int | None = 1,
        before: Callable[[], object] | None = None,
    ) -> None:
        """Meet `times` requests of a kind (None: all), after `skip` of them; the first fault that fits is taken.

        Raises ValueError for an unknown kind.
        """
        if kind not in KINDS:
            raise ValueError(f"kind: {kind} is not accepted; give one of {', '.join(KINDS)}.")
        fault = Fault(kind, status, code, headers or {}, body, cut_at, flip_at, skip, times, before)
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
        return None
