"""What the vendor's OpenAPI document accepts is accepted here, and what is answered here is of its forms."""

from __future__ import annotations

import re

import jsonschema
import pytest

from mixsync_dagster.api import requests
from mixsync_dagster.demo.samples import Sample
from mixsync_dagster.demo.source import s3_server
from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model import connections, provider_configs, syncs
from mixsync_dagster.model.validation import parse
from mixsync_dagster_tests.api.serving import Client, make_key, make_library, opened_home, serving
from mixsync_dagster_tests.api_clients import vendor_schema
from mixsync_dagster_tests.api_clients.deviations import ANSWERS, OPERATIONS, REQUESTS
from mixsync_dagster_tests.docs.openapi import document
from mixsync_dagster_tests.model.samples import CONFIGS

pytestmark = pytest.mark.skipif(
    not vendor_schema.FILE.exists(), reason=f"the vendor's document is not at {vendor_schema.FILE}"
)

BODIES = {
    "BucketCreateRequest": requests.BucketCreateRequest,
    "ListBatchesRequest": requests.ListBatchesRequest,
    "ListObjectsRequest": requests.ListObjectsRequest,
    "ListStorageConnectionsRequest": requests.ListConnectionsRequest,
    "ListSyncConfigurationsRequest": requests.ListSyncsRequest,
    "StorageConnectionCreateRequest": connections.StorageConnectionCreateRequest,
    "StorageConnectionUpdateRequest": connections.StorageConnectionUpdateRequest,
    "SubmitBatchRequest": requests.SubmitBatchRequest,
    "SyncCreateRequest": syncs.SyncCreateRequest,
    "SyncUpdateRequest": syncs.SyncUpdateRequest,
    # The document leaves provider_config open and describes each provider's beside it.
    "GoogleDriveConfig": provider_configs.GoogleDriveConfig,
    "S3Config": provider_configs.S3Config,
    "SharePointConfig": provider_configs.SharePointConfig,
    "SnowflakeConfig": provider_configs.SnowflakeConfig,
    "TigrisConfig": provider_configs.TigrisConfig,
}


def operations(paths):
    """Return operations without the names of their ids, with what each says."""
    return {
        f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}": told
        for path, methods in paths.items()
        for method, told in methods.items()
    }


def bodies_of(name):
    """Yield bodies that the vendor's schema accepts."""
    for body in vendor_schema.bodies(name):
        if name == "StorageConnectionCreateRequest":
            body["provider_config"] = CONFIGS.get(body["provider_type"], {})
        yield body


def test_every_operation_is_offered_but_those_with_a_reason(tmp_path):
    theirs = operations(vendor_schema.document()["paths"])
    ours = operations(document(tmp_path)["paths"])
    assert {one for one in theirs if one not in ours} == set(OPERATIONS)
    known = {
        one["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for name, one in theirs.items()
        if name in ours and "requestBody" in one
    }
    assert known <= set(BODIES), "a request that no test makes"


@pytest.mark.parametrize("name", BODIES)
def test_every_body_that_the_vendor_accepts_is_accepted(name):
    refused = {}
    bodies = list(bodies_of(name))
    for body in bodies:
        try:
            parse(BODIES[name], body)
        except InvalidInput as error:
            refused |= {(name, problem.field): problem.message for problem in error.problems}
    assert len(bodies) > 2
    assert {place: said for place, said in refused.items() if place not in REQUESTS} == {}
    assert {place for place in REQUESTS if place[0] == name} <= set(refused), "a reason for what is accepted"


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """One answer of each form, after a run with one failing item."""
    with s3_server() as source, opened_home(tmp_path_factory.mktemp("answers")) as services, serving(services) as url:
        source.put(Sample("films/a.txt", b"0123456789", "text/plain", metadata={"owner": "ana"}))
        source.put(Sample("other/c.txt", b"gamma", "text/plain"))
        ask = Client(url, make_key(services, "alpha"))
        library = make_library(services, ask, source.endpoint_url)
        places = {
            "{bucket}": f"/v1/buckets/{library.bucket_id}",
            "{sync}": library.sync,
            "{connections}": "/v1/organizations/connections",
            "{connection}": f"/v1/organizations/connections/{library.connection_id}",
            "{analytics}": f"/v1/analytics/buckets/{library.bucket_id}",
            "{object}": f"/v1/buckets/{library.bucket_id}/objects/{library.object_id}",
            "{batch}": f"/v1/buckets/{library.bucket_id}/batches/{library.batch_id}",
        }

        def answer(asked, body=None):
            method, _, path = asked.partition(" ")
            place = path.split("}")[0] + "}"
            return ask(method, path.replace(place, places[place]), body)

        yield answer


def deviations(form, told):
    """Return where an answer is not of the vendor's form, and why."""
    schema = {"$ref": f"#/components/schemas/{form}", "components": vendor_schema.document()["components"]}
    errors = jsonschema.Draft202012Validator(schema).iter_errors(told)
    return {(form, re.sub(r"\d+", "*", ".".join(map(str, one.absolute_path)))): one.message[:300] for one in errors}


FORMS = {
    "GET {connection}": "StorageConnectionModel",
    "POST {connections}/list": "StorageConnectionListResponse",
    "POST {connection}/test": "StorageConnectionTestResponse",
    "GET {bucket}": "BucketResponse",
    "GET {sync}": "SyncConfigurationModel",
    "POST {bucket}/syncs/list": "SyncListResponse",
    "POST {sync}/pause": "SyncConfigurationModel",
    "POST {sync}/resume": "SyncConfigurationModel",
    "GET {object}": "ObjectResponse",
    "POST {bucket}/objects/list": "ListObjectsResponse",
    "GET {batch}": "BatchModel",
    "POST {bucket}/batches/list": "ListBatchesResponse",
    "POST {batch}/submit": "TaskResponse",
    "GET {analytics}/sync-performance": "SyncPerformanceResponse",
    "GET {analytics}/sync-comparison": "SyncComparisonResponse",
    "GET {analytics}/health": "BucketHealthResponse",
}


@pytest.mark.parametrize("asked", FORMS)
def test_every_answer_is_of_the_vendors_form(answered, asked):
    answer = answered(asked)
    assert answer.status_code == 200, answer.text
    found = deviations(FORMS[asked], answer.json())
    reasons = {place for place in ANSWERS if place[0] == FORMS[asked]}
    assert {place: said for place, said in found.items() if place not in reasons} == {}
    assert reasons <= set(found), "a reason for what is as the vendor's"


@pytest.mark.parametrize(
    ("asked", "body", "status"),
    [
        ("GET {bucket}/syncs/nothing", None, 404),
        ("POST {connections}", {"name": "media", "colour": "blue"}, 422),
        ("PATCH {sync}", {}, 400),
    ],
)
def test_errors_are_of_both_forms_that_the_vendors_clients_read(answered, asked, body, status):
    answer = answered(asked, body)
    assert answer.status_code == status
    assert deviations("ErrorResponse", answer.json()) == {}
    assert deviations("HTTPValidationError", answer.json()) == {}
    assert ("detail" in answer.json()) == (status == 422)


@pytest.mark.parametrize(
    ("body", "query", "found"),
    [
        ({"offset": 0, "limit": 100}, "", (1, 100)),
        ({"offset": 1, "limit": 5}, "", (0, 5)),
        ({"limit": 5}, "?limit=7&offset=1", (0, 5)),
        ({}, "?limit=7", (1, 7)),
    ],
)
def test_batches_are_paged_by_the_body_too(answered, body, query, found):
    told = answered(f"POST {{bucket}}/batches/list{query}", body).json()
    assert (len(told["results"]), told["pagination"]["page_size"]) == found
