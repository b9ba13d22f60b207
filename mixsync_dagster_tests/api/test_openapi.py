"""The OpenAPI document is the committed one, and says what there is."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from mixsync_dagster import api
from mixsync_dagster_tests.docs.openapi import document, written

FILE = Path(api.__file__).with_name("openapi.json")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return document(tmp_path_factory.mktemp("document"))


def operations(told):
    return [(path, method, one) for path, methods in told["paths"].items() for method, one in methods.items()]


def test_the_committed_document_is_that_of_the_code(told):
    assert FILE.read_text("utf-8") == written(told), "run `python -m mixsync_dagster_tests.docs.openapi --write`"


def test_the_served_document_is_the_same(ask, told):
    assert ask.done("GET", "/openapi.json") == json.loads(written(told))


def test_every_reference_leads_somewhere(told):
    text = json.dumps(told)
    found = {one.split('"')[0] for one in text.split('"$ref": "#/components/schemas/')[1:]}
    assert len(found) > 40
    assert found <= set(told["components"]["schemas"])


def test_every_operation_has_an_id_a_summary_and_its_errors(told):
    ids = [one["operationId"] for _, _, one in operations(told)]
    assert len(ids) == len(set(ids)) > 30
    for path, _, one in operations(told):
        assert one["summary"]
        if path not in ("/healthz", "/readyz"):
            assert {"200", "401", "403", "422", "500", "503"} <= set(one["responses"]), path
            assert one["security"]
            assert "HTTPValidationError" not in json.dumps(one)


def test_the_contracts_paths_are_there(told):
    sync = "/v1/buckets/{bucket_id}/syncs"
    one = f"{sync}/{{sync_config_id}}"
    wanted = {
        f"{sync}": {"post"},
        f"{sync}/list": {"post"},
        one: {"get", "patch", "delete"},
        **{f"{one}/{verb}": {"post"} for verb in ("pause", "resume", "trigger", "unlock", "jobs", "dlq")},
        f"{one}/jobs/{{sync_job_id}}": {"get"},
        f"{one}/metrics": {"get"},
        f"{one}/dlq/requeue": {"post"},
        f"{one}/dlq/bulk-mark-failed": {"post"},
    }
    for prefix in ("/v1/organizations/connections", "/v1/connections"):
        wanted[prefix] = wanted[f"{prefix}/list"] = wanted[f"{prefix}/{{connection_identifier}}/test"] = {"post"}
        wanted[f"{prefix}/{{connection_identifier}}"] = {"get", "patch", "delete"}
    assert {path: set(told["paths"][path]) for path in wanted} == wanted


def test_answers_are_of_the_documents_form(estate, told):
    library = estate.library
    bucket, sync = f"/v1/buckets/{library.bucket_id}", library.sync
    asked = {
        "Connection": ("GET", f"/v1/connections/{library.connection_id}"),
        "ConnectionList": ("POST", "/v1/connections/list"),
        "ConnectionTest": ("POST", f"/v1/connections/{library.connection_id}/test"),
        "SyncConfiguration": ("GET", sync),
        "SyncList": ("POST", f"{library.syncs}/list"),
        "Job": ("GET", f"{sync}/jobs/{library.run_id}"),
        "JobList": ("POST", f"{sync}/jobs"),
        "SyncMetrics": ("GET", f"{sync}/metrics"),
        "DeadLetterList": ("POST", f"{sync}/dlq"),
        "Bucket": ("GET", bucket),
        "BucketList": ("POST", "/v1/buckets/list"),
        "BucketObject": ("GET", f"{bucket}/objects/{library.object_id}"),
        "ObjectList": ("POST", f"{bucket}/objects/list"),
        "BatchAnswer": ("GET", f"{bucket}/batches/{library.batch_id}"),
        "BatchList": ("POST", f"{bucket}/batches/list"),
    }
    for name, (method, path) in asked.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": told["components"]}
        jsonschema.Draft202012Validator(schema).validate(estate.owner.done(method, path))
    for path, _, one in operations(told):
        for status, answer in one["responses"].items():
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            assert set(schema) <= {"$ref"}, (path, status)


def test_the_page_for_people_is_served(ask):
    answer = ask("GET", "/docs")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    parts = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert len(parts) == 3
    for part in parts:
        # No other server has to be reached for it.
        assert part.startswith("/docs/parts/")
        assert ask("GET", part).status_code == 200
