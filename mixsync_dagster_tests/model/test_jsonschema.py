from __future__ import annotations

import json

import pytest
import yaml
from pydantic import BaseModel

from mixsync_dagster.model.base import Model
from mixsync_dagster.model.documents import ConfigDocument
from mixsync_dagster.model.jsonschema import PUBLIC_MODELS, all_schemas, schema_of
from mixsync_dagster.model.provider_configs import SnowflakeConfig
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster_tests.model.samples import connection_request, sync_request
from mixsync_dagster_tests.model.test_documents import DOCUMENT

jsonschema = pytest.importorskip("jsonschema")


def all_models(model=Model):
    for subclass in model.__subclasses__():
        yield subclass
        yield from all_models(subclass)


def test_there_is_a_schema_for_everything_that_users_write():
    assert sorted(all_schemas()) == ["bucket", "connection", "connection_update", "document", "sync", "sync_update"]


@pytest.mark.parametrize("name", sorted(PUBLIC_MODELS))
def test_a_schema_is_valid_and_plain_json(name):
    jsonschema.Draft202012Validator.check_schema(json.loads(json.dumps(schema_of(name))))


def test_the_schemas_accept_what_the_models_accept():
    jsonschema.validate(sync_request(polling_interval_seconds=30), schema_of("sync"))
    with pytest.raises(jsonschema.ValidationError, match="29 is less than the minimum of 30"):
        jsonschema.validate(sync_request(polling_interval_seconds=29), schema_of("sync"))
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.validate(sync_request(bogus=1), schema_of("sync"))


def test_bounds_and_meaning_stand_in_the_schema():
    interval = schema_of("sync")["properties"]["polling_interval_seconds"]
    assert (interval["minimum"], interval["maximum"], interval["default"]) == (30, 900, 300)
    assert interval["description"] == "Seconds between looks for changes, 30 to 900; not used by one_time."


def test_secrets_have_no_example_and_no_default_in_a_schema():
    assert '"default": "***' not in json.dumps(all_schemas())


def test_the_name_of_a_field_is_the_one_that_users_write():
    assert "schema" in SnowflakeConfig.model_json_schema()["properties"]


def test_every_field_of_every_model_says_what_it_is():
    models = set(all_models())
    assert {ConfigDocument, SyncConfiguration, SnowflakeConfig} <= models
    silent = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert silent == []
    assert all(issubclass(model, BaseModel) and model.model_config["extra"] == "forbid" for model in models)


def test_every_field_that_may_be_none_says_what_none_means():
    unexplained = [
        f"{model.__name__}.{name}"
        for model in set(all_models())
        for name, field in model.model_fields.items()
        if not field.is_required() and field.default is None and field.default_factory is None
        if not any(word in field.description for word in ("None:", "none", "only with"))
    ]
    assert unexplained == []


def test_the_example_document_fits_its_parts_schemas():
    syncs = yaml.safe_load(DOCUMENT)["syncs"]["videos"]
    jsonschema.validate({key: value for key, value in syncs.items() if key != "bucket_id"}, schema_of("sync"))
    assert connection_request()["provider_type"] == "s3"
