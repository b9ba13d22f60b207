"""Rows that change or go without their watermark telling: the daily full pass finds them, and so does verify."""

import hashlib

import pytest

from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.commands.conftest import bare_home, home, mixsync  # noqa: F401 - found by being here
from mixsync_dagster_tests.control.support import applied
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - found by being here
from mixsync_dagster_tests.engine.support import mapping_of

FIELDS = mapping_of(name={"source": {"type": "column", "name": "name"}})
SETTINGS = {"primary_key_columns": ("ID",), "incremental_column": "SEEN", "page_rows": 2}
HOUR = 3600.0

DEFINED = """\
connections:
  warehouse:
    provider_type: snowflake
    provider_config:
      account: acct
      warehouse: WH
      host: 127.0.0.1
      port: {port}
      protocol: http
      primary_key_columns: [ID]
      incremental_column: SEEN
      credentials: {{type: username_password, username: reader, password: {{env: MEDIA_SECRET}}}}
buckets:
  bkt_rows:
syncs:
  items:
    bucket_id: bkt_rows
    connection_id: warehouse
    source_path: {table}
    schema_mapping:
      mappings:
        name: {{target_type: field, source: {{type: column, name: name}}}}
        photo: {{target_type: blob, source: {{type: file}}}}
"""


@pytest.fixture
def drifting(tables):
    """Four rows, of which two lie far behind the watermark's overlap; a function makes these drift."""
    tables.run("CREATE TABLE $ITEMS (ID NUMBER, NAME VARCHAR, SEEN TIMESTAMP_NTZ, PHOTO BINARY)")
    for number in range(1, 5):
        sql = "INSERT INTO $ITEMS SELECT CAST(? AS NUMBER), ?, CAST(? AS TIMESTAMP_NTZ), TO_BINARY(?, 'HEX')"
        tables.run(sql, str(number), f"n{number}", f"2026-01-0{number} 00:00:00", f"0{number}")

    def drift():
        tables.run("UPDATE $ITEMS SET NAME = 'drifted', PHOTO = TO_BINARY('FF', 'HEX') WHERE ID = 1")
        tables.run("DELETE FROM $ITEMS WHERE ID = 2")

    return drift


@pytest.fixture
def world(tables, drifting, make_world):  # noqa: F811 - the fixture above
    world = make_world(source_type="snowflake", schema_mapping=FIELDS)
    tools = world.tools

    def tools_of_a_new_process(**changes):
        provider = retrying(tables.provider("ITEMS", **SETTINGS), Retrier(world.clock, seed=1))
        return tools(provider=provider, provider_name="snowflake", **changes)

    world.tools = tools_of_a_new_process
    return world


def names(world):
    return {path: stored.fields["name"] for path, stored in world.objects().items()}


def test_the_watermark_does_not_tell_and_the_daily_full_pass_does(world, drifting):
    assert world.run().counters.created == 4
    drifting()
    for _ in range(3):
        counters = world.run().counters
        assert (counters.created, counters.replaced, counters.removed, counters.failed) == (0, 0, 0, 0)
        world.clock.advance(7 * HOUR)
    assert names(world) == {"1": "n1", "2": "n2", "3": "n3", "4": "n4"}
    world.clock.advance(4 * HOUR)
    counters = world.run().counters
    assert (counters.created, counters.replaced, counters.removed, counters.failed) == (0, 1, 1, 0)
    assert names(world) == {"1": "drifted", "3": "n3", "4": "n4"}


def test_verify_finds_the_drift_at_the_source_and_damage_in_the_bucket(tables, drifting, home, mixsync):  # noqa: F811 - the fixtures above
    with Services.open() as services:
        table = f"WORLD.{tables.schema}.ITEMS"
        applied(services, DEFINED.format(port=tables.simulator.port, table=table))

    def found():
        done = mixsync("verify", "bkt_rows", "--data", "--source", "--json")
        return done.status, {line["kind"]: line["message"] for line in done.lines}

    assert mixsync("run", "items", "--json").status == 0
    assert found() == (0, {})
    drifting()
    assert mixsync("run", "items", "--json").status == 0
    status, findings = found()
    assert (status, sorted(findings)) == (1, ["source_remove", "source_replace"])
    assert "1 items are in the bucket in another version than at the source, e.g. 1" in findings["source_replace"]
    assert "e.g. 2" in findings["source_remove"]
    assert mixsync("run", "items", "--full", "--json").status == 0
    assert found() == (0, {})
    name = hashlib.sha256(b"\x03").hexdigest()
    (blob,) = (home / "blobs").rglob(name)
    blob.chmod(0o600)
    blob.write_bytes(b"?" * blob.stat().st_size)
    status, findings = found()
    assert (status, sorted(findings)) == (1, ["blob_damaged"])
