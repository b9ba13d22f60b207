from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnectionCreateRequest, StorageConnectionUpdateRequest
from mixsync_dagster.model.credentials import S3AccessKeyCredentials, resolve
from mixsync_dagster.model.documents import ConfigDocument
from mixsync_dagster.model.secrets import MASK, EnvReference, Secret, reveal
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.model.samples import CONFIGS, PEM, QUICK, S3_CREDENTIALS, connection_request

CANARIES = st.text("abcdefXYZ0123456789", min_size=12, max_size=20).map(lambda text: "cnry" + text)
SECRET_FIELDS = {
    "s3": ["secret_access_key", "session_token"],
    "tigris": ["secret_access_key"],
    "google_drive": ["private_key"],
    "sharepoint": ["client_secret"],
    "snowflake": ["password"],
}


def shown_forms(model):
    return [
        repr(model),
        str(model),
        repr(model.model_dump()),
        model.model_dump_json(),
        str(model.model_dump(mode="json")),
    ]


@QUICK
@given(CANARIES, st.sampled_from(sorted(SECRET_FIELDS)))
def test_no_form_of_a_model_but_reveal_shows_a_secret(canary, provider):
    planted = dict.fromkeys(SECRET_FIELDS[provider], canary if provider != "google_drive" else PEM + canary)
    config = {**CONFIGS[provider], "credentials": {**CONFIGS[provider]["credentials"], **planted}}
    request = parse(StorageConnectionCreateRequest, connection_request(provider, provider_config=config))
    assert all(canary not in form for form in shown_forms(request))
    assert canary in json.dumps(reveal(request.provider_config.credentials))
    update = parse(StorageConnectionUpdateRequest, {"provider_config": config})
    assert all(canary not in form for form in shown_forms(update))
    assert reveal(update.provider_config) == config


@QUICK
@given(
    canary=CANARIES,
    wrap=st.sampled_from([lambda c: [c], lambda c: {"x": c}, lambda c: c + " ", lambda c: {"env": c + "!"}]),
    key=st.sampled_from(["type", "access_key_id", "secret_access_key", "session_token", "password", "bogus"]),
)
def test_no_error_shows_what_was_given_as_a_credential(canary, wrap, key):
    data = {"c": connection_request(provider_config={"credentials": {**S3_CREDENTIALS, key: wrap(canary)}}, name="c")}
    texts = []
    try:
        ConfigDocument.model_validate({"connections": data})
    except ValidationError as error:
        texts += [str(error), repr(error), str(error.errors(include_url=False, include_input=False))]
        with pytest.raises(InvalidInput) as caught:
            parse(ConfigDocument, {"connections": data})
        texts += [str(caught.value), repr(caught.value.problems)]
    assert all(canary not in text for text in texts)


@pytest.mark.parametrize(
    "config",
    [
        "CANARY",
        ["CANARY"],
        {"credentials": "CANARY"},
        {"secret_access_key": "CANARY"},
        {"credentials": S3_CREDENTIALS, "endpoint_url": "https://user:CANARY@example.com"},
        {"credentials": S3_CREDENTIALS, "endpoint_url": "https://example.com/?signature=CANARY"},
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown_either(config):
    with pytest.raises(InvalidInput) as caught:
        parse(StorageConnectionCreateRequest, connection_request(provider_config=config))
    assert "CANARY" not in str(caught.value)


def test_the_key_of_a_hosted_bucket_is_a_secret():
    hosted = {"namespace": "ns_demo", "api_key": "sk_CANARY"}
    bucket = parse(BucketDefinition, {"bucket_id": "b", "destination": "mixpeek", "mixpeek": hosted})
    assert all("CANARY" not in form for form in shown_forms(bucket))
    assert reveal(bucket)["mixpeek"]["api_key"] == "sk_CANARY"


def test_secrets_of_the_same_text_are_equal():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert pickle.loads(pickle.dumps(Secret("a"))) == Secret("a")


@pytest.mark.parametrize("value", ["", MASK, "a\x00b", 5, None, ["x"]])
def test_an_unusable_secret_is_refused(value):
    with pytest.raises(
        InvalidInput, match="secret_access_key holds a value that is not accepted; give the secret as text"
    ):
        parse(S3AccessKeyCredentials, {**S3_CREDENTIALS, "secret_access_key": value})


@pytest.mark.parametrize("name", ["", "1ABC", "A-B", "A B", "A" * 256, None])
def test_a_reference_names_an_environment_variable(name):
    with pytest.raises(InvalidInput, match="give the name of an environment variable"):
        parse(EnvReference, {"env": name})


def test_a_reference_stays_one_until_it_is_resolved():
    given_form = {"type": "access_key", "access_key_id": {"env": "KEY"}, "secret_access_key": {"env": "SECRET"}}
    credentials = parse(S3AccessKeyCredentials, given_form)
    assert credentials.secret_access_key == EnvReference(env="SECRET")
    assert reveal(credentials) == {**given_form, "session_token": None}
    resolved = resolve(credentials, {"KEY": "id", "SECRET": "CANARY"}.get)
    assert resolved.access_key_id == "id"
    assert resolved.secret_access_key == Secret("CANARY")
    assert "CANARY" not in repr(resolved)


@pytest.mark.parametrize("environment", [{"KEY": "id"}, {"KEY": "id", "SECRET": ""}])
def test_a_variable_that_is_not_set_is_named_with_its_field(environment):
    credentials = parse(S3AccessKeyCredentials, {**S3_CREDENTIALS, "secret_access_key": {"env": "SECRET"}})
    with pytest.raises(ConfigurationError) as caught:
        resolve(credentials, environment.get)
    assert str(caught.value) == "credentials.secret_access_key: the environment variable SECRET is not set."


def test_a_variable_of_the_wrong_form_is_refused_without_being_shown():
    credentials = parse(S3AccessKeyCredentials, {**S3_CREDENTIALS, "secret_access_key": {"env": "SECRET"}})
    with pytest.raises(InvalidInput, match="without spaces around it") as caught:
        resolve(credentials, {"SECRET": "CANARY\n"}.get)
    assert "CANARY" not in str(caught.value)
