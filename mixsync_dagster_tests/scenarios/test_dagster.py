"""Every provider through `dagster job execute`, from an empty bucket to a changed source."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixsync_dagster_tests.scenarios.homes import Home
from mixsync_dagster_tests.scenarios.table import put_base

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning")


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
@pytest.mark.parametrize("provider", ["s3", "tigris", "google_drive", "sharepoint", "snowflake"])
def test_a_source_is_brought_and_followed_by_dagster(
    make_home: Callable[..., Home], provider: str, database: str
) -> None:
    home = make_home(provider, database)
    put_base(home.world)
    first = home.execute()
    assert (first["status"], first["created"]) == ("completed", 4)
    before = home.object_ids()

    home.world.put("in/new.txt", b"new", "green")
    home.world.put("in/a.txt", b"alpha, rewritten", "green")
    home.world.remove("in/keep.txt")
    second = home.execute(full_sync="--full" in home.world.following)

    assert second["status"] == "completed"
    assert (second["created"], second["replaced"], second["removed"], second["failed"]) == (1, 1, 1, 0)
    assert home.object_ids()["in/a.txt"] == before["in/a.txt"]
    home.assert_in_step()
