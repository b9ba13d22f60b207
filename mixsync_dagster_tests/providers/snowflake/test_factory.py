import json

import pytest

from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.model.provider_configs import S3Config, SnowflakeConfig
from mixsync_dagster.providers.snowflake.client import query_tag
from mixsync_dagster.providers.snowflake.factory import from_connection, settings_for

PASSWORD = {"type": "username_password", "username": "reader", "password": "CANARY"}
PEM = "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n"
KEY_PAIR = {"type": "key_pair", "username": "reader", "private_key": PEM, "private_key_passphrase": "CANARY-2"}


def config(**changes):
    return SnowflakeConfig(**{"account": "acct", "warehouse": "WH", "credentials": PASSWORD} | changes)


def test_a_connection_becomes_settings():
    settings = settings_for(
        config(
            role="ANALYST",
            primary_key_columns=["id"],
            incremental_column="updated_at",
            query_timeout_seconds=60,
            fetch_size=5000,
            host="127.0.0.1",
            port=8080,
            protocol="http",
        ),
        "db.s.t",
    )
    assert settings.table.quoted == '"DB"."S"."T"'
    assert (settings.account, settings.warehouse, settings.role) == ("acct", "WH", "ANALYST")
    assert (settings.username, settings.password, settings.private_key) == ("reader", "CANARY", None)
    assert (settings.primary_key_columns, settings.incremental_column) == (("id",), "updated_at")
    assert (settings.query_timeout_seconds, settings.page_rows) == (60, 5000)
    assert (settings.host, settings.port, settings.protocol) == ("127.0.0.1", 8080, "http")


def test_a_key_pair_becomes_settings():
    settings = settings_for(config(credentials=KEY_PAIR), "db.s.t")
    assert (settings.password, settings.private_key_passphrase) == (None, "CANARY-2")
    assert settings.private_key == PEM


@pytest.mark.parametrize(
    ("path", "defaults", "table"),
    [
        ("t", {"database": "db", "schema": "s"}, '"DB"."S"."T"'),
        ("x.t", {"database": "db", "schema": "s"}, '"DB"."X"."T"'),
        ('"t"', {"database": '"my db"', "schema": '"a.b"'}, '"my db"."a.b"."t"'),
        ('D.S."t""; DROP"', {}, '"D"."S"."t""; DROP"'),
    ],
)
def test_the_table_is_named_by_path_and_defaults(path, defaults, table):
    assert settings_for(config(**defaults), path).table.quoted == table


@pytest.mark.parametrize(("path", "defaults", "missing"), [("t", {"database": "d"}, "schema"), ("s.t", {}, "database")])
def test_a_path_that_needs_a_default_says_which(path, defaults, missing):
    with pytest.raises(ConfigurationError, match=f"names no {missing}"):
        settings_for(config(**defaults), path)


def test_a_default_of_two_names_is_refused():
    with pytest.raises(InvalidInput, match=r"database: a[.]b is not accepted; give a single name"):
        settings_for(config(database="a.b", schema="s"), "t")


def test_a_content_column_can_be_chosen():
    provider = from_connection(config(), "d.s.t", provider_filters={"content_column": "photo"})
    assert provider._settings.content_column == "photo"


@pytest.mark.parametrize("filters", [{"where": "1=1"}, {"content_column": 7}, {"content_column": ""}])
def test_filters_that_snowflake_does_not_know_are_refused(filters):
    with pytest.raises(InvalidInput, match="provider_filters"):
        from_connection(config(), "d.s.t", provider_filters=filters)


def test_a_connection_of_another_provider_is_refused():
    keys = {"type": "access_key", "access_key_id": "AKID", "secret_access_key": "CANARY"}
    with pytest.raises(ConfigurationError, match="give snowflake"):
        from_connection(S3Config(credentials=keys), "d.s.t")


def test_statements_say_of_which_connection_they_are():
    provider = from_connection(config(), "d.s.t", connection_id="conn_1")
    assert json.loads(query_tag(provider._settings)) == {
        "application": "mixsync_dagster",
        "connection_id": "conn_1",
        "source_path": '"D"."S"."T"',
    }
    assert "connection_id" not in query_tag(from_connection(config(), "d.s.t")._settings)


def test_making_a_provider_sends_nothing():
    provider = from_connection(config(host="127.0.0.1", port=9), "d.s.t")
    assert provider.root == ""
    provider.close()
