"""Cases: one world each, hurt in one way, restarted until it settles, then audited."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Protocol

from mixsync_dagster_tests.faults.books import digest
from mixsync_dagster_tests.faults.checking import MOST_READS_OF_TORN, Audit, Findings
from mixsync_dagster_tests.faults.points import Point
from mixsync_dagster_tests.faults.storage import Storage
from mixsync_dagster_tests.faults.workers import CommandStarter, Worker, kill_after
from mixsync_dagster_tests.faults.worlds import (
    DONE,
    FATAL,
    Database,
    Lab,
    NotDone,
    Way,
    World,
    third_content,
    with_fatal_item,
)

WORKERS_AT_ONCE = 2
TAKEN_OVER = re.compile(r"another worker took over; this run stops|is over; nothing was written")
_SKIPPED = 4
_MOST_STARTS = 12

ENGINE_POINTS = (
    "acquired", "started", "begun", "announced", "stored", "put", "committing", "committed", "sealed", "claimed",
    "submitted", "removing", "finishing",
)  # fmt: skip
POINTS: dict[str, tuple[str, ...]] = {
    "engine": ENGINE_POINTS,
    "store": ("begun", "before commit", "after commit"),
    "file": ("created", "half written", "before flush", "after flush", "before rename", "after rename"),
    "manifest": ("created", "half written", "written", "renamed", "durable"),
    "handler": ("before post", "after post"),
}
"""Every point at which workers are killed, by kind. A test holds it against what a run passes."""


@dataclass
class Result:
    """What a case did and what the auditor found."""

    name: str
    findings: Findings
    kills: int = 0
    freezes: int = 0
    runs: int = 0
    seconds: float = 0.0


class Case(Protocol):
    """Something to do to a world."""

    def run(self, lab: Lab) -> Result:
        """Make the world, hurt it, heal it, look at it."""
        ...


@dataclass(frozen=True)
class Kill:
    """Kill a worker at a point, and the one that goes on in its place at the same point, so often as told."""

    point: Point
    database: Database = "sqlite"
    way: Way = "mixsync"
    times: int = 1
    change: bool = False
    """Whether the storage changes between the first kill and the restart."""

    def __str__(self) -> str:
        return f"kill {self.point}"

    def run(self, lab: Lab) -> Result:
        result = _begun(self)
        while result.kills < self.times:
            before = result.kills
            with lab.world(self.database, self.way) as world:
                _kill(world, [self.point] * (self.times - result.kills), result, change=self.change)
                _heal(world, result)
            if result.findings:
                break
            assert result.kills > before, f"{self.point} is not passed by a {self.way} run on {self.database}"
        return _ended(result)


def _kill(world: World, points: Iterable[Point], result: Result, *, change: bool) -> None:
    untouched = set(world.storage.entries)
    for point in points:
        worker = world.start(world.plan(at=point))
        status = worker.wait()
        if status != -signal.SIGKILL:
            _expect_done(worker, result)
            break
        result.kills += 1
        world.expire()
        if change:
            third_content(world.storage)
            untouched -= world.storage.deleted | world.storage.changed
            change = False
    else:
        _run(world, result)
    _merge(result, Audit(world).of_a_finished_pass(untouched & set(world.storage.entries)))


@dataclass(frozen=True)
class RandomKills:
    """Kill workers at moments that have nothing to do with what they do."""

    seed: int
    database: Database = "sqlite"
    way: Way = "mixsync"
    most: int = 4
    seconds: float = 0.45
    """A run takes about as long; kills come at any moment of it."""
    true_command: bool = False
    """Whether the workers are commands as a shell starts them."""

    def __str__(self) -> str:
        return f"random kills, seed {self.seed}"

    def run(self, lab: Lab) -> Result:
        result = _begun(self)
        chance = random.Random(self.seed)
        with lab.world(self.database, self.way, starter=lab.commands if self.true_command else None) as world:
            untouched = set(world.storage.entries)
            for number in range(chance.randint(1, self.most)):
                worker = world.start()
                kill_after(worker, chance.uniform(0.02, self.seconds))
                if worker.wait() == -signal.SIGKILL:
                    result.kills += 1
                else:
                    _expect_done(worker, result)
                world.expire()
                if number == 0 and chance.random() < 0.5:
                    third_content(world.storage)
                    untouched -= world.storage.deleted | world.storage.changed
                    untouched &= set(world.storage.entries)
            _run(world, result)
            _merge(result, Audit(world).of_a_finished_pass(untouched))
            _heal(world, result)
        return _ended(result)


@dataclass(frozen=True)
class Freeze:
    """Stop a worker at a point past its lease, let another one take over, and wake it up again."""

    point: Point
    database: Database = "sqlite"

    def __str__(self) -> str:
        return f"freeze {self.point}"

    def run(self, lab: Lab) -> Result:
        result = _begun(self)
        with lab.world(self.database) as world:
            worker = world.start(world.plan(at=self.point, freeze=True))
            try:
                assert worker.wait_stopped(), f"{self.point} is not passed: {worker.said}"
                result.freezes += 1
                self._refuse_another(world, result)
                world.expire()
                _heal(world, result)
                before = digest(world.books)
            finally:
                worker.signal(signal.SIGCONT)
            status = worker.wait()
            if status != 1 or not TAKEN_OVER.search(worker.said):
                result.findings.add("other", f"the woken worker ended with {status} and said {worker.said.strip()!r}")
            after = digest(world.books)
            if written := sorted(table for table in after if after[table] != before.get(table)):
                result.findings.add("other", f"the woken worker wrote to {', '.join(written)}")
            _merge(result, Audit(world).of_a_settled_sync())
        return _ended(result)

    def _refuse_another(self, world: World, result: Result) -> None:
        before = digest(world.books)
        another = world.start()
        if another.wait() != _SKIPPED or digest(world.books) != before:
            result.findings.add("other", "a second worker did not leave a living lease alone")


@dataclass(frozen=True)
class FreezeInTransaction:
    """Stop a worker inside a transaction: PostgreSQL ends it, and nobody waits for longer than that takes."""

    most_seconds: float = 15.0

    def __str__(self) -> str:
        return "freeze inside a transaction"

    def run(self, lab: Lab) -> Result:
        result = _begun(self)
        with lab.world("postgres") as world:
            worker = world.start(world.plan(at=Point("store", "before commit", 12), freeze=True))
            try:
                assert worker.wait_stopped(), worker.said
                result.freezes += 1
                began = time.monotonic()
                # Waits for the row of the lease, which the frozen transaction holds.
                world.expire()
                waited = time.monotonic() - began
                if waited > self.most_seconds:
                    result.findings.add("other", f"a successor waited {waited:.0f} s")
                _heal(world, result)
                before = digest(world.books)
            finally:
                worker.signal(signal.SIGCONT)
            if worker.wait() != 1 or digest(world.books) != before:
                result.findings.add("other", f"the woken worker ended with {worker.status} or wrote something")
            _merge(result, Audit(world).of_a_settled_sync())
        return _ended(result)


@dataclass(frozen=True)
class FatalItem:
    """Let the reading of one item end every worker that tries it, until nobody tries any more.

    Its first try fails without harm, so that there is a dead letter whose retries can be counted.
    """

    database: Database = "sqlite"

    def __str__(self) -> str:
        return "fatal item"

    def run(self, lab: Lab) -> Result:
        result = _begun(self)
        with lab.world(self.database, content=_nothing_new) as world:
            with_fatal_item(world.storage)
            entry = world.storage.entries[FATAL]
            world.storage.entries[FATAL] = replace(entry, corrupt=True)
            world.run()
            world.storage.entries[FATAL] = entry
            for _ in range(_MOST_STARTS):
                worker = world.start(world.plan(at=Point("read", FATAL, 1)))
                if worker.wait() != -signal.SIGKILL:
                    break
                result.kills += 1
                world.expire()
            if result.kills > MOST_READS_OF_TORN - 1:
                result.findings.add("other", f"the item that ends workers was retried {result.kills} times")
            world.expire()
            _heal(world, result)
        return _ended(result)


def _nothing_new(_storage: Storage) -> None:
    """Leave the storage as it was."""


@dataclass(frozen=True)
class ClockOff:
    """Hold the lease by a worker whose clock is right and let one come whose clock is off, and the other way round."""

    seconds: float
    database: Database
    faketime: str | None = None
    """libfaketime; None: the worker's Clock is off instead of its system's."""

    def __str__(self) -> str:
        return f"clock off by {self.seconds:+g} s"

    def run(self, lab: Lab) -> Result:
        result = _begun(self)
        with lab.world(self.database) as world:
            holder = world.start(world.plan(at=Point("engine", "committing", 2), freeze=True))
            try:
                assert holder.wait_stopped(), holder.said
                result.freezes += 1
                status = self._start_off(world).wait()
            finally:
                holder.signal(signal.SIGCONT)
            stolen = status in DONE
            # The lease is measured by the server's clock on PostgreSQL; on SQLite by each worker's own.
            if stolen != (self.database == "sqlite" and self.seconds > 0) or (not stolen and status != _SKIPPED):
                result.findings.add("other", f"a worker whose clock is off ended with {status}")
            ended = holder.wait()
            if (ended == 1 and TAKEN_OVER.search(holder.said) is not None) != stolen:
                result.findings.add("other", f"the holder ended with {ended} and said {holder.said.strip()!r}")
            world.expire()
            status = self._start_off(world).wait()
            if status not in DONE:
                result.findings.add("other", f"a worker whose clock is off ended with {status} on a free lease")
            world.expire()
            _heal(world, result)
        return _ended(result)

    def _start_off(self, world: World) -> Worker:
        if self.faketime is None:
            return world.start(world.plan(clock_seconds=self.seconds))
        preload = {"LD_PRELOAD": self.faketime, "FAKETIME": f"{self.seconds:+g}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        right, world.starter = world.starter, CommandStarter(world.home / "site", preload)
        try:
            return world.start()
        finally:
            world.starter = right


def _heal(world: World, result: Result) -> None:
    """Run until nothing is left to do, then audit."""
    # What Dagster adds to a run was there when it was killed; the rest goes quicker without.
    world.way, world.starter = "mixsync", world.commands
    try:
        world.settle()
    except NotDone as error:
        result.findings.add("other", str(error))
    result.runs += world.runs
    _merge(result, Audit(world).of_a_settled_sync())
    verify(world, result)


def verify(world: World, result: Result) -> None:
    """Let the product's own audit look as well, where there is one."""
    if find_spec("mixsync_dagster.commands.verifying") is None:
        return
    worker = world.command("verify", "--all", "--data", "--source")
    if worker.status != 0:
        result.findings.add("other", f"mixsync verify ended with {worker.status}: {worker.told}")


def _run(world: World, result: Result) -> None:
    try:
        world.run()
    except NotDone as error:
        result.findings.add("other", str(error))


def _expect_done(worker: Worker, result: Result) -> None:
    if worker.status not in DONE:
        result.findings.add("other", f"a run ended with {worker.status}: {worker.said.strip()[-300:]}")


def _merge(result: Result, findings: Findings) -> None:
    result.findings.found += findings.found
    result.findings.objects += findings.objects
    result.findings.blobs += findings.blobs


def _begun(case: object) -> Result:
    return Result(str(case), Findings(), seconds=-time.monotonic())


def _ended(result: Result) -> Result:
    result.seconds += time.monotonic()
    return result


@dataclass
class Tally:
    """What a campaign came to."""

    results: list[Result] = field(default_factory=list)

    @property
    def bad(self) -> list[Result]:
        return [one for one in self.results if one.findings]

    def count(self, kind: str) -> int:
        return sum(1 for one in self.results for found, _ in one.findings.found if found == kind)

    def total(self, name: str) -> int:
        return int(sum(getattr(one, name) for one in self.results))

    @property
    def objects(self) -> int:
        return sum(one.findings.objects for one in self.results)

    @property
    def blobs(self) -> int:
        return sum(one.findings.blobs for one in self.results)

    def explain(self) -> str:
        return "\n".join(f"{one.name}: {one.findings}" for one in self.bad)


def carry_out(
    lab: Lab,
    cases: Iterable[Case],
    told: Callable[[Result], None] = lambda _result: None,
    *,
    at_once: int = WORKERS_AT_ONCE,
) -> Tally:
    """Run the cases, `at_once` at a time, and return what they came to; an error of the harness is raised."""
    tally = Tally()

    def one(case: Case) -> Result:
        result = case.run(lab)
        told(result)
        return result

    with ThreadPoolExecutor(at_once) as pool:
        tally.results = list(pool.map(one, list(cases)))
    return tally


def every_point(kinds: Iterable[str], database: Database, way: Way) -> list[Kill]:
    """Return the cases that kill three times at every point of these kinds."""
    return [
        Kill(Point(kind, name, number), database, way, times=3, change=bool(index % 2))
        for kind in kinds
        for index, name in enumerate(POINTS[kind])
        for number in (_middle(kind, name),)
    ]


def _middle(kind: str, name: str) -> int:
    """Return a passing from the midst of a run where there are several."""
    often = {"engine": ("announced", "stored", "put", "committing", "committed", "claimed", "submitted")}
    if kind == "engine":
        return 2 if name in often["engine"] else 1
    return {"store": 9, "file": 5, "manifest": 2, "handler": 2}[kind]
