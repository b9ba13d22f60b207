"""The Snowflake server of the session, and providers over tables of it."""

import itertools
from dataclasses import dataclass, field, replace

import pytest

from mixsync_dagster.model.paths import SnowflakeTable
from mixsync_dagster.providers.snowflake.client import SnowflakeClient
from mixsync_dagster.providers.snowflake.provider import SnowflakeProvider
from mixsync_dagster.providers.snowflake.settings import SnowflakeSettings
from mixsync_dagster.testing.snowflake_simulator import running

DATABASE = "WORLD"
PASSWORD = "CANARY-password"
_numbers = itertools.count()


def pytest_collection_modifyitems(items):
    """Let fakesnow, which runs in this process, use DuckDB as it does; the hook sees the items of all folders."""
    for item in items:
        if __package__ in item.nodeid.replace("/", "."):
            item.add_marker(pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning"))


@pytest.fixture(scope="session")
def simulator_of_session():
    with running() as simulator:
        yield simulator


@dataclass
class Tables:
    """A schema of its own for one test, and what reads and writes it."""

    simulator: object
    schema: str
    opened: list = field(default_factory=list)

    def __post_init__(self):
        self.writer = SnowflakeClient(self.settings("ANY"))
        self.run(f"CREATE SCHEMA IF NOT EXISTS {DATABASE}.{self.schema}")

    def settings(self, table, **changes):
        settings = SnowflakeSettings(
            account="acct",
            warehouse="COMPUTE_WH",
            table=SnowflakeTable(DATABASE, self.schema, table),
            username="reader",
            password=PASSWORD,
            host=self.simulator.host,
            port=self.simulator.port,
            protocol="http",
            login_timeout_seconds=2,
            network_timeout_seconds=1,
        )
        return replace(settings, **changes)

    def provider(self, table, **changes):
        provider = SnowflakeProvider(self.settings(table, **changes))
        self.opened.append(provider)
        return provider

    def run(self, sql, *binds):
        """Run a statement; $ stands for the schema's name and a dot."""
        return self.writer.rows(sql.replace("$", f"{DATABASE}.{self.schema}."), binds)

    def name(self, table):
        return f'"{DATABASE}"."{self.schema}"."{table}"'

    def close(self):
        for one in (*self.opened, self.writer):
            one.close()


@pytest.fixture
def tables(simulator_of_session):
    simulator_of_session.clear()
    tables = Tables(simulator_of_session, f"S{next(_numbers)}")
    simulator_of_session.clear()
    yield tables
    simulator_of_session.clear()
    tables.close()


@pytest.fixture
def simulator(tables):
    return tables.simulator


_FILES = "(PATH VARCHAR, CONTENT BINARY, UPDATED_AT TIMESTAMP_TZ)"


class RowWorld:
    """Files as rows of the table FILES; those of a folder stand in a table of the folder's name as well."""

    page_rows = 5

    def __init__(self, tables):
        self.tables = tables
        self.made = set()
        self.table("FILES")

    def provider(self, folder=""):
        return self.tables.provider(
            folder or "FILES",
            page_rows=self.page_rows,
            primary_key_columns=("PATH",),
            incremental_column="UPDATED_AT",
        )

    def table(self, name):
        if name not in self.made:
            self.tables.run(f"CREATE TABLE {self.tables.name(name)} {_FILES}")
            self.made.add(name)
        return self.tables.name(name)

    def places(self, path):
        folder, slash, rest = path.partition("/")
        yield self.table("FILES"), path
        if slash and folder.isidentifier():
            yield self.table(folder), rest

    def put(self, path, content, *, tags=None, metadata=None, properties=None):
        self.delete(path)
        for table, key in self.places(path):
            sql = f"INSERT INTO {table} SELECT ?, TO_BINARY(?, 'HEX'), CURRENT_TIMESTAMP()"
            self.tables.run(sql, key, content.hex())

    def delete(self, path):
        for table, key in self.places(path):
            self.tables.run(f"DELETE FROM {table} WHERE PATH = ?", key)


@pytest.fixture
def row_world(tables):
    return RowWorld(tables)
