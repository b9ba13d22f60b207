"""The Snowflake simulator, by the real connector alone."""

import pytest
import snowflake.connector
from snowflake.connector.errors import Error, ProgrammingError

from mixsync_dagster.testing.snowflake_simulator import Fault, Sent, running

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning")


@pytest.fixture(scope="module")
def simulator():
    with running() as simulator:
        yield simulator


@pytest.fixture
def cursor(simulator):
    simulator.clear()
    connection = snowflake.connector.connect(
        user="reader",
        password="fake",
        account="acct",
        database="SIMULATED",
        schema="S",
        host=simulator.host,
        port=simulator.port,
        protocol="http",
        paramstyle="qmark",
        network_timeout=1,
        session_parameters={"CLIENT_TELEMETRY_ENABLED": False},
    )
    yield connection.cursor()
    simulator.clear()
    connection.close()


def test_statements_and_bound_values_are_logged(simulator, cursor):
    assert cursor.execute("SELECT ?", ("a",)).fetchall() == [("a",)]
    assert simulator.statements == [Sent("SELECT ?", ("a",))]
    assert simulator.texts("SELECT") == ["SELECT ?"]
    assert simulator.logins[0]["LOGIN_NAME"] == "reader"


def test_a_fault_strikes_as_often_as_it_is_told(simulator, cursor):
    simulator.faults.append(Fault("SELECT 1", code="002003", sql_state="42S02"))
    with pytest.raises(ProgrammingError) as raised:
        cursor.execute("SELECT 1")
    assert (raised.value.errno, raised.value.sqlstate) == (2003, "42S02")
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]


def test_a_fault_can_be_one_of_http(simulator, cursor):
    simulator.faults.append(Fault("SELECT", status=503, times=99))
    with pytest.raises(Error):
        cursor.execute("SELECT 1")


def test_the_last_commit_moves_with_writing_statements_only(cursor):
    ask = 'SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME(\'"SIMULATED"."S"."T"\')'
    before = cursor.execute(ask).fetchone()
    assert cursor.execute(ask).fetchone() == before
    cursor.execute("CREATE OR REPLACE TABLE T (ID NUMBER)")
    assert cursor.execute(ask).fetchone() > before


def test_a_table_can_change_before_a_statement(simulator, cursor):
    seen = []
    simulator.before = seen.append
    cursor.execute("SELECT 7")
    assert seen == ["SELECT 7"]
