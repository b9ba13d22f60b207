from __future__ import annotations

from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnectionCreateRequest, StorageConnectionUpdateRequest
from mixsync_dagster.model.documents import ConfigDocument
from mixsync_dagster.model.filters import FileFilters
from mixsync_dagster.model.mapping import SchemaMapping
from mixsync_dagster.model.syncs import SyncConfiguration, SyncCreateRequest, SyncUpdateRequest
from mixsync_dagster.model.validation import explain, parse, shown
from mixsync_dagster_tests.model.samples import JSON_VALUES, QUICK, connection_request, sync_request


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (29, "29"),
        ("29", '"29"'),
        ("", '""'),
        (" x", '" x"'),
        ("true", '"true"'),
        ("a\nb", '"a\\nb"'),
        ("tab\tx", '"tab\\tx"'),
        ("plain text", "plain text"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        ({"a": "secret"}, "a mapping"),
        (["secret"], "a list"),
        (Colour.RED, "red"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 77 + "..."),
        ("https://user:pass@host/p", "https://***@host/p"),
        ("https://host/p?signature=x", "https://host/p?***"),
    ],
)
def test_a_value_is_shown_in_one_short_line(value, text):
    assert shown(value) == text


def test_a_problem_tells_field_value_and_accepted_form():
    with pytest.raises(InvalidInput) as caught:
        parse(SyncCreateRequest, sync_request(batch_size=0), where="syncs.videos")
    accepted = "a whole number from 1 to 100 (files)"
    message = f"syncs.videos.batch_size: 0 is not accepted; give {accepted}."
    assert caught.value.problems == (FieldProblem("syncs.videos.batch_size", "0", accepted, message),)


def test_a_problem_can_be_found_in_the_data_by_its_keys():
    data = {"syncs": {"a.b": {**sync_request(file_filters={"extensions": [".ok", ""]}), "bucket_id": "b"}}}
    with pytest.raises(ValidationError) as caught:
        ConfigDocument.model_validate(data)
    assert [keys for keys, _ in explain(caught.value, data)] == [("syncs", "a.b", "file_filters", "extensions", 1)]


def test_names_of_union_members_do_not_show_in_paths():
    entry = {"target_type": "field", "source": {"type": "tag", "key": ""}}
    with pytest.raises(InvalidInput, match=r"^mappings\.tag\.source\.key: "):
        parse(SchemaMapping, {"mappings": {"tag": entry}})


MODELS = [
    BucketDefinition,
    ConfigDocument,
    FileFilters,
    SchemaMapping,
    StorageConnectionCreateRequest,
    StorageConnectionUpdateRequest,
    SyncConfiguration,
    SyncCreateRequest,
    SyncUpdateRequest,
]


def problems_of(model, value):
    try:
        parse(model, value)
    except InvalidInput as error:
        return error.problems
    return None


@QUICK
@given(st.data())
def test_any_json_is_parsed_or_refused_with_sentences(data):
    model = data.draw(st.sampled_from(MODELS))
    keys = st.sampled_from([*model.accepted_keys(), "type", "zzz"])
    value = data.draw(st.dictionaries(keys, JSON_VALUES | st.dictionaries(st.just("type"), JSON_VALUES), max_size=5))
    problems = problems_of(model, value)
    assert problems is None or (problems and all(problem.message.endswith(".") for problem in problems))


@QUICK
@given(st.data())
def test_a_good_input_with_one_odd_value_never_breaks_the_checks(data):
    base = data.draw(st.sampled_from([connection_request("s3"), connection_request("snowflake")]))
    config = dict(base["provider_config"])
    target = data.draw(st.sampled_from(["provider_config", "credentials", "provider_type", "name", "metadata"]))
    odd = data.draw(JSON_VALUES)
    if target == "credentials":
        config["credentials"] = {
            **config["credentials"],
            data.draw(st.sampled_from(sorted(config["credentials"]))): odd,
        }
        changed = {**base, "provider_config": config}
    elif target == "provider_config":
        changed = {
            **base,
            "provider_config": {**config, data.draw(st.sampled_from(["region", "use_ssl", "host"])): odd},
        }
    else:
        changed = {**base, target: odd}
    problems = problems_of(StorageConnectionCreateRequest, changed)
    assert problems is None or len(problems) >= 1
