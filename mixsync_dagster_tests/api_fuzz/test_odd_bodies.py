"""Bodies with one odd thing in them, sent as bytes: each is taken, or refused in sentences."""

from __future__ import annotations

import json

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mixsync_dagster.demo.samples import Sample
from mixsync_dagster.demo.source import BUCKET, s3_server
from mixsync_dagster_tests.api.serving import Client, connection_body, make_key, make_library, opened_home, serving
from mixsync_dagster_tests.model.one_of_each import INPUTS
from mixsync_dagster_tests.model.test_any_input import changed_inputs

SOME = settings(deadline=None, max_examples=40, database=None, phases=[Phase.generate], derandomize=True)
NOWHERE = "http://127.0.0.1:9"
SYNC = {**INPUTS["SyncCreateRequest"], "connection_id": "media", "source_path": BUCKET}
BODIES = {
    "POST /v1/organizations/connections": connection_body(NOWHERE, test_before_save=False, metadata={"a": [1]}),
    "POST /v1/organizations/connections/list": INPUTS["ListConnectionsRequest"],
    "PATCH /v1/organizations/connections/media": {"description": "x", "metadata": {"a": {"b": None}}},
    "POST /v1/buckets": INPUTS["BucketCreateRequest"],
    "POST {syncs}": {key: SYNC[key] for key in SYNC if key not in ("name", "schema_mapping")},
    "POST {syncs}/list": INPUTS["ListSyncsRequest"],
    "PATCH {sync}": {key: value for key, value in INPUTS["SyncUpdateRequest"].items() if key != "schema_mapping"},
    "POST {sync}/jobs": INPUTS["ListJobsRequest"],
    "POST {sync}/dlq": INPUTS["ListDeadLettersRequest"],
    "POST {sync}/dlq/requeue": INPUTS["RequeueRequest"],
    "POST {sync}/dlq/bulk-mark-failed": INPUTS["BulkMarkFailedRequest"],
    "POST {bucket}/objects/list": INPUTS["ListObjectsRequest"],
    "POST {bucket}/batches/list": INPUTS["ListBatchesRequest"],
}
EXPECTED = {200, 400, 404, 409, 413, 422}


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """One tenant's caller, who may name its bucket and its sync by words."""
    with s3_server() as source, opened_home(tmp_path_factory.mktemp("odd")) as services, serving(services) as url:
        source.put(Sample("films/a.txt", b"0123456789", "text/plain", metadata={"owner": "ana"}))
        source.put(Sample("other/c.txt", b"gamma", "text/plain"))
        client = Client(url, make_key(services, "alpha"))
        library = make_library(services, client, source.endpoint_url)
        places = {"{bucket}": f"/v1/buckets/{library.bucket_id}", "{syncs}": library.syncs, "{sync}": library.sync}

        def asked(operation, body):
            method, _, path = operation.partition(" ")
            for name, place in places.items():
                path = path.replace(name, place)
            return client(method, path, content=body)

        yield asked


@pytest.mark.parametrize("operation", BODIES)
@SOME
@given(data=st.data())
def test_an_odd_body_is_taken_or_refused_in_sentences(ask, operation, data):
    body, _ = data.draw(changed_inputs(BODIES[operation]))
    answer = ask(operation, json.dumps(body).encode("ascii"))
    assert answer.status_code in EXPECTED, answer.text
    told = answer.json()
    if answer.status_code != 200:
        assert told["error"]["message"]
        assert all(line.endswith(".") for line in told["error"]["message"].splitlines())
        assert "Traceback" not in answer.text
