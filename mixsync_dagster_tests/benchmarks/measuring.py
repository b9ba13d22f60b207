"""Running processes one after another, and the sums over what they took: medians, paired ratios, rates."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class BenchmarkFailed(Exception):
    """A measured process failed or did not do its work; its time means nothing."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a contender starts: `environment` is added to this process's own."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process took, its children included."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    """The highest resident set of the largest single process."""


@dataclass(frozen=True, slots=True)
class Series:
    """All samples of one contender in one scenario, in the order of rounds."""

    tool: str
    samples: Sequence[Sample]
    requests: Mapping[str, int]
    """What the server saw in the last round, by kind."""

    @property
    def wall_seconds(self) -> float:
        """The median wall time."""
        return statistics.median(sample.wall_seconds for sample in self.samples)

    @property
    def cpu_seconds(self) -> float:
        """The median of user and system time."""
        return statistics.median(sample.cpu_seconds for sample in self.samples)

    @property
    def peak_rss_bytes(self) -> int:
        """The highest of all rounds."""
        return max(sample.peak_rss_bytes for sample in self.samples)


def paired_ratio(ours: Series, peer: Series) -> float:
    """Return the median over rounds of our time divided by the peer's in the same round; under 1, we are faster."""
    pairs = zip(ours.samples, peer.samples, strict=True)
    return statistics.median(mine.wall_seconds / theirs.wall_seconds for mine, theirs in pairs)


def rate(amount: float, seconds: float) -> float:
    """Return the amount per second, 0 when no time passed."""
    return amount / seconds if seconds > 0 else 0.0


def measure(command: Command, log: Path) -> Sample:
    """Run the command to its end with its output in the file. Raises BenchmarkFailed unless it exits with 0."""
    environment = {**os.environ, **command.environment}
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command.argv, env=environment, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        told = log.read_text(errors="replace")[-2000:]
        raise BenchmarkFailed(f"{' '.join(command.argv)}: exit status {process.returncode}: {told}")
    return Sample(wall_seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def as_row(series: Series, ours: Series | None, objects: int, content_bytes: int) -> dict[str, Any]:
    """Return one line of the report as plain values. `ours` is None where there is nothing to compare."""
    return {
        "tool": series.tool,
        "wall_seconds": round(series.wall_seconds, 3),
        "cpu_seconds": round(series.cpu_seconds, 3),
        "objects_per_second": round(rate(objects, series.wall_seconds), 1),
        "megabytes_per_second": round(rate(content_bytes / 1e6, series.wall_seconds), 1),
        "cpu_microseconds_per_object": round(series.cpu_seconds / objects * 1e6, 1),
        "peak_rss_megabytes": round(series.peak_rss_bytes / 1e6, 1),
        "ratio": None if ours is None or ours is series else round(paired_ratio(ours, series), 3),
        "requests": dict(series.requests),
        "wall_seconds_of_rounds": [round(sample.wall_seconds, 3) for sample in series.samples],
    }
