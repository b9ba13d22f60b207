"""Transfers in a pool of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mixsync_dagster.engine.contents import Content
from mixsync_dagster.engine.tasks import Task
from mixsync_dagster.engine.transfers import AHEAD_PARCELS, Transferred, transfer_all
from mixsync_dagster.engine.width import AdaptiveWidth
from mixsync_dagster.errors import ItemCorrupt, ItemVanished, ProviderUnavailable
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.testing.clock import SimulatedClock

MEGABYTE = 1024 * 1024
PATIENCE_SECONDS = 20.0


def task(number: int, size_bytes: int | None = MEGABYTE) -> Task:
    item = SourceItem(f"memory/{number}", str(number), "v1", size_bytes=size_bytes)
    return Task(number, f"obj_{number}", item, "create", "{}", retry=False)


def stored(task: Task) -> Content:
    return Content((), task.item.size_bytes or 0)


def transferred(
    tasks: Iterable[Task],
    transfer: Callable[[Task], Content] = stored,
    *,
    clock: SimulatedClock | None = None,
    cap: int = 8,
    inflight_bytes: int = 64 * MEGABYTE,
) -> Iterator[list[Transferred]]:
    return transfer_all(
        iter(tasks), transfer, clock=clock or SimulatedClock(), width=AdaptiveWidth(cap), inflight_bytes=inflight_bytes
    )


def flat(parcels: Iterable[list[Transferred]]) -> list[Transferred]:
    return [one for parcel in parcels for one in parcel]


def pool_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("transfer-")]


class Gauge:
    """Counts transfers and bytes under way, and lets them go on only when `width` are, or all that may be."""

    def __init__(self, wanted: int) -> None:
        self._lock = threading.Condition()
        self._wanted = wanted
        self.now = self.most = self.now_bytes = self.most_bytes = 0
        self.given_up = False

    def __call__(self, task: Task) -> Content:
        size = task.item.size_bytes or 0
        with self._lock:
            self.now += 1
            self.now_bytes += size
            self.most, self.most_bytes = max(self.most, self.now), max(self.most_bytes, self.now_bytes)
            self._lock.notify_all()
            self.given_up |= not self._lock.wait_for(lambda: self.most >= self._wanted, PATIENCE_SECONDS)
            self.now -= 1
            self.now_bytes -= size
        return stored(task)


def test_no_tasks_give_no_results() -> None:
    assert flat(transferred([])) == []


def test_every_task_has_one_result() -> None:
    tasks = [task(number) for number in range(50)]
    results = flat(transferred(tasks))
    assert sorted(one.task.number for one in results) == list(range(50))
    assert all(one.content == Content((), MEGABYTE) and one.error is None for one in results)


def test_results_come_in_the_order_of_completion() -> None:
    gates = [threading.Event() for _ in range(3)]

    def transfer(task: Task) -> Content:
        assert gates[int(task.item.path)].wait(PATIENCE_SECONDS)
        return stored(task)

    results = transferred([task(0), task(1), task(2)], transfer)
    order = []
    for number in (2, 0, 1):
        gates[number].set()
        order += [one.task.number for one in next(results)]
    assert order == [2, 0, 1]
    assert flat(results) == []


def test_small_items_travel_four_at_a_time() -> None:
    parcels = list(transferred([task(number, 10) for number in range(10)]))
    assert sorted(len(parcel) for parcel in parcels) == [2, 4, 4]


@pytest.mark.parametrize("size_bytes", [None, 64 * 1024 + 1])
def test_items_of_unknown_or_large_size_travel_alone(size_bytes: int | None) -> None:
    parcels = list(transferred([task(number, size_bytes) for number in range(3)]))
    assert [len(parcel) for parcel in parcels] == [1, 1, 1]


def test_items_with_urls_to_fetch_travel_alone_however_small_they_are() -> None:
    linked = [replace(task(number, 10), links='{"photo": "https://cdn.example/"}') for number in range(3)]
    assert [len(parcel) for parcel in transferred(linked)] == [1, 1, 1]


def test_a_failed_item_is_a_result_and_others_go_on() -> None:
    def transfer(task: Task) -> Content:
        if task.item.path == "1":
            raise ItemCorrupt("1 is torn.")
        if task.item.path == "2":
            raise ItemVanished("2 is gone.")
        return stored(task)

    results = {one.task.number: one for one in flat(transferred([task(n, 10) for n in range(6)], transfer))}
    assert sorted(results) == [0, 1, 2, 3, 4, 5]
    assert [type(results[n].error) for n in range(4)] == [type(None), ItemCorrupt, ItemVanished, type(None)]
    assert results[1].content is None


def test_as_many_as_the_cap_are_under_way_at_once() -> None:
    gauge = Gauge(wanted=3)
    flat(transferred([task(number) for number in range(12)], gauge, cap=3))
    assert gauge.most == 3
    assert not gauge.given_up


def test_a_cap_of_one_transfers_one_after_the_other() -> None:
    gauge = Gauge(wanted=1)
    flat(transferred([task(number) for number in range(6)], gauge, cap=1))
    assert gauge.most == 1


def test_bytes_under_way_never_exceed_the_budget() -> None:
    gauge = Gauge(wanted=4)
    flat(transferred([task(number, 2 * MEGABYTE) for number in range(20)], gauge, inflight_bytes=8 * MEGABYTE))
    assert gauge.most_bytes == 8 * MEGABYTE
    assert not gauge.given_up


def test_an_item_above_the_budget_goes_alone() -> None:
    gauge = Gauge(wanted=1)
    sizes = [MEGABYTE, 6 * MEGABYTE, MEGABYTE, 6 * MEGABYTE]
    results = flat(transferred([task(n, size) for n, size in enumerate(sizes)], gauge, inflight_bytes=2 * MEGABYTE))
    assert len(results) == 4
    assert gauge.most_bytes == 6 * MEGABYTE


def test_a_huge_item_counts_as_what_it_holds_in_memory() -> None:
    gauge = Gauge(wanted=2)
    huge = 10 * 1024 * MEGABYTE
    flat(transferred([task(0, huge), task(1, huge)], gauge, inflight_bytes=16 * MEGABYTE))
    assert gauge.most == 2
    assert not gauge.given_up


@pytest.mark.parametrize("error", [ProviderUnavailable("nobody answers."), ValueError("a bug"), KeyboardInterrupt()])
def test_any_other_error_is_raised_after_transfers_under_way_ended(error: BaseException) -> None:
    before = pool_threads()
    others_run = threading.Event()
    ended: list[str] = []

    def transfer(task: Task) -> Content:
        if task.item.path == "0":
            assert others_run.wait(PATIENCE_SECONDS)
            raise error
        others_run.set()
        ended.append(task.item.path)
        return stored(task)

    with pytest.raises(type(error)) as caught:
        flat(transferred((task(number) for number in range(10_000)), transfer, cap=4))
    assert caught.value is error
    assert pool_threads() == before
    assert len(ended) < 10_000


def test_closing_early_waits_for_transfers_under_way_and_starts_no_more() -> None:
    before = pool_threads()
    lock = threading.Lock()
    begun = ended = 0

    def transfer(task: Task) -> Content:
        nonlocal begun, ended
        with lock:
            begun += 1
        with lock:
            ended += 1
        return stored(task)

    results = transferred((task(number) for number in range(10_000)), transfer, cap=4)
    next(results)
    results.close()  # type: ignore[attr-defined]  # it is a generator
    after_closing = begun
    assert pool_threads() == before
    assert begun == ended == after_closing
    assert begun < 10_000


def test_an_error_of_the_tasks_themselves_ends_the_threads() -> None:
    before = pool_threads()

    def tasks() -> Iterator[Task]:
        yield task(0)
        yield task(1)
        raise ProviderUnavailable("the store is away.")

    with pytest.raises(ProviderUnavailable):
        flat(transferred(tasks(), cap=1))
    assert pool_threads() == before


def test_tasks_are_drawn_only_as_far_ahead_as_the_pool_is_wide() -> None:
    drawn = 0

    def tasks() -> Iterator[Task]:
        nonlocal drawn
        for number in range(1000):
            drawn += 1
            yield task(number)

    results = transferred(tasks(), cap=2)
    next(results)
    # One a thread and those that wait are handed out, and one more is looked at.
    assert drawn <= 2 + AHEAD_PARCELS + 1
    results.close()  # type: ignore[attr-defined]  # it is a generator


def test_the_pool_widens_once_a_period_is_over() -> None:
    before = len(pool_threads())
    clock = SimulatedClock()

    def transfer(task: Task) -> Content:
        clock.advance(0.1 if int(task.item.path) < 10 else 0.0)
        return stored(task)

    widest = 0
    for _ in transferred((task(number) for number in range(300)), transfer, clock=clock, cap=32):
        widest = max(widest, len(pool_threads()) - before)
    assert widest == 32


def test_five_thousand_tiny_tasks_all_come_through() -> None:
    results = flat(transferred((task(number, number % 3) for number in range(5000)), cap=16))
    assert sorted(one.task.number for one in results) == list(range(5000))


def test_a_consumer_may_be_another_thread_than_the_maker() -> None:
    results = transferred([task(number) for number in range(20)])
    with ThreadPoolExecutor(1) as other:
        assert len(other.submit(flat, results).result(PATIENCE_SECONDS)) == 20
