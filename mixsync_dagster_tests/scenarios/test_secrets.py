"""No secret of a connection is to be read anywhere: not after a run that succeeds, not after one that is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mixsync_dagster.testing.drive_simulator import sign_in as drive_sign_in
from mixsync_dagster.testing.fault_proxy import s3_error
from mixsync_dagster.testing.graph_simulator import sign_in as graph_sign_in
from mixsync_dagster.testing.snowflake_simulator import Fault
from mixsync_dagster_tests.scenarios.drive_world import DriveWorld
from mixsync_dagster_tests.scenarios.graph_world import GraphWorld
from mixsync_dagster_tests.scenarios.homes import SYNC, Home, Homes
from mixsync_dagster_tests.scenarios.snowflake_world import SnowflakeWorld
from mixsync_dagster_tests.scenarios.storage_worlds import S3World
from mixsync_dagster_tests.scenarios.table import put_base
from mixsync_dagster_tests.scenarios.worlds import World
from mixsync_dagster_tests.support.canaries import Canary, canary_of, canary_with, files_below, leaks_in, text_place

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning")

ACCEPTED = ("s3.access_key", "tigris.access_key", "google_drive.service_account", "google_drive.oauth",
            "sharepoint.client_credentials", "sharepoint.delegated", "snowflake.username_password",
            "snowflake.key_pair")  # fmt: skip
"""Credentials that the servers of these tests take."""
REFUSED = ("sharepoint.certificate",)
"""Credentials that they do not take."""

HANDED_OUT = Canary("any", {"type": "handed out"}, {
    "google_drive token": ["ya29.fake-"],
    "sharepoint download address": ["tempauth="],
    "s3 authorization": ["AWS4-HMAC-SHA256"],
    "bearer": ["Bearer "],
})  # fmt: skip
"""What services hand out, or clients make, for the time of a request."""


def canary_for(world: World, kind: str, patch: pytest.MonkeyPatch) -> Canary:
    """Return credentials with markers in all their secrets, and let the world's server know them."""
    provider = world.provider
    if isinstance(world, DriveWorld) and kind == "service_account":
        return canary_with(provider, world.drive.service_account(), "private_key")
    if isinstance(world, DriveWorld):
        canary = canary_of(provider, kind, **_plain(world.drive.consent()))
        for field in ("client_secret", "refresh_token"):
            patch.setitem(drive_sign_in.OAUTH, field, canary.credentials[field])
        return canary
    if isinstance(world, GraphWorld):
        canary = canary_of(provider, kind, **_plain(world.graph.credentials()))
        patch.setattr(graph_sign_in, "CLIENT_SECRET", canary.credentials.get("client_secret"))
        patch.setattr(graph_sign_in, "REFRESH_TOKEN", canary.credentials.get("refresh_token"))
        return canary
    return canary_of(provider, kind)


def _plain(credentials: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in credentials.items() if "secret" not in name and name != "type"}


def refuse_loudly(world: World, canary: Canary) -> None:
    """Refuse the credentials from now on, with answers that say what was sent."""
    told = json.dumps({name: canary.credentials[name] for name in canary.needles})
    if isinstance(world, S3World):
        world.proxy.add(s3_error(403, "SignatureDoesNotMatch", message=told))
    elif isinstance(world, DriveWorld):
        answer: Any = (400, {"error": "invalid_grant", "error_description": told})
        world.drive.sign_in.answer = lambda form: answer  # type: ignore[method-assign]
    elif isinstance(world, GraphWorld):
        refusal = {"error": "invalid_client", "error_description": f"AADSTS7000215: {told}", "error_codes": [7000215]}
        world.graph.sign_in.token = lambda form_text: (401, refusal)  # type: ignore[method-assign]
    elif isinstance(world, SnowflakeWorld):
        world.simulator.faults.append(Fault("login", code="390100", message=told, times=1000))


def places(home: Home) -> Iterator[tuple[str, bytes]]:
    """Yield everything that can be read: the home with Dagster's and all output, and the database's rows as text."""
    yield from files_below(home.path)
    for table in home.books.tables():
        rows = "\n".join(repr(row) for row in home.books.rows(f'SELECT * FROM "{table}"'))
        yield text_place(f"table {table}", rows)


@pytest.mark.parametrize(
    ("name", "database"),
    [(name, ("sqlite", "postgres")[number % 2]) for number, name in enumerate((*ACCEPTED, *REFUSED))],
)
def test_no_secret_is_left_by_a_run_that_succeeds_nor_by_one_that_is_refused(
    homes: Homes, make_world: Callable[[str], World], monkeypatch: pytest.MonkeyPatch, name: str, database: str
) -> None:
    provider, _, kind = name.partition(".")
    world = make_world(provider)
    canary = canary_for(world, kind, monkeypatch)
    put_base(world)
    with homes.home(world, database, credentials=canary.credentials) as home:
        if name in ACCEPTED:
            assert home.execute()["created"] == 4
        refuse_loudly(world, canary)
        assert home.execute(succeeds=False)["status"] == "failed"
        assert home.run(statuses=(1,))["error"]
        home.mixsync("check", SYNC, statuses=(1,))
        home.mixsync("runs", SYNC, "--json")
        assert leaks_in([canary, HANDED_OUT], places(home)) == []


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_planted_leak_is_found_wherever_it_is(
    homes: Homes, make_world: Callable[[str], World], database: str
) -> None:
    canary = canary_of("s3", "access_key")
    planted = f"the key is {canary.credentials['secret_access_key']}"
    world = make_world("s3")
    put_base(world)
    with homes.home(world, database, credentials=canary.credentials, description=planted) as home:
        home.execute("--tags", json.dumps({"note": planted}))
        home.mixsync("run", planted, statuses=(2,))
        found = {leak.partition(": ")[0].removeprefix(str(home.path)) for leak in leaks_in([canary], places(home))}
        assert "table syncs" in found
        assert f"/output-{home.outputs}.err" in found
        assert any(place.startswith("/dagster/") for place in found)
        assert ("/state.db" in found) == (database == "sqlite")
