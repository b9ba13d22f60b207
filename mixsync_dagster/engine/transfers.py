"""Transfers in parallel: one bounded pool of threads whose width adapts to latency within a byte budget."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mixsync_dagster.engine.contents import Content
from mixsync_dagster.engine.tasks import Task
from mixsync_dagster.engine.width import PERIOD_SECONDS, AdaptiveWidth
from mixsync_dagster.errors import ItemError
from mixsync_dagster.ports.clock import Clock

SMALL_BYTES = 64 * 1024
"""Items up to this size travel to a thread several at a time: the hand-over would cost as much as the transfer."""

SMALL_ITEMS = 4

CHUNK_BYTES = 8 * 1024 * 1024
"""Most bytes that one transfer holds in memory, whatever the item's size."""

RATE_BYTES = 64 * 1024
"""Bytes that count as much as one item when throughput is compared."""


@dataclass(frozen=True, slots=True)
class Transferred:
    """What became of a task's bytes: stored, or the item's failure."""

    task: Task
    content: Content | None
    error: ItemError | None


AHEAD_PARCELS = 256
"""Parcels handed out beyond those being worked on: the pool goes on while the run's thread commits."""


@dataclass(frozen=True, slots=True)
class _Done:
    """A parcel's results and when they were there, by the monotonic clock."""

    results: list[Transferred]
    at: float


class _Fatal:
    """An error that is no single item's."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def transfer_all(
    tasks: Iterator[Task],
    transfer: Callable[[Task], Content],
    *,
    clock: Clock,
    width: AdaptiveWidth,
    inflight_bytes: int,
) -> Iterator[list[Transferred]]:
    """Yield every task's result, in the order of completion, a few at a time.

    ItemError is a result; any other error of a transfer ends the iteration by being raised, after the transfers under
    way have ended. Closing the iterator early waits for those as well and starts no more. Tasks are drawn only as far
    ahead as the pool is wide. `width` learns; handed on to the next call, it need not learn again.
    """
    pool = _Pool(transfer, clock, width)
    try:
        yield from pool.run(tasks, inflight_bytes)
    finally:
        pool.close()


class _Pool:
    def __init__(self, transfer: Callable[[Task], Content], clock: Clock, width: AdaptiveWidth) -> None:
        self._transfer = transfer
        self._clock = clock
        self._width = width
        self._todo: queue.SimpleQueue[list[Task] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Done | _Fatal] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._alive = 0
        self._stopping = False

    def run(self, tasks: Iterator[Task], inflight_bytes: int) -> Iterator[list[Transferred]]:
        """Hand out tasks within the budget and yield results until both have ended."""
        parcels = _parcels(tasks)
        waiting = next(parcels, None)
        outstanding = held_bytes = 0
        units, since = 0.0, self._clock.monotonic()
        while waiting is not None or outstanding:
            while waiting is not None and outstanding < self._width.width + AHEAD_PARCELS:
                weight = _weight(waiting)
                if outstanding and held_bytes + weight > inflight_bytes:
                    break
                self._todo.put(waiting)
                outstanding += 1
                held_bytes += weight
                self._staff(outstanding)
                waiting = next(parcels, None)
            answer = self._done.get()
            if isinstance(answer, _Fatal):
                raise answer.error
            outstanding -= 1
            held_bytes -= _weight([one.task for one in answer.results])
            yield answer.results
            # Judged by when the results were there, not by when the run's thread came to take them.
            units += sum(1.0 + (one.content.size_bytes if one.content else 0) / RATE_BYTES for one in answer.results)
            elapsed = answer.at - since
            if elapsed >= PERIOD_SECONDS and waiting is not None:
                self._width.judge(units / elapsed)
                self._staff(outstanding)
                units, since = 0.0, answer.at

    def close(self) -> None:
        """End the threads after the transfers that they are making; parcels not begun are dropped."""
        self._stopping = True
        for _ in range(self._alive):
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def _staff(self, outstanding: int) -> None:
        wanted = self._width.width
        while self._alive < min(wanted, outstanding):
            thread = threading.Thread(target=self._work, name=f"transfer-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            self._alive += 1
            thread.start()
        while self._alive > wanted:
            self._todo.put(None)
            self._alive -= 1

    def _work(self) -> None:
        while (parcel := self._todo.get()) is not None:
            if self._stopping:
                continue
            try:
                results = [self._one(task) for task in parcel]
                self._done.put(_Done(results, self._clock.monotonic()))
            except BaseException as error:  # noqa: BLE001 - carried to the run's thread, which raises it
                self._done.put(_Fatal(error))

    def _one(self, task: Task) -> Transferred:
        try:
            return Transferred(task, self._transfer(task), None)
        except ItemError as error:
            return Transferred(task, None, error)


def _weight(tasks: list[Task]) -> int:
    weight = 0
    for task in tasks:
        size = task.item.size_bytes
        weight += SMALL_BYTES if not size else min(CHUNK_BYTES, size)
    return weight


def _parcels(tasks: Iterator[Task]) -> Iterator[list[Task]]:
    parcel: list[Task] = []
    for task in tasks:
        size = task.item.size_bytes
        if size is None or size > SMALL_BYTES or task.links:
            yield [task]
            continue
        parcel.append(task)
        if len(parcel) == SMALL_ITEMS:
            yield parcel
            parcel = []
    if parcel:
        yield parcel
