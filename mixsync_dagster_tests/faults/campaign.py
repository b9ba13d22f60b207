"""The whole campaign: every point, random moments, freezes, and the seeded bugs that all of it has to see."""

from __future__ import annotations

import copy
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mixsync_dagster_tests.faults.cases import (
    ENGINE_POINTS,
    POINTS,
    WORKERS_AT_ONCE,
    Case,
    FatalItem,
    Freeze,
    Kill,
    RandomKills,
    Result,
    Tally,
    every_point,
)
from mixsync_dagster_tests.faults.checking import KINDS
from mixsync_dagster_tests.faults.mutants import MUTANTS, Mutant
from mixsync_dagster_tests.faults.points import Point
from mixsync_dagster_tests.faults.workers import ForkServer
from mixsync_dagster_tests.faults.worlds import Database, Lab

_CASE = re.compile(r"(kill|freeze) (\w+):(.+)#(\d+)")
_ENOUGH_FINDINGS = 10
_EVERY_DAGSTER = 12
_EVERY_COMMAND = 20


def case_of(name: str) -> Case:
    """Return the case on SQLite that is called so. Raises ValueError."""
    if name == str(FatalItem()):
        return FatalItem()
    found = _CASE.fullmatch(name)
    if found is None:
        raise ValueError(f"no case is called {name!r}")
    point = Point(found[2], found[3], int(found[4]))
    return Kill(point) if found[1] == "kill" else Freeze(point)


def caught_by(lab: Lab, mutant: Mutant) -> str | None:
    """Return the case that sees the bug and what it finds; None when the bug survives every case."""
    with ForkServer(mutant=mutant.name) as forks:
        own = copy.copy(lab)
        own.forks = forks
        for name in _tries(mutant):
            result = case_of(name).run(own)
            if result.findings:
                kind, sentence = result.findings.found[0]
                return f"{name}: {kind}, {sentence}"
    return None


def _tries(mutant: Mutant) -> Iterator[str]:
    rest = [str(case) for kind in POINTS for case in every_point([kind], "sqlite", "mixsync")]
    rest += [str(Freeze(Point("engine", name))) for name in ENGINE_POINTS]
    yield from dict.fromkeys([*mutant.tries, *rest, str(FatalItem())])


def all_caught(lab: Lab, told: Callable[[str, str | None], None] = lambda _n, _c: None) -> Mapping[str, str | None]:
    """Return for every bug what saw it."""
    lab.template("sqlite")

    def one(mutant: Mutant) -> tuple[str, str | None]:
        seen = caught_by(lab, mutant)
        told(mutant.name, seen)
        return mutant.name, seen

    with ThreadPoolExecutor(WORKERS_AT_ONCE) as pool:
        return dict(pool.map(one, MUTANTS))


def every_freeze(lab: Lab, count: int, database: Database) -> list[Freeze]:
    """Return so many freezes, at every passing of every point in turn: first the first one of each, then the second."""
    with lab.world("sqlite") as world:
        trace = world.home / "trace"
        world.start(world.plan(trace=str(trace))).wait()
        passed = Counter(line.partition("\t")[2] for line in trace.read_text().splitlines() if line[:7] == "engine\t")
    points = sorted((number, name) for name in ENGINE_POINTS for number in range(1, passed[name] + 1))
    return [
        Freeze(Point("engine", name, number), database)
        for number, name in itertools.islice(itertools.cycle(points), count)
    ]


def random_kills(
    lab: Lab,
    kills: int,
    databases: Sequence[Database],
    *,
    seed: int,
    dagster: bool = False,
    told: Callable[[Result], None] = lambda _result: None,
) -> Tally:
    """Kill workers at random moments until there were so many kills, on the databases in turn; less after findings."""
    tally = Tally()
    numbers = itertools.count(seed)

    def one(number: int) -> Result:
        database = databases[number % len(databases)]
        case = RandomKills(number, database)
        if dagster and number % _EVERY_DAGSTER == 0:
            case = RandomKills(number, database, "dagster", seconds=1.8)
        elif dagster and number % _EVERY_COMMAND == 0:
            case = RandomKills(number, database, seconds=1.2, true_command=True)
        result = case.run(lab)
        told(result)
        return result

    with ThreadPoolExecutor(WORKERS_AT_ONCE) as pool:
        while tally.total("kills") < kills and len(tally.bad) < _ENOUGH_FINDINGS:
            missing = kills - tally.total("kills")
            tally.results += pool.map(one, itertools.islice(numbers, min(max(missing // 3, 1), 40)))
    return tally


def summary(tallies: Mapping[str, Tally], caught: Mapping[str, str | None]) -> str:
    """Return the table of counts, and what saw each bug, as Markdown."""
    head = ["what was done", "kills", "freezes", "runs", "objects checked", "blobs hashed", *KINDS]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, tally in tallies.items():
        cells = [tally.total("kills"), tally.total("freezes"), tally.total("runs"), tally.objects, tally.blobs]
        counts = [*cells, *(tally.count(kind) for kind in KINDS)]
        lines.append(f"| {name} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    lines += ["", "| seeded bug | seen by |", "|---|---|"]
    for name, seen in caught.items():
        told = "**nobody**" if seen is None else re.sub(r"(obj|btch)_[0-9a-f]+", r"\1_...", seen).replace("|", "/")
        lines.append(f"| {name} | {told[:160]} |")
    return "\n".join(lines) + "\n"
