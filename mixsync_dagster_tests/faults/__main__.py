"""`python -m mixsync_dagster_tests.faults --kills 1000`: the campaign, with its counts printed as Markdown."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from mixsync_dagster_tests.faults.campaign import all_caught, random_kills, summary
from mixsync_dagster_tests.faults.cases import (
    ENGINE_POINTS,
    POINTS,
    Case,
    FatalItem,
    Freeze,
    FreezeInTransaction,
    Result,
    Tally,
    carry_out,
    every_point,
)
from mixsync_dagster_tests.faults.points import Point
from mixsync_dagster_tests.faults.worlds import Database, Lab
from mixsync_dagster_tests.support.postgres import running_postgres

_DATABASES: tuple[Database, ...] = ("sqlite", "postgres")
_BEGIN, _END = "<!-- counts -->\n", "<!-- end of counts -->\n"


def main() -> int:
    """Run the campaign and return 0 when nothing was found and every bug was seen."""
    parser = argparse.ArgumentParser(prog="python -m mixsync_dagster_tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="kills at random moments (1000)")
    parser.add_argument("--seed", type=int, default=0, help="where the random moments begin (0)")
    parser.add_argument("--write", action="store_true", help="put the counts into the README beside this file")
    given = parser.parse_args()
    began = time.monotonic()
    tallies: dict[str, Tally] = {}
    with running_postgres() as server, Lab(postgres=server, dagster=True) as lab:
        for database in _DATABASES:
            points = every_point(POINTS, database, "mixsync")
            tallies[f"every point x 3, `mixsync run`, {database}"] = carry_out(lab, points, _told)
            points = every_point(["engine"], database, "dagster")
            tallies[f"points x 3, `dagster job execute`, {database}"] = carry_out(lab, points, _told)
            freezes = [Freeze(Point("engine", name), database) for name in ENGINE_POINTS]
            tallies[f"freeze, takeover, wake, {database}"] = carry_out(lab, freezes, _told)
        others: list[Case] = [FatalItem("sqlite"), FatalItem("postgres"), FreezeInTransaction()]
        tallies["an item that ends workers; freeze inside a transaction"] = carry_out(lab, others, _told)
        tallies["random moments, both databases"] = random_kills(
            lab, given.kills, _DATABASES, seed=given.seed, dagster=True, told=_told
        )
        caught = all_caught(lab, lambda name, seen: _say(f"{name}: {seen or 'SURVIVES'}"))
    text = summary(tallies, caught)
    minutes = (time.monotonic() - began) / 60
    text += f"\n{minutes:.0f} minutes; seed {given.seed}.\n"
    sys.stdout.write(text)
    if given.write:
        _write(text)
    for tally in tallies.values():
        sys.stdout.write(tally.explain())
    return int(any(tally.bad for tally in tallies.values()) or None in caught.values())


def _told(result: Result) -> None:
    _say(f"{result.seconds:5.1f} s  {result.name}: {result.findings or 'nothing found'}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _write(text: str) -> None:
    file = Path(__file__).with_name("README.md")
    before, _, rest = file.read_text(encoding="utf-8").partition(_BEGIN)
    file.write_text(before + _BEGIN + text + _END + rest.partition(_END)[2], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
