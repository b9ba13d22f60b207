"""What is measured: each scenario pairs our run with the peers that do the same work on the same bucket."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mixsync_dagster_tests.benchmarks.contenders import (
    OURS,
    TUNED,
    Contender,
    environment_of,
    executable,
    make_home,
    ours,
    rclone,
    rclone_listing,
    run_command,
    s5cmd,
    s5cmd_listing,
)
from mixsync_dagster_tests.benchmarks.datasets import Dataset
from mixsync_dagster_tests.benchmarks.measuring import Command, measure
from mixsync_dagster_tests.benchmarks.source_server import SourceServer

SMALL_BYTES = 3072
LARGE_BYTES = 8 * 1024 * 1024

S5CMD_SYNC_COUNT = 100_000
"""`s5cmd sync` is measured up to here: at a million objects it takes minutes and 4 GB a round."""

PACKAGE = "mixsync_dagster_tests.benchmarks"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a scenario runs: `folder` is new and the scenario's own, `datasets` is kept from run to run."""

    server: SourceServer
    folder: Path
    datasets: Path


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of work. `transfers`: whether each object must have been read, or none may have been."""

    name: str
    title: str
    dataset: Dataset
    rounds: int
    transfers: bool
    contenders: Callable[[Bench, Dataset], Sequence[Contender]]
    quick_count: int

    def quick(self) -> Scenario:
        """Return a smaller form of it, for a look rather than for the record."""
        dataset = replace(self.dataset, count=self.quick_count)
        return replace(self, dataset=dataset, rounds=min(self.rounds, 2))


def first_sync(bench: Bench, dataset: Dataset) -> Sequence[Contender]:
    """Everything is new; each tool writes to the same disk."""
    url = bench.server.url
    return [
        ours(url, dataset),
        rclone("rclone copy, tuned", url, dataset, None, *TUNED),
        s5cmd("s5cmd cp", url, dataset, None, "cp"),
        rclone("rclone copy, defaults", url, dataset, None),
    ]


def first_sync_behind_latency(bench: Bench, dataset: Dataset) -> Sequence[Contender]:
    """As `first_sync`; where waiting is all there is, tuned rclone gets as many at once as s5cmd takes by itself."""
    url = bench.server.url
    return [
        ours(url, dataset),
        rclone("rclone copy, tuned", url, dataset, None, *TUNED, "--transfers", "256", "--checkers", "256"),
        s5cmd("s5cmd cp", url, dataset, None, "cp"),
        rclone("rclone copy, defaults", url, dataset, None),
    ]


def unchanged(bench: Bench, dataset: Dataset) -> Sequence[Contender]:
    """Nothing is new: each tool has the state that it compares the listing with."""
    url = bench.server.url
    tree = dataset.write_tree(bench.datasets)
    home = bench.folder / "home"

    def prepare_ours(_folder: Path) -> Command:
        if not home.exists():
            make_home(bench.folder, url, dataset)
            fill = [sys.executable, "-m", f"{PACKAGE}.prepared_inventory"]
            environment = environment_of(home) | {"PYTHONPATH": str(Path(__file__).parents[2])}
            # In a process of its own: what this process holds counts as the peak of every process that it starts.
            measure(Command(fill, environment), bench.folder / "fill.log")
        return run_command(home)

    contenders = [
        Contender(OURS, prepare_ours),
        rclone("rclone copy, tuned", url, dataset, tree, *TUNED),
        rclone_listing(url, dataset),
        s5cmd_listing(url, dataset),
    ]
    if dataset.count <= S5CMD_SYNC_COUNT:
        contenders.append(s5cmd("s5cmd sync", url, dataset, tree, "sync", "--size-only"))
    return contenders


def start_up(bench: Bench, dataset: Dataset) -> Sequence[Contender]:
    """One object through Dagster, and a Dagster job that does nothing: what we add to Dagster's own start."""

    def warmed(home: Path) -> dict[str, str]:
        # The first run of a Dagster instance makes its databases; neither side shall pay for that.
        environment = environment_of(home)
        (home / "dagster").mkdir(parents=True, exist_ok=True)
        measure(Command(trivial_argv, environment), home.parent / "warm.log")
        return environment

    trivial_argv = [executable("dagster"), "job", "execute", "-f", str(Path(__file__).parent / "trivial_job.py")]

    def prepare_ours(folder: Path) -> Command:
        home = make_home(folder, bench.server.url, dataset)
        config = folder / "run.yaml"
        config.write_text("sync: benchmark\n")
        argv = [executable("dagster"), "job", "execute", "-m", "mixsync_dagster.definitions", "-j", "sync_bucket"]
        return Command([*argv, "-c", str(config)], warmed(home))

    def prepare_trivial(folder: Path) -> Command:
        return Command(trivial_argv, warmed(folder / "home"))

    return [Contender(OURS, prepare_ours), Contender("trivial Dagster job", prepare_trivial, reads_source=False)]


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("small", "first sync of small objects", Dataset(10_000, SMALL_BYTES), 5, True, first_sync, 2_000),
    Scenario("small-100k", "first sync of small objects", Dataset(100_000, SMALL_BYTES), 3, True, first_sync, 10_000),
    Scenario(
        "latency",
        "first sync, 30 ms a request",
        Dataset(10_000, SMALL_BYTES, 30),
        3,
        True,
        first_sync_behind_latency,
        2_000,
    ),
    Scenario("large", "first sync of 8 MiB objects", Dataset(200, LARGE_BYTES), 3, True, first_sync, 40),
    Scenario("unchanged-100k", "pass without change", Dataset(100_000, SMALL_BYTES), 3, False, unchanged, 10_000),
    Scenario("unchanged-1m", "pass without change", Dataset(1_000_000, SMALL_BYTES), 3, False, unchanged, 100_000),
    Scenario("startup", "one object, whole Dagster process", Dataset(1, SMALL_BYTES), 5, True, start_up, 1),
)
