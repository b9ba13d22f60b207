from __future__ import annotations

import json

import pytest

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.connections import (
    StorageConnection,
    StorageConnectionCreateRequest,
    StorageConnectionUpdateRequest,
    full_config,
    new_connection,
    replaced_config,
)
from mixsync_dagster.model.secrets import Secret, reveal
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.model.samples import CONFIGS, NOW, S3_CREDENTIALS, connection_request


def stored(provider="s3", **changes):
    request = parse(StorageConnectionCreateRequest, connection_request(provider, **changes))
    return new_connection(
        request, connection_id="conn_abc123def456ghi", internal_id="int_1", created_by_user_id="usr_1", now=NOW
    )


def refusal(model, data):
    with pytest.raises(InvalidInput) as caught:
        parse(model, data)
    return str(caught.value)


def test_an_unknown_provider_is_refused_alone():
    assert refusal(StorageConnectionCreateRequest, connection_request(provider_type="sftp")) == (
        "provider_type: sftp is not accepted; give one of google_drive, s3, sharepoint, snowflake, tigris."
    )


def test_the_config_may_repeat_the_provider_but_not_contradict_it():
    config = {**CONFIGS["s3"], "provider_type": "s3"}
    assert parse(StorageConnectionCreateRequest, connection_request(provider_config=config))
    config["provider_type"] = "tigris"
    sentence = refusal(StorageConnectionCreateRequest, connection_request(provider_config=config))
    assert sentence.startswith("provider_config.provider_type: tigris is not accepted; give s3 ")


@pytest.mark.parametrize(("length", "accepted"), [(0, False), (1, True), (100, True), (101, False)])
def test_bounds_of_the_name(length, accepted):
    data = connection_request(name="n" * length)
    if accepted:
        assert parse(StorageConnectionCreateRequest, data).name == "n" * length
    else:
        assert "text of 1 to 100 characters" in refusal(StorageConnectionCreateRequest, data)


@pytest.mark.parametrize("provider", sorted(CONFIGS))
def test_a_stored_connection_holds_no_credentials_and_shows_their_type_only(provider):
    connection, credentials = stored(provider)
    given = CONFIGS[provider]["credentials"]
    assert {key: credentials[key] for key in given} == given
    shown = connection.public_dict()
    assert shown["provider_config"]["credentials"] == {"type": given["type"]}
    assert shown["is_active"] is True
    for secret in ("minioadmin-secret", "tsec_b", "MIIE", "shh", "pass word"):
        assert secret not in json.dumps(shown)
        assert secret not in connection.model_dump_json()


@pytest.mark.parametrize("provider", sorted(CONFIGS))
def test_a_stored_connection_survives_being_written_and_read(provider):
    connection, credentials = stored(provider)
    assert parse(StorageConnection, json.loads(connection.model_dump_json())) == connection
    assert StorageConnection.model_validate(connection.model_dump()) == connection
    assert reveal(full_config(connection, credentials).credentials) == credentials


def test_a_connection_with_references_gives_them_to_the_store_as_references():
    references = {**S3_CREDENTIALS, "secret_access_key": {"env": "MEDIA_SECRET"}}
    _, credentials = stored(provider_config={"credentials": references})
    assert credentials["secret_access_key"] == {"env": "MEDIA_SECRET"}


def test_a_long_error_is_cut():
    connection, _ = stored()
    read = StorageConnection.model_validate({**connection.model_dump(), "last_error": "x" * 5000})
    assert read.last_error == "x" * 997 + "..."


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (StorageConnectionCreateRequest, connection_request(write_enabled=True)),
        (StorageConnectionUpdateRequest, {"write_enabled": True}),
    ],
)
def test_writing_cannot_be_enabled(model, data):
    assert refusal(model, data) == (
        "write_enabled: true is not accepted; give false, or leave it out: syncs only read, and nothing else uses a "
        "connection."
    )
    assert parse(model, {**data, "write_enabled": False}).write_enabled is False


def test_an_update_needs_a_change():
    assert "give at least one of the keys name, description" in refusal(StorageConnectionUpdateRequest, {})
    assert "give at least one of the keys" in refusal(StorageConnectionUpdateRequest, {"name": None})


def test_an_update_cannot_change_the_provider():
    assert refusal(StorageConnectionUpdateRequest, {"provider_type": "s3"}) == (
        "provider_type: it cannot be changed; create a new connection."
    )


@pytest.mark.parametrize(
    ("update", "status"),
    [
        ({"status": "suspended", "is_active": False}, TaskStatus.SUSPENDED),
        ({"status": "active"}, TaskStatus.ACTIVE),
        ({"is_active": True}, TaskStatus.ACTIVE),
        ({"is_active": False}, TaskStatus.SUSPENDED),
        ({"description": ""}, None),
    ],
)
def test_status_and_activity_are_one_thing(update, status):
    assert parse(StorageConnectionUpdateRequest, update).new_status == status


@pytest.mark.parametrize("update", [{"status": "ACTIVE", "is_active": False}, {"status": "PENDING"}, {"status": "odd"}])
def test_a_status_that_a_connection_cannot_have_is_refused(update):
    assert "is not accepted" in refusal(StorageConnectionUpdateRequest, update)


def test_credential_fields_that_are_left_out_are_kept_while_the_type_is_the_same():
    connection, credentials = stored()
    update = parse(
        StorageConnectionUpdateRequest,
        {"provider_config": {"region": "us-west-2", "credentials": {"access_key_id": "new"}}},
    )
    config = replaced_config(connection, credentials, update)
    assert config.region == "us-west-2"
    assert config.credentials.access_key_id == "new"
    assert config.credentials.secret_access_key == Secret("minioadmin-secret")


def test_credentials_of_another_type_have_to_be_whole():
    connection, credentials = stored()
    update = parse(StorageConnectionUpdateRequest, {"provider_config": {"credentials": {"type": "iam_role"}}})
    with pytest.raises(InvalidInput, match=r"provider_config\.credentials\.role_arn is missing"):
        replaced_config(connection, credentials, update)


def test_an_update_without_config_keeps_the_present_one():
    connection, credentials = stored()
    update = parse(StorageConnectionUpdateRequest, {"name": "new"})
    assert replaced_config(connection, credentials, update) == full_config(connection, credentials)
