"""Making the tables: twice, at once, and the look whether it was done."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.progress import Commit, Refusal
from mixsync_dagster.ports.listing import ConnectionFilter, Part
from mixsync_dagster.state import schema
from mixsync_dagster.state.database import Database
from mixsync_dagster.state.migrate import check_version, upgrade
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.contracts.state_samples import CONNECTION, MOMENT, SYNC, begin, connection, placed, seed

_UPGRADE = """
import sys
from mixsync_dagster.state.database import Database
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.testing.clock import SimulatedClock
sys.stdin.readline()
upgrade(Database.open(sys.argv[1], clock=SimulatedClock()))
"""


def test_processes_that_upgrade_a_fresh_home_at_once_all_succeed(empty_url, clock):
    command = [sys.executable, "-c", _UPGRADE, empty_url]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])
        for _ in range(3)
    ]
    for process in started:
        # Each waits for its line behind the imports, so that they set off together.
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors.decode()) == (0, "")
    store = SqlStateStore.open(empty_url, clock=clock, key=b"k" * 32)
    seed(store)
    assert len(store.list_syncs()) == 2
    store.close()


def test_the_migrations_make_what_the_schema_says(url, clock):
    database = Database.open(url, clock=clock)
    with database.read() as tx:
        differences = compare_metadata(MigrationContext.configure(tx.connection), schema.metadata)
        partial = (
            {row[0] for row in tx.rows("SELECT indexname FROM pg_indexes WHERE indexdef LIKE ?", "% WHERE %")}
            if database.postgres
            else {row[0] for row in tx.rows("SELECT name FROM sqlite_master WHERE sql LIKE ?", "CREATE% WHERE %")}
        )
    database.close()
    assert differences == []
    described = {
        index.name
        for table in schema.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["postgresql"]["where"] is not None
    }
    assert partial == described
    assert len(described) == 8


def test_upgrading_again_changes_nothing(url, clock):
    store = SqlStateStore.open(url, clock=clock, key=b"k" * 32)
    seed(store)
    upgrade(store._database)
    assert len(store.list_syncs()) == 2
    store.close()


def test_a_store_of_the_first_revision_keeps_what_it_holds(empty_url, clock):
    database = Database.open(empty_url, clock=clock)
    if database.path is not None:
        database.path.parent.mkdir()
    upgrade(database)
    seed(SqlStateStore(database, b"k" * 32))
    with database.write() as tx:
        config = Config()
        config.set_main_option("script_location", "mixsync_dagster.state:migrations")
        config.attributes["connection"] = tx.connection
        command.downgrade(config, "0001")
        tx.run(
            "INSERT INTO inventory (sync_config_id, source_object_id, object_id, path, version, updated_at) "
            "VALUES (?, 'a', 'obj_a', 'a', 'v1', 0)",
            SYNC,
        )
    with pytest.raises(ConfigurationError, match="has revision 0001 and this version needs 0010; run `mixsync init`"):
        check_version(database)
    upgrade(database)
    database.close()
    store = SqlStateStore.open(empty_url, clock=clock, key=b"k" * 32)
    assert [sync.name for sync in store.list_syncs()] == ["archive", "videos"]
    found = store.list_connections_part(connection().internal_id, ConnectionFilter("s3", "ACTIVE", True), Part(5))
    assert [(one.connection_id, one.created_at) for one in found.entries] == [(CONNECTION, MOMENT)]
    behind = Part(5, after=(MOMENT, CONNECTION))
    assert list(store.list_connections_part(connection().internal_id, ConnectionFilter(), behind).entries) == []
    assert store.inventory_of(SYNC, ["a"]).column("version").to_pylist() == ["v1"]
    assert store.refusals_span(SYNC, None, None).num_rows == 0
    store.commit(begin(store), Commit(refused=[Refusal("b", "v1", None, "r1")], placed=[placed("a", "v2")]))
    assert store.refusals_of(SYNC, ["a", "b"]).column("source_object_id").to_pylist() == ["b"]
    assert store.inventory_of(SYNC, ["a"]).column("version").to_pylist() == ["v2"]
    store.close()


def test_a_database_without_tables_is_told_apart(empty_url, clock):
    with pytest.raises(ConfigurationError, match="run `mixsync init`"):
        SqlStateStore.open(empty_url, clock=clock, key=b"k" * 32)


def test_an_empty_file_is_told_apart(tmp_path, clock):
    (tmp_path / "state.db").touch()
    with pytest.raises(ConfigurationError, match="no tables yet; run `mixsync init`"):
        check_version(Database.open(f"sqlite:///{tmp_path}/state.db", clock=clock))


def test_another_revision_is_refused(url, clock):
    database = Database.open(url, clock=clock)
    with database.write() as tx:
        tx.run("UPDATE alembic_version SET version_num = ?", "0000")
    with pytest.raises(ConfigurationError, match="has revision 0000 and this version needs 0010; run `mixsync init`"):
        check_version(database)
    database.close()


def test_only_the_owner_can_read_a_sqlite_store(tmp_path, clock):
    database = Database.open(f"sqlite:///{tmp_path}/home/state.db", clock=clock)
    upgrade(database)
    with database.write() as tx:
        tx.run("DELETE FROM runs")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir()}
    database.close()
    assert set(modes.values()) == {0o600}
    assert "state.db-wal" in modes


def test_opening_a_store_does_not_import_alembic():
    code = "import sys, mixsync_dagster.state.store; print('alembic' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(__file__).parents[2])
    assert run.stdout.strip() == b"False"
