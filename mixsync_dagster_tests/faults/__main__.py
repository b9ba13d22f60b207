"""`python -m mixsync_dagster_tests.faults --kills 1000`: the campaign, with its counts printed as Markdown.

`--trees 20` kills whole process trees of Dagster and the API instead, or as well when both are given.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from mixsync_dagster_tests.faults.campaign import all_caught, every_freeze, random_kills, summary
from mixsync_dagster_tests.faults.cases import (
    ENGINE_POINTS,
    POINTS,
    Case,
    FatalItem,
    FreezeInTransaction,
    Result,
    Tally,
    carry_out,
    every_point,
)
from mixsync_dagster_tests.faults.trees import Trees, table
from mixsync_dagster_tests.faults.worlds import Database, Lab
from mixsync_dagster_tests.support.postgres import running_postgres

_DATABASES: tuple[Database, ...] = ("sqlite", "postgres")
_DEFAULT_KILLS = 1000


def main() -> int:
    """Run the campaign and return 0 when nothing was found and every bug was seen."""
    parser = argparse.ArgumentParser(prog="python -m mixsync_dagster_tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, help="kills of workers at random moments (1000, unless trees are killed)")
    parser.add_argument("--trees", type=int, default=0, help="kills of whole process trees at random moments (0)")
    parser.add_argument("--freezes", type=int, default=len(ENGINE_POINTS), help="freezes on each database (13)")
    parser.add_argument("--seed", type=int, default=0, help="where the random moments begin (0)")
    parser.add_argument("--write", action="store_true", help="put the counts into the README beside this file")
    given = parser.parse_args()
    kills = given.kills if given.kills is not None or given.trees else _DEFAULT_KILLS
    good = True
    if given.trees:
        good &= _trees(given.trees, given.seed, write=given.write)
    if kills is not None:
        good &= _workers(kills, given.freezes, given.seed, write=given.write)
    return int(not good)


def _trees(count: int, seed: int, *, write: bool) -> bool:
    """Kill whole process trees and return whether nothing was found."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mixsync-trees-") as folder, Trees(Path(folder), seed=seed) as trees:
        rounds = trees.rounds(count, lambda one: _say(str(one)))
    _tell(table(rounds), began, seed, "trees", write=write)
    return not any(one.findings for one in rounds)


def _workers(kills: int, freezes: int, seed: int, *, write: bool) -> bool:
    """Kill and freeze single workers, seed the bugs, and return whether nothing was found and each bug was seen."""
    began = time.monotonic()
    tallies: dict[str, Tally] = {}
    with running_postgres() as server, Lab(postgres=server, dagster=True) as lab:
        for database in _DATABASES:
            points = every_point(POINTS, database, "mixsync")
            tallies[f"every point x 3, `mixsync run`, {database}"] = carry_out(lab, points, _told)
            points = every_point(["engine"], database, "dagster")
            tallies[f"points x 3, `dagster job execute`, {database}"] = carry_out(lab, points, _told)
            tallies[f"freeze, takeover, wake, {database}"] = carry_out(lab, every_freeze(lab, freezes, database), _told)
        others: list[Case] = [FatalItem("sqlite"), FatalItem("postgres"), FreezeInTransaction()]
        tallies["an item that ends workers; freeze inside a transaction"] = carry_out(lab, others, _told)
        tallies["random moments, both databases"] = random_kills(
            lab, kills, _DATABASES, seed=seed, dagster=True, told=_told
        )
        caught = all_caught(lab, lambda name, seen: _say(f"{name}: {seen or 'SURVIVES'}"))
    _tell(summary(tallies, caught), began, seed, "counts", write=write)
    for tally in tallies.values():
        sys.stdout.write(tally.explain())
    return not any(tally.bad for tally in tallies.values()) and None not in caught.values()


def _tell(text: str, began: float, seed: int, part: str, *, write: bool) -> None:
    minutes = (time.monotonic() - began) / 60
    text += f"\n{minutes:.0f} minutes; seed {seed}.\n"
    sys.stdout.write(text)
    if write:
        _write(text, part)


def _told(result: Result) -> None:
    _say(f"{result.seconds:5.1f} s  {result.name}: {result.findings or 'nothing found'}")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _write(text: str, part: str) -> None:
    """Put the text between the marks of its part."""
    file = Path(__file__).with_name("README.md")
    begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->\n"
    before, _, rest = file.read_text(encoding="utf-8").partition(begin)
    file.write_text(before + begin + text + end + rest.partition(end)[2], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
