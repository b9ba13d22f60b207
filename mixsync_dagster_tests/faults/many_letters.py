"""How quick a million dead letters are: `python -m mixsync_dagster_tests.faults.many_letters --letters 1000000`.

Fills a state store in a temporary folder, or on a PostgreSQL of its own, and prints: pages of the list, requeueing all
of them and how long others wait for the write lock meanwhile, and what a pass looks up.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mixsync_dagster.control.dead_letters import Choice, requeue
from mixsync_dagster.model.progress import DeadLetter
from mixsync_dagster.state import dead_letters
from mixsync_dagster.state.database import Database, Transaction
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.contracts.state_samples import SYNC, seed
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.support.postgres import running_postgres

PAGE = 100
SPANS = 100
_AT_ONCE = 20_000
_READINGS = 200


def main() -> int:
    """Fill, measure and print; 0 always, for numbers are judged by people."""
    parser = argparse.ArgumentParser(prog="python -m mixsync_dagster_tests.faults.many_letters", description=__doc__)
    parser.add_argument("--letters", type=int, default=10_000, help="how many dead letters (10000)")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite", help="which database (sqlite)")
    parser.add_argument("--folder", type=Path, help="where the SQLite file is made, for disks of different speed")
    given = parser.parse_args()
    with _database(given.database, given.folder) as url:
        clock = SystemClock()
        fresh = Database.open(url, clock=clock)
        upgrade(fresh)
        fresh.close()
        store = SqlStateStore.open(url, clock=clock, key=b"k" * 32)
        try:
            seed(store)
            _fill(store, given.letters)
            lines = [f"{given.letters:,} dead letters, {given.database}", *_measured(store, given.letters)]
        finally:
            store.close()
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


@contextmanager
def _database(kind: str, folder: Path | None) -> Iterator[str]:
    with ExitStack() as stack:
        if kind == "postgres":
            server = stack.enter_context(running_postgres())
            yield server.create_database()
        else:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="mixsync-letters-", dir=folder))
            yield f"sqlite:///{home}/state.db"


def _fill(store: SqlStateStore, count: int) -> None:
    """Write the letters in the order in which a run comes by their items."""
    now = store._clock.now()
    for first in range(0, count, _AT_ONCE):
        rows = []
        for number in range(first, min(first + _AT_ONCE, count)):
            item = f"store/bucket/folder-{number // 1000:05}/file-{number:08}.mp4"
            letter = DeadLetter(
                dead_letter_id=dead_letters.dead_letter_id_for(SYNC, item),
                sync_config_id=SYNC,
                source_object_id=item,
                source_path=item.removeprefix("store/bucket/"),
                version=f"{number:032x}",
                state="quarantined",
                retry_count=3,
                error_type="checksum_mismatch",
                error_message=f"The bytes received of {item} do not have the checksum that it is listed with.",
                first_seen_at=now,
                last_seen_at=now,
                sync_run_id="run-1",
            )
            rows.append(dead_letters._to_row(letter))
        with store._database.write() as tx:
            tx.insert(dead_letters._SAVE, rows)


def _measured(store: SqlStateStore, count: int) -> Iterator[str]:
    chance = random.Random(1)
    pages = [
        _seconds(lambda: store.list_dead_letters(SYNC, after=_anywhere(chance), limit=PAGE)) for _ in range(_READINGS)
    ]
    yield f"page of {PAGE}, anywhere: p50 {_ms(pages, 0.5)}, p95 {_ms(pages, 0.95)}, most {_ms(pages, 1.0)}"
    spans = [_seconds(lambda: _look_up_a_span(store, chance, count)) for _ in range(_READINGS)]
    yield f"standing letters of a span of {SPANS} items: p50 {_ms(spans, 0.5)}, p95 {_ms(spans, 0.95)}"
    with _another_writer(store) as waits, _held(store) as holds:
        took = _seconds(lambda: requeue(store, SYNC, Choice()))
    left = len(store.dead_letter_ids(SYNC, states=["quarantined"], limit=1))
    yield f"requeue all: {took:.2f} s, {took / count * 1_000_000:.1f} ms for 1,000; {left} left out"
    yield f"write lock held: {len(holds)} times, p95 {_ms(holds, 0.95)}, most {_ms(holds, 1.0)}"
    yield f"another process's writes meanwhile: {len(waits)}, p95 {_ms(waits, 0.95)}, most {_ms(waits, 1.0)}"
    yield f"requeue all again, nothing to do: {_seconds(lambda: requeue(store, SYNC, Choice())):.3f} s"


@contextmanager
def _another_writer(store: SqlStateStore) -> Iterator[list[float]]:
    """Write one row every few milliseconds from a connection of its own; yields how long each of its waits took."""
    waits: list[float] = []
    over = threading.Event()
    own = Database(store._database.url, store._clock)

    def write() -> None:
        while not over.wait(0.005):
            waits.append(_seconds(one))

    def one() -> None:
        # Until the lock is held: the writer's own commit is not what it waits for.
        with own.write() as tx:
            tx.run("UPDATE limits SET frozen_at = frozen_at WHERE connection_id = 'nobody'")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()
        own.close()


@contextmanager
def _held(store: SqlStateStore) -> Iterator[list[float]]:
    """Yield how long each write transaction of the store held the lock, its commit included."""
    holds: list[float] = []
    plain = store._database.write

    @contextmanager
    def write() -> Iterator[Transaction]:
        with plain() as tx:
            inside = time.perf_counter()
            yield tx
        holds.append(time.perf_counter() - inside)

    store._database.write = write  # type: ignore[method-assign]
    try:
        yield holds
    finally:
        store._database.write = plain  # type: ignore[method-assign]


def _look_up_a_span(store: SqlStateStore, chance: random.Random, count: int) -> None:
    first = chance.randrange(max(count - SPANS, 1))
    names = [f"store/bucket/folder-{number // 1000:05}/file-{number:08}.mp4" for number in (first, first + SPANS)]
    store.standing_dead_letter_ids(SYNC, names[0], names[1])


def _anywhere(chance: random.Random) -> str:
    return f"dlq_{chance.getrandbits(128):032x}"


def _seconds(work: object) -> float:
    began = time.perf_counter()
    assert callable(work)
    work()
    return time.perf_counter() - began


def _ms(seconds: list[float], share: float) -> str:
    ordered = sorted(seconds) or [0.0]
    return f"{ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
