"""Every example of the OpenAPI document, sent to a served API."""

import itertools
import json
import re

import jsonschema
import pytest

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.provider_kinds import parse_source_path
from mixsync_dagster_tests.docs.openapi import FILE

TOLD = json.loads(FILE.read_text("utf-8"))
NUMBERS = itertools.count()


def operations():
    for path, methods in TOLD["paths"].items():
        for method, one in methods.items():
            yield pytest.param(path, method, one, id=one["operationId"])


def with_bodies():
    return [one for one in operations() if "requestBody" in one.values[2]]


def with_parameters():
    return [
        one
        for one in operations()
        if any("examples" in told["schema"] or "example" in told for told in one.values[2].get("parameters", ()))
    ]


def body_of(one):
    return one["requestBody"]["content"]["application/json"]


def filled(path, library):
    values = {
        "connection_identifier": library.connection_id,
        "bucket_id": library.bucket_id,
        "sync_config_id": library.sync_id,
        "sync_job_id": library.run_id,
        "object_id": library.object_id,
        "batch_id": library.batch_id,
        "blob_property": "content",
    }
    return path.format(**values)


def test_every_body_has_an_example():
    assert len(with_bodies()) > 15
    assert [one.id for one in with_bodies() if "example" not in body_of(one.values[2])] == []


@pytest.mark.parametrize(("path", "method", "one"), with_bodies())
def test_the_example_of_a_body_is_carried_out(own_estate, path, method, one):
    told = body_of(one)
    schema = {**told["schema"], "components": TOLD["components"]}
    jsonschema.Draft202012Validator(schema).validate(told["example"])
    answer = own_estate.owner(method.upper(), filled(path, own_estate.library), told["example"])
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("path", "method", "one"), with_parameters())
def test_the_examples_of_parameters_are_accepted(own_estate, path, method, one):
    body = body_of(one)["example"] if "requestBody" in one else None
    for told in one["parameters"]:
        for example in told["schema"].get("examples", [told["example"]] if "example" in told else []):
            place = {"query": "params", "header": "headers"}[told["in"]]
            required = {
                other["name"]: other["schema"]["examples"][0]
                for other in one["parameters"]
                if other["in"] == "query" and other["required"]
            }
            options = {"params": required}
            options[place] = {**options.get(place, {}), told["name"]: example}
            answer = own_estate.owner(method.upper(), filled(path, own_estate.library), body, **options)
            assert answer.status_code == 200, answer.text


def examples_of_fields():
    for name, schema in TOLD["components"]["schemas"].items():
        for field, told in schema.get("properties", {}).items():
            for number, example in enumerate(told.get("examples", ())):
                yield pytest.param(name, field, example, id=f"{name}.{field}.{number}")


@pytest.mark.parametrize(("name", "field", "example"), examples_of_fields())
def test_the_examples_of_fields_are_of_their_form(name, field, example):
    told = TOLD["components"]["schemas"][name]["properties"][field]
    jsonschema.Draft202012Validator({**told, "components": TOLD["components"]}).validate(example)


def of_bodies():
    """Fields of bodies, and of what stands in them under one key."""
    for one in with_bodies():
        path, method, operation = one.values
        name = body_of(operation)["schema"]["$ref"].rpartition("/")[2]
        for field, told in TOLD["components"]["schemas"][name].get("properties", {}).items():
            for example in told.get("examples", ()):
                yield pytest.param(path, method, operation, {field: example}, id=f"{one.id}.{field}")
            for inner in re.findall(r"schemas/(FileFilters)\"", json.dumps(told)):
                for key, below in TOLD["components"]["schemas"][inner]["properties"].items():
                    for example in below.get("examples", ()):
                        yield pytest.param(
                            path, method, operation, {field: {key: example}}, id=f"{one.id}.{field}.{key}"
                        )


@pytest.mark.parametrize(("path", "method", "one", "changes"), of_bodies())
def test_the_examples_of_fields_are_accepted(request, path, method, one, changes):
    # A connection that an example makes may not serve another example: its storage is not on this machine.
    estate = request.getfixturevalue("own_estate" if "connections" in path else "estate")
    body = {**body_of(one)["example"]}
    for name in {"name", "bucket_name"} & set(body):
        body[name] = f"example-{next(NUMBERS)}"
    answer = estate.owner(method.upper(), filled(path, estate.library), {**body, **changes})
    if "source_path" in changes:
        # Of any provider; this one's storage holds none of them.
        assert answer.status_code == 422
        assert any(accepts(provider, changes["source_path"]) for provider in ProviderType)
    else:
        # What an example names need not be there, and may be there already; what it says has to be accepted.
        assert answer.status_code in (200, 404, 409), answer.text


def accepts(provider, source_path):
    try:
        parse_source_path(provider, source_path)
    except InvalidInput:
        return False
    return True
