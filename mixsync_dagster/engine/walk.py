"""Reading ahead: an iterator is advanced in a thread of its own while its last element is being worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

Element = TypeVar("Element")


class _End:
    """Marks the end of the elements, with the error that ended them if one did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Ahead(Generic[Element]):
    """The thread that advances the elements, and the one place where the next of them waits."""

    def __init__(self, elements: Iterator[Element]) -> None:
        self._elements = elements
        self._ready: queue.Queue[Element | _End] = queue.Queue(maxsize=1)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._advance, name="read-ahead", daemon=True)
        self._thread.start()

    def next(self) -> Element | _End:
        """Wait for the next element or the end."""
        return self._ready.get()

    def close(self) -> None:
        """End the thread after the element in the making."""
        self._stopped.set()
        self._thread.join()

    def _offer(self, entry: Element | _End) -> bool:
        while not self._stopped.is_set():
            try:
                self._ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _advance(self) -> None:
        try:
            for element in self._elements:
                if not self._offer(element):
                    return
        except BaseException as error:  # noqa: BLE001 - carried over to the reader, which raises it
            self._offer(_End(error))
        else:
            self._offer(_End(None))


def read_ahead(elements: Iterator[Element]) -> Iterator[Element]:
    """Yield the same elements in order, the next one already being made; errors arrive in their place.

    Three elements are in memory at most: the one being worked on, the one that waits, the one in the making. Closing
    this iterator early stops the thread after the element in the making.
    """
    ahead = _Ahead(elements)
    try:
        while not isinstance(entry := ahead.next(), _End):
            yield entry
        if entry.error is not None:
            raise entry.error
    finally:
        ahead.close()
