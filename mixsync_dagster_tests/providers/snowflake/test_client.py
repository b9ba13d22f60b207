import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mixsync_dagster.errors import (
    AccessDenied,
    ConfigurationError,
    PathNotFound,
    ProviderUnavailable,
    RateLimited,
)
from mixsync_dagster.providers.snowflake.client import SnowflakeClient
from mixsync_dagster.testing.snowflake_simulator import Fault
from mixsync_dagster_tests.providers.snowflake.conftest import PASSWORD

PASSPHRASE = "CANARY-passphrase"


@pytest.fixture
def ask(tables):
    opened = []

    def ask(sql="SELECT 1", **changes):
        client = SnowflakeClient(tables.settings("T", **changes))
        opened.append(client)
        return client.rows(sql)

    yield ask
    for client in opened:
        client.close()


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key, passphrase=None):
    encryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def test_a_session_says_who_asks_and_in_which_form(ask, tables, simulator):
    assert ask(role="ANALYST", query_timeout_seconds=77, connection_id="conn_1") == [(1,)]
    (login,) = simulator.logins
    parameters = login["SESSION_PARAMETERS"]
    assert (login["LOGIN_NAME"], login["PASSWORD"]) == ("reader", PASSWORD)
    assert json.loads(parameters["QUERY_TAG"]) == {
        "application": "mixsync_dagster",
        "connection_id": "conn_1",
        "source_path": f'"WORLD"."{tables.schema}"."T"',
    }
    assert parameters["STATEMENT_TIMEOUT_IN_SECONDS"] == 77
    assert parameters["TIMEZONE"] == "UTC"
    assert parameters["TIMESTAMP_NTZ_OUTPUT_FORMAT"] == 'YYYY-MM-DD"T"HH24:MI:SS.FF9'
    assert parameters["QUOTED_IDENTIFIERS_IGNORE_CASE"] is False
    assert parameters["ABORT_DETACHED_QUERY"] is True


def test_one_session_serves_all_statements(tables, simulator):
    client = SnowflakeClient(tables.settings("T"))
    for _ in range(3):
        client.rows("SELECT 1")
    client.close()
    client.close()
    assert len(simulator.logins) == 1


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_key_pair_signs_in_by_token(ask, simulator, key, passphrase):
    ask(password=None, private_key=pem(key, passphrase), private_key_passphrase=passphrase)
    (login,) = simulator.logins
    assert login["AUTHENTICATOR"] == "SNOWFLAKE_JWT"
    assert "PASSWORD" not in login
    claims = json.loads(base64.urlsafe_b64decode(login["TOKEN"].split(".")[1] + "=="))
    assert claims["sub"] == "ACCT.READER"


@pytest.mark.parametrize("passphrase", [None, "CANARY-wrong"])
def test_a_key_that_its_passphrase_does_not_open_is_named_without_being_shown(ask, key, passphrase):
    with pytest.raises(ConfigurationError, match=r"credentials[.]private_key: the key cannot be read") as raised:
        ask(password=None, private_key=pem(key, PASSPHRASE), private_key_passphrase=passphrase)
    assert "CANARY" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_secrets_are_not_shown(tables, key):
    settings = tables.settings("T", private_key=pem(key), private_key_passphrase=PASSPHRASE)
    assert "CANARY" not in repr(settings)
    assert "PRIVATE KEY" not in repr(settings)


@pytest.mark.parametrize(
    ("fault", "error", "sentence"),
    [
        (
            Fault("login", code="390100", message=f"Incorrect username or password {PASSWORD}."),
            AccessDenied,
            "credentials",
        ),
        (
            Fault(
                "login",
                code="390189",
                message="Role 'ANALYST' specified in the connect string does not exist or not authorized.",
            ),
            AccessDenied,
            "role: the role ANALYST",
        ),
        (
            Fault(
                "login",
                code="390422",
                message="Incoming request with IP/Token 1.2.3.4 is not allowed to access Snowflake.",
            ),
            AccessDenied,
            "network policy",
        ),
        (Fault("login", status=503, times=99), ProviderUnavailable, "cannot be reached"),
        (
            Fault(
                "SELECT",
                code="000606",
                sql_state="57P03",
                message="No active warehouse selected in the current session.",
            ),
            ConfigurationError,
            "warehouse: COMPUTE_WH",
        ),
        (Fault("SELECT", code="002003", sql_state="42S02"), PathNotFound, "does not exist"),
        (Fault("SELECT", code="003001", sql_state="42501"), AccessDenied, "grant SELECT"),
        (Fault("SELECT", code="000630", sql_state="57014"), ConfigurationError, "query_timeout_seconds"),
        (Fault("SELECT", status=503, times=99), ProviderUnavailable, "no usable answer"),
        (Fault("login", status=403, times=99), ConfigurationError, "account: nobody answers for the account acct"),
        (Fault("login", status=404, times=99), ConfigurationError, "account: nobody answers for the account acct"),
        (Fault("SELECT", status=403, times=99), ProviderUnavailable, "no usable answer"),
        (Fault("SELECT", status=429, times=99), RateLimited, "slow down"),
    ],
)
def test_what_goes_wrong_becomes_ours_without_secrets(ask, simulator, fault, error, sentence):
    simulator.faults.append(fault)
    with pytest.raises(error, match=sentence) as raised:
        ask(role="ANALYST")
    assert "CANARY" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_nobody_there_is_an_outage(ask, simulator):
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        ask(port=9)


def test_a_session_that_ended_begins_anew_with_the_next_statement(tables, simulator):
    client = SnowflakeClient(tables.settings("T"))
    client.rows("SELECT 1")
    simulator.faults.append(Fault("SELECT 2", code="390114", message="Authentication token has expired."))
    with pytest.raises(ProviderUnavailable, match="begins anew"):
        client.rows("SELECT 2")
    assert client.rows("SELECT 3") == [(3,)]
    client.close()
    assert len(simulator.logins) == 2


def test_values_are_bound_by_the_server(tables, simulator):
    client = SnowflakeClient(tables.settings("T"))
    value = "'; DROP TABLE x; --"
    assert client.rows("SELECT ?", (value,)) == [(value,)]
    client.close()
    (sent,) = simulator.statements
    assert (sent.sql, sent.binds) == ("SELECT ?", (value,))
