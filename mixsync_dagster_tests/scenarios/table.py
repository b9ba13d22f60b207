"""The table: what happens to a source, and what a run then does. Written once, for every provider and database.

Each scenario begins with a home whose first run brought BASE, unless `first_run` says otherwise. It ends with the
bucket in step with the source: the test that runs it compares the two and lets `verify` look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixsync_dagster_tests.scenarios.homes import SYNC, Home, killed_at
from mixsync_dagster_tests.scenarios.worlds import WAIT_SECONDS, World

BASE = {
    "in/a.txt": (b"alpha", "red"),
    "in/deep/b.txt": (b"beta", "blue"),
    "in/deep/c.txt": (b"gamma", "red"),
    "in/keep.txt": (b"kept", "blue"),
    "out/d.txt": (b"delta", "red"),
}


def put_base(world: World) -> None:
    """Fill a source as first runs find it; four of the items are in the scope."""
    for path, (content, team) in BASE.items():
        world.put(path, content, team)


@dataclass(frozen=True)
class Scenario:
    """One row of the table."""

    name: str
    act: Callable[[Home], None]
    settings: Callable[[World], Mapping[str, Any]] = lambda _world: {}
    """What the sync is defined with."""
    first_run: bool = True
    """Whether the source has BASE and the sync has run once before."""
    slow_on: frozenset[str] = frozenset()
    """Databases on which it belongs to the slow tests."""


def _new(home: Home) -> None:
    home.world.put("in/new.txt", b"new", "green")
    home.world.put("in/deep/newer.txt", b"newer", "green")
    home.world.put("out/new.txt", b"out of scope", "green")
    assert home.work() == {"created": 2}


def _changed(home: Home) -> None:
    before = home.object_ids()
    home.world.put("in/a.txt", b"alpha, rewritten", "green")
    assert home.work() == {"replaced": 1}
    assert home.object_ids() == before


def _unchanged(home: Home) -> None:
    home.world.forget()
    assert home.work() == {}
    assert home.world.requests() == home.world.quiet_requests


def _renamed(home: Home) -> None:
    before = home.object_ids()
    home.world.move("in/a.txt", "in/z.txt")
    home.world.forget()
    _expect_works(home, home.world.renamed)
    if home.world.keeps_identity:
        assert home.world.reads() == 0
        assert home.object_ids()["in/z.txt"] == before["in/a.txt"]


def _moved(home: Home) -> None:
    before = home.object_ids()
    home.world.move("in/a.txt", "in/deep/a.txt")
    home.world.move("in/deep/b.txt", "out/b.txt")
    home.world.move("out/d.txt", "in/d.txt")
    _expect_works(home, home.world.moved)
    if home.world.keeps_identity:
        assert home.object_ids()["in/deep/a.txt"] == before["in/a.txt"]


def _removed(home: Home) -> None:
    home.world.remove("in/a.txt")
    home.world.remove("in/deep/b.txt")
    assert home.work(*home.world.following) == {"removed": 2}
    assert sorted(home.object_ids()) == ["in/deep/c.txt", "in/keep.txt"]


def _relabelled(home: Home) -> None:
    before = home.object_ids()
    home.world.put("in/a.txt", home.world.items["in/a.txt"].content, "green")
    home.world.forget()
    assert home.work() == home.world.relabelled
    if "moved" in home.world.relabelled:
        assert home.world.reads() == 0
    assert home.object_ids() == before


def _folder_renamed(home: Home) -> None:
    before = home.object_ids()
    home.world.move_folder("in/deep", "in/elsewhere/deeper")
    home.world.forget()
    _expect_works(home, home.world.folder_renamed)
    if home.world.keeps_identity:
        assert home.world.reads() == 0
        assert home.object_ids()["in/elsewhere/deeper/b.txt"] == before["in/deep/b.txt"]


def _replaced_by_a_copy(home: Home) -> None:
    home.world.put("in/copy.txt", home.world.items["in/a.txt"].content, "red")
    home.world.remove("in/a.txt")
    home.run(*home.world.following)
    home.run()


def _put_back(home: Home) -> None:
    item = home.world.items["in/a.txt"]
    home.world.remove("in/a.txt")
    assert home.work(*home.world.following) == {"removed": 1}
    home.world.put("in/a.txt", item.content, item.team)
    assert home.work() == {"created": 1}


def _filtered_by_an_attribute(home: Home) -> None:
    put_base(home.world)
    assert home.run()["created"] == 2
    home.world.put("in/a.txt", b"alpha, of others now", "blue")
    home.world.put("in/keep.txt", b"kept, ours now", "red")
    record = home.run()
    assert (record["created"], record["removed"], record["failed"]) == (1, 1, 0)
    for path in ("in/a.txt", "in/deep/b.txt"):
        del home.world.items[path]


def _filtered(home: Home) -> None:
    home.world.put("in/half.tmp", b"left alone", "green")
    home.world.put("in/whole.txt", b"taken", "green")
    home.world.move("in/a.txt", "in/a.tmp")
    record = home.run(*home.world.following)
    assert (record["created"], record["removed"], record["failed"]) == (1, 1, 0)
    assert record["filtered"] == {"exclude_patterns": 2}
    del home.world.items["in/half.tmp"], home.world.items["in/a.tmp"]


def _failing(home: Home) -> None:
    home.world.put("in/bad.txt", b"good in the end", "green")
    home.world.put("in/new.txt", b"new", "green")
    reason = home.world.break_item("in/bad.txt")
    assert home.work(statuses=(3,)) == {"created": 1, "failed": 1}
    assert home.letters() == {"in/bad.txt": reason}
    home.assert_in_step(without=frozenset({"in/bad.txt"}))
    home.world.heal_item("in/bad.txt")
    # Of all states: what is permanent is set aside at once, what is not waits for its next try.
    for state in ("waiting", "quarantined"):
        home.mixsync("dlq", SYNC, "requeue", "--state", state)
    assert home.work() == {"created": 1}
    assert home.letters() == {}


def _throttled(home: Home) -> None:
    home.world.put("in/new.txt", b"new", "green")
    home.world.throttle()
    record = home.run()
    assert (record["created"], record["failed"]) == (1, 0)
    if home.world.tells_throttling:
        assert record["rate_limit_hits"] == 2
        assert record["duration_seconds"] >= 2 * WAIT_SECONDS


def _killed_in_its_first_listing(home: Home) -> None:
    _put_many(home, 20)
    home.run_until_killed(killed_at("committed", 2))
    placed = home.object_ids()
    assert 0 < len(placed) < 20
    home.mixsync("unlock", SYNC)
    home.world.forget()
    assert home.work() == {"created": 20 - len(placed)}
    assert home.world.reads() == 20 - len(placed)
    assert home.object_ids().items() >= placed.items()


def _killed_later(home: Home) -> None:
    _put_many(home, 20)
    home.world.put("in/a.txt", b"alpha, rewritten", "green")
    home.world.remove("in/keep.txt")
    home.run_until_killed(killed_at("committed", 2))
    before = home.object_ids()
    home.mixsync("unlock", SYNC)
    home.world.forget()
    home.work(*home.world.following)
    # What was committed before is not read again, and keeps its objects.
    assert 0 < home.world.reads() < 21
    assert home.object_ids().items() >= {path: one for path, one in before.items() if path != "in/keep.txt"}.items()


def _expired_token(home: Home) -> None:
    for number in range(3):
        home.world.put(f"in/new-{number}.txt", b"new %d" % number, "green")
    home.world.expire_token()
    if home.world.renews_sign_in:
        assert home.work() == {"created": 3}
        return
    failed = home.run(statuses=(1,))
    assert failed["status"] == "failed"
    assert "does not accept the access key" in failed["error"]
    home.world.renew_credentials()
    assert home.work() == {"created": 3}


def _refused_position(home: Home) -> None:
    home.world.put("in/new.txt", b"new", "green")
    home.world.remove("in/keep.txt")
    home.world.refuse_position()
    assert home.work() == {"created": 1, "removed": 1}


def _expect_works(home: Home, expected: Sequence[Mapping[str, int]]) -> None:
    *before, last = expected
    for work in before:
        assert home.work(*home.world.following) == dict(work)
        assert home.is_asked_for(), "what is left to do would wait for the sync's rhythm"
    assert home.work(*home.world.following) == dict(last)


def _put_many(home: Home, count: int) -> None:
    for number in range(count):
        home.world.put(f"in/many/{number:02}.txt", b"one of many %d" % number, "green")


def _without_halves(_world: World) -> dict[str, Any]:
    return {"file_filters": {"exclude_patterns": ["*.tmp"]}}


def _only_red(world: World) -> dict[str, Any]:
    wanted = {"field": world.team_name, "operator": "equals", "value": "red"}
    return {"file_filters": {"metadata_filters": [wanted]}}


_SECOND = frozenset({"postgres"})

SCENARIOS = (
    Scenario("new", _new),
    Scenario("changed", _changed),
    Scenario("unchanged", _unchanged),
    Scenario("renamed", _renamed),
    Scenario("moved", _moved),
    Scenario("removed", _removed),
    Scenario("filtered", _filtered, settings=_without_halves),
    Scenario("failing item", _failing),
    Scenario("throttled", _throttled),
    Scenario("killed in its first listing", _killed_in_its_first_listing, first_run=False),
    Scenario("killed in a later pass", _killed_later),
    Scenario("expired token", _expired_token),
    Scenario("refused position", _refused_position),
    Scenario("relabelled", _relabelled, slow_on=_SECOND),
    Scenario("folder renamed", _folder_renamed, slow_on=_SECOND),
    Scenario("replaced by a copy", _replaced_by_a_copy, slow_on=_SECOND),
    Scenario("put back", _put_back, slow_on=_SECOND),
    Scenario("filtered by an attribute", _filtered_by_an_attribute, _only_red, first_run=False, slow_on=_SECOND),
)
