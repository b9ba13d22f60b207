"""Every provider into a bucket at the hosted service: one story each, and the whole table for one provider."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixsync_dagster_tests.scenarios.homes import Home
from mixsync_dagster_tests.scenarios.hosted_home import hosted
from mixsync_dagster_tests.scenarios.table import SCENARIOS, Scenario, put_base
from mixsync_dagster_tests.scenarios.test_scenarios import PROVIDERS

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_hosted_bucket_is_in_step_with_the_source(make_home: Callable[..., Home], provider: str) -> None:
    with hosted(make_home(provider, "sqlite")) as home:
        put_base(home.world)
        assert home.work() == {"created": 4}
        home.assert_in_step()
        home.service.forget_exchanges()
        assert home.work() == {}
        assert home.service.count() == 0
        home.world.put("in/new.txt", b"new", "green")
        home.world.put("in/a.txt", b"alpha, rewritten", "green")
        home.world.remove("in/keep.txt")
        # Whatever a change feed tells of removals, a full listing finds them.
        assert home.work("--full") == {"created": 1, "replaced": 1, "removed": 1}
        home.assert_in_step()
        home.assert_processed()
        listed = home.mixsync("objects", "bkt_scenarios", "--json").lines
        assert sorted(one["source_path"] for one in listed) == sorted(one.path for one in home.held().values())


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_the_whole_table_holds_for_a_hosted_bucket(make_home: Callable[..., Home], scenario: Scenario) -> None:
    provider = "google_drive"
    home = make_home(provider, "sqlite", scenario.settings)
    if scenario.name in home.world.lacks:
        pytest.skip(home.world.lacks[scenario.name])
    with hosted(home) as moved:
        if scenario.first_run:
            put_base(moved.world)
            assert moved.work() == {"created": 4}
        scenario.act(moved)
        moved.assert_in_step()
        moved.assert_processed()
