import dataclasses
from pathlib import Path

import pytest

from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.settings import (
    SETTING_ROWS,
    Settings,
    child_environment,
    dagster_home,
    environment_value,
    resolve_env,
)


def test_without_any_variable_everything_has_its_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".mixsync"
    assert Settings.load({}) == Settings(home=home, database_url=f"sqlite:///{home}/state.db")


def test_every_setting_is_read(tmp_path):
    pem = tmp_path / "ca.pem"
    pem.touch()
    given = {
        "MIXSYNC_HOME": "/srv/mixsync",
        "MIXSYNC_DATABASE_URL": "postgresql://u:p@db/name",
        "MIXSYNC_SECRET_KEY": "k" * 40,
        "MIXSYNC_OLD_SECRET_KEYS": "a first one\nanother",
        "MIXSYNC_TENANT_ROLES": "true",
        "MIXSYNC_AUDIT_DAYS": "30",
        "MIXSYNC_BLOB_URL": "s3://blobs/x",
        "MIXSYNC_SPOOL_URL": "gs://spool",
        "MIXSYNC_NAMED_SYNCS": "0",
        "MIXSYNC_LEASE_SECONDS": "7.5",
        "MIXSYNC_SYNC_CONCURRENCY": "32",
        "MIXSYNC_CHECK_SECONDS": "2.5",
        "MIXSYNC_GRACE_DAYS": "0.5",
        "MIXSYNC_SYNCS_DIR": str(tmp_path),
        "MIXSYNC_API_REQUESTS_PER_MINUTE": "60",
        "MIXSYNC_TRACES_URL": "http://127.0.0.1:4318/v1/traces",
        "MIXSYNC_LOG_FORMAT": "json",
        "MIXSYNC_CA_BUNDLE": str(pem),
        "MIXSYNC_ALLOWED_ADDRESSES": "minio.lan, 10.1.0.0/16",
        "MIXSYNC_FETCH_HOSTS": "cdn.example, http://*:8080",
        "MIXSYNC_FETCH_BYTES": "1000",
        "MIXSYNC_FETCH_SECONDS": "1.5",
    }
    assert set(given) == {row.name for row in SETTING_ROWS}
    assert Settings.load(given) == Settings(
        home=Path("/srv/mixsync"),
        database_url="postgresql://u:p@db/name",
        secret_key="k" * 40,
        old_secret_keys=("a first one", "another"),
        tenant_roles=True,
        audit_days=30,
        blob_url="s3://blobs/x",
        spool_url="gs://spool",
        named_syncs=0,
        lease_seconds=7.5,
        sync_concurrency=32,
        check_seconds=2.5,
        grace_days=0.5,
        syncs_dir=tmp_path,
        api_requests_per_minute=60,
        traces_url="http://127.0.0.1:4318/v1/traces",
        log_format="json",
        ca_bundle=pem,
        allowed_addresses=("minio.lan", "10.1.0.0/16"),
        fetch_hosts=("cdn.example", "http://*:8080"),
        fetch_bytes=1000,
        fetch_seconds=1.5,
    )


def test_every_setting_of_the_table_has_a_field_and_the_other_way_round():
    fields = {f"MIXSYNC_{field.name.upper()}" for field in dataclasses.fields(Settings)}
    assert fields == {row.name for row in SETTING_ROWS}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("NAMED_SYNCS", "201", "MIXSYNC_NAMED_SYNCS: 201 is not accepted; give a whole number from 0 to 200."),
        ("NAMED_SYNCS", "-1", "MIXSYNC_NAMED_SYNCS: -1 is not accepted; give a whole number from 0 to 200."),
        ("NAMED_SYNCS", "many", "MIXSYNC_NAMED_SYNCS: many is not accepted; give a whole number from 0 to 200."),
        ("LEASE_SECONDS", "4", "MIXSYNC_LEASE_SECONDS: 4 is not accepted; give a number from 5 to 3600 (seconds)."),
        ("LEASE_SECONDS", "nan", "MIXSYNC_LEASE_SECONDS: nan is not accepted; give a number from 5 to 3600 (seconds)."),
        ("SYNC_CONCURRENCY", "0", "MIXSYNC_SYNC_CONCURRENCY: 0 is not accepted; give a whole number from 1 to 1024."),
        ("LOG_FORMAT", "xml", "MIXSYNC_LOG_FORMAT: xml is not accepted; give text or json."),
        ("BLOB_URL", "/b", "MIXSYNC_BLOB_URL: /b is not accepted; give a file://, s3://, gs:// or az:// URL."),
        ("SPOOL_URL", "az://b", "MIXSYNC_SPOOL_URL: az://b is not accepted; give a file://, s3:// or gs:// URL."),
        (
            "ALLOWED_ADDRESSES",
            "minio.lan,10.0.0.0/33",
            (
                "MIXSYNC_ALLOWED_ADDRESSES: minio.lan,10.0.0.0/33 is not accepted; give host names, *.names, addresses "
                "and CIDR ranges, separated by commas."
            ),
        ),
        (
            "SYNCS_DIR",
            "/absent/folder",
            "MIXSYNC_SYNCS_DIR: /absent/folder is not accepted; give the path of a folder of YAML files that exists.",
        ),
        (
            "DATABASE_URL",
            "mysql://user:hush@db/x",
            (
                "MIXSYNC_DATABASE_URL: the value is not accepted; "
                "give a URL that begins with sqlite:///, postgresql:// or postgresql+psycopg://."
            ),
        ),
    ],
)
def test_a_value_that_is_not_accepted_is_one_sentence(name, value, sentence):
    with pytest.raises(InvalidInput) as refused:
        Settings.load({f"MIXSYNC_{name}": value})
    assert str(refused.value) == sentence


def test_all_wrong_values_are_told_at_once():
    with pytest.raises(InvalidInput) as refused:
        Settings.load({"MIXSYNC_NAMED_SYNCS": "x", "MIXSYNC_LOG_FORMAT": "y"})
    assert len(refused.value.problems) == 2


def test_an_empty_variable_counts_as_unset():
    assert Settings.load({"MIXSYNC_NAMED_SYNCS": " "}).named_syncs == 50


def test_neither_key_nor_password_is_shown():
    settings = Settings.load({"MIXSYNC_SECRET_KEY": "hush-key", "MIXSYNC_DATABASE_URL": "postgresql://u:hush-db@h/n"})
    assert "hush" not in repr(settings)


def test_an_unset_reference_names_connection_field_and_variable():
    with pytest.raises(ConfigurationError) as unset:
        resolve_env("A_SECRET", connection="media-s3", field="secret_access_key", lookup={}.get)
    assert str(unset.value) == (
        "connections.media-s3.secret_access_key: the environment variable A_SECRET is not set; "
        "set it where mixsync and Dagster run, or give another one."
    )


def test_references_are_looked_up_in_the_environment(monkeypatch):
    monkeypatch.setenv("A_VALUE", "v")
    monkeypatch.setenv("EMPTY", "")
    assert (environment_value("A_VALUE"), environment_value("EMPTY"), environment_value("ABSENT_ONE")) == (
        "v",
        None,
        None,
    )
    assert resolve_env("A_VALUE", connection="c", field="f") == "v"


def test_a_child_gets_the_environment_with_changes(monkeypatch):
    monkeypatch.setenv("MIXSYNC_OLD", "1")
    monkeypatch.setenv("KEPT", "2")
    made = child_environment({"MIXSYNC_HOME": "/h"}, without_prefix="MIXSYNC_")
    assert (made["MIXSYNC_HOME"], made["KEPT"], "MIXSYNC_OLD" in made) == ("/h", "2", False)


def test_the_dagster_home_is_the_variable_or_nothing(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert dagster_home() is None
    monkeypatch.setenv("DAGSTER_HOME", "/srv/dagster")
    assert dagster_home() == Path("/srv/dagster")
