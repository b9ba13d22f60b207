"""Every provider through one table of scenarios, on both databases, by `mixsync run`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster_tests.scenarios.drive_world import DriveWorld
from mixsync_dagster_tests.scenarios.graph_world import GraphWorld
from mixsync_dagster_tests.scenarios.homes import Home
from mixsync_dagster_tests.scenarios.snowflake_world import SnowflakeWorld
from mixsync_dagster_tests.scenarios.storage_worlds import S3World, TigrisWorld
from mixsync_dagster_tests.scenarios.table import SCENARIOS, Scenario, put_base

WORLDS = (S3World, TigrisWorld, DriveWorld, GraphWorld, SnowflakeWorld)
PROVIDERS = tuple(world.provider for world in WORLDS)
WATERMARK = "snowflake by watermark"

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning")


def _cells() -> Iterator[Any]:
    for scenario, provider, database in product(SCENARIOS, (*PROVIDERS, WATERMARK), ("sqlite", "postgres")):
        again = provider == WATERMARK and (database == "postgres" or scenario.slow_on)
        slow = again or database in scenario.slow_on
        marks = [pytest.mark.slow] if slow else []
        yield pytest.param(scenario, provider, database, id=f"{scenario.name}-{provider}-{database}", marks=marks)


@pytest.mark.parametrize(("scenario", "provider", "database"), _cells())
def test_the_bucket_is_in_step_with_the_source(
    make_home: Callable[..., Home], scenario: Scenario, provider: str, database: str
) -> None:
    home = make_home(provider, database, scenario.settings)
    if scenario.name in home.world.lacks:
        pytest.skip(home.world.lacks[scenario.name])
    if scenario.first_run:
        put_base(home.world)
        assert home.work() == {"created": 4}
    scenario.act(home)
    home.assert_in_step()


def test_what_means_nothing_to_a_provider_is_said_and_little() -> None:
    lacking = {(world.provider, name) for world in WORLDS for name in world.lacks}
    assert lacking == {
        ("s3", "refused position"),
        ("s3", "relabelled"),
        ("tigris", "refused position"),
        ("tigris", "relabelled"),
        ("snowflake", "folder renamed"),
        ("snowflake", "moved"),
        ("snowflake", "refused position"),
    }
    assert {name for _, name in lacking} <= {scenario.name for scenario in SCENARIOS}
    assert set(PROVIDERS) == {provider.value for provider in ProviderType}
