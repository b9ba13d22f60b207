from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.connections import StorageConnectionCreateRequest
from mixsync_dagster.model.provider_configs import ProviderConfig, ProviderSettings, S3Settings
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.model.samples import CONFIGS, PEM, S3_CREDENTIALS, connection_request

ROLE = {"type": "iam_role", "role_arn": "arn:aws:iam::123456789012:role/storage-sync", "external_id": "org_abc1"}
KEY_PAIR = {"type": "key_pair", "username": "U", "private_key": PEM, "private_key_passphrase": "p"}
OAUTH = {"type": "oauth", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
DELEGATED = {"type": "delegated", "tenant_id": "common", "client_id": "c", "client_secret": "s", "refresh_token": "r"}


def config_of(provider, **changes):
    request = connection_request(provider, provider_config={**CONFIGS[provider], **changes})
    return parse(StorageConnectionCreateRequest, request).provider_config


def refusal(provider, **changes):
    with pytest.raises(InvalidInput) as caught:
        config_of(provider, **changes)
    return str(caught.value)


@pytest.mark.parametrize("provider", sorted(CONFIGS))
def test_every_provider_has_its_config(provider):
    assert config_of(provider).provider_type == provider


@pytest.mark.parametrize(
    ("provider", "credentials"),
    [
        ("s3", ROLE),
        ("s3", {**S3_CREDENTIALS, "session_token": "t"}),
        ("s3", {"type": "access_key", "access_key_id": "a", "secret_access_key": "b"}),
        ("tigris", {"access_key_id": "a", "secret_access_key": "b"}),
        ("google_drive", OAUTH),
        ("sharepoint", DELEGATED),
        ("snowflake", KEY_PAIR),
    ],
)
def test_every_kind_of_credentials_is_accepted(provider, credentials):
    config = config_of(provider, credentials=credentials)
    assert config.credentials.type == credentials.get("type", "access_key")


@pytest.mark.parametrize(
    ("provider", "credentials", "field"),
    [
        ("s3", {**S3_CREDENTIALS, "access_key_id": ""}, "access_key_id"),
        ("s3", {**S3_CREDENTIALS, "access_key_id": "k" * 129}, "access_key_id"),
        ("s3", {**S3_CREDENTIALS, "access_key_id": "key\n"}, "access_key_id"),
        ("s3", {**ROLE, "role_arn": "arn:aws:iam::12345:role/x"}, "role_arn"),
        ("s3", {**ROLE, "role_arn": "arn:aws:iam::123456789012:role/x\n"}, "role_arn"),
        ("s3", {**ROLE, "external_id": "1234567"}, "external_id"),
        ("s3", {**ROLE, "external_id": "x" * 129}, "external_id"),
        ("s3", KEY_PAIR, "type"),
        ("tigris", ROLE, "type"),
        ("google_drive", {**CONFIGS["google_drive"]["credentials"], "private_key": "MIIE"}, "private_key"),
        ("google_drive", {**CONFIGS["google_drive"]["credentials"], "client_email": "nobody"}, "client_email"),
        ("google_drive", {**OAUTH, "token_uri": "http://example.com/token"}, "token_uri"),
        ("sharepoint", {**DELEGATED, "refresh_token": None}, "refresh_token"),
        ("snowflake", {**KEY_PAIR, "private_key": "x"}, "private_key"),
    ],
)
def test_credentials_of_the_wrong_form_are_refused(provider, credentials, field):
    assert f"provider_config.credentials.{field} holds a value that is not accepted" in refusal(
        provider, credentials=credentials
    )


def test_s3_defaults():
    assert config_of("s3", region="us-east-1").model_dump(mode="json", exclude={"credentials"}) == {
        "provider_type": "s3",
        "region": "us-east-1",
        "endpoint_url": None,
        "use_ssl": True,
        "verify_ssl": True,
        "dialect": "aws",
        "addressing_style": "auto",
    }


def test_other_defaults():
    assert config_of("tigris").endpoint_url == "https://fly.storage.tigris.dev"
    assert config_of("tigris").region == "auto"
    assert config_of("google_drive").credentials.token_uri == "https://oauth2.googleapis.com/token"
    assert config_of("sharepoint").graph_endpoint == "https://graph.microsoft.com/v1.0"
    assert config_of("sharepoint").authority_host == "https://login.microsoftonline.com"
    assert config_of("snowflake").query_timeout_seconds == 300
    assert config_of("snowflake").fetch_size == 1000


@pytest.mark.parametrize(
    ("changes", "use_ssl", "verify_ssl", "dialect"),
    [
        ({}, True, True, "aws"),
        ({"endpoint_url": "https://minio.example.com"}, True, True, "generic"),
        ({"endpoint_url": "https://s3.wasabisys.com", "dialect": "wasabi"}, True, True, "wasabi"),
        (
            {"endpoint_url": "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com", "dialect": "aws"},
            True,
            True,
            "aws",
        ),
        ({"endpoint_url": "http://127.0.0.1:9000"}, False, False, "generic"),
        ({"endpoint_url": "http://127.0.0.1:9000", "use_ssl": False}, False, False, "generic"),
        ({"endpoint_url": "http://localhost:9000", "use_ssl": False, "verify_ssl": False}, False, False, "generic"),
        ({"endpoint_url": "https://localhost:9000", "verify_ssl": False}, True, False, "generic"),
    ],
)
def test_encryption_and_dialect_follow_from_the_endpoint(changes, use_ssl, verify_ssl, dialect):
    config = config_of("s3", **changes)
    assert (config.use_ssl, config.verify_ssl, config.dialect) == (use_ssl, verify_ssl, dialect)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"use_ssl": False}, "use_ssl: false is not accepted; give true, for the endpoint is reached by https"),
        ({"endpoint_url": "http://127.0.0.1:9000", "use_ssl": True}, "use_ssl: true is not accepted; give false"),
        ({"endpoint_url": "https://127.0.0.1:9000", "use_ssl": False}, "use_ssl: false is not accepted; give true"),
        (
            {"endpoint_url": "http://127.0.0.1:9000", "verify_ssl": True},
            "verify_ssl: true is not accepted; give it only together with use_ssl: true",
        ),
        ({"endpoint_url": "http://minio:9000"}, "plain http is accepted for loopback addresses only"),
        ({"endpoint_url": "https://minio.example.com/"}, "give the URL without a trailing slash"),
        ({"dialect": "minio"}, "endpoint_url is missing; give the address of the service, for the dialect is minio"),
        ({"dialect": "oracle"}, "dialect: oracle is not accepted; give aws, tigris, minio, r2, wasabi, spaces, b2 or"),
        ({"addressing_style": "dns"}, "addressing_style: dns is not accepted; give auto, path or virtual"),
        ({"use_ssl": "yes"}, 'use_ssl: "yes" is not accepted; give true or false'),
        ({"bucket": "media"}, "provider_config.bucket is not a known key; the accepted keys are "),
    ],
)
def test_s3_settings_that_contradict_each_other_are_refused(changes, sentence):
    assert sentence in refusal("s3", **changes)


@pytest.mark.parametrize(
    ("field", "accepted", "refused"),
    [
        ("query_timeout_seconds", (30, 3600), (29, 3601)),
        ("fetch_size", (100, 10000), (99, 10001)),
        ("port", (1, 65535), (0, 65536)),
    ],
)
def test_bounds_of_snowflake(field, accepted, refused):
    for value in accepted:
        assert getattr(config_of("snowflake", **{field: value}), field) == value
    for value in refused:
        assert f"{field}: {value} is not accepted" in refusal("snowflake", **{field: value})


def test_snowflake_details():
    assert config_of("snowflake").schema_name == "PUBLIC"
    assert config_of("snowflake", protocol="http", host="127.0.0.1", port=8080).protocol == "http"
    assert "plain http is accepted for a loopback host only" in refusal("snowflake", protocol="http", host="db.example")
    assert "each named once" in refusal("snowflake", primary_key_columns=["id", "id"])
    assert "at least one column" in refusal("snowflake", primary_key_columns=[])
    assert "provider_config.schema_name is not a known key" in refusal("snowflake", schema_name="X")


def test_only_a_service_account_can_act_for_a_user():
    assert config_of("google_drive", impersonate_user="admin@company.com").impersonate_user == "admin@company.com"
    assert "only with service_account" in refusal("google_drive", credentials=OAUTH, impersonate_user="a@b.c")


@pytest.mark.parametrize("provider", sorted(CONFIGS))
def test_settings_survive_being_written_and_read(provider):
    config = config_of(provider)
    settings = TypeAdapter(ProviderSettings).validate_python(config.model_dump(exclude={"credentials"}))
    assert not hasattr(settings, "credentials")
    assert type(settings).model_validate(json.loads(settings.model_dump_json())) == settings
    assert TypeAdapter(ProviderConfig).validate_python(config.model_dump()) == config


def test_settings_do_not_change():
    settings = S3Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.region = "eu-west-1"
